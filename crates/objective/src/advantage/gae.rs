//! Generalised advantage estimation.
//!
//! ## Objective
//! - (1) δ_t = r_t + γ V_{t+1} − V_t,  V after the last token = 0
//! - (2) A_t = δ_t + γ λ A_{t+1} = Σ_l (γλ)^l δ_{t+l}
//! - (3) target of the value head  G_t = A_t + V_t
//!
//! Eq. 16 of arXiv:1506.02438.
//!
//! ## Symbols
//! r `rewards`, V `values`, one each per token of one rewrite; γ `discount`; λ `decay`.
//!
//! ## Choices
//! A rewrite that was cut at the length limit is treated as ended, as TRL's PPO does.
//!
//! ## Checked against
//! The sum in (2) in `tests/it/advantages.rs`; `testdata/golden/ppo.json`, written by `tools/golden/objective/ppo.py`.

use crate::error::{Error, same_length};

/// Options of [`gae`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gae {
    /// γ: weight of the next token's value.
    pub discount: f64,
    /// λ: 0 trusts the value head, 1 trusts the sampled rewards.
    pub decay: f64,
}

impl Default for Gae {
    fn default() -> Self {
        Gae { discount: 1.0, decay: 0.95 }
    }
}

/// Advantages and value targets of one rewrite; all four slices have one entry per token.
///
/// ```
/// use objective::{Gae, gae};
/// let (mut advantages, mut returns) = ([0.0; 2], [0.0; 2]);
/// gae(&[0.0, 1.0], &[0.5, 0.5], Gae { discount: 1.0, decay: 0.0 }, &mut advantages, &mut returns)?;
/// assert_eq!(advantages, [0.0, 0.5]);
/// assert_eq!(returns, [0.5, 1.0]);
/// # Ok::<(), objective::Error>(())
/// ```
pub fn gae(
    rewards: &[f64],
    values: &[f64],
    options: Gae,
    advantages: &mut [f64],
    returns: &mut [f64],
) -> Result<(), Error> {
    same_length("values", rewards.len(), values.len())?;
    same_length("advantages", rewards.len(), advantages.len())?;
    same_length("returns", rewards.len(), returns.len())?;
    let (mut next_value, mut next_advantage) = (0.0, 0.0);
    for t in (0..rewards.len()).rev() {
        let delta = rewards[t] + options.discount * next_value - values[t]; // (1)
        advantages[t] = delta + options.discount * options.decay * next_advantage; // (2)
        returns[t] = advantages[t] + values[t]; // (3)
        (next_value, next_advantage) = (values[t], advantages[t]);
    }
    Ok(())
}
