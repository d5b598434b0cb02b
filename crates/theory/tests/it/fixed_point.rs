//! Where the methods end, and the exact gradients that lead there.

use crate::random_world::{fixture_a, random_world};
use crate::{all_close, close};
use objective::{
    Aipo, AlphaDpo, Cdpo, Distance, Dpo, DpoRw, ExoPref, ExoRw, Ipo, LabelNoise, Rpo, Simpo, apo_coefficient,
    iterated_coefficients,
};
use theory::divergence::{expectation, total_variation};
use theory::{
    LabelLoss, Method, Objective, Rewrites, Stream, World, WorldTables, exact_loss, fixed_point, gradient_flow,
};

const DISTANCES: [Distance; 3] = [Distance::Square, Distance::Backward, Distance::Forward];

fn dpo(beta: f64, scale: f64) -> Objective {
    Objective::Labels { loss: LabelLoss::Dpo(Dpo { beta }), scale }
}

fn alpha_dpo(beta: f64, alpha: f64, scale: f64) -> Objective {
    let loss = LabelLoss::Aipo(Aipo { preference: AlphaDpo { beta, alpha }, nll_weight: 0.0 });
    Objective::Labels { loss, scale }
}

/// Every method of the table, its λ_eff equal to `lambda`.
fn matched(lambda: f64) -> Vec<(&'static str, Method)> {
    let mut methods = vec![
        ("expected reward", Method::once(Objective::ExpectedReward { lambda })),
        ("EXO_rw", Method::once(Objective::ExoRw(ExoRw { beta_pi: 1.0, beta_r: lambda }))),
        ("DPO_rw", Method::once(Objective::DpoRw(DpoRw { beta_pi: 1.0, beta_r: lambda }))),
        ("DPO", Method::once(dpo(1.0, 1.0 / lambda))),
    ];
    for distance in DISTANCES {
        let rpo = Rpo { beta: 3.0 * lambda, eta: 3.0, distance };
        methods.push(("RPO on pairs", Method::once(Objective::RpoPairs(rpo))));
        methods.push(("RPO on groups", Method::once(Objective::RpoGroup(rpo))));
    }
    let rounds = 3;
    methods.push(("iterative DPO", Method { objective: dpo(3.0 * lambda, 1.0), rounds, momentum: 0.0 }));
    let beta = lambda * apo_coefficient(0.3, rounds);
    methods.push(("APO", Method { objective: dpo(beta, 1.0), rounds, momentum: 0.3 }));
    methods
}

#[test]
fn every_method_ends_at_the_closed_form() {
    let world = fixture_a();
    for (name, method) in matched(world.lambda) {
        let end = fixed_point(&world, method).unwrap();
        assert!(end.tv_rho_star <= 1e-12, "{name} ends {} away", end.tv_rho_star);
        close(end.family.unwrap().lambda_eff, 0.5, 1e-15);
    }
}

#[test]
fn the_methods_agree_on_random_worlds() {
    let mut stream = Stream::new(41);
    for _ in 0..20 {
        let world = random_world(&mut stream, 2);
        let lambda = world.lambda.max(0.1); // below, labels are certain to rounding
        for (name, method) in matched(lambda) {
            let end = fixed_point(&world, method).unwrap();
            let away = end.tv_predicted.unwrap();
            assert!(away <= 1e-9, "{name} at λ {lambda} ends {away} away, {end:?}");
        }
    }
}

#[test]
fn the_wrong_strength_ends_elsewhere() {
    // The negative test: β_π 0.7 and β_r 0.5 make λ_eff 0.35, not the 0.5 of the world.
    let exo = Method::once(Objective::ExoRw(ExoRw { beta_pi: 0.7, beta_r: 0.5 }));
    let end = fixed_point(&fixture_a(), exo).unwrap();
    close(end.tv_rho_star, 0.0702432844856, 2e-11); // a published run, stopped a little early
    close(end.tv_rho_star, 0.07024328447564088, 1e-12); // between the two closed forms
    assert!(end.tv_predicted.unwrap() <= 1e-12);
    close(end.family.unwrap().lambda_eff, 0.35, 1e-15);
}

#[test]
fn losses_that_read_no_reward_have_no_strength() {
    let world = fixture_a();
    let sft = fixed_point(&world, Method::once(Objective::Labels { loss: LabelLoss::Sft, scale: 2.0 })).unwrap();
    assert_eq!(sft.family, None);
    assert!(sft.tv_rho_star > 0.01);
    // Maximum likelihood of the chosen rewrite: its share of wins.
    let value = world.prompts[0].value();
    let wins = |k: usize| -> f64 {
        (0..4).filter(|j| *j != k).map(|j| 1.0 / (1.0 + (-2.0 * (value[k] - value[j])).exp())).sum::<f64>() / 6.0
    };
    all_close(&sft.prompts[0].policy, &[wins(0), wins(1), wins(2), wins(3)], 1e-12);
}

