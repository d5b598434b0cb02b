//! Tiles in plain Rust that the compiler vectorises, for the baseline and once more for AVX2 with fused multiply-add.
//!
//! Own loops rather than a general matrix-product crate, since such a crate picks its blocking, and with it the order
//! of summation, by the shape of the whole product; and the packed layout is the same as that of the other kernels.

#![expect(unsafe_code, reason = "functions compiled for CPU features, and disjoint parts of the output")]

use std::ops::Range;

use crate::interleave::{Precision, bf16_numbers};
use crate::packed_rows::MAX_BLOCK;
use crate::product::{Call, LowRank};
use crate::{Isa, PANEL};

/// Columns that a strip keeps sums for: half a panel, three AVX2 vectors.
const LANES: usize = PANEL / 2;

/// The most rows of a strip: 4 × 3 AVX2 vectors of sums.
const STRIP: usize = 4;

/// Words of a panel along the inputs, all of its lanes 18 KiB, that stay in the first-level cache while the strips of a
/// block read them one after the other.
const CHUNK: usize = 96;

/// Computes one panel's outputs for one block of rows.
///
/// # Safety
/// No other thread may work on the same tile, and the machine must have `isa`.
pub(crate) unsafe fn tile(call: &Call<'_>, block: usize, panel: usize, isa: Isa) {
    #[cfg(target_arch = "x86_64")]
    if isa >= Isa::Avx2 {
        // SAFETY: the machine has AVX2 and FMA; the caller keeps others away from the tile.
        return unsafe { tile_avx2(call, block, panel) };
    }
    debug_assert_eq!(isa, Isa::Portable);
    // SAFETY: the caller keeps others away from the tile.
    unsafe { tile_lanes::<false>(call, block, panel) }
}

/// # Safety
/// As [`tile`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn tile_avx2(call: &Call<'_>, block: usize, panel: usize) {
    // SAFETY: the caller keeps others away from the tile.
    unsafe { tile_lanes::<true>(call, block, panel) }
}

/// # Safety
/// No other thread may work on the same tile.
#[inline(always)]
unsafe fn tile_lanes<const FUSED: bool>(call: &Call<'_>, block: usize, panel: usize) {
    let tile = Tile { call, block, panel };
    // SAFETY: passed on to the caller.
    match call.x.precision() {
        Precision::F32 => unsafe {
            let sums = tile.sums(|sums: &mut Lanes<f32>, x, w| {
                fused_add::<FUSED>(sums, f32::from_bits(x), &w.map(f32::from_bits));
            });
            tile.finish::<FUSED>(sums);
        },
        Precision::Bf16 => unsafe {
            let sums = tile.sums(|sums: &mut Lanes<f32>, x, w| {
                let [x_low, x_high] = bf16_numbers(x);
                fused_add::<FUSED>(sums, x_low, &w.map(|w| bf16_numbers(w)[0]));
                fused_add::<FUSED>(sums, x_high, &w.map(|w| bf16_numbers(w)[1]));
            });
            tile.finish::<FUSED>(sums);
        },
        Precision::Int8 => unsafe {
            let sums = tile.sums(|sums: &mut Lanes<i32>, x, w| {
                for byte in 0..4 {
                    let x = i32::from(x.to_le_bytes()[byte]);
                    for (sum, w) in sums.iter_mut().zip(w) {
                        *sum += x * i32::from(w.to_le_bytes()[byte] as i8);
                    }
                }
            });
            tile.finish::<FUSED>(tile.scaled(&sums));
        },
    }
}

/// One block of rows by one panel.
struct Tile<'a> {
    call: &'a Call<'a>,
    block: usize,
    panel: usize,
}

type Lanes<T> = [T; LANES];

/// The sums of a tile. `[half of the panel][row]`
type Sums<T> = [[Lanes<T>; MAX_BLOCK]; 2];

/// Rows of a block that are computed together: as even as can be, for a strip of one row waits for its own sums.
#[inline(always)]
fn strips(height: usize) -> impl Iterator<Item = Range<usize>> {
    let rows = height.div_ceil(height.div_ceil(STRIP).max(1)).max(1);
    (0..height).step_by(rows).map(move |first| first..height.min(first + rows))
}

