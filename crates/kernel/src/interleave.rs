//! The one layout of all packed matrices, and how rows get into it.
//!
//! A packed block holds some *lanes*: 48 outputs of a weight (a panel), or up to nine rows of activations. Along the
//! inputs it is cut into *groups* of one 32-bit word: one f32, two bf16 or four 8-bit integers, lowest input in the
//! lowest bits. Word `(group, lane)` stands at `group · lanes + lane`, so a kernel walks both operands front to back and
//! one driver serves all precisions. Inputs that pad the last group, and lanes that pad the last panel, are zeros.
//!
//! Bytes come in blocks of [`BLOCK`] inputs, with two scales: what a step of the grid is worth in either half, a bf16. So
//! a few large numbers spoil the grid of 32 inputs, not of a whole row. Behind the 16 groups of a block, weights have one
//! with both scales, and activations one with each. Bytes of weights are offset by 128, for the processor multiplies
//! unsigned bytes with signed ones; activations therefore have two groups more, −128 times the sum of either half.

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "vector loads and stores of the transposition, in bounds of arrays")
)]

use crate::lanes::{Arithmetic, Kernel, LANES, halved};

/// How the numbers of a packed matrix are stored. Sums are f32 (`Int8`: i32) in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// bfloat16, rounded to nearest even.
    Bf16,
    /// 8-bit integers with one scale for 32 inputs of a row, on both sides of a product: the largest magnitude among them
    /// becomes 127.
    Int8,
}

/// Inputs of a block of bytes, and of a half that has a scale of its own.
pub(crate) const BLOCK: usize = 64;
pub(crate) const HALF: usize = BLOCK / 2;

/// Words that a lane has in a block of bytes: its groups, and those of a half.
pub(crate) const BLOCK_GROUPS: usize = BLOCK / 4;
pub(crate) const HALF_GROUPS: usize = HALF / 4;

/// Words that a lane has in a block of weights: groups and scales.
pub(crate) const WEIGHT_BLOCK: usize = BLOCK_GROUPS + 1;

/// Words that a lane has in a block of activations: groups, a scale for each half, and what undoes the offset of the
/// weights in each.
pub(crate) const ROW_BLOCK: usize = BLOCK_GROUPS + 4;

impl Precision {
    /// How many inputs share a 32-bit word.
    pub fn group(self) -> usize {
        match self {
            Precision::F32 => 1,
            Precision::Bf16 => 2,
            Precision::Int8 => 4,
        }
    }

    /// Words that a lane of a weight has.
    pub(crate) fn weight_words(self, inputs: usize) -> usize {
        match self {
            Precision::F32 | Precision::Bf16 => inputs.div_ceil(self.group()),
            Precision::Int8 => inputs.div_ceil(BLOCK) * WEIGHT_BLOCK,
        }
    }

