//! Listwise methods over groups of K rewrites.

use objective::{DpoRw, ExoRw, Group, GroupGradient, GroupObjective, MethodId, Rpo};

use super::batch::{Batch, rectangular, same_rows};
use super::options::Options;
use super::problem::Problem;
use super::report::{Column, Evaluation};

pub(super) fn evaluate(batch: &Batch<'_>, options: &Options<'_>) -> Result<Evaluation, Problem> {
    let objective = objective(batch.method, options)?;
    objective.check()?;
    let policy = batch.needed_rows("policy_logps", "")?;
    rectangular("policy_logps", &policy)?;
    let (reference, rewards) = (batch.needed_rows("ref_logps", "")?, batch.needed_rows("rewards", "")?);
    same_rows(("ref_logps", &reference), ("policy_logps", &policy))?;
    same_rows(("rewards", &rewards), ("policy_logps", &policy))?;

    let weight = 1.0 / policy.len() as f64;
    let scaled = |row: &[f64], factor: f64| row.iter().map(|slope| factor * slope).collect::<Vec<f64>>();
    let (mut losses, mut d_policy, mut d_reference, mut d_rewards) = (vec![], vec![], vec![], vec![]);
    let (mut margin, mut right) = (0.0, 0.0);
    for (index, ((policy_logps, ref_logps), rewards)) in policy.iter().zip(&reference).zip(&rewards).enumerate() {
        let (mut logps, mut given) = (vec![0.0; rewards.len()], vec![0.0; rewards.len()]);
        let gradient = GroupGradient { policy_logps: &mut logps, rewards: &mut given };
        let found = objective
            .loss(Group { policy_logps, ref_logps, rewards }, gradient)
            .map_err(|source| Problem::Group { place: format!("`policy_logps[{index}]`"), source })?;
        losses.push(found.loss);
        d_policy.push(scaled(&logps, weight));
        d_reference.push(scaled(&logps, -weight));
        d_rewards.push(scaled(&given, weight));
        margin += weight * found.implicit_margin;
        right += weight * f64::from(u8::from(found.implicit_margin > 0.0));
    }
    let mut evaluation = Evaluation::new(batch.method, losses);
    evaluation.gradient.extend([
        ("policy_logps", Column::Rows(d_policy)),
        ("ref_logps", Column::Rows(d_reference)),
        ("rewards", Column::Rows(d_rewards)),
    ]);
    evaluation.metrics.extend([
        ("lambda_eff", objective.lambda_eff()),
        ("rewards/margins", margin),
        ("rewards/accuracies", right),
    ]);
    Ok(evaluation)
}

fn objective(method: MethodId, options: &Options<'_>) -> Result<GroupObjective, Problem> {
    if method == MethodId::Rpo {
        let (beta, eta) = (options.number("beta", 0.1)?, options.number("eta", 1.0)?);
        return Ok(GroupObjective::Rpo(Rpo { beta, eta, distance: options.distance()? }));
    }
    let (beta_pi, beta_r) = (options.needed_number("beta_pi")?, options.needed_number("beta_r")?);
    Ok(match method {
        MethodId::DpoRw => GroupObjective::DpoRw(DpoRw { beta_pi, beta_r }),
        _ => GroupObjective::ExoRw(ExoRw { beta_pi, beta_r }),
    })
}
