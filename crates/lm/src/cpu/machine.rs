//! What the processor offers, for people.

use kernel::Isa;

use super::Precision;

/// The instruction set that the kernels use on this machine.
pub fn instruction_set() -> String {
    format!("{:?}", Isa::detect()).to_lowercase()
}

/// The precision that [`Precision::Auto`] stands for on this machine.
pub fn default_precision() -> Precision {
    if Isa::detect().multiplies(kernel::Precision::Bf16) { Precision::Bf16 } else { Precision::F32 }
}

/// The precision for a model that is only asked, never trained: bytes where the processor multiplies them, for they are the
/// fastest at any number of samples and no worse to measure; [`default_precision`] elsewhere.
pub fn frozen_precision() -> Precision {
    if Isa::detect().multiplies(kernel::Precision::Int8) { Precision::Int8 } else { default_precision() }
}
