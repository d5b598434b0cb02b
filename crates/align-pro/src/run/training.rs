//! Training: from a plan and its world to an adapter.

use rollout::event::{EVENT_SCHEMA, Event, EventLog, EventSink, Started};
use train::options::Method;
use train::{Checkpoints, Outcome, Run};

use super::folder::RunFolder;
use super::prompts::Prompts;
use super::world::World;
use crate::config::plan::{Plan, TargetPlan};

/// The run's events up to its newest checkpoint, after which it goes on.
pub(crate) fn events(plan: &Plan, folder: &RunFolder) -> anyhow::Result<EventLog> {
    Ok(EventLog::resume(&folder.events(), checkpoints(plan, folder).events_length()?)?)
}

fn checkpoints(plan: &Plan, folder: &RunFolder) -> Checkpoints {
    Checkpoints::new(&folder.checkpoints(), &plan.prompter.model)
}

/// Train, or go on training, until the plan's schedule ends.
pub(crate) fn train(
    plan: &Plan,
    folder: &RunFolder,
    world: &mut World,
    prompts: &Prompts,
    mut events: EventLog,
    watcher: &mut dyn EventSink,
) -> anyhow::Result<Outcome> {
    let TargetPlan::Local(target) = &plan.target;
    if events.length() == 0 {
        let started = Event::Started(Started {
            schema: EVENT_SCHEMA,
            method: plan.method.name().to_owned(),
            prompter: plan.prompter.model.clone(),
            target: target.model.clone(),
            reward: plan.reward.name().to_owned(),
            seed: plan.seed,
            steps: plan.schedule.steps,
            n_prompts: prompts.train.len(),
        });
        events.emit(&started)?;
        watcher.emit(&started)?;
    }
    let World { prompter, target: answerer, reward, start, micro_batch_tokens, .. } = world;
    let run = Run {
        prompter,
        environment: rollout::rollouts::Environment {
            target: answerer,
            reward,
            responses: target.responses,
            length_penalty: plan.length_penalty,
        },
        prompts: &prompts.train,
        validation: &prompts.validation,
        start: start.as_ref(),
        lora: &plan.prompter.lora,
        optimizer: &plan.optimizer,
        schedule: &plan.schedule,
        seed: plan.seed,
        micro_batch_tokens: *micro_batch_tokens,
        checkpoints: checkpoints(plan, folder),
        events,
        watcher,
    };
    Ok(match &plan.method {
        Method::Rloo(options) => train::rloo::train(options, run)?,
        Method::Ppo(options) => train::ppo::train(options, run)?,
    })
}
