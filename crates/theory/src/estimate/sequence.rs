//! Distances between two sequence models, from samples of the first.
//!
//! ## Objective
//! With z drawn from p and the log-ratio log q(z) − log p(z) summed over its tokens:
//! - (1) TV(p, q) = E_p (1 − q/p)_+, whose terms lie in [0, 1]
//! - (2) KL(p ‖ q) = E_p k, with k1, k2 or k3 of [`objective::KlEstimator`]
//!
//! ## Choices
//! (1) and (2) with k1 and k3 are unbiased where both log-probabilities are exact and p is sampled as it is scored: at
//! the same temperature, without top-k or top-p, to the end of the sequence. k3 also needs p to cover q. k2 is biased
//! at the second order of the log-ratio. (1) gets the empirical Bernstein interval, (2) is unbounded and gets
//! Student's.

use crate::error::{self, Error};
use crate::interval::{Estimate, bernstein_interval, student_interval};
use objective::KlEstimator;

/// TV(p, q) from log-probabilities of samples of p under both models (1).
///
/// # Errors
/// Columns of different lengths, fewer than two samples, log-probabilities that are not finite.
///
/// ```
/// let (p, q) = ([-1.0, -2.0, -1.5], [-1.5, -1.0, -1.5]);
/// let distance = theory::estimate_total_variation(&p, &q, 0.95)?;
/// assert!((distance.value - (1.0 - (-0.5f64).exp()) / 3.0).abs() < 1e-15);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn estimate_total_variation(p_logps: &[f64], q_logps: &[f64], level: f64) -> Result<Estimate, Error> {
    let shortfalls: Vec<f64> = log_ratios(p_logps, q_logps)?.map(|log_ratio| (-log_ratio.exp_m1()).max(0.0)).collect();
    bernstein_interval(&shortfalls, [0.0, 1.0], level) // (1)
}

/// KL(p ‖ q) from log-probabilities of samples of p under both models (2).
///
/// # Errors
/// Columns of different lengths, fewer than two samples, log-probabilities that are not finite.
///
/// ```
/// use objective::KlEstimator;
/// let (p, q) = ([-1.0, -2.0, -1.5], [-1.5, -1.0, -1.5]);
/// let distance = theory::estimate_kl(&p, &q, KlEstimator::K3, 0.95)?;
/// assert!(distance.value > 0.0);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn estimate_kl(p_logps: &[f64], q_logps: &[f64], estimator: KlEstimator, level: f64) -> Result<Estimate, Error> {
    let terms: Vec<f64> =
        log_ratios(p_logps, q_logps)?.map(|log_ratio| estimator.estimate(0.0, log_ratio).value).collect();
    student_interval(&terms, level) // (2)
}

fn log_ratios<'a>(p_logps: &'a [f64], q_logps: &'a [f64]) -> Result<impl Iterator<Item = f64> + 'a, Error> {
    error::same_length("q_logps", p_logps.len(), q_logps.len())?;
    error::finite("p_logps", p_logps)?;
    error::finite("q_logps", q_logps)?;
    Ok(p_logps.iter().zip(q_logps).map(|(p, q)| q - p))
}
