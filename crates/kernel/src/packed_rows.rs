//! Activations, converted and interleaved once for all the products that read them.

use crate::Pool;
use crate::buffer::Buffer;
use crate::interleave::{AsBf16, AsF32, Interleave, Precision, Quantise, Side, Source};
use crate::lanes::dispatch;

/// The most rows that one tile of a product holds: 9 × 3 vectors of sums, with the operands, fill 32 registers.
pub(crate) const MAX_BLOCK: usize = 9;

/// The same for bytes, whose tiles hold sums of integers beside those of floats.
const MAX_BLOCK_OF_BYTES: usize = 4;

/// A packed matrix x (rows × inputs). It keeps its buffers, so packing again does not allocate.
///
/// Rows stand in blocks of equal height (the last may be lower), as high as a tile allows; inside a block see the crate's
/// notes on the layout.
pub struct Rows {
    words: Buffer,
    rows: usize,
    inputs: usize,
    block: usize,
    precision: Precision,
}

impl Rows {
    /// No rows yet, of numbers in this precision.
    pub fn new(precision: Precision) -> Rows {
        Rows { words: Buffer::new(0), rows: 0, inputs: 0, block: 1, precision }
    }

    /// Replaces the contents by row-major `x` (`rows` × `inputs`).
    ///
    /// # Panics
    /// If `x` has another length.
    pub fn pack(&mut self, pool: &Pool, x: &[f32], rows: usize, inputs: usize) {
        let source = Source::row_major(x, rows, inputs);
        self.rows = rows;
        self.inputs = inputs;
        let most = if self.precision == Precision::Int8 { MAX_BLOCK_OF_BYTES } else { MAX_BLOCK };
        self.block = rows.div_ceil(rows.div_ceil(most).max(1)).max(1);
        self.words.reserve(rows * self.row_words());
        let (height, block_words) = (self.block, (self.block * self.row_words()).max(1));
        let words = &mut self.words[..rows * self.precision.row_words(inputs)];
        let precision = self.precision;
        pool.chunks(words, block_words, |block, words| {
            let (first, lanes) = (block * height, height.min(rows - block * height));
            match precision {
                Precision::F32 => dispatch(pool, Interleave { source, first, lanes, words, encode: AsF32 }),
                Precision::Bf16 => dispatch(pool, Interleave { source, first, lanes, words, encode: AsBf16 }),
                Precision::Int8 => dispatch(pool, Quantise { source, first, lanes, words, side: Side::Rows }),
            }
        });
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

    /// Words of a row.
    pub(crate) fn row_words(&self) -> usize {
        self.precision.row_words(self.inputs)
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
        (height, &self.words[first * self.row_words()..][..height * self.row_words()])
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rows({} x {}, {:?})", self.rows, self.inputs, self.precision)
    }
}
