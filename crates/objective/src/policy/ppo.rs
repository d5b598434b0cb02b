//! Proximal Policy Optimization.
//!
//! ## Objective
//! - (1) policy  L_t = −C(ρ(x'_t)/ρ_old(x'_t), A_t), averaged over tokens
//! - (2) value   V_t = ½ max( (v_t − G_t)², (clip(v_t, v_old ± ε_v) − G_t)² )
//!
//! Eq. 7 of arXiv:1707.06347 for (1); (2) as in the authors' code (`baselines`, `ppo2`).
//!
//! ## Symbols
//! A, G advantages and returns from [`gae`](crate::gae); v `values`; v_old `old_values`; ε_v `clip`.
//!
//! ## Choices
//! No entropy bonus. The divergence is charged to the reward of each token
//! ([`shape_token_rewards`](crate::shape_token_rewards)). The ½ of (2) is kept and its weight left to the caller (0.1 in
//! TRL).
//!
//! ## Checked against
//! `testdata/golden/ppo.json`, written by `tools/golden/objective/ppo.py`.

use super::clip::Clip;
use super::normaliser::Normaliser;
use super::surrogate::{PolicyObjective, RatioLevel};
use crate::error::{Error, same_length};

/// The policy part of PPO; give it one advantage per token.
pub const fn ppo(epsilon: f64) -> PolicyObjective {
    PolicyObjective {
        ratio: RatioLevel::Token,
        clip: Clip::symmetric(epsilon), // (1)
        kl: None,
        normaliser: Normaliser::PerToken,
    }
}

/// Unreduced loss of the value head over one rewrite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ValueLoss {
    /// Sum over tokens.
    pub loss: f64,
    /// Tokens whose clipped error is the larger one.
    pub clipped: usize,
}

/// Value loss of one rewrite, every slice with one entry per token; writes d loss / d `values`.
///
/// `clip` is how far a value may move from `old_values` before its gradient stops; infinity never clips.
///
/// ```
/// let mut gradient = [0.0; 2];
/// let loss = objective::value_loss(&[1.0, 0.5], &[1.0, 0.0], &[0.0, 1.0], 0.25, &mut gradient)?;
/// assert_eq!((loss.loss, loss.clipped, gradient), (0.78125, 1, [1.0, 0.0]));
/// # Ok::<(), objective::Error>(())
/// ```
pub fn value_loss(
    values: &[f64],
    old_values: &[f64],
    returns: &[f64],
    clip: f64,
    gradient: &mut [f64],
) -> Result<ValueLoss, Error> {
    same_length("old_values", values.len(), old_values.len())?;
    same_length("returns", values.len(), returns.len())?;
    same_length("gradient", values.len(), gradient.len())?;
    let mut total = ValueLoss::default();
    for (t, slope) in gradient.iter_mut().enumerate() {
        let error = values[t] - returns[t];
        let moved = values[t] - old_values[t];
        let held_error = old_values[t] + moved.max(-clip).min(clip) - returns[t];
        let is_held = moved.abs() > clip && held_error * held_error > error * error;
        *slope = if is_held { 0.0 } else { error };
        total.loss += 0.5 * (error * error).max(held_error * held_error); // (2)
        total.clipped += usize::from(is_held);
    }
    Ok(total)
}
