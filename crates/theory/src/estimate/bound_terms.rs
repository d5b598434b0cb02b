//! The suboptimality bound from per-prompt estimates of its terms.
//!
//! ## Objective
//! The terms of (1.4) and (1.5a) are means over prompts of figures in [0, r_max]: r_max TV(π*, π_F), r_max E TV(π_F, π_F')
//! and λ KL(ρ* ‖ ρ_ref), λ KL(ρ_ref ‖ ρ*), the last two because λ KL is at most the span of the value. So each gets an
//! empirical Bernstein interval, valid for every number of prompts.
//!
//! ## Choices
//! The bound's interval holds for all its terms together: each of its parts takes an equal share of the error. Its
//! upper end is a bound on the gap at the confidence level, as far as the per-prompt estimates are unbiased.

use crate::error::{self, Error};
use crate::interval::{Estimate, Interval, bernstein_interval, check_level};

/// One figure a prompt for each term of the bound.
#[derive(Clone, Copy, Debug)]
pub struct BoundSamples<'a> {
    /// TV(π*, π_F(·|x)), in [0, 1].
    pub oracle_distance: &'a [f64],
    /// E_{x'~ρ_ref} TV(π_F(·|x), π_F(·|x')), in [0, 1].
    pub rewrite_distance: &'a [f64],
    /// KL(ρ* ‖ ρ_ref).
    pub kl: &'a [f64],
    /// KL(ρ_ref ‖ ρ*).
    pub reverse_kl: &'a [f64],
}

/// The bound (1.4) and its form (1.5a), with intervals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoundEstimate {
    /// The three terms of (1.4), each at the full level on its own; the last one is negative.
    pub terms: [Estimate; 3],
    /// (1.4), unclipped.
    pub bound: Estimate,
    /// (1.5a), unclipped.
    pub jeffreys: Estimate,
}

/// Estimates the bound from per-prompt figures; `reward_span` is r_max = b − a.
///
/// # Errors
/// Columns of different lengths, fewer than two prompts, distances outside [0, 1], λ KL outside [0, `reward_span`].
///
/// ```
/// use theory::{BoundSamples, estimate_bound};
/// let samples = BoundSamples {
///     oracle_distance: &[0.3; 400],
///     rewrite_distance: &[0.2; 400],
///     kl: &[0.1; 400],
///     reverse_kl: &[0.1; 400],
/// };
/// let estimate = estimate_bound(samples, 0.5, 1.0, 0.95)?;
/// assert!((estimate.bound.value - 0.45).abs() < 1e-12 && (estimate.jeffreys.value - 0.4).abs() < 1e-12);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn estimate_bound(
    samples: BoundSamples<'_>,
    lambda: f64,
    reward_span: f64,
    level: f64,
) -> Result<BoundEstimate, Error> {
    check_level(level)?;
    error::positive("lambda", lambda)?;
    error::positive("reward_span", reward_span)?;
    let n = samples.oracle_distance.len();
    error::same_length("rewrite_distance", n, samples.rewrite_distance.len())?;
    error::same_length("kl", n, samples.kl.len())?;
    error::same_length("reverse_kl", n, samples.reverse_kl.len())?;
    let largest_kl = reward_span / lambda;
    let parts = |level: f64| -> Result<[Estimate; 4], Error> {
        Ok([
            scaled(bernstein_interval(samples.oracle_distance, [0.0, 1.0], level)?, reward_span),
            scaled(bernstein_interval(samples.rewrite_distance, [0.0, 1.0], level)?, reward_span),
            scaled(bernstein_interval(samples.kl, [0.0, largest_kl], level)?, -lambda),
            scaled(bernstein_interval(samples.reverse_kl, [0.0, largest_kl], level)?, -lambda),
        ])
    };
    let share = |n_parts: f64| 1.0 - (1.0 - level) / n_parts;
    let [first, second, third, _] = parts(level)?;
    Ok(BoundEstimate {
        terms: [first, second, third],
        bound: sum(&parts(share(3.0))?[..3]),
        jeffreys: sum(&parts(share(4.0))?),
    })
}

fn scaled(estimate: Estimate, factor: f64) -> Estimate {
    Estimate {
        value: factor * estimate.value,
        standard_error: factor.abs() * estimate.standard_error,
        interval: estimate.interval.scaled(factor),
    }
}

/// The sum of estimates whose intervals hold together; the standard error allows for any dependence between them.
fn sum(parts: &[Estimate]) -> Estimate {
    Estimate {
        value: parts.iter().map(|part| part.value).sum(),
        standard_error: parts.iter().map(|part| part.standard_error).sum(),
        interval: Interval {
            low: parts.iter().map(|part| part.interval.low).sum(),
            high: parts.iter().map(|part| part.interval.high).sum(),
        },
    }
}
