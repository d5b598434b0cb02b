//! Root-mean-square normalisation of rows, and its gradient.

use crate::elementwise::rows_per_task;
use crate::lanes::{Arithmetic, Kernel, LANES, Lanes, dispatch};
use crate::{Pool, Update};

/// `y = x / rms(x) ∘ weight` with `rms(x) = √(mean(x²) + ε)`, for rows as wide as the weight: of the residual stream, or
/// of a head.
#[derive(Clone, Copy, Debug)]
pub struct RmsNorm<'a> {
    /// A factor per column; frozen, so it has no gradient.
    pub weight: &'a [f32],
    /// The ε under the root.
    pub epsilon: f32,
}

impl RmsNorm<'_> {
    /// Normalises each row of `x` into `y`.
    ///
    /// # Panics
    /// If the weight is empty, or the lengths differ or are no multiple of the weight's.
    pub fn forward(&self, pool: &Pool, x: &[f32], y: &mut [f32]) {
        self.check(&[x.len(), y.len()]);
        let part = rows_per_task(self.weight.len()) * self.weight.len();
        pool.chunks(y, part, |index, y| {
            let x = &x[index * part..][..y.len()];
            dispatch(pool, Forward { norm: self, x, y });
        });
    }

    /// The gradient with respect to `x` from that with respect to `y`:
    /// `dx (+)= (g − x̂ · mean(g ∘ x̂)) / rms(x)` with `g = weight ∘ dy` and `x̂ = x / rms(x)`.
    ///
    /// # Panics
    /// If the weight is empty, or the lengths differ or are no multiple of the weight's.
    pub fn backward(&self, pool: &Pool, x: &[f32], dy: &[f32], dx: &mut [f32], update: Update) {
        self.check(&[x.len(), dy.len(), dx.len()]);
        let part = rows_per_task(self.weight.len()) * self.weight.len();
        pool.chunks(dx, part, |index, dx| {
            let (x, dy) = (&x[index * part..][..dx.len()], &dy[index * part..][..dx.len()]);
            dispatch(pool, Backward { norm: self, x, dy, dx, update });
        });
    }

    fn check(&self, lengths: &[usize]) {
        let width = self.weight.len();
        assert!(width > 0, "a norm of no columns");
        assert!(lengths.iter().all(|&length| length == lengths[0]), "inputs and results of one length");
        assert!(lengths[0].is_multiple_of(width), "{} numbers are no rows of {width}", lengths[0]);
    }

    #[inline(always)]
    fn inverse_rms<A: Arithmetic>(&self, x: &[f32]) -> f32 {
        let squares = reduce([x], |sum, [x]| sum.plus_product::<A>(x, x));
        1.0 / (squares / x.len() as f32 + self.epsilon).sqrt()
    }
}

struct Forward<'a> {
    norm: &'a RmsNorm<'a>,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let weight = self.norm.weight;
        for (x, y) in self.x.chunks_exact(weight.len()).zip(self.y.chunks_exact_mut(weight.len())) {
            let inverse_rms = self.norm.inverse_rms::<A>(x);
            for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
                *y = x * inverse_rms * weight;
            }
        }
    }
}

struct Backward<'a> {
    norm: &'a RmsNorm<'a>,
    x: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
    update: Update,
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let weight = self.norm.weight;
        let width = weight.len();
        let rows = self.x.chunks_exact(width).zip(self.dy.chunks_exact(width));
        for ((x, dy), dx) in rows.zip(self.dx.chunks_exact_mut(width)) {
            let inverse_rms = self.norm.inverse_rms::<A>(x);
            let dot = reduce([weight, dy, x], |sum, [w, dy, x]| sum.plus_product::<A>(w.zip(dy, |w, dy| w * dy), x));
            let pull = dot * inverse_rms * inverse_rms / width as f32;
            let gradient = |w: f32, dy: f32, x: f32| inverse_rms * A::multiply_add(-pull, x, w * dy);
            let columns = dx.iter_mut().zip(x).zip(dy.iter().zip(weight));
            match self.update {
                Update::Overwrite => columns.for_each(|((dx, x), (dy, w))| *dx = gradient(*w, *dy, *x)),
                Update::Accumulate => columns.for_each(|((dx, x), (dy, w))| *dx += gradient(*w, *dy, *x)),
            }
        }
    }
}

