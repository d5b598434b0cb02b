//! Agreement-aware Iterative Preference Optimization.
//!
//! ## Objective
//! (1) L = L_alpha-DPO − (λ_nll / |x⁺|) log ρ(x⁺|x)
//!
//! Resetting the reference to the round's result t times from ρ_0 (reward r, same α and β each round):
//!
//! (2) log ρ_t = (1+α)^t log ρ_0 + [((1+α)^t − 1)/α] r/β + const
//!
//! arXiv:2409.08845; (2) follows by induction from alpha-DPO's minimiser ρ_ref^(1+α) exp(r/β)/Z.
//!
//! ## Symbols
//! λ_nll `nll_weight`; |x⁺| `lengths.chosen`; α `alpha`; β `beta`.
//!
//! ## Choices
//! The likelihood term is the winner's log-probability per token, as in the authors' code. Their optional subtractive
//! margin (default 0) and label smoothing are left out.
//!
//! ## Checked against
//! Fixture B; `testdata/golden/aipo.json`, written by `tools/golden/objective/dpo.py`.

use super::alpha_dpo::{AlphaDpo, alpha_dpo};
use super::pair::{Pair, PairLoss};
use crate::error::{Error, in_range};

/// Options of [`aipo`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aipo {
    /// The preference term.
    pub preference: AlphaDpo,
    /// λ_nll: weight of the winner's negative log-likelihood per token.
    pub nll_weight: f64,
}

impl Aipo {
    /// Refuses options outside the method's domain.
    pub fn check(&self) -> Result<(), Error> {
        self.preference.check()?;
        in_range("nll_weight", "at least 0", self.nll_weight, self.nll_weight >= 0.0)
    }
}

/// Loss of one pair.
///
/// ```
/// use objective::{Aipo, AlphaDpo, Pair, Sides, aipo};
/// let pair = Pair {
///     lengths: Sides::new(4.0, 4.0),
///     ..Pair::of_logps(Sides::new(-5.0, -7.0), Sides::new(-4.0, -4.5))
/// };
/// let options = Aipo { preference: AlphaDpo { beta: 0.1, alpha: 0.09 }, nll_weight: 0.5 };
/// assert!((aipo(&pair, options).loss - 1.248041130830979).abs() < 1e-15);
/// ```
pub fn aipo(pair: &Pair, options: Aipo) -> PairLoss {
    let mut total = alpha_dpo(pair, options.preference);
    let per_nat = options.nll_weight / pair.lengths.chosen;
    total.loss -= per_nat * pair.policy.chosen; // (1)
    total.d_policy.chosen -= per_nat;
    total
}

/// What t rounds of AIPO make of the first reference and of the reward.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IteratedCoefficients {
    /// Exponent of ρ_0: (1+α)^t.
    pub reference: f64,
    /// Coefficient of r/β: ((1+α)^t − 1)/α.
    pub reward: f64,
}

/// Coefficients after `rounds` rounds.
///
/// ```
/// let after_two = objective::iterated_coefficients(0.09, 2);
/// assert!((after_two.reference - 1.1881).abs() < 1e-12 && (after_two.reward - 2.09).abs() < 1e-12);
/// ```
pub fn iterated_coefficients(alpha: f64, rounds: u32) -> IteratedCoefficients {
    let start = IteratedCoefficients { reference: 1.0, reward: 0.0 };
    // Horner's rule for the geometric sum in (2), which has no 0/0 at α = 0.
    (0..rounds).fold(start, |now, _| IteratedCoefficients {
        reference: (1.0 + alpha) * now.reference, // (2)
        reward: (1.0 + alpha) * now.reward + 1.0,
    })
}
