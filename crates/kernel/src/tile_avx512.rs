//! Tiles in AVX-512: up to nine rows (four of bytes) by three vectors of sums in registers, for few rows several panels
//! side by side.
//!
//! A sum is one register lane and one chain of instructions along the inputs in every tile, so its bits do not depend
//! on which tile computed it. That is also why no tile splits a sum over several registers to hide latency: tiles with
//! few rows hide it with more panels.

#![expect(unsafe_code, reason = "AVX-512 intrinsics on raw pointers into packed operands")]
#![expect(clippy::needless_range_loop, reason = "loops over registers, unrolled by the compiler, index several arrays")]

use std::arch::x86_64::*;
use std::mem::MaybeUninit;
use std::ops::Range;

use crate::PANEL;
use crate::interleave::{BLOCK_GROUPS, HALF_GROUPS, Precision, ROW_BLOCK, WEIGHT_BLOCK};
use crate::product::{Call, LowRank};

/// f32 lanes of a vector.
const LANES: usize = 16;

/// Vectors of a panel.
const PANEL_VECTORS: usize = PANEL / LANES;

/// The most vectors of sums in a tile: with the operands they fill 32 registers. Bytes have two sums for each.
const MAX_SUMS: usize = 27;
const MAX_SUMS_OF_BYTES: usize = 12;

/// Up to this many rows a tile waits for weights all the time, and asks for them `GROUPS_AHEAD` groups before it needs
/// them, in all its streams.
const FEW_ROWS: usize = 4;
const GROUPS_AHEAD: usize = 16;

/// Up to this many blocks it pays to fetch the next panel from memory while the blocks multiply with one.
const FEW_BLOCKS: usize = 8;

/// Sums of a tile: rows × vectors.
type Sums<T, const ROWS: usize, const VECTORS: usize> = [[T; VECTORS]; ROWS];

/// The vectors of a tile of so many rows where `left` are to be computed and it holds `most` sums: a panel, part of the last
/// one, or several: with few rows the weights come from memory, and several streams keep more loads in flight than one.
fn vectors(rows: usize, left: usize, most: usize) -> usize {
    [12, 6, 3, 2].into_iter().find(|&vectors| vectors <= left && rows * vectors <= most).unwrap_or(1)
}

/// Calls `$tile.compute::<rows, vectors>()` for the listed combinations.
macro_rules! dispatch {
    ($tile:ident, $height:expr, $vectors:expr, $($rows:literal: $($count:literal)+,)+) => {
        match ($height, $vectors) {
            $($(($rows, $count) => $tile.compute::<$rows, $count>(),)+)+
            (height, vectors) => unreachable!("no tile of {height} rows by {vectors} vectors"),
        }
    };
}

/// Computes the outputs of some panels for one block of rows.
///
/// # Safety
/// No other thread may work on these panels of this block, and the machine must have the call's `isa`, at least
/// [`Isa::Avx512`](crate::Isa).
pub(crate) unsafe fn tiles(call: &Call<'_>, block: usize, panels: Range<usize>) {
    let (height, _) = call.x.block(block);
    let end = call.weight.outputs().div_ceil(LANES).min(panels.end * PANEL_VECTORS);
    let mut first = panels.start * PANEL_VECTORS;
    while first < end {
        let most = if call.x.precision() == Precision::Int8 { MAX_SUMS_OF_BYTES } else { MAX_SUMS };
        let count = vectors(height, end - first, most);
        let tile = Tile { call, block, panel: first / PANEL_VECTORS, first };
        // SAFETY: the machine has the features; block and vectors are in bounds and this thread's.
        unsafe {
            dispatch!(tile, height, count,
                1: 1 2 3 6 12,
                2: 1 2 3 6 12,
                3: 1 2 3 6,
                4: 1 2 3 6,
                5: 1 2 3,
                6: 1 2 3,
                7: 1 2 3,
                8: 1 2 3,
                9: 1 2 3,
            );
        }
        first += count;
    }
}

/// A block of rows by some vectors of outputs from `first` on, which stands in panel `panel`.
struct Tile<'a> {
    call: &'a Call<'a>,
    block: usize,
    panel: usize,
    first: usize,
}

/// The operands of a tile's sums, as pointers: `groups` groups of rows at `x`, and of panels at `weights` and every
/// `stride` words after it; blocks of bytes instead of groups where the numbers are bytes. Meanwhile the tile asks for weights at `ahead`, moving on by `ahead_step` words a group if
/// that is not 0.
#[derive(Clone, Copy)]
struct Operands {
    x: *const u32,
    weights: *const u32,
    stride: usize,
    groups: usize,
    ahead: *const u32,
    ahead_step: usize,
}