/// A sum over the columns of rows of one length, in an order that only depends on that length: four vectors in turn,
/// then pairwise. `add` must give back its first argument where the others are zero.
#[inline(always)]
fn reduce<const N: usize>(rows: [&[f32]; N], add: impl Fn(Lanes, [Lanes; N]) -> Lanes) -> f32 {
    let chunks = rows.map(|row| row.as_chunks::<LANES>());
    let whole = rows[0].len() / LANES;
    let mut sums = [Lanes::ZERO; 4];
    for index in 0..whole {
        sums[index % 4] = add(sums[index % 4], chunks.map(|(whole, _)| Lanes(whole[index])));
    }
    if !chunks[0].1.is_empty() {
        sums[whole % 4] = add(sums[whole % 4], chunks.map(|(_, rest)| Lanes::load(rest)));
    }
    let [a, b, c, d] = sums;
    a.plus(b).plus(c.plus(d)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{assert_close, assert_same_bits, pools, random, to_f64};

    fn reference(x: &[f64], weight: &[f64], epsilon: f64) -> Vec<f64> {
        let row = |x: &[f64]| -> Vec<f64> {
            let rms = (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64 + epsilon).sqrt();
            x.iter().zip(weight).map(|(x, w)| x / rms * w).collect()
        };
        x.chunks_exact(weight.len()).flat_map(row).collect()
    }

    #[test]
    fn it_agrees_with_the_definition_and_with_finite_differences() {
        for pool in pools(2) {
            for (rows, width) in [(1, 1), (3, 8), (5, 17), (40, 64), (37, 576), (2, 100), (1, 9000)] {
                let (x, weight, dy) = (random(1, rows * width), random(2, width), random(3, rows * width));
                let norm = RmsNorm { weight: &weight, epsilon: 1e-5 };
                let mut y = vec![f32::NAN; x.len()];
                norm.forward(&pool, &x, &mut y);
                let wide = to_f64(&weight);
                let forward = |x: &[f64]| reference(x, &wide, 1e-5);
                assert_close("y", &y, &forward(&to_f64(&x)), 1e-6);

                let mut dx = vec![f32::NAN; x.len()];
                norm.backward(&pool, &x, &dy, &mut dx, Update::Overwrite);
                for index in (0..x.len()).step_by(1 + x.len() / 50) {
                    let row = index / width * width..(index / width + 1) * width;
                    let loss = |step: f64| -> f64 {
                        let mut x = to_f64(&x[row.clone()]);
                        x[index - row.start] += step;
                        forward(&x).iter().zip(&dy[row.clone()]).map(|(y, dy)| y * f64::from(*dy)).sum()
                    };
                    let expected = (loss(1e-5) - loss(-1e-5)) / 2e-5;
                    assert_close("dx", &dx[index..][..1], &[expected], 2e-5);
                }
                let mut sum = dx.clone();
                norm.backward(&pool, &x, &dy, &mut sum, Update::Accumulate);
                assert_same_bits("dx twice", &sum, &dx.iter().map(|dx| dx + dx).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_its_company() {
        for pool in pools(2) {
            let (x, weight) = (random(1, 50 * 300), random(2, 300));
            let norm = RmsNorm { weight: &weight, epsilon: 1e-6 };
            let mut all = vec![0.0; x.len()];
            norm.forward(&pool, &x, &mut all);
            let mut alone = vec![0.0; 300];
            for row in 0..50 {
                norm.forward(&pool, &x[row * 300..][..300], &mut alone);
                assert_same_bits("row", &alone, &all[row * 300..][..300]);
            }
        }
    }
}
