//! Training: from a plan and its world to an adapter.

use rollout::event::{EVENT_SCHEMA, Event, EventLog, EventSink, Started};
use rollout::rollouts::Environment;
use train::options::Method;
use train::{Checkpoints, Outcome, Run};

use super::folder::RunFolder;
use super::prompts::Prompts;
use super::world::World;
use crate::config::plan::{Plan, What};

/// The run's events up to its newest checkpoint, after which it goes on.
pub(crate) fn events(plan: &Plan, folder: &RunFolder) -> anyhow::Result<EventLog> {
    Ok(EventLog::resume(&folder.events(), checkpoints(plan, folder).events_length()?)?)
}

pub(crate) fn checkpoints(plan: &Plan, folder: &RunFolder) -> Checkpoints {
    Checkpoints::new(&folder.checkpoints(), plan.trained_model())
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
    if events.length() == 0 {
        let started = Event::Started(Started {
            schema: EVENT_SCHEMA,
            method: plan.method.name().to_owned(),
            prompter: plan.trained_model().to_owned(),
            target: plan.target.model().to_owned(),
            reward: plan.reward.name(),
            seed: plan.seed,
            steps: plan.schedule.steps,
            n_prompts: prompts.train.len(),
        });
        events.emit(&started)?;
        watcher.emit(&started)?;
    }
    let mut echo = (plan.train.what == What::Target).then(|| world.echo()).transpose()?;
    let World { prompter, target: frozen, reward, start, micro_batch_tokens, .. } = world;
    let environment = match &mut echo {
        None => Environment {
            target: frozen,
            reward,
            responses: plan.target.responses(),
            length_penalty: plan.length_penalty,
        },
        // What is written is the response: there is one, and its length is not the prompter's.
        Some(echo) => Environment { target: echo, reward, responses: 1, length_penalty: 0.0 },
    };
    let run = Run {
        prompter,
        environment,
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
