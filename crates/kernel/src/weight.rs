//! Matrices packed once and multiplied with many times.

use std::ops::Range;

use crate::Pool;
use crate::buffer::Buffer;
use crate::interleave::{AsBf16, AsF32, AsInt8, Interleave, Precision, Scales, Source, bf16_numbers, inverse_scale};
use crate::lanes::dispatch;

/// How many outputs a panel of packed weights holds side by side: three vectors of sixteen f32.
pub const PANEL: usize = 48;

/// The longest sum of 8-bit products (255 · 127 each) that an i32 always holds.
const MAX_INT8_INPUTS: usize = 1 << 16;

/// A packed matrix W (outputs × inputs), for products y = x Wᵀ.
///
/// Panels of [`PANEL`] outputs follow each other; inside a panel see the crate's notes on the layout.
pub struct Weight {
    words: Buffer,
    outputs: usize,
    inputs: usize,
    precision: Precision,
    /// `Int8` only, one per output and padded like the panels: what a step of the row's grid is worth.
    scales: Vec<f32>,
    /// `Int8` only: 128 times the sum of the row's bytes, which products with offset rows contain too much.
    offsets: Vec<i32>,
}

impl Weight {
    /// Packs a row-major matrix (`outputs` × `inputs`).
    ///
    /// # Panics
    /// If `source` has another length, or if an `Int8` row has over 65,536 inputs.
    pub fn pack(pool: &Pool, source: &[f32], outputs: usize, inputs: usize, precision: Precision) -> Weight {
        let mut weight = Weight::zeroed(outputs, inputs, precision);
        weight.repack(pool, source);
        weight
    }

    /// Packs the transpose of a row-major matrix (`inputs` × `outputs`): given the W of a forward product, with W's
    /// outputs as `inputs`, it makes the weight for the gradient dx = dy W.
    ///
    /// # Panics
    /// If `source` has another length, or if an `Int8` row has over 65,536 inputs.
    pub fn pack_transposed(pool: &Pool, source: &[f32], outputs: usize, inputs: usize, precision: Precision) -> Weight {
        let mut weight = Weight::zeroed(outputs, inputs, precision);
        weight.repack_transposed(pool, source);
        weight
    }

    /// A weight of zeros, to be filled by `repack`.
    ///
    /// # Panics
    /// If an `Int8` row has over 65,536 inputs.
    pub fn zeroed(outputs: usize, inputs: usize, precision: Precision) -> Weight {
        let (panels, groups) = (outputs.div_ceil(PANEL), inputs.div_ceil(precision.group()));
        let is_int8 = precision == Precision::Int8;
        assert!(!is_int8 || inputs <= MAX_INT8_INPUTS, "{inputs} inputs are too many for 8-bit sums");
        let per_output = if is_int8 { panels * PANEL } else { 0 };
        Weight {
            words: Buffer::new(panels * groups * PANEL),
            outputs,
            inputs,
            precision,
            scales: vec![0.0; per_output],
            offsets: vec![0; per_output],
        }
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
        let panel_words = self.panel_words();
        match self.precision {
            Precision::F32 => pool.chunks(&mut self.words, panel_words, |panel, words| {
                let (first, lanes) = (panel * PANEL, PANEL);
                dispatch(pool, Interleave { source, first, lanes, words, encode: AsF32 });
            }),
            Precision::Bf16 => pool.chunks(&mut self.words, panel_words, |panel, words| {
                let (first, lanes) = (panel * PANEL, PANEL);
                dispatch(pool, Interleave { source, first, lanes, words, encode: AsBf16 });
            }),
            Precision::Int8 => {
                pool.chunks(&mut self.scales, PANEL, |panel, scales| {
                    dispatch(pool, Scales { source, first: panel * PANEL, scales });
                });
                let parts = ((&mut self.words[..], panel_words), (&mut self.offsets[..], PANEL));
                let scales = &self.scales;
                pool.chunks2(parts.0, parts.1, |panel, words, offsets| {
                    let first = panel * PANEL;
                    let inverse: [f32; PANEL] = std::array::from_fn(|lane| inverse_scale(scales[first + lane]));
                    let encode = AsInt8 { inverse_scales: &inverse, flip: 0 };
                    dispatch(pool, Interleave { source, first, lanes: PANEL, words: &mut *words, encode });
                    for (lane, offset) in offsets.iter_mut().enumerate() {
                        let bytes = words.iter().skip(lane).step_by(PANEL).flat_map(|word| word.to_le_bytes());
                        *offset = 128 * bytes.map(|byte| i32::from(byte as i8)).sum::<i32>();
                    }
                });
            }
        }
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
        size_of_val(&self.words[..]) + size_of_val(&self.scales[..]) + size_of_val(&self.offsets[..])
    }

    /// Reads one row of W back, as it was rounded: an embedding from a tied output head.
    ///
    /// # Panics
    /// If there is no such row, or if `row` is not one number per input.
    pub fn row(&self, output: usize, row: &mut [f32]) {
        assert!(output < self.outputs, "row {output} of {}", self.outputs);
        assert_eq!(row.len(), self.inputs, "one number per input was expected");
        let panel = &self.words[output / PANEL * self.panel_words()..][..self.panel_words()];
        let words = panel.iter().skip(output % PANEL).step_by(PANEL);
        for (numbers, &word) in row.chunks_mut(self.precision.group()).zip(words) {
            match self.precision {
                Precision::F32 => numbers[0] = f32::from_bits(word),
                Precision::Bf16 => numbers.copy_from_slice(&bf16_numbers(word)[..numbers.len()]),
                Precision::Int8 => {
                    let steps = numbers.iter_mut().zip(word.to_le_bytes());
                    steps.for_each(|(number, byte)| *number = f32::from(byte as i8) * self.scales[output]);
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
    /// precision is `Int8`, whose sums run over whole rows.
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
        self.inputs.div_ceil(self.precision.group()) * PANEL
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

    /// Scales and offsets of the outputs from panel `index` on (`Int8` only).
    pub(crate) fn quantisation_from(&self, index: usize) -> (&'a [f32], &'a [i32]) {
        let first = self.outputs.start + index * PANEL;
        (&self.weight.scales[first..], &self.weight.offsets[first..])
    }
}

#[cfg(test)]
mod tests;
