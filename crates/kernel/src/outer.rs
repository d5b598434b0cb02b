//! Sums of outer products over rows: the gradients of LoRA's matrices.

#![expect(unsafe_code, reason = "tasks write disjoint columns of one output matrix")]

use crate::block_product::{BlockProduct, Left, Out, Right, Update};
use crate::lanes::{Arithmetic, Kernel, LANES, Lanes, dispatch, flat};
use crate::product::Output;
use crate::{Columns, Pool};

/// Vectors of the output's columns that one task sums.
const VECTORS: usize = 3;
const COLUMNS: usize = VECTORS * LANES;

/// Rows summed before the next: their part of x stays in the first-level cache for all of u's columns.
const ROWS_IN_CACHE: usize = 128;

/// Adds `scale` · uᵀ x to `out`, row-major (u's width × x's width), in f32.
///
/// For y = x Aᵀ Bᵀ this is the gradient of A with u = dy B, and of Bᵀ with u = x Aᵀ and dy for x. Rows are summed in
/// one order, whatever the threads.
///
/// # Panics
/// If u and x have different numbers of rows, or `out` another length.
pub fn outer_accumulate(pool: &Pool, u: Columns<'_>, x: Columns<'_>, scale: f32, out: &mut [f32]) {
    let (rank, width) = (u.width(), x.width());
    assert_eq!(u.rows(), x.rows(), "u and x have different numbers of rows");
    assert_eq!(out.len(), rank * width, "the output is not {rank} x {width}");
    if out.is_empty() {
        return;
    }
    let out = Output::new(out);
    pool.run(width.div_ceil(COLUMNS), |task| {
        let first = task * COLUMNS;
        let columns = COLUMNS.min(width - first);
        let sums = dispatch(pool, Stripe { u, x, first, columns });
        for (row, sums) in sums.chunks(VECTORS).enumerate() {
            // SAFETY: each task has its own columns.
            let out = unsafe { out.part(row * width + first, columns) };
            out.iter_mut().zip(flat(sums)).for_each(|(out, sum)| *out += scale * sum);
        }
    });
}

/// Some columns of uᵀ x: `VECTORS` vectors for each column of u.
struct Stripe<'a> {
    u: Columns<'a>,
    x: Columns<'a>,
    first: usize,
    columns: usize,
}

impl Kernel for Stripe<'_> {
    type Output = Vec<Lanes>;

    #[inline(always)]
    fn run<A: Arithmetic>(self) -> Vec<Lanes> {
        let rank = self.u.width();
        let mut sums = vec![Lanes::ZERO; rank * VECTORS];
        let mut right = vec![Lanes::ZERO; ROWS_IN_CACHE.min(self.x.rows()) * VECTORS];
        for start in (0..self.x.rows()).step_by(ROWS_IN_CACHE) {
            let steps = ROWS_IN_CACHE.min(self.x.rows() - start);
            for (step, vectors) in right.chunks_exact_mut(VECTORS).take(steps).enumerate() {
                let numbers = &self.x.row(start + step)[self.first..][..self.columns];
                for (vector, numbers) in vectors.iter_mut().zip(numbers.chunks(LANES)) {
                    *vector = Lanes::load(numbers);
                }
            }
            let (numbers, step) = self.u.rows_from(start);
            let left = Left { numbers, row: 1, step };
            let right = Right { lanes: &right, step: VECTORS, ahead: &[] };
            let out = Out { lanes: &mut sums, row: VECTORS, update: Update::Accumulate };
            BlockProduct { rows: rank, steps, vectors: VECTORS, left, right, out }.run::<A>();
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{assert_same_bits, pools, random};

    #[test]
    fn sums_agree_with_f64_in_every_shape() {
        for pool in (1..=3).flat_map(pools) {
            for (rows, rank, width) in [(0, 3, 5), (1, 1, 1), (7, 16, 48), (200, 5, 100), (300, 17, 49), (33, 48, 97)] {
                let (u_stride, x_stride) = (rank + 3, width + 2);
                let u = random(1, rows * u_stride);
                let x = random(2, rows * x_stride);
                let (u, x) = (Columns::new(&u, u_stride, 1..rank + 1), Columns::new(&x, x_stride, 2..width + 2));
                let before = random(3, rank * width);
                let mut out = before.clone();
                outer_accumulate(&pool, u, x, 0.5, &mut out);
                for (index, (&out, &before)) in out.iter().zip(&before).enumerate() {
                    let term = |i: usize| f64::from(u.row(i)[index / width]) * f64::from(x.row(i)[index % width]);
                    let sum: f64 = (0..rows).map(term).sum();
                    let expected = f64::from(before) + 0.5 * sum;
                    assert!((f64::from(out) - expected).abs() < 1e-4, "{rows} {rank} {width}: {out} {expected}");
                }
            }
        }
    }

    #[test]
    fn sums_have_the_same_bits_with_any_threads() {
        let (rows, rank, width) = (260, 7, 200);
        let (u, x) = (random(1, rows * rank), random(2, rows * width));
        let sums = |pool: &Pool| {
            let mut out = vec![0.0; rank * width];
            outer_accumulate(pool, Columns::all(&u, rank), Columns::all(&x, width), 2.0, &mut out);
            out
        };
        for (one, several) in pools(1).iter().zip(pools(3)) {
            assert_same_bits("sums", &sums(&several), &sums(one));
        }
    }
}
