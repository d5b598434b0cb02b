//! Arguments of ±10⁴, exact zeros and rounding to f32 leave every value and gradient finite.

use objective::{
    Advantage, Aipo, AlphaDpo, Cdpo, Clip, Distance, Dpo, DpoRw, Error, ExoPref, ExoRw, Group, GroupGradient,
    GroupObjective, Ipo, KlEstimator, KlPenalty, Kto, Label, LabelNoise, Normaliser, Pair, PairObjective,
    PolicyObjective, RatioLevel, Rewrite, Rpo, Sides, Simpo, Sppo, grpo, kto, policy_loss, ppo, rloo_clipped,
    value_loss,
};

const EXTREMES: [f64; 9] = [-1e4, -700.0, -60.0, -1e-7, 0.0, 1e-7, 60.0, 700.0, 1e4];

/// Finite as f64 and after rounding to f32.
fn assert_finite(value: f64, place: impl std::fmt::Debug) {
    assert!(value.is_finite() && (value as f32).is_finite(), "{value} at {place:?}");
}

/// The same number after a trip through f32, as an f32 engine would hand it over.
fn rounded(value: f64) -> f64 {
    f64::from(value as f32)
}

fn pair_objectives(beta: f64) -> Vec<PairObjective> {
    let rpo = |distance| PairObjective::Rpo(Rpo { beta, eta: 1.0, distance });
    let cdpo = |noise| PairObjective::Cdpo(Cdpo { beta, label_smoothing: 0.1, noise });
    let preference = AlphaDpo { beta, alpha: 0.09 };
    vec![
        PairObjective::Dpo(Dpo { beta }),
        cdpo(LabelNoise::Conservative),
        cdpo(LabelNoise::Unbiased),
        PairObjective::Ipo(Ipo { beta }),
        PairObjective::Simpo(Simpo { beta, gamma: 0.5 }),
        rpo(Distance::Square),
        rpo(Distance::Backward),
        rpo(Distance::Forward),
        PairObjective::ExoPref(ExoPref { beta, label_smoothing: 1e-3 }),
        PairObjective::AlphaDpo(preference),
        PairObjective::Aipo(Aipo { preference, nll_weight: 0.5 }),
        PairObjective::Sppo(Sppo { beta }),
    ]
}

#[test]
fn pairwise_losses_stay_finite() {
    for policy in EXTREMES.map(rounded) {
        for other in EXTREMES.map(rounded) {
            for target in EXTREMES.map(rounded) {
                let pair = Pair {
                    rewards: Sides::new(target, 0.0),
                    ..Pair::of_logps(Sides::new(policy, 0.0), Sides::new(0.0, other))
                };
                for objective in pair_objectives(1.0).into_iter().chain(pair_objectives(0.1)) {
                    let found = objective.loss(&pair);
                    assert_finite(found.loss, (objective, pair));
                    for sides in [found.d_policy, found.d_reference, found.d_rewards] {
                        assert_finite(sides.chosen, (objective, pair));
                        assert_finite(sides.rejected, (objective, pair));
                    }
                }
            }
        }
    }
}

#[test]
fn kto_stays_finite() {
    let options = Kto { beta: 1.0, reference_point: 0.0, desirable_weight: 1.0, undesirable_weight: 1.0 };
    for policy in EXTREMES {
        for label in [Label::Desirable, Label::Undesirable] {
            let found = kto(policy, 0.0, label, options);
            assert_finite(found.loss, policy);
            assert_finite(found.d_policy, policy);
        }
    }
}

#[test]
fn group_losses_stay_finite() {
    let objectives = [Distance::Square, Distance::Backward, Distance::Forward]
        .map(|distance| GroupObjective::Rpo(Rpo { beta: 1.0, eta: 1.0, distance }))
        .into_iter()
        .chain([
            GroupObjective::ExoRw(ExoRw { beta_pi: 1.0, beta_r: 1.0 }),
            GroupObjective::DpoRw(DpoRw { beta_pi: 1.0, beta_r: 1.0 }),
        ]);
    for objective in objectives {
        for a in EXTREMES.map(rounded) {
            for b in EXTREMES.map(rounded) {
                let group = Group { policy_logps: &[a, 0.0, -a], ref_logps: &[0.0; 3], rewards: &[b, 0.0, -b] };
                let (mut logps, mut rewards) = ([0.0; 3], [0.0; 3]);
                let gradient = GroupGradient { policy_logps: &mut logps, rewards: &mut rewards };
                assert_finite(objective.loss(group, gradient).unwrap().loss, (objective, a, b));
                logps.iter().chain(&rewards).for_each(|slope| assert_finite(*slope, (objective, a, b)));
            }
        }
    }
}

