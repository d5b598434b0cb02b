//! Seeded inputs and plain f64 references for the tests of this crate.

use std::num::NonZeroUsize;
use std::ops::Range;

use crate::{AttentionShape, Isa, Pool};

/// Numbers in [-1, 1), the same for the same seed.
pub(crate) fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678_9abc_def1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A pool of `threads` for every instruction set that this machine has.
pub(crate) fn pools(threads: usize) -> Vec<Pool> {
    let threads = NonZeroUsize::new(threads).unwrap();
    let available = Isa::ALL.into_iter().filter(|isa| isa.is_available());
    available.map(|isa| Pool::with_isa(threads, isa)).collect()
}

#[track_caller]
pub(crate) fn assert_close(what: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: lengths");
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs();
        assert!(error <= tolerance * expected.abs().max(1.0), "{what}[{index}]: {found} instead of {expected}");
    }
}

#[track_caller]
pub(crate) fn assert_same_bits(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}: lengths");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.to_bits(), expected.to_bits(), "{what}[{index}]: {found} instead of {expected}");
    }
}

pub(crate) fn to_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Packed rows, each with the rows that it sees in the order of their positions.
pub(crate) struct Reference<'a> {
    pub(crate) shape: &'a AttentionShape,
    pub(crate) sees: &'a [Vec<usize>],
}

/// What each row of `branches` (rows, and the rows of their prefix) sees.
pub(crate) fn visible(shape: &AttentionShape, branches: &[(Range<usize>, Option<Range<usize>>)]) -> Vec<Vec<usize>> {
    let mut sees = Vec::new();
    for (rows, prefix) in branches {
        for row in rows.clone() {
            let all: Vec<usize> = prefix.clone().unwrap_or(0..0).chain(rows.start..row + 1).collect();
            let first = shape.window.map_or(0, |window| all.len().saturating_sub(window));
            sees.push(all[first..].to_vec());
        }
    }
    sees
}

impl Reference<'_> {
    /// The results and log-sums.
    pub(crate) fn forward(&self, q: &[f64], k: &[f64], v: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut out, mut log_sums) = (vec![0.0; q.len()], Vec::new());
        self.for_each_head(|query, keys| {
            let (weights, log_sum) = self.weights(&q[query.clone()], k, keys);
            log_sums.push(log_sum);
            for (weight, key) in weights.iter().zip(keys) {
                out[query.clone()].iter_mut().zip(&v[key.clone()]).for_each(|(out, v)| *out += weight * v);
            }
        });
        (out, log_sums)
    }

    /// The gradients of queries, keys and values.
    pub(crate) fn backward(&self, q: &[f64], k: &[f64], v: &[f64], d_out: &[f64]) -> [Vec<f64>; 3] {
        let (mut d_q, mut d_k, mut d_v) = (vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]);
        self.for_each_head(|query, keys| {
            let (weights, _) = self.weights(&q[query.clone()], k, keys);
            let d_out = &d_out[query.clone()];
            let d_weights: Vec<f64> = keys.iter().map(|key| dot(d_out, &v[key.clone()])).collect();
            let mean = dot(&weights, &d_weights);
            for ((weight, d_weight), key) in weights.iter().zip(&d_weights).zip(keys) {
                let d_score = f64::from(self.shape.scale) * weight * (d_weight - mean);
                add_scaled(&mut d_v[key.clone()], *weight, d_out);
                add_scaled(&mut d_k[key.clone()], d_score, &q[query.clone()]);
                add_scaled(&mut d_q[query.clone()], d_score, &k[key.clone()]);
            }
        });
        [d_q, d_k, d_v]
    }

    /// Calls `visit` for each row and head with the place of its query, and those of the keys that it sees.
    fn for_each_head(&self, mut visit: impl FnMut(Range<usize>, &[Range<usize>])) {
        let &AttentionShape { heads, kv_heads, head_dim, .. } = self.shape;
        let place = |row: usize, heads: usize, head: usize| {
            let start = (row * heads + head) * head_dim;
            start..start + head_dim
        };
        for (row, sees) in self.sees.iter().enumerate() {
            for head in 0..heads {
                let kv_head = head / (heads / kv_heads);
                let keys: Vec<_> = sees.iter().map(|&key| place(key, kv_heads, kv_head)).collect();
                visit(place(row, heads, head), &keys);
            }
        }
    }

    /// The weights of a query, and its log-sum.
    fn weights(&self, query: &[f64], k: &[f64], keys: &[Range<usize>]) -> (Vec<f64>, f64) {
        let score = |key: &Range<usize>| f64::from(self.shape.scale) * dot(query, &k[key.clone()]);
        let scores: Vec<f64> = keys.iter().map(score).collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = max + scores.iter().map(|score| (score - max).exp()).sum::<f64>().ln();
        (scores.iter().map(|score| (score - log_sum).exp()).collect(), log_sum)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add_scaled(sum: &mut [f64], factor: f64, terms: &[f64]) {
    sum.iter_mut().zip(terms).for_each(|(sum, term)| *sum += factor * term);
}
