//! The lemma, its identities and its limits.

use crate::close;
use crate::random_world::{distribution, fixture_a, random_world};
use theory::divergence::{expectation, jeffreys, kl, total_variation};
use theory::{Stream, regularised_value, rlhf_optimum, tilt};

#[test]
fn the_objective_is_the_optimum_less_the_divergence_from_it() {
    let mut stream = Stream::new(1);
    for _ in 0..500 {
        let world = random_world(&mut stream, 1);
        let (prompt, value) = (&world.prompts[0], world.prompts[0].value());
        let best = tilt(&prompt.rho_ref, &value, world.lambda).unwrap();
        let rho = distribution(&mut stream, value.len());
        let reached = regularised_value(&rho, &prompt.rho_ref, &value, world.lambda).unwrap();
        let distance: f64 =
            rho.iter().zip(&prompt.rho_ref).map(|(p, q)| if *p > 0.0 { p * (p / q).ln() } else { 0.0 }).sum::<f64>()
                - expectation(&rho, &best.log_ratio);
        close(
            reached,
            best.optimum - world.lambda * distance,
            1e-12 * (1.0 + best.optimum.abs() + world.lambda * distance),
        );
        let start = regularised_value(&prompt.rho_ref, &prompt.rho_ref, &value, world.lambda).unwrap();
        close(best.optimum - start, world.lambda * best.reverse_kl, 1e-12 * (1.0 + best.optimum.abs()));
    }
}

#[test]
fn divergences_from_the_log_ratio_agree_with_the_tables() {
    let mut stream = Stream::new(2);
    for _ in 0..500 {
        let world = random_world(&mut stream, 1);
        if world.lambda < 0.2 {
            continue; // the probabilities themselves lose digits here; that is why the log-ratio is used
        }
        let prompt = &world.prompts[0];
        let best = tilt(&prompt.rho_ref, &prompt.value(), world.lambda).unwrap();
        close(best.kl, kl(&best.policy, &prompt.rho_ref), 1e-12);
        close(best.kl + best.reverse_kl, jeffreys(&prompt.rho_ref, &best.policy), 1e-11);
    }
}

#[test]
fn reward_and_divergence_fall_as_the_strength_grows() {
    let mut stream = Stream::new(3);
    for _ in 0..200 {
        let world = random_world(&mut stream, 1);
        let (reference, value) = (&world.prompts[0].rho_ref, world.prompts[0].value());
        let ladder = (0..40).map(|step| tilt(reference, &value, 0.01 * 1.3f64.powi(step)).unwrap());
        for (tight, loose) in ladder.clone().zip(ladder.skip(1)) {
            assert!(loose.mean_value <= tight.mean_value + 1e-12);
            assert!(loose.kl <= tight.kl + 1e-12);
        }
    }
}

#[test]
fn the_reward_rises_in_the_inverse_strength_by_its_variance() {
    let world = fixture_a();
    let (reference, value) = (&world.prompts[0].rho_ref, world.prompts[0].value());
    close(tilt(reference, &value, 0.5).unwrap().variance, 0.04221848360, 1e-11);
    let mut stream = Stream::new(4);
    for _ in 0..200 {
        let world = random_world(&mut stream, 1);
        let (reference, value) = (&world.prompts[0].rho_ref, world.prompts[0].value());
        let at = |inverse: f64| tilt(reference, &value, 1.0 / inverse).unwrap();
        let (inverse, step) = (1.0 / world.lambda, 1e-4 / world.lambda);
        let slope = (at(inverse + step).mean_value - at(inverse - step).mean_value) / (2.0 * step);
        close(at(inverse).variance, slope, 1e-5 * (1.0 + slope));
    }
}

#[test]
fn limits_of_the_strength() {
    let world = fixture_a();
    let (reference, value) = (&world.prompts[0].rho_ref, world.prompts[0].value());
    let free = tilt(reference, &value, 1e-3).unwrap();
    close(free.mean_value, 0.8, 1e-12);
    close(free.kl, -(0.2f64.ln()), 1e-9); // all mass on the best rewrite
    assert!(free.reverse_kl > 100.0 && free.reverse_kl.is_finite());
    let tied = tilt(reference, &value, 1e9).unwrap();
    assert!(total_variation(&tied.policy, reference) < 1e-9);
    close(tied.mean_value, 0.48, 1e-9);
}

#[test]
fn extreme_values_stay_finite() {
    let tilted = tilt(&[0.5, 0.5], &[1e4, -1e4], 1.0).unwrap();
    close(tilted.log_partition, 1e4 - 2f64.ln(), 1e-9);
    assert_eq!(tilted.policy, [1.0, 0.0]);
    assert!(tilted.kl.is_finite() && tilted.reverse_kl.is_finite());
}

#[test]
fn a_constant_reward_changes_nothing() {
    let (reference, value) = ([0.2, 0.5, 0.3], [0.1, 0.9, 0.4]);
    let (plain, shifted) =
        (tilt(&reference, &value, 0.3).unwrap(), tilt(&reference, &value.map(|v| v + 7.0), 0.3).unwrap());
    assert!(total_variation(&plain.policy, &shifted.policy) < 1e-14);
    close(shifted.optimum - plain.optimum, 7.0, 1e-12);
}

#[test]
fn the_oracle_is_the_same_closed_form_over_responses() {
    let (pi_sft, reward) = ([0.2, 0.5, 0.3], [0.1, 0.9, 0.4]);
    assert_eq!(rlhf_optimum(&pi_sft, &reward, 0.7).unwrap(), tilt(&pi_sft, &reward, 0.7).unwrap());
}
