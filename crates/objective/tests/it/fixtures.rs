//! Fixture values that were computed independently of this crate; agreement is to 1e-12.

use objective::{
    Aipo, AlphaDpo, Cdpo, Distance, Dpo, DpoRw, ExoPref, ExoRw, Group, GroupGradient, Ipo, LabelNoise, Pair, Rpo,
    Sides, aipo, alpha_dpo, cdpo, dpo, dpo_rw, exo_pref, exo_rw, ipo, rpo, rpo_group,
};

use crate::assert_close;

/// s_theta = 2.0, s_ref = 0.5; the winner's average log-probability is −1.25 over 4 tokens.
fn fixture_b() -> Pair {
    Pair { lengths: Sides::new(4.0, 4.0), ..Pair::of_logps(Sides::new(-5.0, -7.0), Sides::new(-4.0, -4.5)) }
}

#[test]
fn fixture_b_margin_losses() {
    let pair = fixture_b();
    assert_close(dpo(&pair, Dpo { beta: 0.1 }).loss, 0.6209570477895321);
    let smoothed = Cdpo { beta: 0.1, label_smoothing: 0.1, noise: LabelNoise::Conservative };
    assert_close(cdpo(&pair, smoothed).loss, 0.6359570477895321);
    assert_close(ipo(&pair, Ipo { beta: 0.1 }).loss, 12.25);
    assert_close(exo_pref(&pair, ExoPref { beta: 0.1, label_smoothing: 1e-3 }).loss, 2.5055165554778718);
    let sharpened = AlphaDpo { beta: 0.1, alpha: 0.09 };
    assert_close(alpha_dpo(&pair, sharpened).loss, 0.6230411308309792);
    assert_close(aipo(&pair, Aipo { preference: sharpened, nll_weight: 0.5 }).loss, 1.2480411308309791);
}

#[test]
fn fixture_b_reward_aware_losses() {
    for (scaled_gap, square, backward, forward) in
        [(0.8, 0.4225, 0.0483397945747025, 0.05081421868480848), (2.4, 5.0625, 0.34698232852425703, 0.5066619523409812)]
    {
        let pair = Pair { rewards: Sides::new(scaled_gap / 2.0, 0.0), ..fixture_b() };
        let loss = |distance| rpo(&pair, Rpo { beta: 0.1, eta: 2.0, distance }).loss;
        assert_close(2.0 * loss(Distance::Square), square);
        assert_close(loss(Distance::Backward), backward);
        assert_close(loss(Distance::Forward), forward);
    }
}

#[test]
fn reward_aware_distances_and_slopes() {
    let pair = Pair { rewards: Sides::new(-0.4, 0.0), ..Pair::of_logps(Sides::new(0.7, 0.0), Sides::default()) };
    for (distance, value, slope) in [
        (Distance::Square, 0.605, 1.1),
        (Distance::Backward, 0.14872722260920254, 0.2668754322808186),
        (Distance::Forward, 0.14483575289947748, 0.24388416062241997),
    ] {
        let found = rpo(&pair, Rpo { beta: 1.0, eta: 1.0, distance });
        assert_close(found.loss, value);
        assert_close(found.d_policy.chosen, slope);
        assert_close(found.d_policy.rejected, -slope);
    }
}

#[test]
fn reward_aware_group_of_three() {
    let group = Group { policy_logps: &[0.3, -0.2, 1.1], ref_logps: &[0.0; 3], rewards: &[1.0, 0.0, 0.5] };
    for (distance, value) in [
        (Distance::Square, 0.14333333333333334),
        (Distance::Backward, 0.17061935792732305),
        (Distance::Forward, 0.17100004306631814),
    ] {
        let (mut d_logps, mut d_rewards) = ([0.0; 3], [0.0; 3]);
        let gradient = GroupGradient { policy_logps: &mut d_logps, rewards: &mut d_rewards };
        let found = rpo_group(group, Rpo { beta: 1.0, eta: 1.0, distance }, gradient).unwrap();
        assert_close(found.loss, value);
    }
}

/// Policy (.2, .3, .5) against reference (.5, .25, .25): the multiset {0, 0, 1, 2} has counts exactly proportional to
/// the reference, so the K-sample loss is the divergence over the whole table.
#[test]
fn fixture_c_group_losses_are_exact_divergences() {
    let (reference, policy, reward) = ([0.5, 0.25, 0.25], [0.2, 0.3, 0.5], [0.1, 0.4, 0.9]);
    let (beta_pi, beta_r) = (0.7, 0.5);
    let drawn = [0, 0, 1, 2];
    let policy_logps = drawn.map(|i| f64::ln(policy[i]));
    let ref_logps = drawn.map(|i| f64::ln(reference[i]));
    let rewards = drawn.map(|i: usize| reward[i]);
    let group = Group { policy_logps: &policy_logps, ref_logps: &ref_logps, rewards: &rewards };
    let (mut d_logps, mut d_rewards) = ([0.0; 4], [0.0; 4]);

    let gradient = GroupGradient { policy_logps: &mut d_logps, rewards: &mut d_rewards };
    let reverse = exo_rw(group, ExoRw { beta_pi, beta_r }, gradient).unwrap().loss;
    let gradient = GroupGradient { policy_logps: &mut d_logps, rewards: &mut d_rewards };
    let cross_entropy = dpo_rw(group, DpoRw { beta_pi, beta_r }, gradient).unwrap().loss;

    let tempered = normalised([0, 1, 2].map(|i| reference[i].powf(1.0 - beta_pi) * policy[i].powf(beta_pi)));
    let optimum = normalised([0, 1, 2].map(|i| reference[i] * (reward[i] / beta_r).exp()));
    assert_close(reverse, 0.04061775003217752);
    assert_close(reverse, divergence(tempered, optimum));
    assert_close(cross_entropy, 1.1844280292794467);
    let weights = rewards.map(|r| (r / beta_r).exp());
    let total: f64 = weights.iter().sum();
    let entropy: f64 = weights.iter().map(|w| -(w / total) * (w / total).ln()).sum();
    assert_close(cross_entropy - entropy, 0.04019265865011956);
    assert_close(cross_entropy - entropy, divergence(optimum, tempered));
}

#[test]
fn fixture_c_optimum_has_no_loss() {
    let (reference, reward) = ([0.5, 0.25, 0.25], [0.1, 0.4, 0.9]);
    let optimum = normalised([0, 1, 2].map(|i| reference[i] * f64::exp(reward[i] / 0.35)));
    for (found, expected) in optimum.into_iter().zip([0.14095301342289548, 0.16607214016963132, 0.6929748464074731]) {
        assert_close(found, expected);
    }
    let (policy_logps, ref_logps) = (optimum.map(f64::ln), reference.map(f64::ln));
    let group = Group { policy_logps: &policy_logps, ref_logps: &ref_logps, rewards: &reward };
    let (mut d_logps, mut d_rewards) = ([1.0; 3], [1.0; 3]);
    let gradient = GroupGradient { policy_logps: &mut d_logps, rewards: &mut d_rewards };
    assert_close(exo_rw(group, ExoRw { beta_pi: 0.7, beta_r: 0.5 }, gradient).unwrap().loss, 0.0);
    d_logps.iter().chain(&d_rewards).for_each(|slope| assert_close(*slope, 0.0));
}

fn normalised(weights: [f64; 3]) -> [f64; 3] {
    let total: f64 = weights.iter().sum();
    weights.map(|w| w / total)
}

fn divergence(p: [f64; 3], q: [f64; 3]) -> f64 {
    p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum()
}
