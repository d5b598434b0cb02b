//! Which instructions the kernels may use, found out at run time so that one binary serves every machine.

use crate::Precision;

/// The instruction set that a [`Pool`](crate::Pool)'s kernels use. Each contains those before it.
///
/// Packed weights and rows have one layout for all of them, so the choice can be made per pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust, compiled for the target's baseline.
    Portable,
    /// The same plain Rust, compiled for AVX2 with fused multiply-add.
    Avx2,
    /// Hand-written kernels for AVX-512 F, BW, VL and DQ (Skylake-SP and later).
    Avx512,
    /// With VNNI's dot products of bytes (Cascade Lake, Ice Lake and later).
    Avx512Vnni,
    /// With BF16's dot products as well (Zen 4 and later, Cooper Lake, Sapphire Rapids and later).
    Avx512Bf16,
}

impl Isa {
    /// All of them, from the least to the best.
    pub const ALL: [Isa; 5] = [Isa::Portable, Isa::Avx2, Isa::Avx512, Isa::Avx512Vnni, Isa::Avx512Bf16];

    /// The best instruction set of the machine that runs this.
    pub fn detect() -> Isa {
        Isa::ALL.into_iter().rev().find(|isa| isa.is_available()).unwrap_or(Isa::Portable)
    }

    /// Whether it has an instruction that multiplies and sums numbers of this precision. Without one they are
    /// converted first, which costs more than the precision saves unless memory is the limit.
    pub fn multiplies(self, precision: Precision) -> bool {
        match precision {
            Precision::F32 => true,
            Precision::Bf16 => self >= Isa::Avx512Bf16,
            Precision::Int8 => self >= Isa::Avx512Vnni,
        }
    }

    /// Whether the machine that runs this can execute it.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Isa::Avx512 => {
                Isa::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
            }
            Isa::Avx512Vnni => Isa::Avx512.is_available() && is_x86_feature_detected!("avx512vnni"),
            Isa::Avx512Bf16 => Isa::Avx512Vnni.is_available() && is_x86_feature_detected!("avx512bf16"),
        }
    }

    /// Whether the machine that runs this can execute it.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn is_available(self) -> bool {
        self == Isa::Portable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_detected_is_available_and_nothing_better_is() {
        let detected = Isa::detect();
        for isa in Isa::ALL {
            assert_eq!(isa.is_available(), isa <= detected, "{isa:?} against detected {detected:?}");
        }
    }

    #[test]
    fn only_the_best_multiplies_bf16() {
        let natively = |precision| Isa::ALL.into_iter().filter(move |isa| isa.multiplies(precision));
        assert!(natively(Precision::F32).eq(Isa::ALL));
        assert!(natively(Precision::Int8).eq([Isa::Avx512Vnni, Isa::Avx512Bf16]));
        assert!(natively(Precision::Bf16).eq([Isa::Avx512Bf16]));
    }
}