impl Tile<'_> {
    /// The sums of products: `step` adds those of one word.
    #[inline(always)]
    fn sums<T: Default + Copy>(&self, step: impl Fn(&mut Lanes<T>, u32, &Lanes<u32>) + Copy) -> Sums<T> {
        let (height, x) = self.call.x.block(self.block);
        let weights = self.call.weight.words_from(self.panel);
        let mut sums = [[[T::default(); LANES]; MAX_BLOCK]; 2];
        for (x, w) in x.chunks(CHUNK * height).zip(weights.chunks(CHUNK * PANEL)) {
            for (half, sums) in sums.iter_mut().enumerate() {
                for rows in strips(height) {
                    let strip = Strip { x, w, height, half, first: rows.start };
                    match rows.len() {
                        1 => strip.add::<T, 1>(&mut sums[rows], step),
                        2 => strip.add::<T, 2>(&mut sums[rows], step),
                        3 => strip.add::<T, 3>(&mut sums[rows], step),
                        _ => strip.add::<T, STRIP>(&mut sums[rows], step),
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
        for (half, sums) in sums.iter_mut().enumerate() {
            let sums = &mut sums[..height];
            if let Some(low_rank) = &self.call.epilogue.low_rank {
                self.add_low_rank::<FUSED>(low_rank, half, sums);
            }
            // SAFETY: passed on to the caller.
            unsafe { self.store(half, sums) };
        }
    }

    /// Sums of 8-bit products as the numbers they stand for.
    #[inline(always)]
    fn scaled(&self, sums: &Sums<i32>) -> Sums<f32> {
        let row_scales = self.call.x.block_scales(self.block);
        let (scales, offsets) = self.call.weight.quantisation_from(self.panel);
        let mut scaled = [[[0.0; LANES]; MAX_BLOCK]; 2];
        for half in 0..2 {
            let (scales, offsets) = (lanes(scales, half), lanes(offsets, half));
            for (row, row_scale) in row_scales.iter().enumerate() {
                scaled[half][row] = std::array::from_fn(|lane| {
                    (sums[half][row][lane] - offsets[lane]) as f32 * (scales[lane] * row_scale)
                });
            }
        }
        scaled
    }

    #[inline(always)]
    fn add_low_rank<const FUSED: bool>(&self, low_rank: &LowRank<'_>, half: usize, sums: &mut [Lanes<f32>]) {
        let b = low_rank.b.words_from(self.panel);
        for (row, sums) in sums.iter_mut().enumerate() {
            for (&u, b) in low_rank.u.row(self.row(row)).iter().zip(b.chunks_exact(PANEL)) {
                fused_add::<FUSED>(sums, u, &lanes(b, half).map(f32::from_bits));
            }
        }
    }

    /// # Safety
    /// No other thread may work on the same tile.
    #[inline(always)]
    unsafe fn store(&self, half: usize, sums: &[Lanes<f32>]) {
        let outputs = self.call.weight.outputs();
        let first = self.panel * PANEL + half * LANES;
        let width = outputs.saturating_sub(first).min(LANES);
        if width == 0 {
            return;
        }
        for (row, sums) in sums.iter().enumerate() {
            // SAFETY: the tile's rows and columns are this thread's.
            let out = unsafe { self.call.out.part(self.row(row) * outputs + first, width) };
            for (lane, (out, &sum)) in out.iter_mut().zip(sums).enumerate() {
                let sum = self.call.epilogue.bias.map_or(sum, |bias| sum + bias[first + lane]);
                *out = if self.call.epilogue.accumulate { sum + *out } else { sum };
            }
        }
    }

    /// The row of x that a row of the block is.
    fn row(&self, row: usize) -> usize {
        self.block * self.call.x.block_height() + row
    }
}

/// Some rows of a block, from `first` on, by half a panel, along one chunk of the inputs.
struct Strip<'a> {
    x: &'a [u32],
    w: &'a [u32],
    height: usize,
    half: usize,
    first: usize,
}

impl Strip<'_> {
    /// Goes on with the sums of `ROWS` rows, which stay in registers.
    #[inline(always)]
    fn add<T: Copy, const ROWS: usize>(&self, sums: &mut [Lanes<T>], step: impl Fn(&mut Lanes<T>, u32, &Lanes<u32>)) {
        let mut kept: [Lanes<T>; ROWS] = std::array::from_fn(|row| sums[row]);
        for (x, w) in self.x.chunks_exact(self.height).zip(self.w.chunks_exact(PANEL)) {
            let (x, w) = (&x[self.first..][..ROWS], lanes(w, self.half));
            for (kept, &x) in kept.iter_mut().zip(x) {
                step(kept, x, w);
            }
        }
        sums.copy_from_slice(&kept);
    }
}

/// Half of the lanes of a panel's group.
#[inline(always)]
fn lanes<T>(panel: &[T], half: usize) -> &Lanes<T> {
    let (halves, _) = panel.as_chunks();
    &halves[half]
}

/// `sums += x · w`, rounded once where that is one instruction; elsewhere it would be a library call.
#[inline(always)]
fn fused_add<const FUSED: bool>(sums: &mut Lanes<f32>, x: f32, w: &Lanes<f32>) {
    for (sum, w) in sums.iter_mut().zip(w) {
        *sum = if FUSED { x.mul_add(*w, *sum) } else { *sum + x * w };
    }
}
