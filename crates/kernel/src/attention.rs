//! Causal attention over caches: a block of query rows meets one panel of keys after the other.
//!
//! A task is one key/value head and a block of rows, each the query of one token and one head of the group that shares
//! the keys. Every row carries a running maximum, a running sum of exponentials and a running sum of values. A panel
//! costs two small products and one softmax over 48 keys; what a row does not see is exactly a no-op for it. So a row's
//! bits depend on its query and on what it sees, not on the rows beside it.

mod softmax_panel;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::Pool;
use crate::block_product::{BlockProduct, Left, Out, Right, TILE_ROWS, Update, fetch};
use crate::kv_cache::{KvCache, PANEL, PANEL_VECTORS, PanelVectors, Part};
use crate::lanes::{Arithmetic, Kernel, LANES, Lanes, Narrow, Vector, dispatch, flat, lanes_for};
use softmax_panel::SoftmaxPanel;

/// Query rows (tokens times heads of a group) of a task: their state stays in the first cache beside a panel.
pub(crate) const BLOCK_ROWS: usize = 48;

/// Blocks that each thread must have before their heads are not spread over threads.
const BLOCKS_A_THREAD: usize = 4;

/// The heads of a layer and what they see.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionShape {
    /// Number of query heads.
    pub heads: usize,
    /// Number of key/value heads; query head `h` reads key/value head `h / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Factor on the query-key products.
    pub scale: f32,
    /// A token at position `p` sees positions `> p - window` only; `None`: everything before it.
    pub window: Option<usize>,
}

impl AttentionShape {
    /// Query heads per key/value head.
    pub(crate) fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Numbers that one token has for the heads of one key/value head.
    pub(crate) fn group_width(&self) -> usize {
        self.group() * self.head_dim
    }

    /// The positions that the token at `position` sees.
    pub(crate) fn sees(&self, position: usize) -> Range<usize> {
        let end = position + 1;
        self.window.map_or(0, |window| end.saturating_sub(window))..end
    }

    /// Tokens whose heads of a group fill a block.
    pub(crate) fn block_tokens(&self) -> usize {
        (BLOCK_ROWS / self.group()).max(1)
    }

    pub(crate) fn check(&self) {
        assert!(self.head_dim > 0 && self.kv_heads > 0, "attention needs heads of some width");
        assert!(self.heads > 0 && self.heads.is_multiple_of(self.kv_heads), "query heads in groups of equal size");
        assert!(self.window != Some(0), "a window holds at least the token itself");
    }
}

/// Query rows that attend to the same keys: to all of `past`, then causally to `own`.
///
/// Row `i` of the span stands at position `past.len() + own_start + i` and sees the keys `0 ..= own_start + i` of `own`.
#[derive(Clone, Debug)]
pub struct Span<'a> {
    /// The rows of the queries and of the result.
    pub rows: Range<usize>,
    /// A prefix that the whole span sees. Neighbouring spans with the same one read it together.
    pub past: Option<&'a KvCache>,
    /// The segment of the query rows themselves, which it already holds.
    pub own: &'a KvCache,
    /// The key of `own` that belongs to the first query row.
    pub own_start: usize,
}

impl Span<'_> {
    fn past_len(&self) -> usize {
        self.past.map_or(0, KvCache::len)
    }

    fn position(&self, row: usize) -> usize {
        self.past_len() + self.own_start + (row - self.rows.start)
    }

    fn shares_past_with(&self, other: &Span<'_>) -> bool {
        matches!((self.past, other.past), (Some(a), Some(b)) if std::ptr::eq(a, b))
    }

    fn check(&self, shape: &AttentionShape) {
        for cache in self.past.into_iter().chain([self.own]) {
            assert_eq!((cache.kv_heads(), cache.head_dim()), (shape.kv_heads, shape.head_dim), "the cache's heads");
        }
        assert!(self.own_start + self.rows.len() <= self.own.len(), "every query row's own key is in the cache");
    }
}

