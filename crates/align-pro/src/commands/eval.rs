//! `eval`: arms side by side on held-out prompts.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use lm::Lora;
use rollout::reward::Reward;

use super::Session;
use crate::arguments::Eval;
use crate::config;
use crate::config::plan::{Plan, What};
use crate::failure::Failure;
use crate::output::{Output, say};
use crate::run::evaluation::{self, Tuned};
use crate::run::folder::{RunFolder, write_evaluated};
use crate::run::journals::Journals;
use crate::run::shelf::Shelf;
use crate::run::world::{self, World};
use crate::run::{inputs, judging, prompts, table, training};

pub(super) fn run(arguments: &Eval, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    let clock = Instant::now();
    let folder = arguments.run.is_dir().then(|| RunFolder::open(&arguments.run)).transpose()?;
    let plan = match &folder {
        Some(folder) => folder.plan_with(&arguments.sets)?,
        None => config::load(&arguments.run, &arguments.sets)?.1,
    };
    if let Some(folder) = &folder {
        inputs::check(&plan, folder.path())?;
    }
    let held_out = prompts::held_out(arguments.data.as_deref(), &plan, plan.eval.prompts)?;
    let journals = folder.as_ref().map_or_else(Journals::in_memory, |folder| Journals::beside(&folder.journal()));
    if let Some(file) = &arguments.out {
        writable(file)?;
    }
    let mut shelf = Shelf::new(plan.tape_budget(), &arguments.threads, session);
    let mut world = world::load_from(&mut shelf, &plan, &journals)?;
    let mut judge = arguments.judge.then(|| judging::pair_judge(&plan, &journals, &mut shelf)).transpose()?;
    let held_out = world.fitting_alone("held-out", held_out, &plan.target)?;
    world.calibrate_again(&plan)?;
    if let Some(folder) = &folder {
        world.reward.restore(&training::checkpoints(&plan, folder).reward_state()?);
    }
    let adapter = folder.as_ref().map(|folder| folder.load_adapter(&world.architecture)).transpose()?;
    let evaluated = folder.as_ref().map(RunFolder::evaluated).transpose()?.flatten();
    let steps = evaluated.map_or(plan.schedule.steps, |(result, _)| result.about.steps);
    let mut tuned = Tuned::of(&plan, adapter.as_ref(), steps);
    let oracle = arguments.oracle.as_deref().map(|run| oracle(run, &plan, &world)).transpose()?;
    tuned.oracle = tuned.oracle.or(oracle.as_ref());
    let (arms, mut result) = evaluation::arms(&plan, &mut world, &held_out, tuned)?;
    if let Some(judge) = &mut judge {
        result.judge = judging::compare(judge, &held_out, &arms)?;
    }
    result.about.seconds = clock.elapsed().as_secs_f64();
    if let (Some(folder), Some(judge)) = (&folder, &result.judge)
        && folder.add_judge(&arms, judge)?
    {
        say("the verdicts stand in the run's result.json and report.html, too");
    }
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

/// That a file can be written where it is asked for: better now than after an hour.
pub(super) fn writable(file: &Path) -> anyhow::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    anyhow::ensure!(folder.is_dir(), "there is no folder `{}` to write `{}` into", folder.display(), file.display());
    Ok(())
}

/// The adapter of a run that trained the same target.
pub(super) fn oracle(run: &Path, plan: &Plan, world: &World) -> anyhow::Result<Lora> {
    let folder = RunFolder::open(run)?;
    let theirs = folder.plan()?;
    let is_alike = theirs.target.is_alike(&plan.target) && theirs.reward == plan.reward;
    if theirs.train.what != What::Target || !is_alike {
        return Err(Failure::NotAnOracle { folder: run.to_owned(), target: plan.target.model().to_owned() }.into());
    }
    folder.load_adapter(&world.target_architecture()?)
}
