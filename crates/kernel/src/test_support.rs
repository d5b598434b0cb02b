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
    let available = [Isa::Portable, Isa::Avx2, Isa::Avx512].into_iter().filter(|isa| isa.is_available());
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
        let &AttentionShape { heads, kv_heads, head_dim, scale, .. } = self.shape;
        let (mut out, mut log_sums) = (vec![0.0; q.len()], Vec::new());
        for (row, sees) in self.sees.iter().enumerate() {
            for head in 0..heads {
                let kv = head / (heads / kv_heads);
                let at = |matrix: &[f64], row: usize, heads: usize, head: usize, d: usize| {
                    matrix[(row * heads + head) * head_dim + d]
                };
                let score = |&key: &usize| -> f64 {
                    let dot = (0..head_dim).map(|d| at(q, row, heads, head, d) * at(k, key, kv_heads, kv, d));
                    f64::from(scale) * dot.sum::<f64>()
                };
                let scores: Vec<f64> = sees.iter().map(score).collect();
                let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|score| (score - max).exp()).sum();
                log_sums.push(max + sum.ln());
                for d in 0..head_dim {
                    let weighted =
                        scores.iter().zip(sees).map(|(s, &key)| (s - max).exp() * at(v, key, kv_heads, kv, d));
                    out[(row * heads + head) * head_dim + d] = weighted.sum::<f64>() / sum;
                }
            }
        }
        (out, log_sums)
    }
}