    /// Words that a row of activations has.
    pub(crate) fn row_words(self, inputs: usize) -> usize {
        match self {
            Precision::F32 | Precision::Bf16 => inputs.div_ceil(self.group()),
            Precision::Int8 => inputs.div_ceil(BLOCK) * ROW_BLOCK,
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
    #[inline(always)]
    fn values<const GROUP: usize>(&self, row: usize, group: usize) -> [f32; GROUP] {
        std::array::from_fn(|offset| {
            let input = group * GROUP + offset;
            if row < self.rows && input < self.inputs { self.at(row, input) } else { 0.0 }
        })
    }

    /// The numbers of `GROUPS_AT_ONCE` groups of one row, if they stand together.
    #[inline(always)]
    fn run<const GROUP: usize>(&self, row: usize, group: usize) -> Option<&[[f32; GROUP]; GROUPS_AT_ONCE]> {
        let (first, end) = (group * GROUP, (group + GROUPS_AT_ONCE) * GROUP);
        let is_together = self.input_stride == 1 && row < self.rows && end <= self.inputs;
        let start = row * self.row_stride;
        if is_together { self.data[start + first..start + end].as_chunks().0.first_chunk() } else { None }
    }

    /// The numbers of half a block of bytes of one row, zeros where the matrix has none.
    #[inline(always)]
    fn half(&self, row: usize, input: usize) -> [f32; HALF] {
        if self.input_stride == 1 && row < self.rows && input + HALF <= self.inputs {
            let numbers = self.data[row * self.row_stride + input..].first_chunk();
            numbers.copied().unwrap_or([0.0; HALF])
        } else {
            let mut numbers = [0.0; HALF];
            if row < self.rows {
                for (number, input) in numbers.iter_mut().zip(input..self.inputs) {
                    *number = self.at(row, input);
                }
            }
            numbers
        }
    }

    fn at(&self, row: usize, input: usize) -> f32 {
        self.data[row * self.row_stride + input * self.input_stride]
    }
}

/// Groups of one row that are packed before those of the next, so that neither side's cache lines are gone before they
/// are used up.
const GROUPS_AT_ONCE: usize = 16;

/// Packs the rows of `source` from `first` on into a block of `lanes` lanes; run it with `lanes::dispatch`.
pub(crate) struct Interleave<'a, 'b, const GROUP: usize, E> {
    pub(crate) source: Source<'a>,
    pub(crate) first: usize,
    pub(crate) lanes: usize,
    pub(crate) words: &'b mut [u32],
    pub(crate) encode: E,
}

/// How the numbers of a group become a word; `word` must be `#[inline(always)]`.
pub(crate) trait Encode<const GROUP: usize> {
    fn word(&self, lane: usize, numbers: [f32; GROUP]) -> u32;
}

/// One f32 a word.
pub(crate) struct AsF32;

impl Encode<1> for AsF32 {
    #[inline(always)]
    fn word(&self, _lane: usize, [number]: [f32; 1]) -> u32 {
        number.to_bits()
    }
}

/// Two bf16 a word.
pub(crate) struct AsBf16;

impl Encode<2> for AsBf16 {
    #[inline(always)]
    fn word(&self, _lane: usize, [low, high]: [f32; 2]) -> u32 {
        bf16_bits(low) | bf16_bits(high) << 16
    }
}

impl<const GROUP: usize, E: Encode<GROUP>> Kernel for Interleave<'_, '_, GROUP, E> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let Interleave { source, first, lanes, words, encode } = self;
        for (index, part) in words.chunks_mut(GROUPS_AT_ONCE * lanes).enumerate() {
            let group = index * GROUPS_AT_ONCE;
            let encoded = |lane: usize| encode_run(&encode, source, (first, lane), group);
            let whole = part.len() == GROUPS_AT_ONCE * lanes;
            let in_quads = if whole { lanes - lanes % QUAD } else { 0 };
            for lane in (0..in_quads).step_by(QUAD) {
                let quad = [encoded(lane), encoded(lane + 1), encoded(lane + 2), encoded(lane + 3)];
                store_quad(&quad, &mut part[lane..], lanes);
            }
            for lane in in_quads..lanes {
                part[lane..].iter_mut().step_by(lanes).zip(encoded(lane)).for_each(|(word, encoded)| *word = encoded);
            }
        }
    }
}

/// Lanes whose words are stored together: one at a time, packing would cost a tenth of the products.
const QUAD: usize = 4;

/// The words of `GROUPS_AT_ONCE` groups of one lane.
#[inline(always)]
fn encode_run<const GROUP: usize>(
    encode: &impl Encode<GROUP>,
    source: Source<'_>,
    (first, lane): (usize, usize),
    group: usize,
) -> [u32; GROUPS_AT_ONCE] {
    let mut words = [0; GROUPS_AT_ONCE];
    if let Some(numbers) = source.run::<GROUP>(first + lane, group) {
        for (word, &numbers) in words.iter_mut().zip(numbers) {
            *word = encode.word(lane, numbers);
        }
    } else {
        for (offset, word) in words.iter_mut().enumerate() {
            *word = encode.word(lane, source.values(first + lane, group + offset));
        }
    }
    words
}

/// Writes four lanes side by side, group by group, each `stride` words after the last.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn store_quad(lanes: &[[u32; GROUPS_AT_ONCE]; QUAD], out: &mut [u32], stride: usize) {
    use std::arch::x86_64::*;
    for part in 0..GROUPS_AT_ONCE / QUAD {
        // SAFETY: SSE2 belongs to the target, and four words from `part * QUAD` on lie in the lane.
        let load = |lane: &[u32; GROUPS_AT_ONCE]| unsafe { _mm_loadu_si128(lane[part * QUAD..].as_ptr().cast()) };
        let (a, b, c, d) = (load(&lanes[0]), load(&lanes[1]), load(&lanes[2]), load(&lanes[3]));
        // SAFETY: SSE2 belongs to the target.
        let groups = unsafe {
            let (low, high) = (_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b));
            let (next_low, next_high) = (_mm_unpacklo_epi32(c, d), _mm_unpackhi_epi32(c, d));
            [
                _mm_unpacklo_epi64(low, next_low),
                _mm_unpackhi_epi64(low, next_low),
                _mm_unpacklo_epi64(high, next_high),
                _mm_unpackhi_epi64(high, next_high),
            ]
        };
        for (each, words) in groups.into_iter().enumerate() {
            let place: &mut [u32] = &mut out[(part * QUAD + each) * stride..][..QUAD];
            // SAFETY: `place` holds four words.
            unsafe { _mm_storeu_si128(place.as_mut_ptr().cast(), words) };
        }
    }
}

