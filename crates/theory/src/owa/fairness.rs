//! How evenly means are spread over groups.
//!
//! ## Objective
//! - (1) Gini coefficient: Σ_{i,j} |r_i − r_j| / (2 m² mean), 0 for equal groups
//! - (2) Lorenz curve: the share of the total that the k worst groups hold, k = 0 … m
//! - (3) price of fairness: what the mean lost against training for the mean

use super::{OwaWeights, ascending, owa};
use crate::error::{self, Error};

/// What to report beside a mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Fairness {
    /// Mean over groups.
    pub mean: f64,
    /// The worst-off group.
    pub min: f64,
    /// OWA with the weights asked for.
    pub owa: f64,
    /// Gini coefficient (1); `None` where the mean is not above 0 or an outcome is negative.
    pub gini: Option<f64>,
    /// Lorenz curve (2), m + 1 points from 0 to 1; `None` likewise.
    pub lorenz: Option<Vec<f64>>,
}

/// Reports the means of several groups.
///
/// # Errors
/// As many outcomes as weights are needed, all finite.
///
/// ```
/// use theory::owa::{OwaWeights, fairness::fairness};
/// let report = fairness(&[1.0, 3.0], &OwaWeights::gini(2)?)?;
/// assert_eq!((report.mean, report.min, report.gini), (2.0, 1.0, Some(0.25)));
/// assert_eq!(report.lorenz, Some(vec![0.0, 0.25, 1.0]));
/// # Ok::<(), theory::Error>(())
/// ```
pub fn fairness(outcomes: &[f64], weights: &OwaWeights) -> Result<Fairness, Error> {
    let value = owa(outcomes, weights)?;
    let sorted: Vec<f64> = ascending(outcomes).iter().map(|k| outcomes[*k]).collect();
    let (m, total) = (sorted.len() as f64, sorted.iter().sum::<f64>());
    let shared = sorted[0] >= 0.0 && total > 0.0;
    // Σ_{i,j} |r_i − r_j| = 2 Σ_k (2k − m − 1) r_(k)
    let spread: f64 = sorted.iter().zip(1..).map(|(r, k)| (2.0 * f64::from(k) - m - 1.0) * r).sum();
    let lorenz = || {
        let held = sorted.iter().scan(0.0, |held, r| {
            *held += r / total;
            Some(*held)
        });
        std::iter::once(0.0).chain(held).collect()
    };
    Ok(Fairness {
        mean: total / m,
        min: sorted[0],
        owa: value,
        gini: shared.then(|| spread / (m * total)), // (1)
        lorenz: shared.then(lorenz),                // (2)
    })
}

/// The mean lost for fairness (3): the mean of groups trained for their mean less that of the fair arm.
///
/// # Errors
/// Groups that differ in number or are not finite.
///
/// ```
/// assert_eq!(theory::owa::fairness::price_of_fairness(&[0.5, 0.5], &[0.25, 1.0])?, 0.125);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn price_of_fairness(fair: &[f64], efficient: &[f64]) -> Result<f64, Error> {
    error::finite("fair", fair)?;
    error::finite("efficient", efficient)?;
    error::same_length("efficient", fair.len(), efficient.len())?;
    Ok((efficient.iter().sum::<f64>() - fair.iter().sum::<f64>()) / fair.len() as f64)
}