/// Softmax attention of every span's rows: `out = Σ p·v` with `p = softmax(scale · q·k)` over the keys that a row sees.
///
/// `q` and `out` are `m × (heads · head_dim)`. `log_sums`, for the backward pass, is `m × heads` and gets
/// `ln Σ exp(scale · q·k)`. Rows of no span are left as they are.
///
/// A row's bits depend only on its query and on the keys and values that it sees in its segments: not on the other rows
/// and spans, nor on the number of threads.
///
/// # Panics
/// If lengths do not fit the shape, if spans overlap or are not in ascending order of their rows, if a cache has other
/// heads than the shape, or if a span's own cache does not hold the keys of its rows.
pub fn attention(
    pool: &Pool,
    shape: &AttentionShape,
    q: &[f32],
    spans: &[Span<'_>],
    out: &mut [f32],
    log_sums: Option<&mut [f32]>,
) {
    let rows = check(shape, q, spans, out, log_sums.as_deref());
    let blocks = cut(shape, spans);
    let mut owners = vec![None; rows];
    for (index, block) in blocks.iter().enumerate() {
        for piece in block {
            owners[piece.rows.clone()].fill(Some(index));
        }
    }
    let mut outs = deal(out, shape.kv_heads, &owners, blocks.len());
    let mut log_sums = log_sums.map(|log_sums| deal(log_sums, shape.kv_heads, &owners, blocks.len()));
    let mut log_sums = log_sums.iter_mut().flat_map(Dealt::hands);
    let mut tasks: Vec<Task<'_, '_>> = Vec::with_capacity(blocks.len() * shape.kv_heads);
    for (index, out) in outs.hands().enumerate() {
        let (block, kv_head) = (&blocks[index / shape.kv_heads], index % shape.kv_heads);
        tasks.push(Task { shape, q, block, kv_head, out, log_sums: log_sums.next().unwrap_or_default() });
    }
    // Where there are blocks enough for all threads, one takes all heads of a block: they share its memory, and the keys of
    // the next head are on their way while it works on one.
    let at_once = if blocks.len() >= BLOCKS_A_THREAD * pool.threads() { shape.kv_heads } else { 1 };
    pool.chunks(&mut tasks, at_once, |_, tasks| {
        let mut state = State::new(shape);
        tasks.iter_mut().for_each(|task| task.run(pool, &mut state));
    });
}

fn check(shape: &AttentionShape, q: &[f32], spans: &[Span<'_>], out: &[f32], log_sums: Option<&[f32]>) -> usize {
    shape.check();
    let width = shape.heads * shape.head_dim;
    assert!(q.len().is_multiple_of(width), "{} numbers are no rows of {width}", q.len());
    assert_eq!(q.len(), out.len(), "as many results as queries");
    let rows = q.len() / width;
    assert!(log_sums.is_none_or(|sums| sums.len() == rows * shape.heads), "a log-sum for each of {rows} rows and head");
    let mut end = 0;
    for span in spans {
        span.check(shape);
        assert!(end <= span.rows.start && span.rows.end <= rows, "spans ascend within {rows} rows");
        end = span.rows.end;
    }
    rows
}

/// Some rows of one span.
struct Piece<'a> {
    span: &'a Span<'a>,
    rows: Range<usize>,
}

/// Cuts the spans into blocks of up to [`BLOCK_ROWS`] rows; a block goes on over spans with the same past.
fn cut<'a>(shape: &AttentionShape, spans: &'a [Span<'a>]) -> Vec<Vec<Piece<'a>>> {
    let mut blocks: Vec<Vec<Piece<'a>>> = Vec::new();
    let mut room = 0;
    for (index, span) in spans.iter().enumerate() {
        if index == 0 || !span.shares_past_with(&spans[index - 1]) {
            room = 0;
        }
        let mut rows = span.rows.clone();
        while !rows.is_empty() {
            if room == 0 {
                blocks.push(Vec::new());
                room = shape.block_tokens();
            }
            let end = rows.end.min(rows.start + room);
            room -= end - rows.start;
            if let Some(block) = blocks.last_mut() {
                block.push(Piece { span, rows: rows.start..end });
            }
            rows.start = end;
        }
    }
    blocks
}

/// A matrix in parts, one for each row and key/value head, hand after hand.
pub(crate) struct Dealt<'a> {
    parts: Vec<&'a mut [f32]>,
    /// How many parts each hand has.
    counts: Vec<usize>,
}

impl<'a> Dealt<'a> {
    /// The parts of one hand after the other.
    pub(crate) fn hands<'d>(&'d mut self) -> impl Iterator<Item = &'d mut [&'a mut [f32]]> + use<'d, 'a> {
        let mut rest = self.parts.as_mut_slice();
        self.counts.iter().map(move |&count| {
            let (hand, others) = std::mem::take(&mut rest).split_at_mut(count);
            rest = others;
            hand
        })
    }
}

