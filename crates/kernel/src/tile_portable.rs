//! Tiles in plain Rust that the compiler vectorises, for the baseline and once more for AVX2 with fused multiply-add.
//!
//! Own loops rather than a general matrix-product crate, since such a crate picks its blocking, and with it the order
//! of summation, by the shape of the whole product; and the packed layout is the same as that of the other kernels.

#![expect(unsafe_code, reason = "functions compiled for CPU features, and disjoint parts of the output")]

use crate::interleave::{Precision, bf16_numbers};
use crate::product::{Call, LowRank};
use crate::{Isa, PANEL};

/// Columns that a strip keeps sums for: half a panel, three AVX2 vectors.
const LANES: usize = PANEL / 2;

/// Rows of a strip: 4 × 3 AVX2 vectors of sums.
const STRIP: usize = 4;

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
    let (height, _) = call.x.block(block);
    for half in 0..2 {
        for first in (0..height).step_by(STRIP) {
            let strip = Strip { call, block, panel, half, first };
            // SAFETY: the strip lies inside the tile.
            match height - first {
                1 => unsafe { strip.run::<1, FUSED>() },
                2 => unsafe { strip.run::<2, FUSED>() },
                3 => unsafe { strip.run::<3, FUSED>() },
                _ => unsafe { strip.run::<STRIP, FUSED>() },
            }
        }
    }
}

/// Some rows of a block, from `first` on, by half a panel.
struct Strip<'a> {
    call: &'a Call<'a>,
    block: usize,
    panel: usize,
    half: usize,
    first: usize,
}

type Lanes<T> = [T; LANES];

impl Strip<'_> {
    /// # Safety
    /// No other thread may work on the same tile.
    #[inline(always)]
    unsafe fn run<const ROWS: usize, const FUSED: bool>(&self) {
        let mut sums = match self.call.x.precision() {
            Precision::F32 => self.sums(|sums: &mut Lanes<f32>, x, w| {
                fused_add::<FUSED>(sums, f32::from_bits(x), &w.map(f32::from_bits));
            }),
            Precision::Bf16 => self.sums(|sums: &mut Lanes<f32>, x, w| {
                let [x_low, x_high] = bf16_numbers(x);
                fused_add::<FUSED>(sums, x_low, &w.map(|w| bf16_numbers(w)[0]));
                fused_add::<FUSED>(sums, x_high, &w.map(|w| bf16_numbers(w)[1]));
            }),
            Precision::Int8 => self.scaled(self.sums(|sums: &mut Lanes<i32>, x, w| {
                for byte in 0..4 {
                    let x = i32::from(x.to_le_bytes()[byte]);
                    for (sum, w) in sums.iter_mut().zip(w) {
                        *sum += x * i32::from(w.to_le_bytes()[byte] as i8);
                    }
                }
            })),
        };
        if let Some(low_rank) = &self.call.epilogue.low_rank {
            self.add_low_rank::<ROWS, FUSED>(low_rank, &mut sums);
        }
        // SAFETY: passed on to the caller.
        unsafe { self.store(&sums) };
    }

    /// The sums of products of the strip: `step` adds those of one group.
    #[inline(always)]
    fn sums<T: Default + Copy, const ROWS: usize>(
        &self,
        step: impl Fn(&mut Lanes<T>, u32, &Lanes<u32>),
    ) -> [Lanes<T>; ROWS] {
        let (height, x) = self.call.x.block(self.block);
        let weights = self.call.weight.words_from(self.panel);
        let mut sums = [[T::default(); LANES]; ROWS];
        for (x, w) in x.chunks_exact(height).zip(weights.chunks_exact(PANEL)) {
            let (x, w) = (&x[self.first..][..ROWS], lanes(w, self.half));
            for (sums, &x) in sums.iter_mut().zip(x) {
                step(sums, x, w);
            }
        }
        sums
    }

    /// Sums of 8-bit products as the numbers they stand for.
    #[inline(always)]
    fn scaled<const ROWS: usize>(&self, sums: [Lanes<i32>; ROWS]) -> [Lanes<f32>; ROWS] {
        let row_scales = &self.call.x.block_scales(self.block)[self.first..];
        let (scales, offsets) = self.call.weight.quantisation_from(self.panel);
        let (scales, offsets) = (lanes(scales, self.half), lanes(offsets, self.half));
        std::array::from_fn(|row| {
            std::array::from_fn(|lane| (sums[row][lane] - offsets[lane]) as f32 * (scales[lane] * row_scales[row]))
        })
    }

    #[inline(always)]
    fn add_low_rank<const ROWS: usize, const FUSED: bool>(
        &self,
        low_rank: &LowRank<'_>,
        sums: &mut [Lanes<f32>; ROWS],
    ) {
        let b = low_rank.b.words_from(self.panel);
        for (row, sums) in sums.iter_mut().enumerate() {
            for (&u, b) in low_rank.u.row(self.row(row)).iter().zip(b.chunks_exact(PANEL)) {
                fused_add::<FUSED>(sums, u, &lanes(b, self.half).map(f32::from_bits));
            }
        }
    }

    /// # Safety
    /// No other thread may work on the same tile.
    #[inline(always)]
    unsafe fn store<const ROWS: usize>(&self, sums: &[Lanes<f32>; ROWS]) {
        let outputs = self.call.weight.outputs();
        let first = self.panel * PANEL + self.half * LANES;
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

    /// The row of x that a row of the strip is.
    fn row(&self, row: usize) -> usize {
        self.block * self.call.x.block_height() + self.first + row
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
