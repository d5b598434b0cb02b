//! Listwise methods over groups of K rewrites.

use objective::{Group, GroupGradient, GroupObjective};

use super::batch::{Batch, rectangular, same_rows};
use super::problem::Problem;
use super::report::{Column, Evaluation};

pub(super) fn evaluate(batch: &Batch<'_>, objective: GroupObjective) -> Result<Evaluation, Problem> {
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
