use super::*;
use crate::test_support::{Reference, assert_close, assert_same_bits, pools, random, to_f64, visible};

/// One packed batch and the gradient of its result.
struct Batch {
    shape: AttentionShape,
    branches: Vec<Branch>,
    rows: usize,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    d_out: Vec<f32>,
}

#[derive(Debug, PartialEq)]
struct Gradients {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

impl Batch {
    /// Segments by length and by the index of their prefix.
    fn new(shape: AttentionShape, segments: &[(usize, Option<usize>)]) -> Batch {
        let mut branches: Vec<Branch> = Vec::new();
        let mut rows = 0;
        for &(length, prefix) in segments {
            let prefix = prefix.map(|prefix| branches[prefix].rows.clone());
            branches.push(Branch { rows: rows..rows + length, prefix });
            rows += length;
        }
        let (wide, narrow) = (rows * shape.heads * shape.head_dim, rows * shape.kv_heads * shape.head_dim);
        let q = random(1, wide).iter().map(|q| q * 3.0).collect();
        Batch { q, k: random(2, narrow), v: random(3, narrow), d_out: random(4, wide), shape, branches, rows }
    }

    fn sees(&self) -> Vec<Vec<usize>> {
        let branches: Vec<_> =
            self.branches.iter().map(|branch| (branch.rows.clone(), branch.prefix.clone())).collect();
        visible(&self.shape, &branches)
    }

    /// The gradients from the result of the reference.
    fn backward(&self, pool: &Pool) -> Gradients {
        let sees = self.sees();
        let reference = Reference { shape: &self.shape, sees: &sees };
        let (out, log_sums) = reference.forward(&to_f64(&self.q), &to_f64(&self.k), &to_f64(&self.v));
        let narrow = |values: Vec<f64>| -> Vec<f32> { values.into_iter().map(|value| value as f32).collect() };
        self.backward_from(pool, &narrow(out), &narrow(log_sums))
    }

    fn backward_from(&self, pool: &Pool, out: &[f32], log_sums: &[f32]) -> Gradients {
        let nan = |like: &[f32]| vec![f32::NAN; like.len()];
        let mut gradients = Gradients { q: nan(&self.q), k: nan(&self.k), v: nan(&self.v) };
        let Gradients { q, k, v } = &mut gradients;
        let tape = AttentionTape { q: &self.q, k: &self.k, v: &self.v, out, log_sums };
        let parts = AttentionGradients { q, k, v };
        attention_backward(pool, &self.shape, &self.branches, tape, &self.d_out, parts);
        gradients
    }
}

fn shape(heads: usize, kv_heads: usize, head_dim: usize, window: Option<usize>) -> AttentionShape {
    AttentionShape { heads, kv_heads, head_dim, scale: (head_dim as f32).powf(-0.5), window }
}

const SEGMENTS: [&[(usize, Option<usize>)]; 5] = [
    &[(1, None)],
    &[(100, None), (49, None), (3, None)],
    &[(48, None), (17, Some(0)), (96, Some(0)), (1, Some(0))],
    &[(0, None), (20, Some(0)), (5, Some(0))],
    &[(61, None), (30, Some(0)), (2, None), (7, Some(2)), (50, Some(2)), (4, None)],
];

#[test]
fn it_agrees_with_the_definition() {
    for (heads, kv_heads, head_dim) in
        [(9, 3, 64), (4, 1, 256), (1, 1, 8), (4, 2, 80), (3, 1, 96), (8, 2, 128), (5, 5, 20)]
    {
        for window in [None, Some(1), Some(33)] {
            for segments in SEGMENTS {
                let batch = Batch::new(shape(heads, kv_heads, head_dim, window), segments);
                let sees = batch.sees();
                let reference = Reference { shape: &batch.shape, sees: &sees };
                let [q, k, v, d_out] = [&batch.q, &batch.k, &batch.v, &batch.d_out].map(|values| to_f64(values));
                let [d_q, d_k, d_v] = reference.backward(&q, &k, &v, &d_out);
                for pool in pools(2) {
                    let found = batch.backward(&pool);
                    let what = format!("{pool:?} {:?} {segments:?}", batch.shape);
                    assert_close(&format!("{what} d_q"), &found.q, &d_q, 5e-6);
                    assert_close(&format!("{what} d_k"), &found.k, &d_k, 5e-6);
                    assert_close(&format!("{what} d_v"), &found.v, &d_v, 5e-6);
                }
            }
        }
    }
}

#[test]
fn the_reference_agrees_with_finite_differences() {
    let batch = Batch::new(shape(4, 2, 8, Some(9)), &[(7, None), (5, Some(0)), (6, Some(0)), (4, None)]);
    let sees = batch.sees();
    let reference = Reference { shape: &batch.shape, sees: &sees };
    let inputs = [&batch.q, &batch.k, &batch.v].map(|values| to_f64(values));
    let d_out = to_f64(&batch.d_out);
    let gradients = reference.backward(&inputs[0], &inputs[1], &inputs[2], &d_out);
    for (input, gradient) in gradients.iter().enumerate() {
        for index in 0..gradient.len() {
            let loss = |step: f64| -> f64 {
                let mut moved = inputs.clone();
                moved[input][index] += step;
                let (out, _) = reference.forward(&moved[0], &moved[1], &moved[2]);
                out.iter().zip(&d_out).map(|(out, d_out)| out * d_out).sum()
            };
            let expected = (loss(1e-5) - loss(-1e-5)) / 2e-5;
            assert!((gradient[index] - expected).abs() < 1e-8, "input {input}[{index}]");
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let batch = Batch::new(shape(6, 2, 16, None), &[(70, None), (30, Some(0)), (40, Some(0)), (90, None)]);
    for (one, three) in pools(1).iter().zip(&pools(3)) {
        assert_eq!(batch.backward(one), batch.backward(three));
    }
}

#[test]
fn a_group_does_not_depend_on_its_company() {
    let (group, other) = ([(50, None), (20, Some(0)), (33, Some(0))], (64, None));
    let alone = Batch::new(shape(3, 1, 64, None), &group);
    let together = Batch::new(shape(3, 1, 64, None), &[group[0], group[1], group[2], other]);
    for pool in pools(1) {
        let (alone, together) = (alone.backward(&pool), together.backward(&pool));
        assert_same_bits("d_q", &together.q[..alone.q.len()], &alone.q);
        assert_same_bits("d_k", &together.k[..alone.k.len()], &alone.k);
        assert_same_bits("d_v", &together.v[..alone.v.len()], &alone.v);
    }
}

#[test]
fn rows_of_no_branch_are_left_alone() {
    let mut batch = Batch::new(shape(2, 1, 8, None), &[(3, None), (4, None)]);
    let (out, log_sums) = (vec![0.0; batch.q.len()], vec![0.0; batch.rows * 2]);
    batch.branches.remove(0);
    let found = batch.backward_from(&pools(1)[0], &out, &log_sums);
    assert!(found.q[..3 * 16].iter().chain(&found.k[..3 * 8]).all(|value| value.is_nan()));
    assert!(found.q[3 * 16..].iter().chain(&found.v[3 * 8..]).all(|value| value.is_finite()));
}
