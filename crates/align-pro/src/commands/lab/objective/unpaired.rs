//! KTO: chosen rewrites are desirable, rejected ones undesirable; the two need not be equally many.

use objective::{Kto, KtoLoss, Label, kto, reference_point};

use super::batch::{Batch, same_length};
use super::options::Options;
use super::problem::Problem;
use super::report::{Column, Evaluation};

pub(super) fn evaluate(batch: &Batch<'_>, options: &Options<'_>) -> Result<Evaluation, Problem> {
    let settings = Kto {
        beta: options.number("beta", 0.1)?,
        reference_point: reference(batch, options)?,
        desirable_weight: options.number("desirable_weight", 1.0)?,
        undesirable_weight: options.number("undesirable_weight", 1.0)?,
    };
    settings.check()?;
    let side = |policy: &'static str, reference: &'static str, label| -> Result<Vec<KtoLoss>, Problem> {
        let (logps, ref_logps) =
            (batch.vector(policy)?.unwrap_or_default(), batch.vector(reference)?.unwrap_or_default());
        same_length((reference, &ref_logps), (policy, &logps))?;
        Ok(logps.iter().zip(&ref_logps).map(|(logp, ref_logp)| kto(*logp, *ref_logp, label, settings)).collect())
    };
    let chosen = side("policy_chosen_logps", "ref_chosen_logps", Label::Desirable)?;
    let rejected = side("policy_rejected_logps", "ref_rejected_logps", Label::Undesirable)?;
    if chosen.is_empty() && rejected.is_empty() {
        return Err(batch.missing("policy_chosen_logps", " or `policy_rejected_logps`"));
    }
    Ok(report(batch, settings, &chosen, &rejected))
}

/// z: given, or estimated from rewrites that were paired with the wrong prompts, or 0.
fn reference(batch: &Batch<'_>, options: &Options<'_>) -> Result<f64, Problem> {
    const MISMATCHED: [&str; 2] = ["policy_mismatched_logps", "ref_mismatched_logps"];
    if !MISMATCHED.iter().any(|field| batch.has(field)) {
        return options.number("reference_point", 0.0);
    }
    if options.has("reference_point") {
        return Err(Problem::Both { one: "reference_point", other: MISMATCHED[0] });
    }
    let [policy, reference] = [batch.needed_vector(MISMATCHED[0], "")?, batch.needed_vector(MISMATCHED[1], "")?];
    same_length((MISMATCHED[1], &reference), (MISMATCHED[0], &policy))?;
    Ok(reference_point(&policy, &reference)?)
}

fn report(batch: &Batch<'_>, settings: Kto, chosen: &[KtoLoss], rejected: &[KtoLoss]) -> Evaluation {
    let mut evaluation = Evaluation::new(batch.method, chosen.iter().chain(rejected).map(|loss| loss.loss).collect());
    let weight = 1.0 / evaluation.losses.len() as f64;
    let slopes = |losses: &[KtoLoss], sign: f64| {
        Column::Vector(losses.iter().map(|loss| sign * weight * loss.d_policy).collect())
    };
    let mean =
        |losses: &[KtoLoss]| losses.iter().map(|loss| loss.implicit_reward).sum::<f64>() / losses.len().max(1) as f64;
    let sides = [
        (chosen, "policy_chosen_logps", "ref_chosen_logps", "rewards/chosen"),
        (rejected, "policy_rejected_logps", "ref_rejected_logps", "rewards/rejected"),
    ];
    for (losses, policy, reference, reward) in sides {
        if !losses.is_empty() {
            evaluation.gradient.insert(policy, slopes(losses, 1.0));
            evaluation.gradient.insert(reference, slopes(losses, -1.0));
            evaluation.metrics.insert(reward, mean(losses));
        }
    }
    if !chosen.is_empty() && !rejected.is_empty() {
        evaluation.metrics.insert("rewards/margins", mean(chosen) - mean(rejected));
    }
    evaluation.metrics.insert("kl", settings.reference_point);
    evaluation
}
