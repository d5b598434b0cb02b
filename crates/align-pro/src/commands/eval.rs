//! `eval`: arms side by side on held-out prompts.

use std::time::Instant;

use anyhow::Context;
use rollout::journal::Journal;

use super::Session;
use crate::arguments::Eval;
use crate::config;
use crate::config::plan::TargetPlan;
use crate::failure::Failure;
use crate::output::Output;
use crate::run::evaluation::{self, Trained};
use crate::run::folder::{RunFolder, write_evaluated};
use crate::run::{prompts, table, world};

pub(super) fn run(arguments: &Eval, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    let clock = Instant::now();
    let folder = arguments.run.is_dir().then(|| RunFolder::open(&arguments.run)).transpose()?;
    let plan = match &folder {
        Some(folder) => folder.plan_with(&arguments.sets)?,
        None => config::load(&arguments.run, &arguments.sets)?.1,
    };
    let held_out = match &arguments.data {
        Some(file) => prompts::read(file, &plan)?.into_iter().take(plan.eval.prompts).collect(),
        None => prompts::load(&plan)?.held_out,
    };
    if held_out.is_empty() {
        return Err(Failure::NoPrompts { purpose: "evaluate on" }.into());
    }
    let journal = folder.as_ref().map_or_else(Journal::in_memory, |folder| Journal::open(&folder.journal()))?;
    let mut world = world::load(&plan, journal, &arguments.threads, session)?;
    let TargetPlan::Local(target) = &plan.target;
    let held_out = world.fitting_alone("held-out", held_out, target)?;
    let adapter = folder.as_ref().map(|folder| folder.load_adapter(&world.architecture)).transpose()?;
    let evaluated = folder.as_ref().map(RunFolder::evaluated).transpose()?.flatten();
    let steps = evaluated.map_or(plan.schedule.steps, |(result, _)| result.about.steps);
    let trained = adapter.as_ref().map(|adapter| Trained { adapter, steps });
    let (arms, mut result) = evaluation::arms(&plan, &mut world, &held_out, trained)?;
    result.about.seconds = clock.elapsed().as_secs_f64();
    if let Some(file) = &arguments.out {
        write_evaluated(file, &arms).context("cannot write the outcome")?;
    }
    if arguments.json {
        output.json_document(&result)?;
    } else {
        let lines = table::tell(&result).into_iter().chain(table::examples(&arms, 3));
        lines.into_iter().try_for_each(|line| output.line(&line))?;
    }
    let passed = result.gain.get("vs_naive").is_some_and(|gain| gain.significant && gain.mean > 0.0);
    if arguments.gate && !passed {
        output.finish()?;
        return Err(Failure::Gate.into());
    }
    Ok(())
}
