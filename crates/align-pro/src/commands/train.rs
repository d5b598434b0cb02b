//! `train`: from a configuration to a trained and evaluated prompter.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rollout::event::{Event, read_events};
use rollout::reward::Reward;

use super::Session;
use crate::arguments::{ThreadFlags, Train};
use crate::config;
use crate::config::plan::{Plan, What};
use crate::output::{Output, say};
use crate::run::evaluation::{self, Tuned};
use crate::run::folder::{self, RunFolder};
use crate::run::journals::Journals;
use crate::run::watch::Watcher;
use crate::run::{estimate, inputs, judging, prompts, reward, table, training, world};

pub(super) fn run(arguments: &Train, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    let (written, plan) = config::load(&arguments.config, &arguments.sets)?;
    if arguments.dry_run {
        return estimate::run(&plan, &arguments.threads, arguments.json, session, output);
    }
    let path = arguments.run.clone().unwrap_or_else(|| default_folder(&arguments.config, plan.train.what));
    let request = Request { written: &written, plan: &plan, path: &path, threads: &arguments.threads };
    go(&request, session, arguments.json, output)
}

/// What is to be run, and where.
pub(super) struct Request<'a> {
    /// The configuration as it was written.
    pub(super) written: &'a str,
    pub(super) plan: &'a Plan,
    pub(super) path: &'a Path,
    pub(super) threads: &'a ThreadFlags,
}

/// Train and evaluate, or go on where an earlier command was stopped.
pub(super) fn go(request: &Request<'_>, session: &Session, json: bool, output: &mut Output) -> anyhow::Result<()> {
    let &Request { written, plan, path, threads } = request;
    let clock = Instant::now();
    let prompts = prompts::load(plan)?;
    reward::check(plan)?;
    let folder = RunFolder::prepare(path, plan)?;
    let _lock = folder::lock(path)?;
    inputs::check(plan, path)?;
    session.interrupt.on_leaving(format!("stopped; the same command goes on with {}", path.display()));
    let mut world = world::load(plan, &Journals::beside(&folder.journal()), threads, session)?;
    let prompts = world.fitting(prompts, &plan.target)?;
    if !folder.has_begun() {
        // Later it may not be needed any more: what it gave is in its journal.
        world.reward.ready()?;
    }
    judging::examine(&mut world)?;
    world.calibrate(plan, &prompts.train)?;
    inputs::pin(plan, path)?;
    folder.begin(written, plan)?;
    say(format_args!(
        "training on {} prompts, {} held out; everything goes to {}",
        prompts.train.len(),
        prompts.held_out.len(),
        path.display()
    ));
    let earlier = seconds_of_steps(&folder)?;
    let events = training::events(plan, &folder)?;
    let mut watcher = Watcher::new(plan.schedule.steps, &folder.metrics(), &read_events(&folder.events())?)?;
    let outcome = training::train(plan, &folder, &mut world, &prompts, events, &mut watcher)?;
    folder.save_adapter(&outcome.adapter, &world.architecture, plan.trained_model())?;

    let tuned = Tuned::of(plan, Some(&outcome.adapter), outcome.kept_step);
    let (arms, mut result) = evaluation::arms(plan, &mut world, &prompts.held_out, tuned)?;
    result.about.seconds = earlier + clock.elapsed().as_secs_f64();
    folder.save_evaluation(&arms, &result)?;
    let report = folder.write_report()?;
    say(format_args!(
        "{} target calls made, {} taken from the journal; {:.0} s in all",
        world.target.n_answered(),
        world.target.n_replayed(),
        result.about.seconds
    ));
    if json {
        return output.json_document(&result);
    }
    let lines = table::tell(&result).into_iter().chain(table::examples(&arms, 3));
    lines.chain([String::new(), format!("report: {}", report.display())]).try_for_each(|line| output.line(&line))
}

/// What the steps took that earlier commands made.
fn seconds_of_steps(folder: &RunFolder) -> anyhow::Result<f64> {
    if !folder.events().is_file() {
        return Ok(0.0);
    }
    let seconds = |event: &Event| match event {
        Event::StepDone(step) => step.seconds.total,
        _ => 0.0,
    };
    Ok(read_events(&folder.events())?.iter().map(seconds).sum())
}

/// `runs/NAME`, after the name of the configuration, and `runs/NAME-oracle` for its oracle.
fn default_folder(config: &Path, what: What) -> PathBuf {
    let mut name = config.file_stem().unwrap_or(config.as_os_str()).to_owned();
    if what == What::Target {
        name.push("-oracle");
    }
    Path::new("runs").join(name)
}
