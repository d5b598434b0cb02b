//! Simple Preference Optimization: no reference, log-probabilities per token.
//!
//! ## Objective
//! (1) L = −log σ(β [log ρ(x⁺|x)/|x⁺| − log ρ(x⁻|x)/|x⁻|] − γ)
//!
//! Eq. 6 of arXiv:2405.14734.
//!
//! ## Symbols
//! β `beta`; γ `gamma`, the target margin; |x| `lengths`.
//!
//! ## Choices
//! γ is the margin itself, as in the paper; the authors' code and TRL configure γ/β and TRL's `simpo_gamma` is γ.
//!
//! ## Checked against
//! `testdata/golden/simpo.json`, written by `tools/golden/objective/simpo.py`.

use super::pair::{Pair, PairLoss, Sides};
use crate::error::{Error, finite, positive};
use crate::logspace::{log_sigmoid, sigmoid};

/// Options of [`simpo`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Simpo {
    /// β: scale of the average log-probabilities.
    pub beta: f64,
    /// γ: margin by which the chosen rewrite should win.
    pub gamma: f64,
}

impl Simpo {
    /// Refuses options outside the method's domain.
    pub fn check(&self) -> Result<(), Error> {
        positive("beta", self.beta)?;
        finite("gamma", self.gamma)
    }
}

/// Loss of one pair; reads `policy` and `lengths` only.
///
/// ```
/// use objective::{Pair, Sides, Simpo, simpo};
/// let pair = Pair {
///     lengths: Sides::new(4.0, 5.0),
///     ..Pair::of_logps(Sides::new(-2.0, -5.0), Sides::default())
/// };
/// let loss = simpo(&pair, Simpo { beta: 2.0, gamma: 1.0 });
/// assert_eq!(loss.loss, 2f64.ln());
/// assert_eq!(loss.d_policy, Sides::new(-0.25, 0.2));
/// ```
pub fn simpo(pair: &Pair, options: Simpo) -> PairLoss {
    let averages = pair.policy / pair.lengths;
    let a = options.beta * averages.margin() - options.gamma;
    PairLoss {
        loss: -log_sigmoid(a), // (1)
        d_policy: Sides::opposite(-options.beta * sigmoid(-a)) / pair.lengths,
        implicit_rewards: averages * options.beta,
        ..PairLoss::default()
    }
}
