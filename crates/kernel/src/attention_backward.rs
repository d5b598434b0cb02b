//! The gradient of attention over packed rows.
//!
//! A task is one key/value head of one group: a segment and the segments that continue it. It walks over the panels of
//! keys and, for each, over the blocks of query rows that see it, recomputes their weights from the saved log-sums and
//! adds to three sums: the gradients of the panel's keys and values, complete when the walk leaves the panel, and those
//! of the queries, complete at the end. So every sum has one order, whatever the number of threads:
//!
//! ```text
//! P = exp(scale · Q Kᵀ − L)        dP = dO Vᵀ        dS = P ∘ (dP − D)        D = Σ dO ∘ O
//! dV += Pᵀ dO        dK += dSᵀ (scale · Q)        dQ += scale · dS K
//! ```

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::Pool;
use crate::attention::{AttentionShape, deal, hide_unseen};
use crate::block_product::{BlockProduct, Left, Out, Right, Update};
use crate::exponential::exp;
use crate::kv_cache::{PANEL, PANEL_VECTORS};
use crate::lanes::{Arithmetic, Kernel, LANES, Lanes, dispatch, flat, flat_mut, lanes_for};

/// A segment of packed rows. Its rows see the whole prefix, then causally each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The rows of the segment.
    pub rows: Range<usize>,
    /// The rows of the segment that it continues, itself an earlier branch without a prefix.
    pub prefix: Option<Range<usize>>,
}

/// What the forward pass read and wrote, packed: `m` rows.
#[derive(Clone, Copy, Debug)]
pub struct AttentionTape<'a> {
    /// Queries, `m × (heads · head_dim)`.
    pub q: &'a [f32],
    /// Keys, `m × (kv_heads · head_dim)`.
    pub k: &'a [f32],
    /// Values, `m × (kv_heads · head_dim)`.
    pub v: &'a [f32],
    /// The result, `m × (heads · head_dim)`.
    pub out: &'a [f32],
    /// `ln Σ exp(scale · q·k)`, `m × heads`.
    pub log_sums: &'a [f32],
}

/// Where the gradients go; shaped as their namesakes in [`AttentionTape`].
#[derive(Debug)]
pub struct AttentionGradients<'a> {
    /// Of the queries.
    pub q: &'a mut [f32],
    /// Of the keys.
    pub k: &'a mut [f32],
    /// Of the values.
    pub v: &'a mut [f32],
}

/// Writes the gradients of the queries, keys and values from that of the result, `d_out`. Those of a prefix's keys and
/// values are summed over all branches that continue it, in their order. Rows of no branch are left as they are.
///
/// # Panics
/// If lengths do not fit the shape, if branches overlap or are not in ascending order of their rows, or if a prefix is
/// not an earlier branch without a prefix of its own.
pub fn attention_backward(
    pool: &Pool,
    shape: &AttentionShape,
    branches: &[Branch],
    tape: AttentionTape<'_>,
    d_out: &[f32],
    gradients: AttentionGradients<'_>,
) {
    let rows = check(shape, branches, &tape, d_out, &gradients);
    let groups = Group::all(branches);
    let mut owners = vec![None; rows];
    for (index, group) in groups.iter().enumerate() {
        for segment in &group.segments {
            owners[segment.rows.clone()].fill(Some(index));
        }
    }
    let deal = |matrix| deal(matrix, shape.kv_heads, &owners, groups.len()).into_iter();
    let parts = deal(gradients.q).zip(deal(gradients.k)).zip(deal(gradients.v)).enumerate();
    let mut tasks: Vec<Task<'_>> = parts
        .map(|(index, ((d_q, d_k), d_v))| {
            let (group, kv_head) = (&groups[index / shape.kv_heads], index % shape.kv_heads);
            Task { shape, tape, d_out, group, kv_head, d_q, d_k, d_v }
        })
        .collect();
    pool.chunks(&mut tasks, 1, |_, task| task.iter_mut().for_each(|task| task.run(pool)));
}

fn check(
    shape: &AttentionShape,
    branches: &[Branch],
    tape: &AttentionTape<'_>,
    d_out: &[f32],
    gradients: &AttentionGradients<'_>,
) -> usize {
    shape.check();
    let (wide, narrow) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
    let rows = tape.q.len() / wide;
    for length in [tape.q.len(), tape.out.len(), d_out.len(), gradients.q.len()] {
        assert_eq!(length, rows * wide, "{rows} rows of all query heads");
    }
    for length in [tape.k.len(), tape.v.len(), gradients.k.len(), gradients.v.len()] {
        assert_eq!(length, rows * narrow, "{rows} rows of all key/value heads");
    }
    assert_eq!(tape.log_sums.len(), rows * shape.heads, "a log-sum for each row and head");
    let mut end = 0;
    for branch in branches {
        assert!(end <= branch.rows.start && branch.rows.end <= rows, "branches ascend within {rows} rows");
        end = branch.rows.end;
    }
    rows
}

/// A branch within its group.
struct Segment {
    /// Its rows of the batch.
    rows: Range<usize>,
    /// Its tokens, counted over the group.
    tokens: Range<usize>,
    /// The position of its first token.
    position: usize,
}

/// A segment without a prefix, then those that continue it.
struct Group {
    segments: Vec<Segment>,
}

