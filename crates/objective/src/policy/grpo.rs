//! Group Relative Policy Optimization and its relatives.
//!
//! ## Objective
//! (1) L_i = −Σ_t [ C(w_t, A_i) − λ k3_t ],  w_t = ρ(x'_t)/ρ_old(x'_t)
//!
//! | name | advantage | clip | λ | normaliser | source |
//! |---|---|---|---|---|---|
//! | [`grpo`] | z-score | symmetric | > 0 | per sequence | arXiv:2402.03300, eq. 3 |
//! | [`dr_grpo`] | group mean | symmetric | 0 | constant | arXiv:2503.20783 |
//! | [`dapo`] | z-score | asymmetric | 0 | per token | arXiv:2503.14476, eq. 8 |
//! | [`gspo`] | z-score | asymmetric, of the sequence's mean ratio | 0 | per sequence | arXiv:2507.18071 |
//!
//! ## Symbols
//! A from [`z_score`](crate::z_score) or [`group_mean`](crate::group_mean); λ `lambda` (β in the papers); k3 the
//! estimate of KL to the reference; ε_low, ε_high the clip.
//!
//! ## Choices
//! The divergence is inside the loss and estimated by k3, as in the paper and TRL. DAPO's filtering of all-equal groups
//! and of cut-off rewrites is the caller's: such rewrites simply do not enter the batch.
//!
//! ## Checked against
//! `testdata/golden/grpo.json`, written by `tools/golden/objective/grpo.py`.

use super::clip::Clip;
use super::normaliser::Normaliser;
use super::surrogate::{KlPenalty, PolicyObjective, RatioLevel};
use crate::kl::KlEstimator;

/// GRPO as published: every rewrite weighs the same, whatever its length.
pub const fn grpo(epsilon: f64, lambda: f64) -> PolicyObjective {
    PolicyObjective {
        ratio: RatioLevel::Token, // (1)
        clip: Clip::symmetric(epsilon),
        kl: Some(KlPenalty { lambda, estimator: KlEstimator::K3 }),
        normaliser: Normaliser::PerSequence,
    }
}

/// Dr. GRPO: no division by a length or a deviation; `constant` is usually the greatest rewrite length.
pub const fn dr_grpo(epsilon: f64, constant: f64) -> PolicyObjective {
    PolicyObjective {
        ratio: RatioLevel::Token,
        clip: Clip::symmetric(epsilon),
        kl: None,
        normaliser: Normaliser::Constant(constant),
    }
}

/// DAPO: more room upwards than downwards, every token weighs the same. The paper uses 0.2 and 0.28.
pub const fn dapo(epsilon_low: f64, epsilon_high: f64) -> PolicyObjective {
    PolicyObjective {
        ratio: RatioLevel::Token,
        clip: Clip::Range { low: epsilon_low, high: epsilon_high },
        kl: None,
        normaliser: Normaliser::PerToken,
    }
}

/// GSPO: one ratio a rewrite, its geometric mean over tokens. The paper uses 3·10⁻⁴ and 4·10⁻⁴.
pub const fn gspo(epsilon_low: f64, epsilon_high: f64) -> PolicyObjective {
    PolicyObjective {
        ratio: RatioLevel::SequenceMean,
        clip: Clip::Range { low: epsilon_low, high: epsilon_high },
        kl: None,
        normaliser: Normaliser::PerSequence,
    }
}
