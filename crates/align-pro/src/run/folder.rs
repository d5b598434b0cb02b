//! The folder of a run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use lm::{Architecture, Lora, PeftDetails, write_atomically};
use rollout::bound::BoundReport;
use rollout::evaluate::{EvaluatedPrompt, Evaluation, JudgeResult};
use rollout::event::{Event, read_events};
use rollout::report::{RunRecord, render};
use toml::Value;

use crate::config;
use crate::config::plan::Plan;
use crate::failure::Failure;

/// The file by which a folder is kept to one command.
const LOCK: &str = "lock";

/// Where everything of a run lies.
#[derive(Clone, Debug)]
pub(crate) struct RunFolder(PathBuf);

impl RunFolder {
    /// The folder of a new run, or of one that is to go on: its plan must be this one. A new one becomes a run by
    /// [`RunFolder::begin`].
    pub(crate) fn prepare(path: &Path, plan: &Plan) -> anyhow::Result<RunFolder> {
        let folder = RunFolder(path.to_owned());
        if folder.has_begun() {
            let earlier = folder.plan()?;
            if !plan.continues(&earlier) {
                return Err(
                    Failure::OtherPlan { folder: path.to_owned(), difference: difference(&earlier, plan)? }.into()
                );
            }
            return Ok(folder);
        }
        if fs::read_dir(path).is_ok_and(|entries| entries.flatten().any(|entry| !is_beginning(&entry.file_name()))) {
            return Err(Failure::NotARun { folder: path.to_owned() }.into());
        }
        fs::create_dir_all(path).with_context(|| format!("cannot make the run folder `{}`", path.display()))?;
        Ok(folder)
    }

    /// Whether it has begun: what it is stands written.
    pub(crate) fn has_begun(&self) -> bool {
        self.plan_file().exists()
    }

    /// Write down what the run is, unless it is written: only once all that it needs is there, or a mended mistake would look
    /// like another plan.
    pub(crate) fn begin(&self, config: &str, plan: &Plan) -> anyhow::Result<()> {
        if self.has_begun() {
            return Ok(());
        }
        write_atomically(&self.0.join("config.toml"), config.as_bytes())?;
        // The plan comes last: a folder with a plan is a run.
        Ok(write_atomically(&self.plan_file(), toml::to_string(plan)?.as_bytes())?)
    }

    /// The folder of a run that is there.
    pub(crate) fn open(path: &Path) -> anyhow::Result<RunFolder> {
        let folder = RunFolder(path.to_owned());
        if folder.plan_file().is_file() { Ok(folder) } else { Err(Failure::NoRun { folder: path.to_owned() }.into()) }
    }

    /// The run's plan. One that an earlier version wrote gets what it did not know of by default.
    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        self.plan_with(&[])
    }

    /// The run's plan with some values overridden.
    pub(crate) fn plan_with(&self, sets: &[String]) -> anyhow::Result<Plan> {
        Ok(config::load(&self.plan_file(), sets)?.1)
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn plan_file(&self) -> PathBuf {
        self.0.join("plan.toml")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join("journal.sqlite")
    }

    pub(crate) fn events(&self) -> PathBuf {
        self.0.join("events.jsonl")
    }

    pub(crate) fn metrics(&self) -> PathBuf {
        self.0.join("metrics")
    }

    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints")
    }

    /// The adapter that is kept, a PEFT folder.
    pub(crate) fn adapter(&self) -> PathBuf {
        self.0.join("adapter")
    }

    pub(crate) fn result(&self) -> PathBuf {
        self.0.join("result.json")
    }

    pub(crate) fn report(&self) -> PathBuf {
        self.0.join("report.html")
    }

    fn bound_file(&self) -> PathBuf {
        self.0.join("bound.json")
    }

    fn evaluation(&self) -> PathBuf {
        self.0.join("evaluation.jsonl")
    }

    pub(crate) fn save_adapter(&self, adapter: &Lora, architecture: &Architecture, model: &str) -> anyhow::Result<()> {
        let details = PeftDetails { base_model: Some(model.to_owned()), ..PeftDetails::default() };
        Ok(adapter.save_peft(&self.adapter(), architecture, &details)?)
    }

    pub(crate) fn load_adapter(&self, architecture: &Architecture) -> anyhow::Result<Lora> {
        if !self.adapter().is_dir() {
            return Err(Failure::NotTrained { folder: self.0.clone() }.into());
        }
        Ok(Lora::load_peft(&self.adapter(), architecture)?.0)
    }

    /// Write what an evaluation found.
    pub(crate) fn save_evaluation(&self, arms: &[Vec<EvaluatedPrompt>], evaluation: &Evaluation) -> anyhow::Result<()> {
        write_evaluated(&self.evaluation(), arms)?;
        write_atomically(&self.result(), &serde_json::to_vec_pretty(evaluation)?)?;
        Ok(())
    }

    /// Write how far the run's prompter is from fine-tuning the target.
    pub(crate) fn save_bound(&self, bound: &BoundReport) -> anyhow::Result<()> {
        Ok(write_atomically(&self.bound_file(), &serde_json::to_vec_pretty(bound)?)?)
    }

    /// What was evaluated, if anything was.
    pub(crate) fn evaluated(&self) -> anyhow::Result<Option<(Evaluation, Vec<EvaluatedPrompt>)>> {
        if !self.result().is_file() {
            return Ok(None);
        }
        let read =
            |path: PathBuf| fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()));
        let evaluation = serde_json::from_str(&read(self.result())?)
            .with_context(|| format!("cannot use `{}`", self.result().display()))?;
        let lines = read(self.evaluation())?;
        let cannot = |line: usize| format!("cannot use `{}`, line {}", self.evaluation().display(), line + 1);
        let prompt = |(line, text)| serde_json::from_str(text).with_context(|| cannot(line));
        Ok(Some((evaluation, lines.lines().enumerate().map(prompt).collect::<anyhow::Result<_>>()?)))
    }

    /// How far the run's prompter is from fine-tuning the target, if that was measured.
    fn bound(&self) -> anyhow::Result<Option<BoundReport>> {
        let file = self.bound_file();
        if !file.is_file() {
            return Ok(None);
        }
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("cannot use `{}`; `bound` makes it anew", file.display()))
    }

    /// Add what a judge says of `arms` to the run's own evaluation and its report, where these are the very
    /// answers evaluated there; whether they are.
    pub(crate) fn add_judge(&self, arms: &[Vec<EvaluatedPrompt>], judge: &JudgeResult) -> anyhow::Result<bool> {
        let Some((mut evaluation, evaluated)) = self.evaluated()? else { return Ok(false) };
        let judged = arms.iter().flatten().filter(|prompt| evaluation.arms.contains_key(&prompt.arm));
        if !evaluated.iter().map(answers).eq(judged.map(answers)) {
            return Ok(false);
        }
        evaluation.judge = Some(judge.clone());
        write_atomically(&self.result(), &serde_json::to_vec_pretty(&evaluation)?)?;
        self.write_report()?;
        Ok(true)
    }

    /// Make the report anew from what the folder holds; where it lies.
    pub(crate) fn write_report(&self) -> anyhow::Result<PathBuf> {
        let events: Vec<Event> = if self.events().is_file() { read_events(&self.events())? } else { Vec::new() };
        let config = fs::read_to_string(self.0.join("config.toml")).unwrap_or_default();
        let evaluated = self.evaluated()?;
        let (evaluation, prompts) =
            evaluated.as_ref().map_or((None, &[][..]), |(result, prompts)| (Some(result), prompts));
        let name = self.0.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let bound = self.bound()?;
        let bound = bound.as_ref();
        let record = RunRecord { name: &name, config_toml: &config, events: &events, evaluation, prompts, bound };
        write_atomically(&self.report(), render(&record).as_bytes())?;
        Ok(self.report())
    }
}

