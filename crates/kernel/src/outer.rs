//! Sums of outer products over rows: the gradients of LoRA's matrices.

use crate::{Columns, Pool};

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
    pool.chunks(out, width, |row, out| {
        let mut sums = vec![0.0_f32; width];
        for i in 0..u.rows() {
            let factor = u.row(i)[row];
            sums.iter_mut().zip(x.row(i)).for_each(|(sum, x)| *sum += factor * x);
        }
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out += scale * sum);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroUsize;

    #[test]
    fn sums_agree_with_f64_in_every_shape() {
        let number = |i: usize| ((i * 7919 + 13) % 997) as f32 / 500.0 - 1.0;
        for threads in 1..=3 {
            let pool = Pool::new(NonZeroUsize::new(threads).unwrap());
            for (rows, rank, width) in [(0, 3, 5), (1, 1, 1), (7, 16, 48), (200, 5, 100), (300, 17, 49), (33, 48, 97)] {
                let (u_stride, x_stride) = (rank + 3, width + 2);
                let u: Vec<f32> = (0..rows * u_stride).map(number).collect();
                let x: Vec<f32> = (0..rows * x_stride).map(|i| number(i + 5)).collect();
                let (u, x) = (Columns::new(&u, u_stride, 1..rank + 1), Columns::new(&x, x_stride, 2..width + 2));
                let before: Vec<f32> = (0..rank * width).map(|i| number(i + 9)).collect();
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
}