/// Deals a matrix out in parts, one for each row and key/value head, to whom `owners` gives the row. Hand
/// `owner * kv_heads + kv_head` gets its parts in the order of the rows.
pub(crate) fn deal<'a>(
    matrix: &'a mut [f32],
    kv_heads: usize,
    owners: &[Option<usize>],
    owner_count: usize,
) -> Dealt<'a> {
    let mut rows = vec![0; owner_count];
    owners.iter().flatten().for_each(|&owner| rows[owner] += 1);
    let counts: Vec<usize> = rows.iter().flat_map(|&rows| std::iter::repeat_n(rows, kv_heads)).collect();
    let mut end = 0;
    let mut place_after = |&count: &usize| {
        end += count;
        end - count
    };
    let mut places: Vec<usize> = counts.iter().map(&mut place_after).collect();
    let mut parts: Vec<&mut [f32]> = Vec::new();
    parts.resize_with(end, Default::default);
    let width = matrix.len() / (owners.len() * kv_heads).max(1);
    if width > 0 {
        for (index, part) in matrix.chunks_exact_mut(width).enumerate() {
            if let Some(owner) = owners[index / kv_heads] {
                let place = &mut places[owner * kv_heads + index % kv_heads];
                parts[*place] = part;
                *place += 1;
            }
        }
    }
    Dealt { parts, counts }
}

/// One key/value head and one block of rows.
struct Task<'a, 'm> {
    shape: &'a AttentionShape,
    q: &'a [f32],
    block: &'a [Piece<'a>],
    kv_head: usize,
    /// The results of the heads of this group, token by token.
    out: &'a mut [&'m mut [f32]],
    /// Their log-sums; empty if nobody asked.
    log_sums: &'a mut [&'m mut [f32]],
}

impl Task<'_, '_> {
    fn run(&mut self, pool: &Pool, state: &mut State<'_>) {
        state.begin(self.block, self.kv_head, self.q);
        if let Some(past) = self.block.first().and_then(|piece| piece.span.past) {
            state.attend(pool, 0..state.positions.len(), past, self.kv_head, 0);
        }
        let mut start = 0;
        for piece in self.block {
            let end = start + piece.rows.len();
            state.attend(pool, start..end, piece.span.own, self.kv_head, piece.span.past_len());
            start = end;
        }
        self.finish(state);
    }

    fn finish(&mut self, state: &State<'_>) {
        let (group, head_dim) = (self.shape.group(), self.shape.head_dim);
        for (token, out) in self.out.iter_mut().enumerate() {
            for (head, out) in out.chunks_exact_mut(head_dim).enumerate() {
                let row = token * group + head;
                let values = flat(&state.values[row * state.vectors..][..state.vectors]);
                let factor = 1.0 / state.sums[row].sum();
                for (out, value) in out.iter_mut().zip(values) {
                    *out = value * factor;
                }
            }
        }
        for (token, log_sums) in self.log_sums.iter_mut().enumerate() {
            for (head, log_sum) in log_sums.iter_mut().enumerate() {
                let row = token * group + head;
                *log_sum = state.maxima[row] + state.sums[row].sum().ln();
            }
        }
    }
}

