//! Ordered weighted averages: linear programs, envelope, projection, fair optimum.

use crate::random_world::distribution;
use crate::{all_close, close};
use theory::divergence::{expectation, total_variation};
use theory::owa::envelope::moreau_envelope;
use theory::owa::fairness::fairness;
use theory::owa::mixture::{fair_mixture, spo_plus};
use theory::owa::permutahedron::{decreasing_fit, project};
use theory::owa::tabular::{FairPrompt, fair_optimum};
use theory::owa::{OwaWeights, ordered_mean, owa, subgradient};
use theory::{Error, Stream, tilt};

fn weights(values: &[f64]) -> OwaWeights {
    OwaWeights::new(values.to_vec()).unwrap()
}

fn random_weights(stream: &mut Stream, m: usize) -> OwaWeights {
    let mut values = distribution(stream, m);
    values.sort_by(|one, other| other.total_cmp(one));
    weights(&values)
}

fn normals(stream: &mut Stream, n: usize) -> Vec<f64> {
    (0..n).map(|_| stream.normal()).collect()
}

fn permutations(items: &[f64]) -> Vec<Vec<f64>> {
    if items.is_empty() {
        return vec![vec![]];
    }
    let without = |k: usize| [&items[..k], &items[k + 1..]].concat();
    let starting_with =
        |k: usize| permutations(&without(k)).into_iter().map(move |rest| [vec![items[k]], rest].concat());
    (0..items.len()).flat_map(starting_with).collect()
}

/// Form (P): the smallest w_s·r over all orderings s of the weights.
fn by_permutations(outcomes: &[f64], weights: &OwaWeights) -> f64 {
    permutations(weights.as_slice()).iter().map(|w| expectation(w, outcomes)).fold(f64::INFINITY, f64::min)
}

/// Form (C): Σ w'_k max_t (k t − Σ_j (t − r_j)_+), the maximum being at one of the outcomes.
fn by_thresholds(outcomes: &[f64], weights: &OwaWeights) -> f64 {
    let w = weights.as_slice();
    let worst = |k: usize| {
        let at = |t: &f64| k as f64 * t - outcomes.iter().map(|r| (t - r).max(0.0)).sum::<f64>();
        outcomes.iter().map(at).fold(f64::NEG_INFINITY, f64::max)
    };
    (1..=w.len()).map(|k| (w[k - 1] - w.get(k).copied().unwrap_or(0.0)) * worst(k)).sum()
}

/// Form (A): a feasible point of the dual of the assignment problem; its value is a lower bound, here attained.
fn by_assignment(outcomes: &[f64], weights: &OwaWeights) -> f64 {
    let (w, mut r) = (weights.as_slice(), outcomes.to_vec());
    r.sort_by(f64::total_cmp);
    let mut b = vec![0.0; r.len()];
    for k in 1..r.len() {
        b[k] = b[k - 1] + w[k] * (r[k] - r[k - 1]);
    }
    let a: Vec<f64> = (0..r.len()).map(|k| w[k] * r[k] - b[k]).collect();
    for i in 0..r.len() {
        for j in 0..r.len() {
            assert!(a[i] + b[j] <= w[i] * r[j] + 1e-12, "the dual point is not feasible");
        }
    }
    a.iter().sum::<f64>() + b.iter().sum::<f64>()
}

#[test]
fn the_linear_programs_agree() {
    let (outcomes, w) = ([0.1, 0.4, 0.35], weights(&[0.5, 0.3, 0.2]));
    for form in [by_permutations, by_thresholds, by_assignment] {
        close(form(&outcomes, &w), 0.235, 1e-15);
    }
    let mut stream = Stream::new(71);
    for _ in 0..200 {
        let m = 1 + stream.below(5);
        let (w, outcomes) = (random_weights(&mut stream, m), normals(&mut stream, m));
        let value = owa(&outcomes, &w).unwrap();
        for form in [by_permutations, by_thresholds, by_assignment] {
            close(form(&outcomes, &w), value, 1e-12);
        }
    }
}

