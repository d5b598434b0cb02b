//! The product y = x Wᵀ, with what follows it fused behind the sums.

#![expect(unsafe_code, reason = "tasks write disjoint tiles of one output matrix")]

use std::marker::PhantomData;
use std::ops::Range;

use crate::packed_rows::Rows;
#[cfg(target_arch = "x86_64")]
use crate::tile_avx512;
use crate::weight::WeightSlice;
use crate::{Isa, Pool, Precision, tile_portable};

/// Some adjacent columns of a row-major f32 matrix.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    data: &'a [f32],
    stride: usize,
    width: usize,
    rows: usize,
}

impl<'a> Columns<'a> {
    /// The columns `range` of row-major `data` with rows of `stride` numbers.
    ///
    /// # Panics
    /// If the range goes past a row, or `data` is not a whole number of rows.
    pub fn new(data: &'a [f32], stride: usize, range: Range<usize>) -> Columns<'a> {
        assert!(range.start <= range.end && range.end <= stride, "columns {range:?} of {stride}");
        assert!(stride > 0 && data.len().is_multiple_of(stride), "{} numbers are no rows of {stride}", data.len());
        let rows = data.len() / stride;
        Columns { data: data.get(range.start..).unwrap_or_default(), stride, width: range.len(), rows }
    }

    /// All columns of row-major `data` with rows of `width` numbers.
    ///
    /// # Panics
    /// If `data` is not a whole number of rows.
    pub fn all(data: &'a [f32], width: usize) -> Columns<'a> {
        Columns::new(data, width, 0..width)
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The numbers from some row on, and how far a row is from the next.
    pub(crate) fn rows_from(&self, index: usize) -> (&'a [f32], usize) {
        (&self.data[index * self.stride..], self.stride)
    }

    /// The columns' part of one row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.data[index * self.stride..][..self.width]
    }
}

/// The second half of a LoRA product, added to the frozen one: y += u Bᵀ with u = x Aᵀ computed before.
#[derive(Clone, Debug)]
pub struct LowRank<'a> {
    /// u (rows × rank), scaled as the adapter asks for.
    pub u: Columns<'a>,
    /// B (outputs × rank) in [`Precision::F32`].
    pub b: WeightSlice<'a>,
}

/// What is added to the sums of a product before they are stored, in the order of the fields.
#[derive(Clone, Debug, Default)]
pub struct Epilogue<'a> {
    /// A low-rank product beside the frozen one, in f32 whatever the precision of the frozen one.
    pub low_rank: Option<LowRank<'a>>,
    /// One number per output.
    pub bias: Option<&'a [f32]>,
    /// Adds what stands in the output.
    pub accumulate: bool,
}

/// Computes `out` = x Wᵀ + epilogue, row-major (rows × outputs).
///
/// `out[i][j]` depends on row `i` of the operands alone, bit for bit: not on the other rows, their number, or the
/// threads. With [`Isa::Avx512`] and better a sum is one chain of fused multiply-adds along the inputs (of dot products of
/// two or four numbers for bf16 and 8-bit integers where the CPU has them).
///
/// # Panics
/// If the operands' shapes or precisions do not fit each other.
pub fn product<'a>(
    pool: &Pool,
    x: &Rows,
    weight: impl Into<WeightSlice<'a>>,
    epilogue: &Epilogue<'_>,
    out: &mut [f32],
) {
    let weight = weight.into();
    check(x, &weight, epilogue, out);
    if out.is_empty() {
        return;
    }
    let plan = Plan::new(pool.threads(), x, &weight);
    let call = Call { x, weight, epilogue, out: Output::new(out), isa: pool.isa() };
    pool.run(plan.tasks(), |task| plan.run(task, &call));
}

fn check(x: &Rows, weight: &WeightSlice<'_>, epilogue: &Epilogue<'_>, out: &[f32]) {
    let (rows, outputs) = (x.rows(), weight.outputs());
    assert_eq!(x.inputs(), weight.inputs(), "x and the weight have different numbers of inputs");
    assert_eq!(x.precision(), weight.precision(), "x and the weight have different precisions");
    assert_eq!(out.len(), rows * outputs, "the output is not {rows} x {outputs}");
    if let Some(LowRank { u, b }) = &epilogue.low_rank {
        assert_eq!(b.precision(), Precision::F32, "the low-rank product is computed in f32");
        assert_eq!((u.rows(), u.width()), (rows, b.inputs()), "u is not rows x rank");
        assert_eq!(b.outputs(), outputs, "B and the weight have different numbers of outputs");
    }
    if let Some(bias) = epilogue.bias {
        assert_eq!(bias.len(), outputs, "one bias per output was expected");
    }
}

