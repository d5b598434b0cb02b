//! Methods that are each other's special cases, written independently, must agree.

use objective::{
    Aipo, AlphaDpo, Cdpo, Distance, Dpo, DpoRw, ExoPref, ExoRw, Group, GroupGradient, GroupObjective, Ipo, LabelNoise,
    Pair, PairLoss, Rpo, Sides, Simpo, Sppo, aipo, alpha_dpo, cdpo, dpo, exo_pref, ipo, leave_one_out, rpo,
    shape_reward, simpo, sppo,
};

use crate::assert_close;
use crate::random::Random;

fn random_pairs(seed: u64) -> impl Iterator<Item = Pair> {
    let mut random = Random::new(seed);
    std::iter::repeat_with(move || {
        let mut sides = |low, high| Sides::new(random.uniform(low, high), random.uniform(low, high));
        Pair {
            policy: sides(-20.0, -1.0),
            reference: sides(-20.0, -1.0),
            rewards: sides(-1.0, 1.0),
            lengths: sides(1.0, 30.0),
        }
    })
    .take(1000)
}

/// Sets the reward margin to exactly `b` / `eta`.
fn with_target(pair: Pair, b: f64, eta: f64) -> Pair {
    Pair { rewards: Sides::new(b / eta, 0.0), ..pair }
}

fn assert_same_gradient(found: PairLoss, expected: PairLoss) {
    assert_close(found.d_policy.chosen, expected.d_policy.chosen);
    assert_close(found.d_policy.rejected, expected.d_policy.rejected);
    assert_close(found.d_reference.chosen, expected.d_reference.chosen);
    assert_close(found.d_reference.rejected, expected.d_reference.rejected);
}

fn entropy(p: f64) -> f64 {
    -p * p.ln() - (1.0 - p) * (1.0 - p).ln()
}

#[test]
fn dpo_is_backward_rpo_with_a_certain_label() {
    for pair in random_pairs(1) {
        let (beta, distance) = (0.1, Distance::Backward);
        let certain = rpo(&with_target(pair, 40.0, 2.0), Rpo { beta, eta: 2.0, distance });
        let reference = dpo(&pair, Dpo { beta });
        assert_close(certain.loss, reference.loss);
        assert_same_gradient(certain, reference);
    }
}

#[test]
fn conservative_dpo_is_backward_rpo_plus_the_label_entropy() {
    assert_close(entropy(0.1), 0.3250829733914482);
    for pair in random_pairs(2) {
        let (beta, epsilon) = (0.3, 0.1);
        let target = f64::ln((1.0 - epsilon) / epsilon);
        let aware = rpo(&with_target(pair, target, 1.0), Rpo { beta, eta: 1.0, distance: Distance::Backward });
        let smoothed = cdpo(&pair, Cdpo { beta, label_smoothing: epsilon, noise: LabelNoise::Conservative });
        assert_close(smoothed.loss - aware.loss, entropy(epsilon));
        assert_same_gradient(smoothed, aware);
    }
}

#[test]
fn both_label_noise_models_are_dpo_without_noise() {
    for pair in random_pairs(3) {
        for noise in [LabelNoise::Conservative, LabelNoise::Unbiased] {
            assert_eq!(cdpo(&pair, Cdpo { beta: 0.2, label_smoothing: 0.0, noise }), dpo(&pair, Dpo { beta: 0.2 }));
        }
    }
}

/// (1−ε) · loss of the kept pair + ε · loss of the flipped pair = the loss without noise.
#[test]
fn unbiased_label_noise_averages_to_clean_dpo() {
    for pair in random_pairs(4) {
        let (beta, epsilon) = (0.2, 0.15);
        let noisy = |pair: &Pair| cdpo(pair, Cdpo { beta, label_smoothing: epsilon, noise: LabelNoise::Unbiased }).loss;
        let flip = |sides: Sides| Sides::new(sides.rejected, sides.chosen);
        let flipped = Pair { policy: flip(pair.policy), reference: flip(pair.reference), ..pair };
        let average = (1.0 - epsilon) * noisy(&pair) + epsilon * noisy(&flipped);
        assert_close(average, dpo(&pair, Dpo { beta }).loss);
    }
}

#[test]
fn ipo_is_squared_rpo_with_target_one_half() {
    for pair in random_pairs(5) {
        let beta = 0.1;
        let aware = rpo(&with_target(pair, 0.5, 1.0), Rpo { beta, eta: 1.0, distance: Distance::Square });
        let scale = 2.0 / (beta * beta);
        let identity = ipo(&pair, Ipo { beta });
        assert_close(identity.loss, scale * aware.loss);
        assert_close(identity.d_policy.chosen, scale * aware.d_policy.chosen);
    }
}

