//! The Moreau envelope of an ordered weighted average: smooth, with an exact gradient.
//!
//! ## Objective
//! - (1) f_b(r) = max_z OWA_w(z) − |z − r|²/(2b) = min over u in C(w) of u·r + (b/2)|u|²
//! - (2) ∇f_b(r) = u*(r) = Proj_{C(w)}(−r/b), attained at z* = r + b u*
//! - (3) ∇²f_b(r) = −(1/b) (I − averaging over blocks)
//! - (4) OWA_w + (b/2)(Σw)²/m ≤ f_b ≤ OWA_w + (b/2)|w|²
//!
//! arXiv:2402.07772 states it for the negated, descending convention.
//!
//! ## Use
//! Inside each answer (ex post): f_b of one answer's rewards, on one scale ([`gains`]), is a scalar reward for any method.
//! Over a population (ex ante): f_b of mean rewards; its gradient (2) gives the weights with which rewards are summed
//! until the means have moved ([`tabular`](super::tabular) does it exactly). b sets how much noise in the means is
//! tolerated: |u*(μ̂) − u*(μ)| ≤ |μ̂ − μ|/b. By Jensen the first is never above the second: report both.

use super::OwaWeights;
use super::permutahedron::{Projection, project};
use crate::error::{self, Error};

/// The envelope at one point.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// f_b(r) (1).
    pub value: f64,
    /// u*(r), the gradient (2): a weight for each outcome.
    pub gradient: Vec<f64>,
    /// z* = r + b u*, where the maximum of (1) is attained.
    pub maximiser: Vec<f64>,
    smoothing: f64,
    projection: Projection,
}

/// Evaluates f_b and its gradient at `outcomes`.
///
/// # Errors
/// As many outcomes as weights are needed, all finite; a smoothing b that is not above 0.
///
/// ```
/// use theory::owa::{OwaWeights, envelope::moreau_envelope};
/// let weights = OwaWeights::new(vec![0.5, 0.3, 0.2])?;
/// let smooth = moreau_envelope(&[0.1, 0.4, 0.35], &weights, 1.0)?;
/// assert!((smooth.value - 0.424375).abs() < 1e-15);
/// assert!((smooth.gradient[1] - 0.225).abs() < 1e-15);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn moreau_envelope(outcomes: &[f64], weights: &OwaWeights, smoothing: f64) -> Result<Envelope, Error> {
    error::positive("smoothing", smoothing)?;
    error::finite("outcomes", outcomes)?;
    let target: Vec<f64> = outcomes.iter().map(|outcome| -outcome / smoothing).collect();
    let projection = project(&target, weights)?; // (2)
    let gradient = projection.point.clone();
    let value = outcomes.iter().zip(&gradient).map(|(r, u)| u * r + 0.5 * smoothing * u * u).sum(); // (1)
    let maximiser = outcomes.iter().zip(&gradient).map(|(r, u)| r + smoothing * u).collect();
    Ok(Envelope { value, gradient, maximiser, smoothing, projection })
}

impl Envelope {
    /// The second derivative along a direction (3).
    ///
    /// ```
    /// use theory::owa::{OwaWeights, envelope::moreau_envelope};
    /// let smooth = moreau_envelope(&[0.1, 0.4, 0.35], &OwaWeights::gini(3)?, 10.0)?;
    /// assert!(smooth.curvature(&[1.0, 1.0, 1.0]).iter().all(|slope| slope.abs() < 1e-15), "a shift changes no weight");
    /// # Ok::<(), theory::Error>(())
    /// ```
    pub fn curvature(&self, direction: &[f64]) -> Vec<f64> {
        self.projection.derivative(direction).iter().map(|slope| -slope / self.smoothing).collect()
    }
}

/// Rewards on one scale: what an answer gains over the un-rewritten prompt, in standard deviations of the latter.
///
/// # Errors
/// Columns of different lengths, entries that are not finite, deviations that are not above 0.
///
/// ```
/// let gains = theory::owa::envelope::gains(&[0.8, 3.0], &[0.5, 5.0], &[0.1, 4.0])?;
/// assert!((gains[0] - 3.0).abs() < 1e-12 && gains[1] == -0.5);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn gains(rewards: &[f64], naive_means: &[f64], naive_deviations: &[f64]) -> Result<Vec<f64>, Error> {
    error::finite("rewards", rewards)?;
    error::same_length("naive_means", rewards.len(), naive_means.len())?;
    error::same_length("naive_deviations", rewards.len(), naive_deviations.len())?;
    error::finite("naive_means", naive_means)?;
    for (index, deviation) in naive_deviations.iter().enumerate() {
        error::positive(&format!("naive_deviations[{index}]"), *deviation)?;
    }
    let scales = naive_means.iter().zip(naive_deviations);
    Ok(rewards.iter().zip(scales).map(|(reward, (mean, deviation))| (reward - mean) / deviation).collect())
}
