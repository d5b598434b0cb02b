//! The Hugging Face hub, through its own client (`hf`, or its older name `huggingface-cli`) where one is installed: it
//! knows the user's token, mirror and proxy.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::catalogue::{Entry, HubFile, MODEL_FILE};
use super::staging::{PinnedFile, Staging};
use super::{Wanted, program};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::progress;

const CLIENTS: [&str; 2] = ["hf", "huggingface-cli"];

/// What a model folder needs, and its licence.
const MODEL_FILES: [&str; 6] =
    ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "tokenizer.model", "LICENSE*"];

/// A download from the hub.
pub(super) struct Download<'a> {
    pub(super) repository: &'a str,
    revision: Option<&'a str>,
    file: Option<&'a str>,
    pinned: Option<&'static Entry>,
}

/// `ORG/REPO` or `ORG/REPO/FILE`, of harmless characters only: the parts become file names.
pub(super) fn parse(reference: &str) -> Option<Wanted> {
    let harmless = |part: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !part.is_empty() && !part.starts_with(['.', '-']) && part.chars().all(known)
    };
    let parts: Vec<&str> = reference.split('/').collect();
    let [organisation, repository, file @ ..] = parts.as_slice() else { return None };
    let file = (!file.is_empty()).then(|| file.join("/"));
    let repository = format!("{organisation}/{repository}");
    parts.iter().all(|part| harmless(part)).then_some(Wanted::Hub { repository, file })
}

impl<'a> Download<'a> {
    pub(super) fn of_entry(entry: &'static Entry) -> Download<'a> {
        let HubFile { repository, revision, file } = entry.hub;
        Download { repository, revision: Some(revision), file: Some(file), pinned: Some(entry) }
    }

    pub(super) fn of_repository(repository: &'a str, file: Option<&'a str>) -> Download<'a> {
        Download { repository, revision: None, file, pinned: None }
    }

    pub(super) fn deliver(&self, staging: &Staging, interrupt: &Interrupt) -> anyhow::Result<()> {
        let client = CLIENTS.into_iter().find(|client| program::succeeds(Command::new(client).arg("--help")));
        let client = client.ok_or(Failure::ProgramMissing { program: CLIENTS[0] })?;
        let mut command = Command::new(client);
        command
            .args(["download", self.repository])
            .args(self.file)
            .args(self.revision.map(|r| format!("--revision={r}")));
        if self.file.is_none() {
            command.args(MODEL_FILES.iter().map(|pattern| format!("--include={pattern}")));
        }
        command.arg("--local-dir").arg(staging.work()).env("HF_HUB_DISABLE_PROGRESS_BARS", "1");
        let bar = match self.pinned {
            Some(entry) => progress::bytes("downloading", entry.bytes),
            None => progress::spinner("downloading"),
        };
        program::run(client, &mut command, &staging.work(), &bar, interrupt)?;
        match (self.pinned, self.file) {
            (Some(entry), _) => check(entry, staging, interrupt),
            (None, Some(file)) => take(staging, Path::new(file)),
            (None, None) => take_all(staging),
        }
    }
}

/// Copy the pinned file into the model's folder, checking it on the way.
fn check(entry: &Entry, staging: &Staging, interrupt: &Interrupt) -> anyhow::Result<()> {
    let bar = progress::bytes("checking", entry.bytes);
    let mut file = PinnedFile::create(&staging.model().join(MODEL_FILE), entry.bytes, &bar, interrupt)?;
    let path = staging.work().join(entry.hub.file);
    let mut from = fs::File::open(&path).with_context(|| format!("the client did not leave `{}`", entry.hub.file))?;
    file.append(&mut from)?;
    file.finish(entry.sha256)
}

fn take(staging: &Staging, file: &Path) -> anyhow::Result<()> {
    let from = staging.work().join(file);
    let to = staging.model().join(file.file_name().unwrap_or_default());
    fs::rename(from, to).with_context(|| format!("the client did not leave `{}`", file.display()))
}

/// Take everything but our log and the client's own folder.
fn take_all(staging: &Staging) -> anyhow::Result<()> {
    let told = "cannot list what was downloaded";
    for entry in fs::read_dir(staging.work()).context(told)? {
        let entry = entry.context(told)?;
        if entry.path().is_file() && entry.file_name() != "said.txt" {
            take(staging, Path::new(&entry.file_name()))?;
        }
    }
    Ok(())
}
