//! The softmax over one panel, between the two products.

use std::ops::Range;

use super::{AttentionShape, Panel};
use crate::exponential::exp;
use crate::kv_cache::{PANEL, PANEL_VECTORS};
use crate::lanes::{Arithmetic, Kernel, LANES, Lanes, larger};

/// Turns the scores of a panel into weights relative to each row's running maximum, and rescales the row's sums when
/// that maximum grew.
pub(super) struct SoftmaxPanel<'a> {
    pub(super) shape: &'a AttentionShape,
    /// The position of each token; the rows are its heads.
    pub(super) positions: &'a [usize],
    pub(super) panel: &'a Panel<'a>,
    pub(super) scores: &'a mut [Lanes],
    pub(super) maxima: &'a mut [f32],
    pub(super) sums: &'a mut [Lanes],
    pub(super) values: &'a mut [Lanes],
}

impl Kernel for SoftmaxPanel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let group = self.shape.group();
        let vectors = self.values.len() / self.maxima.len();
        let scores = self.scores.as_chunks_mut::<PANEL_VECTORS>().0.iter_mut();
        let rows = scores.zip(self.maxima).zip(self.sums).zip(self.values.chunks_exact_mut(vectors));
        for (row, (((scores, maximum), sum), values)) in rows.enumerate() {
            let seen = self.panel.seen_from(self.shape.sees(self.positions[row / group]));
            if seen.is_empty() {
                *scores = [Lanes::ZERO; PANEL_VECTORS];
                continue;
            }
            mask(scores, seen);
            let [a, b, c] = *scores;
            let new_maximum = larger(a.zip(b, larger).zip(c, larger).max(), *maximum);
            let correction = exp::<A>(*maximum - new_maximum);
            *maximum = new_maximum;
            *scores = scores.map(|scores| scores.map(|score| exp::<A>(score - new_maximum)));
            let [a, b, c] = *scores;
            *sum = a.plus(b).plus(c).plus_scaled::<A>(correction, *sum);
            if correction != 1.0 {
                values.iter_mut().for_each(|value| *value = value.times(correction));
            }
        }
    }
}

/// Minus infinity for the keys that are not seen.
#[inline(always)]
fn mask(scores: &mut [Lanes; PANEL_VECTORS], seen: Range<usize>) {
    if seen == (0..PANEL) {
        return;
    }
    for (vector, scores) in scores.iter_mut().enumerate() {
        for (lane, score) in scores.0.iter_mut().enumerate() {
            let key = vector * LANES + lane;
            *score = if key >= seen.start && key < seen.end { *score } else { f32::NEG_INFINITY };
        }
    }
}
