//! Tiles in AVX-512: up to nine rows by three vectors of sums in registers, for few rows several panels side by side.
//!
//! A sum is one register lane and one chain of instructions along the inputs in every tile, so its bits do not depend
//! on which tile computed it. That is also why no tile splits a sum over several registers to hide latency: tiles with
//! few rows hide it with more panels.

#![expect(unsafe_code, reason = "AVX-512 intrinsics on raw pointers into packed operands")]
#![expect(clippy::needless_range_loop, reason = "loops over registers, unrolled by the compiler, index several arrays")]

use std::arch::x86_64::*;
use std::ops::Range;

use crate::PANEL;
use crate::interleave::Precision;
use crate::product::{Call, LowRank};

/// Vectors of a panel.
const VECTORS: usize = 3;

/// f32 lanes of a vector.
const LANES: usize = 16;

/// How many groups ahead tiles of few rows, which wait for memory, ask for weights.
const PREFETCH: usize = 16;

/// Sums of a tile: rows × panels × vectors.
type Sums<T, const ROWS: usize, const PANELS: usize> = [[[T; VECTORS]; PANELS]; ROWS];

/// The most panels that a tile of so many rows walks side by side, with all sums in registers.
pub(crate) fn side_by_side(rows: usize) -> usize {
    match rows {
        1 => 4,
        2..=4 => 2,
        _ => 1,
    }
}

/// Computes the outputs of some panels for one block of rows.
///
/// # Safety
/// No other thread may work on these panels of this block, and the machine must have [`Isa::Avx512`](crate::Isa).
pub(crate) unsafe fn tiles(call: &Call<'_>, block: usize, panels: Range<usize>) {
    let (height, _) = call.x.block(block);
    let mut panel = panels.start;
    while panel < panels.end {
        // The largest power of two that fits.
        let count = 1 << side_by_side(height).min(panels.end - panel).ilog2();
        let tile = Tile { call, block, panel };
        // SAFETY: the machine has the features; block and panels are in bounds and this thread's.
        unsafe {
            match (height, count) {
                (1, 4) => tile.compute::<1, 4>(),
                (1, 2) => tile.compute::<1, 2>(),
                (1, _) => tile.compute::<1, 1>(),
                (2, 2) => tile.compute::<2, 2>(),
                (2, _) => tile.compute::<2, 1>(),
                (3, 2) => tile.compute::<3, 2>(),
                (3, _) => tile.compute::<3, 1>(),
                (4, 2) => tile.compute::<4, 2>(),
                (4, _) => tile.compute::<4, 1>(),
                (5, _) => tile.compute::<5, 1>(),
                (6, _) => tile.compute::<6, 1>(),
                (7, _) => tile.compute::<7, 1>(),
                (8, _) => tile.compute::<8, 1>(),
                _ => tile.compute::<9, 1>(),
            }
        }
        panel += count;
    }
}

/// A block of rows by some panels from `panel` on.
struct Tile<'a> {
    call: &'a Call<'a>,
    block: usize,
    panel: usize,
}

/// The operands of a tile's sums, as pointers: `groups` groups of rows at `x`, and of panels at `weights` and every
/// `stride` words after it.
#[derive(Clone, Copy)]
struct Operands {
    x: *const u32,
    weights: *const u32,
    stride: usize,
    groups: usize,
}

