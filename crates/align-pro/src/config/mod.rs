//! The configuration of a run: one TOML file, checked against one table of fields and resolved into a [`Plan`].
//!
//! # Layout
//! - [`plan`], [`data`], [`reward`], [`custom`], [`judge`]: what the rest of the command sees.
//! - `fields`: everything that may be written, with limits, defaults and reasons; `schema` shows it to editors.
//! - `document`: what was written, where; `check`: holding it against the fields; `rules`: what holds between keys.
//! - `problem`, `suggest`: telling what is wrong.

mod check;
pub(crate) mod custom;
pub(crate) mod data;
mod document;
mod fields;
pub(crate) mod judge;
pub(crate) mod plan;
mod problem;
pub(crate) mod reward;
mod rules;
mod schema;
mod suggest;
pub(crate) mod template;
#[cfg(test)]
mod tests;

use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use toml::{Table, Value};

pub(crate) use check::is_model_path;

use crate::failure::{Failure, shown};
use document::Document;
use problem::Place;

pub(crate) use plan::Plan;
pub(crate) use problem::Problem;
pub(crate) use schema::schema;

/// Read a configuration, lay `sets` (`KEY=VALUE`, dotted keys) over it, and resolve it; with it comes the file's text.
/// A plan that was written as TOML is read back as it was.
pub(crate) fn load(path: &Path, sets: &[String]) -> anyhow::Result<(String, Plan)> {
    let file = shown(path);
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::NoConfiguration { file: file.clone() }.into(),
        _ => anyhow::Error::new(error).context(format!("cannot read `{file}`")),
    })?;
    let folder = std::path::absolute(path).with_context(|| format!("cannot find the folder of `{file}`"))?;
    let folder = folder.parent().unwrap_or(&folder);
    let text = text_of(bytes).map_err(|problem| Failure::Configuration { file: file.clone(), problem })?;
    let plan = resolve(&text, sets, folder).map_err(|problem| Failure::Configuration { file, problem })?;
    Ok((text, plan))
}

/// The plan that a configuration's text stands for, with paths from `folder` on.
pub(crate) fn resolve(text: &str, sets: &[String], folder: &Path) -> Result<Plan, Problem> {
    let mut document = Document::parse(text)?;
    for assignment in sets {
        document.set(assignment)?;
    }
    let mut table = check::checked(&document, folder)?;
    rules::fill_in(&document, &mut table)?;
    let plan = typed(&document, table)?;
    rules::check(&document, &plan)?;
    Ok(plan)
}

/// After the check only a reward can still be refused: by the syntax of its pattern or its schema.
fn typed(document: &Document, table: Table) -> Result<Plan, Problem> {
    if let Some(rewards) = table.get("reward") {
        for (name, options) in rewards.as_table().into_iter().flatten() {
            let key = if name == "regex" { "reward.regex.pattern".to_owned() } else { format!("reward.{name}") };
            reward::OneReward::read(name, options)
                .map_err(|error| Problem::new(document.place_of(&key), key, document::one_line(error.message())))?;
        }
    }
    Plan::deserialize(Value::Table(table)).map_err(|error| Problem::new(None, "", document::one_line(error.message())))
}

fn text_of(bytes: Vec<u8>) -> Result<String, Problem> {
    String::from_utf8(bytes).map_err(|error| {
        let before = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..before].iter().filter(|&&byte| byte == b'\n').count();
        Problem::new(Some(Place::Line(line)), "", "not UTF-8").with_hint("save the file as UTF-8 text")
    })
}
