//! The prompter that is fair to several rewards or groups, exactly, on a finite world.
//!
//! ## Objective
//! - (1) J(ρ) = f_b(μ(ρ)) − λ E_x KL(ρ ‖ ρ_ref),  μ_k(ρ) = E_x E_{x'~ρ} q_k(x, x')
//! - (2) for fixed weights u: ρ_u(x'|x) = ρ_ref(x'|x) exp(u·q(x,x')/λ) / Z_u(x), the closed form of the scalar u·q
//! - (3) max_ρ J = min over u in C(w) of D(u),  D(u) = λ E_x log Z_u(x) + (b/2)|u|²,  ∇D = μ(ρ_u) + b u
//!
//! Fair to the population (ex ante): a single rewrite need not be fair, their mixture is.
//!
//! ## Choices
//! D is strongly convex, so that the duality gap D(u) − J(ρ_u) is a certificate; it is returned.

use super::envelope::moreau_envelope;
use super::permutahedron::project;
use super::projected_descent::minimise;
use super::{OwaWeights, owa};
use crate::closed_form::{Tilted, tilt};
use crate::divergence::expectation;
use crate::error::{self, Error};

/// Duality gap, relative to the size of the optimum, at which the search stops.
const GAP: f64 = 1e-15;

/// One prompt with several rewards.
#[derive(Clone, Debug, PartialEq)]
pub struct FairPrompt {
    /// E_x: the prompt's share of the population; the shares sum to one.
    pub weight: f64,
    /// ρ_ref(·|x), shape (rewrites).
    pub rho_ref: Vec<f64>,
    /// q_k(x, x') = E_{y~π_F} r_k, shape (rewrites, rewards).
    pub value: Vec<Vec<f64>>,
}

/// The fair prompter.
#[derive(Clone, Debug, PartialEq)]
pub struct FairOptimum {
    /// ρ per prompt.
    pub policy: Vec<Vec<f64>>,
    /// μ(ρ): the mean of each reward.
    pub means: Vec<f64>,
    /// u: the weight each reward ends up with.
    pub weights: Vec<f64>,
    /// J(ρ) (1).
    pub objective: f64,
    /// D(u) − J(ρ) ≥ 0 up to rounding: how far `objective` can be from the optimum.
    pub duality_gap: f64,
    /// OWA_w(μ), unsmoothed.
    pub owa: f64,
}

/// The prompter that maximises (1).
///
/// # Errors
/// No prompts, tables that do not fit each other or the weights, strengths that are not above 0.
///
/// ```
/// use theory::owa::{OwaWeights, tabular::{FairPrompt, fair_optimum}};
/// // Two rewrites, each good for one of two groups: the worst-off group is helped by an even mixture.
/// let prompt = FairPrompt { weight: 1.0, rho_ref: vec![0.9, 0.1], value: vec![vec![1.0, 0.0], vec![0.0, 1.0]] };
/// let fair = fair_optimum(&[prompt], &OwaWeights::mean_of_worst(1, 2)?, 1e-2, 1e-2)?;
/// assert!((fair.policy[0][0] - 0.5).abs() < 0.02);
/// assert!(fair.duality_gap.abs() < 1e-10);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn fair_optimum(
    prompts: &[FairPrompt],
    weights: &OwaWeights,
    smoothing: f64,
    lambda: f64,
) -> Result<FairOptimum, Error> {
    check(prompts, weights, smoothing, lambda)?;
    let m = weights.count();
    let start = vec![weights.total() / m as f64; m]; // the plain mean lies in every C(w)
    let largest: f64 = prompts.iter().flat_map(|prompt| &prompt.value).map(|q| expectation(q, q)).fold(0.0, f64::max);
    let u = minimise(
        start,
        smoothing + largest / lambda, // the curvature of D: b plus a covariance of q over λ
        |u| {
            let means = at_weights(prompts, u, lambda)?.1;
            Ok(means.iter().zip(u).map(|(mean, u)| mean + smoothing * u).collect()) // ∇D (3)
        },
        |point| Ok(project(point, weights)?.point),
        |u| {
            let certificate = certificate(prompts, weights, smoothing, lambda, u)?;
            Ok(certificate.duality_gap <= GAP * (1.0 + certificate.objective.abs()))
        },
    )?;
    certificate(prompts, weights, smoothing, lambda, &u)
}

/// ρ_u, its value (1) and its distance from D(u).
fn certificate(
    prompts: &[FairPrompt],
    weights: &OwaWeights,
    smoothing: f64,
    lambda: f64,
    u: &[f64],
) -> Result<FairOptimum, Error> {
    let (tilted, means) = at_weights(prompts, u, lambda)?;
    let over_prompts = |figure: fn(&Tilted) -> f64| -> f64 {
        prompts.iter().zip(&tilted).map(|(prompt, tilted)| prompt.weight * figure(tilted)).sum()
    };
    let smooth = moreau_envelope(&means, weights, smoothing)?;
    let objective = smooth.value - lambda * over_prompts(|tilted| tilted.kl); // (1)
    let dual = over_prompts(|tilted| tilted.optimum) + 0.5 * smoothing * expectation(u, u); // D(u) (3)
    Ok(FairOptimum {
        objective,
        duality_gap: dual - objective,
        owa: owa(&means, weights)?,
        weights: u.to_vec(),
        policy: tilted.into_iter().map(|tilted| tilted.policy).collect(),
        means,
    })
}

/// ρ_u (2) and μ(ρ_u).
fn at_weights(prompts: &[FairPrompt], u: &[f64], lambda: f64) -> Result<(Vec<Tilted>, Vec<f64>), Error> {
    let mut means = vec![0.0; u.len()];
    let mut tilted = Vec::with_capacity(prompts.len());
    for prompt in prompts {
        let scalar: Vec<f64> = prompt.value.iter().map(|q| expectation(u, q)).collect();
        let prompter = tilt(&prompt.rho_ref, &scalar, lambda)?; // (2)
        for (mass, q) in prompter.policy.iter().zip(&prompt.value) {
            for (mean, q) in means.iter_mut().zip(q) {
                *mean += prompt.weight * mass * q;
            }
        }
        tilted.push(prompter);
    }
    Ok((tilted, means))
}

fn check(prompts: &[FairPrompt], weights: &OwaWeights, smoothing: f64, lambda: f64) -> Result<(), Error> {
    error::positive("smoothing", smoothing)?;
    error::positive("lambda", lambda)?;
    error::finite("prompt weights", &prompts.iter().map(|prompt| prompt.weight).collect::<Vec<_>>())?;
    for (index, prompt) in prompts.iter().enumerate() {
        error::same_length(&format!("value[{index}]"), prompt.rho_ref.len(), prompt.value.len())?;
        for (rewrite, q) in prompt.value.iter().enumerate() {
            error::same_length(&format!("value[{index}][{rewrite}]"), weights.count(), q.len())?;
            error::finite(&format!("value[{index}][{rewrite}]"), q)?;
        }
    }
    Ok(())
}