/// One tile of sums for each precision: a broadcast word of x times a vector of weights, added to a vector of sums.
macro_rules! sums {
    ($name:ident, $number:ty, $zero:ident, $broadcast:expr, $load:expr, $step:expr) => {
        /// # Safety
        /// The operands must be in bounds: `ROWS` rows and `PANELS` panels.
        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vnni")]
        unsafe fn $name<const ROWS: usize, const PANELS: usize>(operands: Operands) -> Sums<$number, ROWS, PANELS> {
            let Operands { mut x, mut weights, stride, groups } = operands;
            let mut sums = [[[$zero(); VECTORS]; PANELS]; ROWS];
            for _ in 0..groups {
                for panel in 0..PANELS {
                    if ROWS <= 4 {
                        for vector in 0..VECTORS {
                            let ahead = weights.wrapping_add(panel * stride + PREFETCH * PANEL + vector * LANES);
                            _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                        }
                    }
                    let mut loaded = [$zero(); VECTORS];
                    for vector in 0..VECTORS {
                        // SAFETY: the caller promises that the panels are in bounds.
                        loaded[vector] = unsafe { $load(weights.add(panel * stride + vector * LANES)) };
                    }
                    for row in 0..ROWS {
                        // SAFETY: the caller promises that the rows are in bounds.
                        let x = $broadcast(unsafe { *x.add(row) });
                        for vector in 0..VECTORS {
                            sums[row][panel][vector] = $step(sums[row][panel][vector], x, loaded[vector]);
                        }
                    }
                }
                x = x.wrapping_add(ROWS);
                weights = weights.wrapping_add(PANEL);
            }
            sums
        }
    };
}

sums!(
    sums_f32,
    __m512,
    _mm512_setzero_ps,
    |word: u32| _mm512_set1_ps(f32::from_bits(word)),
    |weights: *const u32| _mm512_loadu_ps(weights.cast()),
    |sum, x, weights| _mm512_fmadd_ps(x, weights, sum)
);

sums!(
    sums_bf16,
    __m512,
    _mm512_setzero_ps,
    |word: u32| _mm512_set1_ps(f32::from_bits(word)),
    |weights: *const u32| _mm512_loadu_ps(weights.cast()),
    |sum, x, weights| {
        // SAFETY: both types are 64 bytes of any value.
        let pairs = |vector: __m512| unsafe { std::mem::transmute::<__m512, __m512bh>(vector) };
        _mm512_dpbf16_ps(sum, pairs(x), pairs(weights))
    }
);

sums!(
    sums_int8,
    __m512i,
    _mm512_setzero_si512,
    |word: u32| _mm512_set1_epi32(word as i32),
    |weights: *const u32| _mm512_loadu_si512(weights.cast()),
    |sum, x, weights| _mm512_dpbusd_epi32(sum, x, weights)
);

