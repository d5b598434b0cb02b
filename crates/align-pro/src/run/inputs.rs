//! The files that a run reads, noted when it begins: a plan names them, and a run that goes on must find in them what it began with.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;
use lm::write_atomically;
use rollout::data::stable_hash;

use super::reward;
use crate::config::data::{HeldOutPrompts, TrainPrompts};
use crate::config::plan::Plan;
use crate::failure::Failure;

/// The file of a run's folder that has the digests of what it reads.
const INPUTS: &str = "inputs.json";

/// Note what the run in a folder reads, or see that it still is the same.
pub(crate) fn pin(plan: &Plan, run: &Path) -> anyhow::Result<()> {
    let path = run.join(INPUTS);
    let now = digests(plan)?;
    match std::fs::read(&path) {
        Ok(known) => {
            let cannot = || format!("cannot use `{}`", path.display());
            let known: BTreeMap<PathBuf, String> = serde_json::from_slice(&known).with_context(cannot)?;
            compare(&known, &now, run)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(write_atomically(&path, &serde_json::to_vec_pretty(&now)?)?)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

/// See that what a finished run reads still is what it began with; runs of earlier versions have not noted it.
pub(crate) fn check(plan: &Plan, run: &Path) -> anyhow::Result<()> {
    if run.join(INPUTS).is_file() { pin(plan, run) } else { Ok(()) }
}

/// A file that is gone is for whoever reads it to tell.
fn compare(known: &BTreeMap<PathBuf, String>, now: &BTreeMap<PathBuf, String>, run: &Path) -> anyhow::Result<()> {
    match now.iter().find(|(file, digest)| known.get(*file).is_some_and(|known| known != *digest)) {
        Some((file, _)) => Err(Failure::OtherInput { run: run.to_owned(), file: file.clone() }.into()),
        None => Ok(()),
    }
}

/// What every file that the plan names holds, as far as it is there.
fn digests(plan: &Plan) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let mut files = reward::files(plan);
    if let TrainPrompts::File(file) = &plan.data.train {
        files.push(file.clone());
    }
    if let HeldOutPrompts::File(file) = &plan.data.held_out {
        files.push(file.clone());
    }
    files.extend(plan.prompter.adapter.iter().map(|folder| folder.join("adapter_model.safetensors")));
    let mut digests = BTreeMap::new();
    for file in files {
        match std::fs::read(&file) {
            Ok(bytes) => _ = digests.insert(file, format!("{:016x}", stable_hash(&[&bytes]))),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", file.display())),
        }
    }
    Ok(digests)
}
