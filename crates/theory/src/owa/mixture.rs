//! A fair mixture of choices, and a loss for learning to choose.
//!
//! ## Objective
//! - (1) p* = argmax over the simplex of f_b(C p), C_{ik} being outcome i of choice k: fair in expectation, where no
//!   single choice may be
//! - (2) SPO+ for a linear choice with true values c and predicted values ĉ:
//!   max_p (2ĉ − c)·p − 2 ĉ·p*(c) + c·p*(c), a convex upper bound on the regret c·p*(c) − c·p*(ĉ)
//!
//! (1): arXiv:2402.07772; (2): Elmachtoub and Grigas, "Smart predict, then optimize" (2022), for maximisation.

use super::OwaWeights;
use super::envelope::moreau_envelope;
use super::permutahedron::project;
use super::projected_descent::minimise;
use crate::divergence::expectation;
use crate::error::{self, Error};

/// The fair mixture (1); `outcomes[i][k]` is outcome i of choice k.
///
/// # Errors
/// No choices, ragged outcomes, outcomes that are not finite, a smoothing that is not above 0.
///
/// ```
/// use theory::owa::{OwaWeights, mixture::fair_mixture};
/// // Each choice serves one of two users: only mixing serves both.
/// let worst_off = OwaWeights::mean_of_worst(1, 2)?;
/// let shares = fair_mixture(&[vec![1.0, 0.0], vec![0.0, 1.0]], &worst_off, 0.1)?;
/// assert!((shares[0] - 0.5).abs() < 1e-12);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn fair_mixture(outcomes: &[Vec<f64>], weights: &OwaWeights, smoothing: f64) -> Result<Vec<f64>, Error> {
    error::same_length("outcomes", weights.count(), outcomes.len())?;
    error::positive("smoothing", smoothing)?;
    let n_choices = outcomes[0].len();
    for (index, row) in outcomes.iter().enumerate() {
        error::same_length(&format!("outcomes[{index}]"), n_choices, row.len())?;
        error::finite(&format!("outcomes[{index}]"), row)?;
    }
    let simplex = OwaWeights::mean_of_worst(1, n_choices)?; // its permutahedron
    let squares: f64 = outcomes.iter().flatten().map(|outcome| outcome * outcome).sum();
    minimise(
        vec![1.0 / n_choices as f64; n_choices],
        (squares / smoothing).max(f64::MIN_POSITIVE), // ∇f_b is 1/b-Lipschitz
        |shares| {
            let mixed: Vec<f64> = outcomes.iter().map(|row| expectation(shares, row)).collect();
            let u = moreau_envelope(&mixed, weights, smoothing)?.gradient;
            Ok((0..n_choices).map(|k| -outcomes.iter().zip(&u).map(|(row, u)| u * row[k]).sum::<f64>()).collect()) // −Cᵀu
        },
        |point| Ok(project(point, &simplex)?.point),
        |_| Ok(false),
    )
}

/// SPO+ of predicted values for the choice of one of several, with its subgradient in the prediction (2).
///
/// # Errors
/// Columns of different lengths or without entries, values that are not finite.
///
/// ```
/// use theory::owa::mixture::spo_plus;
/// assert_eq!(spo_plus(&[0.1, 0.9], &[0.1, 0.9])?.0, 0.0);
/// assert!(spo_plus(&[0.9, 0.1], &[0.1, 0.9])?.0 >= 0.8, "at least the regret of choosing the first");
/// # Ok::<(), theory::Error>(())
/// ```
pub fn spo_plus(predicted: &[f64], actual: &[f64]) -> Result<(f64, Vec<f64>), Error> {
    error::finite("predicted", predicted)?;
    error::finite("actual", actual)?;
    error::same_length("actual", predicted.len(), actual.len())?;
    let spread: Vec<f64> = predicted.iter().zip(actual).map(|(guess, truth)| 2.0 * guess - truth).collect();
    let (best, pessimal) = (best(actual), best(&spread));
    let loss = spread[pessimal] - 2.0 * predicted[best] + actual[best]; // (2)
    let mut slopes = vec![0.0; predicted.len()];
    slopes[pessimal] += 2.0;
    slopes[best] -= 2.0;
    Ok((loss, slopes))
}

/// The first of the largest values.
fn best(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, k| if values[k] > values[best] { k } else { best })
}
