//! Where each method ends: its gradient flow on a finite world, followed to rounding.
//!
//! ## Objective
//! Every loss that reads rewards ends at log ρ(x'|x) = κ log ρ_ref(x'|x) + R(x,x')/λ_eff + const(x):
//!
//! | method | λ_eff | κ |
//! |---|---|---|
//! | expected reward with KL λ (REINFORCE, RLOO, PPO) | λ | 1 |
//! | RPO, any distance, pairs or groups | β/η | 1 |
//! | EXO_rw, DPO_rw | β_π · β_r | 1 |
//! | DPO on Bradley-Terry labels of scale s | β/s | 1 |
//! | iterative DPO, t rounds | β/(s t) | 1 |
//! | APO, t rounds | β/(s c_t) | 1 |
//! | AIPO without likelihood term, t rounds | β α/(s ((1+α)^t − 1)) | (1+α)^t |
//! | SFT on pairs; IPO, SimPO, cDPO, EXO_pref on labels | none | |
//!
//! To compare methods match λ_eff, not β.
//!
//! ## Symbols
//! λ_eff `lambda_eff`; κ `reference_power`; s `scale`; t `rounds`; c_t [`objective::apo_coefficient`].
//!
//! ## Choices
//! The prompter is a table of logits that starts at ρ_ref. Rewrites that ρ_ref cannot produce stay impossible.
//!
//! ## Checked against
//! Fixtures A and D in `tests/it/fixed_point.rs`.

mod exact_loss;
mod flow;
mod linear;

pub use exact_loss::{LabelLoss, Objective, Rewrites, exact_loss};
pub use flow::{FlowEnd, gradient_flow};

use crate::closed_form::tilt;
use crate::divergence::total_variation;
use crate::error::{self, Error};
use crate::world::{Prompt, World};
use objective::logspace::log_sum_exp;
use objective::{Extrapolation, apo_coefficient, extrapolate_normalised, iterated_coefficients};

/// A way of training: an objective, and how often its result becomes the next reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Method {
    /// What each round minimises.
    pub objective: Objective,
    /// Rounds, at least 1.
    pub rounds: u32,
    /// APO's α: how far a round's reference is extrapolated from the last two results; 0 is plain iteration.
    pub momentum: f64,
}

/// The family a method's end belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Family {
    /// λ_eff.
    pub lambda_eff: f64,
    /// κ: the power to which the reference is raised.
    pub reference_power: f64,
}

/// Where a method ends on a world.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedPoint {
    /// The family the theory puts it in; `None` when no reward strength describes it.
    pub family: Option<Family>,
    /// One end a prompt.
    pub prompts: Vec<PromptEnd>,
    /// E_x TV(ρ, ρ*), ρ* being the closed form at the world's λ.
    pub tv_rho_star: f64,
    /// E_x TV(ρ, ρ_pred), ρ_pred being what the family predicts.
    pub tv_predicted: Option<f64>,
}

/// Where a method ends on one prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptEnd {
    /// The policy over rewrites.
    pub policy: Vec<f64>,
    /// TV to the closed form at the world's λ.
    pub tv_rho_star: f64,
    /// TV to what the family predicts.
    pub tv_predicted: Option<f64>,
    /// Steps of the flow, all rounds together.
    pub steps: usize,
    /// Largest component of the last round's gradient in the logits.
    pub gradient: f64,
}

impl Method {
    /// A single round of an objective.
    pub const fn once(objective: Objective) -> Self {
        Method { objective, rounds: 1, momentum: 0.0 }
    }

    /// The family the method's end belongs to.
    ///
    /// ```
    /// use objective::Dpo;
    /// use theory::{LabelLoss, Method, Objective};
    /// let dpo = Objective::Labels { loss: LabelLoss::Dpo(Dpo { beta: 1.0 }), scale: 2.0 };
    /// assert_eq!(Method::once(dpo).family().unwrap().lambda_eff, 0.5);
    /// let apo = Method { objective: dpo, rounds: 2, momentum: 0.3 };
    /// assert!((apo.family().unwrap().lambda_eff - 0.5 / 2.3).abs() < 1e-15);
    /// ```
    pub fn family(&self) -> Option<Family> {
        // Rounds of plain DPO-like losses add their coefficients; the momentum is theirs alone.
        let rounds = apo_coefficient(self.momentum, self.rounds);
        let around_reference = |lambda_eff: f64| Some(Family { lambda_eff: lambda_eff / rounds, reference_power: 1.0 });
        match self.objective {
            Objective::ExpectedReward { lambda } => around_reference(lambda),
            Objective::RpoPairs(rpo) | Objective::RpoGroup(rpo) => around_reference(rpo.lambda_eff()),
            Objective::ExoRw(exo) => around_reference(exo.lambda_eff()),
            Objective::DpoRw(dpo) => around_reference(dpo.lambda_eff()),
            Objective::Labels { loss: LabelLoss::Dpo(dpo), scale } => around_reference(dpo.lambda_eff(scale)),
            Objective::Labels { loss: LabelLoss::Aipo(aipo), scale }
                if aipo.nll_weight == 0.0 && self.momentum == 0.0 =>
            {
                let coefficients = iterated_coefficients(aipo.preference.alpha, self.rounds);
                Some(Family {
                    lambda_eff: aipo.preference.beta / (scale * coefficients.reward),
                    reference_power: coefficients.reference,
                })
            }
            Objective::Labels { .. } => None,
        }
    }
}

