//! Identity Preference Optimization.
//!
//! ## Objective
//! (1) L = (s − 1/(2τ))²,  s = (log ρ − log ρ_ref)(x⁺|x) − (log ρ − log ρ_ref)(x⁻|x)
//!
//! Eq. 17 of arXiv:2310.12036.
//!
//! ## Symbols
//! τ `beta`.
//!
//! ## Choices
//! References disagree on the log-probabilities: the DPO reference code *sums* them over tokens, TRL *averages* them
//! and says that the authors did so too. Both are here: `ipo(&pair, …)` and `ipo(&pair.averaged(), …).per_token(pair.lengths)`.
//! The target 1/(2τ) means 1/(2τ) nats a rewrite in the first and a token in the second: τ is not comparable.
//!
//! ## Checked against
//! Fixture B; `testdata/golden/ipo_sum.json`, written by `tools/golden/objective/simpo.py`, and
//! `testdata/golden/ipo_average.json`, written by `tools/golden/objective/dpo.py`.

use super::pair::{Pair, PairLoss, Sides};
use crate::error::{Error, positive};

/// Options of [`ipo`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ipo {
    /// τ: the margin aimed at is 1/(2τ).
    pub beta: f64,
}

impl Ipo {
    /// Refuses options outside the method's domain.
    pub fn check(&self) -> Result<(), Error> {
        positive("beta", self.beta)
    }
}

/// Loss of one pair.
///
/// ```
/// use objective::{Ipo, Pair, Sides, ipo};
/// let pair = Pair::of_logps(Sides::new(-3.0, -5.0), Sides::new(-4.0, -4.5));
/// assert_eq!(ipo(&pair, Ipo { beta: 0.1 }).loss, 12.25);
/// ```
pub fn ipo(pair: &Pair, options: Ipo) -> PairLoss {
    let miss = pair.log_ratios().margin() - 0.5 / options.beta;
    PairLoss {
        loss: miss * miss, // (1)
        d_policy: Sides::opposite(2.0 * miss),
        d_reference: Sides::opposite(-2.0 * miss),
        d_rewards: Sides::default(),
        implicit_rewards: pair.log_ratios() * options.beta,
    }
}
