//! `reward score`: what a reward model says about responses.

use std::collections::BTreeMap;

use rollout::data::{Message, Prompt};
use rollout::reward::RewardCard;
use serde::Serialize;
use serde_json::Value;

use crate::arguments::RewardScore;
use crate::commands::Session;
use crate::config::plan::PrecisionName;
use crate::json_lines::{Fault, JsonLines, Record};
use crate::output::Output;
use crate::progress;
use crate::run::reward;
use crate::run::shelf::Shelf;

const LINE_SHAPE: &str = "every line needs `prompt` (a string) or `messages` (a list of objects with `role` and `content`), \
                          and `response` (a string), and may have `id`";

/// Exchanges between two looks at the progress bar.
const AT_ONCE: usize = 64;

struct Line {
    id: Option<Value>,
    prompt: Prompt,
    response: String,
}

#[derive(Serialize)]
struct Document<'a> {
    card: &'a RewardCard,
    lines: Vec<LineReport<'a>>,
}

#[derive(Serialize)]
struct LineReport<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    rewards: BTreeMap<&'a str, f64>,
}

pub(super) fn run(arguments: &RewardScore, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    let lines = JsonLines::read(&arguments.input, LINE_SHAPE)?.map(read_line)?;
    let mut shelf = Shelf::new(0, &arguments.threads, session);
    let first = reward::card(&arguments.model)?.attributes.into_iter().next().map(|attribute| attribute.name);
    let learned = reward::learned(&arguments.model, first.as_deref(), PrecisionName::Auto, &mut shelf)?;
    let names: Vec<&str> = learned.card().attributes.iter().map(|attribute| attribute.name.as_str()).collect();
    let bar = progress::count("scoring", lines.len() as u64);
    let mut reports = Vec::with_capacity(lines.len());
    for batch in lines.chunks(AT_ONCE) {
        let exchanges: Vec<(&Prompt, &str)> = batch.iter().map(|line| (&line.prompt, line.response.as_str())).collect();
        for (line, rewards) in batch.iter().zip(learned.attributes(&exchanges)?) {
            let rewards = names.iter().copied().zip(rewards).collect();
            let report = LineReport { id: line.id.clone(), rewards };
            if arguments.json {
                reports.push(report);
            } else {
                bar.suspend(|| output.json_line(&report))?;
            }
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    if arguments.json { output.json_document(&Document { card: learned.card(), lines: reports }) } else { Ok(()) }
}

fn read_line(record: &Record) -> Result<Line, Fault> {
    let response = record.text("response")?.ok_or_else(|| Fault::of_line("no `response`"))?;
    let prompt = match (record.text("prompt")?, record.messages("messages")?) {
        (Some(text), None) => Prompt::Text(text),
        (None, Some(messages)) => Prompt::Messages(messages.into_iter().map(message).collect()),
        (None, None) => return Err(Fault::of_line("neither `prompt` nor `messages`")),
        (Some(_), Some(_)) => return Err(Fault::of_line("both `prompt` and `messages`")),
    };
    Ok(Line { id: record.value("id").cloned(), prompt, response })
}

fn message(message: lm::Message) -> Message {
    Message { role: message.role.name().to_owned(), content: message.content }
}
