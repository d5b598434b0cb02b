//! What a scored batch keeps for its backward pass.

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
    /// All that backward reads.
    All(Box<KeptActivations>),
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

/// Queries and what the softmax depends on stay f32, for probabilities are recomputed from them; the rest is kept in the
/// precision the products read it in, and keys and values in that of the caches, which is the same.
#[derive(Default)]
pub(super) struct KeptActivations {
    exact: [Vec<f32>; 4],
    u: [Vec<f32>; 4],
    rounded: [Kept; 9],
}

/// Values of one kind, in one of two precisions; the other is empty.
#[derive(Default)]
struct Kept {
    f32: Vec<f32>,
    bf16: Vec<bf16>,
}

impl Kept {
    fn store(&mut self, pool: &Pool, values: &[f32], precision: Precision) {
        match precision {
            Precision::F32 => copy(values, &mut self.f32),
            Precision::Bf16 | Precision::Int8 => {
                self.bf16.resize(values.len(), bf16::ZERO);
                kernel::to_bf16(pool, values, &mut self.bf16);
            }
        }
    }

    fn restore(&self, pool: &Pool, precision: Precision, out: &mut Vec<f32>) {
        match precision {
            Precision::F32 => copy(&self.f32, out),
            Precision::Bf16 | Precision::Int8 => {
                out.resize(self.bf16.len(), 0.0);
                kernel::from_bf16(pool, &self.bf16, out);
            }
        }
    }
}

fn copy(from: &[f32], to: &mut Vec<f32>) {
    to.clear();
    to.extend_from_slice(from);
}

impl KeptActivations {
    /// Take over a layer's activations, reusing the memory of those held before.
    pub(super) fn keep(&mut self, pool: &Pool, a: &Activations, precision: Precision) {
        let exact = [&a.queries, &a.log_sums, &a.raw_queries, &a.raw_keys];
        exact.into_iter().zip(&mut self.exact).for_each(|(values, kept)| copy(values, kept));
        a.u.iter().zip(&mut self.u).for_each(|(values, kept)| copy(values, kept));
        let rounded = [
            &a.entry,
            &a.middle,
            &a.keys,
            &a.values,
            &a.attended,
            &a.gate,
            &a.up,
            &a.attention_out,
            &a.feed_forward_out,
        ];
        rounded.into_iter().zip(&mut self.rounded).for_each(|(values, kept)| kept.store(pool, values, precision));
    }

    /// Bring the activations back.
    pub(super) fn restore(&self, pool: &Pool, precision: Precision, a: &mut Activations) {
        let exact = [&mut a.queries, &mut a.log_sums, &mut a.raw_queries, &mut a.raw_keys];
        exact.into_iter().zip(&self.exact).for_each(|(out, kept)| copy(kept, out));
        a.u.iter_mut().zip(&self.u).for_each(|(out, kept)| copy(kept, out));
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
        rounded.into_iter().zip(&self.rounded).for_each(|(out, kept)| kept.restore(pool, precision, out));
    }
}