/// Runs a method's exact gradient flow on every prompt of a world.
///
/// # Errors
/// None for a world made by [`World::new`] and options that the objective's own check accepts.
///
/// ```
/// use objective::{Distance, Rpo};
/// use theory::{Method, Objective, World, WorldTables, fixed_point};
/// let world = World::new(WorldTables {
///     rho_ref: vec![vec![0.5, 0.5]],
///     pi_f: vec![vec![vec![0.8, 0.2], vec![0.3, 0.7]]],
///     reward: vec![vec![0.0, 1.0]],
///     lambda: 0.5,
///     beta: 0.5,
///     ..WorldTables::default()
/// })?;
/// let rpo = Rpo { beta: 1.5, eta: 3.0, distance: Distance::Forward };
/// let end = fixed_point(&world, Method::once(Objective::RpoPairs(rpo)))?;
/// assert!(end.tv_rho_star < 1e-12);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn fixed_point(world: &World, method: Method) -> Result<FixedPoint, Error> {
    error::at_least("an iterated method", 1, method.rounds as usize)?;
    let prompts =
        world.prompts.iter().map(|prompt| prompt_end(prompt, world.lambda, method)).collect::<Result<Vec<_>, _>>()?;
    let family = method.family();
    Ok(FixedPoint {
        tv_rho_star: world.mean(prompts.iter().map(|end| end.tv_rho_star)),
        tv_predicted: family.map(|_| world.mean(prompts.iter().filter_map(|end| end.tv_predicted))),
        family,
        prompts,
    })
}

fn prompt_end(prompt: &Prompt, lambda: f64, method: Method) -> Result<PromptEnd, Error> {
    let value = prompt.value();
    let support: Vec<usize> = (0..value.len()).filter(|k| prompt.rho_ref[*k] > 0.0).collect();
    let ref_logps: Vec<f64> = support.iter().map(|k| prompt.rho_ref[*k].ln()).collect();
    let possible: Vec<f64> = support.iter().map(|k| value[*k]).collect();
    let end = rounds(Rewrites { ref_logps: &ref_logps, value: &possible }, method)?;
    let mut policy = vec![0.0; value.len()];
    for (k, logp) in support.iter().zip(&end.logps) {
        policy[*k] = logp.exp();
    }
    let rho_star = tilt(&prompt.rho_ref, &value, lambda)?.policy;
    let predicted = method.family().map(|family| predicted(&prompt.rho_ref, &value, family)).transpose()?;
    Ok(PromptEnd {
        tv_rho_star: total_variation(&policy, &rho_star),
        tv_predicted: predicted.map(|predicted| total_variation(&policy, &predicted)),
        steps: end.steps,
        gradient: end.gradient,
        policy,
    })
}

/// Algorithm 1 of arXiv:2410.06293 with exact rounds; without momentum it is plain iteration.
fn rounds(rewrites: Rewrites<'_>, method: Method) -> Result<FlowEnd, Error> {
    let mut end = FlowEnd { logps: rewrites.ref_logps.to_vec(), steps: 0, gradient: 0.0 };
    if rewrites.value.len() < 2 {
        return Ok(end);
    }
    let mut reference = rewrites.ref_logps.to_vec();
    for _ in 0..method.rounds {
        // 1. Train against this round's reference, to the end.
        let round = Rewrites { ref_logps: &reference, ..rewrites };
        let next = gradient_flow(method.objective, round, &reference)?;
        // 2. Extrapolate from the last two results: the reference of the next round.
        let momentum = Extrapolation::new(method.momentum);
        extrapolate_normalised(&next.logps, &end.logps, momentum, &mut reference)?;
        end = FlowEnd { steps: end.steps + next.steps, ..next };
    }
    Ok(end)
}

/// ρ_ref^κ exp(R/λ_eff) / Z.
fn predicted(rho_ref: &[f64], value: &[f64], family: Family) -> Result<Vec<f64>, Error> {
    let logits: Vec<f64> = rho_ref.iter().map(|mass| family.reference_power * mass.ln()).collect();
    let log_z = log_sum_exp(logits.iter().copied());
    let sharpened: Vec<f64> = logits.iter().map(|logit| (logit - log_z).exp()).collect();
    Ok(tilt(&sharpened, value, family.lambda_eff)?.policy)
}
