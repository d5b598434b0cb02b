//! PPO's value head, whose loss joins that of the policy.

use objective::{Normaliser, value_loss};

use super::Rewrites;
use super::advantages::{Advantages, estimate, old_values};
use crate::commands::lab::objective::batch::{Batch, same_length, same_rows};
use crate::commands::lab::objective::options::Options;
use crate::commands::lab::objective::problem::Problem;
use crate::commands::lab::objective::report::{Column, Evaluation};

/// Adds the value loss, where the batch has values to judge.
pub(super) fn add(
    evaluation: &mut Evaluation,
    batch: &Batch<'_>,
    options: &Options<'_>,
    rewrites: &Rewrites,
    advantages: &Advantages,
) -> Result<(), Problem> {
    if !batch.has("values") {
        return Ok(());
    }
    let values = batch.needed_rows("values", "")?;
    same_rows(("values", &values), ("token_logps", &rewrites.token_logps))?;
    let old = old_values(batch, rewrites)?;
    let returns = returns(batch, options, rewrites, advantages, &old)?;
    let (value_weight, clip) = (options.number("value_weight", 0.1)?, options.number("epsilon_value", 0.2)?);
    let normaliser = options.normaliser(Normaliser::PerToken)?;
    let (mut gradients, mut clipped, mut total) = (vec![], 0, 0.0);
    for index in 0..values.len() {
        let mut gradient = vec![0.0; values[index].len()];
        let loss = value_loss(&values[index], &old[index], &returns[index], clip, &mut gradient)?;
        let weight = value_weight * rewrites.weight(normaliser, index);
        gradient.iter_mut().for_each(|slope| *slope *= weight);
        evaluation.losses[index] += weight * loss.loss * values.len() as f64;
        total += weight * loss.loss;
        clipped += loss.clipped;
        gradients.push(gradient);
    }
    evaluation.loss += total;
    evaluation.gradient.insert("values", Column::Rows(gradients));
    evaluation.metrics.insert("val/clipfrac_avg", clipped as f64 / rewrites.size.tokens.max(1) as f64);
    Ok(())
}

/// The values to reach: as given beside advantages, else from GAE.
fn returns(
    batch: &Batch<'_>,
    options: &Options<'_>,
    rewrites: &Rewrites,
    advantages: &Advantages,
    old: &[Vec<f64>],
) -> Result<Vec<Vec<f64>>, Problem> {
    if batch.has("returns") {
        let returns = batch.needed_rows("returns", "")?;
        same_rows(("returns", &returns), ("token_logps", &rewrites.token_logps))?;
        return Ok(returns);
    }
    let Some(rewards) = batch.vector("rewards")? else {
        // Advantages came from elsewhere: one a token is the surprise over the old value, one a rewrite is no target.
        return match advantages {
            Advantages::Tokens(rows) => {
                let sum = |(row, old): (&Vec<f64>, &Vec<f64>)| row.iter().zip(old).map(|(a, v)| a + v).collect();
                Ok(rows.iter().zip(old).map(sum).collect())
            }
            Advantages::Rewrites(_) => Err(batch.missing("returns", " when `advantages` are one a rewrite")),
        };
    };
    same_length(("rewards", &rewards), ("token_logps", &rewrites.token_logps))?;
    let target = |(index, values): (usize, &Vec<f64>)| {
        estimate(batch, options, rewrites, (index, rewards[index], values)).map(|(_, returns)| returns)
    };
    old.iter().enumerate().map(target).collect()
}
