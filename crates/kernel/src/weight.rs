//! Matrices packed once and multiplied with many times.

use std::ops::Range;

use crate::Pool;
use crate::buffer::Buffer;
use crate::interleave::{
    AsBf16, AsF32, BLOCK, BLOCK_GROUPS, HALF_GROUPS, Interleave, Precision, Quantise, Side, Source, WEIGHT_BLOCK,
    bf16_numbers,
};
use crate::lanes::dispatch;

/// How many outputs a panel of packed weights holds side by side: three vectors of sixteen f32.
pub const PANEL: usize = 48;

/// A packed matrix W (outputs × inputs), for products y = x Wᵀ.
///
/// Panels of [`PANEL`] outputs follow each other; inside a panel see the crate's notes on the layout.
pub struct Weight {
    words: Buffer,
    outputs: usize,
    inputs: usize,
    precision: Precision,
}

impl Weight {
    /// Packs a row-major matrix (`outputs` × `inputs`).
    ///
    /// # Panics
    /// If `source` has another length.
    pub fn pack(pool: &Pool, source: &[f32], outputs: usize, inputs: usize, precision: Precision) -> Weight {
        let mut weight = Weight::zeroed(outputs, inputs, precision);
        weight.repack(pool, source);
        weight
    }

    /// Packs the transpose of a row-major matrix (`inputs` × `outputs`): given the W of a forward product, with W's
    /// outputs as `inputs`, it makes the weight for the gradient dx = dy W.
    ///
    /// # Panics
    /// If `source` has another length.
    pub fn pack_transposed(pool: &Pool, source: &[f32], outputs: usize, inputs: usize, precision: Precision) -> Weight {
        let mut weight = Weight::zeroed(outputs, inputs, precision);
        weight.repack_transposed(pool, source);
        weight
    }

    /// A weight of zeros, to be filled by `repack`.
    pub fn zeroed(outputs: usize, inputs: usize, precision: Precision) -> Weight {
        let words = Buffer::new(outputs.div_ceil(PANEL) * precision.weight_words(inputs) * PANEL);
        Weight { words, outputs, inputs, precision }
    }

    /// Replaces the matrix by another of the same shape, row-major (outputs × inputs), without allocating.
    ///
    /// # Panics
    /// If `source` has another length.
    pub fn repack(&mut self, pool: &Pool, source: &[f32]) {
        self.fill(pool, Source::row_major(source, self.outputs, self.inputs));
    }

    /// Replaces the matrix by the transpose of `source`, row-major (inputs × outputs), without allocating.
    ///
    /// # Panics
    /// If `source` has another length.
    pub fn repack_transposed(&mut self, pool: &Pool, source: &[f32]) {
        self.fill(pool, Source::transposed(source, self.outputs, self.inputs));
    }

    fn fill(&mut self, pool: &Pool, source: Source<'_>) {
        if source.inputs == 0 {
            return;
        }
        let (panel_words, precision) = (self.panel_words(), self.precision);
        pool.chunks(&mut self.words, panel_words, |panel, words| {
            let (first, lanes) = (panel * PANEL, PANEL);
            match precision {
                Precision::F32 => dispatch(pool, Interleave { source, first, lanes, words, encode: AsF32 }),
                Precision::Bf16 => dispatch(pool, Interleave { source, first, lanes, words, encode: AsBf16 }),
                Precision::Int8 => dispatch(pool, Quantise { source, first, lanes, words, side: Side::Weights }),
            }
        });
    }