impl Tile<'_> {
    /// # Safety
    /// The machine must have the features, the block `ROWS` rows and the weight `PANELS` panels from the first on, and
    /// no other thread may work on this tile.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vnni")]
    unsafe fn compute<const ROWS: usize, const PANELS: usize>(&self) {
        let operands = self.operands::<ROWS, PANELS>();
        // SAFETY: `operands` checked the bounds.
        let mut sums = unsafe {
            match self.call.x.precision() {
                Precision::F32 => sums_f32::<ROWS, PANELS>(operands),
                Precision::Bf16 => sums_bf16::<ROWS, PANELS>(operands),
                Precision::Int8 => self.scaled(sums_int8::<ROWS, PANELS>(operands)),
            }
        };
        if let Some(low_rank) = &self.call.epilogue.low_rank {
            self.add_low_rank(low_rank, &mut sums);
        }
        // SAFETY: passed on to the caller.
        unsafe { self.store(&sums) };
    }

    /// The operands of the tile's sums, after checking that they are in bounds.
    fn operands<const ROWS: usize, const PANELS: usize>(&self) -> Operands {
        let groups = self.call.x.groups();
        let (height, x) = self.call.x.block(self.block);
        let (weights, stride) = (self.call.weight.words_from(self.panel), self.call.weight.panel_stride());
        assert!(height == ROWS && x.len() == ROWS * groups);
        assert!(weights.len() >= (PANELS - 1) * stride + groups * PANEL);
        Operands { x: x.as_ptr(), weights: weights.as_ptr(), stride, groups }
    }

    /// Sums of 8-bit products as the numbers they stand for.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vnni")]
    fn scaled<const ROWS: usize, const PANELS: usize>(
        &self,
        sums: Sums<__m512i, ROWS, PANELS>,
    ) -> Sums<__m512, ROWS, PANELS> {
        let row_scales = self.call.x.block_scales(self.block);
        let (scales, offsets) = self.call.weight.quantisation_from(self.panel);
        let (scales, offsets) = (&scales.as_chunks::<LANES>().0[..PANELS * VECTORS], offsets.as_chunks::<LANES>().0);
        let mut scaled = [[[_mm512_setzero_ps(); VECTORS]; PANELS]; ROWS];
        for panel in 0..PANELS {
            for vector in 0..VECTORS {
                let index = panel * VECTORS + vector;
                // SAFETY: the pointers are those of whole vectors.
                let offset = unsafe { _mm512_loadu_si512(offsets[index].as_ptr().cast()) };
                // SAFETY: as above.
                let scale = unsafe { _mm512_loadu_ps(scales[index].as_ptr()) };
                for row in 0..ROWS {
                    let sum = _mm512_cvtepi32_ps(_mm512_sub_epi32(sums[row][panel][vector], offset));
                    let scale = _mm512_mul_ps(scale, _mm512_set1_ps(row_scales[row]));
                    scaled[row][panel][vector] = _mm512_mul_ps(sum, scale);
                }
            }
        }
        scaled
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vnni")]
    fn add_low_rank<const ROWS: usize, const PANELS: usize>(
        &self,
        low_rank: &LowRank<'_>,
        sums: &mut Sums<__m512, ROWS, PANELS>,
    ) {
        let rank = low_rank.u.width();
        let first_row = self.block * self.call.x.block_height();
        let u: [*const f32; ROWS] = std::array::from_fn(|row| low_rank.u.row(first_row + row).as_ptr());
        let (b, stride) = (low_rank.b.words_from(self.panel), low_rank.b.panel_stride());
        assert!(b.len() >= (PANELS - 1) * stride + rank * PANEL);
        let b: *const f32 = b.as_ptr().cast();
        for j in 0..rank {
            for panel in 0..PANELS {
                for vector in 0..VECTORS {
                    // SAFETY: in bounds as asserted.
                    let b = unsafe { _mm512_loadu_ps(b.add(panel * stride + j * PANEL + vector * LANES)) };
                    for row in 0..ROWS {
                        // SAFETY: each row of u has `rank` numbers.
                        let u = _mm512_set1_ps(unsafe { *u[row].add(j) });
                        sums[row][panel][vector] = _mm512_fmadd_ps(u, b, sums[row][panel][vector]);
                    }
                }
            }
        }
    }

    /// # Safety
    /// No other thread may work on this tile.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vnni")]
    unsafe fn store<const ROWS: usize, const PANELS: usize>(&self, sums: &Sums<__m512, ROWS, PANELS>) {
        let outputs = self.call.weight.outputs();
        let first_row = self.block * self.call.x.block_height();
        for panel in 0..PANELS {
            for vector in 0..VECTORS {
                let first = (self.panel + panel) * PANEL + vector * LANES;
                let width = outputs.saturating_sub(first).min(LANES);
                if width == 0 {
                    continue;
                }
                let mask = u16::MAX >> (LANES - width);
                let mut bias = _mm512_setzero_ps();
                if let Some(all) = self.call.epilogue.bias {
                    // SAFETY: the mask keeps the load inside the slice.
                    bias = unsafe { _mm512_maskz_loadu_ps(mask, all[first..].as_ptr()) };
                }
                for row in 0..ROWS {
                    // SAFETY: this thread alone works on the tile.
                    let out = unsafe { self.call.out.part((first_row + row) * outputs + first, width) };
                    let mut sum = _mm512_add_ps(sums[row][panel][vector], bias);
                    if self.call.epilogue.accumulate {
                        // SAFETY: the mask keeps the load inside `out`.
                        sum = _mm512_add_ps(sum, unsafe { _mm512_maskz_loadu_ps(mask, out.as_ptr()) });
                    }
                    // SAFETY: the mask keeps the store inside `out`.
                    unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), mask, sum) };
                }
            }
        }
    }
}
