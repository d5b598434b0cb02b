//! `lab fixed-point`: the policy a method ends in.

use clap::ValueEnum as _;
use objective::{
    Aipo, AlphaDpo, Cdpo, Distance, Dpo, DpoRw, ExoPref, ExoRw, Ipo, LabelNoise, Rpo, Simpo, apo_coefficient,
    iterated_coefficients,
};
use serde::Serialize;
use theory::{FixedPoint, LabelLoss, Method, Objective, World, fixed_point};

use super::bar::{self, bar, rewrite_name};
use super::world_file;
use crate::arguments::{DistanceName, FixedPoint as FixedPointArguments, MethodName, MethodOptions};
use crate::output::{Output, say};

#[derive(Serialize)]
struct Report {
    method: String,
    lambda: f64,
    /// Absent where no reward strength describes the end.
    lambda_eff: Option<f64>,
    reference_power: Option<f64>,
    tv_rho_star: f64,
    tv_predicted: Option<f64>,
    /// Whether the flow arrived where the method is known to end; absent where that is not known.
    converged: Option<bool>,
    prompts: Vec<PromptReport>,
}

#[derive(Serialize)]
struct PromptReport {
    policy: Vec<f64>,
    tv_rho_star: f64,
    tv_predicted: Option<f64>,
    steps: usize,
    gradient: f64,
}

/// Farther than this in total variation from where the method is known to end, the flow has not arrived.
const NEAR_ENOUGH: f64 = 1e-9;

/// An option that was given to a method that does not have it.
#[derive(Debug, thiserror::Error)]
#[error("{method} has no option `--{option}`")]
pub(crate) struct UnusedOption {
    method: String,
    option: &'static str,
}

pub(super) fn run(arguments: &FixedPointArguments, output: &mut Output) -> anyhow::Result<()> {
    let world = world_file::read(&arguments.world.path)?;
    let method = method(arguments.method, arguments.options, world.lambda)?;
    let end = fixed_point(&world, method)?;
    if end.tv_predicted.is_some_and(|distance| distance > NEAR_ENOUGH) {
        say(
            "warning: the flow stopped before its end: its steps were used up, or its gradient is below rounding; options nearer 1 help",
        );
    }
    if arguments.world.json {
        return output.json_document(&report(arguments.method, &world, end));
    }
    print(arguments.method, &world, &end, output)
}

/// The methods that read rewards, with options that make their lambda_eff `lambda`.
pub(super) fn matched_methods(lambda: f64) -> anyhow::Result<Vec<(String, Method)>> {
    let names = [
        MethodName::Rloo,
        MethodName::Rpo,
        MethodName::ExoRw,
        MethodName::DpoRw,
        MethodName::Dpo,
        MethodName::IterativeDpo,
        MethodName::Apo,
        MethodName::AlphaDpo,
        MethodName::Sft,
    ];
    let matched = |name| Ok((spelled(name), method(name, MethodOptions::default(), lambda)?));
    names.into_iter().map(matched).collect()
}

/// A method with its options; those left out match its lambda_eff to `lambda`.
fn method(name: MethodName, mut given: MethodOptions, lambda: f64) -> anyhow::Result<Method> {
    let method = match name {
        MethodName::Reinforce | MethodName::Rloo | MethodName::Ppo => {
            Method::once(Objective::ExpectedReward { lambda: given.lambda.take().unwrap_or(lambda) })
        }
        MethodName::Rpo => {
            let beta = given.beta.take().unwrap_or(1.0);
            let eta = given.eta.take().unwrap_or(beta / lambda);
            let rpo = Rpo { beta, eta, distance: distance(given.distance.take()) };
            rpo.check()?;
            Method::once(Objective::RpoPairs(rpo))
        }
        MethodName::ExoRw => {
            let beta_pi = given.beta_pi.take().unwrap_or(1.0);
            let exo = ExoRw { beta_pi, beta_r: given.beta_r.take().unwrap_or(lambda / beta_pi) };
            exo.check()?;
            Method::once(Objective::ExoRw(exo))
        }
        MethodName::DpoRw => {
            let beta_pi = given.beta_pi.take().unwrap_or(1.0);
            let dpo = DpoRw { beta_pi, beta_r: given.beta_r.take().unwrap_or(lambda / beta_pi) };
            dpo.check()?;
            Method::once(Objective::DpoRw(dpo))
        }
        _ => on_labels(name, &mut given, lambda)?,
    };
    match unused(&given) {
        Some(option) => Err(UnusedOption { method: spelled(name), option }.into()),
        None => Ok(method),
    }
}

