//! Sixteen numbers at a time, in plain Rust that the compiler turns into vector instructions.
//!
//! A kernel is a [`Kernel`]: a value whose `run` is compiled once for each instruction set, the difference being the
//! width of the registers and whether a product and a sum are rounded together ([`Arithmetic`]). [`dispatch`] runs the
//! version that the pool was made for.

#![expect(
    unsafe_code,
    reason = "calls of functions compiled for more than the baseline, and views of lanes as numbers"
)]

use half::bf16;

use crate::{Isa, Pool};

/// Numbers in one [`Lanes`].
pub(crate) const LANES: usize = 16;

/// How `a * b + c` is computed.
pub(crate) trait Arithmetic {
    fn multiply_add(a: f32, b: f32, c: f32) -> f32;
}

/// One rounding: an instruction where the CPU has it, and a slow library call where it has not.
pub(crate) struct Fused;

impl Arithmetic for Fused {
    #[inline(always)]
    fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// Two roundings.
pub(crate) struct Separate;

impl Arithmetic for Separate {
    #[inline(always)]
    fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

/// Work that is compiled once for each instruction set. `run` and whatever it calls must be `#[inline(always)]`, or it
/// is compiled for the baseline.
pub(crate) trait Kernel {
    type Output;
    fn run<A: Arithmetic>(self) -> Self::Output;
}

/// Runs the version of the kernel for the pool's instruction set, on this thread.
pub(crate) fn dispatch<K: Kernel>(pool: &Pool, kernel: K) -> K::Output {
    match pool.isa() {
        // SAFETY: a pool only has an instruction set that this machine has.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 => unsafe { run_avx512(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { run_avx2(kernel) },
        _ => kernel.run::<Separate>(),
    }
}

/// # Safety
/// The CPU must have the instructions named.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Fused>()
}

/// # Safety
/// The CPU must have the instructions named.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Fused>()
}

/// Sixteen numbers, aligned to a cache line.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Lanes(pub(crate) [f32; LANES]);

impl Lanes {
    pub(crate) const ZERO: Lanes = Lanes([0.0; LANES]);

    #[inline(always)]
    pub(crate) fn splat(value: f32) -> Lanes {
        Lanes([value; LANES])
    }

    /// Up to sixteen numbers, the rest zero.
    #[inline(always)]
    pub(crate) fn load(values: &[f32]) -> Lanes {
        match values.first_chunk() {
            Some(&values) => Lanes(values),
            None => {
                let mut lanes = Lanes::ZERO;
                lanes.0[..values.len()].copy_from_slice(values);
                lanes
            }
        }
    }

    #[inline(always)]
    pub(crate) fn map(mut self, f: impl Fn(f32) -> f32) -> Lanes {
        for value in &mut self.0 {
            *value = f(*value);
        }
        self
    }

    #[inline(always)]
    pub(crate) fn zip(mut self, other: Lanes, f: impl Fn(f32, f32) -> f32) -> Lanes {
        for (value, other) in self.0.iter_mut().zip(other.0) {
            *value = f(*value, other);
        }
        self
    }

    #[inline(always)]
    pub(crate) fn plus(self, other: Lanes) -> Lanes {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    pub(crate) fn times(self, factor: f32) -> Lanes {
        self.map(|a| a * factor)
    }

    /// `self + factor * other`.
    #[inline(always)]
    pub(crate) fn plus_scaled<A: Arithmetic>(self, factor: f32, other: Lanes) -> Lanes {
        self.zip(other, |sum, value| A::multiply_add(factor, value, sum))
    }

    /// `self + a * b`, lane by lane.
    #[inline(always)]
    pub(crate) fn plus_product<A: Arithmetic>(mut self, a: Lanes, b: Lanes) -> Lanes {
        for ((sum, a), b) in self.0.iter_mut().zip(a.0).zip(b.0) {
            *sum = A::multiply_add(a, b, *sum);
        }
        self
    }

    /// The sum of all lanes, pairwise, always in the same order.
    #[inline(always)]
    pub(crate) fn sum(self) -> f32 {
        halved(self.0, |a, b| a + b)
    }

    /// The largest lane.
    #[inline(always)]
    pub(crate) fn max(self) -> f32 {
        halved(self.0, larger)
    }
}

/// All lanes joined into one number, half with half, always in the same order.
#[inline(always)]
pub(crate) fn halved<T: Copy>(mut lanes: [T; LANES], join: impl Fn(T, T) -> T) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = join(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// Sixteen numbers in bfloat16.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub(crate) struct Narrow(pub(crate) [bf16; LANES]);

impl Narrow {
    pub(crate) const ZERO: Narrow = Narrow([bf16::ZERO; LANES]);
}

/// Sixteen stored numbers, widened where they are used.
pub(crate) trait Vector: Copy {
    fn widen(self) -> Lanes;
}

impl Vector for Lanes {
    #[inline(always)]
    fn widen(self) -> Lanes {
        self
    }
}

impl Vector for Narrow {
    #[inline(always)]
    fn widen(self) -> Lanes {
        Lanes(self.0.map(|number| f32::from_bits(u32::from(number.to_bits()) << 16)))
    }
}

/// The larger of two numbers by one instruction, unlike `f32::max`, which gives NaN a meaning.
#[inline(always)]
pub(crate) fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// How many [`Lanes`] hold so many numbers.
pub(crate) fn lanes_for(numbers: usize) -> usize {
    numbers.div_ceil(LANES)
}

/// The numbers of all lanes in a row.
pub(crate) fn flat(lanes: &[Lanes]) -> &[f32] {
    // SAFETY: `Lanes` is an array of `LANES` f32 without padding (its size is its alignment), and the length fits
    // because the slice does.
    unsafe { std::slice::from_raw_parts(lanes.as_ptr().cast(), lanes.len() * LANES) }
}

/// The numbers of all lanes in a row, to write.
pub(crate) fn flat_mut(lanes: &mut [Lanes]) -> &mut [f32] {
    // SAFETY: as in `flat`, and the slice is borrowed mutably.
    unsafe { std::slice::from_raw_parts_mut(lanes.as_mut_ptr().cast(), lanes.len() * LANES) }
}
