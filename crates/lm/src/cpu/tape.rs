//! What a scored batch keeps for its backward pass.

use std::ops::Range;
use std::sync::Arc;

use half::bf16;
use kernel::{Pool, Precision};

use super::batch::{Batch, KvStore};
use super::forward::Activations;
use super::head::HeadScores;
use crate::{Architecture, Group, LoraShape, ScoreOptions, Token};

/// The tape of one [`score_with_tape`](crate::Engine::score_with_tape): one chunk a packed batch.
pub struct Tape {
    pub(super) chunks: Vec<Chunk>,
    pub(super) shape: LoraShape,
    pub(super) options: ScoreOptions,
}

/// One packed batch: as many groups as fit the row limit.
pub(super) struct Chunk {
    pub(super) batch: Batch,
    pub(super) store: KvStore,
    pub(super) states: States,
    pub(super) head: HeadScores,
    /// Residual stream after the last layer at the states (states × hidden), before and after the final norm.
    pub(super) last: Vec<f32>,
    pub(super) normed: Vec<f32>,
    pub(super) layers: Vec<KeptLayer>,
    /// Where the batch's rows lie in what the layers keep, unless they are all of it in order.
    pub(super) rows: Option<Vec<usize>>,
}

impl Chunk {
    /// With what its layers keep, and where its rows lie there.
    pub(super) fn with_layers(self, layers: Vec<KeptLayer>, rows: Option<Vec<usize>>) -> Chunk {
        Chunk { layers, rows, ..self }
    }
}

/// The rows whose hidden state is read, and what is read there.
#[derive(Default)]
pub(super) struct States {
    /// Row of each state in the batch.
    pub(super) rows: Vec<usize>,
    /// Tokens whose log-probability is wanted at each state.
    pub(super) wanted: Vec<Vec<Token>>,
    /// [group][continuation][token]: where its log-probability lies, (state, place among the wanted).
    pub(super) places: Vec<Vec<Vec<(usize, usize)>>>,
    /// [group][continuation]: the state of the continuation's last token, when heads read it.
    pub(super) last: Vec<Vec<usize>>,
}

impl States {
    /// Lay out the states of one group: the prefix's last row predicts every first token.
    pub(super) fn push(&mut self, group: &Group, prefix_last: usize, starts: &[usize], with_last: bool) {
        let shared = self.state(prefix_last);
        let mut places = Vec::with_capacity(group.continuations.len());
        let mut last = Vec::with_capacity(group.continuations.len());
        for (continuation, &start) in group.continuations.iter().zip(starts) {
            let mut state = shared;
            let mut line = Vec::with_capacity(continuation.len());
            for (index, &token) in continuation.iter().enumerate() {
                if index > 0 {
                    state = self.state(start + index - 1);
                }
                self.wanted[state].push(token);
                line.push((state, self.wanted[state].len() - 1));
            }
            if with_last && !continuation.is_empty() {
                state = self.state(start + continuation.len() - 1);
            }
            places.push(line);
            last.push(state);
        }
        self.places.push(places);
        self.last.push(last);
    }

    /// Lay out the states of one group that is read at its continuations' ends alone: at the prefix's where one is empty.
    pub(super) fn push_ends(&mut self, group: &Group, prefix_last: usize, starts: &[usize]) {
        let end = |(continuation, start): (&Vec<Token>, &usize)| match continuation.len() {
            0 => prefix_last,
            length => start + length - 1,
        };
        self.places.push(vec![Vec::new(); group.continuations.len()]);
        let last = group.continuations.iter().zip(starts).map(end).map(|row| self.state(row)).collect();
        self.last.push(last);
    }

    /// [group][continuation] → number of scored tokens.
    pub(super) fn lengths(&self) -> impl Iterator<Item = Vec<usize>> + '_ {
        self.places.iter().map(|group| group.iter().map(Vec::len).collect())
    }

    fn state(&mut self, row: usize) -> usize {
        self.rows.push(row);
        self.wanted.push(Vec::new());
        self.rows.len() - 1
    }
}

/// A layer's activations between forward and backward.
pub(super) enum KeptLayer {
    /// Only the residual stream at its entry: the rest is computed again.
    Entry(Vec<f32>),
    /// All that backward reads. A recording may hold it too.
    All(Arc<KeptActivations>),
}

/// Bytes that a tape keeps for one token when it keeps all activations.
pub fn tape_bytes_per_token(architecture: &Architecture, precision: crate::Precision) -> usize {
    let a = architecture;
    let (query, key) = (a.heads * a.head_dim, a.kv_heads * a.head_dim);
    let exact = query + a.heads + if a.query_key_norm { query + key } else { 0 };
    let rounded = 2 * a.hidden + 2 * key + query + 2 * a.feed_forward + if a.post_norms { 2 * a.hidden } else { 0 };
    let width = if precision == crate::Precision::F32 { 4 } else { 2 };
    a.layers * (exact * 4 + rounded * width)
}

/// A layer's activations of some rows. Queries and what the softmax depends on stay f32, for probabilities are recomputed
/// from them; the rest is kept in the precision the products read it in, and keys and values in that of the caches, which
/// is the same.
#[derive(Default)]
pub(super) struct KeptActivations {
    rows: usize,
    /// Rows that will come, as far as is known: memory for all of them is taken at once.
    expected: usize,
    exact: [Kept; 8],
    rounded: [Kept; 9],
}

