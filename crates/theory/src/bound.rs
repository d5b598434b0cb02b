//! How far an optimal prompter in front of a frozen model can be from fine-tuning the model.
//!
//! ## Objective
//! - (1.4) J(π*) − J(π_{ρ*}) ≤ r_max TV(π*, π_F(·|x)) + r_max E_{x'~ρ_ref} TV(π_F(·|x), π_F(·|x')) − λ KL(ρ* ‖ ρ_ref)
//! - (1.5a) the same with the Jeffreys divergence in place of the single KL, because
//!   J(π_{ρ_ref}) − J(π_{ρ*}) = −λ [KL(ρ* ‖ ρ_ref) + KL(ρ_ref ‖ ρ*)] exactly
//! - (1.5b) r_max TV(π*, π_{ρ_ref}) − λ Jeffreys: the two total variations merged before the triangle inequality
//! - (1.5c) r_max TV(π*, π_{ρ*}): direct
//!
//! For a prompter ρ that is not ρ*, with C = J(π_{ρ_ref}) − J(π_ρ):
//! - J(π*) − J(π_ρ) ≤ (terms 1 and 2) + C, and ≤ r_max TV(π*, π_{ρ_ref}) + C, for every ρ and every π*
//! - C = −λ KL(ρ ‖ ρ_ref) + J_λ(ρ_ref) − J_λ(ρ), so that (1.4) holds wherever J_λ(ρ) ≥ J_λ(ρ_ref)
//! - C = −λ [KL(ρ ‖ ρ_ref) + KL(ρ_ref ‖ ρ)] + λ [KL(ρ_ref ‖ ρ) + KL(ρ ‖ ρ*) − KL(ρ_ref ‖ ρ*)], so that (1.5a-b) hold
//!   wherever the second bracket is not above 0
//!
//! The first is the theorem's own first two steps, which do not know ρ. The second is the definition of J_λ (1.2). For the
//! third put R = λ log(ρ*/ρ_ref) + const into C = (E_{ρ_ref} − E_ρ) R and log(ρ*/ρ_ref) = log(ρ/ρ_ref) + log(ρ*/ρ) into that.
//!
//! The theorem of arXiv:2501.03486; the sharper forms are this project's.
//!
//! ## Symbols
//! r_max `reward_span` (b − a for rewards in [a, b], 1.5d); the three terms of (1.4) `terms`, the last one negative.
//!
//! ## Choices
//! (1.4) and (1.5a-b) need ρ* of the same λ, or a premise above; (1.5c) holds for any prompter. A bound above r_max says nothing that the
//! range of the reward does not: [`Bound::clipped`] beside the plain figures shows it.
//!
//! ## Checked against
//! Fixture A and random worlds in `tests/it/bound.rs`; prompters that are not ρ* in `tests/it/law.rs`.

use crate::closed_form::Tilted;
use crate::divergence::{expectation, total_variation};
use crate::error::{self, Error};
use crate::world::{Prompt, World};

/// The suboptimality bound of one prompt, term by term, and its sharper forms; all unclipped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The terms of (1.4): alignment of the target, spread of the reference rewrites, credit for the trained prompter.
    pub terms: [f64; 3],
    /// (1.5a).
    pub jeffreys: f64,
    /// (1.5b).
    pub merged: f64,
    /// (1.5c).
    pub direct: f64,
    /// b − a, which no gap can exceed.
    pub reward_span: f64,
}

impl Bound {
    /// The bound (1.4), the sum of its terms.
    pub fn total(&self) -> f64 {
        self.terms.iter().sum()
    }

    /// A bound no larger than the range of the reward.
    ///
    /// ```
    /// let bound = theory::Bound { terms: [0.9, 0.4, -0.1], jeffreys: 1.1, merged: 0.7, direct: 0.6, reward_span: 1.0 };
    /// assert_eq!(bound.clipped(bound.jeffreys), 1.0);
    /// assert_eq!(bound.clipped(bound.merged), 0.7);
    /// ```
    pub fn clipped(&self, bound: f64) -> f64 {
        bound.min(self.reward_span)
    }

    /// The smallest of the four forms, clipped.
    pub fn tightest(&self) -> f64 {
        self.clipped(self.total().min(self.jeffreys).min(self.merged).min(self.direct))
    }
}

/// Bounds J(π*) − J(π_{ρ*}) for one prompt of `world`, given its optimal prompter and the oracle's policy.
///
/// # Errors
/// Policies that do not fit the prompt's tables.
///
/// ```
/// use theory::{World, WorldTables, rlhf_optimum, suboptimality_bound, tilt};
/// let world = World::new(WorldTables {
///     rho_ref: vec![vec![1.0, 0.0]], // a reference prompter that always returns the naive prompt
///     pi_f: vec![vec![vec![0.8, 0.2], vec![0.3, 0.7]]],
///     reward: vec![vec![0.0, 1.0]],
///     lambda: 0.5,
///     beta: 0.5,
///     ..WorldTables::default()
/// })?;
/// let prompt = &world.prompts[0];
/// let prompter = tilt(&prompt.rho_ref, &prompt.value(), world.lambda)?;
/// let oracle = rlhf_optimum(&prompt.pi_sft, &prompt.reward, world.beta)?;
/// let bound = suboptimality_bound(prompt, &prompter, &oracle.policy, &world)?;
/// assert_eq!(bound.terms[1..], [0.0, 0.0]); // (1.5e)
/// # Ok::<(), theory::Error>(())
/// ```
pub fn suboptimality_bound(prompt: &Prompt, prompter: &Tilted, oracle: &[f64], world: &World) -> Result<Bound, Error> {
    error::same_length("oracle", prompt.reward.len(), oracle.len())?;
    error::same_length("prompter", prompt.rho_ref.len(), prompter.policy.len())?;
    let (span, lambda) = (world.reward_span, world.lambda);
    let naive = &prompt.pi_f[0];
    let spread: Vec<f64> = prompt.pi_f.iter().map(|rewritten| total_variation(naive, rewritten)).collect();
    let terms = [
        span * total_variation(oracle, naive),        // (1.4), term 1
        span * expectation(&prompt.rho_ref, &spread), // (1.4), term 2
        -(lambda * prompter.kl),                      // (1.4), term 3
    ];
    // By (1.5a) lambda times the Jeffreys divergence is what the prompter gains, without small logarithms.
    let jeffreys = prompter.mean_value - expectation(&prompt.rho_ref, &prompt.value());
    Ok(Bound {
        terms,
        jeffreys: terms[0] + terms[1] - jeffreys, // (1.5a)
        merged: span * total_variation(oracle, &prompt.induced(&prompt.rho_ref)) - jeffreys, // (1.5b)
        direct: span * total_variation(oracle, &prompt.induced(&prompter.policy)), // (1.5c)
        reward_span: span,
    })
}