/// Write what every arm did with every prompt, a line each.
pub(crate) fn write_evaluated(path: &Path, arms: &[Vec<EvaluatedPrompt>]) -> anyhow::Result<()> {
    let lines = arms.iter().flatten().map(|prompt| serde_json::to_string(prompt).map(|line| line + "\n"));
    Ok(write_atomically(path, lines.collect::<Result<String, _>>()?.as_bytes())?)
}

/// What tells an arm's answers to a prompt from all others.
fn answers(prompt: &EvaluatedPrompt) -> (&str, &str, Vec<&str>) {
    let responses = prompt.rewrites.iter().flat_map(|rewrite| &rewrite.responses);
    (&prompt.arm, &prompt.prompt, responses.map(|response| response.text.as_str()).collect())
}

/// Whether a file is of those that stand in a run's folder before its plan does: a kill may have left them there.
fn is_beginning(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    let half_written = [".config.toml.", ".plan.toml.", ".inputs.json."].iter().any(|start| name.starts_with(start));
    // Judges and rewards are asked before the plan is written.
    half_written || name == "config.toml" || name == "inputs.json" || name == LOCK || name.starts_with("journal")
}

/// Keep a folder to this command until the lock is dropped: two that work on one folder would undo each other's files.
pub(crate) fn lock(folder: &Path) -> anyhow::Result<fs::File> {
    let cannot = || format!("cannot lock the folder `{}`", folder.display());
    let file = fs::File::options().create(true).append(true).open(folder.join(LOCK)).with_context(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Failure::InUse { folder: folder.to_owned() }.into()),
        // Some network drives cannot lock; a run there is as it was before there were locks.
        Err(fs::TryLockError::Error(_)) => Ok(file),
    }
}

/// The values of two plans that differ.
fn difference(earlier: &Plan, now: &Plan) -> anyhow::Result<String> {
    let lines = |plan: &Plan| -> anyhow::Result<BTreeSet<String>> {
        let mut lines = BTreeSet::new();
        flatten("", &Value::try_from(plan)?, &mut lines);
        Ok(lines)
    };
    let (earlier, now) = (lines(earlier)?, lines(now)?);
    let only =
        |one: &BTreeSet<String>, other: &BTreeSet<String>| match one.difference(other).cloned().collect::<Vec<_>>() {
            none if none.is_empty() => "nothing more".to_owned(),
            some => some.join(", "),
        };
    Ok(format!("it has {}; asked for is {}", only(&earlier, &now), only(&now, &earlier)))
}

/// Every value below a table as `a.b.c = value`.
fn flatten(key: &str, value: &Value, lines: &mut BTreeSet<String>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                flatten(&key, value, lines);
            }
        }
        // What is kept as f32 would show the digits that f64 adds to it.
        Value::Float(number) if f64::from(*number as f32) == *number => {
            lines.insert(format!("{key} = {:?}", *number as f32));
        }
        value => _ = lines.insert(format!("{key} = {value}")),
    }
}