/// What is kept exactly, and what may be rounded.
fn parts(a: &mut Activations) -> ([&mut Vec<f32>; 8], [&mut Vec<f32>; 9]) {
    let [u0, u1, u2, u3] = &mut a.u;
    let exact = [&mut a.queries, &mut a.log_sums, &mut a.raw_queries, &mut a.raw_keys, u0, u1, u2, u3];
    let rounded = [
        &mut a.entry,
        &mut a.middle,
        &mut a.keys,
        &mut a.values,
        &mut a.attended,
        &mut a.gate,
        &mut a.up,
        &mut a.attention_out,
        &mut a.feed_forward_out,
    ];
    (exact, rounded)
}

impl KeptActivations {
    /// Without rows, but with the memory of those it had, for so many.
    pub(super) fn emptied(mut self, expected: usize) -> KeptActivations {
        (self.rows, self.expected) = (0, expected);
        self.exact.iter_mut().chain(&mut self.rounded).for_each(|kept| kept.filled = 0);
        self
    }

    /// Keep a layer's activations of so many more rows.
    pub(super) fn append(&mut self, pool: &Pool, rows: usize, a: &mut Activations, precision: Precision) {
        self.rows += rows;
        let room = self.expected.max(self.rows);
        let (exact, rounded) = parts(a);
        for (values, kept) in exact.into_iter().zip(&mut self.exact) {
            kept.append(pool, values, room * (values.len() / rows.max(1)), Precision::F32);
        }
        for (values, kept) in rounded.into_iter().zip(&mut self.rounded) {
            kept.append(pool, values, room * (values.len() / rows.max(1)), precision);
        }
    }

    /// Bring activations back: of all rows, or of some in a certain order.
    pub(super) fn restore(&self, pool: &Pool, rows: Option<&[usize]>, precision: Precision, a: &mut Activations) {
        let chosen = Chosen { rows, of: self.rows };
        let (exact, rounded) = parts(a);
        exact.into_iter().zip(&self.exact).for_each(|(out, kept)| kept.restore(pool, chosen, Precision::F32, out));
        rounded.into_iter().zip(&self.rounded).for_each(|(out, kept)| kept.restore(pool, chosen, precision, out));
    }
}

/// Some rows of so many, or all of them.
#[derive(Clone, Copy)]
struct Chosen<'a> {
    rows: Option<&'a [usize]>,
    of: usize,
}

/// Values of one kind, row after row, in one of two precisions; the other is empty. Behind the `filled` ones lies memory for
/// more.
#[derive(Default)]
struct Kept {
    f32: Vec<f32>,
    bf16: Vec<bf16>,
    filled: usize,
}

impl Kept {
    /// Append values where there is, or is made, room for so many in all.
    fn append(&mut self, pool: &Pool, values: &[f32], room: usize, precision: Precision) {
        let place = self.filled..self.filled + values.len();
        self.filled = place.end;
        match precision {
            Precision::F32 => grown(&mut self.f32, place, room, 0.0).copy_from_slice(values),
            Precision::Bf16 | Precision::Int8 => {
                kernel::to_bf16(pool, values, grown(&mut self.bf16, place, room, bf16::ZERO));
            }
        }
    }

    fn restore(&self, pool: &Pool, chosen: Chosen<'_>, precision: Precision, out: &mut Vec<f32>) {
        match precision {
            Precision::F32 => chosen.copy(pool, &self.f32[..self.filled], out, |from, out| out.copy_from_slice(from)),
            Precision::Bf16 | Precision::Int8 => {
                chosen.copy(pool, &self.bf16[..self.filled], out, |from, out| kernel::from_bf16(pool, from, out));
            }
        }
    }
}

/// A part of a vector, which grows if it ends before: to memory for `room` values at least.
fn grown<T: Copy>(vector: &mut Vec<T>, place: Range<usize>, room: usize, zero: T) -> &mut [T] {
    if vector.len() < place.end {
        vector.reserve_exact(room.max(place.end) - vector.len());
        vector.resize(place.end, zero);
    }
    &mut vector[place]
}

impl Chosen<'_> {
    /// Rows of `from` to `out`.
    fn copy<T: Sync>(self, pool: &Pool, from: &[T], out: &mut Vec<f32>, copy: impl Fn(&[T], &mut [f32]) + Sync) {
        /// Numbers that a task copies, and no fewer than a row.
        const TASK: usize = 1 << 13;
        let width = from.len() / self.of.max(1);
        out.resize(self.rows.map_or(from.len(), |rows| rows.len() * width), 0.0);
        if width == 0 {
            return;
        }
        let rows_per_task = (TASK / width).max(1);
        pool.chunks(out, rows_per_task * width, |task, out| {
            let first = task * rows_per_task;
            match self.rows {
                None => copy(&from[first * width..][..out.len()], out),
                Some(rows) => {
                    for (row, out) in rows[first..].iter().zip(out.chunks_mut(width)) {
                        copy(&from[row * width..][..width], out);
                    }
                }
            }
        });
    }
}