#[test]
fn special_weights_are_minimum_maximum_and_mean() {
    let outcomes = [0.7, -0.2, 0.4];
    close(owa(&outcomes, &weights(&[1.0, 0.0, 0.0])).unwrap(), -0.2, 0.0);
    close(ordered_mean(&outcomes, &[0.0, 0.0, 1.0]).unwrap(), 0.7, 0.0);
    close(owa(&outcomes, &weights(&[1.0 / 3.0; 3])).unwrap(), 0.3, 1e-15);
    close(owa(&outcomes, &OwaWeights::mean_of_worst(2, 3).unwrap()).unwrap(), 0.1, 1e-15);
    close(OwaWeights::gini(7).unwrap().total(), 1.0, 1e-15);
    let refused = OwaWeights::new(vec![0.2, 0.3, 0.5]);
    assert_eq!(refused, Err(Error::IncreasingWeights { index: 1, previous: 0.2, found: 0.3 }));
}

#[test]
fn invariances_and_equity() {
    let mut stream = Stream::new(72);
    for _ in 0..200 {
        let (w, r) = (random_weights(&mut stream, 4), normals(&mut stream, 4));
        let value = owa(&r, &w).unwrap();
        let map = |change: &dyn Fn(f64) -> f64| owa(&r.iter().map(|r| change(*r)).collect::<Vec<_>>(), &w).unwrap();
        close(map(&|r| r + 2.5), value + 2.5 * w.total(), 1e-12);
        close(map(&|r| 3.0 * r), 3.0 * value, 1e-12);
        close(owa(&[r[2], r[0], r[3], r[1]], &w).unwrap(), value, 1e-15);
        close(expectation(&subgradient(&r, &w).unwrap(), &r), value, 1e-12);
        // Moving a little from the best to the worst never lowers it.
        let mut sorted = r.clone();
        sorted.sort_by(f64::total_cmp);
        let before = owa(&sorted, &w).unwrap();
        let little = 0.4 * (sorted[3] - sorted[0]).min(sorted[1] - sorted[0]).min(sorted[3] - sorted[2]);
        sorted[0] += little;
        sorted[3] -= little;
        assert!(owa(&sorted, &w).unwrap() >= before - 1e-14);
    }
}

#[test]
fn pooled_fits_and_projections_match_the_fixtures() {
    all_close(&decreasing_fit(&[1.0, 2.0, 3.0]), &[2.0, 2.0, 2.0], 0.0);
    all_close(&decreasing_fit(&[3.0, 1.0, 2.0, 0.0]), &[3.0, 1.5, 1.5, 0.0], 0.0);
    all_close(&decreasing_fit(&[4.0, 5.0, 1.0, 3.0, 2.0]), &[4.5, 4.5, 2.0, 2.0, 2.0], 0.0);
    let w = weights(&[0.5, 0.3, 0.2]);
    all_close(&project(&[0.0; 3], &w).unwrap().point, &[1.0 / 3.0; 3], 1e-15);
    all_close(&project(&[3.0, 2.0, 1.0], &w).unwrap().point, &[0.5, 0.3, 0.2], 1e-15);
    all_close(&project(&[0.6, 0.5, 0.1], &w).unwrap().point, &[0.45, 0.35, 0.2], 1e-15);
    let simplex = weights(&[1.0, 0.0, 0.0]);
    all_close(&project(&[0.3, 0.2, -1.0], &simplex).unwrap().point, &[0.55, 0.45, 0.0], 1e-15);
}

#[test]
fn projections_lie_in_the_permutahedron_and_nothing_in_it_is_nearer() {
    let mut stream = Stream::new(73);
    for _ in 0..200 {
        let m = 2 + stream.below(5);
        let (w, q) = (random_weights(&mut stream, m), normals(&mut stream, m));
        let projection = project(&q, &w).unwrap();
        let mut sorted = projection.point.clone();
        sorted.sort_by(|one, other| other.total_cmp(one));
        let (mut held, mut allowed) = (0.0, 0.0);
        for (value, weight) in sorted.iter().zip(w.as_slice()) {
            (held, allowed) = (held + value, allowed + weight);
            assert!(held <= allowed + 1e-12);
        }
        close(held, allowed, 1e-12);
        // The variational inequality at every vertex: (q − p)·(vertex − p) ≤ 0, the largest at the order of q − p.
        let normal: Vec<f64> = q.iter().zip(&projection.point).map(|(q, p)| q - p).collect();
        let negated: Vec<f64> = normal.iter().map(|n| -n).collect();
        let reach = -owa(&negated, &w).unwrap();
        assert!(reach <= expectation(&normal, &projection.point) + 1e-10);
        // The Jacobian, by central differences.
        let direction = normals(&mut stream, m);
        let shifted =
            |h: f64| project(&q.iter().zip(&direction).map(|(q, d)| q + h * d).collect::<Vec<_>>(), &w).unwrap().point;
        let numeric: Vec<f64> = shifted(1e-7).iter().zip(shifted(-1e-7)).map(|(up, down)| (up - down) / 2e-7).collect();
        all_close(&projection.derivative(&direction), &numeric, 1e-6);
    }
}

