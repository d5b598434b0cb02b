//! `quickstart`: the whole story on an embedded model, without a configuration.

use std::path::{Path, PathBuf};

use super::Session;
use super::train::{Request, go};
use crate::arguments::Quickstart;
use crate::config;
use crate::failure::Failure;
use crate::output::{Output, say};

/// The configuration that `quickstart` runs.
const CONFIG: &str = include_str!("quickstart.toml");

pub(super) fn run(arguments: &Quickstart, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    let seed = format!("seed={}", arguments.seed);
    let sets: Vec<String> = std::iter::once(seed).chain(arguments.sets.iter().cloned()).collect();
    let plan = config::resolve(CONFIG, &sets, Path::new("."))
        .map_err(|problem| Failure::Configuration { file: "quickstart.toml".to_owned(), problem })?;
    let path = arguments.run.clone().unwrap_or_else(|| PathBuf::from(format!("runs/quickstart-{}", arguments.seed)));
    say(
        "A small model learns to add a sentence to prompts, so that another, frozen, model keeps to what they ask for.",
    );
    say(
        "Each answer is judged by a program that checks every constraint of the user's own prompt; nothing else is learned from.",
    );
    go(
        &Request { written: CONFIG, plan: &plan, path: &path, threads: &arguments.threads },
        session,
        arguments.json,
        output,
    )
}
