//! How GGUF stores numbers: plain floats, and blocks of small integers with shared scales.
//!
//! Each format follows the reference arithmetic operation by operation, so that results agree bit for bit.

use std::fmt;

use half::{bf16, f16};

use super::k_quants;

/// The formats this crate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Quantisation {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
}

use Quantisation::*;

impl Quantisation {
    /// The format with this number in GGUF files, or the name of one that is known but not read.
    pub(super) fn from_id(id: u32) -> Result<Quantisation, String> {
        let unread = |name: &str| Err(name.to_owned());
        match id {
            0 => Ok(F32),
            1 => Ok(F16),
            2 => Ok(Q4_0),
            3 => Ok(Q4_1),
            6 => Ok(Q5_0),
            7 => Ok(Q5_1),
            8 => Ok(Q8_0),
            10 => Ok(Q2K),
            11 => Ok(Q3K),
            12 => Ok(Q4K),
            13 => Ok(Q5K),
            14 => Ok(Q6K),
            30 => Ok(Bf16),
            9 => unread("Q8_1"),
            15 => unread("Q8_K"),
            16 => unread("IQ2_XXS"),
            17 => unread("IQ2_XS"),
            18 => unread("IQ3_XXS"),
            19 => unread("IQ1_S"),
            20 => unread("IQ4_NL"),
            21 => unread("IQ3_S"),
            22 => unread("IQ2_S"),
            23 => unread("IQ4_XS"),
            28 => unread("F64"),
            29 => unread("IQ1_M"),
            34 => unread("TQ1_0"),
            35 => unread("TQ2_0"),
            39 => unread("MXFP4"),
            _ => Err(format!("number {id}")),
        }
    }

    /// Values a block.
    pub(super) fn block_values(self) -> usize {
        match self {
            F32 | F16 | Bf16 => 1,
            Q4_0 | Q4_1 | Q5_0 | Q5_1 | Q8_0 => 32,
            Q2K | Q3K | Q4K | Q5K | Q6K => 256,
        }
    }

    /// Bytes a block.
    pub(super) fn block_bytes(self) -> usize {
        match self {
            F32 => 4,
            F16 | Bf16 => 2,
            Q4_0 => 18,
            Q4_1 => 20,
            Q5_0 => 22,
            Q5_1 => 24,
            Q8_0 => 34,
            Q2K => 84,
            Q3K => 110,
            Q4K => 144,
            Q5K => 176,
            Q6K => 210,
        }
    }

    /// Bytes of `elements` values, which are whole blocks; `None` on overflow.
    pub(super) fn bytes(self, elements: usize) -> Option<u64> {
        let blocks = (elements / self.block_values()) as u64;
        blocks.checked_mul(self.block_bytes() as u64).filter(|bytes| usize::try_from(*bytes).is_ok())
    }

    /// Fills `values` from as many blocks.
    pub(super) fn dequantise(self, bytes: &[u8], values: &mut [f32]) {
        let decode: fn(&[u8], &mut [f32]) = match self {
            F32 => |bytes, values| values[0] = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            F16 => |bytes, values| values[0] = half_at(bytes, 0),
            Bf16 => |bytes, values| values[0] = bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
            Q4_0 => q4_0,
            Q4_1 => q4_1,
            Q5_0 => q5_0,
            Q5_1 => q5_1,
            Q8_0 => q8_0,
            Q2K => k_quants::q2_k,
            Q3K => k_quants::q3_k,
            Q4K => k_quants::q4_k,
            Q5K => k_quants::q5_k,
            Q6K => k_quants::q6_k,
        };
        let blocks = bytes.chunks_exact(self.block_bytes()).zip(values.chunks_exact_mut(self.block_values()));
        blocks.for_each(|(block, values)| decode(block, values));
    }
}

impl fmt::Display for Quantisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            F32 => "F32",
            F16 => "F16",
            Bf16 => "BF16",
            Q4_0 => "Q4_0",
            Q4_1 => "Q4_1",
            Q5_0 => "Q5_0",
            Q5_1 => "Q5_1",
            Q8_0 => "Q8_0",
            Q2K => "Q2_K",
            Q3K => "Q3_K",
            Q4K => "Q4_K",
            Q5K => "Q5_K",
            Q6K => "Q6_K",
        })
    }
}

/// The half-precision number at a byte offset.
pub(super) fn half_at(bytes: &[u8], offset: usize) -> f32 {
    f16::from_le_bytes([bytes[offset], bytes[offset + 1]]).to_f32()
}

/// Scale, 16 bytes of two 4-bit numbers each: low halves first.
fn q4_0(block: &[u8], values: &mut [f32]) {
    let scale = half_at(block, 0);
    for (i, packed) in block[2..].iter().enumerate() {
        values[i] = scale * (f32::from(packed & 15) - 8.0);
        values[i + 16] = scale * (f32::from(packed >> 4) - 8.0);
    }
}

/// Scale, minimum, 16 bytes of two 4-bit numbers each.
fn q4_1(block: &[u8], values: &mut [f32]) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    for (i, packed) in block[4..].iter().enumerate() {
        values[i] = scale * f32::from(packed & 15) + minimum;
        values[i + 16] = scale * f32::from(packed >> 4) + minimum;
    }
}

/// The 32 five-bit numbers of a block: four fifth bits' bytes, then 16 bytes of two low halves each.
fn five_bits(packed: &[u8]) -> [f32; 32] {
    let high = u32::from_le_bytes([packed[0], packed[1], packed[2], packed[3]]);
    let mut numbers = [0.0; 32];
    for (i, low) in packed[4..20].iter().enumerate() {
        numbers[i] = f32::from((low & 15) | (((high >> i) & 1) << 4) as u8);
        numbers[i + 16] = f32::from((low >> 4) | (((high >> (i + 16)) & 1) << 4) as u8);
    }
    numbers
}

/// Scale, then five-bit numbers.
fn q5_0(block: &[u8], values: &mut [f32]) {
    let scale = half_at(block, 0);
    values.iter_mut().zip(five_bits(&block[2..])).for_each(|(value, number)| *value = scale * (number - 16.0));
}

/// Scale, minimum, then five-bit numbers.
fn q5_1(block: &[u8], values: &mut [f32]) {
    let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
    values.iter_mut().zip(five_bits(&block[4..])).for_each(|(value, number)| *value = scale * number + minimum);
}

/// Scale, then 32 signed bytes.
fn q8_0(block: &[u8], values: &mut [f32]) {
    let scale = half_at(block, 0);
    values.iter_mut().zip(&block[2..]).for_each(|(value, byte)| *value = scale * f32::from(*byte as i8));
}
