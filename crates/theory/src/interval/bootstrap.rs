//! Bootstrap intervals.
//!
//! ## Objective
//! Resample the items with replacement B times and look at the statistic θ* of each resample.
//! - BCa: the percentiles of θ* at Φ(z₀ + (z₀ ± z) / (1 − a (z₀ ± z))), with the bias z₀ = Φ⁻¹(share of θ* below θ)
//!   and the acceleration a = Σ dᵢ³ / (6 (Σ dᵢ²)^{3/2}), dᵢ = mean of the leave-one-out values less the i-th.
//!   Efron, "Better bootstrap confidence intervals", JASA 82 (1987).
//! - studentised: [θ − t*_{high} s, θ − t*_{low} s] with the percentiles of t* = (θ* − θ)/s*.
//!   Hall, "Theoretical comparison of bootstrap confidence intervals", Annals of Statistics 16 (1988).
//!
//! ## Choices
//! z is Student's t at n − 1 degrees of freedom times √(n/(n−1)), which undoes the bootstrap's too small spread for few
//! items: Hesterberg, "What teachers should know about the bootstrap", American Statistician 69 (2015).
//! Both forms are second-order accurate. BCa serves any statistic and respects its range; the studentised form needs a
//! standard error and is the better one for means of few figures. Items are prompts: whatever belongs to one prompt is
//! resampled together. Values equal to θ count half in z₀, which matters for win rates.

use super::distribution::{normal_cdf, normal_quantile, student_quantile};
use super::{Estimate, Interval, check_level, mean, sample_variance};
use crate::error::{self, Error};
use crate::stream::Stream;

/// Options of every bootstrap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// Confidence level, 0.95 by custom.
    pub level: f64,
    /// B, the number of resamples: 2,000 for a report, 10,000 for a table.
    pub resamples: usize,
    /// Seed of the resampling.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Bootstrap { level: 0.95, resamples: 2_000, seed: 0 }
    }
}

/// BCa interval of any statistic of independent items.
///
/// The value is the statistic of the items as given, with whatever bias it has. `standard_error` is the deviation of
/// the resampled statistics.
///
/// # Errors
/// Fewer than two items or a hundred resamples, a level outside (0, 1), a statistic that is not finite.
///
/// ```
/// use theory::{Bootstrap, bca_bootstrap};
/// // The share of an oracle's gain that a prompter reaches: a ratio of means over (prompter, oracle) per prompt.
/// let gains = [(0.5, 1.0), (0.4, 0.7), (0.1, 0.3), (0.6, 0.9), (0.2, 0.5), (0.3, 0.4)];
/// let share = |gains: &[(f64, f64)]| {
///     gains.iter().map(|gain| gain.0).sum::<f64>() / gains.iter().map(|gain| gain.1).sum::<f64>()
/// };
/// let estimate = bca_bootstrap(&gains, share, Bootstrap::default())?;
/// assert!(estimate.interval.low < estimate.value && estimate.value < estimate.interval.high);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn bca_bootstrap<T: Clone>(
    items: &[T],
    statistic: impl Fn(&[T]) -> f64,
    options: Bootstrap,
) -> Result<Estimate, Error> {
    check(items.len(), options)?;
    let value = statistic(items);
    let mut resampled = resample(items, options, |resample| Some(statistic(resample)));
    error::finite("statistic", &[value])?;
    error::finite("resampled statistic", &resampled)?;
    resampled.sort_by(f64::total_cmp);

    let below = resampled.iter().map(|other| {
        if *other < value {
            1.0
        } else if *other == value {
            0.5
        } else {
            0.0
        }
    });
    let bias = normal_quantile(below.sum::<f64>() / resampled.len() as f64); // z₀
    let acceleration = acceleration(items, &statistic);
    let end = |z: f64| {
        let shifted = bias + z;
        let adjusted = normal_cdf(bias + shifted / (1.0 - acceleration * shifted));
        percentile(&resampled, if adjusted.is_nan() { normal_cdf(z) } else { adjusted })
    };
    let n = items.len() as f64;
    let z = (n / (n - 1.0)).sqrt() * student_quantile(0.5 + 0.5 * options.level, n - 1.0);
    let interval = if bias.is_finite() {
        Interval { low: end(-z), high: end(z) }
    } else {
        Interval { low: resampled[0], high: resampled[resampled.len() - 1] } // all on one side of the value
    };
    Ok(Estimate { value, standard_error: sample_variance(&resampled).sqrt(), interval })
}

