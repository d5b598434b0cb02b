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
