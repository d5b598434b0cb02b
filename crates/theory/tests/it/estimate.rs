//! Estimators against the exact figures of finite worlds.

use crate::random_world::{distribution, fixture_a, random_world};
use crate::{all_close, close};
use objective::KlEstimator;
use theory::divergence::{expectation, kl, total_variation};
use theory::{
    BoundSamples, Error, Halves, Stream, best_of_curve, estimate_bound, estimate_kl, estimate_tilted,
    estimate_total_variation, tilt, tilted_worth,
};

/// One draw from a distribution.
fn draw(stream: &mut Stream, distribution: &[f64]) -> usize {
    let mut left = stream.uniform();
    for (index, mass) in distribution.iter().enumerate() {
        left -= mass;
        if left < 0.0 {
            return index;
        }
    }
    distribution.len() - 1
}

#[test]
fn samples_in_exact_proportion_give_the_exact_figures() {
    // Ten rewrites in the proportions .4, .3, .2, .1 of Fixture A are the reference itself.
    let world = fixture_a();
    let value = world.prompts[0].value();
    let proportional: Vec<f64> =
        [4, 3, 2, 1].iter().zip(&value).flat_map(|(count, v)| std::iter::repeat_n(*v, 100_000 * count)).collect();
    let exact = tilt(&world.prompts[0].rho_ref, &value, 0.5).unwrap();
    let few: Vec<f64> = proportional.iter().step_by(1_000).copied().collect();
    let tilted = estimate_tilted(&few, 0.5, 0.95).unwrap();
    let distance = total_variation(&exact.policy, &world.prompts[0].rho_ref);
    // The correction of order 1/N is all that is left.
    close(tilted.log_partition.value, exact.log_partition, 2e-4);
    close(tilted.mean_value.value, exact.mean_value, 2e-4);
    close(tilted.kl.value, exact.kl, 2e-4);
    close(tilted.total_variation.value, distance, 2e-4);
    assert!(tilted.effective_sample_size > 800.0 && tilted.effective_sample_size < 1_000.0);
}

#[test]
fn the_jackknife_removes_the_bias() {
    // Fixture A, eight rewrites, 40,000 samples; the plain logarithm of the mean weight is low by about Var w/(2 N Z²).
    let world = fixture_a();
    let (rho_ref, value) = (&world.prompts[0].rho_ref, world.prompts[0].value());
    let exact = tilt(rho_ref, &value, 0.25).unwrap();
    let (mut stream, trials) = (Stream::new(61), 40_000);
    let (mut plain, mut corrected, mut reached) = (0.0, 0.0, 0.0);
    for _ in 0..trials {
        let values: Vec<f64> = (0..8).map(|_| value[draw(&mut stream, rho_ref)]).collect();
        let weights: f64 = values.iter().map(|v| (v / 0.25).exp()).sum();
        let tilted = estimate_tilted(&values, 0.25, 0.95).unwrap();
        plain += (weights / 8.0).ln() / f64::from(trials);
        corrected += tilted.log_partition.value / f64::from(trials);
        reached += tilted.mean_value.value / f64::from(trials);
    }
    let bias = plain - exact.log_partition;
    assert!(bias < -0.02, "{bias}");
    close(corrected, exact.log_partition, 0.1 * bias.abs());
    close(reached, exact.mean_value, 0.004);
}

#[test]
fn an_oracle_is_estimated_from_responses_of_the_target() {
    let mut stream = Stream::new(62);
    for _ in 0..20 {
        let world = random_world(&mut stream, 1);
        let prompt = &world.prompts[0];
        let (pi_f, beta) = (&prompt.pi_f[0], world.beta.max(1.0));
        let oracle = tilt(pi_f, &prompt.reward, beta).unwrap();
        let rewards: Vec<f64> = (0..2_000).map(|_| prompt.reward[draw(&mut stream, pi_f)]).collect();
        let estimate = estimate_tilted(&rewards, beta, 0.999).unwrap();
        assert!(estimate.mean_value.interval.contains(oracle.mean_value));
        let distance = total_variation(&oracle.policy, pi_f);
        close(estimate.total_variation.value, distance, 5.0 * estimate.total_variation.standard_error + 1e-3);
    }
}

