//! Tiles in plain Rust that the compiler vectorises, for the baseline and once more for AVX2 with fused multiply-add.
//!
//! Own loops rather than a general matrix-product crate, since such a crate picks its blocking, and with it the order
//! of summation, by the shape of the whole product; and the packed layout is the same as that of the other kernels.

#![expect(unsafe_code, reason = "functions compiled for CPU features, and disjoint parts of the output")]

use std::ops::Range;

use crate::interleave::{BLOCK_GROUPS, HALF_GROUPS, Precision, ROW_BLOCK, WEIGHT_BLOCK, bf16_numbers};
use crate::packed_rows::MAX_BLOCK;
use crate::product::{Call, LowRank};
use crate::{Isa, PANEL};

/// The most rows of a strip of f32, and its lanes: 3 × 3 AVX2 vectors of sums. A fourth row would leave no register for
/// the operands, and the sums would go through memory.
const F32: (usize, usize) = (3, PANEL / 2);

/// The same of narrower numbers, which take registers to be widened: 5 × 2 vectors of sums.
const NARROW: (usize, usize) = (5, PANEL / 3);

/// Words of a panel along the inputs, all of its lanes 18 KiB, that stay in the first-level cache while the strips of a
/// block read them one after the other.
const CHUNK: usize = 96;

/// Computes one panel's outputs for one block of rows.
///
/// # Safety
/// No other thread may work on the same tile, and the machine must have `isa`.
pub(crate) unsafe fn tile(call: &Call<'_>, block: usize, panel: usize, isa: Isa) {
    let tile = Tile { call, block, panel };
    #[cfg(target_arch = "x86_64")]
    if isa >= Isa::Avx2 {
        // SAFETY: the machine has AVX2 and FMA; the caller keeps others away from the tile.
        return unsafe { tile.compute_avx2() };
    }
    debug_assert_eq!(isa, Isa::Portable);
    // SAFETY: the caller keeps others away from the tile.
    unsafe { tile.compute::<false>(add_bytes) }
}

/// `sums += x · w`, one product a lane.
#[inline(always)]
fn add_f32<const FUSED: bool, const LANES: usize>(sums: &mut [f32; LANES], x: u32, w: &[u32; LANES]) {
    fused_add::<FUSED, LANES>(sums, f32::from_bits(x), &w.map(f32::from_bits));
}

/// `sums += x · w`, two products of bf16 a lane.
#[inline(always)]
fn add_bf16<const FUSED: bool, const LANES: usize>(sums: &mut [f32; LANES], x: u32, w: &[u32; LANES]) {
    let [low, high] = bf16_numbers(x);
    fused_add::<FUSED, LANES>(sums, low, &w.map(|w| bf16_numbers(w)[0]));
    fused_add::<FUSED, LANES>(sums, high, &w.map(|w| bf16_numbers(w)[1]));
}

/// `sums += x · w`, four products a lane, of signed bytes and unsigned ones.
#[inline(always)]
fn add_bytes<const LANES: usize>(sums: &mut [i32; LANES], x: u32, w: &[u32; LANES]) {
    for byte in 0..4 {
        let x = i32::from(x.to_le_bytes()[byte].cast_signed());
        for (sum, w) in sums.iter_mut().zip(w) {
            // Far less than an i32 holds; a check would keep the loop from being vectorised.
            *sum = sum.wrapping_add(x.wrapping_mul(i32::from(w.to_le_bytes()[byte])));
        }
    }
}

/// [`add_bytes`] by two products of 16-bit pairs, of the bytes at even and at odd places.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
fn add_bytes_avx2<const LANES: usize>(sums: &mut [i32; LANES], x: u32, w: &[u32; LANES]) {
    use std::arch::x86_64::*;

    let x = _mm256_set1_epi32(x.cast_signed());
    let x = [_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(x)), _mm256_srai_epi16::<8>(x)];
    let (sums, w) = (sums.as_chunks_mut::<8>().0, w.as_chunks::<8>().0);
    for (sums, w) in sums.iter_mut().zip(w) {
        // SAFETY: both pointers are those of whole vectors.
        let (sum, w) = unsafe { (_mm256_loadu_si256(sums.as_ptr().cast()), _mm256_loadu_si256(w.as_ptr().cast())) };
        let w = [_mm256_and_si256(w, _mm256_set1_epi16(0xff)), _mm256_srli_epi16::<8>(w)];
        let products = _mm256_add_epi32(_mm256_madd_epi16(x[0], w[0]), _mm256_madd_epi16(x[1], w[1]));
        // SAFETY: as above.
        unsafe { _mm256_storeu_si256(sums.as_mut_ptr().cast(), _mm256_add_epi32(sum, products)) };
    }
}