#[test]
fn exo_pref_is_forward_rpo() {
    for pair in random_pairs(6) {
        let (beta, epsilon) = (0.1, 1e-3);
        let target = f64::ln((1.0 - epsilon) / epsilon);
        let aware = rpo(&with_target(pair, target, 1.0), Rpo { beta, eta: 1.0, distance: Distance::Forward });
        let exact = exo_pref(&pair, ExoPref { beta, label_smoothing: epsilon });
        assert_close(exact.loss, aware.loss);
        assert_same_gradient(exact, aware);
    }
}

#[test]
fn exo_pref_in_the_authors_convention_differs_by_the_label_normaliser() {
    let pair = Pair::of_logps(Sides::new(-3.0, -5.0), Sides::new(-4.0, -4.5));
    // Log-labels 0 and −10: the same ε up to the normaliser log(1 + e⁻¹⁰), which the authors leave out.
    let normaliser = f64::ln_1p(f64::exp(-10.0));
    let epsilon = f64::exp(-10.0 - normaliser);
    let found = exo_pref(&pair, ExoPref { beta: 0.1, label_smoothing: epsilon }).loss;
    assert_close(found - normaliser, 3.9353589755745353);
}

#[test]
fn alpha_dpo_is_dpo_against_a_sharpened_reference() {
    for pair in random_pairs(7) {
        let (beta, alpha) = (0.1, 0.09);
        let sharpened = Pair { reference: pair.reference * (1.0 + alpha), ..pair };
        let found = alpha_dpo(&pair, AlphaDpo { beta, alpha });
        let expected = dpo(&sharpened, Dpo { beta });
        assert_close(found.loss, expected.loss);
        assert_close(found.d_policy.chosen, expected.d_policy.chosen);
        assert_close(found.d_reference.chosen, (1.0 + alpha) * expected.d_reference.chosen);
    }
}

#[test]
fn aipo_without_its_terms_is_dpo() {
    for pair in random_pairs(8) {
        let bare = aipo(&pair, Aipo { preference: AlphaDpo { beta: 0.1, alpha: 0.0 }, nll_weight: 0.0 });
        assert_eq!(bare, dpo(&pair, Dpo { beta: 0.1 }));
    }
}

/// The gradient weight that the paper states: σ(β [(s_ref − s_θ) + α s_ref]).
#[test]
fn aipo_weighs_pairs_by_agreement() {
    for pair in random_pairs(9) {
        let (beta, alpha) = (0.1, 0.09);
        let (s_theta, s_ref) = (pair.policy.margin(), pair.reference.margin());
        let weight = 1.0 / (1.0 + f64::exp(-beta * ((s_ref - s_theta) + alpha * s_ref)));
        let found = aipo(&pair, Aipo { preference: AlphaDpo { beta, alpha }, nll_weight: 0.0 });
        assert_close(found.d_policy.chosen, -beta * weight);
    }
}

#[test]
fn simpo_is_reference_free_dpo_per_token() {
    for pair in random_pairs(10) {
        let free = Pair { reference: Sides::default(), ..pair }.averaged();
        let expected = dpo(&free, Dpo { beta: 2.0 }).per_token(pair.lengths);
        let found = simpo(&pair, Simpo { beta: 2.0, gamma: 0.0 });
        assert_close(found.loss, expected.loss);
        assert_close(found.d_policy.rejected, expected.d_policy.rejected);
    }
}

#[test]
fn sppo_in_the_convention_of_apo_is_a_rescaling() {
    for pair in random_pairs(11) {
        let (beta, log_z) = (0.2, 0.5);
        let hard = Pair { rewards: Sides::new(1.0, 0.0), ..pair };
        let implicit = pair.log_ratios() * beta;
        let other = 0.5 * (implicit.chosen - 1.0 + log_z).powi(2) + 0.5 * (implicit.rejected + log_z).powi(2);
        assert_close(0.5 * beta * beta * sppo(&hard, Sppo { beta }).loss, other);
    }
}

fn group_loss(objective: GroupObjective, scores: [&[f64]; 3]) -> (f64, Vec<f64>) {
    let [policy_logps, ref_logps, rewards] = scores;
    let (mut logps, mut given) = (vec![0.0; rewards.len()], vec![0.0; rewards.len()]);
    let gradient = GroupGradient { policy_logps: &mut logps, rewards: &mut given };
    let loss = objective.loss(Group { policy_logps, ref_logps, rewards }, gradient).unwrap().loss;
    (loss, logps)
}