/// Writes four lanes side by side, group by group, each `stride` words after the last.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn store_quad(lanes: &[[u32; GROUPS_AT_ONCE]; QUAD], out: &mut [u32], stride: usize) {
    for (group, place) in out.chunks_mut(stride).take(GROUPS_AT_ONCE).enumerate() {
        place.iter_mut().zip(lanes).for_each(|(word, lane)| *word = lane[group]);
    }
}

/// Which operand of a product bytes are packed for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Weights,
    Rows,
}

/// Packs the rows of `source` from `first` on into blocks of bytes of `lanes` lanes; run it with `lanes::dispatch`.
pub(crate) struct Quantise<'a, 'b> {
    pub(crate) source: Source<'a>,
    pub(crate) first: usize,
    pub(crate) lanes: usize,
    pub(crate) words: &'b mut [u32],
    pub(crate) side: Side,
}

impl Kernel for Quantise<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let Quantise { source, first, lanes, words, side } = self;
        let (block_words, flip) = match side {
            Side::Weights => (WEIGHT_BLOCK, OFFSET_128),
            Side::Rows => (ROW_BLOCK, 0),
        };
        for (index, words) in words.chunks_exact_mut(block_words * lanes).enumerate() {
            for lane in 0..lanes {
                let low = HalfBlock::of(&source.half(first + lane, index * BLOCK));
                let high = HalfBlock::of(&source.half(first + lane, index * BLOCK + HALF));
                for (half, place) in [(&low, lane), (&high, HALF_GROUPS * lanes + lane)] {
                    for (&group, word) in half.bytes.as_chunks().0.iter().zip(words[place..].iter_mut().step_by(lanes))
                    {
                        *word = u32::from_le_bytes(group) ^ flip;
                    }
                }
                let ends = &mut words[BLOCK_GROUPS * lanes + lane..];
                let scales = (low.scale.to_bits(), high.scale.to_bits());
                match side {
                    Side::Weights => ends[0] = scales.0 >> 16 | scales.1,
                    Side::Rows => {
                        ends[0] = scales.0;
                        ends[lanes] = scales.1;
                        ends[2 * lanes] = low.offset();
                        ends[3 * lanes] = high.offset();
                    }
                }
            }
        }
    }
}

/// Flips the sign bits of four bytes: signed bytes to bytes with an offset of 128.
const OFFSET_128: u32 = 0x8080_8080;

/// Bytes with one scale.
struct HalfBlock {
    scale: f32,
    bytes: [u8; HALF],
    /// Of the bytes, as signed ones.
    sum: i32,
}

impl HalfBlock {
    /// The nearest bytes, ties to even. If there is a number that is not finite, the scale is not either.
    ///
    /// Sixteen at a time, by plain loops: that is how the compiler makes vector code of it.
    #[inline(always)]
    fn of(numbers: &[f32; HALF]) -> HalfBlock {
        /// Added to a small number it leaves no bits for a fraction, so the sum is rounded to nearest even; and its own
        /// lowest bits are zeros, so they become those of the integer in two's complement.
        const INTEGERS_ONLY: f32 = 12_582_912.0;
        let parts = numbers.as_chunks::<LANES>().0;
        // Bits of magnitudes order like the magnitudes, with NaN above everything.
        let mut largest = [0; LANES];
        for part in parts {
            for (largest, number) in largest.iter_mut().zip(part) {
                *largest = (*largest).max(number.to_bits() & 0x7fff_ffff);
            }
        }
        let largest = halved(largest, u32::max);
        let scale = bf16_at_least(f32::from_bits(largest) / 127.0);
        // Below the normal numbers the inverse would be infinite: all are zero then.
        let inverse = if scale >= f32::MIN_POSITIVE { 1.0 / scale } else { 0.0 };
        let (mut bytes, mut sums) = ([0; HALF], [0_i32; LANES]);
        for (part, bytes) in parts.iter().zip(bytes.as_chunks_mut::<LANES>().0) {
            let mut integers = [0; LANES];
            for (integer, number) in integers.iter_mut().zip(part) {
                *integer = (number * inverse + INTEGERS_ONLY).to_bits();
            }
            for (byte, integer) in bytes.iter_mut().zip(integers) {
                *byte = integer as u8;
            }
            for (sum, integer) in sums.iter_mut().zip(integers) {
                *sum = sum.wrapping_add(integer.wrapping_sub(INTEGERS_ONLY.to_bits()).cast_signed());
            }
        }
        HalfBlock { scale, bytes, sum: halved(sums, i32::wrapping_add) }
    }

