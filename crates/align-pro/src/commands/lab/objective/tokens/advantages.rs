//! Advantages: as given, or from rewards.

use std::collections::BTreeMap;

use objective::{
    Gae, KlEstimator, MethodId, WhitenedMean, ZScore, gae, group_mean, leave_one_out, shape_reward,
    shape_token_rewards, whiten, z_score,
};

use super::Rewrites;
use crate::commands::lab::objective::batch::{Batch, same_length, same_rows};
use crate::commands::lab::objective::options::{Baseline, Options};
use crate::commands::lab::objective::problem::Problem;

/// One advantage a rewrite, or one a token.
pub(super) enum Advantages {
    Rewrites(Vec<f64>),
    Tokens(Vec<Vec<f64>>),
}

type Metrics = BTreeMap<&'static str, f64>;

impl Advantages {
    /// The advantages and the metrics of the rewards they come from.
    pub(super) fn read(
        batch: &Batch<'_>,
        options: &Options<'_>,
        rewrites: &Rewrites,
    ) -> Result<(Self, Metrics), Problem> {
        match (batch.has("advantages"), batch.has("rewards")) {
            (true, true) => Err(Problem::Both { one: "advantages", other: "rewards" }),
            (true, false) => Ok((given(batch, rewrites)?, Metrics::new())),
            (false, false) => Err(batch.missing("rewards", " or `advantages`")),
            (false, true) => {
                let rewards = batch.needed_vector("rewards", "")?;
                same_length(("rewards", &rewards), ("token_logps", &rewrites.token_logps))?;
                let groups = groups(batch, rewrites)?;
                let metrics = reward_metrics(&rewards, &groups);
                let advantages = match batch.method {
                    MethodId::Ppo => from_values(batch, options, rewrites, &rewards)?,
                    _ => from_groups(batch, options, rewrites, &rewards, &groups)?,
                };
                Ok((advantages, metrics))
            }
        }
    }
}

fn given(batch: &Batch<'_>, rewrites: &Rewrites) -> Result<Advantages, Problem> {
    if batch.is_nested("advantages") {
        let rows = batch.needed_rows("advantages", "")?;
        same_rows(("advantages", &rows), ("token_logps", &rewrites.token_logps))?;
        return Ok(Advantages::Tokens(rows));
    }
    let column = batch.needed_vector("advantages", "")?;
    same_length(("advantages", &column), ("token_logps", &rewrites.token_logps))?;
    Ok(Advantages::Rewrites(column))
}

/// Positions of each group's rewrites, by the group's index.
type Groups = BTreeMap<u64, Vec<usize>>;

/// Without the field `group` all rewrites are of one prompt.
fn groups(batch: &Batch<'_>, rewrites: &Rewrites) -> Result<Groups, Problem> {
    let count = rewrites.token_logps.len();
    let Some(labels) = batch.vector("group")? else { return Ok(Groups::from([(0, (0..count).collect())])) };
    same_length(("group", &labels), ("token_logps", &rewrites.token_logps))?;
    let mut members = Groups::new();
    for (entry, label) in labels.into_iter().enumerate() {
        if label < 0.0 || label.fract() != 0.0 {
            return Err(Problem::Entry { field: "group", entry, expected: "a group's index", found: label });
        }
        members.entry(label as u64).or_default().push(entry);
    }
    Ok(members)
}

fn from_groups(
    batch: &Batch<'_>,
    options: &Options<'_>,
    rewrites: &Rewrites,
    rewards: &[f64],
    groups: &Groups,
) -> Result<Advantages, Problem> {
    let default = match batch.method {
        MethodId::Rloo => Baseline::LeaveOneOut,
        MethodId::Grpo => Baseline::ZScore,
        _ => Baseline::GroupMean,
    };
    let baseline = options.baseline(default)?;
    let shaped = match batch.method {
        MethodId::Grpo => rewards.to_vec(),
        _ => shaped(batch, options, rewrites, rewards)?,
    };
    let mut advantages = shaped.clone();
    for (index, members) in groups {
        let own: Vec<f64> = members.iter().map(|&member| shaped[member]).collect();
        let mut out = own.clone();
        match baseline {
            Baseline::None => Ok(()),
            Baseline::GroupMean => group_mean(&own, &mut out),
            Baseline::LeaveOneOut => leave_one_out(&own, &mut out),
            Baseline::ZScore => z_score(&own, ZScore::default(), &mut out),
        }
        .map_err(|source| Problem::Group { place: group_name(batch, *index), source })?;
        members.iter().zip(out).for_each(|(&member, advantage)| advantages[member] = advantage);
    }
    Ok(Advantages::Rewrites(advantages))
}

