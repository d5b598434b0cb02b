//! What a policy too narrow for its target does: EXO settles on one mode, DPO from rewards between the modes.

use objective::{DpoRw, ExoRw, Group, GroupGradient, GroupObjective};

use crate::assert_close;

const POINTS: usize = 81;
const WIDTH: f64 = 0.5;
const MODE: f64 = 2.0;

/// Places on a line from −4 to 4.
fn place(k: usize) -> f64 {
    -4.0 + 8.0 * k as f64 / (POINTS - 1) as f64
}

/// Log-probabilities of a bell around `centre`, the only parameter of the family.
fn bell(centre: f64) -> Vec<f64> {
    let scores: Vec<f64> = (0..POINTS).map(|k| -0.5 * ((place(k) - centre) / WIDTH).powi(2)).collect();
    let log_z = objective::logspace::log_sum_exp(scores.iter().copied());
    scores.iter().map(|score| score - log_z).collect()
}

/// Rewards whose softmax has equal bells at −2 and 2.
fn two_modes() -> Vec<f64> {
    let bells = [bell(-MODE), bell(MODE)];
    (0..POINTS).map(|k| objective::logspace::log_sum_exp(bells.iter().map(|bell| bell[k]))).collect()
}

/// Gradient descent on the centre, by the objective's own derivative.
fn settle(objective: GroupObjective, start: f64) -> f64 {
    let (rewards, uniform) = (two_modes(), [0.0; POINTS]);
    let mut centre = start;
    for _ in 0..2000 {
        let policy = bell(centre);
        let (mut d_logps, mut d_rewards) = ([0.0; POINTS], [0.0; POINTS]);
        let gradient = GroupGradient { policy_logps: &mut d_logps, rewards: &mut d_rewards };
        objective.loss(Group { policy_logps: &policy, ref_logps: &uniform, rewards: &rewards }, gradient).unwrap();
        let mean: f64 = (0..POINTS).map(|k| policy[k].exp() * place(k)).sum();
        let slope: f64 = (0..POINTS).map(|k| d_logps[k] * (place(k) - mean) / (WIDTH * WIDTH)).sum();
        centre -= 0.01 * slope;
    }
    centre
}

#[test]
fn exo_picks_the_nearer_mode() {
    let exo = GroupObjective::ExoRw(ExoRw { beta_pi: 1.0, beta_r: 1.0 });
    for start in [-1.0, -0.3, 0.3, 1.0] {
        let found = settle(exo, start);
        assert!((found - MODE.copysign(start)).abs() < 1e-3, "{found} from {start}");
    }
}

#[test]
fn dpo_from_rewards_averages_the_modes() {
    let dpo = GroupObjective::DpoRw(DpoRw { beta_pi: 1.0, beta_r: 1.0 });
    for start in [-1.0, -0.3, 0.3, 1.0] {
        assert_close(settle(dpo, start), 0.0);
    }
}