    /// The number of outputs: rows of W, columns of x Wᵀ.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The number of inputs: columns of W and of x.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How the numbers are stored.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The memory that the packed matrix takes.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.words[..])
    }

    /// Reads one row of W back, as it was rounded: an embedding from a tied output head.
    ///
    /// # Panics
    /// If there is no such row, or if `row` is not one number per input.
    pub fn row(&self, output: usize, row: &mut [f32]) {
        assert!(output < self.outputs, "row {output} of {}", self.outputs);
        assert_eq!(row.len(), self.inputs, "one number per input was expected");
        let panel = &self.words[output / PANEL * self.panel_words()..][..self.panel_words()];
        let mut words = panel.iter().skip(output % PANEL).step_by(PANEL);
        match self.precision {
            Precision::F32 => row.iter_mut().zip(words).for_each(|(number, &word)| *number = f32::from_bits(word)),
            Precision::Bf16 => {
                let pairs = row.chunks_mut(2).zip(words);
                pairs.for_each(|(pair, &word)| pair.copy_from_slice(&bf16_numbers(word)[..pair.len()]));
            }
            Precision::Int8 => {
                for numbers in row.chunks_mut(BLOCK) {
                    let block: [u32; WEIGHT_BLOCK] = std::array::from_fn(|_| words.next().copied().unwrap_or_default());
                    let scales = bf16_numbers(block[BLOCK_GROUPS]);
                    for (group, (numbers, word)) in numbers.chunks_mut(4).zip(block).enumerate() {
                        let bytes = numbers.iter_mut().zip(word.to_le_bytes());
                        let scale = scales[group / HALF_GROUPS];
                        bytes.for_each(|(number, byte)| *number = (f32::from(byte) - 128.0) * scale);
                    }
                }
            }
        }
    }

    /// The part of the weight with these outputs only, for instance a block of the vocabulary.
    ///
    /// # Panics
    /// If the range does not start at a multiple of [`PANEL`], ends neither at one nor at the last output, or is out
    /// of bounds.
    pub fn output_range(&self, outputs: Range<usize>) -> WeightSlice<'_> {
        assert!(outputs.start <= outputs.end && outputs.end <= self.outputs, "{outputs:?} of {}", self.outputs);
        assert!(outputs.start.is_multiple_of(PANEL), "the block {outputs:?} does not start with a panel");
        let ends_a_panel = outputs.end.is_multiple_of(PANEL) || outputs.end == self.outputs;
        assert!(ends_a_panel, "the block {outputs:?} does not end with a panel");
        WeightSlice { weight: self, outputs, inputs: 0..self.inputs }
    }

    /// The part of the weight with these inputs only: what a block of the vocabulary adds to the gradient of the
    /// hidden state.
    ///
    /// # Panics
    /// If the range starts or ends inside a 32-bit group (ending at the last input is fine), is out of bounds, or the
    /// precision is `Int8`, whose sums run over blocks with scales of their own.
    pub fn input_range(&self, inputs: Range<usize>) -> WeightSlice<'_> {
        let group = self.precision.group();
        assert!(self.precision != Precision::Int8, "8-bit weights cannot be cut along their inputs");
        assert!(inputs.start <= inputs.end && inputs.end <= self.inputs, "{inputs:?} of {}", self.inputs);
        assert!(inputs.start.is_multiple_of(group), "the block {inputs:?} starts inside a group of {group}");
        let ends_a_group = inputs.end.is_multiple_of(group) || inputs.end == self.inputs;
        assert!(ends_a_group, "the block {inputs:?} ends inside a group of {group}");
        WeightSlice { weight: self, outputs: 0..self.outputs, inputs }
    }

    /// Words of a whole panel.
    fn panel_words(&self) -> usize {
        self.precision.weight_words(self.inputs) * PANEL
    }
}

impl std::fmt::Debug for Weight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Weight({} x {}, {:?})", self.outputs, self.inputs, self.precision)
    }
}

/// A weight, or some whole panels or some inputs of one.
#[derive(Clone, Debug)]
pub struct WeightSlice<'a> {
    weight: &'a Weight,
    outputs: Range<usize>,
    inputs: Range<usize>,
}

impl<'a> From<&'a Weight> for WeightSlice<'a> {
    fn from(weight: &'a Weight) -> WeightSlice<'a> {
        WeightSlice { weight, outputs: 0..weight.outputs, inputs: 0..weight.inputs }
    }
}

impl<'a> WeightSlice<'a> {
    /// The number of outputs in the slice.
    pub fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// The number of inputs in the slice.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// How the numbers are stored.
    pub fn precision(&self) -> Precision {
        self.weight.precision
    }

    /// The number of panels; the last may have padding.
    pub(crate) fn panels(&self) -> usize {
        self.outputs().div_ceil(PANEL)
    }

    /// How far the words of one panel are from the same words of the next.
    pub(crate) fn panel_stride(&self) -> usize {
        self.weight.panel_words()
    }

    /// The words of the slice in its panel `index`, and all that follows them.
    pub(crate) fn words_from(&self, index: usize) -> &'a [u32] {
        let first_panel = self.outputs.start / PANEL;
        let first_group = self.inputs.start / self.weight.precision.group();
        &self.weight.words[(first_panel + index) * self.panel_stride() + first_group * PANEL..]
    }
}

#[cfg(test)]
mod tests;