#[test]
fn the_envelope_matches_the_fixtures() {
    let (r, w) = ([0.1, 0.4, 0.35], weights(&[0.5, 0.3, 0.2]));
    let at = |b: f64| moreau_envelope(&r, &w, b).unwrap();
    all_close(&at(0.1).gradient, &[0.5, 0.2, 0.3], 1e-15);
    close(at(0.1).value, 0.254, 1e-15);
    all_close(&at(1.0).gradient, &[0.5, 0.225, 0.275], 1e-15);
    close(at(1.0).value, 0.424375, 1e-15);
    let tenth = [0.355, 0.325, 0.33].map(|value: f64| value - 1.0 / 300.0);
    all_close(&at(10.0).gradient, &tenth, 1e-14);
    close(at(10.0).value, 1.947416666666667, 1e-14);
    // Two outcomes: u1 = (w1+w2)/2 + min((w1−w2)/2, (r2−r1)/(2b)).
    let two = moreau_envelope(&[0.2, 0.5], &weights(&[0.7, 0.3]), 1.0).unwrap();
    all_close(&two.gradient, &[0.65, 0.35], 1e-15);
}

#[test]
fn the_envelope_is_smooth_concave_and_bounded() {
    let mut stream = Stream::new(74);
    for _ in 0..200 {
        let m = 2 + stream.below(5);
        let (w, r, b) = (random_weights(&mut stream, m), normals(&mut stream, m), 0.05 + 2.0 * stream.uniform());
        let smooth = moreau_envelope(&r, &w, b).unwrap();
        let plain = owa(&r, &w).unwrap();
        let squares = expectation(w.as_slice(), w.as_slice());
        assert!(smooth.value >= plain + 0.5 * b * w.total().powi(2) / m as f64 - 1e-12); // (4)
        assert!(smooth.value <= plain + 0.5 * b * squares + 1e-12);
        close(smooth.gradient.iter().sum(), w.total(), 1e-12);
        let z = &smooth.maximiser;
        let distance: f64 = z.iter().zip(&r).map(|(z, r)| (z - r) * (z - r)).sum();
        close(owa(z, &w).unwrap() - distance / (2.0 * b), smooth.value, 1e-12);
        let value = |shift: f64, k: usize| {
            let mut r = r.clone();
            r[k] += shift;
            moreau_envelope(&r, &w, b).unwrap()
        };
        for k in 0..m {
            close((value(1e-6, k).value - value(-1e-6, k).value) / 2e-6, smooth.gradient[k], 1e-8);
            let mut unit = vec![0.0; m];
            unit[k] = 1.0;
            assert!(smooth.curvature(&unit)[k] <= 0.0);
        }
        all_close(&smooth.curvature(&vec![1.0; m]), &vec![0.0; m], 1e-12);
        let far = normals(&mut stream, m);
        let other = moreau_envelope(&far, &w, b).unwrap();
        let apart = |one: &[f64], other: &[f64]| {
            one.iter().zip(other).map(|(one, other)| (one - other) * (one - other)).sum::<f64>().sqrt()
        };
        assert!(apart(&smooth.gradient, &other.gradient) <= apart(&r, &far) / b + 1e-12);
        // Jensen: the envelope of the mean is at least the mean of the envelopes.
        let middle: Vec<f64> = r.iter().zip(&far).map(|(r, far)| 0.5 * (r + far)).collect();
        let between = moreau_envelope(&middle, &w, b).unwrap().value;
        assert!(between >= 0.5 * (smooth.value + other.value) - 1e-12);
    }
}

#[test]
fn fairness_needs_mixing() {
    let worst_off = weights(&[1.0, 0.0]);
    let identity = [vec![1.0, 0.0], vec![0.0, 1.0]];
    for b in [1e-3, 0.1, 1.0] {
        let shares = fair_mixture(&identity, &worst_off, b).unwrap();
        all_close(&shares, &[0.5, 0.5], 1e-12);
        close(owa(&shares, &worst_off).unwrap(), 0.5, 1e-12);
    }
    close(owa(&[1.0, 0.0], &worst_off).unwrap(), 0.0, 0.0);
    let better = fair_mixture(&[vec![1.0, 0.9], vec![0.0, 0.8]], &worst_off, 1e-3).unwrap();
    all_close(&better, &[0.0, 1.0], 1e-9); // a choice that is fair by itself
}

