//! One panel of keys and values, met by one block of query rows after the other.

use std::ops::Range;

use super::{AttentionTape, Queries};
use crate::Pool;
use crate::attention::{AttentionShape, hide_unseen};
use crate::block_product::{BlockProduct, Left, Out, Right, Update};
use crate::exponential::exp;
use crate::kv_cache::{PANEL, PANEL_VECTORS};
use crate::lanes::{Arithmetic, Kernel, LANES, Lanes, dispatch, flat, flat_mut, lanes_for};

/// Up to [`PANEL`] keys of one key/value head, with their gradients and the weights of a block of queries.
pub(super) struct Panel<'a> {
    shape: &'a AttentionShape,
    vectors: usize,
    len: usize,
    /// The position of the first key.
    position: usize,
    keys: Vec<Lanes>,
    keys_transposed: Vec<Lanes>,
    values_transposed: Vec<Lanes>,
    d_keys: Vec<Lanes>,
    d_values: Vec<Lanes>,
    /// Of a block of query rows: the weights, and the gradients of the scores.
    weights: Vec<Lanes>,
    d_scores: Vec<Lanes>,
}

impl<'a> Panel<'a> {
    pub(super) fn new(shape: &'a AttentionShape) -> Panel<'a> {
        let vectors = lanes_for(shape.head_dim);
        let rows = || vec![Lanes::ZERO; PANEL * vectors];
        let transposed = || vec![Lanes::ZERO; shape.head_dim * PANEL_VECTORS];
        let block = || vec![Lanes::ZERO; shape.block_tokens() * shape.group() * PANEL_VECTORS];
        Panel {
            shape,
            vectors,
            len: 0,
            position: 0,
            keys: rows(),
            keys_transposed: transposed(),
            values_transposed: transposed(),
            d_keys: rows(),
            d_values: rows(),
            weights: block(),
            d_scores: block(),
        }
    }

    /// Takes the keys and values of these rows of the batch and zeroes their gradients.
    pub(super) fn load(&mut self, tape: &AttentionTape<'_>, kv_head: usize, rows: Range<usize>, position: usize) {
        (self.len, self.position) = (rows.len(), position);
        let head_dim = self.shape.head_dim;
        let keys_transposed = flat_mut(&mut self.keys_transposed);
        let values_transposed = flat_mut(&mut self.values_transposed);
        for (place, row) in rows.enumerate() {
            let start = (row * self.shape.kv_heads + kv_head) * head_dim;
            let (key, value) = (&tape.k[start..start + head_dim], &tape.v[start..start + head_dim]);
            for (slot, part) in self.keys[place * self.vectors..].iter_mut().zip(key.chunks(LANES)) {
                *slot = Lanes::load(part);
            }
            for (index, (key, value)) in key.iter().zip(value).enumerate() {
                keys_transposed[index * PANEL + place] = *key;
                values_transposed[index * PANEL + place] = *value;
            }
        }
        self.d_keys.fill(Lanes::ZERO);
        self.d_values.fill(Lanes::ZERO);
    }

    /// Adds what the queries of these tokens, the first at `position`, give to the gradients.
    pub(super) fn meet(&mut self, pool: &Pool, queries: &mut Queries, tokens: Range<usize>, position: usize) {
        let first = self.shape.sees(position).start.saturating_sub(self.position);
        let last = (position + tokens.len()).saturating_sub(self.position);
        let seen = first.min(self.len)..last.min(self.len);
        if seen.is_empty() {
            return;
        }
        let rows = tokens.start * self.shape.group()..tokens.end * self.shape.group();
        self.weigh(pool, queries, rows.clone(), position, seen.clone());
        self.accumulate(pool, queries, rows, seen);
    }

    /// The weights of a block of query rows, and the gradients of its scores.
    fn weigh(&mut self, pool: &Pool, queries: &Queries, rows: Range<usize>, position: usize, seen: Range<usize>) {
        let vectors = seen.start / LANES..lanes_for(seen.end);
        let scores = |left: &[Lanes], right: &[Lanes], out: &mut [Lanes]| {
            dispatch(
                pool,
                BlockProduct {
                    rows: rows.len(),
                    steps: self.shape.head_dim,
                    vectors: vectors.len(),
                    left: Left {
                        numbers: &flat(left)[rows.start * self.vectors * LANES..],
                        row: self.vectors * LANES,
                        step: 1,
                    },
                    right: Right { lanes: &right[vectors.start..], step: PANEL_VECTORS, ahead: &[] },
                    out: Out { lanes: &mut out[vectors.start..], row: PANEL_VECTORS, update: Update::Overwrite },
                },
            );
        };
        scores(&queries.scaled, &self.keys_transposed, &mut self.weights);
        scores(&queries.d_out, &self.values_transposed, &mut self.d_scores);
        dispatch(
            pool,
            Weigh {
                shape: self.shape,
                query: position,
                key: self.position,
                vectors,
                len: self.len,
                log_sums: &queries.log_sums[rows.clone()],
                deltas: &queries.deltas[rows],
                weights: &mut self.weights,
                d_scores: &mut self.d_scores,
            },
        );
    }

    /// The three products that the weights and the gradients of the scores go into.
    fn accumulate(&mut self, pool: &Pool, queries: &mut Queries, rows: Range<usize>, seen: Range<usize>) {
        let vectors = self.vectors;
        let query_part = rows.start * vectors..rows.end * vectors;
        let key_part = seen.start * vectors..seen.end * vectors;
        let (weights, d_scores) = (&flat(&self.weights)[seen.start..], &flat(&self.d_scores)[seen.start..]);
        let out = |lanes| Out { lanes, row: vectors, update: Update::Accumulate };
        let of_keys = |numbers, lanes, sums| BlockProduct {
            rows: seen.len(),
            steps: rows.len(),
            vectors,
            left: Left { numbers, row: 1, step: PANEL },
            right: Right { lanes, step: vectors, ahead: &[] },
            out: out(sums),
        };
        dispatch(pool, of_keys(weights, &queries.d_out[query_part.clone()], &mut self.d_values[key_part.clone()]));
        dispatch(pool, of_keys(d_scores, &queries.scaled[query_part.clone()], &mut self.d_keys[key_part.clone()]));
        dispatch(
            pool,
            BlockProduct {
                rows: rows.len(),
                steps: seen.len(),
                vectors,
                left: Left { numbers: d_scores, row: PANEL, step: 1 },
                right: Right { lanes: &self.keys[key_part], step: vectors, ahead: &[] },
                out: out(&mut queries.gradients[query_part]),
            },
        );
    }

    pub(super) fn store(&self, d_k: &mut [&mut [f32]], d_v: &mut [&mut [f32]]) {
        let store = |parts: &mut [&mut [f32]], sums: &[Lanes]| {
            for (part, sums) in parts.iter_mut().zip(sums.chunks_exact(self.vectors)) {
                part.copy_from_slice(&flat(sums)[..part.len()]);
            }
        };
        store(d_k, &self.d_keys);
        store(d_v, &self.d_values);
    }
}

/// Scores become weights, and gradients of weights become gradients of scores; both zero where a key is not seen.
struct Weigh<'a> {
    shape: &'a AttentionShape,
    /// The positions of the first query and of the first key.
    query: usize,
    key: usize,
    /// The vectors of a row that hold scores.
    vectors: Range<usize>,
    /// The number of keys.
    len: usize,
    log_sums: &'a [f32],
    deltas: &'a [f32],
    weights: &'a mut [Lanes],
    d_scores: &'a mut [Lanes],
}

impl Kernel for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let group = self.shape.group() * PANEL_VECTORS;
        for (query, scores) in
            (self.query..).zip(self.weights.chunks_exact_mut(group)).take(self.log_sums.len() / self.shape.group())
        {
            hide_unseen(flat_mut(scores), self.shape.sees(query), self.key, self.len);
        }
        let weights = self.weights.chunks_exact_mut(PANEL_VECTORS);
        let d_scores = self.d_scores.chunks_exact_mut(PANEL_VECTORS);
        let rows = self.log_sums.iter().zip(self.deltas);
        for ((weights, d_scores), (log_sum, delta)) in weights.zip(d_scores).zip(rows) {
            let (weights, d_scores) = (&mut weights[self.vectors.clone()], &mut d_scores[self.vectors.clone()]);
            for (weight, d_score) in weights.iter_mut().zip(d_scores) {
                *weight = weight.map(|score| exp::<A>(score - log_sum));
                *d_score = weight.zip(*d_score, |weight, d_weight| weight * (d_weight - delta));
            }
        }
    }
}
