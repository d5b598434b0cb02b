//! What a tilted distribution would be worth, from samples of the reference alone.
//!
//! ## Objective
//! With samples v_i of the value under ρ_ref and weights w_i = exp(v_i/λ):
//! - (1) Z ≈ mean w,  log Z ≈ log mean w
//! - (2) J(ρ*) = E_ref[w v] / E_ref w ≈ Σ w_i v_i / Σ w_i  (self-normalised importance sampling)
//! - (3) KL(ρ* ‖ ρ_ref) = J(ρ*)/λ − log Z
//! - (4) TV(ρ*, ρ_ref) = E_ref (1 − w/Z)_+
//!
//! With rewrites of ρ_ref this is what the optimal prompter would reach; with responses of π_F, rewards and β it is
//! J(π*), KL(π* ‖ π_F) and TV(π*, π_F) of an oracle whose reference is the target.
//!
//! ## Symbols
//! v `value`; λ `strength`; N the number of samples.
//!
//! ## Choices
//! All four are biased at order 1/N ((1) downwards, by Jensen); the jackknife removes that order, O(1/N²) stays.
//! The effective sample size (Σw)²/Σw² says how far to trust them: below ten or so the intervals are too narrow,
//! because the best sample seen stands for all that were not.
//!
//! A value that is itself a mean of M noisy rewards adds Var/(2 λ² M) to log Z: the noise is tilted as if it were
//! signal. Take M large against Var/λ², or read log Z as an upper estimate.
//!
//! ## Checked against
//! Enumeration and simulation in `tests/it/estimate.rs`, coverage in `examples/coverage.rs`.

use super::jackknife::jackknife;
use crate::error::{self, Error};
use crate::interval::{Estimate, check_level};
use objective::logspace::log_sum_exp;

/// Estimates about reference · exp(value / strength) / Z, corrected by the jackknife.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TiltedEstimate {
    /// log Z (1).
    pub log_partition: Estimate,
    /// Expected value under the tilted distribution (2).
    pub mean_value: Estimate,
    /// KL from the tilted distribution to the reference (3).
    pub kl: Estimate,
    /// Total variation between the two (4).
    pub total_variation: Estimate,
    /// (Σw)²/Σw², between 1 and N.
    pub effective_sample_size: f64,
}

/// Figures (1) to (4) of one set of samples.
#[derive(Clone, Copy)]
struct Figures {
    log_partition: f64,
    mean_value: f64,
    kl: f64,
    total_variation: f64,
}

/// Estimates what tilting a reference by exp(value / strength) would give, from the values of N samples of it.
///
/// # Errors
/// Fewer than three samples, values that are not finite, a strength that is not above 0, a level outside (0, 1).
///
/// ```
/// let values = [0.2, 0.5, 0.4, 0.9, 0.1, 0.3, 0.6, 0.4]; // R(x, x') of eight reference rewrites
/// let tilted = theory::estimate_tilted(&values, 0.5, 0.95)?;
/// assert!(tilted.mean_value.value > 0.425, "the optimal prompter beats the reference's mean");
/// assert!(tilted.effective_sample_size > 6.0);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn estimate_tilted(value: &[f64], strength: f64, level: f64) -> Result<TiltedEstimate, Error> {
    error::at_least("a tilted estimate", 3, value.len())?;
    error::finite("value", value)?;
    error::positive("strength", strength)?;
    check_level(level)?;
    let all = figures(value, strength);
    let mut rest = value[1..].to_vec();
    let mut left_out = Vec::with_capacity(value.len());
    for index in 0..value.len() {
        left_out.push(figures(&rest, strength)); // without value[index]
        if index < rest.len() {
            rest[index] = value[index];
        }
    }
    let estimate =
        |figure: fn(&Figures) -> f64| jackknife(figure(&all), &left_out.iter().map(figure).collect::<Vec<_>>(), level);
    let clipped = |estimate: Estimate, high: f64| Estimate {
        value: estimate.value.clamp(0.0, high),
        interval: estimate.interval.within(0.0, high),
        ..estimate
    };
    Ok(TiltedEstimate {
        log_partition: estimate(|figures| figures.log_partition),
        mean_value: estimate(|figures| figures.mean_value),
        kl: clipped(estimate(|figures| figures.kl), f64::INFINITY),
        total_variation: clipped(estimate(|figures| figures.total_variation), 1.0),
        effective_sample_size: effective_sample_size(value, strength),
    })
}

fn figures(value: &[f64], strength: f64) -> Figures {
    let log_weights = value.iter().map(|v| v / strength);
    let log_mean = log_sum_exp(log_weights.clone()) - (value.len() as f64).ln(); // log of the mean weight
    let (mut mean_value, mut total_variation) = (0.0, 0.0);
    for (v, log_weight) in value.iter().zip(log_weights) {
        let ratio = (log_weight - log_mean).exp(); // w/Z
        mean_value += ratio * v;
        total_variation += (1.0 - ratio).max(0.0);
    }
    let n = value.len() as f64;
    Figures {
        log_partition: log_mean,                  // (1)
        mean_value: mean_value / n,               // (2)
        kl: mean_value / n / strength - log_mean, // (3)
        total_variation: total_variation / n,     // (4)
    }
}

fn effective_sample_size(value: &[f64], strength: f64) -> f64 {
    let log_weights = value.iter().map(|v| v / strength);
    (2.0 * log_sum_exp(log_weights.clone()) - log_sum_exp(log_weights.map(|w| 2.0 * w))).exp()
}
