//! What must not matter: constants in rewards and log-ratios, the order of candidates, the sides of a pair.

use objective::{
    Advantage, Distance, Dpo, DpoRw, ExoRw, Group, GroupGradient, GroupObjective, KlEstimator, Pair, PairObjective,
    PolicyObjective, Rewrite, Rpo, Sides, Simpo, ZScore, group_mean, grpo, gspo, leave_one_out, policy_loss, ppo,
    reinforce, rloo_clipped, z_score,
};
use proptest::prelude::*;

fn group_objectives() -> [GroupObjective; 5] {
    let rpo = |distance| GroupObjective::Rpo(Rpo { beta: 0.3, eta: 1.5, distance });
    [
        rpo(Distance::Square),
        rpo(Distance::Backward),
        rpo(Distance::Forward),
        GroupObjective::ExoRw(ExoRw { beta_pi: 0.7, beta_r: 0.5 }),
        GroupObjective::DpoRw(DpoRw { beta_pi: 0.7, beta_r: 0.5 }),
    ]
}

fn evaluate(objective: GroupObjective, candidates: &[(f64, f64, f64)]) -> (f64, Vec<f64>) {
    let policy_logps: Vec<f64> = candidates.iter().map(|c| c.0).collect();
    let ref_logps: Vec<f64> = candidates.iter().map(|c| c.1).collect();
    let rewards: Vec<f64> = candidates.iter().map(|c| c.2).collect();
    let (mut d_logps, mut d_rewards) = (vec![0.0; candidates.len()], vec![0.0; candidates.len()]);
    let gradient = GroupGradient { policy_logps: &mut d_logps, rewards: &mut d_rewards };
    let group = Group { policy_logps: &policy_logps, ref_logps: &ref_logps, rewards: &rewards };
    (objective.loss(group, gradient).unwrap().loss, d_logps)
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-10 * expected.abs().max(1.0)
}

fn candidates() -> impl Strategy<Value = Vec<(f64, f64, f64)>> {
    prop::collection::vec((-30.0..-1.0, -30.0..-1.0, -2.0..2.0), 2..8)
}

fn sides() -> impl Strategy<Value = Sides> {
    (-30.0..-1.0, -30.0..-1.0).prop_map(|(chosen, rejected)| Sides::new(chosen, rejected))
}

