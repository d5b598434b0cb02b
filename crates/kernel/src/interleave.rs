//! The one layout of all packed matrices, and how rows get into it.
//!
//! A packed block holds some *lanes*: 48 outputs of a weight (a panel), or up to nine rows of activations. Along the
//! inputs it is cut into *groups* of one 32-bit word: one f32, two bf16 or four 8-bit integers, lowest input in the
//! lowest bits. Word `(group, lane)` stands at `group · lanes + lane`, so a kernel walks both operands front to back and
//! one driver serves all precisions. Inputs that pad the last group, and lanes that pad the last panel, are zeros.

/// How the numbers of a packed matrix are stored. Sums are f32 (`Int8`: i32) in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// bfloat16, rounded to nearest even.
    Bf16,
    /// 8-bit integers with one scale per row, on both sides of a product: the largest magnitude of a row becomes 127.
    Int8,
}

impl Precision {
    /// How many inputs share a 32-bit word.
    pub fn group(self) -> usize {
        match self {
            Precision::F32 => 1,
            Precision::Bf16 => 2,
            Precision::Int8 => 4,
        }
    }
}

/// A matrix to be packed: `rows` vectors of `inputs` numbers, anywhere in `data`.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) inputs: usize,
    pub(crate) row_stride: usize,
    pub(crate) input_stride: usize,
}

impl<'a> Source<'a> {
    /// `data` is row-major (`rows` × `inputs`).
    pub(crate) fn row_major(data: &'a [f32], rows: usize, inputs: usize) -> Source<'a> {
        assert_eq!(data.len(), rows * inputs, "a {rows} x {inputs} matrix was expected");
        Source { data, rows, inputs, row_stride: inputs, input_stride: 1 }
    }

    /// The rows are the columns of row-major `data` (`inputs` × `rows`).
    pub(crate) fn transposed(data: &'a [f32], rows: usize, inputs: usize) -> Source<'a> {
        assert_eq!(data.len(), rows * inputs, "a {inputs} x {rows} matrix was expected");
        Source { data, rows, inputs, row_stride: 1, input_stride: rows }
    }

    /// The numbers of one group of one row, zeros where the matrix has none.
    fn values<const GROUP: usize>(&self, row: usize, group: usize) -> [f32; GROUP] {
        std::array::from_fn(|offset| {
            let input = group * GROUP + offset;
            if row < self.rows && input < self.inputs { self.at(row, input) } else { 0.0 }
        })
    }

    fn at(&self, row: usize, input: usize) -> f32 {
        self.data[row * self.row_stride + input * self.input_stride]
    }

    /// What one step of the 8-bit grid of a row is worth: its largest magnitude over 127. Not finite if the row holds
    /// a number that is not, so that the product is not finite either.
    pub(crate) fn scale(&self, row: usize) -> f32 {
        // Bits of magnitudes order like the magnitudes, with NaN above everything.
        let magnitude = |input| self.at(row, input).to_bits() & 0x7fff_ffff;
        f32::from_bits((0..self.inputs).map(magnitude).max().unwrap_or(0)) / 127.0
    }

    /// Packs the rows from `first` on into a block of `lanes` lanes; `encode(lane, numbers)` makes a word.
    pub(crate) fn interleave<const GROUP: usize>(
        &self,
        words: &mut [u32],
        lanes: usize,
        first: usize,
        encode: impl Fn(usize, [f32; GROUP]) -> u32,
    ) {
        // Some groups of every lane in turn, so that neither side's cache lines are gone before they are used up.
        const GROUPS_AT_ONCE: usize = 16;
        for (index, part) in words.chunks_mut(GROUPS_AT_ONCE * lanes).enumerate() {
            for lane in 0..lanes {
                for (offset, word) in part.iter_mut().skip(lane).step_by(lanes).enumerate() {
                    *word = encode(lane, self.values(first + lane, index * GROUPS_AT_ONCE + offset));
                }
            }
        }
    }
}

/// The bits of the bfloat16 nearest to `value`, ties to even; NaN stays NaN.
pub(crate) fn bf16_bits(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    if value.is_nan() { (bits >> 16) | 0x40 } else { rounded }
}

/// Two bf16 numbers in a word.
pub(crate) fn bf16_word([low, high]: [f32; 2]) -> u32 {
    bf16_bits(low) | bf16_bits(high) << 16
}

/// The two numbers of a word of bf16.
pub(crate) fn bf16_numbers(word: u32) -> [f32; 2] {
    [f32::from_bits(word << 16), f32::from_bits(word & 0xffff_0000)]
}

/// Four numbers as signed bytes on a grid of step `1 / inverse_scale`, nearest, ties to even.
pub(crate) fn int8_word(numbers: [f32; 4], inverse_scale: f32) -> u32 {
    /// Added to a small number it leaves no bits for a fraction, so the sum is rounded to nearest even.
    const INTEGERS_ONLY: f32 = 12_582_912.0;
    u32::from_le_bytes(numbers.map(|number| ((number * inverse_scale + INTEGERS_ONLY) - INTEGERS_ONLY) as i8 as u8))
}

/// The factor that takes numbers to the grid of step `scale`; a row of zeros stays zeros.
pub(crate) fn inverse_scale(scale: f32) -> f32 {
    if scale > 0.0 { 1.0 / scale } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;

    #[test]
    fn bf16_rounds_as_half_does() {
        let mut bits = 0_u32;
        for step in (1..20_000).map(|i: u32| i.wrapping_mul(2_654_435_761)) {
            bits = bits.wrapping_add(step);
            let value = f32::from_bits(bits);
            assert_eq!(bf16_bits(value), u32::from(bf16::from_f32(value).to_bits()), "{value:e}");
        }
        for value in [0.0, -0.0, 1.0, 1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, f32::MAX, f32::INFINITY, f32::NAN] {
            assert_eq!(bf16_bits(value), u32::from(bf16::from_f32(value).to_bits()), "{value:e}");
        }
    }

    #[test]
    fn int8_takes_the_nearest_step_and_ties_to_even() {
        let bytes = |numbers| int8_word(numbers, 1.0).to_le_bytes().map(|byte| byte as i8);
        assert_eq!(bytes([0.5, 1.5, -0.5, -2.5]), [0, 2, 0, -2]);
        assert_eq!(bytes([126.9, -127.0, 0.499, -1.51]), [127, -127, 0, -2]);
    }

    #[test]
    fn both_orientations_of_a_matrix_pack_alike() {
        let (rows, inputs) = (5, 7);
        let data: Vec<f32> = (0..rows * inputs).map(|i| i as f32).collect();
        let transposed: Vec<f32> = (0..rows * inputs).map(|i| data[i % rows * inputs + i / rows]).collect();
        let pack = |source: Source<'_>| {
            let mut words = vec![0; 4 * 3];
            source.interleave(&mut words, 3, 3, |lane, values| bf16_word(values) + lane as u32);
            words
        };
        let packed = pack(Source::row_major(&data, rows, inputs));
        assert_eq!(packed, pack(Source::transposed(&transposed, rows, inputs)));
        assert_eq!(packed[0], bf16_word([21.0, 22.0]));
        assert_eq!(packed[3 * 3 + 1], bf16_word([34.0, 0.0]) + 1, "the last input of the last row");
        assert_eq!(packed[2], 2, "a row that pads");
    }
}