#[test]
fn random_restarts_climb_to_the_same_policy() {
    let mut stream = Stream::new(42);
    let world = fixture_a();
    let value = world.prompts[0].value();
    let ref_logps: Vec<f64> = world.prompts[0].rho_ref.iter().map(|mass| mass.ln()).collect();
    let rho_star = &world.solve().unwrap().prompts[0].rho_star;
    for _ in 0..50 {
        let start: Vec<f64> = (0..4).map(|_| 3.0 * stream.normal()).collect();
        let rewrites = Rewrites { ref_logps: &ref_logps, value: &value };
        let end = gradient_flow(Objective::ExpectedReward { lambda: 0.5 }, rewrites, &start).unwrap();
        let policy: Vec<f64> = end.logps.iter().map(|logp| logp.exp()).collect();
        assert!(total_variation(&policy, rho_star) < 1e-9);
    }
}

#[test]
fn the_score_function_gradient_is_the_softmax_gradient() {
    let world = fixture_a();
    let (rho_ref, value) = (&world.prompts[0].rho_ref, world.prompts[0].value());
    let ref_logps: Vec<f64> = rho_ref.iter().map(|mass| mass.ln()).collect();
    let policy = [0.1f64, 0.2, 0.3, 0.4];
    let logits = policy.map(f64::ln);
    let mut gradient = [0.0; 4];
    let rewrites = Rewrites { ref_logps: &ref_logps, value: &value };
    exact_loss(Objective::ExpectedReward { lambda: 0.5 }, rewrites, &logits, &mut gradient).unwrap();
    let shaped: Vec<f64> = (0..4).map(|k| value[k] - 0.5 * (logits[k] - ref_logps[k])).collect();
    let mean = expectation(&policy, &shaped);
    for k in 0..4 {
        close(-gradient[k], policy[k] * (shaped[k] - mean), 1e-15);
    }
    let tuples = average_over_tuples(&policy, &shaped, objective::leave_one_out);
    all_close(&tuples, &gradient.map(|slope| -slope), 1e-14);
    let shrunk = average_over_tuples(&policy, &shaped, objective::group_mean);
    all_close(&shrunk, &gradient.map(|slope| -slope * 2.0 / 3.0), 1e-14); // (K − 1)/K of it
}

/// E over all triples from the policy of mean_k A_k ∇ log ρ(x'_k), in the logits.
fn average_over_tuples(
    policy: &[f64; 4],
    shaped: &[f64],
    advantages: fn(&[f64], &mut [f64]) -> Result<(), objective::Error>,
) -> Vec<f64> {
    let mut average = vec![0.0; 4];
    for tuple in 0..64 {
        let drawn = [tuple % 4, tuple / 4 % 4, tuple / 16];
        let probability: f64 = drawn.iter().map(|k| policy[*k]).product();
        let mut advantage = [0.0; 3];
        advantages(&drawn.map(|k| shaped[k]), &mut advantage).unwrap();
        for (k, advantage) in drawn.iter().zip(advantage) {
            for (j, slope) in average.iter_mut().enumerate() {
                *slope += probability * advantage / 3.0 * (f64::from(u8::from(j == *k)) - policy[j]);
            }
        }
    }
    average
}