#[test]
fn groups_of_two_are_pairs() {
    for pair in random_pairs(12) {
        for (distance, share) in [(Distance::Square, 0.25), (Distance::Backward, 1.0), (Distance::Forward, 1.0)] {
            let options = Rpo { beta: 0.3, eta: 1.5, distance };
            let columns = [pair.policy, pair.reference, pair.rewards].map(|side| [side.chosen, side.rejected]);
            let (loss, gradient) = group_loss(GroupObjective::Rpo(options), [&columns[0], &columns[1], &columns[2]]);
            let expected = rpo(&pair, options);
            assert_close(loss, share * expected.loss);
            assert_close(gradient[0], share * expected.d_policy.chosen);
            assert_close(gradient[1], share * expected.d_policy.rejected);
        }
    }
}

#[test]
fn group_methods_are_the_group_forms_of_rpo() {
    let mut random = Random::new(13);
    for _ in 0..1000 {
        let size = random.integer(2, 8);
        let columns = [-9.0, -9.0, -1.0].map(|low| random.vector(size, low, 1.0));
        let scores = [columns[0].as_slice(), &columns[1], &columns[2]];
        let (beta_pi, beta_r) = (0.7, 0.5);
        let aware =
            |distance| group_loss(GroupObjective::Rpo(Rpo { beta: beta_pi, eta: 1.0 / beta_r, distance }), scores);

        let (reverse, d_reverse) = group_loss(GroupObjective::ExoRw(ExoRw { beta_pi, beta_r }), scores);
        let (forward, d_forward) = aware(Distance::Forward);
        assert_close(reverse, forward);
        d_reverse.iter().zip(&d_forward).for_each(|(found, expected)| assert_close(*found, *expected));

        let (cross, d_cross) = group_loss(GroupObjective::DpoRw(DpoRw { beta_pi, beta_r }), scores);
        let (backward, d_backward) = aware(Distance::Backward);
        let weights: Vec<f64> = columns[2].iter().map(|reward| (reward / beta_r).exp()).collect();
        let total: f64 = weights.iter().sum();
        let label_entropy: f64 = weights.iter().map(|w| -(w / total) * (w / total).ln()).sum();
        assert_close(cross - backward, label_entropy);
        d_cross.iter().zip(&d_backward).for_each(|(found, expected)| assert_close(*found, *expected));
    }
}

#[test]
fn pairwise_squares_add_up_to_the_centred_ones() {
    let (a, b) = ([0.3, -0.2, 1.1], [1.0, 0.0, 0.5]);
    let options = Rpo { beta: 1.0, eta: 1.0, distance: Distance::Square };
    let mut all_pairs = 0.0;
    for i in 0..3 {
        for j in i + 1..3 {
            let pair =
                Pair { rewards: Sides::new(b[i], b[j]), ..Pair::of_logps(Sides::new(a[i], a[j]), Sides::default()) };
            all_pairs += rpo(&pair, options).loss;
        }
    }
    let (centred, _) = group_loss(GroupObjective::Rpo(options), [&a, &[0.0; 3], &b]);
    assert_close(all_pairs, 9.0 * centred);
}

/// The gradient of RPO-sq over all pairs is −(K−1) times RLOO's advantage on the KL-shaped reward.
#[test]
fn rloo_is_squared_rpo() {
    let check = |policy: &[f64], reference: &[f64], rewards: &[f64], beta: f64, eta: f64| {
        let size = rewards.len();
        let (_, gradient) = group_loss(
            GroupObjective::Rpo(Rpo { beta, eta, distance: Distance::Square }),
            [policy, reference, rewards],
        );
        let shaped: Vec<f64> =
            (0..size).map(|k| shape_reward(eta * rewards[k], policy[k], reference[k], beta)).collect();
        let mut advantages = vec![0.0; size];
        leave_one_out(&shaped, &mut advantages).unwrap();
        for k in 0..size {
            // All pairs weigh K² times the K-way loss; β carries d/da to d/d log ρ.
            let over_pairs = (size * size) as f64 * gradient[k];
            assert_close(over_pairs, -((size - 1) as f64) * beta * advantages[k]);
        }
        gradient
    };
    let gradient = check(&[0.3, -0.2, 1.1], &[0.0; 3], &[1.0, 0.0, 0.5], 1.0, 1.0);
    for (found, expected) in gradient.iter().zip([-1.8, -0.3, 2.1]) {
        assert_close(9.0 * found, expected);
    }
    let mut random = Random::new(14);
    for _ in 0..1000 {
        let size = random.integer(2, 9);
        let [policy, reference, rewards] = [-9.0, -9.0, -1.0].map(|low| random.vector(size, low, 1.0));
        check(&policy, &reference, &rewards, random.uniform(0.02, 1.0), random.uniform(0.1, 3.0));
    }
}
