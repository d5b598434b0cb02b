//! Products of small blocks that lie in the caches: the arithmetic of attention, forward and backward.
//!
//! `out[i] (+)= Σₖ left[i, k] · right[k]`, where `left` is read number by number in any order of its two indices, and
//! `right[k]` and `out[i]` are rows of [`Lanes`]. Every number of `out` is one chain of multiply-adds in the order of
//! `k`, so its bits depend neither on the extent of the block nor on the tile that it falls into.

#![expect(unsafe_code, reason = "the inner loop reads without bounds checks, the extents being checked before it")]

use crate::lanes::{Arithmetic, Kernel, Lanes, Vector};

/// Rows and vectors of the largest tile: 24 accumulators, 4 vectors of `right` and a broadcast number in 32 registers.
/// Above so many rows a vector of `right` is read, and widened if it is narrow, more than once.
pub(crate) const TILE_ROWS: usize = 6;
const TILE_VECTORS: usize = 4;

/// The left factor: number (i, k) is `numbers[i * row + k * step]`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) numbers: &'a [f32],
    pub(crate) row: usize,
    pub(crate) step: usize,
}

/// The right factor: row k is the first vectors of `lanes[k * step..]`.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a, V = Lanes> {
    pub(crate) lanes: &'a [V],
    pub(crate) step: usize,
    /// What will be read next: asked for piece by piece, so that memory is as busy in the product as between products.
    /// Empty if that is not known.
    pub(crate) ahead: &'a [V],
}

/// The result: row i is the first vectors of `lanes[i * row..]`.
pub(crate) struct Out<'a> {
    pub(crate) lanes: &'a mut [Lanes],
    pub(crate) row: usize,
    pub(crate) update: Update,
}

/// What becomes of the numbers that a result is written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// They are lost.
    Overwrite,
    /// The result is added to them.
    Accumulate,
}

/// A product of blocks; run it with [`dispatch`](crate::lanes::dispatch).
pub(crate) struct BlockProduct<'a, V = Lanes> {
    pub(crate) rows: usize,
    pub(crate) steps: usize,
    pub(crate) vectors: usize,
    pub(crate) left: Left<'a>,
    pub(crate) right: Right<'a, V>,
    pub(crate) out: Out<'a>,
}

impl<V: Vector> Kernel for BlockProduct<'_, V> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(mut self) {
        self.check();
        for vector in (0..self.vectors).step_by(TILE_VECTORS) {
            match self.vectors - vector {
                1 => self.column::<A, 1>(vector),
                2 => self.column::<A, 2>(vector),
                3 => self.column::<A, 3>(vector),
                _ => self.column::<A, TILE_VECTORS>(vector),
            }
        }
    }
}

impl<V: Vector> BlockProduct<'_, V> {
    /// The extents lie inside the three slices.
    #[inline(always)]
    fn check(&self) {
        let last = |count: usize, stride: usize| count.saturating_sub(1) * stride;
        let &BlockProduct { rows, steps, vectors, left, right, ref out } = self;
        assert!(rows == 0 || steps == 0 || last(rows, left.row) + last(steps, left.step) < left.numbers.len());
        assert!(steps == 0 || last(steps, right.step) + vectors <= right.lanes.len());
        assert!(rows == 0 || last(rows, out.row) + vectors <= out.lanes.len());
    }

    /// `N` vectors of every row, from `vector` on.
    #[inline(always)]
    fn column<A: Arithmetic, const N: usize>(&mut self, vector: usize) {
        for row in (0..self.rows).step_by(TILE_ROWS) {
            // SAFETY: `run` checked the extents, and the tile lies inside them.
            unsafe {
                match self.rows - row {
                    1 => self.tile::<A, 1, N>(row, vector),
                    2 => self.tile::<A, 2, N>(row, vector),
                    3 => self.tile::<A, 3, N>(row, vector),
                    4 => self.tile::<A, 4, N>(row, vector),
                    5 => self.tile::<A, 5, N>(row, vector),
                    _ => self.tile::<A, TILE_ROWS, N>(row, vector),
                }
            }
        }
    }

    /// # Safety
    /// `check` has passed, `row + R <= rows` and `vector + N <= vectors`.
    #[inline(always)]
    unsafe fn tile<A: Arithmetic, const R: usize, const N: usize>(&mut self, row: usize, vector: usize) {
        let (left, right, out) = (self.left, self.right, &mut self.out);
        let mut ahead = right.ahead.chunks(right.ahead.len().div_ceil(self.steps.max(1)).max(1));
        if (row, vector) != (0, 0) {
            ahead = [].chunks(1);
        }
        let mut sums = [[Lanes::ZERO; N]; R];
        if out.update == Update::Accumulate {
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: see above; `N` vectors of row `row + r`.
                *sums = unsafe { *out.lanes.as_ptr().add((row + r) * out.row + vector).cast() };
            }
        }
        for k in 0..self.steps {
            ahead.next().into_iter().for_each(fetch);
            // SAFETY: see above; `N` vectors of row `k`.
            let right: [V; N] = unsafe { *right.lanes.as_ptr().add(k * right.step + vector).cast() };
            let right = right.map(V::widen);
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: see above.
                let factor = unsafe { *left.numbers.get_unchecked((row + r) * left.row + k * left.step) };
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum = sum.plus_scaled::<A>(factor, right);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            // SAFETY: see above; `N` vectors of row `row + r`.
            unsafe { *out.lanes.as_mut_ptr().add((row + r) * out.row + vector).cast() = *sums };
        }
    }
}

/// Asks for all cache lines of a slice, so that they are on their way while others are worked on.
#[inline(always)]
pub(crate) fn fetch<V>(vectors: &[V]) {
    #[cfg(target_arch = "x86_64")]
    for vector in vectors.iter().step_by(64 / size_of::<V>()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE belongs to the target, and a prefetch reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(vector).cast()) };
    }
}