#[test]
fn sequence_estimators_are_unbiased_by_enumeration() {
    let mut stream = Stream::new(63);
    for _ in 0..200 {
        let (p, q) = (distribution(&mut stream, 5), distribution(&mut stream, 5));
        // One sample each, in exact expectation: the estimators are means of terms.
        let expected = |term: &dyn Fn(f64) -> f64| expectation(&p, &[0, 1, 2, 3, 4].map(|k| term((q[k] / p[k]).ln())));
        close(expected(&|log_ratio| (1.0 - log_ratio.exp()).max(0.0)), total_variation(&p, &q), 1e-12);
        let k = |estimator: KlEstimator| expected(&|log_ratio| estimator.estimate(0.0, log_ratio).value);
        let exact = kl(&p, &q);
        close(k(KlEstimator::K1), exact, 1e-11 * (1.0 + exact));
        close(k(KlEstimator::K3), exact, 1e-9 * (1.0 + exact));
        assert!(q.iter().zip(&p).all(|(q, p)| KlEstimator::K3.estimate(p.ln(), q.ln()).value >= 0.0));
    }
    let (p, q) = ([0.7, 0.3], [0.4, 0.6]);
    let second: f64 = (0..2).map(|k| p[k] * KlEstimator::K2.estimate(f64::ln(p[k]), f64::ln(q[k])).value).sum();
    assert!((second - kl(&p, &q)).abs() > 1e-3, "k2 is biased");
}

#[test]
fn sequence_estimates_are_means_of_their_terms() {
    let (p, q) = ([-1.0, -2.0, -3.0, -0.5], [-1.5, -1.0, -3.0, -2.5]);
    let terms = [1.0 - (-0.5f64).exp(), 0.0, 0.0, 1.0 - (-2.0f64).exp()];
    close(estimate_total_variation(&p, &q, 0.95).unwrap().value, terms.iter().sum::<f64>() / 4.0, 1e-15);
    close(estimate_kl(&p, &q, KlEstimator::K1, 0.95).unwrap().value, (0.5 - 1.0 + 0.0 + 2.0) / 4.0, 1e-15);
    assert!(matches!(estimate_kl(&p, &q[1..], KlEstimator::K1, 0.95), Err(Error::Length { .. })));
    assert!(estimate_total_variation(&[f64::NEG_INFINITY, 0.0], &[0.0, 0.0], 0.95).is_err());
}

#[test]
fn the_estimated_bound_holds_the_exact_one() {
    // Exact figures per prompt of a large random world: the estimate's mean is the world's bound.
    let mut stream = Stream::new(64);
    let world = random_world(&mut stream, 400);
    let world = theory::World { weights: vec![1.0 / 400.0; 400], ..world };
    let solution = world.solve().unwrap();
    let column =
        |figure: &dyn Fn(&theory::PromptSolution) -> f64| solution.prompts.iter().map(figure).collect::<Vec<_>>();
    let oracle_distance = column(&|prompt| prompt.bound.terms[0] / world.reward_span);
    let rewrite_distance = column(&|prompt| prompt.bound.terms[1] / world.reward_span);
    let (kl, reverse_kl) = (column(&|prompt| prompt.kl_star), column(&|prompt| prompt.kl_ref_star));
    let samples = BoundSamples {
        oracle_distance: &oracle_distance,
        rewrite_distance: &rewrite_distance,
        kl: &kl,
        reverse_kl: &reverse_kl,
    };
    let estimate = estimate_bound(samples, world.lambda, world.reward_span, 0.95).unwrap();
    close(estimate.bound.value, solution.mean.bound, 1e-12);
    close(estimate.jeffreys.value, solution.mean.bound_jeffreys, 1e-12);
    let terms = |term: usize| world.mean(solution.prompts.iter().map(|prompt| prompt.bound.terms[term]));
    all_close(&estimate.terms.map(|term| term.value), &[terms(0), terms(1), terms(2)], 1e-12);
    assert!(estimate.bound.interval.contains(solution.mean.bound));
    assert!(solution.mean.gap <= estimate.jeffreys.interval.high);
    let spoiled = BoundSamples { kl: &[1e9; 400], ..samples };
    assert!(matches!(estimate_bound(spoiled, world.lambda, world.reward_span, 0.95), Err(Error::OutOfRange { .. })));
}