    /// What the offset of the weights adds to a sum of products with these bytes, taken off: −128 times their sum.
    #[inline(always)]
    fn offset(&self) -> u32 {
        self.sum.wrapping_mul(-128).cast_unsigned()
    }
}

/// The smallest bfloat16 that is no smaller than a number of at least zero.
#[inline(always)]
fn bf16_at_least(number: f32) -> f32 {
    let bits = number.to_bits();
    if number.is_finite() { f32::from_bits((bits + 0xffff) & 0xffff_0000) } else { f32::from_bits(bits | 0x0040_0000) }
}

/// The bits of the bfloat16 nearest to `value`, ties to even; NaN stays NaN.
#[inline(always)]
pub(crate) fn bf16_bits(value: f32) -> u32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    if value.is_nan() { (bits >> 16) | 0x40 } else { rounded }
}

/// The two numbers of a word of bf16.
pub(crate) fn bf16_numbers(word: u32) -> [f32; 2] {
    [f32::from_bits(word << 16), f32::from_bits(word & 0xffff_0000)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::Separate;
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
    fn bytes_take_the_nearest_step_and_ties_to_even() {
        let mut numbers = [0.0; HALF];
        numbers[..9].copy_from_slice(&[127.0, 0.5, 1.5, -0.5, -2.5, 126.4, -127.0, 0.499, -1.51]);
        let half = HalfBlock::of(&numbers);
        assert_eq!(half.scale, 1.0);
        assert_eq!(half.bytes.map(|byte| byte as i8)[..10], [127, 0, 2, 0, -2, 126, -127, 0, -2, 0]);
        assert_eq!(half.offset().cast_signed(), -128 * (127 + 2 - 2 + 126 - 127 - 2));
    }

    #[test]
    fn a_scale_reaches_the_largest_number() {
        for largest in [1e-30_f32, 0.3, 1.0, 100.1, 3e38] {
            let half = HalfBlock::of(&[largest; HALF]);
            assert_eq!(half.scale.to_bits() & 0xffff, 0, "a bf16");
            assert!(half.scale * 127.0 >= largest && half.scale * 126.0 < largest, "{largest}: {}", half.scale);
        }
        assert_eq!(HalfBlock::of(&[0.0; HALF]).scale, 0.0);
        let tiny = HalfBlock::of(&[1e-38; HALF]);
        assert_eq!((tiny.bytes, tiny.offset()), ([0; HALF], 0), "a scale without an inverse");
        assert!(HalfBlock::of(&[f32::NAN; HALF]).scale.is_nan());
        assert!(!HalfBlock::of(&[f32::NEG_INFINITY; HALF]).scale.is_finite());
    }

    #[test]
    fn every_number_stands_where_the_layout_says() {
        let (rows, inputs) = (53, 3 * GROUPS_AT_ONCE + 5);
        let data: Vec<f32> = (0..rows * inputs).map(|i| i as f32).collect();
        for lanes in (1..=9).chain([48]) {
            for first in [0, 3] {
                let mut words = vec![u32::MAX; lanes * inputs];
                let source = Source::row_major(&data, rows, inputs);
                Interleave { source, first, lanes, words: &mut words, encode: AsF32 }.run::<Separate>();
                for (index, &word) in words.iter().enumerate() {
                    let expected = data[(first + index % lanes) * inputs + index / lanes];
                    assert_eq!(f32::from_bits(word), expected, "{lanes} lanes from {first} on, word {index}");
                }
            }
        }
    }

    #[test]
    fn both_orientations_of_a_matrix_pack_alike() {
        let (rows, inputs) = (5, 7);
        let data: Vec<f32> = (0..rows * inputs).map(|i| i as f32).collect();
        let transposed: Vec<f32> = (0..rows * inputs).map(|i| data[i % rows * inputs + i / rows]).collect();
        let pack = |source: Source<'_>| {
            let mut words = vec![0; 4 * 3];
            Interleave { source, first: 3, lanes: 3, words: &mut words, encode: AsBf16 }.run::<Separate>();
            words
        };
        let packed = pack(Source::row_major(&data, rows, inputs));
        assert_eq!(packed, pack(Source::transposed(&transposed, rows, inputs)));
        assert_eq!(packed[0], bf16_bits(21.0) | bf16_bits(22.0) << 16);
        assert_eq!(packed[3 * 3 + 1], bf16_bits(34.0), "the last input of the last row");
        assert_eq!(packed[2], 0, "a row that pads");
    }
}
