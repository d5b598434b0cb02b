//! Every objective as an exact expectation over the rewrites of one prompt, with its exact gradient.
//!
//! A trainer sees sampled rewrites; here all of them are seen with their true weights:
//! - expected reward: (1.2) itself, what REINFORCE, RLOO and PPO estimate, with gradient ρ_k [S_k − E_ρ S],
//!   S_k = R_k − λ log(ρ_k/ρ_ref,k)
//! - rewards on pairs: the mean of the loss over all pairs of different rewrites
//! - rewards on groups: one group that holds every rewrite once
//! - labels on pairs: all pairs, in either order with its Bradley-Terry probability σ(s (R_i − R_j))

use crate::error::{self, Error};
use objective::logspace::{log_sum_exp, sigmoid};
use objective::{Aipo, Cdpo, Dpo, DpoRw, ExoPref, ExoRw, Group, GroupGradient, Ipo, Pair, PairLoss, Rpo, Sides, Simpo};

/// An objective of one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Objective {
    /// (1.2), the objective of REINFORCE, RLOO and PPO with a KL-shaped reward.
    ExpectedReward {
        /// λ.
        lambda: f64,
    },
    /// RPO on all pairs.
    RpoPairs(Rpo),
    /// RPO on one group of all rewrites.
    RpoGroup(Rpo),
    /// EXO on one group of all rewrites.
    ExoRw(ExoRw),
    /// DPO from rewards on one group of all rewrites.
    DpoRw(DpoRw),
    /// A pairwise loss on labels drawn from Bradley and Terry's model, P(i beats j) = σ(s (R_i − R_j)).
    Labels {
        /// The loss.
        loss: LabelLoss,
        /// s.
        scale: f64,
    },
}

/// A pairwise loss that reads labels, not rewards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LabelLoss {
    /// DPO.
    Dpo(Dpo),
    /// Conservative or robust DPO.
    Cdpo(Cdpo),
    /// IPO.
    Ipo(Ipo),
    /// SimPO; every rewrite counts as one token.
    Simpo(Simpo),
    /// EXO on a pair.
    ExoPref(ExoPref),
    /// AIPO; with `nll_weight` 0 it is alpha-DPO.
    Aipo(Aipo),
    /// Maximum likelihood of the chosen rewrite, as BPO trains its prompter.
    Sft,
}

/// What one prompt gives an objective, one entry a rewrite.
#[derive(Clone, Copy, Debug)]
pub struct Rewrites<'a> {
    /// log ρ_ref(x'|x).
    pub ref_logps: &'a [f64],
    /// R(x, x').
    pub value: &'a [f64],
}

/// The exact loss of the softmax policy with the given logits; writes its exact gradient in the logits.
///
/// # Errors
/// Columns of different lengths, or fewer than two rewrites.
///
/// ```
/// use theory::{Objective, Rewrites, exact_loss};
/// let rewrites = Rewrites { ref_logps: &[0.5f64.ln(), 0.5f64.ln()], value: &[0.0, 1.0] };
/// let mut gradient = [0.0; 2];
/// let loss = exact_loss(Objective::ExpectedReward { lambda: 0.5 }, rewrites, &[0.0, 0.0], &mut gradient)?;
/// assert_eq!((loss, gradient), (-0.5, [0.25, -0.25]));
/// # Ok::<(), theory::Error>(())
/// ```
pub fn exact_loss(
    objective: Objective,
    rewrites: Rewrites<'_>,
    logits: &[f64],
    gradient: &mut [f64],
) -> Result<f64, Error> {
    let n = rewrites.value.len();
    error::at_least("an exact loss", 2, n)?;
    error::same_length("ref_logps", n, rewrites.ref_logps.len())?;
    error::same_length("logits", n, logits.len())?;
    error::same_length("gradient", n, gradient.len())?;
    let log_z = log_sum_exp(logits.iter().copied());
    let logps: Vec<f64> = logits.iter().map(|logit| logit - log_z).collect();
    let loss = loss_of_logps(objective, rewrites, &logps, gradient)?;
    // Through the softmax: d log ρ_k / d logit_j = [j = k] − ρ_j.
    let total: f64 = gradient.iter().sum();
    for (slope, logp) in gradient.iter_mut().zip(&logps) {
        *slope -= total * logp.exp();
    }
    Ok(loss)
}

