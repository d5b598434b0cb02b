//! Proximal Policy Optimization.
//!
//! ## Algorithm
//! arXiv:1707.06347 on the tokens of rewrites, with the divergence charged to the reward of each token as in
//! arXiv:2203.02155. Each step:
//! 1. sample K rewrites x'_k ~ ρ of each prompt x, M responses of each, and R_k = mean_m r(x, y_km);
//! 2. score them under the reference, and let the value head say V_t before each token;
//! 3. r_t = −λ (log ρ − log ρ_ref)(x'_t) + [t is the last token] R_k; advantages and returns by GAE; advantages whitened
//!    over the batch;
//! 4. several epochs over mini-batches: descend −C(ρ/ρ_old, A_t), clipped, plus the value head's clipped loss.
//!
//! ## Left out on purpose
//! The value head sits on the adapted prompter itself, not on a second model: one forward pass gives both. There is no
//! entropy bonus and no adaptive λ.

use lm::Engine;
use objective::{
    Advantage, BatchSize, Gae, KlEstimator, PolicyLoss, PolicyMetrics, Rewrite, ValueLoss, WhitenedMean, gae,
    policy_loss, ppo as objective_ppo, shape_token_rewards, value_loss, whiten,
};
use rollout::event::Metric;
use rollout::rollouts::Rollout;

use crate::Error;
use crate::batch::Batch;
use crate::descent::State;
use crate::metrics::{Figures, Mean};
use crate::options::Ppo;
use crate::rloo::{Apart, sampled};
use crate::run::{Outcome, Run, Scored, Slopes, widened};

/// What a rewrite's update needs, one entry a token.
struct Targets {
    old_token_logps: Vec<f64>,
    old_values: Vec<f64>,
    advantages: Vec<f64>,
    returns: Vec<f64>,
}

/// What the updates of a step came to.
#[derive(Default)]
struct Tally {
    losses: Vec<PolicyLoss>,
    policy: f64,
    value: f64,
    norm: Mean,
    is_skipped: bool,
    apart: Apart,
}

/// Train until the schedule ends.
pub fn train<E: Engine>(options: &Ppo, mut run: Run<'_, E>) -> Result<Outcome, Error> {
    let mut state = run.begin(1)?;
    while run.goes_on(&state) {
        let clock = std::time::Instant::now();
        // 1. Rewrites, responses, rewards.
        let mut batch = run.rollouts(&state, options.group_size)?;
        // 2. The reference's log-probabilities, and the values.
        let reference = run.reference(&mut batch)?;
        let values = run.values(&state, &mut batch)?;
        // 3. Advantages and returns.
        let targets = targets(&batch, &reference, values, options)?;
        // 4. Epochs over mini-batches.
        let mut tally = Tally::default();
        for _ in 0..options.epochs {
            for prompts in mini_batches(batch.groups.len(), options.mini_batches) {
                update(options, &mut run, &mut state, &mut batch, (&targets, prompts), &mut tally)?;
            }
        }
        // 5. Report and, when due, validate and save.
        let mut figures = Figures::of(&batch, &reference);
        figures.set(Metric::LearningRate, run.learning_rate(state.step));
        let n_updates = (options.epochs * options.mini_batches.min(batch.groups.len())).max(1) as f64;
        figures.set(Metric::Loss, tally.policy / n_updates);
        figures.set(Metric::ValueLoss, tally.value / n_updates);
        figures.set(Metric::ExplainedVariance, explained_variance(&targets));
        let policy = PolicyMetrics::of(tally.losses.iter());
        figures.set(Metric::ImportanceRatioMean, policy.ratio_mean);
        figures.set(Metric::ClipRatioLow, policy.clip_low);
        figures.set(Metric::ClipRatioHigh, policy.clip_high);
        figures.set_update((!tally.is_skipped).then(|| tally.norm.value()));
        if run.lora.dropout == 0.0 {
            figures.set_sampling_difference(tally.apart.largest, tally.apart.mean.value());
        }
        batch.seconds.total = clock.elapsed().as_secs_f64();
        run.conclude(&mut state, &batch, figures)?;
    }
    run.finish(state)
}

