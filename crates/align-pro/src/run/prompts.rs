//! The prompts of a run: what is trained on, tried on the way, and held out.

use std::path::Path;

use anyhow::Context;
use rollout::data::synth::{SynthOptions, SynthSplit, constraint_prompts};
use rollout::data::{ReadOptions, Record, read_records, split_by_text};
use rollout::reward::{Exchange, Verify};

use crate::config::data::{HeldOutPrompts, TrainPrompts};
use crate::config::plan::Plan;
use crate::config::reward::OneReward;
use crate::failure::Failure;
use crate::output::say;

/// Held-out prompts are the same for every seed, so that runs can be compared.
const HELD_OUT_SEED: u64 = 0;

/// A run's prompts; no text is in two of them.
#[derive(Debug, PartialEq)]
pub(crate) struct Prompts {
    pub(crate) train: Vec<Record>,
    pub(crate) validation: Vec<Record>,
    pub(crate) held_out: Vec<Record>,
}

/// Read or make the prompts that the plan asks for.
pub(crate) fn load(plan: &Plan) -> anyhow::Result<Prompts> {
    let (train, held_out) = match (&plan.data.train, &plan.data.held_out) {
        (TrainPrompts::File(file), HeldOutPrompts::Share(share)) => {
            let split = split_by_text(read(file, plan)?, *share, HELD_OUT_SEED);
            (split.train, split.held_out)
        }
        (train, held_out) => {
            let train = match train {
                TrainPrompts::File(file) => read(file, plan)?,
                TrainPrompts::Constraints { n, types } => make(plan, *n, types, SynthSplit::Train, plan.seed)?,
            };
            let held_out = match held_out {
                HeldOutPrompts::File(file) => read(file, plan)?,
                HeldOutPrompts::Constraints { n, types } => {
                    make(plan, *n, types, SynthSplit::UnseenTasks, HELD_OUT_SEED)?
                }
                HeldOutPrompts::Share(_) => Vec::new(),
            };
            (without(train, &held_out), held_out)
        }
    };
    let split = split_by_text(train, plan.data.validation_share, plan.seed);
    let held_out: Vec<Record> = held_out.into_iter().take(plan.eval.prompts).collect();
    let (train, validation) = (split.train, split.held_out);
    let train_file = match &plan.data.train {
        TrainPrompts::File(file) => Some(file),
        TrainPrompts::Constraints { .. } => None,
    };
    let held_out_file = match &plan.data.held_out {
        HeldOutPrompts::File(file) => Some(file),
        HeldOutPrompts::Share(_) => train_file,
        HeldOutPrompts::Constraints { .. } => None,
    };
    let needed = [
        ("train on", &train, train_file, true),
        ("evaluate on", &held_out, held_out_file, true),
        ("validate on", &validation, train_file, plan.schedule.validate_every > 0),
    ];
    for (purpose, prompts, file, is_needed) in needed {
        if is_needed && prompts.is_empty() {
            return Err(Failure::NoPrompts { purpose, file: file.cloned() }.into());
        }
    }
    Ok(Prompts { train, validation, held_out })
}

/// At most so many held-out prompts: those of another file, or else the plan's.
pub(crate) fn held_out(file: Option<&Path>, plan: &Plan, most: usize) -> anyhow::Result<Vec<Record>> {
    let mut records = match file {
        Some(file) => read(file, plan)?,
        None => load(plan)?.held_out,
    };
    records.truncate(most);
    if records.is_empty() {
        return Err(Failure::NoPrompts { purpose: "evaluate on", file: file.map(Path::to_owned) }.into());
    }
    Ok(records)
}

/// The prompts of a file, each with what the rewards need of it; with a word about rows that could not be used.
pub(crate) fn read(file: &Path, plan: &Plan) -> anyhow::Result<Vec<Record>> {
    let cannot = || format!("cannot use the prompts in `{}`", file.display());
    let loaded = read_records(file, &ReadOptions::from(&plan.data)).with_context(cannot)?;
    for row in &loaded.bad_rows {
        say(format_args!("warning: `{}`, {row}; the row is left out", file.display()));
    }
    check(plan, &loaded.records).with_context(cannot)?;
    Ok(loaded.records)
}

/// That every reward finds in every prompt's record what it needs: a run must not end in the middle for a row.
fn check(plan: &Plan, records: &[Record]) -> anyhow::Result<()> {
    for record in records {
        let prompt = record.prompt.text();
        let nothing = Exchange { prompt, rewrite: prompt, response: "", record };
        for reward in &plan.reward.0 {
            let cannot = || format!("the reward `{}` cannot judge the responses to every prompt", reward.name());
            match reward {
                OneReward::Verifier(verifier) => drop(verifier.verify(&nothing).with_context(cannot)?),
                // They read prompt and answer alone.
                OneReward::Model(_) | OneReward::Judge(_) => (),
                // They get the whole record, and what they need of it is theirs to know.
                OneReward::Command(_) | OneReward::Http(_) => (),
            }
        }
    }
    Ok(())
}

fn make(plan: &Plan, n: usize, types: &[String], split: SynthSplit, seed: u64) -> anyhow::Result<Vec<Record>> {
    let options = SynthOptions { n, seed, split: Some(split), types: types.to_vec() };
    let records = constraint_prompts(&options).context("cannot make the prompts")?;
    check(plan, &records)?;
    Ok(records)
}

/// The records whose text is in none of the held-out ones.
fn without(records: Vec<Record>, held_out: &[Record]) -> Vec<Record> {
    let normal = |record: &Record| record.prompt.text().split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let texts: std::collections::BTreeSet<String> = held_out.iter().map(normal).collect();
    records.into_iter().filter(|record| !texts.contains(&normal(record))).collect()
}
