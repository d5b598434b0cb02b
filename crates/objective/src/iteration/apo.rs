//! Accelerated Preference Optimization: Nesterov extrapolation between rounds.
//!
//! ## Objective
//! - (1) log ρ_{t+1} = log ρ̂_{t+1} + α (log ρ̂_{t+1} − log ρ̂_t) − log Z
//! - (2) ρ̂_t = ρ_ref exp(c_t r/β)/Z,  c_{t+1} = (1+α) c_t − α c_{t−1} + 1,  c_0 = 0, c_1 = 1
//! - (3) c_t = Σ_{i<t} (1 − α^{t−i})/(1−α) = t/(1−α) − α(1−α^t)/(1−α)²
//!
//! arXiv:2410.06293, algorithm 1 for (1) and its dynamics theorem for (2) and (3) with one exact reward every round.
//!
//! ## Symbols
//! ρ̂_t the result of round t; ρ_t the extrapolated policy, which samples round t+1 and is its reference; α `alpha`.
//!
//! ## Choices
//! The momentum is between results (ρ̂_{t+1} − ρ̂_t), not from the extrapolated policy, which the paper finds less
//! stable. In DPO-type losses Z cancels, so [`extrapolate`] leaves it out; on a table use [`extrapolate_normalised`].
//! On weights the same coefficients apply to the *product* of LoRA factors, never to the factors.
//! c_t is computed by (2), which is stable for every α; (3) divides by (1−α)² and is what the tests compare with.
//!
//! ## Checked against
//! Fixture D and the three forms of c_t against each other in `tests/it/iteration.rs`.

use crate::error::{Error, same_length};
use crate::logspace::log_sum_exp;

/// Weights of the two latest results in (1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extrapolation {
    /// Weight of ρ̂_{t+1}: 1 + α.
    pub newer: f64,
    /// Weight of ρ̂_t: −α.
    pub older: f64,
}

impl Extrapolation {
    /// The weights for momentum `alpha`; 0 is plain iteration.
    pub const fn new(alpha: f64) -> Self {
        Extrapolation { newer: 1.0 + alpha, older: -alpha }
    }

    /// The weighted sum: of log-probabilities, margins of them, or weights that the policy is linear in.
    ///
    /// ```
    /// let reference_margin = objective::Extrapolation::new(0.3).apply(2.0, 1.0);
    /// assert!((reference_margin - 2.3).abs() < 1e-15);
    /// ```
    pub fn apply(self, newer: f64, older: f64) -> f64 {
        self.newer * newer + self.older * older // (1)
    }
}

/// Log-probabilities of the extrapolated policy up to one constant, entry by entry.
pub fn extrapolate(newer: &[f64], older: &[f64], weights: Extrapolation, out: &mut [f64]) -> Result<(), Error> {
    same_length("older", newer.len(), older.len())?;
    same_length("out", newer.len(), out.len())?;
    for ((extrapolated, &newer), &older) in out.iter_mut().zip(newer).zip(older) {
        *extrapolated = weights.apply(newer, older);
    }
    Ok(())
}

/// Log-probabilities of the extrapolated policy over all rewrites of a table, normalised.
///
/// ```
/// use objective::{Extrapolation, extrapolate_normalised};
/// let (newer, older) = ([0.7f64.ln(), 0.3f64.ln()], [0.5f64.ln(); 2]);
/// let mut out = [0.0; 2];
/// extrapolate_normalised(&newer, &older, Extrapolation::new(0.3), &mut out)?;
/// assert!((out[0].exp() + out[1].exp() - 1.0).abs() < 1e-15 && out[0] > newer[0]);
/// # Ok::<(), objective::Error>(())
/// ```
pub fn extrapolate_normalised(
    newer: &[f64],
    older: &[f64],
    weights: Extrapolation,
    out: &mut [f64],
) -> Result<(), Error> {
    extrapolate(newer, older, weights, out)?;
    let log_z = log_sum_exp(out.iter().copied());
    out.iter_mut().for_each(|logp| *logp -= log_z);
    Ok(())
}

/// c_t: how many rounds of plain iteration `rounds` rounds with momentum `alpha` are worth.
///
/// ```
/// assert!((objective::apo_coefficient(0.3, 3) - 3.69).abs() < 1e-12);
/// ```
pub fn apo_coefficient(alpha: f64, rounds: u32) -> f64 {
    let (mut before, mut now) = (0.0, 0.0);
    for round in 0..rounds {
        let next = if round == 0 { 1.0 } else { (1.0 + alpha) * now - alpha * before + 1.0 }; // (2)
        (before, now) = (now, next);
    }
    now
}
