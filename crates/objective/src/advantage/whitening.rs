//! Whitening: advantages rescaled to unit variance over a batch.
//!
//! ## Objective
//! w = (v − mean v) / sqrt(var v + ε), and w + mean v when the mean is to be kept
//!
//! "The N implementation details of RLHF with PPO" (2023); `masked_whiten` of TRL.
//!
//! ## Symbols
//! v `values`; ε = 10⁻⁸.
//!
//! ## Choices
//! The variance is the unbiased one (n − 1), as in TRL. Fewer than two values have no variance and are refused.
//!
//! ## Checked against
//! `testdata/golden/ppo.json`, written by `tools/golden/objective/ppo.py`.

use crate::error::Error;

/// Added to the variance.
const EPSILON: f64 = 1e-8;

/// Whether whitening moves the mean to zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhitenedMean {
    /// Mean zero: for advantages.
    #[default]
    Zero,
    /// The mean stays: for rewards.
    Kept,
}

/// Rescales all values of a batch in place to unit variance.
///
/// ```
/// let mut advantages = [1.0, 2.0, 3.0];
/// objective::whiten(&mut advantages, objective::WhitenedMean::Zero)?;
/// assert!((advantages[2] - 1.0).abs() < 1e-8);
/// # Ok::<(), objective::Error>(())
/// ```
pub fn whiten(values: &mut [f64], mean_goes_to: WhitenedMean) -> Result<(), Error> {
    let n = values.len();
    if n < 2 {
        return Err(Error::GroupTooSmall { method: "whitening", least: 2, found: n });
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1) as f64;
    let shift = match mean_goes_to {
        WhitenedMean::Zero => 0.0,
        WhitenedMean::Kept => mean,
    };
    let scale = (variance + EPSILON).sqrt();
    values.iter_mut().for_each(|v| *v = (*v - mean) / scale + shift);
    Ok(())
}
