//! Prompts with verifiable constraints, made rather than found: tasks as people put them, each with one to three
//! constraints that a program can check.
//!
//! A prompt depends on the seed and its number alone: asking for more prompts changes none of the first ones. Which tasks
//! and which constraint types are held out does not depend on the seed, so that prompts of different seeds never mix
//! training and test.

mod compatible;
mod draw;
mod task;
#[cfg(test)]
mod tests;
mod wording;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::record::{Prompt, Record};
use super::stable::Draws;
use crate::Error;
use crate::reward::constraint::{Constraint, IDS};
use task::Task;

pub use compatible::compatible;

/// Constraint types that are never trained on.
pub const HELD_OUT_TYPES: [&str; 7] = [
    "keywords:letter_frequency",
    "length_constraints:nth_paragraph_first_word",
    "detectable_content:postscript",
    "detectable_format:json_format",
    "combination:two_responses",
    "startend:quotation",
    "change_case:english_lowercase",
];

/// What to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SynthOptions {
    /// How many prompts.
    pub n: usize,
    /// Which ones.
    pub seed: u64,
    /// Only prompts of this split; without it, seven in ten of `train` and one in ten of each other.
    pub split: Option<SynthSplit>,
    /// Only constraints of these types, by id; empty for all.
    pub types: Vec<String>,
}

/// What a prompt may share with those trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynthSplit {
    /// To train on.
    Train,
    /// Types trained on, with tasks that are not.
    UnseenTasks,
    /// Tasks trained on, with types that are not.
    UnseenTypes,
    /// Neither tasks nor types trained on.
    UnseenBoth,
}

impl SynthSplit {
    /// All four.
    pub const ALL: [SynthSplit; 4] =
        [SynthSplit::Train, SynthSplit::UnseenTasks, SynthSplit::UnseenTypes, SynthSplit::UnseenBoth];

    /// Its name in rows and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            SynthSplit::Train => "train",
            SynthSplit::UnseenTasks => "unseen-tasks",
            SynthSplit::UnseenTypes => "unseen-types",
            SynthSplit::UnseenBoth => "unseen-both",
        }
    }

    fn has_task(self, task: &Task) -> bool {
        task.held_out == matches!(self, SynthSplit::UnseenTasks | SynthSplit::UnseenBoth)
    }

    fn has_type(self, id: &str) -> bool {
        HELD_OUT_TYPES.contains(&id) == matches!(self, SynthSplit::UnseenTypes | SynthSplit::UnseenBoth)
    }
}

/// Makes prompts, no two alike.
///
/// Besides `instruction_id_list` and `kwargs`, which the `constraints` reward reads, each record has `task_id`, `task`
/// (the text without constraints), `task_kind` and `split`.
pub fn constraint_prompts(options: &SynthOptions) -> Result<Vec<Record>, Error> {
    let types = known_types(&options.types)?;
    let tasks = task::all();
    let mut seen = BTreeSet::new();
    let mut records = Vec::with_capacity(options.n.min(1 << 20));
    for number in 0..options.n {
        let mut draws = Draws::new(options.seed, number as u64);
        let made = (0..ATTEMPTS).find_map(|_| match one_prompt(&mut draws, options, &types, &tasks) {
            Ok(drawn) => drawn.filter(|drawn| seen.insert(drawn.prompt.clone())).map(Ok),
            Err(error) => Some(Err(error)),
        });
        match made {
            Some(drawn) => records.push(drawn?.into_record(options.seed, number)),
            None => return Err(Error::TooFewPrompts { n_made: number, n: options.n }),
        }
    }
    Ok(records)
}

/// Draws that may go wrong or repeat before a prompt is given up.
const ATTEMPTS: usize = 200;

/// A prompt and what it is made of.
struct Drawn<'a> {
    prompt: String,
    task: &'a Task,
    split: SynthSplit,
    constraints: Vec<Constraint>,
}

/// One prompt, or none where the drawn task takes none of the types.
fn one_prompt<'a>(
    draws: &mut Draws,
    options: &SynthOptions,
    types: &[&'static str],
    tasks: &'a [Task],
) -> Result<Option<Drawn<'a>>, Error> {
    let split = options.split.unwrap_or_else(|| match draws.uniform() {
        share if share < 0.7 => SynthSplit::Train,
        share if share < 0.8 => SynthSplit::UnseenTasks,
        share if share < 0.9 => SynthSplit::UnseenTypes,
        _ => SynthSplit::UnseenBoth,
    });
    let types: Vec<&'static str> = types.iter().copied().filter(|id| split.has_type(id)).collect();
    if types.is_empty() {
        let types = options.types.clone();
        return if options.split.is_some() { Err(Error::NoTypes { split: split.name(), types }) } else { Ok(None) };
    }
    let tasks: Vec<&Task> = tasks.iter().filter(|task| split.has_task(task)).collect();
    let Some(&task) = draws.pick(&tasks) else { return Ok(None) };
    let chosen = compatible::choose(draws, &types, task);
    let constraints: Vec<Constraint> = chosen.iter().filter_map(|id| draw::constraint(draws, id, task)).collect();
    if constraints.is_empty() {
        return Ok(None);
    }
    let prompt = wording::prompt(draws, &task.text, &constraints)?;
    Ok(Some(Drawn { prompt, task, split, constraints }))
}

impl Drawn<'_> {
    fn into_record(self, seed: u64, number: usize) -> Record {
        let ids: Vec<&str> = self.constraints.iter().map(Constraint::id).collect();
        let arguments: Vec<Map<String, Value>> = self.constraints.iter().map(Constraint::arguments).collect();
        let fields = Map::from_iter([
            ("task_id".to_owned(), json!(self.task.id)),
            ("task".to_owned(), json!(self.task.text)),
            ("task_kind".to_owned(), json!(self.task.kind)),
            ("instruction_id_list".to_owned(), json!(ids)),
            ("kwargs".to_owned(), json!(arguments)),
            ("split".to_owned(), json!(self.split.name())),
        ]);
        Record { id: format!("synth-{seed}-{number:06}"), prompt: Prompt::Text(self.prompt), fields }
    }
}

fn known_types(wanted: &[String]) -> Result<Vec<&'static str>, Error> {
    if wanted.is_empty() {
        return Ok(IDS.to_vec());
    }
    wanted.iter().map(|id| Constraint::known_id(id)).collect()
}