impl Group {
    fn all(branches: &[Branch]) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for Branch { rows, prefix } in branches {
            let tokens = 0..rows.len();
            match prefix {
                None => groups.push(Group { segments: vec![Segment { rows: rows.clone(), tokens, position: 0 }] }),
                Some(prefix) => {
                    let group = groups.iter_mut().find(|group| group.segments[0].rows == *prefix);
                    assert!(group.is_some(), "the prefix {prefix:?} is an earlier branch without a prefix");
                    let segments = group.map(|group| &mut group.segments).into_iter();
                    segments.for_each(|segments| {
                        let start = segments.last().map_or(0, |last| last.tokens.end);
                        let tokens = start..start + rows.len();
                        segments.push(Segment { rows: rows.clone(), tokens, position: prefix.len() });
                    });
                }
            }
        }
        groups
    }

    fn tokens(&self) -> usize {
        self.segments.last().map_or(0, |last| last.tokens.end)
    }
}

/// One key/value head of one group.
struct Task<'a> {
    shape: &'a AttentionShape,
    tape: AttentionTape<'a>,
    d_out: &'a [f32],
    group: &'a Group,
    kv_head: usize,
    /// Gradients to write, token by token: of the heads that share the keys, of the keys, of the values.
    d_q: Vec<&'a mut [f32]>,
    d_k: Vec<&'a mut [f32]>,
    d_v: Vec<&'a mut [f32]>,
}

impl Task<'_> {
    fn run(&mut self, pool: &Pool) {
        let mut queries = Queries::new(self);
        let mut panel = Panel::new(self.shape);
        let segments = &self.group.segments;
        for (index, keys) in segments.iter().enumerate() {
            // The first segment is seen by all, the others only by themselves.
            let seen_by = if index == 0 { &segments[..] } else { &segments[index..=index] };
            for start in keys.tokens.clone().step_by(PANEL) {
                let tokens = start..keys.tokens.end.min(start + PANEL);
                let position = keys.position + (start - keys.tokens.start);
                let row = keys.rows.start + (start - keys.tokens.start);
                panel.load(&self.tape, self.kv_head, row..row + tokens.len(), position);
                for segment in seen_by {
                    for start in segment.tokens.clone().step_by(self.shape.block_tokens()) {
                        let end = segment.tokens.end.min(start + self.shape.block_tokens());
                        let position = segment.position + (start - segment.tokens.start);
                        panel.meet(pool, &mut queries, start..end, position);
                    }
                }
                panel.store(&mut self.d_k[tokens.clone()], &mut self.d_v[tokens]);
            }
        }
        queries.store(self.shape, &mut self.d_q);
    }
}

/// The query rows of a task; row `token * group + head`.
struct Queries {
    /// Vectors of a row.
    vectors: usize,
    /// Queries times the scale.
    scaled: Vec<Lanes>,
    d_out: Vec<Lanes>,
    log_sums: Vec<f32>,
    /// `Σ dO ∘ O`: what the softmax takes off each gradient of a weight.
    deltas: Vec<f32>,
    /// Gradients of the queries, but for the scale.
    gradients: Vec<Lanes>,
}

impl Queries {
    fn new(task: &Task<'_>) -> Queries {
        let Task { shape, tape, .. } = task;
        let (group, head_dim, vectors) = (shape.group(), shape.head_dim, lanes_for(shape.head_dim));
        let rows = task.group.tokens() * group;
        let mut queries = Queries {
            vectors,
            scaled: Vec::with_capacity(rows * vectors),
            d_out: Vec::with_capacity(rows * vectors),
            log_sums: Vec::with_capacity(rows),
            deltas: Vec::with_capacity(rows),
            gradients: vec![Lanes::ZERO; rows * vectors],
        };
        for row in task.group.segments.iter().flat_map(|segment| segment.rows.clone()) {
            for head in task.kv_head * group..(task.kv_head + 1) * group {
                let place = (row * shape.heads + head) * head_dim..(row * shape.heads + head + 1) * head_dim;
                let products = lanes_of(&task.d_out[place.clone()])
                    .zip(lanes_of(&tape.out[place.clone()]))
                    .map(|(d_out, out)| d_out.zip(out, |a, b| a * b));
                queries.deltas.push(products.fold(Lanes::ZERO, Lanes::plus).sum());
                queries.log_sums.push(tape.log_sums[row * shape.heads + head]);
                queries.scaled.extend(lanes_of(&tape.q[place.clone()]).map(|q| q.times(shape.scale)));
                queries.d_out.extend(lanes_of(&task.d_out[place]));
            }
        }
        queries
    }

    fn store(&self, shape: &AttentionShape, d_q: &mut [&mut [f32]]) {
        let heads = d_q.iter_mut().flat_map(|d_q| d_q.chunks_exact_mut(shape.head_dim));
        for (d_q, gradient) in heads.zip(self.gradients.chunks_exact(self.vectors)) {
            for (d_q, gradient) in d_q.iter_mut().zip(flat(gradient)) {
                *d_q = gradient * shape.scale;
            }
        }
    }
}

/// A row of numbers as vectors, the last one padded with zeros.
fn lanes_of(row: &[f32]) -> impl Iterator<Item = Lanes> {
    row.chunks(LANES).map(Lanes::load)
}

/// Up to [`PANEL`] keys of one key/value head, with their gradients and the weights of a block of queries.
struct Panel<'a> {
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
    fn new(shape: &'a AttentionShape) -> Panel<'a> {
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
    fn load(&mut self, tape: &AttentionTape<'_>, kv_head: usize, rows: Range<usize>, position: usize) {
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
    fn meet(&mut self, pool: &Pool, queries: &mut Queries, tokens: Range<usize>, position: usize) {
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
                    right: Right { lanes: &right[vectors.start..], step: PANEL_VECTORS },
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
            right: Right { lanes, step: vectors },
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
                right: Right { lanes: &self.keys[key_part], step: vectors },
                out: out(&mut queries.gradients[query_part]),
            },
        );
    }

    fn store(&self, d_k: &mut [&mut [f32]], d_v: &mut [&mut [f32]]) {
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
