//! Student's interval for a mean.

use super::{Estimate, Interval, check_level, distribution::student_quantile, mean, sample_variance};
use crate::error::{self, Error};

/// The mean of independent figures, mean ± t · s/√n.
///
/// Unbiased. The level is exact for normal figures and approached as n grows for others; for skewed figures and n below
/// fifty or so [`studentised_bootstrap`](crate::studentised_bootstrap) keeps it better.
///
/// # Errors
/// Fewer than two figures, figures that are not finite, a level outside (0, 1).
///
/// ```
/// let gain = theory::student_interval(&[1.0, 2.0, 3.0], 0.95)?;
/// assert!((gain.value - 2.0).abs() < 1e-15 && gain.interval.contains(0.0));
/// # Ok::<(), theory::Error>(())
/// ```
pub fn student_interval(sample: &[f64], level: f64) -> Result<Estimate, Error> {
    error::at_least("an interval for a mean", 2, sample.len())?;
    error::finite("sample", sample)?;
    check_level(level)?;
    let (centre, n) = (mean(sample), sample.len() as f64);
    let standard_error = (sample_variance(sample) / n).sqrt();
    let half_width = student_quantile(0.5 + 0.5 * level, n - 1.0) * standard_error;
    Ok(Estimate { value: centre, standard_error, interval: Interval::around(centre, half_width) })
}
