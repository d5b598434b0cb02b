//! The softmax over one panel, between the two products.

use std::hint::black_box;
use std::ops::Range;

use super::{AttentionShape, hide_unseen};
use crate::exponential::exp;
use crate::kv_cache::PANEL_VECTORS;
use crate::lanes::{Arithmetic, Kernel, Lanes, flat_mut, larger};

/// Turns the scores of a panel into weights relative to each row's running maximum, and rescales the row's sums when
/// that maximum grew.
pub(super) struct SoftmaxPanel<'a> {
    pub(super) shape: &'a AttentionShape,
    /// The position of each token; the rows are its heads.
    pub(super) positions: &'a [usize],
    /// The position of the panel's first key, and the keys that some row sees.
    pub(super) start: usize,
    pub(super) seen: Range<usize>,
    pub(super) scores: &'a mut [Lanes],
    pub(super) maxima: &'a mut [f32],
    /// Room for a number per row.
    pub(super) corrections: &'a mut [f32],
    pub(super) sums: &'a mut [Lanes],
    pub(super) values: &'a mut [Lanes],
}

impl Kernel for SoftmaxPanel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(mut self) {
        self.hide_unseen();
        self.raise_maxima::<A>();
        let vectors = self.values.len() / self.maxima.len();
        let scores = self.scores.as_chunks_mut::<PANEL_VECTORS>().0.iter_mut();
        let values = self.sums.iter_mut().zip(self.values.chunks_exact_mut(vectors));
        let rows = scores.zip(values).zip(self.maxima.iter().zip(self.corrections));
        for (([a, b, c], (sum, values)), (&maximum, &mut correction)) in rows {
            // A row that has seen nothing yet has the maximum -∞, and weights of zero.
            let shift = if maximum == f32::NEG_INFINITY { 0.0 } else { maximum };
            *a = a.map(|score| exp::<A>(score - shift));
            *b = b.map(|score| exp::<A>(score - shift));
            *c = c.map(|score| exp::<A>(score - shift));
            *sum = a.plus(*b).plus(*c).plus_scaled::<A>(correction, *sum);
            if correction != 1.0 {
                values.iter_mut().for_each(|value| *value = value.times(correction));
            }
        }
    }
}

impl SoftmaxPanel<'_> {
    /// Scores of minus infinity for what a row does not see.
    #[inline(always)]
    fn hide_unseen(&mut self) {
        let rows = self.scores.chunks_exact_mut(PANEL_VECTORS * self.shape.group());
        for (rows, &position) in rows.zip(self.positions) {
            hide_unseen(flat_mut(rows), self.shape.sees(position), self.start, self.seen.end);
        }
    }

    /// The new maxima, and the factors by which the sums shrink.
    #[inline(always)]
    fn raise_maxima<A: Arithmetic>(&mut self) {
        let rows = self.scores.as_chunks::<PANEL_VECTORS>().0.iter();
        for ((&[a, b, c], &maximum), raised) in rows.zip(&*self.maxima).zip(&mut *self.corrections) {
            // One row at a time: left alone, the compiler gathers the lanes of many rows, which takes far longer.
            *raised = larger(black_box(a.zip(b, larger).zip(c, larger)).max(), maximum);
        }
        for (maximum, correction) in self.maxima.iter_mut().zip(&mut *self.corrections) {
            let raised = *correction;
            let shrunk = exp::<A>(*maximum - raised);
            *correction = if *maximum == raised { 1.0 } else { shrunk };
            *maximum = raised;
        }
    }
}
