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

mod panel;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::Pool;
use crate::attention::{AttentionShape, deal};
use crate::kv_cache::PANEL;
use crate::lanes::{LANES, Lanes, flat, lanes_for};
use panel::Panel;

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
    let deal = |matrix| deal(matrix, shape.kv_heads, &owners, groups.len());
    let (mut d_q, mut d_k, mut d_v) = (deal(gradients.q), deal(gradients.k), deal(gradients.v));
    let parts = d_q.hands().zip(d_k.hands()).zip(d_v.hands()).enumerate();
    let mut tasks: Vec<Task<'_, '_>> = parts
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
struct Task<'a, 'm> {
    shape: &'a AttentionShape,
    tape: AttentionTape<'a>,
    d_out: &'a [f32],
    group: &'a Group,
    kv_head: usize,
    /// Gradients to write, token by token: of the heads that share the keys, of the keys, of the values.
    d_q: &'a mut [&'m mut [f32]],
    d_k: &'a mut [&'m mut [f32]],
    d_v: &'a mut [&'m mut [f32]],
}

impl Task<'_, '_> {
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
        queries.store(self.shape, self.d_q);
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
    fn new(task: &Task<'_, '_>) -> Queries {
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
