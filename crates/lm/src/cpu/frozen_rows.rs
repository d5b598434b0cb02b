//! Activations packed for products with frozen weights.
//!
//! In 8 bits one number a row cannot hold both its few large channels and its many small ones: rounding them costs more
//! than rounding the weights does. So a row x is packed as two, its nearest 8-bit row h and what is left, x − h, on a grid
//! 254 times finer: y = W h + W (x − h). The weights, which decoding waits for, are still read once.

use kernel::{Columns, Epilogue, Pool, Precision, Rows, WeightSlice};

/// Packed rows (m × k) in one precision, and the memory for the next ones.
pub(super) struct FrozenRows {
    rows: Rows,
    /// 8 bits only: the rows' coarse halves, then their fine halves (2m × k).
    halves: Vec<f32>,
    /// 8 bits only: the halves' products (2m × n).
    products: Vec<f32>,
}

impl FrozenRows {
    pub(super) fn new(precision: Precision) -> FrozenRows {
        FrozenRows { rows: Rows::new(precision), halves: Vec::new(), products: Vec::new() }
    }

    /// Replace what is packed by `x` (m × k).
    pub(super) fn pack(&mut self, pool: &Pool, x: &[f32], m: usize, k: usize) {
        if self.rows.precision() != Precision::Int8 {
            return self.rows.pack(pool, x, m, k);
        }
        self.halves.resize(2 * m * k, 0.0);
        let (coarse, fine) = self.halves.split_at_mut(m * k);
        pool.chunks2((coarse, k), (fine, k), |row, coarse, fine| split(&x[row * k..][..k], coarse, fine));
        self.rows.pack(pool, &self.halves, 2 * m, k);
    }

    /// What is packed, if no digit was lost.
    pub(super) fn exact(&self) -> Option<&Rows> {
        (self.rows.precision() == Precision::F32).then_some(&self.rows)
    }

    /// out = x Wᵀ + epilogue, (m × n).
    pub(super) fn product<'a>(
        &mut self,
        pool: &Pool,
        weight: impl Into<WeightSlice<'a>>,
        epilogue: &Epilogue<'_>,
        out: &mut [f32],
    ) {
        let weight = weight.into();
        if self.rows.precision() != Precision::Int8 {
            return kernel::product(pool, &self.rows, weight, epilogue, out);
        }
        let width = weight.outputs();
        self.products.resize(2 * out.len(), 0.0);
        kernel::product(pool, &self.rows, weight, &Epilogue::default(), &mut self.products);
        let (coarse, fine) = self.products.split_at(out.len());
        pool.chunks(out, width, |row, out| {
            let range = row * width..(row + 1) * width;
            let sums = coarse[range.clone()].iter().zip(&fine[range]).map(|(coarse, fine)| coarse + fine);
            match epilogue.accumulate {
                true => out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum),
                false => out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum),
            }
            out.iter_mut().zip(epilogue.bias.unwrap_or_default()).for_each(|(out, bias)| *out += bias);
        });
        if let Some(low_rank) = &epilogue.low_rank {
            add_low_rank(pool, low_rank.u, low_rank.b.clone(), out);
        }
    }
}

/// x = coarse + fine, with coarse on the row's 8-bit grid.
fn split(x: &[f32], coarse: &mut [f32], fine: &mut [f32]) {
    let largest = x.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let step = largest / 127.0;
    let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
    for ((&x, coarse), fine) in x.iter().zip(coarse).zip(fine) {
        *coarse = (x * inverse).round_ties_even() * step;
        *fine = x - *coarse;
    }
}

/// out += u bᵀ in f32.
fn add_low_rank(pool: &Pool, u: Columns<'_>, b: WeightSlice<'_>, out: &mut [f32]) {
    let contiguous: Vec<f32> = (0..u.rows()).flat_map(|row| u.row(row)).copied().collect();
    let mut rows = Rows::new(Precision::F32);
    rows.pack(pool, &contiguous, u.rows(), u.width());
    kernel::product(pool, &rows, b, &Epilogue { accumulate: true, ..Epilogue::default() }, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Weight;
    use std::num::NonZeroUsize;

    #[test]
    fn two_bytes_a_number_hold_an_outlier_and_its_neighbours() {
        let pool = Pool::new(NonZeroUsize::MIN);
        let (m, n, k) = (3, 50, 64);
        let mut x: Vec<f32> = (0..m * k).map(|i| ((i * 7919 + 13) % 997) as f32 / 500.0 - 1.0).collect();
        x[5] = 400.0;
        // Weights on an 8-bit grid, so that the activations alone are rounded.
        let grid = |i: usize| if i.is_multiple_of(k) { 127.0 } else { ((i * 31) % 255) as f32 - 127.0 };
        let w: Vec<f32> = (0..n * k).map(grid).collect();
        let weight = Weight::pack(&pool, &w, n, k, Precision::Int8);
        let mut rows = FrozenRows::new(Precision::Int8);
        rows.pack(&pool, &x, m, k);
        let (bias, mut out) = (vec![2.0; n], vec![1.0; m * n]);
        rows.product(
            &pool,
            &weight,
            &Epilogue { bias: Some(&bias), accumulate: true, ..Epilogue::default() },
            &mut out,
        );
        for (index, &out) in out.iter().enumerate() {
            let (row, column) = (index / n, index % n);
            let sum: f64 = (0..k).map(|i| f64::from(x[row * k + i]) * f64::from(w[column * k + i])).sum();
            let largest = x[row * k..][..k].iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            // Each number is off by at most half a fine step.
            let bound = f64::from(largest) / 127.0 / 254.0 / 2.0 * 127.0 * k as f64 + 1e-2;
            assert!((f64::from(out) - sum - 3.0).abs() < bound, "{row} {column}: {out} against {sum}");
        }
    }
}