proptest! {
    #[test]
    fn constants_per_prompt_change_nothing(group in candidates(), shift in -5.0..5.0f64, lift in -5.0..5.0f64) {
        let moved: Vec<_> = group.iter().map(|&(p, r, reward)| (p + shift, r, reward + lift)).collect();
        for objective in group_objectives() {
            let (loss, gradient) = evaluate(objective, &group);
            let (same, same_gradient) = evaluate(objective, &moved);
            prop_assert!(close(same, loss), "{objective:?}: {same} {loss}");
            prop_assert!(gradient.iter().zip(&same_gradient).all(|(a, b)| close(*a, *b)));
        }
    }

    #[test]
    fn order_of_candidates_changes_nothing(group in candidates()) {
        let reversed: Vec<_> = group.iter().rev().copied().collect();
        for objective in group_objectives() {
            let (loss, gradient) = evaluate(objective, &group);
            let (same, same_gradient) = evaluate(objective, &reversed);
            prop_assert!(close(same, loss));
            prop_assert!(gradient.iter().rev().zip(&same_gradient).all(|(a, b)| close(*a, *b)));
        }
    }

    /// The gradient sums to zero over a group: only differences of log-probabilities matter.
    #[test]
    fn group_gradients_sum_to_zero(group in candidates()) {
        for objective in group_objectives() {
            let (_, gradient) = evaluate(objective, &group);
            prop_assert!(gradient.iter().sum::<f64>().abs() < 1e-10);
        }
    }

    #[test]
    fn divergences_are_never_negative(group in candidates()) {
        for objective in group_objectives() {
            prop_assert!(evaluate(objective, &group).0 >= -1e-12, "{objective:?}");
        }
    }

    /// Dividing both models' logits by the sampling temperature is what EXO's code does; for whole-rewrite scores it
    /// is the same as dividing β_π by it.
    #[test]
    fn temperature_is_a_scale_of_beta_pi(group in candidates(), temperature in 0.5..2.0f64) {
        let tempered: Vec<_> = group.iter().map(|&(p, r, reward)| (p / temperature, r / temperature, reward)).collect();
        let (beta_pi, beta_r) = (0.7, 0.5);
        let (loss, _) = evaluate(GroupObjective::ExoRw(ExoRw { beta_pi: beta_pi / temperature, beta_r }), &group);
        let (same, _) = evaluate(GroupObjective::ExoRw(ExoRw { beta_pi, beta_r }), &tempered);
        prop_assert!(close(same, loss));
    }

    #[test]
    fn swapping_the_sides_of_a_pair_mirrors_reward_aware_losses(policy in sides(), reference in sides(), rewards in sides()) {
        let swap = |sides: Sides| Sides::new(sides.rejected, sides.chosen);
        let pair = Pair { rewards: rewards * 0.05, ..Pair::of_logps(policy, reference) };
        let swapped = Pair { rewards: swap(rewards) * 0.05, ..Pair::of_logps(swap(policy), swap(reference)) };
        for distance in [Distance::Square, Distance::Backward, Distance::Forward] {
            let objective = PairObjective::Rpo(Rpo { beta: 0.1, eta: 1.0, distance });
            let (one, other) = (objective.loss(&pair), objective.loss(&swapped));
            prop_assert!(close(one.loss, other.loss));
            prop_assert!(close(one.d_policy.chosen, other.d_policy.rejected));
        }
    }

    #[test]
    fn prompt_constants_cancel_in_pairs(policy in sides(), reference in sides(), shift in -5.0..5.0f64) {
        let moved = policy + Sides::new(shift, shift);
        let dpo = PairObjective::Dpo(Dpo { beta: 0.1 });
        let loss = dpo.loss(&Pair::of_logps(policy, reference));
        prop_assert!(close(dpo.loss(&Pair::of_logps(moved, reference)).loss, loss.loss));
        prop_assert!(close(loss.d_policy.chosen, -loss.d_policy.rejected));
    }

    #[test]
    fn averaging_is_scaling_by_the_length(policy in sides(), lengths in (1u8..40, 1u8..40)) {
        let lengths = Sides::new(f64::from(lengths.0), f64::from(lengths.1));
        let simpo = PairObjective::Simpo(Simpo { beta: 2.0, gamma: 0.5 });
        let pair = Pair { lengths, ..Pair::of_logps(policy, Sides::default()) };
        let (direct, averaged) = (simpo.loss(&pair), simpo.loss(&pair.averaged()).per_token(lengths));
        prop_assert!(close(direct.loss, averaged.loss));
        prop_assert!(close(direct.d_policy.chosen, averaged.d_policy.chosen));
    }

    #[test]
    fn advantages_sum_to_zero_and_ignore_constants(rewards in prop::collection::vec(-3.0..3.0f64, 2..9), lift in -9.0..9.0f64) {
        type Baseline = fn(&[f64], &mut [f64]) -> Result<(), objective::Error>;
        let baselines: [Baseline; 3] =
            [leave_one_out, group_mean, |rewards, out| z_score(rewards, ZScore::default(), out)];
        let lifted: Vec<f64> = rewards.iter().map(|reward| reward + lift).collect();
        for baseline in baselines {
            let (mut plain, mut same) = (vec![0.0; rewards.len()], vec![0.0; rewards.len()]);
            baseline(&rewards, &mut plain).unwrap();
            baseline(&lifted, &mut same).unwrap();
            prop_assert!(plain.iter().sum::<f64>().abs() < 1e-9);
            prop_assert!(plain.iter().zip(&same).all(|(a, b)| close(*a, *b)));
        }
    }

    #[test]
    fn on_policy_every_ratio_gives_the_gradient_of_reinforce(
        token_logps in prop::collection::vec(-6.0..-0.01f64, 1..9), advantage in -2.0..2.0f64,
    ) {
        let slopes = |objective: PolicyObjective| {
            let rewrite = Rewrite {
                token_logps: &token_logps,
                old_token_logps: Some(&token_logps),
                ref_token_logps: Some(&token_logps),
            };
            let mut gradient = vec![0.0; token_logps.len()];
            policy_loss(&rewrite, Advantage::Rewrite(advantage), &objective, &mut gradient).unwrap();
            gradient
        };
        let expected = slopes(reinforce());
        for objective in [ppo(0.2), grpo(0.2, 0.1), gspo(0.2, 0.2), rloo_clipped(objective::Clip::symmetric(0.2))] {
            prop_assert!(slopes(objective).iter().zip(&expected).all(|(a, b)| close(*a, *b)));
        }
    }

    #[test]
    fn k2_and_k3_are_never_negative(policy in -50.0..0.0f64, reference in -50.0..0.0f64, tiny in -1e-6..1e-6f64) {
        for estimator in [KlEstimator::K2, KlEstimator::K3] {
            prop_assert!(estimator.estimate(policy, reference).value >= 0.0);
            prop_assert!(estimator.estimate(policy, policy + tiny).value >= 0.0);
        }
    }
}