/// The mean of `value` at the best by `choice` of every `n`-subset, ties shared.
fn by_enumeration(choice: &[f64], value: &[f64], n: usize) -> f64 {
    let subsets = (0u32..1 << choice.len()).filter(|subset| subset.count_ones() as usize == n);
    let worths: Vec<f64> = subsets
        .map(|subset| {
            let members = || (0..choice.len()).filter(|index| subset >> index & 1 == 1);
            let best = members().map(|index| choice[index]).fold(f64::MIN, f64::max);
            let tied: Vec<f64> = members().filter(|&index| choice[index] == best).map(|index| value[index]).collect();
            tied.iter().sum::<f64>() / tied.len() as f64
        })
        .collect();
    worths.iter().sum::<f64>() / worths.len() as f64
}

#[test]
fn the_best_of_n_is_the_mean_over_all_subsets() {
    let mut stream = Stream::new(5);
    for _ in 0..50 {
        // Few levels, so that there are ties.
        let choice: Vec<f64> = (0..6).map(|_| stream.below(4) as f64).collect();
        let value: Vec<f64> = (0..6).map(|_| stream.uniform()).collect();
        let curve = best_of_curve(Halves { one: &choice, other: &value }).unwrap();
        for (n, worth) in curve.iter().enumerate() {
            let (one, other) = (by_enumeration(&choice, &value, n + 1), by_enumeration(&value, &choice, n + 1));
            close(*worth, (one + other) / 2.0, 1e-12);
        }
        let mean = value.iter().sum::<f64>() / 6.0;
        let same = best_of_curve(Halves { one: &value, other: &value }).unwrap();
        assert!(same.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12), "more to choose from is never worse");
        close(same[0], mean, 1e-12);
        close(same[5], value.iter().copied().fold(f64::MIN, f64::max), 1e-12);
    }
}

#[test]
fn noisy_choices_err_downwards_where_they_are_judged_by_other_responses_and_upwards_by_the_same() {
    // Values with noise as large as their spread, as rewards of 0 and 1 have.
    let (lambda, n) = (0.1, 8);
    let mut stream = Stream::new(11);
    let (mut truth, mut crossed, mut plug_in, mut best_truth, mut best_crossed) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let rounds = 4_000;
    for _ in 0..rounds {
        let value: Vec<f64> = (0..n).map(|_| 0.2 * stream.normal()).collect();
        let mut noisy = || value.iter().map(|v| v + 0.2 * stream.normal()).collect::<Vec<f64>>();
        let (one, other) = (noisy(), noisy());
        let both: Vec<f64> = one.iter().zip(&other).map(|(one, other)| (one + other) / 2.0).collect();
        truth += tilted_worth(Halves { one: &value, other: &value }, lambda).unwrap();
        plug_in += tilted_worth(Halves { one: &both, other: &both }, lambda).unwrap();
        crossed += tilted_worth(Halves { one: &one, other: &other }, lambda).unwrap();
        best_truth += best_of_curve(Halves { one: &value, other: &value }).unwrap()[n - 1];
        best_crossed += best_of_curve(Halves { one: &one, other: &other }).unwrap()[n - 1];
    }
    assert!(crossed < truth && truth < plug_in, "{crossed} {truth} {plug_in}");
    assert!(best_crossed < best_truth, "{best_crossed} {best_truth}");
    assert!(crossed > 0.5 * truth, "and not by much: {crossed} {truth}");
}
