//! Quenouille's jackknife.
//!
//! ## Objective
//! With θ from all N samples and θ_(i) from all but the i-th, their mean being θ_(·):
//! - (1) corrected value  N θ − (N−1) θ_(·), which removes a bias of order 1/N
//! - (2) standard error   √((N−1)/N Σ (θ_(i) − θ_(·))²)
//!
//! Tukey (1958); Miller, "The jackknife — a review", Biometrika 61 (1974).

use crate::interval::{Estimate, Interval, distribution::student_quantile, mean};

/// The corrected value with Student's interval at N − 1 degrees of freedom.
pub(super) fn jackknife(all: f64, left_out: &[f64], level: f64) -> Estimate {
    let n = left_out.len() as f64;
    let centre = mean(left_out);
    let value = n * all - (n - 1.0) * centre; // (1)
    let squares: f64 = left_out.iter().map(|other| (other - centre) * (other - centre)).sum();
    let standard_error = ((n - 1.0) / n * squares).sqrt(); // (2)
    let half_width = student_quantile(0.5 + 0.5 * level, n - 1.0) * standard_error;
    Estimate { value, standard_error, interval: Interval::around(value, half_width) }
}