/// One block of rows by one panel.
struct Tile<'a> {
    call: &'a Call<'a>,
    block: usize,
    panel: usize,
}

/// The sums of a tile. `[row][lane]`
type Sums<T> = [[T; PANEL]; MAX_BLOCK];

/// Rows of a block that are computed together: as even as can be, for a strip of one row waits for its own sums.
#[inline(always)]
fn strips(height: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let rows = height.div_ceil(height.div_ceil(most).max(1)).max(1);
    (0..height).step_by(rows).map(move |first| first..height.min(first + rows))
}

impl Tile<'_> {
    /// # Safety
    /// As [`tile`].
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn compute_avx2(&self) {
        // SAFETY: the caller keeps others away from the tile.
        unsafe { self.compute::<true>(|sums, x, w| add_bytes_avx2(sums, x, w)) }
    }

    /// Computes the tile, with `add_bytes` for sums of 8-bit products.
    ///
    /// # Safety
    /// No other thread may work on the same tile.
    #[inline(always)]
    unsafe fn compute<const FUSED: bool>(
        &self,
        add_bytes: impl Fn(&mut [i32; NARROW.1], u32, &[u32; NARROW.1]) + Copy,
    ) {
        let sums = match self.call.x.precision() {
            Precision::F32 => self.sums::<f32, { F32.0 }, { F32.1 }>(add_f32::<FUSED, _>),
            Precision::Bf16 => self.sums::<f32, { NARROW.0 }, { NARROW.1 }>(add_bf16::<FUSED, _>),
            Precision::Int8 => self.sums_of_bytes(add_bytes),
        };
        // SAFETY: passed on to the caller.
        unsafe { self.finish::<FUSED>(sums) };
    }

    /// The sums of products: `step` adds those of one word to the sums of one row.
    #[inline(always)]
    fn sums<T: Default + Copy, const ROWS: usize, const LANES: usize>(
        &self,
        step: impl Fn(&mut [T; LANES], u32, &[u32; LANES]) + Copy,
    ) -> Sums<T> {
        let (height, x) = self.call.x.block(self.block);
        let weights = self.call.weight.words_from(self.panel);
        let mut sums = [[T::default(); PANEL]; MAX_BLOCK];
        for (x, w) in x.chunks(CHUNK * height).zip(weights.chunks(CHUNK * PANEL)) {
            add::<T, ROWS, LANES>(&mut sums, (x, height), w, step);
        }
        sums
    }

    /// The sums of 8-bit products: those of each half of a block as integers, times its scales.
    #[inline(always)]
    fn sums_of_bytes(&self, step: impl Fn(&mut [i32; NARROW.1], u32, &[u32; NARROW.1]) + Copy) -> Sums<f32> {
        let (height, x) = self.call.x.block(self.block);
        let weights = self.call.weight.words_from(self.panel);
        let mut sums = [[0.0; PANEL]; MAX_BLOCK];
        for (x, w) in x.chunks_exact(ROW_BLOCK * height).zip(weights.chunks_exact(WEIGHT_BLOCK * PANEL)) {
            let (x, ends) = x.split_at(BLOCK_GROUPS * height);
            let (x_scales, offsets) = ends.split_at(2 * height);
            let (w, w_scales) = w.split_at(BLOCK_GROUPS * PANEL);
            let halves = x.chunks_exact(HALF_GROUPS * height).zip(w.chunks_exact(HALF_GROUPS * PANEL));
            let ends = x_scales.chunks_exact(height).zip(offsets.chunks_exact(height));
            for (half, ((x, w), (x_scales, offsets))) in halves.zip(ends).enumerate() {
                let mut products = [[0; PANEL]; MAX_BLOCK];
                for (products, offset) in products.iter_mut().zip(offsets) {
                    *products = [offset.cast_signed(); PANEL];
                }
                add::<i32, { NARROW.0 }, { NARROW.1 }>(&mut products, (x, height), w, step);
                let w_scales = w_scales.iter().map(|&word| bf16_numbers(word)[half]);
                for ((sums, products), &x_scale) in sums.iter_mut().zip(&products).zip(x_scales) {
                    let x_scale = f32::from_bits(x_scale);
                    // Rounded after each step, so that all instruction sets give the same bits.
                    for ((sum, &product), w_scale) in sums.iter_mut().zip(products).zip(w_scales.clone()) {
                        *sum += product as f32 * w_scale * x_scale;
                    }
                }
            }
        }
        sums
    }

    /// Adds what follows the sums, and stores them.
    ///
    /// # Safety
    /// No other thread may work on the same tile.
    #[inline(always)]
    unsafe fn finish<const FUSED: bool>(&self, mut sums: Sums<f32>) {
        let (height, _) = self.call.x.block(self.block);
        let sums = &mut sums[..height];
        if let Some(low_rank) = &self.call.epilogue.low_rank {
            self.add_low_rank::<FUSED>(low_rank, sums);
        }
        // SAFETY: passed on to the caller.
        unsafe { self.store(sums) };
    }

    #[inline(always)]
    fn add_low_rank<const FUSED: bool>(&self, low_rank: &LowRank<'_>, sums: &mut [[f32; PANEL]]) {
        let b = low_rank.b.words_from(self.panel).as_chunks::<PANEL>().0;
        for (row, sums) in sums.iter_mut().enumerate() {
            for (&u, b) in low_rank.u.row(self.row(row)).iter().zip(b) {
                fused_add::<FUSED, _>(sums, u, &b.map(f32::from_bits));
            }
        }
    }

    /// # Safety
    /// No other thread may work on the same tile.
    #[inline(always)]
    unsafe fn store(&self, sums: &mut [[f32; PANEL]]) {
        let outputs = self.call.weight.outputs();
        let first = self.panel * PANEL;
        let width = outputs.saturating_sub(first).min(PANEL);
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the tile's rows and columns are this thread's.
            let out = unsafe { self.call.out.part(self.row(row) * outputs + first, width) };
            // One loop for each, for a loop that asks which it is would go number by number.
            if let Some(bias) = self.call.epilogue.bias {
                sums.iter_mut().zip(&bias[first..]).for_each(|(sum, bias)| *sum += bias);
            }
            if self.call.epilogue.accumulate {
                sums.iter_mut().zip(&*out).for_each(|(sum, out)| *sum += out);
            }
            out.copy_from_slice(&sums[..width]);
        }
    }

    /// The row of x that a row of the block is.
    fn row(&self, row: usize) -> usize {
        self.block * self.call.x.block_height() + row
    }
}

