//! Policy methods on the token log-probabilities of sampled rewrites.

use std::collections::BTreeMap;

use objective::{
    Advantage, BatchSize, Clip, KlEstimator, KlPenalty, MethodId, Normaliser, PolicyLoss, PolicyMetrics,
    PolicyObjective, RatioLevel, Rewrite, policy_loss,
};

use super::batch::{Batch, same_rows};
use super::options::Options;
use super::problem::Problem;
use super::report::{Column, Evaluation};

mod advantages;
mod critic;

use advantages::Advantages;

pub(super) fn evaluate(batch: &Batch<'_>, options: &Options<'_>) -> Result<Evaluation, Problem> {
    let rewrites = Rewrites::read(batch)?;
    let objective = objective(batch, options)?;
    objective.check()?;
    if objective.kl.is_some() && rewrites.reference.is_none() {
        return Err(batch.missing("ref_token_logps", " when `lambda` is above 0"));
    }
    let (advantages, rewards) = Advantages::read(batch, options, &rewrites)?;
    let (mut evaluation, losses) = policy(batch.method, &rewrites, &objective, &advantages)?;
    if batch.method == MethodId::Ppo {
        critic::add(&mut evaluation, batch, options, &rewrites, &advantages)?;
    }
    evaluation.metrics.extend(metrics(&losses, &rewrites, objective.kl.is_some()));
    evaluation.metrics.extend(rewards);
    Ok(evaluation)
}

/// Token log-probabilities of every rewrite: now, when sampled, under the reference.
struct Rewrites {
    token_logps: Vec<Vec<f64>>,
    old: Option<Vec<Vec<f64>>>,
    reference: Option<Vec<Vec<f64>>>,
    size: BatchSize,
}

impl Rewrites {
    fn read(batch: &Batch<'_>) -> Result<Self, Problem> {
        let token_logps = batch.needed_rows("token_logps", "")?;
        let like = |field: &'static str| -> Result<Option<Vec<Vec<f64>>>, Problem> {
            let rows = batch.rows(field)?;
            rows.iter().try_for_each(|rows| same_rows((field, rows), ("token_logps", &token_logps)))?;
            Ok(rows)
        };
        let (old, reference) = (like("old_token_logps")?, like("ref_token_logps")?);
        let size = BatchSize::of(token_logps.iter().map(Vec::len));
        Ok(Rewrites { token_logps, old, reference, size })
    }

    fn at(&self, index: usize) -> Rewrite<'_> {
        Rewrite {
            token_logps: &self.token_logps[index],
            old_token_logps: self.old.as_ref().map(|rows| rows[index].as_slice()),
            ref_token_logps: self.reference.as_ref().map(|rows| rows[index].as_slice()),
        }
    }

    /// Log-probabilities of the policy that sampled: the current one unless told otherwise.
    fn sampled(&self, index: usize) -> &[f64] {
        self.old.as_ref().map_or(&self.token_logps[index], |rows| &rows[index])
    }

    /// What turns a rewrite's unreduced loss into its share of the mean over rewrites.
    fn weight(&self, normaliser: Normaliser, index: usize) -> f64 {
        normaliser.weight(self.token_logps[index].len(), self.size)
    }
}

fn objective(batch: &Batch<'_>, options: &Options<'_>) -> Result<PolicyObjective, Problem> {
    let strayed = batch.has("old_token_logps");
    let (ratio, normaliser) = match batch.method {
        MethodId::Ppo => (RatioLevel::Token, Normaliser::PerToken),
        MethodId::Grpo => (RatioLevel::Token, Normaliser::PerSequence),
        MethodId::Rloo if strayed => (RatioLevel::Sequence, Normaliser::PerRewrite),
        _ => (RatioLevel::Score, Normaliser::PerRewrite),
    };
    let ratio = options.ratio(ratio)?;
    let lambda = options.number("lambda", 0.0)?;
    let penalty = KlPenalty { lambda, estimator: options.estimator(KlEstimator::K3)? };
    Ok(PolicyObjective {
        ratio,
        clip: if ratio == RatioLevel::Score { Clip::Unclipped } else { options.clip()? },
        // GRPO charges the divergence to the loss, the others to the reward.
        kl: (batch.method == MethodId::Grpo && lambda != 0.0).then_some(penalty),
        normaliser: options.normaliser(normaliser)?,
    })
}

fn policy(
    method: MethodId,
    rewrites: &Rewrites,
    objective: &PolicyObjective,
    advantages: &Advantages,
) -> Result<(Evaluation, Vec<PolicyLoss>), Problem> {
    let count = rewrites.token_logps.len();
    let (mut losses, mut shares, mut gradients) = (vec![], vec![], vec![]);
    for index in 0..count {
        let mut gradient = vec![0.0; rewrites.token_logps[index].len()];
        let advantage = match advantages {
            Advantages::Rewrites(all) => Advantage::Rewrite(all[index]),
            Advantages::Tokens(all) => Advantage::Tokens(&all[index]),
        };
        let loss = policy_loss(&rewrites.at(index), advantage, objective, &mut gradient)?;
        let weight = rewrites.weight(objective.normaliser, index);
        gradient.iter_mut().for_each(|slope| *slope *= weight);
        shares.push(loss.loss * weight * count as f64);
        losses.push(loss);
        gradients.push(gradient);
    }
    let mut evaluation = Evaluation::new(method, shares);
    evaluation.gradient.insert("token_logps", Column::Rows(gradients));
    if let Some(penalty) = objective.kl {
        evaluation.gradient.insert("ref_token_logps", penalty_slopes(rewrites, penalty, objective.normaliser));
    }
    Ok((evaluation, losses))
}

/// d loss / d `ref_token_logps`: only the penalty looks at the reference.
fn penalty_slopes(rewrites: &Rewrites, penalty: KlPenalty, normaliser: Normaliser) -> Column {
    let row = |index: usize| {
        let factor = -penalty.lambda * rewrites.weight(normaliser, index);
        let logps = rewrites.token_logps[index].iter().zip(rewrites.at(index).ref_token_logps.unwrap_or_default());
        logps.map(|(policy, reference)| factor * penalty.estimator.estimate(*policy, *reference).d_policy).collect()
    };
    Column::Rows((0..rewrites.token_logps.len()).map(row).collect())
}

fn metrics(losses: &[PolicyLoss], rewrites: &Rewrites, penalised: bool) -> BTreeMap<&'static str, f64> {
    let found = PolicyMetrics::of(losses.iter());
    let mut metrics = BTreeMap::from([
        ("ratio/mean", found.ratio_mean),
        ("ratio/max", found.ratio_max),
        ("clip_ratio/low_mean", found.clip_low),
        ("clip_ratio/high_mean", found.clip_high),
        ("clip_ratio/region_mean", found.clip_region()),
        ("rewrites/mean_length", rewrites.size.tokens as f64 / rewrites.size.rewrites.max(1) as f64),
    ]);
    if penalised {
        metrics.insert("kl", found.kl);
    }
    metrics
}
