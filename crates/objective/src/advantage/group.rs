//! Advantages from the rewards of one group.
//!
//! ## Objective
//! - leave-one-out  A_k = S_k − mean_{j≠k} S_j — RLOO, arXiv:2402.14740
//! - group mean     A_k = S_k − mean_j S_j — Dr. GRPO, arXiv:2503.20783; ((K−1)/K times leave-one-out)
//! - z-score        A_k = (S_k − mean_j S_j) / (std_j S_j + ε) — GRPO, arXiv:2402.03300, section 4.1.2
//!
//! ## Symbols
//! S `rewards`, one per rewrite of a prompt; K the group's size; ε `epsilon`.
//!
//! ## Choices
//! The GRPO paper leaves the deviation's divisor open: [`Deviation::Sample`] (K − 1) is what TRL and PyTorch use, with
//! ε = 10⁻⁴. Leave-one-out is unbiased, the group mean shrinks by (K−1)/K, the z-score is biased: its divisor depends
//! on the very rewards it scales.
//!
//! ## Checked against
//! Enumeration of all K-tuples in `tests/it/estimators.rs`; `testdata/golden/grpo.json`, written by
//! `tools/golden/objective/grpo.py`.

use crate::error::{Error, same_length};

/// Divisor of the variance in a z-score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deviation {
    /// K − 1, as TRL and PyTorch.
    #[default]
    Sample,
    /// K.
    Population,
}

/// Options of [`z_score`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ZScore {
    /// Divisor of the variance.
    pub deviation: Deviation,
    /// Added to the deviation, so that a group of equal rewards gets zeros.
    pub epsilon: f64,
}

impl Default for ZScore {
    fn default() -> Self {
        ZScore { deviation: Deviation::Sample, epsilon: 1e-4 }
    }
}

/// Reward minus the mean of the *other* rewards of the group; both slices have K entries, K ≥ 2.
///
/// ```
/// let mut advantages = [0.0; 3];
/// objective::leave_one_out(&[1.0, 2.0, 6.0], &mut advantages)?;
/// assert_eq!(advantages, [-3.0, -1.5, 4.5]);
/// # Ok::<(), objective::Error>(())
/// ```
pub fn leave_one_out(rewards: &[f64], advantages: &mut [f64]) -> Result<(), Error> {
    let size = at_least_two("leave-one-out", rewards)?;
    group_mean(rewards, advantages)?;
    // S_k − mean_{j≠k} S_j = K/(K−1) (S_k − mean_j S_j), which rounds better than a sum minus one of its terms.
    advantages.iter_mut().for_each(|advantage| *advantage *= size / (size - 1.0));
    Ok(())
}

/// Reward minus the mean of the group, itself included.
///
/// ```
/// let mut advantages = [0.0; 3];
/// objective::group_mean(&[1.0, 2.0, 6.0], &mut advantages)?;
/// assert_eq!(advantages, [-2.0, -1.0, 3.0]);
/// # Ok::<(), objective::Error>(())
/// ```
pub fn group_mean(rewards: &[f64], advantages: &mut [f64]) -> Result<(), Error> {
    same_length("advantages", rewards.len(), advantages.len())?;
    let mean = mean(rewards);
    advantages.iter_mut().zip(rewards).for_each(|(advantage, reward)| *advantage = reward - mean);
    Ok(())
}

/// Reward in standard deviations of its group; K ≥ 2.
///
/// ```
/// use objective::{Deviation, ZScore, z_score};
/// let mut advantages = [0.0; 2];
/// z_score(&[1.0, 3.0], ZScore { deviation: Deviation::Population, epsilon: 0.0 }, &mut advantages)?;
/// assert_eq!(advantages, [-1.0, 1.0]);
/// # Ok::<(), objective::Error>(())
/// ```
pub fn z_score(rewards: &[f64], options: ZScore, advantages: &mut [f64]) -> Result<(), Error> {
    let size = at_least_two("the z-score", rewards)?;
    group_mean(rewards, advantages)?;
    let divisor = match options.deviation {
        Deviation::Sample => size - 1.0,
        Deviation::Population => size,
    };
    let deviation = (advantages.iter().map(|centred| centred * centred).sum::<f64>() / divisor).sqrt();
    // Equal rewards with ε = 0 would divide zero by zero; they carry no preference, so their advantage is zero.
    let scale = deviation + options.epsilon;
    let scale = if scale > 0.0 { scale } else { 1.0 };
    advantages.iter_mut().for_each(|advantage| *advantage /= scale);
    Ok(())
}

/// The mean, taken from the first value so that equal values have exactly themselves as their mean; zero if empty.
fn mean(values: &[f64]) -> f64 {
    let origin = values.first().copied().unwrap_or(0.0);
    origin + values.iter().map(|value| value - origin).sum::<f64>() / values.len().max(1) as f64
}

fn at_least_two(method: &'static str, rewards: &[f64]) -> Result<f64, Error> {
    match rewards.len() {
        found @ 0..2 => Err(Error::GroupTooSmall { method, least: 2, found }),
        size => Ok(size as f64),
    }
}
