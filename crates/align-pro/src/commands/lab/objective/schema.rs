//! The fields and options of every method: what is accepted, and what `--schema` prints.

mod fields;
mod options;

use objective::MethodId;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::output::Output;

pub(super) use fields::{EVERY_FIELD, Field, Form, forms_of};
pub(super) use options::{OptionEntry, options_of};

/// What one method reads.
#[derive(Debug, Serialize)]
pub(super) struct MethodEntry {
    pub(super) name: &'static str,
    title: &'static str,
    paper: &'static str,
    options: Vec<OptionEntry>,
    pub(super) forms: Vec<FormEntry>,
}

/// One way of giving a method its numbers.
#[derive(Debug, Serialize)]
pub(super) struct FormEntry {
    needed: Vec<&'static str>,
    optional: Vec<&'static str>,
    /// Fields of the output's `gradient`, where they are given.
    pub(super) gradient: &'static [&'static str],
    pub(super) example: Value,
}

/// What `--schema --json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    batch: &'static str,
    output: &'static str,
    constants: &'static str,
    fields: &'static [Field],
    pub(super) methods: Vec<MethodEntry>,
}

const BATCH: &str = r#"{"method": NAME, "options": {NAME: value, …}, FIELD: numbers, …}"#;
const OUTPUT: &str = r#"{"loss": mean, "losses": […], "gradient": {FIELD: d mean / d field, …}, "metrics": {…}}"#;

const CONSTANTS: &str = "token methods differentiate token_logps, values and a penalty's ref_token_logps only: rewards, \
                         advantages and everything from sampling time are constants";

/// Everything that is known about batches.
pub(super) fn document() -> Document {
    let entry = |method: MethodId| MethodEntry {
        name: method.name(),
        title: method.provenance().title,
        paper: method.provenance().paper,
        options: options_of(method),
        forms: forms_of(method).iter().map(|form| form_entry(method, form)).collect(),
    };
    let methods = MethodId::ALL.map(entry).into();
    Document { batch: BATCH, output: OUTPUT, constants: CONSTANTS, fields: EVERY_FIELD, methods }
}

fn form_entry(method: MethodId, form: &Form) -> FormEntry {
    let names = |fields: &[Field]| fields.iter().map(|field| field.name).collect();
    let (needed, optional) = (names(form.needed), names(form.optional));
    FormEntry { needed, optional, gradient: form.gradient, example: example(method, form) }
}

/// A small batch that the method accepts: the needed options and fields, with sample values.
fn example(method: MethodId, form: &Form) -> Value {
    let parse = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    let sampled = options_of(method).into_iter().filter_map(|option| option.sample.map(|sample| (option.name, sample)));
    let options: Map<String, Value> = sampled.map(|(name, sample)| (name.to_owned(), parse(sample))).collect();
    let mut batch = Map::from_iter([("method".to_owned(), Value::from(method.name()))]);
    if !options.is_empty() {
        batch.insert("options".to_owned(), Value::Object(options));
    }
    batch.extend(form.needed.iter().map(|field| (field.name.to_owned(), parse(field.sample))));
    Value::Object(batch)
}

/// The same for people.
pub(super) fn print(output: &mut Output) -> anyhow::Result<()> {
    let Document { batch, output: result, constants, fields, methods } = document();
    output.line(&format!("BATCH.json  {batch}"))?;
    output.line(&format!("output      {result}"))?;
    output.line(&format!("gradient    {constants}"))?;
    output.line("\nFields (log-probabilities are natural logarithms, summed over a rewrite's tokens)")?;
    for field in fields {
        output.line(&format!("  {:<25}{:<21}{}", field.name, field.shape, field.about))?;
    }
    for method in methods {
        output.line(&format!("\n{} — {}, {}", method.name, method.title, method.paper))?;
        for form in &method.forms {
            output.line(&format!("  needs     {}", form.needed.join(", ")))?;
            if !form.optional.is_empty() {
                output.line(&format!("  may have  {}", form.optional.join(", ")))?;
            }
            output.line(&format!("  gradient  {}", form.gradient.join(", ")))?;
        }
        for option in method.options {
            let default = option.default.map_or("needed".to_owned(), |default| format!("default {default}"));
            output.line(&format!("  option    {:<18}{:<22}{}", option.name, default, option.about))?;
        }
        for form in &method.forms {
            output.line(&format!("  example   {}", form.example))?;
        }
    }
    Ok(())
}
