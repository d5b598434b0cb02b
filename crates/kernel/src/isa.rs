//! Which instructions the kernels may use, found out at run time so that one binary serves every machine.

/// The instruction set that a [`Pool`](crate::Pool)'s kernels use.
///
/// Packed weights and rows have one layout for all of them, so the choice can be made per pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain Rust, compiled for the target's baseline.
    Portable,
    /// The same plain Rust, compiled for AVX2 with fused multiply-add.
    Avx2,
    /// Hand-written kernels for AVX-512 F, BW, VL and DQ with its BF16 and VNNI dot products
    /// (Zen 4 and later, Cooper Lake, Sapphire Rapids and later).
    Avx512,
}

impl Isa {
    /// The best instruction set of the machine that runs this.
    pub fn detect() -> Isa {
        [Isa::Avx512, Isa::Avx2].into_iter().find(|isa| isa.is_available()).unwrap_or(Isa::Portable)
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
                    && is_x86_feature_detected!("avx512bf16")
                    && is_x86_feature_detected!("avx512vnni")
            }
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
        for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
            assert_eq!(isa.is_available(), isa <= detected, "{isa:?} against detected {detected:?}");
        }
    }
}