/// One product, as its tiles see it: checked, so that every tile inside the shapes is in bounds.
pub(crate) struct Call<'a> {
    pub(crate) x: &'a Rows,
    pub(crate) weight: WeightSlice<'a>,
    pub(crate) epilogue: &'a Epilogue<'a>,
    pub(crate) out: Output<'a>,
    pub(crate) isa: Isa,
}

impl Call<'_> {
    /// Computes the outputs of some panels for one block of rows.
    ///
    /// # Safety
    /// No other thread may work on the same tile.
    unsafe fn tiles(&self, block: usize, panels: Range<usize>) {
        #[cfg(target_arch = "x86_64")]
        if self.isa >= Isa::Avx512 {
            // SAFETY: the caller keeps others away, and the pool's machine has its `isa`.
            return unsafe { tile_avx512::tiles(self, block, panels) };
        }
        // SAFETY: the caller keeps others away from these panels of this block, and the pool's machine has its `isa`.
        panels.for_each(|panel| unsafe { tile_portable::tile(self, block, panel, self.isa) });
    }
}

/// The output matrix, shared by tasks that write different tiles of it.
pub(crate) struct Output<'a> {
    base: *mut f32,
    length: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: threads reach the numbers only through `part`, whose callers keep to disjoint tiles.
unsafe impl Sync for Output<'_> {}

impl<'a> Output<'a> {
    pub(crate) fn new(out: &'a mut [f32]) -> Output<'a> {
        Output { base: out.as_mut_ptr(), length: out.len(), borrow: PhantomData }
    }

    /// # Safety
    /// Nothing else may hold any of these numbers while the result lives.
    #[expect(clippy::mut_from_ref, reason = "callers keep to disjoint tiles")]
    pub(crate) unsafe fn part(&self, start: usize, length: usize) -> &mut [f32] {
        assert!(start + length <= self.length);
        // SAFETY: in bounds of the matrix that `self` borrows mutably; the caller keeps others away.
        unsafe { std::slice::from_raw_parts_mut(self.base.add(start), length) }
    }
}

/// Packed rows that stay in a core's second-level cache while panels of weights stream past them.
const ROWS_IN_CACHE: usize = 256 << 10;

/// Tasks per thread, so that threads that start late or share their core still end together.
const TASKS_PER_THREAD: usize = 4;

/// How a product is cut into tasks: some blocks of rows times some panels each.
struct Plan {
    blocks: usize,
    panels: usize,
    blocks_per_task: usize,
    panels_per_task: usize,
    /// Panels before the next block of rows: one, which then is still in cache, unless there is only one block.
    panels_at_once: usize,
}

impl Plan {
    fn new(threads: usize, x: &Rows, weight: &WeightSlice<'_>) -> Plan {
        let (blocks, panels) = (x.blocks(), weight.panels());
        let block_bytes = (x.block_height() * x.row_words() * size_of::<u32>()).max(1);
        let block_groups = blocks.div_ceil((ROWS_IN_CACHE / block_bytes).max(1));
        let panel_groups = if threads == 1 { 1 } else { (threads * TASKS_PER_THREAD).div_ceil(block_groups) };
        let panels_per_task = panels.div_ceil(panel_groups);
        let panels_at_once = if blocks == 1 { panels_per_task } else { 1 };
        Plan { blocks, panels, blocks_per_task: blocks.div_ceil(block_groups), panels_per_task, panels_at_once }
    }

    fn tasks(&self) -> usize {
        self.blocks.div_ceil(self.blocks_per_task) * self.panel_tasks()
    }

    fn panel_tasks(&self) -> usize {
        self.panels.div_ceil(self.panels_per_task)
    }

    fn run(&self, task: usize, call: &Call<'_>) {
        let part = |index: usize, size: usize, end: usize| index * size..((index + 1) * size).min(end);
        let blocks = part(task / self.panel_tasks(), self.blocks_per_task, self.blocks);
        let panels = part(task % self.panel_tasks(), self.panels_per_task, self.panels);
        for first in panels.clone().step_by(self.panels_at_once) {
            for block in blocks.clone() {
                // SAFETY: each task has its own blocks and panels.
                unsafe { call.tiles(block, first..panels.end.min(first + self.panels_at_once)) };
            }
        }
    }
}

#[cfg(test)]
mod tests;
