//! How sure a figure is: confidence intervals and tests.
//!
//! | what | when |
//! |---|---|
//! | [`student_interval`] | a mean of many independent figures |
//! | [`studentised_bootstrap`] | a mean of few or skewed figures: the default for gains paired by prompt |
//! | [`bca_bootstrap`] | any statistic of the prompts: shares, ratios, medians |
//! | [`win_rate`] | verdicts with ties |
//! | [`sign_test`] | wins against losses, exact (McNemar's test) |
//! | [`bernstein_interval`] | a mean of bounded figures, valid for every sample size |
//! | [`PairedSequence`] | a comparison that is looked at while it runs |
//!
//! Every comparison is paired by prompt: pass the differences.

mod anytime;
mod bernstein;
mod bootstrap;
pub mod distribution;
mod sign_test;
mod student;
mod win_rate;

pub use anytime::{PairedSequence, Verdict};
pub use bernstein::bernstein_interval;
pub use bootstrap::{Bootstrap, bca_bootstrap, paired_bootstrap, studentised_bootstrap};
pub use sign_test::sign_test;
pub use student::student_interval;
pub use win_rate::{WinRate, win_rate};

/// A confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// The interval of `half_width` on either side of `centre`.
    ///
    /// ```
    /// let interval = theory::Interval::around(2.0, 0.5);
    /// assert_eq!((interval.low, interval.high), (1.5, 2.5));
    /// ```
    pub const fn around(centre: f64, half_width: f64) -> Self {
        Interval { low: centre - half_width, high: centre + half_width }
    }

    /// Whether a figure lies in it, ends included.
    ///
    /// ```
    /// assert!(theory::Interval { low: 0.0, high: 1.0 }.contains(1.0));
    /// ```
    pub fn contains(&self, figure: f64) -> bool {
        (self.low..=self.high).contains(&figure)
    }

    /// The part of it inside `[low, high]`.
    ///
    /// ```
    /// assert_eq!(theory::Interval::around(0.9, 0.2).within(0.0, 1.0).high, 1.0);
    /// ```
    pub fn within(&self, low: f64, high: f64) -> Self {
        Interval { low: self.low.clamp(low, high), high: self.high.clamp(low, high) }
    }

    /// The interval of `factor` times the figure.
    ///
    /// ```
    /// let credit = theory::Interval { low: 1.0, high: 2.0 }.scaled(-0.5);
    /// assert_eq!((credit.low, credit.high), (-1.0, -0.5));
    /// ```
    pub fn scaled(&self, factor: f64) -> Self {
        let (one, other) = (factor * self.low, factor * self.high);
        Interval { low: one.min(other), high: one.max(other) }
    }
}

/// A figure with its standard error and a confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Its estimated standard error.
    pub standard_error: f64,
    /// Its confidence interval.
    pub interval: Interval,
}

/// Σ x / n.
pub(crate) fn mean(sample: &[f64]) -> f64 {
    sample.iter().sum::<f64>() / sample.len() as f64
}

/// Σ (x − mean)² / (n − 1).
pub(crate) fn sample_variance(sample: &[f64]) -> f64 {
    let centre = mean(sample);
    sample.iter().map(|x| (x - centre) * (x - centre)).sum::<f64>() / (sample.len() as f64 - 1.0)
}

/// Refuses a confidence level outside (0, 1).
pub(crate) fn check_level(level: f64) -> Result<(), crate::Error> {
    crate::error::within("level", f64::EPSILON, 1.0 - f64::EPSILON, level)
}