#[test]
fn spo_plus_bounds_the_regret() {
    let mut stream = Stream::new(75);
    for _ in 0..500 {
        let (predicted, actual) = (normals(&mut stream, 5), normals(&mut stream, 5));
        let best = |values: &[f64]| (0..5).max_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap();
        let regret = actual[best(&actual)] - actual[best(&predicted)];
        let (loss, slopes) = spo_plus(&predicted, &actual).unwrap();
        assert!(loss >= regret - 1e-12);
        close(spo_plus(&actual, &actual).unwrap().0, 0.0, 1e-15);
        for k in 0..5 {
            let shifted = |h: f64| {
                let mut predicted = predicted.clone();
                predicted[k] += h;
                spo_plus(&predicted, &actual).unwrap().0
            };
            close((shifted(1e-7) - shifted(-1e-7)) / 2e-7, slopes[k], 1e-6);
        }
    }
}

fn random_prompts(stream: &mut Stream, n_prompts: usize, m: usize) -> Vec<FairPrompt> {
    let shares = distribution(stream, n_prompts);
    let prompt = |weight| FairPrompt {
        weight,
        rho_ref: distribution(stream, 5),
        value: (0..5).map(|_| normals(stream, m)).collect(),
    };
    shares.into_iter().map(prompt).collect()
}

#[test]
fn the_fair_optimum_closes_its_duality_gap() {
    let mut stream = Stream::new(76);
    for _ in 0..40 {
        let prompts = random_prompts(&mut stream, 3, 3);
        let (w, b, lambda) = (random_weights(&mut stream, 3), 0.1 + stream.uniform(), 0.1 + stream.uniform());
        let fair = fair_optimum(&prompts, &w, b, lambda).unwrap();
        assert!(fair.duality_gap.abs() < 1e-10, "{}", fair.duality_gap);
        // u is the envelope's gradient at the means it leads to.
        all_close(&moreau_envelope(&fair.means, &w, b).unwrap().gradient, &fair.weights, 1e-6);
        // No other prompter does better.
        for _ in 0..20 {
            let mut means = vec![0.0; 3];
            let mut leash = 0.0;
            for (prompt, best) in prompts.iter().zip(&fair.policy) {
                let other = distribution(&mut stream, 5);
                let rho: Vec<f64> = best.iter().zip(other).map(|(best, other)| 0.9 * best + 0.1 * other).collect();
                leash += prompt.weight * theory::divergence::kl(&rho, &prompt.rho_ref);
                for (mass, q) in rho.iter().zip(&prompt.value) {
                    (0..3).for_each(|k| means[k] += prompt.weight * mass * q[k]);
                }
            }
            let value = moreau_envelope(&means, &w, b).unwrap().value - lambda * leash;
            assert!(value <= fair.objective + 1e-10);
        }
    }
}

#[test]
fn equal_weights_give_the_prompter_of_the_mean_reward() {
    let prompts = random_prompts(&mut Stream::new(77), 2, 4);
    let fair = fair_optimum(&prompts, &weights(&[0.25; 4]), 0.3, 0.5).unwrap();
    for (prompt, policy) in prompts.iter().zip(&fair.policy) {
        let mean: Vec<f64> = prompt.value.iter().map(|q| q.iter().sum::<f64>() / 4.0).collect();
        assert!(total_variation(policy, &tilt(&prompt.rho_ref, &mean, 0.5).unwrap().policy) < 1e-14);
    }
    assert!(fair.duality_gap.abs() < 1e-14);
}

#[test]
fn inequality_is_reported() {
    let report = fairness(&[2.0, 2.0, 2.0], &OwaWeights::gini(3).unwrap()).unwrap();
    assert_eq!((report.gini, report.min), (Some(0.0), 2.0));
    close(report.owa, 2.0, 1e-15);
    let uneven = fairness(&[0.0, 0.0, 3.0], &OwaWeights::gini(3).unwrap()).unwrap();
    close(uneven.gini.unwrap(), 2.0 / 3.0, 1e-15);
    assert_eq!(fairness(&[-1.0, 2.0], &OwaWeights::gini(2).unwrap()).unwrap().gini, None);
}