/// Asks for the weights of a group that is still to come, if any, in all streams of a tile of few rows; where the next
/// group to ask for stands.
#[inline]
#[target_feature(enable = "avx512f")]
fn fetch<const ROWS: usize, const VECTORS: usize>(ahead: *const u32, step: usize, stride: usize) -> *const u32 {
    if step > 0 {
        for line in 0..if ROWS <= FEW_ROWS { VECTORS } else { 1 } {
            _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(offset(line, stride)).cast());
        }
    }
    ahead.wrapping_add(step)
}

/// Words from a panel's group to a vector's part of it.
fn offset(vector: usize, stride: usize) -> usize {
    vector / PANEL_VECTORS * stride + vector % PANEL_VECTORS * LANES
}

/// The sums of a tile for each precision, and for the instructions that it takes beyond those of
/// [`Isa::Avx512`](crate::Isa): a broadcast word of x times a vector of weights, added to a vector of sums.
macro_rules! sums {
    ($name:ident, $features:literal, $number:ty, $zero:ident, $broadcast:expr, $load:expr, $step:expr) => {
        /// # Safety
        /// The machine must have the features, and the operands must be in bounds, with `ROWS` rows and `VECTORS`
        /// vectors of outputs.
        // Not inlined, and sums leave only at the end: otherwise the compiler keeps them in memory, not in registers.
        #[inline(never)]
        #[target_feature(enable = $features)]
        unsafe fn $name<const ROWS: usize, const VECTORS: usize>(
            operands: Operands,
            result: &mut MaybeUninit<Sums<$number, ROWS, VECTORS>>,
        ) {
            let Operands { mut x, mut weights, stride, groups, mut ahead, ahead_step } = operands;
            let mut sums = [[$zero(); VECTORS]; ROWS];
            for _ in 0..groups {
                ahead = fetch::<ROWS, VECTORS>(ahead, ahead_step, stride);
                if ROWS > VECTORS {
                    let mut loaded = [$zero(); VECTORS];
                    for vector in 0..VECTORS {
                        // SAFETY: the caller promises that the weights are in bounds.
                        loaded[vector] = unsafe { $load(weights.add(offset(vector, stride))) };
                    }
                    for row in 0..ROWS {
                        // SAFETY: the caller promises that the rows are in bounds.
                        let x = $broadcast(unsafe { *x.add(row) });
                        for vector in 0..VECTORS {
                            sums[row][vector] = $step(sums[row][vector], x, loaded[vector]);
                        }
                    }
                } else {
                    let mut broadcast = [$zero(); ROWS];
                    for row in 0..ROWS {
                        // SAFETY: the caller promises that the rows are in bounds.
                        broadcast[row] = $broadcast(unsafe { *x.add(row) });
                    }
                    for vector in 0..VECTORS {
                        // SAFETY: the caller promises that the weights are in bounds.
                        let loaded = unsafe { $load(weights.add(offset(vector, stride))) };
                        for row in 0..ROWS {
                            sums[row][vector] = $step(sums[row][vector], broadcast[row], loaded);
                        }
                    }
                }
                x = x.wrapping_add(ROWS);
                weights = weights.wrapping_add(PANEL);
            }
            result.write(sums);
        }
    };
}

sums!(
    sums_f32,
    "avx512f,avx512bw,avx512vl,avx512dq",
    __m512,
    _mm512_setzero_ps,
    |word: u32| _mm512_set1_ps(f32::from_bits(word)),
    |weights: *const u32| _mm512_loadu_ps(weights.cast()),
    |sum, x, weights| _mm512_fmadd_ps(x, weights, sum)
);

sums!(
    sums_bf16,
    "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16",
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

// Where the CPU has no dot product of bf16: the two numbers of a word as f32, one after the other.
sums!(
    sums_widened_bf16,
    "avx512f,avx512bw,avx512vl,avx512dq",
    __m512,
    _mm512_setzero_ps,
    |word: u32| _mm512_set1_ps(f32::from_bits(word)),
    |weights: *const u32| _mm512_loadu_ps(weights.cast()),
    |sum, x, weights| {
        const HIGH_HALVES: u32 = 0xaaaa_aaaa;
        let low = |pairs: __m512| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(pairs)));
        let high = |pairs: __m512| _mm512_castsi512_ps(_mm512_maskz_mov_epi16(HIGH_HALVES, _mm512_castps_si512(pairs)));
        _mm512_fmadd_ps(high(x), high(weights), _mm512_fmadd_ps(low(x), low(weights), sum))
    }
);

