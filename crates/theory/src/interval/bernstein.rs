//! The empirical Bernstein interval for a mean of bounded figures.
//!
//! ## Objective
//! With probability 1 − δ, for figures in [a, b] and their sample variance V:
//! |mean − μ| ≤ √(2 V log(4/δ) / n) + 7 (b − a) log(4/δ) / (3 (n − 1))
//!
//! Theorem 4 of Maurer and Pontil, "Empirical Bernstein bounds and sample-variance penalization" (COLT 2009), once for
//! each side.
//!
//! ## Choices
//! Valid for every n and every bounded distribution, hence wider than Student's interval where that one is right.

use super::{Estimate, Interval, check_level, mean, sample_variance};
use crate::error::{self, Error};

/// The mean of independent figures in `range`, with an interval that holds its level for every sample size.
///
/// # Errors
/// Fewer than two figures, figures outside `range`, a level outside (0, 1).
///
/// ```
/// let distance = theory::bernstein_interval(&[0.1; 200], [0.0, 1.0], 0.95)?;
/// assert!(distance.interval.contains(0.1) && distance.interval.high < 0.2);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn bernstein_interval(sample: &[f64], range: [f64; 2], level: f64) -> Result<Estimate, Error> {
    error::at_least("an empirical Bernstein interval", 2, sample.len())?;
    check_level(level)?;
    let [low, high] = range;
    for (index, figure) in sample.iter().enumerate() {
        error::within(&format!("sample[{index}]"), low, high, *figure)?;
    }
    let (centre, n) = (mean(sample), sample.len() as f64);
    let variance = sample_variance(sample);
    let log_term = (4.0 / (1.0 - level)).ln();
    let half_width = (2.0 * variance * log_term / n).sqrt() + 7.0 * (high - low) * log_term / (3.0 * (n - 1.0));
    let interval = Interval::around(centre, half_width).within(low, high);
    Ok(Estimate { value: centre, standard_error: (variance / n).sqrt(), interval })
}