/// Goes on with the sums of all rows along one chunk of the inputs, strip by strip.
#[inline(always)]
fn add<T: Default + Copy, const ROWS: usize, const LANES: usize>(
    sums: &mut Sums<T>,
    (x, height): (&[u32], usize),
    w: &[u32],
    step: impl Fn(&mut [T; LANES], u32, &[u32; LANES]) + Copy,
) {
    for part in 0..PANEL / LANES {
        for rows in strips(height, ROWS) {
            let strip = Strip { x, w, height, part, first: rows.start };
            match rows.len() {
                1 => strip.add::<T, 1, LANES>(&mut sums[rows], step),
                2 => strip.add::<T, 2, LANES>(&mut sums[rows], step),
                3 => strip.add::<T, 3, LANES>(&mut sums[rows], step),
                4 => strip.add::<T, 4, LANES>(&mut sums[rows], step),
                _ => strip.add::<T, 5, LANES>(&mut sums[rows], step),
            }
        }
    }
}

/// Some rows of a block, from `first` on, by a part of a panel's lanes, along one chunk of the inputs.
struct Strip<'a> {
    x: &'a [u32],
    w: &'a [u32],
    height: usize,
    part: usize,
    first: usize,
}

impl Strip<'_> {
    /// Goes on with the sums of `ROWS` rows, which stay in registers.
    #[inline(always)]
    fn add<T: Default + Copy, const ROWS: usize, const LANES: usize>(
        &self,
        sums: &mut [[T; PANEL]],
        step: impl Fn(&mut [T; LANES], u32, &[u32; LANES]),
    ) {
        let mut kept: [[T; LANES]; ROWS] = std::array::from_fn(|row| sums[row].as_chunks().0[self.part]);
        for (x, w) in self.x.chunks_exact(self.height).zip(self.w.as_chunks::<PANEL>().0) {
            let (x, w) = (&x[self.first..][..ROWS], &w.as_chunks().0[self.part]);
            for (kept, &x) in kept.iter_mut().zip(x) {
                step(kept, x, w);
            }
        }
        for (sums, kept) in sums.iter_mut().zip(kept) {
            sums.as_chunks_mut().0[self.part] = kept;
        }
    }
}

/// `sums += x · w`, rounded once where that is one instruction; elsewhere it would be a library call.
#[inline(always)]
fn fused_add<const FUSED: bool, const LANES: usize>(sums: &mut [f32; LANES], x: f32, w: &[f32; LANES]) {
    for (sum, w) in sums.iter_mut().zip(w) {
        *sum = if FUSED { x.mul_add(*w, *sum) } else { *sum + x * w };
    }
}
