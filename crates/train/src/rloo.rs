//! REINFORCE leave-one-out: the default.
//!
//! ## Algorithm
//! Align-Pro's (arXiv:2501.03486) with the estimator of arXiv:2402.14740. Each step:
//! 1. sample K rewrites x'_k ~ ρ of each prompt x, M responses y_km ~ π_F of each, and R_k = mean_m r(x, y_km);
//! 2. score them under the reference: k_k = log ρ(x'_k|x) − log ρ_ref(x'_k|x);
//! 3. S_k = R_k − λ k_k and A_k = S_k − mean_{j≠k} S_j;
//! 4. ascend mean_k A_k ∇ log ρ(x'_k|x).
//!
//! ## Left out on purpose
//! There is one update a batch, so no probability ratio and no clipping; advantages are not scaled by their deviation,
//! which would weigh prompts by how little their rewrites differ.

use lm::Engine;
use objective::{
    Advantage, BatchSize, PolicyMetrics, Rewrite, leave_one_out, policy_loss, rloo as objective_rloo, shape_reward,
};
use rollout::event::Metric;
use rollout::prompter::Written;

use crate::Error;
use crate::batch::Batch;
use crate::metrics::{Figures, Mean};
use crate::options::Rloo;
use crate::run::{Outcome, Run, Scored, Slopes, widened};

/// Train until the schedule ends.
pub fn train<E: Engine>(options: &Rloo, mut run: Run<'_, E>) -> Result<Outcome, Error> {
    let objective = objective_rloo();
    let mut state = run.begin(0)?;
    while run.goes_on(&state) {
        let clock = std::time::Instant::now();
        // 1. Rewrites, responses, rewards.
        let mut batch = run.rollouts(&state, options.group_size)?;
        // 2. The reference's log-probabilities.
        let reference = run.reference(&mut batch)?;
        // 3. Advantages.
        let advantages = advantages(&batch, &reference, options.lambda)?;
        // 4. The gradient, and an update.
        let size = BatchSize::of(batch.rollouts().map(|rollout| Batch::tokens(rollout).len()));
        let sampled: Vec<Vec<Vec<f32>>> = sampled(&batch);
        let (mut losses, mut loss, mut apart) = (Vec::new(), 0.0, Apart::default());
        let n_prompts = batch.groups.len();
        let gradients = run.gradients(&state, &mut batch, 0..n_prompts, &mut |scored: Scored<'_>| {
            let token_logps = widened(scored.token_logps);
            apart.add(&sampled[scored.group][scored.rollout], scored.token_logps);
            let rewrite = Rewrite { token_logps: &token_logps, old_token_logps: None, ref_token_logps: None };
            let advantage = Advantage::Rewrite(advantages[scored.group][scored.rollout]);
            let mut slopes = vec![0.0; token_logps.len()];
            let part = policy_loss(&rewrite, advantage, &objective, &mut slopes)?;
            let weight = objective.normaliser.weight(token_logps.len(), size);
            slopes.iter_mut().for_each(|slope| *slope *= weight);
            loss += weight * part.loss;
            losses.push(part);
            Ok(Slopes { token_logps: slopes, values: Vec::new() })
        })?;
        let norm = run.update(&mut state, gradients)?;
        // 5. Report and, when due, validate and save.
        let mut figures = Figures::of(&batch, &reference);
        figures.set(Metric::Loss, loss);
        figures.set(Metric::LearningRate, run.learning_rate(state.step));
        figures.set(Metric::ImportanceRatioMean, PolicyMetrics::of(losses.iter()).ratio_mean);
        figures.set_update(norm);
        if run.lora.dropout == 0.0 {
            figures.set_sampling_difference(apart.largest, apart.mean.value());
        }
        batch.seconds.total = clock.elapsed().as_secs_f64();
        run.conclude(&mut state, &batch, figures)?;
    }
    run.finish(state)
}

/// A_k of every rollout, from its KL-shaped reward.
fn advantages(batch: &Batch<'_>, reference: &[Vec<Vec<f64>>], lambda: f64) -> Result<Vec<Vec<f64>>, Error> {
    let of_group = |(group, reference): (&Vec<rollout::rollouts::Rollout>, &Vec<Vec<f64>>)| {
        let shaped: Vec<f64> = group
            .iter()
            .zip(reference)
            .map(|(rollout, reference)| {
                let sampled = rollout.rewrite.written.as_ref().map_or(0.0, Written::logp);
                shape_reward(rollout.reward, sampled, reference.iter().sum(), lambda)
            })
            .collect();
        let mut advantages = vec![0.0; shaped.len()];
        leave_one_out(&shaped, &mut advantages)?;
        Ok(advantages)
    };
    batch.groups.iter().zip(reference).map(of_group).collect()
}

/// Log-probabilities when sampled. [group][rollout][token]
pub(crate) fn sampled(batch: &Batch<'_>) -> Vec<Vec<Vec<f32>>> {
    let of_group = |group: &Vec<rollout::rollouts::Rollout>| {
        group.iter().map(|rollout| Batch::sampled_token_logps(rollout).to_vec()).collect()
    };
    batch.groups.iter().map(of_group).collect()
}

/// How far two sets of log-probabilities are apart.
#[derive(Debug, Default)]
pub(crate) struct Apart {
    pub(crate) largest: f64,
    pub(crate) mean: Mean,
}

impl Apart {
    pub(crate) fn add(&mut self, one: &[f32], other: &[f32]) {
        for (one, other) in one.iter().zip(other) {
            let difference = f64::from((one - other).abs());
            self.largest = self.largest.max(difference);
            self.mean.add(difference);
        }
    }
}