/// Sums of bytes, as [`sums`] makes those of other numbers: the products of half a block as integers, which begin with
/// what undoes the offset of the weights; then times the scales of both sides.
macro_rules! sums_of_bytes {
    ($name:ident, $features:literal, $step:expr) => {
        /// # Safety
        /// The machine must have the features, and the operands must be in bounds, with `ROWS` rows and `VECTORS`
        /// vectors of outputs.
        #[inline(never)]
        #[target_feature(enable = $features)]
        unsafe fn $name<const ROWS: usize, const VECTORS: usize>(
            operands: Operands,
            result: &mut MaybeUninit<Sums<__m512, ROWS, VECTORS>>,
        ) {
            let Operands { mut x, mut weights, stride, groups: blocks, mut ahead, ahead_step } = operands;
            let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
            for _ in 0..blocks {
                let ends = (x.wrapping_add(BLOCK_GROUPS * ROWS), weights.wrapping_add(BLOCK_GROUPS * PANEL));
                for half in 0..2 {
                    let mut products = [[_mm512_setzero_si512(); VECTORS]; ROWS];
                    for row in 0..ROWS {
                        // SAFETY: the caller promises that the rows are in bounds.
                        let offset = unsafe { *ends.0.add((2 + half) * ROWS + row) };
                        products[row] = [_mm512_set1_epi32(offset.cast_signed()); VECTORS];
                    }
                    for _ in 0..HALF_GROUPS {
                        ahead = fetch::<ROWS, VECTORS>(ahead, ahead_step, stride);
                        let mut loaded = [_mm512_setzero_si512(); VECTORS];
                        for vector in 0..VECTORS {
                            // SAFETY: the caller promises that the weights are in bounds.
                            loaded[vector] = unsafe { _mm512_loadu_si512(weights.add(offset(vector, stride)).cast()) };
                        }
                        for row in 0..ROWS {
                            // SAFETY: the caller promises that the rows are in bounds.
                            let x = _mm512_set1_epi32(unsafe { *x.add(row) }.cast_signed());
                            for vector in 0..VECTORS {
                                products[row][vector] = $step(products[row][vector], x, loaded[vector]);
                            }
                        }
                        x = x.wrapping_add(ROWS);
                        weights = weights.wrapping_add(PANEL);
                    }
                    let mut scales = [_mm512_setzero_ps(); VECTORS];
                    for vector in 0..VECTORS {
                        // SAFETY: the caller promises that the weights are in bounds.
                        let words = unsafe { _mm512_loadu_si512(ends.1.add(offset(vector, stride)).cast()) };
                        // The lower half of a word, then the upper one.
                        let shifted = _mm512_sll_epi32(words, _mm_cvtsi32_si128(16 - 16 * half as i32));
                        let upper = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
                        scales[vector] = _mm512_castsi512_ps(_mm512_and_si512(shifted, upper));
                    }
                    for row in 0..ROWS {
                        // SAFETY: the caller promises that the rows are in bounds.
                        let scale = _mm512_set1_ps(f32::from_bits(unsafe { *ends.0.add(half * ROWS + row) }));
                        for vector in 0..VECTORS {
                            // Rounded after each step, so that all instruction sets give the same bits.
                            let product = _mm512_mul_ps(_mm512_cvtepi32_ps(products[row][vector]), scales[vector]);
                            sums[row][vector] = _mm512_add_ps(sums[row][vector], _mm512_mul_ps(product, scale));
                        }
                    }
                }
                ahead = fetch::<ROWS, VECTORS>(ahead, ahead_step, stride);
                x = x.wrapping_add((ROW_BLOCK - BLOCK_GROUPS) * ROWS);
                weights = weights.wrapping_add((WEIGHT_BLOCK - BLOCK_GROUPS) * PANEL);
            }
            result.write(sums);
        }
    };
}

sums_of_bytes!(sums_int8, "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni", |sum, x, weights| _mm512_dpbusd_epi32(
    sum, weights, x
));

// Where the CPU has no dot product of bytes: the even and the odd bytes as 16-bit integers, so that no sum saturates.
sums_of_bytes!(sums_widened_int8, "avx512f,avx512bw,avx512vl,avx512dq", |sum, x, weights| {
    let even = _mm512_madd_epi16(
        _mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(x)),
        _mm512_and_si512(weights, _mm512_set1_epi16(0xff)),
    );
    let odd = _mm512_madd_epi16(_mm512_srai_epi16::<8>(x), _mm512_srli_epi16::<8>(weights));
    _mm512_add_epi32(sum, _mm512_add_epi32(even, odd))
});

