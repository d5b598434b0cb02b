//! APO, AIPO and best-of-N: coefficients in all their forms, and the rounds they stand for.

use objective::{
    Extrapolation, apo_coefficient, best_of_n_kl, extrapolate, extrapolate_normalised, iterated_coefficients,
};

use crate::assert_close;
use crate::random::Random;

const REFERENCE: [f64; 3] = [0.5, 0.25, 0.25];
const REWARD: [f64; 3] = [0.1, 0.4, 0.9];

/// log of `base`^`power` · exp(`coefficient` · r), normalised.
fn tilted(base: [f64; 3], power: f64, coefficient: f64) -> [f64; 3] {
    let scores = [0, 1, 2].map(|i| power * base[i].ln() + coefficient * REWARD[i]);
    let log_z = scores.iter().map(|score| score.exp()).sum::<f64>().ln();
    scores.map(|score| score - log_z)
}

fn assert_distribution(found: [f64; 3], expected: [f64; 3]) {
    found.into_iter().zip(expected).for_each(|(found, expected)| assert_close(found.exp(), expected));
}

#[test]
fn three_forms_of_the_apo_coefficient_agree() {
    for alpha in [0.0, 0.1, 0.3, 0.6] {
        for t in 0..40u32 {
            let sum: f64 = (0..t).map(|i| (1.0 - f64::powi(alpha, (t - i) as i32)) / (1.0 - alpha)).sum();
            let gone = 1.0 - alpha;
            let closed = f64::from(t) / gone - alpha * (1.0 - alpha.powi(t as i32)) / (gone * gone);
            assert_close(apo_coefficient(alpha, t), sum);
            assert_close(apo_coefficient(alpha, t), closed);
        }
    }
    for (t, expected) in (1..).zip([1.0, 2.3, 3.69, 5.107, 6.5321]) {
        assert_close(apo_coefficient(0.3, t), expected);
    }
    assert_close(apo_coefficient(0.0, 17), 17.0);
}

/// Plays three rounds as the algorithm does them: solve against the extrapolated reference, then extrapolate.
#[test]
fn fixture_d_by_playing_the_rounds() {
    let (alpha, beta) = (0.3, 0.5);
    let reference = REFERENCE.map(f64::ln);
    let (mut result, mut extrapolated) = (reference, reference);
    for round in 1..=3 {
        let next = tilted(extrapolated.map(f64::exp), 1.0, 1.0 / beta);
        extrapolate_normalised(&next, &result, Extrapolation::new(alpha), &mut extrapolated).unwrap();
        result = next;
        assert_distribution(result, tilted(REFERENCE, 1.0, apo_coefficient(alpha, round) / beta).map(f64::exp));
        let reference_coefficient = apo_coefficient(alpha, round + 1) - 1.0;
        assert_distribution(extrapolated, tilted(REFERENCE, 1.0, reference_coefficient / beta).map(f64::exp));
    }
    assert_distribution(result, [0.005295869726458187, 0.02423456789371585, 0.970469562379826]);
    let plain = tilted(REFERENCE, 1.0, apo_coefficient(0.0, 3) / beta);
    assert_distribution(plain, [0.015436855486759328, 0.046693766826991306, 0.9378693776862492]);
}

#[test]
fn momentum_beats_plain_iteration_at_equal_rounds() {
    let expected_reward = |logps: [f64; 3]| -> f64 { logps.iter().zip(REWARD).map(|(logp, r)| logp.exp() * r).sum() };
    for rounds in 2..10 {
        let reached = |alpha| expected_reward(tilted(REFERENCE, 1.0, apo_coefficient(alpha, rounds) / 0.5));
        assert!(reached(0.3) > reached(0.0));
    }
}

/// max r − E r ≤ (β / c_t) log(1 / ρ_ref(best)).
#[test]
fn gap_bound_on_random_tables() {
    let mut random = Random::new(1);
    for _ in 0..2000 {
        let size = random.integer(2, 8);
        let (reference, reward) = (random.distribution(size), random.vector(size, 0.0, 1.0));
        let (beta, alpha, rounds) = (random.uniform(0.05, 2.0), random.uniform(0.0, 0.9), random.integer(1, 12));
        let coefficient = apo_coefficient(alpha, rounds as u32) / beta;
        let weights: Vec<f64> = (0..size).map(|i| reference[i] * (coefficient * reward[i]).exp()).collect();
        let total: f64 = weights.iter().sum();
        let reached: f64 = weights.iter().zip(&reward).map(|(w, r)| w / total * r).sum();
        let best = (0..size).max_by(|&i, &j| reward[i].total_cmp(&reward[j])).unwrap();
        assert!(reward[best] - reached <= (1.0 / reference[best]).ln() / coefficient + 1e-12);
    }
}