/// One update on some of the batch's prompts.
fn update<E: Engine>(
    options: &Ppo,
    run: &mut Run<'_, E>,
    state: &mut State,
    batch: &mut Batch<'_>,
    (targets, prompts): (&[Vec<Targets>], std::ops::Range<usize>),
    tally: &mut Tally,
) -> Result<(), Error> {
    let objective = objective_ppo(options.epsilon);
    let lengths = targets[prompts.clone()].iter().flatten().map(|targets| targets.returns.len());
    let size = BatchSize::of(lengths);
    let sampled = sampled(batch);
    let is_first = tally.losses.is_empty();
    let Tally { losses, policy, value, apart, .. } = tally;
    let gradients = run.gradients(state, batch, prompts, &mut |scored: Scored<'_>| {
        if is_first {
            // Before the first update the prompter is the one that sampled.
            apart.add(&sampled[scored.group][scored.rollout], scored.token_logps);
        }
        let targets = &targets[scored.group][scored.rollout];
        let n_tokens = scored.token_logps.len();
        let weight = objective.normaliser.weight(n_tokens, size);
        let token_logps = widened(scored.token_logps);
        let rewrite = Rewrite {
            token_logps: &token_logps,
            old_token_logps: Some(&targets.old_token_logps),
            ref_token_logps: None,
        };
        let mut slopes = vec![0.0; n_tokens];
        let part = policy_loss(&rewrite, Advantage::Tokens(&targets.advantages), &objective, &mut slopes)?;
        slopes.iter_mut().for_each(|slope| *slope *= weight);
        let (value_part, value_slopes) = value_part(options, &scored, targets, weight)?;
        *policy += weight * part.loss;
        *value += weight * value_part.loss;
        losses.push(part);
        Ok(Slopes { token_logps: slopes, values: value_slopes })
    })?;
    match run.update(state, gradients)? {
        Some(norm) => tally.norm.add(norm),
        None => tally.is_skipped = true,
    }
    Ok(())
}

/// The value head's loss and its derivative with respect to the value before each token and, always 0, after the last.
fn value_part(
    options: &Ppo,
    scored: &Scored<'_>,
    targets: &Targets,
    weight: f64,
) -> Result<(ValueLoss, Vec<f64>), Error> {
    let values = widened(scored.values);
    let n_tokens = scored.token_logps.len();
    let mut slopes = vec![0.0; values.len()];
    let loss = value_loss(
        &values[..n_tokens],
        &targets.old_values,
        &targets.returns,
        options.value_clip,
        &mut slopes[..n_tokens],
    )?;
    slopes.iter_mut().for_each(|slope| *slope *= weight * options.value_weight);
    Ok((loss, slopes))
}

/// Advantages, whitened over the batch, and returns of every rewrite.
fn targets(
    batch: &Batch<'_>,
    reference: &[Vec<Vec<f64>>],
    values: Vec<Vec<Vec<f64>>>,
    options: &Ppo,
) -> Result<Vec<Vec<Targets>>, Error> {
    let of_rollout = |rollout: &Rollout, reference: &[f64], values: Vec<f64>| -> Result<Targets, Error> {
        let old_token_logps = widened(Batch::sampled_token_logps(rollout));
        let n = old_token_logps.len();
        let (mut rewards, mut advantages, mut returns) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        let price = (options.lambda, KlEstimator::K1);
        shape_token_rewards(rollout.reward, &old_token_logps, reference, price, &mut rewards)?;
        let old_values = values[..n].to_vec();
        let discounts = Gae { discount: options.discount, decay: options.gae_decay };
        gae(&rewards, &old_values, discounts, &mut advantages, &mut returns)?;
        Ok(Targets { old_token_logps, old_values, advantages, returns })
    };
    let mut targets = Vec::with_capacity(batch.groups.len());
    for ((group, reference), values) in batch.groups.iter().zip(reference).zip(values) {
        let of_group = group.iter().zip(reference).zip(values);
        let of_group = of_group.map(|((rollout, reference), values)| of_rollout(rollout, reference, values));
        targets.push(of_group.collect::<Result<Vec<_>, Error>>()?);
    }
    let mut all: Vec<f64> = targets.iter().flatten().flat_map(|targets| targets.advantages.iter().copied()).collect();
    if all.len() > 1 {
        whiten(&mut all, WhitenedMean::Zero)?;
    }
    let mut whitened = all.into_iter();
    for advantage in targets.iter_mut().flatten().flat_map(|targets| &mut targets.advantages) {
        *advantage = whitened.next().unwrap_or_default();
    }
    Ok(targets)
}

/// The prompts of a step in `n` parts of nearly equal size, none empty.
fn mini_batches(n_prompts: usize, n: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let n = n.clamp(1, n_prompts.max(1));
    (0..n).map(move |index| index * n_prompts / n..(index + 1) * n_prompts / n)
}

/// 1 − Var(returns − values) / Var(returns); 0 where the returns do not vary.
fn explained_variance(targets: &[Vec<Targets>]) -> f64 {
    let pairs = || targets.iter().flatten().flat_map(|targets| targets.returns.iter().zip(&targets.old_values));
    let variance = |figures: &mut dyn Iterator<Item = f64>| {
        let (mut sum, mut squares, mut n) = (0.0, 0.0, 0.0);
        for figure in figures {
            sum += figure;
            squares += figure * figure;
            n += 1.0;
        }
        squares / f64::max(n, 1.0) - (sum / f64::max(n, 1.0)).powi(2)
    };
    let total = variance(&mut pairs().map(|(returned, _)| *returned));
    let left = variance(&mut pairs().map(|(returned, value)| returned - value));
    if total > 0.0 { 1.0 - left / total } else { 0.0 }
}