impl Tile<'_> {
    /// # Safety
    /// The machine must have the call's `isa`, the block `ROWS` rows and the weight `VECTORS` vectors of outputs from the
    /// first on, and no other thread may work on this tile.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    unsafe fn compute<const ROWS: usize, const VECTORS: usize>(&self) {
        let operands = self.operands::<ROWS, VECTORS>();
        // Left uninitialised, for zeroing them first costs five per cent of a product.
        let mut sums = MaybeUninit::<Sums<__m512, ROWS, VECTORS>>::uninit();
        let precision = self.call.x.precision();
        // SAFETY: `operands` checked the bounds, the machine multiplies what its `isa` does, and each branch writes all
        // sums.
        let mut sums = unsafe {
            match (precision, self.call.isa.multiplies(precision)) {
                (Precision::F32, _) => sums_f32(operands, &mut sums),
                (Precision::Bf16, true) => sums_bf16(operands, &mut sums),
                (Precision::Bf16, false) => sums_widened_bf16(operands, &mut sums),
                (Precision::Int8, true) => sums_int8(operands, &mut sums),
                (Precision::Int8, false) => sums_widened_int8(operands, &mut sums),
            }
            sums.assume_init()
        };
        if let Some(low_rank) = &self.call.epilogue.low_rank {
            self.add_low_rank(low_rank, &mut sums);
        }
        // SAFETY: passed on to the caller.
        unsafe { self.store(&sums) };
    }

    /// The operands of the tile's sums, after checking that they are in bounds.
    fn operands<const ROWS: usize, const VECTORS: usize>(&self) -> Operands {
        let (blocks, inputs, precision) = (self.call.x.blocks(), self.call.x.inputs(), self.call.x.precision());
        let (row_words, groups) = (precision.row_words(inputs), precision.weight_words(inputs));
        let (height, x) = self.call.x.block(self.block);
        let stride = self.call.weight.panel_stride();
        let weights = &self.call.weight.words_from(self.panel)[self.first % PANEL_VECTORS * LANES..];
        assert!(height == ROWS && x.len() == ROWS * row_words);
        assert!(groups == 0 || weights.len() >= offset(VECTORS - 1, stride) + (groups - 1) * PANEL + LANES);
        let (ahead, ahead_step) = match blocks {
            1 if ROWS <= FEW_ROWS => (GROUPS_AHEAD * PANEL, PANEL),
            // The blocks of rows share the prefetching of the next panel.
            2..=FEW_BLOCKS => (stride + self.block * groups * PANEL / blocks, PANEL / blocks),
            _ => (0, 0),
        };
        let (x, weights) = (x.as_ptr(), weights.as_ptr());
        let groups = if precision == Precision::Int8 { groups / WEIGHT_BLOCK } else { groups };
        Operands { x, weights, stride, groups, ahead: weights.wrapping_add(ahead), ahead_step }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    fn add_low_rank<const ROWS: usize, const VECTORS: usize>(
        &self,
        low_rank: &LowRank<'_>,
        sums: &mut Sums<__m512, ROWS, VECTORS>,
    ) {
        let rank = low_rank.u.width();
        let first_row = self.block * self.call.x.block_height();
        let u: [*const f32; ROWS] = std::array::from_fn(|row| low_rank.u.row(first_row + row).as_ptr());
        let stride = low_rank.b.panel_stride();
        let b = &low_rank.b.words_from(self.panel)[self.first % PANEL_VECTORS * LANES..];
        assert!(rank == 0 || b.len() >= offset(VECTORS - 1, stride) + (rank - 1) * PANEL + LANES);
        for j in 0..rank {
            for vector in 0..VECTORS {
                // SAFETY: in bounds as asserted.
                let b = unsafe { _mm512_loadu_ps(b.as_ptr().cast::<f32>().add(offset(vector, stride) + j * PANEL)) };
                for row in 0..ROWS {
                    // SAFETY: each row of u has `rank` numbers.
                    let u = _mm512_set1_ps(unsafe { *u[row].add(j) });
                    sums[row][vector] = _mm512_fmadd_ps(u, b, sums[row][vector]);
                }
            }
        }
    }

    /// # Safety
    /// No other thread may work on this tile.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
    unsafe fn store<const ROWS: usize, const VECTORS: usize>(&self, sums: &Sums<__m512, ROWS, VECTORS>) {
        let outputs = self.call.weight.outputs();
        let first_row = self.block * self.call.x.block_height();
        for vector in 0..VECTORS {
            let first = (self.first + vector) * LANES;
            let width = outputs.saturating_sub(first).min(LANES);
            if width == 0 {
                break;
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
                let mut sum = _mm512_add_ps(sums[row][vector], bias);
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
