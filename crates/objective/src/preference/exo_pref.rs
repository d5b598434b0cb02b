//! Efficient Exact Optimization from preferences.
//!
//! ## Objective
//! (1) L = KL( (σ(a), σ(−a)) ‖ (1−ε, ε) ) = σ(a) [log σ(a) − log(1−ε)] + σ(−a) [log σ(−a) − log ε]
//!
//! with a = β (s_θ − s_ref): the reverse divergence, policy first. Eq. 16 of arXiv:2402.00856, with K = 2.
//!
//! ## Symbols
//! β `beta`; ε `label_smoothing`, above 0.
//!
//! ## Choices
//! ε is a probability, as in TRL's `exo_pair` (the paper recommends 10⁻³). The authors' code uses log-labels 0 and −10
//! without normalising them, ε ≈ 4.5·10⁻⁵ up to a constant.
//!
//! ## Checked against
//! Fixture B; `testdata/golden/exo_pref.json`, written by `tools/golden/objective/dpo.py`.

use super::pair::{Pair, PairLoss};
use crate::error::{Error, in_range, positive};
use crate::logspace::{log_sigmoid, sigmoid};

/// Options of [`exo_pref`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExoPref {
    /// β: strength of the leash to the reference.
    pub beta: f64,
    /// ε: probability left to the rejected rewrite; 0 would make every loss infinite.
    pub label_smoothing: f64,
}

impl ExoPref {
    /// Refuses options outside the method's domain.
    pub fn check(&self) -> Result<(), Error> {
        positive("beta", self.beta)?;
        let smoothing = self.label_smoothing;
        in_range("label_smoothing", "above 0 and below 1", smoothing, smoothing > 0.0 && smoothing < 1.0)
    }
}

/// Loss of one pair.
///
/// ```
/// use objective::{ExoPref, Pair, Sides, exo_pref};
/// let pair = Pair::of_logps(Sides::new(-3.0, -5.0), Sides::new(-4.0, -4.5));
/// let loss = exo_pref(&pair, ExoPref { beta: 0.1, label_smoothing: 1e-3 }).loss;
/// assert!((loss - 2.5055165554778718).abs() < 1e-14);
/// ```
pub fn exo_pref(pair: &Pair, options: ExoPref) -> PairLoss {
    let a = options.beta * pair.log_ratios().margin();
    let (win, lose) = (sigmoid(a), sigmoid(-a));
    let excess_win = log_sigmoid(a) - (-options.label_smoothing).ln_1p();
    let excess_lose = log_sigmoid(-a) - options.label_smoothing.ln();
    let loss = win * excess_win + lose * excess_lose; // (1)
    PairLoss::of_scaled_margin(pair, options.beta, loss, win * lose * (excess_win - excess_lose))
}
