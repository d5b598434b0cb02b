//! What a run will take, told before it is begun.

use std::time::Instant;

use lm::{Engine, Lora, Upstream};
use rollout::event::Seconds;
use rollout::prompter::RewriteJob;
use rollout::rollouts::{Environment, collect};
use serde::Serialize;

use super::journals::Journals;
use super::{prompts, world};
use crate::arguments::ThreadFlags;
use crate::commands::Session;
use crate::config::plan::{EvalPlan, Plan};
use crate::config::reward::{OneReward, ScaleName};
use crate::output::Output;

/// At most so many answers are graded to test a judge.
const GRADE_CANARIES: u64 = 16;

/// Prompts that the calibration goes through.
const CALIBRATION: usize = 4;

#[derive(Debug, Serialize)]
struct Estimate {
    steps: u64,
    train_prompts: usize,
    held_out_prompts: usize,
    rewrites: u64,
    target_calls: u64,
    /// At most: answers that are the same are judged once.
    #[serde(skip_serializing_if = "Option::is_none")]
    judge_calls: Option<u64>,
    /// Most tokens that prompter and target can write.
    most_tokens: u64,
    weight_bytes: usize,
    activation_bytes: usize,
    seconds_per_step: f64,
    seconds: f64,
}

/// Load the models, time a part of a step, and tell.
pub(crate) fn run(
    plan: &Plan,
    threads: &ThreadFlags,
    json: bool,
    session: &Session,
    output: &mut Output,
) -> anyhow::Result<()> {
    let loaded = prompts::load(plan)?;
    let mut world = world::load(plan, &Journals::in_memory(), threads, session)?;
    let loaded = world.fitting(loaded, &plan.target)?;
    let (responses_a_rewrite, most) = (plan.target.responses() as u64, plan.target.max_tokens() as u64);
    let group = plan.method.group_size();
    let &EvalPlan { rewrites, responses, best_of, .. } = &plan.eval;
    let (steps, per_step) = (plan.schedule.steps, plan.schedule.prompts_per_step as u64);
    let held_out = loaded.held_out.len() as u64;
    let trained = steps * per_step * group as u64;
    let eval_answers = held_out * (rewrites * responses) as u64;
    let best_answers = if best_of > 1 { held_out * (best_of * responses + rewrites * responses) as u64 } else { 0 };
    // The last step is always tried.
    let trials = if plan.schedule.validate_every > 0 { steps.div_ceil(plan.schedule.validate_every) } else { 0 };
    let validations = trials * loaded.validation.len() as u64;
    let is_scaled = plan.reward.is_mixed() && plan.reward_mix.scale == ScaleName::Gains;
    let scaled = if is_scaled {
        plan.reward_mix.calibration_prompts.min(loaded.train.len()) * world::CALIBRATION_RESPONSES
    } else {
        0
    };
    let target_calls = trained * responses_a_rewrite + 3 * eval_answers + best_answers + validations + scaled as u64;
    let written = trained
        + 2 * held_out * rewrites as u64
        + validations
        + if best_of > 1 { held_out * best_of as u64 } else { 0 };

    let (seconds_a_rollout, seconds_an_answer) = calibrate(plan, &mut world, &loaded.train)?;
    let seconds_per_step = seconds_a_rollout * (per_step * group as u64) as f64;
    let rest = (target_calls - trained * responses_a_rewrite) as f64 * seconds_an_answer;
    let estimate = Estimate {
        steps,
        train_prompts: loaded.train.len(),
        held_out_prompts: loaded.held_out.len(),
        rewrites: written,
        target_calls,
        judge_calls: judge_times(plan).map(|times| times * (target_calls + GRADE_CANARIES)),
        most_tokens: written * plan.prompter.max_tokens as u64 + target_calls * most,
        weight_bytes: world.weight_bytes(),
        activation_bytes: plan.tape_budget(),
        seconds_per_step,
        seconds: seconds_per_step * steps as f64 + rest,
    };
    if json { output.json_document(&estimate) } else { tell(&estimate, output) }
}

/// How often each answer is judged, where a judge is among the rewards.
fn judge_times(plan: &Plan) -> Option<u64> {
    plan.reward.0.iter().find_map(|reward| {
        let OneReward::Judge(judge) = reward else { return None };
        Some(judge.model()?.times() as u64)
    })
}

/// Seconds that a rollout of training takes with all its responses and its gradient, and that one answer takes alone.
fn calibrate(plan: &Plan, world: &mut world::World, train: &[rollout::data::Record]) -> anyhow::Result<(f64, f64)> {
    let records = &train[..train.len().min(CALIBRATION)];
    let seeds: Vec<u64> = (0..plan.method.group_size() as u64).collect();
    let jobs: Vec<RewriteJob<'_>> = records.iter().map(|record| RewriteJob { record, seeds: seeds.clone() }).collect();
    let mut seconds = Seconds::default();
    let mut environment =
        Environment { target: &mut world.target, reward: &mut world.reward, responses: 1, length_penalty: 0.0 };
    let rollouts = collect(&mut world.prompter.with(None), &mut environment, &jobs, &mut seconds)?;
    let n = (records.len() * seeds.len()).max(1) as f64;
    let (sampling, answering) = (seconds.sampling / n, (seconds.target + seconds.reward) / n);

    let clock = Instant::now();
    let groups = records.iter().zip(&rollouts).map(|(record, rollouts)| {
        let continuations = rollouts.iter().filter_map(|rollout| rollout.rewrite.written.as_ref());
        let continuations = continuations.map(|written| written.tokens.clone()).collect();
        Ok(lm::Group { prefix: world.prompter.prefix(record)?, continuations })
    });
    let groups = groups.collect::<anyhow::Result<Vec<_>>>()?;
    let adapter = Lora::new(plan.prompter.lora.shape(&world.architecture, 0), 0);
    let mut engine = world.prompter.model().engine();
    let options = lm::ScoreOptions { temperature: plan.prompter.temperature, ..lm::ScoreOptions::default() };
    engine.score(&groups, None, &options)?;
    let (scores, tape) = engine.score_with_tape(&groups, &adapter, &options)?;
    engine.backward(tape, &adapter, &Upstream { d_token_logps: scores.token_logps, d_values: None })?;
    let learning = clock.elapsed().as_secs_f64() / n;
    Ok((sampling + learning + answering * plan.target.responses() as f64, sampling + answering))
}

fn tell(estimate: &Estimate, output: &mut Output) -> anyhow::Result<()> {
    let Estimate { steps, train_prompts, held_out_prompts, rewrites, target_calls, most_tokens, .. } = estimate;
    let gib = |bytes: usize| bytes as f64 / (1u64 << 30) as f64;
    let judge = estimate.judge_calls.map(|calls| format!("judge calls  at most {calls}"));
    let lines = [
        format!("prompts      {train_prompts} to train on, {held_out_prompts} held out"),
        format!("steps        {steps}, about {:.1} s each", estimate.seconds_per_step),
        format!("rewrites     {rewrites}"),
        format!("target calls {target_calls}"),
        format!("tokens       at most {most_tokens} written"),
        format!(
            "memory       {:.2} GiB of weights, {:.2} GiB for activations",
            gib(estimate.weight_bytes),
            gib(estimate.activation_bytes)
        ),
        format!("time         about {:.0} min, evaluation included", estimate.seconds / 60.0),
    ];
    lines.iter().chain(&judge).try_for_each(|line| output.line(line))
}