#[test]
fn exact_gradients_agree_with_central_differences() {
    let preference = AlphaDpo { beta: 0.7, alpha: 0.2 };
    let noise = LabelNoise::Conservative;
    let rpo = |distance| Rpo { beta: 0.8, eta: 1.7, distance };
    let labels = [
        LabelLoss::Dpo(Dpo { beta: 0.7 }),
        LabelLoss::Cdpo(Cdpo { beta: 0.7, label_smoothing: 0.1, noise }),
        LabelLoss::Ipo(Ipo { beta: 0.7 }),
        LabelLoss::Simpo(Simpo { beta: 2.0, gamma: 0.5 }),
        LabelLoss::ExoPref(ExoPref { beta: 0.7, label_smoothing: 0.01 }),
        LabelLoss::Aipo(Aipo { preference, nll_weight: 0.3 }),
        LabelLoss::Sft,
    ];
    let mut objectives: Vec<Objective> = labels.map(|loss| Objective::Labels { loss, scale: 1.3 }).to_vec();
    objectives.extend(DISTANCES.map(|distance| Objective::RpoPairs(rpo(distance))));
    objectives.extend(DISTANCES.map(|distance| Objective::RpoGroup(rpo(distance))));
    objectives.push(Objective::ExpectedReward { lambda: 0.4 });
    objectives.push(Objective::ExoRw(ExoRw { beta_pi: 0.7, beta_r: 0.5 }));
    objectives.push(Objective::DpoRw(DpoRw { beta_pi: 0.7, beta_r: 0.5 }));
    let mut stream = Stream::new(43);
    for objective in objectives {
        for _ in 0..20 {
            let column = |stream: &mut Stream| -> Vec<f64> { (0..5).map(|_| stream.normal()).collect() };
            let (ref_logps, value, logits) = (column(&mut stream), column(&mut stream), column(&mut stream));
            let rewrites = Rewrites { ref_logps: &ref_logps, value: &value };
            let (mut gradient, mut ignored) = ([0.0; 5], [0.0; 5]);
            exact_loss(objective, rewrites, &logits, &mut gradient).unwrap();
            for k in 0..5 {
                let mut at = |shift: f64| {
                    let mut logits = logits.clone();
                    logits[k] += shift;
                    exact_loss(objective, rewrites, &logits, &mut ignored).unwrap()
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                close(gradient[k], slope, 1e-8 * (1.0 + slope.abs()));
            }
        }
    }
}

/// Fixture D: three rewrites with exact rewards .1, .4 and .9.
fn fixture_d() -> World {
    World::new(WorldTables {
        rho_ref: vec![vec![0.5, 0.25, 0.25]],
        pi_f: vec![vec![vec![1.0, 0.0, 0.0], vec![0.0, 1.0, 0.0], vec![0.0, 0.0, 1.0]]],
        reward: vec![vec![0.1, 0.4, 0.9]],
        lambda: 0.5,
        beta: 0.5,
        ..WorldTables::default()
    })
    .unwrap()
}

#[test]
fn momentum_gains_on_plain_iteration() {
    let world = fixture_d();
    let apo = fixed_point(&world, Method { objective: dpo(0.5, 1.0), rounds: 3, momentum: 0.3 }).unwrap();
    all_close(&apo.prompts[0].policy, &[0.005295869726458187, 0.02423456789371585, 0.970469562379826], 1e-12);
    let plain = fixed_point(&world, Method { objective: dpo(0.5, 1.0), rounds: 3, momentum: 0.0 }).unwrap();
    all_close(&plain.prompts[0].policy, &[0.015436855486759328, 0.046693766826991306, 0.9378693776862492], 1e-12);
    let gap = |policy: &[f64]| 0.9 - expectation(policy, &[0.1, 0.4, 0.9]);
    assert!(gap(&apo.prompts[0].policy) < gap(&plain.prompts[0].policy));
    for rounds in 1..=5 {
        let end = fixed_point(&world, Method { objective: dpo(0.5, 1.0), rounds, momentum: 0.3 }).unwrap();
        assert!(end.tv_predicted.unwrap() < 1e-12);
        let c = [1.0, 2.3, 3.69, 5.107, 6.5321][rounds as usize - 1];
        close(end.family.unwrap().lambda_eff, 0.5 / c, 1e-12);
    }
}

#[test]
fn the_gap_of_momentum_is_bounded() {
    // max r − E r ≤ (β/c_t) log(1/ρ_ref(best)).
    let mut stream = Stream::new(44);
    for _ in 0..10 {
        let world = random_world(&mut stream, 1);
        let (prompt, value) = (&world.prompts[0], world.prompts[0].value());
        let best = (0..value.len()).max_by(|a, b| value[*a].total_cmp(&value[*b])).unwrap();
        for rounds in 1..=4 {
            let method = Method { objective: dpo(1.0, 1.0), rounds, momentum: 0.3 };
            let policy = &fixed_point(&world, method).unwrap().prompts[0].policy;
            let allowed = -prompt.rho_ref[best].ln() / apo_coefficient(0.3, rounds);
            assert!(value[best] - expectation(policy, &value) <= allowed + 1e-9);
        }
    }
}

#[test]
fn agreement_sharpens_the_reference() {
    let world = fixture_d();
    let once = fixed_point(&world, Method::once(alpha_dpo(0.5, 0.09, 1.0))).unwrap();
    all_close(&once.prompts[0].policy, &[0.2390797712958536, 0.20464296785687489, 0.5562772608472715], 1e-12);
    for rounds in [2, 3, 10] {
        let method = Method { objective: alpha_dpo(0.5, 0.09, 1.0), rounds, momentum: 0.0 };
        let end = fixed_point(&world, method).unwrap();
        assert!(end.tv_predicted.unwrap() < 1e-11, "{rounds} rounds end {:?} away", end.tv_predicted);
        close(end.family.unwrap().reference_power, iterated_coefficients(0.09, rounds).reference, 0.0);
    }
}

#[test]
fn a_single_rewrite_and_impossible_rewrites_are_left_alone() {
    let world = World::new(WorldTables {
        rho_ref: vec![vec![1.0, 0.0], vec![0.5, 0.5]],
        pi_f: vec![vec![vec![0.5, 0.5], vec![0.0, 1.0]]; 2],
        reward: vec![vec![0.0, 1.0]; 2],
        lambda: 0.5,
        beta: 0.5,
        ..WorldTables::default()
    })
    .unwrap();
    let end = fixed_point(&world, Method::once(Objective::ExpectedReward { lambda: 0.5 })).unwrap();
    assert_eq!(end.prompts[0].policy, [1.0, 0.0]);
    assert!(end.tv_rho_star < 1e-12);
    assert!(fixed_point(&world, Method { rounds: 0, ..Method::once(dpo(1.0, 1.0)) }).is_err());
}
