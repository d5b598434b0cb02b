//! Kullback-Leibler divergence estimated from one sample.
//!
//! ## Objective
//! With z drawn from ρ and u = ρ_ref(z) / ρ(z), for KL(ρ ‖ ρ_ref):
//! - k1 = −log u
//! - k2 = ½ (log u)²
//! - k3 = u − 1 − log u
//!
//! J. Schulman, "Approximating KL divergence" (2020); the k3 form is eq. 4 of arXiv:2402.03300 (GRPO).
//!
//! ## Symbols
//! log ρ `policy_logp`; log ρ_ref `ref_logp`.
//!
//! ## Choices
//! | estimator | as a value | its derivative, averaged over ρ |
//! |---|---|---|
//! | k1 | unbiased, any sign, largest variance | 0: as a loss it only adds noise; use it inside the reward |
//! | k2 | biased (second order in the log-ratio), never negative | ∇ KL(ρ ‖ ρ_ref), exactly |
//! | k3 | unbiased where ρ covers ρ_ref, never negative | ∇ KL(ρ_ref ‖ ρ): the other direction |
//!
//! Above a log-ratio of [`LOG_RATIO_LIMIT`](crate::logspace::LOG_RATIO_LIMIT) u goes on along its tangent.
//!
//! ## Checked against
//! Enumeration in `tests/it/estimators.rs`; k3 inside GRPO in `testdata/golden/grpo.json`.

use crate::logspace;

/// Which estimator stands for the divergence of one sampled token or rewrite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KlEstimator {
    /// −log u.
    K1,
    /// ½ (log u)².
    K2,
    /// u − 1 − log u.
    #[default]
    K3,
}

/// An estimate with its derivatives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KlEstimate {
    /// The estimate, in nats.
    pub value: f64,
    /// Derivative with respect to the policy's log-probability; that with respect to the reference's is its negative.
    pub d_policy: f64,
}

impl KlEstimator {
    /// Estimates KL(ρ ‖ ρ_ref) from the two log-probabilities of one thing drawn from ρ.
    ///
    /// ```
    /// use objective::KlEstimator;
    /// let estimate = KlEstimator::K3.estimate(-1.0, -1.5);
    /// assert!((estimate.value - ((-0.5f64).exp() - 1.0 + 0.5)).abs() < 1e-15);
    /// ```
    pub fn estimate(self, policy_logp: f64, ref_logp: f64) -> KlEstimate {
        let log_u = ref_logp - policy_logp;
        match self {
            KlEstimator::K1 => KlEstimate { value: -log_u, d_policy: 1.0 },
            KlEstimator::K2 => KlEstimate { value: 0.5 * log_u * log_u, d_policy: -log_u },
            KlEstimator::K3 => {
                let u = logspace::ratio(log_u);
                KlEstimate { value: ratio_excess(log_u, u.value), d_policy: 1.0 - u.slope }
            }
        }
    }
}

/// u − 1 − log u, by its series near u = 1 where the subtraction would cancel.
fn ratio_excess(log_u: f64, u: f64) -> f64 {
    if log_u.abs() < 1e-3 {
        log_u * log_u * (0.5 + log_u * (1.0 / 6.0 + log_u * (1.0 / 24.0 + log_u / 120.0)))
    } else {
        u - 1.0 - log_u
    }
}
