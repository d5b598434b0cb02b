//! Direct Preference Optimization.
//!
//! ## Objective
//! (1) L = −log σ(a),  a = β [(log ρ(x⁺|x) − log ρ_ref(x⁺|x)) − (log ρ(x⁻|x) − log ρ_ref(x⁻|x))]
//!
//! Eq. 7 of arXiv:2305.18290, with responses replaced by rewrites.
//!
//! ## Symbols
//! x⁺, x⁻ the chosen and rejected rewrite; log ρ `policy`; log ρ_ref `reference`; β `beta`.
//!
//! ## Choices
//! Log-probabilities are summed over the rewrite's tokens, not averaged.
//!
//! ## Checked against
//! Fixture B; `testdata/golden/dpo.json`, written by `tools/golden/objective/dpo.py`.

use super::pair::{Pair, PairLoss};
use crate::error::{Error, positive};
use crate::logspace::{log_sigmoid, sigmoid};

/// Options of [`dpo`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dpo {
    /// β: strength of the leash to the reference.
    pub beta: f64,
}

impl Dpo {
    /// Refuses options outside the method's domain.
    pub fn check(&self) -> Result<(), Error> {
        positive("beta", self.beta)
    }

    /// KL strength of the minimiser when labels follow Bradley-Terry: P(x⁺ wins) = σ(`label_scale` · (R⁺ − R⁻)).
    pub fn lambda_eff(&self, label_scale: f64) -> f64 {
        self.beta / label_scale
    }
}

/// Loss of one pair.
///
/// ```
/// use objective::{Dpo, Pair, Sides, dpo};
/// let pair = Pair::of_logps(Sides::new(-3.0, -5.0), Sides::new(-4.0, -4.5));
/// let loss = dpo(&pair, Dpo { beta: 0.1 });
/// assert!((loss.loss - 0.6209570477895321).abs() < 1e-15);
/// ```
pub fn dpo(pair: &Pair, options: Dpo) -> PairLoss {
    let a = options.beta * pair.log_ratios().margin();
    let loss = -log_sigmoid(a); // (1)
    PairLoss::of_scaled_margin(pair, options.beta, loss, -sigmoid(-a))
}
