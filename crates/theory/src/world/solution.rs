//! A world solved exactly.

use super::{Prompt, World};
use crate::bound::{Bound, suboptimality_bound};
use crate::closed_form::tilt;
use crate::divergence::expectation;
use crate::error::Error;
use crate::rlhf::rlhf_optimum;

/// Every exact figure of a world.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// One entry a prompt.
    pub prompts: Vec<PromptSolution>,
    /// E_x of the scalars.
    pub mean: Means,
}

/// The exact figures of one prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptSolution {
    /// R(x, x') per rewrite.
    pub value: Vec<f64>,
    /// Z(x) (1.3); infinite where its logarithm is above 709.
    pub z: f64,
    /// log Z(x).
    pub log_z: f64,
    /// The optimal prompter (1.3).
    pub rho_star: Vec<f64>,
    /// J(π_{ρ_ref}), the expected reward behind the reference prompter.
    pub j_ref: f64,
    /// J(π_{ρ*}), the expected reward behind the optimal prompter.
    pub j_star: f64,
    /// KL(ρ* ‖ ρ_ref).
    pub kl_star: f64,
    /// KL(ρ_ref ‖ ρ*).
    pub kl_ref_star: f64,
    /// The RLHF optimum (1.1).
    pub pi_star: Vec<f64>,
    /// J(π*).
    pub j_rlhf: f64,
    /// J(π*) − J(π_{ρ*}); may be negative, for π* is on its own leash (1.5f).
    pub gap: f64,
    /// What the gap is bounded by.
    pub bound: Bound,
}

/// E_x of the scalars of [`PromptSolution`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Means {
    /// E_x Z(x).
    pub z: f64,
    /// E_x log Z(x); times λ it is the largest value of (1.2).
    pub log_z: f64,
    /// J(π_{ρ_ref}).
    pub j_ref: f64,
    /// J(π_{ρ*}).
    pub j_star: f64,
    /// E_x KL(ρ* ‖ ρ_ref).
    pub kl_star: f64,
    /// E_x KL(ρ_ref ‖ ρ*).
    pub kl_ref_star: f64,
    /// J(π*).
    pub j_rlhf: f64,
    /// J(π*) − J(π_{ρ*}).
    pub gap: f64,
    /// The bound (1.4).
    pub bound: f64,
    /// The bound (1.5a).
    pub bound_jeffreys: f64,
    /// The bound (1.5b).
    pub bound_merged: f64,
    /// The bound (1.5c).
    pub bound_direct: f64,
}

pub(super) fn solve(world: &World) -> Result<Solution, Error> {
    let prompts = world.prompts.iter().map(|prompt| solve_prompt(world, prompt)).collect::<Result<Vec<_>, _>>()?;
    let mean = |figure: fn(&PromptSolution) -> f64| world.mean(prompts.iter().map(figure));
    let mean = Means {
        z: mean(|prompt| prompt.z),
        log_z: mean(|prompt| prompt.log_z),
        j_ref: mean(|prompt| prompt.j_ref),
        j_star: mean(|prompt| prompt.j_star),
        kl_star: mean(|prompt| prompt.kl_star),
        kl_ref_star: mean(|prompt| prompt.kl_ref_star),
        j_rlhf: mean(|prompt| prompt.j_rlhf),
        gap: mean(|prompt| prompt.gap),
        bound: mean(|prompt| prompt.bound.total()),
        bound_jeffreys: mean(|prompt| prompt.bound.jeffreys),
        bound_merged: mean(|prompt| prompt.bound.merged),
        bound_direct: mean(|prompt| prompt.bound.direct),
    };
    Ok(Solution { prompts, mean })
}

fn solve_prompt(world: &World, prompt: &Prompt) -> Result<PromptSolution, Error> {
    let value = prompt.value();
    let prompter = tilt(&prompt.rho_ref, &value, world.lambda)?; // (1.3)
    let oracle = rlhf_optimum(&prompt.pi_sft, &prompt.reward, world.beta)?; // (1.1)
    let bound = suboptimality_bound(prompt, &prompter, &oracle.policy, world)?;
    Ok(PromptSolution {
        z: prompter.log_partition.exp(),
        log_z: prompter.log_partition,
        j_ref: expectation(&prompt.rho_ref, &value),
        j_star: prompter.mean_value,
        kl_star: prompter.kl,
        kl_ref_star: prompter.reverse_kl,
        rho_star: prompter.policy,
        j_rlhf: oracle.mean_value,
        gap: oracle.mean_value - prompter.mean_value,
        pi_star: oracle.policy,
        bound,
        value,
    })
}
