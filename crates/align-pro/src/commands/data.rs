//! `data`: prompts from nothing.

use std::collections::BTreeMap;

use anyhow::Context;
use rollout::data::Record;
use rollout::data::synth::{SynthOptions, SynthSplit, constraint_prompts};
use rollout::reward::constraint::Constraint;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::arguments::{DataCommand, SplitFlag, SynthCommand, SynthConstraints};
use crate::output::{Output, say};

#[derive(Serialize)]
struct Summary {
    n: usize,
    seed: u64,
    splits: BTreeMap<String, usize>,
    types: BTreeMap<&'static str, usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompts: Option<Vec<Map<String, Value>>>,
}

pub(super) fn run(command: &DataCommand, output: &mut Output) -> anyhow::Result<()> {
    match command {
        DataCommand::Synth(SynthCommand::Constraints(arguments)) => synth_constraints(arguments, output),
    }
}

fn synth_constraints(arguments: &SynthConstraints, output: &mut Output) -> anyhow::Result<()> {
    let split = match arguments.split {
        SplitFlag::All => None,
        SplitFlag::Train => Some(SynthSplit::Train),
        SplitFlag::UnseenTasks => Some(SynthSplit::UnseenTasks),
        SplitFlag::UnseenTypes => Some(SynthSplit::UnseenTypes),
        SplitFlag::UnseenBoth => Some(SynthSplit::UnseenBoth),
    };
    let options = SynthOptions { n: arguments.n, seed: arguments.seed, split, types: arguments.types.clone() };
    let records = constraint_prompts(&options).context("cannot make the prompts")?;
    if let Some(path) = &arguments.out {
        let lines = records.iter().map(|record| serde_json::to_string(&record.to_row()).map(|line| line + "\n"));
        lm::write_atomically(path, lines.collect::<Result<String, _>>()?.as_bytes())?;
    }
    if arguments.json {
        return output.json_document(&summary(arguments, &records)?);
    }
    match &arguments.out {
        Some(path) => say(format_args!("{} prompts in {}", records.len(), path.display())),
        None => records.iter().try_for_each(|record| output.json_line(&record.to_row()))?,
    }
    Ok(())
}

fn summary(arguments: &SynthConstraints, records: &[Record]) -> anyhow::Result<Summary> {
    let (mut splits, mut types) = (BTreeMap::new(), BTreeMap::new());
    for record in records {
        let split = record.fields.get("split").and_then(Value::as_str).unwrap_or_default();
        *splits.entry(split.to_owned()).or_default() += 1;
        for constraint in Constraint::of_record(record)? {
            *types.entry(constraint.id()).or_default() += 1;
        }
    }
    let out = arguments.out.as_ref().map(|path| path.display().to_string());
    let prompts = out.is_none().then(|| records.iter().map(Record::to_row).collect());
    Ok(Summary { n: records.len(), seed: arguments.seed, splits, types, out, prompts })
}