/// Studentised interval of the mean of independent figures.
///
/// Unbiased. Resamples without any spread say nothing about t* and are left out; a sample without spread gets an
/// interval of width 0.
///
/// # Errors
/// Fewer than two figures or a hundred resamples, a level outside (0, 1), figures that are not finite.
///
/// ```
/// use theory::{Bootstrap, studentised_bootstrap};
/// let gains = [0.5, 0.1, 0.0, 0.7, 0.2, 0.3, 0.1, 0.4];
/// let estimate = studentised_bootstrap(&gains, Bootstrap::default())?;
/// assert!(estimate.interval.low > 0.0, "the gain is significant");
/// # Ok::<(), theory::Error>(())
/// ```
pub fn studentised_bootstrap(sample: &[f64], options: Bootstrap) -> Result<Estimate, Error> {
    check(sample.len(), options)?;
    error::finite("sample", sample)?;
    let (value, n) = (mean(sample), sample.len() as f64);
    let standard_error = (sample_variance(sample) / n).sqrt();
    let mut ratios = resample(sample, options, |resample| {
        let spread = (sample_variance(resample) / n).sqrt();
        (spread > 0.0).then(|| (mean(resample) - value) / spread) // t*
    });
    if ratios.is_empty() {
        return Ok(Estimate { value, standard_error, interval: Interval::around(value, 0.0) });
    }
    ratios.sort_by(f64::total_cmp);
    let (low, high) = (percentile(&ratios, 0.5 + 0.5 * options.level), percentile(&ratios, 0.5 - 0.5 * options.level));
    let interval = Interval { low: value - low * standard_error, high: value - high * standard_error };
    Ok(Estimate { value, standard_error, interval })
}

/// Studentised interval of the mean gain of one arm over another, paired by prompt.
///
/// # Errors
/// Arms of different lengths, and those of [`studentised_bootstrap`].
///
/// ```
/// use theory::{Bootstrap, paired_bootstrap};
/// let gain = paired_bootstrap(&[0.9, 0.8, 0.7, 0.9], &[0.5, 0.6, 0.4, 0.6], Bootstrap::default())?;
/// assert!((gain.value - 0.3).abs() < 1e-12);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn paired_bootstrap(arm: &[f64], baseline: &[f64], options: Bootstrap) -> Result<Estimate, Error> {
    error::same_length("baseline", arm.len(), baseline.len())?;
    let gains: Vec<f64> = arm.iter().zip(baseline).map(|(arm, baseline)| arm - baseline).collect();
    studentised_bootstrap(&gains, options)
}

fn check(n_items: usize, options: Bootstrap) -> Result<(), Error> {
    error::at_least("a bootstrap", 2, n_items)?;
    error::at_least("a bootstrap's resampling", 100, options.resamples)?;
    check_level(options.level)
}

/// The statistic of B resamples, without those that have none.
fn resample<T: Clone>(items: &[T], options: Bootstrap, statistic: impl Fn(&[T]) -> Option<f64>) -> Vec<f64> {
    let mut stream = Stream::new(options.seed);
    let mut buffer = items.to_vec();
    let draw = |_| {
        buffer.iter_mut().for_each(|item| item.clone_from(&items[stream.below(items.len())]));
        statistic(&buffer)
    };
    (0..options.resamples).filter_map(draw).collect()
}

/// a of BCa, 0 for a statistic that no item moves.
fn acceleration<T: Clone>(items: &[T], statistic: &impl Fn(&[T]) -> f64) -> f64 {
    let leave_out = |index: usize| {
        let rest: Vec<T> =
            items.iter().enumerate().filter(|(k, _)| *k != index).map(|(_, item)| item.clone()).collect();
        statistic(&rest)
    };
    let left_out: Vec<f64> = (0..items.len()).map(leave_out).collect();
    let centre = mean(&left_out);
    let (squares, cubes) = left_out
        .iter()
        .map(|value| centre - value)
        .fold((0.0, 0.0), |(squares, cubes), d| (squares + d * d, cubes + d * d * d));
    if squares > 0.0 { cubes / (6.0 * squares.powf(1.5)) } else { 0.0 }
}

/// The value below which a share of the sorted figures lies, interpolated.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let position = (share * (sorted.len() as f64 + 1.0) - 1.0).clamp(0.0, (sorted.len() - 1) as f64);
    let index = position.floor() as usize;
    let next = (index + 1).min(sorted.len() - 1);
    sorted[index] + (position - index as f64) * (sorted[next] - sorted[index])
}