/// A method that learns from labels drawn from Bradley and Terry's model.
fn on_labels(name: MethodName, given: &mut MethodOptions, lambda: f64) -> anyhow::Result<Method> {
    let beta = if name == MethodName::Sft { 1.0 } else { given.beta.take().unwrap_or(1.0) };
    let iterated = matches!(name, MethodName::IterativeDpo | MethodName::Apo | MethodName::Aipo);
    let rounds = if iterated { given.rounds.take().unwrap_or(3) } else { 1 };
    let momentum = if name == MethodName::Apo { given.alpha.take().unwrap_or(0.3) } else { 0.0 };
    let mut strength = apo_coefficient(momentum, rounds); // how many rounds of DPO the whole is worth
    let loss = match name {
        MethodName::Cdpo => {
            let label_smoothing = given.label_smoothing.take().unwrap_or(0.1);
            LabelLoss::Cdpo(Cdpo { beta, label_smoothing, noise: LabelNoise::Conservative })
        }
        MethodName::Ipo => LabelLoss::Ipo(Ipo { beta }),
        MethodName::Simpo => LabelLoss::Simpo(Simpo { beta, gamma: given.gamma.take().unwrap_or(0.5) }),
        MethodName::ExoPref => {
            LabelLoss::ExoPref(ExoPref { beta, label_smoothing: given.label_smoothing.take().unwrap_or(1e-3) })
        }
        MethodName::AlphaDpo | MethodName::Aipo => {
            let alpha = given.alpha.take().unwrap_or(0.09);
            let nll_weight = if name == MethodName::Aipo { given.nll_weight.take().unwrap_or(0.0) } else { 0.0 };
            strength = iterated_coefficients(alpha, rounds).reward;
            LabelLoss::Aipo(Aipo { preference: AlphaDpo { beta, alpha }, nll_weight })
        }
        MethodName::Sft => LabelLoss::Sft,
        _ => LabelLoss::Dpo(Dpo { beta }),
    };
    check(loss)?;
    let scale = given.scale.take().unwrap_or(beta / (lambda * strength));
    Ok(Method { objective: Objective::Labels { loss, scale }, rounds, momentum })
}

fn check(loss: LabelLoss) -> Result<(), objective::Error> {
    match loss {
        LabelLoss::Dpo(options) => options.check(),
        LabelLoss::Cdpo(options) => options.check(),
        LabelLoss::Ipo(options) => options.check(),
        LabelLoss::Simpo(options) => options.check(),
        LabelLoss::ExoPref(options) => options.check(),
        LabelLoss::Aipo(options) => options.check(),
        LabelLoss::Sft => Ok(()),
    }
}

fn distance(name: Option<DistanceName>) -> Distance {
    match name {
        None | Some(DistanceName::Sq) => Distance::Square,
        Some(DistanceName::Bwd) => Distance::Backward,
        Some(DistanceName::Fwd) => Distance::Forward,
    }
}

/// The first option that no method has taken.
fn unused(left: &MethodOptions) -> Option<&'static str> {
    let MethodOptions { lambda, beta, eta, distance, beta_pi, beta_r, scale, alpha, rounds, .. } = left;
    let MethodOptions { label_smoothing, gamma, nll_weight, .. } = left;
    let left = [
        ("lambda", lambda.is_some()),
        ("beta", beta.is_some()),
        ("eta", eta.is_some()),
        ("distance", distance.is_some()),
        ("beta-pi", beta_pi.is_some()),
        ("beta-r", beta_r.is_some()),
        ("scale", scale.is_some()),
        ("alpha", alpha.is_some()),
        ("rounds", rounds.is_some()),
        ("label-smoothing", label_smoothing.is_some()),
        ("gamma", gamma.is_some()),
        ("nll-weight", nll_weight.is_some()),
    ];
    left.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
}

fn spelled(name: MethodName) -> String {
    name.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn report(name: MethodName, world: &World, end: FixedPoint) -> Report {
    let prompts = end.prompts.into_iter().map(|prompt| PromptReport {
        policy: prompt.policy,
        tv_rho_star: prompt.tv_rho_star,
        tv_predicted: prompt.tv_predicted,
        steps: prompt.steps,
        gradient: prompt.gradient,
    });
    Report {
        method: spelled(name),
        lambda: world.lambda,
        lambda_eff: end.family.map(|family| family.lambda_eff),
        reference_power: end.family.map(|family| family.reference_power),
        tv_rho_star: end.tv_rho_star,
        tv_predicted: end.tv_predicted,
        converged: end.tv_predicted.map(|distance| distance <= NEAR_ENOUGH),
        prompts: prompts.collect(),
    }
}

fn print(name: MethodName, world: &World, end: &FixedPoint, output: &mut Output) -> anyhow::Result<()> {
    let family = end.family.map_or_else(
        || "no reward strength describes it".to_owned(),
        |family| format!("lambda_eff {}, rho_ref to the power {}", family.lambda_eff, family.reference_power),
    );
    output.line(&format!("{}: {family}; the world's lambda is {}", spelled(name), world.lambda))?;
    for (index, (prompt, tables)) in end.prompts.iter().zip(&world.prompts).enumerate() {
        output.line("")?;
        output.line(&format!("prompt {index:<8}  rho_ref    policy"))?;
        for (rewrite, (after, before)) in prompt.policy.iter().zip(&tables.rho_ref).enumerate() {
            let name = rewrite_name(rewrite);
            output.line(format!("  {name:<12} {before:8.4}  {after:8.4}  {}", bar(*after)).trim_end())?;
        }
        output.line(&format!("  {} from rho* in total variation", bar::distance(prompt.tv_rho_star)))?;
    }
    output.line("")?;
    output.line(&format!("total variation from rho* of the world's lambda  {}", bar::distance(end.tv_rho_star)))?;
    let Some(tv_predicted) = end.tv_predicted else { return Ok(()) };
    output.line(&format!("total variation from what lambda_eff predicts    {}", bar::distance(tv_predicted)))
}
