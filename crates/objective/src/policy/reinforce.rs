//! REINFORCE with a baseline.
//!
//! ## Objective
//! (1) L = −(S − b) log ρ(x'|x)
//!
//! R. J. Williams, "Simple statistical gradient-following algorithms" (1992). With S the KL-shaped reward its gradient
//! is, in expectation over ρ, that of −E[R] + λ KL(ρ ‖ ρ_ref).
//!
//! ## Symbols
//! S − b the advantage: reward less a baseline that does not depend on x' itself.
//!
//! ## Choices
//! The baseline is the caller's: the mean of the group ([`group_mean`](crate::group_mean)), the reward of a greedy
//! rewrite (ReMax, arXiv:2310.10505), a value head. No importance ratio: rewrites must come from the current prompter.
//!
//! ## Checked against
//! The enumerated policy gradient in `tests/it/estimators.rs`; the on-policy gradient in
//! `testdata/golden/rloo.json`, written by `tools/golden/objective/rloo.py`.

use super::clip::Clip;
use super::normaliser::Normaliser;
use super::surrogate::{PolicyObjective, RatioLevel};

/// REINFORCE: the score itself, the rewrite as one action.
pub const fn reinforce() -> PolicyObjective {
    PolicyObjective {
        ratio: RatioLevel::Score, // (1)
        clip: Clip::Unclipped,
        kl: None,
        normaliser: Normaliser::PerRewrite,
    }
}