fn group_name(batch: &Batch<'_>, index: u64) -> String {
    if batch.has("group") { format!("the rewrites whose `group` is {index}") } else { "`rewards`".to_owned() }
}

/// Rewards less λ times the log-ratio of sampler to reference.
fn shaped(batch: &Batch<'_>, options: &Options<'_>, rewrites: &Rewrites, rewards: &[f64]) -> Result<Vec<f64>, Problem> {
    let lambda = options.number("lambda", 0.0)?;
    if lambda == 0.0 {
        return Ok(rewards.to_vec());
    }
    let reference = reference(batch, rewrites)?;
    let total = |row: &[f64]| row.iter().sum::<f64>();
    let one = |(index, reward): (usize, &f64)| {
        shape_reward(*reward, total(rewrites.sampled(index)), total(&reference[index]), lambda)
    };
    Ok(rewards.iter().enumerate().map(one).collect())
}

fn reference<'a>(batch: &Batch<'_>, rewrites: &'a Rewrites) -> Result<&'a [Vec<f64>], Problem> {
    rewrites.reference.as_deref().ok_or_else(|| batch.missing("ref_token_logps", " when `lambda` is above 0"))
}

/// PPO: token rewards with the divergence's price, then GAE over the values at sampling time.
fn from_values(
    batch: &Batch<'_>,
    options: &Options<'_>,
    rewrites: &Rewrites,
    rewards: &[f64],
) -> Result<Advantages, Problem> {
    let values = old_values(batch, rewrites)?;
    let mut advantages: Vec<f64> = Vec::with_capacity(rewrites.size.tokens);
    for (index, values) in values.iter().enumerate() {
        let (own, _) = estimate(batch, options, rewrites, (index, rewards[index], values))?;
        advantages.extend(own);
    }
    if options.switch("whiten", false)? {
        whiten(&mut advantages, WhitenedMean::Zero)?;
    }
    let mut rest = advantages.as_slice();
    let row = |values: &Vec<f64>| {
        let (own, others) = rest.split_at(values.len());
        rest = others;
        own.to_vec()
    };
    Ok(Advantages::Tokens(values.iter().map(row).collect()))
}

/// Values when the rewrites were sampled: those of now unless told otherwise.
pub(super) fn old_values(batch: &Batch<'_>, rewrites: &Rewrites) -> Result<Vec<Vec<f64>>, Problem> {
    let field = if batch.has("old_values") { "old_values" } else { "values" };
    let values = batch.needed_rows(field, " (or `advantages` in place of `rewards`)")?;
    same_rows((field, &values), ("token_logps", &rewrites.token_logps))?;
    Ok(values)
}

/// Advantages and value targets of one rewrite.
pub(super) fn estimate(
    batch: &Batch<'_>,
    options: &Options<'_>,
    rewrites: &Rewrites,
    (index, reward, values): (usize, f64, &[f64]),
) -> Result<(Vec<f64>, Vec<f64>), Problem> {
    let lambda = options.number("lambda", 0.0)?;
    let estimator = options.estimator(KlEstimator::K1)?;
    let sampled = rewrites.sampled(index);
    let against = if lambda == 0.0 { sampled } else { &reference(batch, rewrites)?[index] };
    let decay = options.number("gae_lambda", 0.95)?;
    let settings = Gae { discount: options.number("discount", 1.0)?, decay };
    let mut shaped = vec![0.0; sampled.len()];
    let (mut advantages, mut returns) = (shaped.clone(), shaped.clone());
    shape_token_rewards(reward, sampled, against, (lambda, estimator), &mut shaped)?;
    gae(&shaped, values, settings, &mut advantages, &mut returns)?;
    Ok((advantages, returns))
}

fn reward_metrics(rewards: &[f64], groups: &Groups) -> Metrics {
    let deviations: Vec<f64> = groups.values().map(|members| deviation(rewards, members)).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let zero = deviations.iter().filter(|deviation| **deviation == 0.0).count();
    Metrics::from([
        ("reward", mean(rewards)),
        ("reward_std", mean(&deviations)),
        ("frac_reward_zero_std", zero as f64 / groups.len().max(1) as f64),
    ])
}

/// Sample deviation of a group's rewards; 0 for a group of one.
fn deviation(rewards: &[f64], members: &[usize]) -> f64 {
    let own: Vec<f64> = members.iter().map(|&member| rewards[member]).collect();
    let mut centred = own.clone();
    if own.len() < 2 || group_mean(&own, &mut centred).is_err() {
        return 0.0;
    }
    (centred.iter().map(|c| c * c).sum::<f64>() / (own.len() - 1) as f64).sqrt()
}
