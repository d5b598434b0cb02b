//! REINFORCE leave-one-out.
//!
//! ## Objective
//! - (1) L = −(1/K) Σ_k A_k log ρ(x'_k|x),  A_k = S_k − mean_{j≠k} S_j
//! - (2) L = −(1/K) Σ_k C(ρ(x'_k|x)/ρ_old(x'_k|x), A_k) for several steps on one sample, C clipped
//!
//! arXiv:2402.14740; steps 4 to 6 of Align-Pro's algorithm (arXiv:2501.03486).
//!
//! ## Symbols
//! S the KL-shaped reward ([`shape_reward`](crate::shape_reward)); A from [`leave_one_out`](crate::leave_one_out);
//! ρ `token_logps`; ρ_old `old_token_logps`.
//!
//! ## Choices
//! The rewrite is one action: its ratio is the product over tokens. (2) is TRL's form; at ρ = ρ_old both have the same
//! gradient and differ in value only. The divergence is charged to the reward, not added to the loss.
//!
//! ## Checked against
//! Enumeration of all K-tuples in `tests/it/estimators.rs`; the identity with RPO-sq in `tests/it/identities.rs`;
//! `testdata/golden/rloo.json`, written by `tools/golden/objective/rloo.py`.

use super::clip::Clip;
use super::normaliser::Normaliser;
use super::surrogate::{PolicyObjective, RatioLevel};

/// RLOO on fresh samples.
pub const fn rloo() -> PolicyObjective {
    PolicyObjective {
        ratio: RatioLevel::Score, // (1)
        clip: Clip::Unclipped,
        kl: None,
        normaliser: Normaliser::PerRewrite,
    }
}

/// RLOO for several steps on one sample, as in TRL.
pub const fn rloo_clipped(clip: Clip) -> PolicyObjective {
    PolicyObjective { ratio: RatioLevel::Sequence, clip, kl: None, normaliser: Normaliser::PerRewrite } // (2)
}
