//! Estimators against the quantity they estimate, by enumerating everything that could have been sampled.

use objective::{
    Advantage, KlEstimator, PolicyObjective, Rewrite, group_mean, leave_one_out, policy_loss, reinforce, rloo,
    shape_reward,
};

use crate::assert_close;
use crate::random::Random;

/// A prompter over a handful of rewrites, each one action.
struct World {
    prompter: Vec<f64>,
    reference: Vec<f64>,
    values: Vec<f64>,
    lambda: f64,
}

impl World {
    fn random(random: &mut Random, rewrites: usize) -> Self {
        World {
            prompter: random.distribution(rewrites),
            reference: random.distribution(rewrites),
            values: random.vector(rewrites, 0.0, 1.0),
            lambda: random.uniform(0.0, 1.0),
        }
    }

    fn shaped(&self, k: usize) -> f64 {
        shape_reward(self.values[k], self.prompter[k].ln(), self.reference[k].ln(), self.lambda)
    }

    /// ∂/∂logit_k of E[R] − λ KL for a softmax prompter: ρ_k [S_k − E S].
    fn exact_gradient(&self) -> Vec<f64> {
        let mean: f64 = (0..self.prompter.len()).map(|k| self.prompter[k] * self.shaped(k)).sum();
        (0..self.prompter.len()).map(|k| self.prompter[k] * (self.shaped(k) - mean)).collect()
    }

    /// The expected estimate over all tuples of `size` samples: Σ P(tuple) · (1/K) Σ_i (−dL/dlog ρ_i) ∇log ρ(x'_i).
    fn expected_estimate(
        &self,
        size: usize,
        objective: PolicyObjective,
        advantages_of: impl Fn(&[f64], &mut [f64]),
    ) -> Vec<f64> {
        let n = self.prompter.len();
        let mut expected = vec![0.0; n];
        for tuple in 0..n.pow(size as u32) {
            let drawn: Vec<usize> = (0..size).map(|i| tuple / n.pow(i as u32) % n).collect();
            let probability: f64 = drawn.iter().map(|&k| self.prompter[k]).product();
            let shaped: Vec<f64> = drawn.iter().map(|&k| self.shaped(k)).collect();
            let mut advantages = vec![0.0; size];
            advantages_of(&shaped, &mut advantages);
            for (&k, &advantage) in drawn.iter().zip(&advantages) {
                let slope = self.descent_slope(k, advantage, objective) / size as f64;
                for (j, total) in expected.iter_mut().enumerate() {
                    let d_logp = f64::from(u8::from(j == k)) - self.prompter[j];
                    *total += probability * slope * d_logp;
                }
            }
        }
        expected
    }

    fn descent_slope(&self, k: usize, advantage: f64, objective: PolicyObjective) -> f64 {
        let logp = [self.prompter[k].ln()];
        let rewrite = Rewrite { token_logps: &logp, old_token_logps: None, ref_token_logps: None };
        let mut gradient = [0.0];
        policy_loss(&rewrite, Advantage::Rewrite(advantage), &objective, &mut gradient).unwrap();
        -gradient[0]
    }
}

#[test]
fn rloo_is_unbiased_over_all_tuples() {
    let mut random = Random::new(1);
    for size in 2..=5 {
        for _ in 0..10 {
            let world = World::random(&mut random, 4);
            let found = world.expected_estimate(size, rloo(), |shaped, out| leave_one_out(shaped, out).unwrap());
            found.iter().zip(world.exact_gradient()).for_each(|(found, exact)| assert_close(*found, exact));
        }
    }
}

#[test]
fn group_mean_shrinks_the_gradient_by_one_share() {
    let mut random = Random::new(2);
    for size in 2..=4 {
        let world = World::random(&mut random, 4);
        let found = world.expected_estimate(size, rloo(), |shaped, out| group_mean(shaped, out).unwrap());
        let shrink = (size as f64 - 1.0) / size as f64;
        found.iter().zip(world.exact_gradient()).for_each(|(found, exact)| assert_close(*found, shrink * exact));
    }
}

#[test]
fn reinforce_is_unbiased_for_any_constant_baseline() {
    let mut random = Random::new(3);
    for _ in 0..20 {
        let world = World::random(&mut random, 5);
        let baseline = random.uniform(-1.0, 1.0);
        let found = world.expected_estimate(1, reinforce(), |shaped, out| out[0] = shaped[0] - baseline);
        found.iter().zip(world.exact_gradient()).for_each(|(found, exact)| assert_close(*found, exact));
    }
}

fn expectation(weights: &[f64], value: impl Fn(usize) -> f64) -> f64 {
    weights.iter().enumerate().map(|(k, weight)| weight * value(k)).sum()
}

#[test]
fn k1_and_k3_are_unbiased_and_k2_is_not() {
    let mut random = Random::new(4);
    for _ in 0..100 {
        let (p, q) = (random.distribution(5), random.distribution(5));
        let mean = |estimator: KlEstimator| expectation(&p, |k| estimator.estimate(p[k].ln(), q[k].ln()).value);
        let divergence = expectation(&p, |k| (p[k] / q[k]).ln());
        assert_close(mean(KlEstimator::K1), divergence);
        assert_close(mean(KlEstimator::K3), divergence);
        assert!((mean(KlEstimator::K2) - divergence).abs() > 1e-6, "k2 happened to be unbiased");
    }
}

/// k2's bias is of second order: halving the distance between the policies quarters bias / divergence^(1/2) at least.
#[test]
fn k2_bias_vanishes_faster_than_the_divergence() {
    let (p, tilt) = ([0.4, 0.3, 0.2, 0.1], [1.0, -0.5, 0.3, -1.0]);
    let relative_bias = |distance: f64| {
        let weights: Vec<f64> = (0..4).map(|k| p[k] * f64::exp(distance * tilt[k])).collect();
        let total: f64 = weights.iter().sum();
        let q: Vec<f64> = weights.iter().map(|w| w / total).collect();
        let divergence = expectation(&p, |k| (p[k] / q[k]).ln());
        (expectation(&p, |k| KlEstimator::K2.estimate(p[k].ln(), q[k].ln()).value) / divergence - 1.0).abs()
    };
    assert!(relative_bias(0.05) < 0.6 * relative_bias(0.1));
    assert!(relative_bias(0.1) < 0.6 * relative_bias(0.2));
}

/// The table in `kl.rs`: as a loss, k1 has no gradient in expectation, k2 that of KL(ρ‖ρ_ref), k3 that of KL(ρ_ref‖ρ).
#[test]
fn expected_gradients_of_the_estimators() {
    let mut random = Random::new(5);
    for _ in 0..100 {
        let (p, q) = (random.distribution(5), random.distribution(5));
        let divergence = expectation(&p, |k| (p[k] / q[k]).ln());
        for j in 0..5 {
            let d_logp = |k: usize| f64::from(u8::from(j == k)) - p[j];
            let mean_slope = |estimator: KlEstimator| {
                expectation(&p, |k| estimator.estimate(p[k].ln(), q[k].ln()).d_policy * d_logp(k))
            };
            assert_close(mean_slope(KlEstimator::K1), 0.0);
            assert_close(mean_slope(KlEstimator::K2), p[j] * ((p[j] / q[j]).ln() - divergence));
            assert_close(mean_slope(KlEstimator::K3), p[j] - q[j]);
        }
    }
}
