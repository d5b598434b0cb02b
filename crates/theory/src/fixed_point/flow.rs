//! Gradient flow to where it ends.
//!
//! ## Objective
//! dθ/dt = −∇L(θ), integrated by the linearly implicit Euler method: (I/h + ∇²L) δ = −∇L, θ ← θ + δ. A small step h
//! follows the flow; where the loss is convex h grows and the step becomes Newton's, which ends the flow to rounding.
//! Pseudo-transient continuation, Kelley and Keyes, SIAM J. Numer. Anal. 35 (1998).
//!
//! ## Choices
//! The second derivative comes from central differences of the exact gradient. Logits are determined up to a constant:
//! adding 11ᵀ/n to the matrix removes that freedom without changing a step, because the gradient sums to zero.

use super::exact_loss::{Objective, Rewrites, exact_loss};
use super::linear::solve_positive_definite;
use crate::divergence::total_variation;
use crate::error::Error;
use objective::logspace::log_sum_exp;

/// Most steps tried, accepted or not.
const MAX_STEPS: usize = 2_000;
/// Step length from which on a step counts as Newton's.
const NEWTON_STEP: f64 = 1e8;
/// Longest step.
const LONGEST_STEP: f64 = 1e12;
/// How far the gradient shrinks until its own rounding may keep steps from growing to Newton's.
const FLAT: f64 = 1e-12;
/// The flow has ended when steps of either kind move the policy by no more than this in total variation …
const STILL: f64 = 1e-14;
/// … so many times in a row, taken or not: what is left is rounding.
const STILL_STEPS: usize = 3;
/// Largest change of a logit in one step: losses that put the policy first are level where it saturates, and a longer
/// step could land there.
const MAX_MOVE: f64 = 1.0;
/// Half-width of the central differences.
const DIFFERENCE: f64 = 1e-5;

/// Where a flow ended.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowEnd {
    /// Log-probabilities of the policy.
    pub logps: Vec<f64>,
    /// Steps tried.
    pub steps: usize,
    /// Largest component of the gradient in the logits there.
    pub gradient: f64,
}

/// Follows the gradient flow of `objective` from the policy with log-probabilities `start`.
///
/// # Errors
/// Those of [`exact_loss`].
///
/// ```
/// use theory::{Objective, Rewrites, gradient_flow, tilt};
/// let (reference, value) = ([0.25f64, 0.75], [1.0, 0.0]);
/// let ref_logps = reference.map(f64::ln);
/// let rewrites = Rewrites { ref_logps: &ref_logps, value: &value };
/// let end = gradient_flow(Objective::ExpectedReward { lambda: 0.5 }, rewrites, &ref_logps)?;
/// assert!((end.logps[0].exp() - tilt(&reference, &value, 0.5)?.policy[0]).abs() < 1e-12);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn gradient_flow(objective: Objective, rewrites: Rewrites<'_>, start: &[f64]) -> Result<FlowEnd, Error> {
    let n = start.len();
    let mut logits = start.to_vec();
    let mut gradient = vec![0.0; n];
    let mut loss = exact_loss(objective, rewrites, &logits, &mut gradient)?;
    let slope_at_start = largest(&gradient);
    let mut curvature = second_derivative(objective, rewrites, &logits)?;
    let mut h = 1.0;
    let (mut steps, mut still) = (0, 0);
    while steps < MAX_STEPS {
        steps += 1;
        let Some(step) = implicit_step(&curvature, &gradient, h) else {
            h *= 0.25;
            continue;
        };
        let reach = largest(&step);
        let shrink = (MAX_MOVE / reach).min(1.0);
        let next = normalised(logits.iter().zip(&step).map(|(logit, step)| logit + shrink * step).collect());
        let mut next_gradient = vec![0.0; n];
        let next_loss = exact_loss(objective, rewrites, &next, &mut next_gradient)?;
        // At the bottom the loss is level to rounding; there the gradient tells whether a small step is an advance.
        let level = reach < 1e-3 && next_loss <= loss + 4.0 * f64::EPSILON * loss.abs();
        let advances = next_loss < loss || level && largest(&next_gradient) <= largest(&gradient);
        let moved = total_variation(&exp(&next), &exp(&logits));
        if advances {
            (logits, loss, gradient) = (next, next_loss, next_gradient);
            curvature = second_derivative(objective, rewrites, &logits)?;
        }
        let flat = h >= NEWTON_STEP || largest(&gradient) <= FLAT * slope_at_start;
        still = if flat && moved <= STILL { still + 1 } else { 0 };
        if still == STILL_STEPS {
            break;
        }
        h = if advances { (h * 10.0).min(LONGEST_STEP) } else { h * 0.25 };
    }
    Ok(FlowEnd { gradient: largest(&gradient), logps: logits, steps })
}

/// δ of (I/h + ∇²L + 11ᵀ/n) δ = −∇L; `None` where the matrix is not positive definite.
fn implicit_step(curvature: &[f64], gradient: &[f64], h: f64) -> Option<Vec<f64>> {
    let n = gradient.len();
    let mut matrix: Vec<f64> = curvature.iter().map(|entry| entry + 1.0 / n as f64).collect();
    for k in 0..n {
        matrix[k * n + k] += 1.0 / h;
    }
    let mut step: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
    solve_positive_definite(&mut matrix, &mut step)?;
    Some(step)
}

/// ∇²L in the logits, row by row, made symmetric.
fn second_derivative(objective: Objective, rewrites: Rewrites<'_>, logits: &[f64]) -> Result<Vec<f64>, Error> {
    let n = logits.len();
    let (mut above, mut below) = (vec![0.0; n], vec![0.0; n]);
    let mut matrix = vec![0.0; n * n];
    let mut shifted = logits.to_vec();
    for row in 0..n {
        shifted[row] = logits[row] + DIFFERENCE;
        exact_loss(objective, rewrites, &shifted, &mut above)?;
        shifted[row] = logits[row] - DIFFERENCE;
        exact_loss(objective, rewrites, &shifted, &mut below)?;
        shifted[row] = logits[row];
        for column in 0..n {
            let slope = (above[column] - below[column]) / (2.0 * DIFFERENCE);
            matrix[row * n + column] += 0.5 * slope;
            matrix[column * n + row] += 0.5 * slope;
        }
    }
    Ok(matrix)
}

fn normalised(mut logits: Vec<f64>) -> Vec<f64> {
    let log_z = log_sum_exp(logits.iter().copied());
    logits.iter_mut().for_each(|logit| *logit -= log_z);
    logits
}

fn exp(logps: &[f64]) -> Vec<f64> {
    logps.iter().map(|logp| logp.exp()).collect()
}

fn largest(gradient: &[f64]) -> f64 {
    gradient.iter().fold(0.0, |largest, slope| slope.abs().max(largest))
}