/// For a policy whose logits are linear in its parameters, extrapolating parameters or log-probabilities is the same.
#[test]
fn softmax_linear_policies_extrapolate_in_either_space() {
    let mut random = Random::new(2);
    let features: Vec<Vec<f64>> = (0..6).map(|_| random.vector(3, -1.0, 1.0)).collect();
    let (newer, older) = (random.vector(3, -2.0, 2.0), random.vector(3, -2.0, 2.0));
    let policy = |theta: &[f64]| {
        let mut logits: Vec<f64> = features.iter().map(|row| row.iter().zip(theta).map(|(f, t)| f * t).sum()).collect();
        let log_z = objective::logspace::log_sum_exp(logits.iter().copied());
        logits.iter_mut().for_each(|logit| *logit -= log_z);
        logits
    };
    let weights = Extrapolation::new(0.3);
    let mut parameters = [0.0; 3];
    extrapolate(&newer, &older, weights, &mut parameters).unwrap();
    let mut logps = [0.0; 6];
    extrapolate_normalised(&policy(&newer), &policy(&older), weights, &mut logps).unwrap();
    policy(&parameters).iter().zip(logps).for_each(|(found, expected)| assert_close(*found, expected));
}

/// [(1+α) B₁, −α B₀] · [A₁; A₀] of rank 2r is the extrapolated product; extrapolating the factors is another matrix.
#[test]
fn lora_products_extrapolate_by_stacking_factors() {
    let mut random = Random::new(3);
    let (rows, rank, columns) = (4, 2, 3);
    let mut factors = || (random.vector(rows * rank, -1.0, 1.0), random.vector(rank * columns, -1.0, 1.0));
    let ((b1, a1), (b0, a0)) = (factors(), factors());
    let product = |b: &[f64], a: &[f64], rank: usize| -> Vec<f64> {
        (0..rows * columns)
            .map(|at| (0..rank).map(|k| b[at / columns * rank + k] * a[k * columns + at % columns]).sum())
            .collect()
    };
    let weights = Extrapolation::new(0.3);
    let mut dense = vec![0.0; rows * columns];
    extrapolate(&product(&b1, &a1, rank), &product(&b0, &a0, rank), weights, &mut dense).unwrap();

    let stacked_b: Vec<f64> = (0..rows)
        .flat_map(|row| {
            let own = move |b: &Vec<f64>| b[row * rank..][..rank].to_vec();
            let newer = own(&b1).into_iter().map(|b| weights.newer * b);
            newer.chain(own(&b0).into_iter().map(|b| weights.older * b)).collect::<Vec<f64>>()
        })
        .collect();
    let stacked_a = [a1.clone(), a0.clone()].concat();
    let merged = product(&stacked_b, &stacked_a, 2 * rank);
    merged.iter().zip(&dense).for_each(|(found, expected)| assert_close(*found, *expected));

    let (mut b, mut a) = (b1.clone(), a1.clone());
    extrapolate(&b1, &b0, weights, &mut b).unwrap();
    extrapolate(&a1, &a0, weights, &mut a).unwrap();
    assert!(product(&b, &a, rank).iter().zip(&dense).any(|(wrong, right)| (wrong - right).abs() > 1e-3));
}

#[test]
fn aipo_coefficients() {
    for (rounds, reference, reward) in
        [(1, 1.09, 1.0), (2, 1.1881, 2.09), (3, 1.295029, 3.2781), (10, 2.367363674592119, 15.192929717690214)]
    {
        let found = iterated_coefficients(0.09, rounds);
        assert_close(found.reference, reference);
        assert_close(found.reward, reward);
    }
    let plain = iterated_coefficients(0.0, 10);
    assert_eq!((plain.reference, plain.reward), (1.0, 10.0));
}

#[test]
fn aipo_coefficients_by_playing_the_rounds() {
    let (alpha, beta) = (0.09, 0.5);
    let first = tilted(REFERENCE, 1.0 + alpha, 1.0 / beta);
    assert_distribution(first, [0.2390797712958536, 0.20464296785687489, 0.5562772608472715]);
    let mut result = REFERENCE.map(f64::ln);
    for rounds in 1..=10 {
        result = tilted(result.map(f64::exp), 1.0 + alpha, 1.0 / beta);
        let total = iterated_coefficients(alpha, rounds);
        assert_distribution(result, tilted(REFERENCE, total.reference, total.reward / beta).map(f64::exp));
    }
}

#[test]
fn best_of_n_divergence() {
    for (n, expected) in [(1, 0.0), (2, 0.1931471805599453), (4, 0.6362943611198906), (8, 1.2044415416798357)] {
        assert_close(best_of_n_kl(n), expected);
    }
    assert_eq!(best_of_n_kl(0), 0.0);
}

/// The best of N among m equally likely, distinctly rewarded rewrites tends to the formula from below as m grows.
#[test]
fn best_of_n_divergence_bounds_a_finite_table() {
    for n in [2u32, 4, 8] {
        let finite = |m: u32| -> f64 {
            let share = |k: u32| (f64::from(k) / f64::from(m)).powi(n as i32);
            (1..=m).map(|k| share(k) - share(k - 1)).map(|p| p * (p * f64::from(m)).ln()).sum()
        };
        assert!(finite(10) < finite(100) && finite(100) < finite(10_000));
        assert!(finite(10_000) < best_of_n_kl(n) && best_of_n_kl(n) - finite(10_000) < 1e-3);
    }
}