#[test]
fn policy_losses_stay_finite() {
    let penalised = |estimator| PolicyObjective { kl: Some(KlPenalty { lambda: 1.0, estimator }), ..ppo(0.2) };
    let unclipped = |ratio| PolicyObjective { ratio, clip: Clip::Unclipped, ..ppo(0.2) };
    let objectives = [
        ppo(0.2),
        grpo(0.2, 1.0),
        rloo_clipped(Clip::symmetric(0.2)),
        penalised(KlEstimator::K1),
        penalised(KlEstimator::K2),
        penalised(KlEstimator::K3),
        unclipped(RatioLevel::Score),
        unclipped(RatioLevel::Token),
        unclipped(RatioLevel::Sequence),
        unclipped(RatioLevel::SequenceMean),
    ];
    for objective in objectives {
        for now in EXTREMES.map(rounded) {
            for advantage in [-1e4, -1.0, 0.0, 1.0, 1e4] {
                let rewrite = Rewrite {
                    token_logps: &[now; 64],
                    old_token_logps: Some(&[0.0; 64]),
                    ref_token_logps: Some(&[0.0; 64]),
                };
                let mut gradient = [0.0; 64];
                let found = policy_loss(&rewrite, Advantage::Rewrite(advantage), &objective, &mut gradient).unwrap();
                assert_finite(found.loss, (objective, now, advantage));
                gradient.iter().for_each(|slope| assert_finite(*slope, (objective, now, advantage)));
            }
        }
    }
}

#[test]
fn far_ratios_pull_back() {
    let objective = PolicyObjective { clip: Clip::Unclipped, ..ppo(0.2) };
    let slope = |now: f64| {
        let rewrite = Rewrite { token_logps: &[now], old_token_logps: Some(&[0.0]), ref_token_logps: None };
        let mut gradient = [0.0];
        policy_loss(&rewrite, Advantage::Rewrite(-1.0), &objective, &mut gradient).unwrap();
        gradient[0]
    };
    assert!(slope(61.0) > 0.0 && slope(1e4) >= slope(61.0));
}

#[test]
fn value_head_stays_finite() {
    for value in EXTREMES {
        let mut gradient = [0.0];
        assert_finite(value_loss(&[value], &[0.0], &[-value], 0.2, &mut gradient).unwrap().loss, value);
        assert_finite(gradient[0], value);
    }
}

#[test]
fn empty_rewrites_weigh_nothing_and_are_no_division_by_zero() {
    let rewrite = Rewrite { token_logps: &[], old_token_logps: Some(&[]), ref_token_logps: Some(&[]) };
    for objective in [ppo(0.2), grpo(0.2, 0.1), objective::gspo(0.1, 0.1)] {
        let found = policy_loss(&rewrite, Advantage::Rewrite(1.0), &objective, &mut []).unwrap();
        assert_eq!((found.loss, found.tokens), (0.0, 0));
        let empty_batch = objective::BatchSize { rewrites: 0, tokens: 0 };
        assert_finite(objective.normaliser.weight(0, empty_batch), objective);
    }
}

#[test]
fn misfits_are_reported_not_panicked_over() {
    let rewrite = Rewrite { token_logps: &[-1.0, -2.0], old_token_logps: Some(&[-1.0]), ref_token_logps: None };
    let error = policy_loss(&rewrite, Advantage::Rewrite(1.0), &ppo(0.2), &mut [0.0; 2]).unwrap_err();
    assert_eq!(error, Error::Length { field: "old_token_logps", expected: 2, found: 1 });

    let rewrite = Rewrite { token_logps: &[-1.0, -2.0], old_token_logps: None, ref_token_logps: None };
    let error = policy_loss(&rewrite, Advantage::Rewrite(1.0), &grpo(0.2, 0.1), &mut [0.0; 2]).unwrap_err();
    assert_eq!(error, Error::Missing { method: "a KL penalty", field: "ref_token_logps" });

    let clipped = rloo_clipped(Clip::symmetric(0.2));
    let error = policy_loss(&rewrite, Advantage::Tokens(&[1.0, 2.0]), &clipped, &mut [0.0; 2]).unwrap_err();
    assert_eq!(error, Error::TokenAdvantage);

    let options = GroupObjective::ExoRw(ExoRw { beta_pi: 1.0, beta_r: 1.0 });
    let gradient = GroupGradient { policy_logps: &mut [0.0; 2], rewards: &mut [0.0; 1] };
    let group = Group { policy_logps: &[0.0; 2], ref_logps: &[0.0; 2], rewards: &[0.0; 2] };
    let error = options.loss(group, gradient).unwrap_err();
    assert_eq!(error, Error::Length { field: "gradient.rewards", expected: 2, found: 1 });
}

#[test]
fn options_outside_their_domain_are_refused_by_name() {
    let message = |result: Result<(), Error>| result.unwrap_err().to_string();
    assert_eq!(message(Dpo { beta: 0.0 }.check()), "option `beta` must be a finite number above 0, got 0");
    assert_eq!(message(Dpo { beta: f64::NAN }.check()), "option `beta` must be a finite number above 0, got NaN");
    let smoothing = ExoPref { beta: 0.1, label_smoothing: 0.0 }.check();
    assert_eq!(message(smoothing), "option `label_smoothing` must be above 0 and below 1, got 0");
    let half = Cdpo { beta: 0.1, label_smoothing: 0.5, noise: LabelNoise::Unbiased }.check();
    assert_eq!(message(half), "option `label_smoothing` must be at least 0 and below 0.5, got 0.5");
    let low = Clip::Range { low: 1.5, high: 0.2 }.check();
    assert_eq!(message(low), "option `epsilon_low` must be from 0 to 1, got 1.5");
    assert_eq!(
        message(Normaliser::Constant(-1.0).check()),
        "option `normaliser` must be a finite number above 0, got -1"
    );
}