fn loss_of_logps(
    objective: Objective,
    rewrites: Rewrites<'_>,
    logps: &[f64],
    gradient: &mut [f64],
) -> Result<f64, Error> {
    let mut d_rewards = vec![0.0; logps.len()];
    let group = Group { policy_logps: logps, ref_logps: rewrites.ref_logps, rewards: rewrites.value };
    Ok(match objective {
        Objective::ExpectedReward { lambda } => expected_reward(lambda, rewrites, logps, gradient),
        Objective::RpoPairs(options) => {
            let share = 1.0 / (logps.len() * (logps.len() - 1)) as f64; // a pair counts in either order
            over_pairs(rewrites, logps, gradient, |pair| (share, objective::rpo(pair, options)))
        }
        Objective::Labels { loss, scale } => {
            let share = 2.0 / (logps.len() * (logps.len() - 1)) as f64;
            let probability = |pair: &Pair| share * sigmoid(scale * pair.rewards.margin());
            over_pairs(rewrites, logps, gradient, |pair| (probability(pair), label_loss(loss, pair)))
        }
        Objective::RpoGroup(options) => {
            let gradient = GroupGradient { policy_logps: gradient, rewards: &mut d_rewards };
            objective::rpo_group(group, options, gradient)?.loss
        }
        Objective::ExoRw(options) => {
            let gradient = GroupGradient { policy_logps: gradient, rewards: &mut d_rewards };
            objective::exo_rw(group, options, gradient)?.loss
        }
        Objective::DpoRw(options) => {
            let gradient = GroupGradient { policy_logps: gradient, rewards: &mut d_rewards };
            objective::dpo_rw(group, options, gradient)?.loss
        }
    })
}

/// −J_λ (1.2) as a function of free log-probabilities.
fn expected_reward(lambda: f64, rewrites: Rewrites<'_>, logps: &[f64], gradient: &mut [f64]) -> f64 {
    let mut loss = 0.0;
    for (k, slope) in gradient.iter_mut().enumerate() {
        let probability = logps[k].exp();
        let shaped = rewrites.value[k] - lambda * (logps[k] - rewrites.ref_logps[k]); // S_k
        loss -= probability * shaped;
        *slope = probability * (lambda - shaped);
    }
    loss
}

/// Σ over ordered pairs of weight · loss; the first rewrite of a pair is its chosen one.
fn over_pairs(
    rewrites: Rewrites<'_>,
    logps: &[f64],
    gradient: &mut [f64],
    weighted_loss: impl Fn(&Pair) -> (f64, PairLoss),
) -> f64 {
    gradient.fill(0.0);
    let mut total = 0.0;
    for chosen in 0..logps.len() {
        for rejected in (0..logps.len()).filter(|rejected| *rejected != chosen) {
            let sides = |column: &[f64]| Sides::new(column[chosen], column[rejected]);
            let pair =
                Pair { rewards: sides(rewrites.value), ..Pair::of_logps(sides(logps), sides(rewrites.ref_logps)) };
            let (weight, loss) = weighted_loss(&pair);
            total += weight * loss.loss;
            gradient[chosen] += weight * loss.d_policy.chosen;
            gradient[rejected] += weight * loss.d_policy.rejected;
        }
    }
    total
}

fn label_loss(loss: LabelLoss, pair: &Pair) -> PairLoss {
    match loss {
        LabelLoss::Dpo(options) => objective::dpo(pair, options),
        LabelLoss::Cdpo(options) => objective::cdpo(pair, options),
        LabelLoss::Ipo(options) => objective::ipo(pair, options),
        LabelLoss::Simpo(options) => objective::simpo(pair, options),
        LabelLoss::ExoPref(options) => objective::exo_pref(pair, options),
        LabelLoss::Aipo(options) => objective::aipo(pair, options),
        LabelLoss::Sft => {
            let (loss, slope) = objective::sft(pair.policy.chosen);
            PairLoss { loss, d_policy: Sides::new(slope, 0.0), ..PairLoss::default() }
        }
    }
}
