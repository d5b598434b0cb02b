//! Ordered weighted averages: one fair figure from several rewards, users or groups.
//!
//! ## Objective
//! With outcomes sorted upwards, r_(1) ≤ … ≤ r_(m), and weights w_1 ≥ … ≥ w_m ≥ 0:
//! - (1) OWA_w(r) = Σ_k w_k r_(k) = min over u in C(w) of u·r
//! - (2) C(w) = conv of all orderings of w, the permutahedron
//! - (3) ∂OWA/∂r_k = w_{rank(k)}
//!
//! arXiv:2402.07772 (UAI 2024); Yager (1988).
//!
//! ## Symbols
//! r `outcomes`, larger is better; w [`OwaWeights`]; b `smoothing`.
//!
//! ## Choices
//! Ascending order: the first weight is the *worst* outcome's, so that (1, 0, …, 0) is the minimum. Texts that sort
//! downwards call the same vector the maximum. Weights that increase would reward inequality; [`OwaWeights`] refuses
//! them, [`ordered_mean`] takes any. At ties (3) is averaged over the tied outcomes: the subgradient of least norm.
//!
//! ## Layout
//! [`permutahedron`] projects on C(w); [`envelope`] smooths (1) and differentiates it; [`tabular`] finds the prompter
//! that is fair to groups; [`mixture`] finds a fair mixture of choices; [`fairness`] reports.
//!
//! ## Checked against
//! The linear programs and figures of `tests/it/owa.rs`.

pub mod envelope;
pub mod fairness;
pub mod mixture;
pub mod permutahedron;
mod projected_descent;
pub mod tabular;

use crate::error::{self, Error};

/// Weights w_1 ≥ … ≥ w_m ≥ 0 of an ordered weighted average, the worst outcome's first.
#[derive(Clone, Debug, PartialEq)]
pub struct OwaWeights(Vec<f64>);

impl OwaWeights {
    /// Weights as given; they need not sum to one.
    ///
    /// # Errors
    /// No weights, weights that are negative, not finite or increasing.
    ///
    /// ```
    /// use theory::owa::{OwaWeights, owa};
    /// let weights = OwaWeights::new(vec![0.5, 0.3, 0.2])?;
    /// assert!((owa(&[0.1, 0.4, 0.35], &weights)? - 0.235).abs() < 1e-15);
    /// assert!(OwaWeights::new(vec![0.0, 1.0]).is_err(), "that would be the maximum");
    /// # Ok::<(), theory::Error>(())
    /// ```
    pub fn new(weights: Vec<f64>) -> Result<Self, Error> {
        error::not_negative("weights", &weights)?;
        match (1..weights.len()).find(|k| weights[*k] > weights[*k - 1]) {
            Some(index) => Err(Error::IncreasingWeights { index, previous: weights[index - 1], found: weights[index] }),
            None => Ok(OwaWeights(weights)),
        }
    }

    /// Gini's weights w_k = 2 (m − k + 1) / (m (m + 1)).
    ///
    /// # Errors
    /// `count` 0.
    ///
    /// ```
    /// assert_eq!(theory::owa::OwaWeights::gini(2)?.as_slice(), [2.0 / 3.0, 1.0 / 3.0]);
    /// # Ok::<(), theory::Error>(())
    /// ```
    pub fn gini(count: usize) -> Result<Self, Error> {
        let m = count as f64;
        Self::new((0..count).map(|k| 2.0 * (m - k as f64) / (m * (m + 1.0))).collect())
    }

    /// The mean of the `worst` worst outcomes: the minimum for 1, the plain mean for `count`, CVaR in between.
    ///
    /// # Errors
    /// `worst` outside 1 to `count`.
    ///
    /// ```
    /// use theory::owa::{OwaWeights, owa};
    /// let outcomes = [3.0, 1.0, 2.0];
    /// assert_eq!(owa(&outcomes, &OwaWeights::mean_of_worst(1, 3)?)?, 1.0);
    /// assert_eq!(owa(&outcomes, &OwaWeights::mean_of_worst(2, 3)?)?, 1.5);
    /// # Ok::<(), theory::Error>(())
    /// ```
    pub fn mean_of_worst(worst: usize, count: usize) -> Result<Self, Error> {
        error::within("worst", 1.0, count as f64, worst as f64)?;
        Self::new((0..count).map(|k| if k < worst { 1.0 / worst as f64 } else { 0.0 }).collect())
    }

    /// The weights, the worst outcome's first.
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// Number of weights.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Σ w.
    pub fn total(&self) -> f64 {
        self.0.iter().sum()
    }
}

/// OWA_w(r) (1): concave, symmetric, and never lowered by moving some of a better outcome to a worse one.
///
/// # Errors
/// As many outcomes as weights are needed, all finite.
///
/// ```
/// use theory::owa::{OwaWeights, owa};
/// let fair = OwaWeights::gini(2)?;
/// assert!(owa(&[0.5, 0.5], &fair)? > owa(&[0.0, 1.0], &fair)?);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn owa(outcomes: &[f64], weights: &OwaWeights) -> Result<f64, Error> {
    ordered_mean(outcomes, weights.as_slice())
}

/// Σ_k w_k r_(k) for weights in any order, fair or not.
///
/// # Errors
/// As many outcomes as weights are needed, all finite.
///
/// ```
/// assert_eq!(theory::owa::ordered_mean(&[0.2, 0.9, 0.4], &[0.0, 0.0, 1.0])?, 0.9);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn ordered_mean(outcomes: &[f64], weights: &[f64]) -> Result<f64, Error> {
    error::finite("outcomes", outcomes)?;
    error::same_length("outcomes", weights.len(), outcomes.len())?;
    Ok(ascending(outcomes).iter().zip(weights).map(|(k, weight)| weight * outcomes[*k]).sum()) // (1)
}

/// The subgradient of least norm of OWA_w (3): each outcome's weight, averaged over ties.
///
/// # Errors
/// As many outcomes as weights are needed, all finite.
///
/// ```
/// use theory::owa::{OwaWeights, subgradient};
/// let weights = OwaWeights::new(vec![0.5, 0.3, 0.2])?;
/// assert_eq!(subgradient(&[0.4, 0.1, 0.35], &weights)?, [0.2, 0.5, 0.3]);
/// assert_eq!(subgradient(&[0.4, 0.4, 0.1], &weights)?, [0.25, 0.25, 0.5]);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn subgradient(outcomes: &[f64], weights: &OwaWeights) -> Result<Vec<f64>, Error> {
    error::finite("outcomes", outcomes)?;
    error::same_length("outcomes", weights.count(), outcomes.len())?;
    let order = ascending(outcomes);
    let mut slopes = vec![0.0; outcomes.len()];
    let mut rank = 0;
    for tied in order.chunk_by(|one, other| outcomes[*one] == outcomes[*other]) {
        let ranks = &weights.as_slice()[rank..rank + tied.len()];
        let share = ranks.iter().sum::<f64>() / tied.len() as f64;
        tied.iter().for_each(|k| slopes[*k] = share); // (3)
        rank += tied.len();
    }
    Ok(slopes)
}

/// Indices of the outcomes from worst to best; ties keep their order.
fn ascending(outcomes: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..outcomes.len()).collect();
    order.sort_by(|one, other| outcomes[*one].total_cmp(&outcomes[*other]));
    order
}
