//! Activations, converted and interleaved once for all the products that read them.

use crate::Pool;
use crate::buffer::Buffer;
use crate::interleave::{AsBf16, AsF32, AsInt8, Interleave, Precision, Scales, Source, inverse_scale};
use crate::lanes::dispatch;

/// The most rows that one tile of a product holds: 9 × 3 vectors of sums, with the operands, fill 32 registers.
pub(crate) const MAX_BLOCK: usize = 9;

/// Flips the sign bits of four bytes: signed bytes to bytes with an offset of 128.
const OFFSET_128: u32 = 0x8080_8080;

/// A packed matrix x (rows × inputs). It keeps its buffers, so packing again does not allocate.
///
/// Rows stand in blocks of equal height (the last may be lower), as high as nine allows; inside a block see the crate's
/// notes on the layout.
pub struct Rows {
    words: Buffer,
    rows: usize,
    inputs: usize,
    block: usize,
    precision: Precision,
    /// `Int8` only, one per row.
    scales: Vec<f32>,
}

impl Rows {
    /// No rows yet, of numbers in this precision.
    pub fn new(precision: Precision) -> Rows {
        Rows { words: Buffer::new(0), rows: 0, inputs: 0, block: 1, precision, scales: Vec::new() }
    }

    /// Replaces the contents by row-major `x` (`rows` × `inputs`).
    ///
    /// # Panics
    /// If `x` has another length.
    pub fn pack(&mut self, pool: &Pool, x: &[f32], rows: usize, inputs: usize) {
        let source = Source::row_major(x, rows, inputs);
        self.rows = rows;
        self.inputs = inputs;
        self.block = rows.div_ceil(rows.div_ceil(MAX_BLOCK).max(1)).max(1);
        self.words.reserve(rows * self.groups());
        self.scales.resize(if self.precision == Precision::Int8 { rows } else { 0 }, 0.0);
        let (height, block_words) = (self.block, (self.block * self.groups()).max(1));
        let words = &mut self.words[..rows * inputs.div_ceil(self.precision.group())];
        match self.precision {
            Precision::F32 => pool.chunks(words, block_words, |block, words| {
                let (first, lanes) = (block * height, height.min(rows - block * height));
                dispatch(pool, Interleave { source, first, lanes, words, encode: AsF32 });
            }),
            Precision::Bf16 => pool.chunks(words, block_words, |block, words| {
                let (first, lanes) = (block * height, height.min(rows - block * height));
                dispatch(pool, Interleave { source, first, lanes, words, encode: AsBf16 });
            }),
            Precision::Int8 if inputs > 0 => {
                pool.chunks2((words, block_words), (&mut self.scales, height), |block, words, scales| {
                    let (first, lanes) = (block * height, scales.len());
                    dispatch(pool, Scales { source, first, scales: &mut *scales });
                    let inverse: [f32; MAX_BLOCK] =
                        std::array::from_fn(|lane| scales.get(lane).map_or(0.0, |&scale| inverse_scale(scale)));
                    let encode = AsInt8 { inverse_scales: &inverse[..lanes], flip: OFFSET_128 };
                    dispatch(pool, Interleave { source, first, lanes, words, encode });
                });
            }
            Precision::Int8 => self.scales.fill(0.0),
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How the numbers are stored.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Words along the inputs.
    pub(crate) fn groups(&self) -> usize {
        self.inputs.div_ceil(self.precision.group())
    }

    /// Rows in every block but the last.
    pub(crate) fn block_height(&self) -> usize {
        self.block
    }

    /// The number of blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.rows.div_ceil(self.block)
    }

    /// How many rows a block has, and its words.
    pub(crate) fn block(&self, index: usize) -> (usize, &[u32]) {
        let first = index * self.block;
        let height = self.block.min(self.rows - first);
        (height, &self.words[first * self.groups()..][..height * self.groups()])
    }

    /// The scales of a block's rows (`Int8` only).
    pub(crate) fn block_scales(&self, index: usize) -> &[f32] {
        let first = index * self.block;
        &self.scales[first..self.rows.min(first + self.block)]
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rows({} x {}, {:?})", self.rows, self.inputs, self.precision)
    }
}
