//! `lab objective`: value and gradient of any objective on given log-probabilities.

mod batch;
mod groups;
mod likelihood;
mod options;
mod pairs;
mod problem;
mod report;
mod schema;
mod tokens;
mod unpaired;

#[cfg(test)]
mod tests;

use std::io::Read;

use anyhow::Context;
use objective::MethodId;
use serde_json::{Map, Value};

use batch::Batch;
use options::Options;
pub(crate) use problem::Problem;
use report::Evaluation;

use super::table_file::parse_object;
use crate::arguments::LabObjective;
use crate::output::{Output, say};

pub(crate) fn run(arguments: &LabObjective, output: &mut Output) -> anyhow::Result<()> {
    let Some(path) = &arguments.batch else {
        return if arguments.json { output.json_document(&schema::document()) } else { schema::print(output) };
    };
    let name = path.display();
    let text = if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.with_context(|| format!("cannot read the batch `{name}`"))?;
    let (evaluation, unread) = evaluate(&text).with_context(|| format!("cannot use the batch `{name}`"))?;
    for field in unread {
        say(format_args!("warning: `{}` does not read the field `{field}`", evaluation.method.name()));
    }
    if arguments.json { output.json_document(&evaluation) } else { evaluation.print(output) }
}

/// The objective of a batch, and the fields that it did not read.
fn evaluate(text: &str) -> Result<(Evaluation, Vec<String>), Problem> {
    let document: Map<String, Value> = parse_object(text)?;
    let batch = Batch::read(&document)?;
    let options = Options::read(&document, batch.method)?;
    let evaluation = match batch.method {
        MethodId::Sft => likelihood::evaluate(&batch, &options),
        MethodId::Kto => unpaired::evaluate(&batch, &options),
        MethodId::Rpo if batch.has("policy_logps") => groups::evaluate(&batch, &options),
        MethodId::ExoRw | MethodId::DpoRw => groups::evaluate(&batch, &options),
        MethodId::Dpo
        | MethodId::Cdpo
        | MethodId::Ipo
        | MethodId::Simpo
        | MethodId::Rpo
        | MethodId::ExoPref
        | MethodId::AlphaDpo
        | MethodId::Aipo
        | MethodId::Sppo => pairs::evaluate(&batch, &options),
        MethodId::Reinforce | MethodId::Rloo | MethodId::Ppo | MethodId::Grpo => tokens::evaluate(&batch, &options),
    }?;
    Ok((evaluation.checked()?, batch.unread()))
}