/// What the rows of a block carry from panel to panel. Row `token * group + head`.
struct State<'a> {
    shape: &'a AttentionShape,
    /// Vectors of a row of values.
    vectors: usize,
    /// The position of each token.
    positions: Vec<usize>,
    /// The queries times the scale, `head_dim` a row.
    queries: Vec<f32>,
    /// Scores, then weights, of the current panel.
    scores: Vec<Lanes>,
    maxima: Vec<f32>,
    corrections: Vec<f32>,
    sums: Vec<Lanes>,
    values: Vec<Lanes>,
    /// The keys and values of the current panel, where many rows read narrow ones.
    wide: (Vec<Lanes>, Vec<Lanes>),
}

impl<'a> State<'a> {
    fn new(shape: &'a AttentionShape) -> State<'a> {
        State {
            shape,
            vectors: lanes_for(shape.head_dim),
            positions: Vec::new(),
            queries: Vec::new(),
            scores: Vec::new(),
            maxima: Vec::new(),
            corrections: Vec::new(),
            sums: Vec::new(),
            values: Vec::new(),
            wide: (Vec::new(), Vec::new()),
        }
    }

    /// The rows of a block, which have met no key yet.
    fn begin(&mut self, block: &[Piece<'_>], kv_head: usize, q: &[f32]) {
        let (width, group_width) = (self.shape.heads * self.shape.head_dim, self.shape.group_width());
        self.positions.clear();
        self.queries.clear();
        for piece in block {
            for row in piece.rows.clone() {
                self.positions.push(piece.span.position(row));
                let q = &q[row * width + kv_head * group_width..][..group_width];
                self.queries.extend(q.iter().map(|q| q * self.shape.scale));
            }
        }
        let rows = self.positions.len() * self.shape.group();
        filled(&mut self.scores, rows * PANEL_VECTORS, Lanes::ZERO);
        filled(&mut self.maxima, rows, f32::NEG_INFINITY);
        filled(&mut self.corrections, rows, 1.0);
        filled(&mut self.sums, rows, Lanes::ZERO);
        filled(&mut self.values, rows * self.vectors, Lanes::ZERO);
    }

    /// The tokens meet all keys of a segment whose first key has position `start`.
    fn attend(&mut self, pool: &Pool, tokens: Range<usize>, cache: &KvCache, kv_head: usize, start: usize) {
        let seen_by = |token: &usize| self.shape.sees(*token);
        let first = self.positions[tokens.clone()].iter().map(|p| seen_by(p).start).min().unwrap_or(0);
        let end = self.positions[tokens.clone()].iter().map(|p| seen_by(p).end).max().unwrap_or(0);
        let keys = first.saturating_sub(start)..cache.len().min(end.saturating_sub(start));
        for panel in keys.start / PANEL..keys.end.div_ceil(PANEL) {
            let offset = panel * PANEL;
            let seen = keys.start.saturating_sub(offset)..(keys.end - offset).min(PANEL);
            let start = start + offset;
            let next = match offset + PANEL < keys.end {
                true => (panel + 1, kv_head),
                false => (keys.start / PANEL, kv_head + 1),
            };
            match cache.panel((panel, kv_head), next) {
                PanelVectors::F32 { keys, values } => {
                    self.attend_panel(pool, tokens.clone(), Panel { keys, values, start, seen });
                }
                PanelVectors::Bf16 { keys, values } if tokens.len() * self.shape.group() <= TILE_ROWS => {
                    self.attend_panel(pool, tokens.clone(), Panel { keys, values, start, seen });
                }
                PanelVectors::Bf16 { keys, values } => {
                    fetch(keys.ahead);
                    fetch(values.ahead);
                    let mut wide = std::mem::take(&mut self.wide);
                    widen(pool, keys.vectors, &mut wide.0);
                    widen(pool, values.vectors, &mut wide.1);
                    let (keys, values) = (Part { vectors: &wide.0, ahead: &[] }, Part { vectors: &wide.1, ahead: &[] });
                    self.attend_panel(pool, tokens.clone(), Panel { keys, values, start, seen });
                    self.wide = wide;
                }
            }
        }
    }

    fn attend_panel<V: Vector>(&mut self, pool: &Pool, tokens: Range<usize>, panel: Panel<'_, V>) {
        let (group, head_dim, vectors) = (self.shape.group(), self.shape.head_dim, self.vectors);
        let rows = tokens.start * group..tokens.end * group;
        let seen_vectors = panel.seen.start / LANES..lanes_for(panel.seen.end);
        let scores = &mut self.scores[rows.start * PANEL_VECTORS..rows.end * PANEL_VECTORS];
        let values = &mut self.values[rows.start * vectors..rows.end * vectors];
        dispatch(
            pool,
            BlockProduct {
                rows: rows.len(),
                steps: head_dim,
                vectors: seen_vectors.len(),
                left: Left { numbers: &self.queries[rows.start * head_dim..], row: head_dim, step: 1 },
                right: Right {
                    lanes: &panel.keys.vectors[seen_vectors.start..],
                    step: PANEL_VECTORS,
                    ahead: panel.keys.ahead,
                },
                out: Out { lanes: &mut scores[seen_vectors.start..], row: PANEL_VECTORS, update: Update::Overwrite },
            },
        );
        dispatch(
            pool,
            SoftmaxPanel {
                shape: self.shape,
                positions: &self.positions[tokens],
                start: panel.start,
                seen: panel.seen.clone(),
                scores,
                maxima: &mut self.maxima[rows.clone()],
                corrections: &mut self.corrections[rows.clone()],
                sums: &mut self.sums[rows.clone()],
                values,
            },
        );
        dispatch(
            pool,
            BlockProduct {
                rows: rows.len(),
                steps: panel.seen.len(),
                vectors,
                left: Left { numbers: &flat(scores)[panel.seen.start..], row: PANEL, step: 1 },
                right: Right {
                    lanes: &panel.values.vectors[panel.seen.start * vectors..],
                    step: vectors,
                    ahead: panel.values.ahead,
                },
                out: Out { lanes: values, row: vectors, update: Update::Accumulate },
            },
        );
    }
}

/// Makes a vector so many equal values, in the memory that it has.
fn filled<T: Clone>(vector: &mut Vec<T>, count: usize, value: T) {
    vector.clear();
    vector.resize(count, value);
}

/// One panel of one key/value head.
struct Panel<'a, V> {
    keys: Part<'a, V>,
    values: Part<'a, V>,
    /// The position of the first key.
    start: usize,
    /// The keys that some row of the block sees.
    seen: Range<usize>,
}

/// Widens whole vectors, once for the many rows that read them.
fn widen(pool: &Pool, narrow: &[Narrow], wide: &mut Vec<Lanes>) {
    wide.resize(narrow.len(), Lanes::ZERO);
    dispatch(pool, Widen { narrow, wide });
}

struct Widen<'a> {
    narrow: &'a [Narrow],
    wide: &'a mut [Lanes],
}

impl Kernel for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        for (narrow, wide) in self.narrow.iter().zip(self.wide) {
            *wide = narrow.widen();
        }
    }
}

/// Replaces the scores of keys outside a range of positions by minus infinity, in rows of a panel of `len` keys, the
/// first of which stands at `position`.
#[inline(always)]
pub(crate) fn hide_unseen(rows: &mut [f32], sees: Range<usize>, position: usize, len: usize) {
    let local = |end: usize| end.saturating_sub(position).min(len);
    let (start, end) = (local(sees.start), local(sees.end));
    if (start, end) == (0, PANEL) {
        return;
    }
    for row in rows.chunks_exact_mut(PANEL) {
        row[..start].fill(f32::NEG_INFINITY);
        row[end..].fill(f32::NEG_INFINITY);
    }
}
