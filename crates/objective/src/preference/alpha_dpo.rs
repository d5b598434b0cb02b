//! Agreement-aware DPO: DPO against a sharpened reference.
//!
//! ## Objective
//! (1) L = −log σ(β [s_θ − (1+α) s_ref])
//!
//! with s the chosen-minus-rejected margin of log-probabilities. arXiv:2409.08845 (AIPO).
//!
//! ## Symbols
//! s_θ margin of `policy`; s_ref margin of `reference`; β `beta`; α `alpha`.
//!
//! ## Choices
//! Exactly DPO against ρ_ref^(1+α)/Z, whose normaliser cancels in the margin. Implicit rewards are stated against the
//! plain reference, as the authors' code logs them.
//!
//! ## Checked against
//! Fixture B; `testdata/golden/alpha_dpo.json`, written by `tools/golden/objective/dpo.py` (DPO with the reference's
//! log-probabilities multiplied by 1+α).

use super::pair::{Pair, PairLoss, Sides};
use crate::error::{Error, finite, positive};
use crate::logspace::{log_sigmoid, sigmoid};

/// Options of [`alpha_dpo`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlphaDpo {
    /// β: strength of the leash to the reference.
    pub beta: f64,
    /// α: how much the reference is sharpened; 0 is DPO.
    pub alpha: f64,
}

impl AlphaDpo {
    /// Refuses options outside the method's domain.
    pub fn check(&self) -> Result<(), Error> {
        positive("beta", self.beta)?;
        finite("alpha", self.alpha)
    }
}

/// Loss of one pair.
///
/// ```
/// use objective::{AlphaDpo, Pair, Sides, alpha_dpo};
/// let pair = Pair::of_logps(Sides::new(-3.0, -5.0), Sides::new(-4.0, -4.5));
/// let loss = alpha_dpo(&pair, AlphaDpo { beta: 0.1, alpha: 0.09 }).loss;
/// assert!((loss - 0.6230411308309792).abs() < 1e-15);
/// ```
pub fn alpha_dpo(pair: &Pair, options: AlphaDpo) -> PairLoss {
    let sharpened = 1.0 + options.alpha;
    let a = options.beta * (pair.policy.margin() - sharpened * pair.reference.margin());
    let slope = -options.beta * sigmoid(-a);
    PairLoss {
        loss: -log_sigmoid(a), // (1)
        d_policy: Sides::opposite(slope),
        d_reference: Sides::opposite(-sharpened * slope),
        d_rewards: Sides::default(),
        implicit_rewards: pair.log_ratios() * options.beta,
    }
}
