//! Self-Play Preference Optimization: regression of the log-ratio on the win probability.
//!
//! ## Objective
//! (1) L = Σ over both rewrites of [f − (P − ½)/β]²,  f = log ρ(x'|x) − log ρ_ref(x'|x)
//!
//! Eq. 4.7 of arXiv:2405.00675, the reference being the policy of the round before.
//!
//! ## Symbols
//! P `rewards`: the probability that the rewrite beats one of the reference; 1 and 0 make it the hard-label form.
//! β `beta`, the paper's 1/η.
//!
//! ## Choices
//! Per pair the sum of both squares, as in the authors' code and TRL's `sppo_hard`. The form of arXiv:2410.06293,
//! ½ (βf⁺ − 1 + log Z)² + ½ (βf⁻ + log Z)² with log Z = ½, is β²/2 times this one with hard labels.
//!
//! ## Checked against
//! `testdata/golden/sppo.json`, written by `tools/golden/objective/dpo.py`.

use super::pair::{Pair, PairLoss, Sides};
use crate::error::{Error, positive};

/// Options of [`sppo`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sppo {
    /// β = 1/η.
    pub beta: f64,
}

impl Sppo {
    /// Refuses options outside the method's domain.
    pub fn check(&self) -> Result<(), Error> {
        positive("beta", self.beta)
    }
}

/// Loss of one pair.
///
/// ```
/// use objective::{Pair, Sides, Sppo, sppo};
/// let at_target = Pair::of_logps(Sides::new(-1.0, -3.0), Sides::new(-2.0, -2.0));
/// assert_eq!(sppo(&at_target, Sppo { beta: 0.5 }).loss, 0.0);
/// ```
pub fn sppo(pair: &Pair, options: Sppo) -> PairLoss {
    let log_ratios = pair.log_ratios();
    let targets = (pair.rewards - Sides::new(0.5, 0.5)) * options.beta.recip();
    let miss = log_ratios - targets;
    PairLoss {
        loss: miss.chosen * miss.chosen + miss.rejected * miss.rejected, // (1)
        d_policy: miss * 2.0,
        d_reference: miss * -2.0,
        d_rewards: miss * (-2.0 / options.beta),
        implicit_rewards: log_ratios * options.beta,
    }
}
