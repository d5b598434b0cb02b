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
use objective::{
    Aipo, AlphaDpo, Cdpo, Dpo, DpoRw, ExoPref, ExoRw, GroupObjective, Ipo, MethodId, PairObjective, Rpo, Simpo, Sppo,
};
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
    let evaluation = objective_of(&batch, &options)?;
    Ok((evaluation.checked()?, batch.unread()))
}

/// Builds the method's objective from the options, where a default is TRL's or the paper's, and evaluates the batch.
fn objective_of(batch: &Batch<'_>, options: &Options<'_>) -> Result<Evaluation, Problem> {
    let pairs = |objective: PairObjective| pairs::evaluate(batch, options, objective);
    let groups = |objective: GroupObjective| groups::evaluate(batch, objective);
    let beta = || options.number("beta", 0.1);
    let alpha_dpo = || Ok::<_, Problem>(AlphaDpo { beta: beta()?, alpha: options.number("alpha", 0.09)? });
    let rpo =
        || Ok::<_, Problem>(Rpo { beta: beta()?, eta: options.number("eta", 1.0)?, distance: options.distance()? });
    let split = || Ok::<_, Problem>((options.needed_number("beta_pi")?, options.needed_number("beta_r")?));
    match batch.method {
        MethodId::Sft => likelihood::evaluate(batch, options),
        MethodId::Kto => unpaired::evaluate(batch, options),
        MethodId::Dpo => pairs(PairObjective::Dpo(Dpo { beta: beta()? })),
        MethodId::Cdpo => {
            let label_smoothing = options.number("label_smoothing", 0.1)?;
            pairs(PairObjective::Cdpo(Cdpo { beta: beta()?, label_smoothing, noise: options.noise()? }))
        }
        MethodId::Ipo => pairs(PairObjective::Ipo(Ipo { beta: beta()? })),
        MethodId::Simpo => {
            let (beta, gamma) = (options.number("beta", 2.0)?, options.number("gamma", 0.5)?);
            pairs(PairObjective::Simpo(Simpo { beta, gamma }))
        }
        MethodId::ExoPref => {
            let label_smoothing = options.number("label_smoothing", 1e-3)?;
            pairs(PairObjective::ExoPref(ExoPref { beta: beta()?, label_smoothing }))
        }
        MethodId::AlphaDpo => pairs(PairObjective::AlphaDpo(alpha_dpo()?)),
        MethodId::Aipo => {
            let nll_weight = options.number("nll_weight", 0.5)?;
            pairs(PairObjective::Aipo(Aipo { preference: alpha_dpo()?, nll_weight }))
        }
        MethodId::Sppo => pairs(PairObjective::Sppo(Sppo { beta: beta()? })),
        MethodId::Rpo if batch.has("policy_logps") => groups(GroupObjective::Rpo(rpo()?)),
        MethodId::Rpo => pairs(PairObjective::Rpo(rpo()?)),
        MethodId::ExoRw => {
            let (beta_pi, beta_r) = split()?;
            groups(GroupObjective::ExoRw(ExoRw { beta_pi, beta_r }))
        }
        MethodId::DpoRw => {
            let (beta_pi, beta_r) = split()?;
            groups(GroupObjective::DpoRw(DpoRw { beta_pi, beta_r }))
        }
        MethodId::Reinforce | MethodId::Rloo | MethodId::Ppo | MethodId::Grpo => tokens::evaluate(batch, options),
    }
}
