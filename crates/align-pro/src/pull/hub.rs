//! The Hugging Face hub, through its own client (`hf`, or its older name `huggingface-cli`) where one is installed: it
//! knows the user's token, mirror and proxy.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use lm::{HubRepository, KnownModel};

use super::catalogue::{HubFile, MODEL_FILE, hub_file};
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
    pub(super) repository: String,
    revision: Option<&'a str>,
    file: Option<&'a str>,
    pinned: Option<&'static KnownModel>,
}

/// `hf:ORG/REPO` or `hf:ORG/REPO/FILE`, of harmless characters only: the parts become file names.
pub(super) fn parse(name: &str) -> Option<Wanted> {
    let mut slashes = name.match_indices('/').map(|(at, _)| at);
    let (repository, file) = match slashes.nth(1) {
        Some(second) => (&name[..second], Some(&name[second + 1..])),
        None => (name, None),
    };
    let harmless = |part: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(known)
    };
    let allowed = file.is_none_or(|file| file.split('/').all(harmless));
    let repository = HubRepository::parse(repository).filter(|_| allowed)?;
    Some(Wanted::Hub { repository, file: file.map(str::to_owned) })
}

impl<'a> Download<'a> {
    pub(super) fn of_known(model: &'static KnownModel) -> Option<Download<'a>> {
        let HubFile { repository, revision, file, .. } = hub_file(model.name)?;
        Some(Download {
            repository: (*repository).to_owned(),
            revision: Some(revision),
            file: Some(file),
            pinned: Some(model),
        })
    }

    pub(super) fn of_repository(repository: &HubRepository, file: Option<&'a str>) -> Download<'a> {
        let repository = format!("{}/{}", repository.organisation, repository.repository);
        Download { repository, revision: None, file, pinned: None }
    }

    pub(super) fn deliver(&self, staging: &Staging, interrupt: &Interrupt) -> anyhow::Result<()> {
        let client = CLIENTS.into_iter().find(|client| program::succeeds(Command::new(client).arg("--help")));
        let client = client.ok_or(Failure::ProgramMissing { program: CLIENTS[0] })?;
        let mut command = Command::new(client);
        command
            .args(["download", &self.repository])
            .args(self.file)
            .args(self.revision.map(|r| format!("--revision={r}")));
        if self.file.is_none() {
            command.args(MODEL_FILES.iter().map(|pattern| format!("--include={pattern}")));
        }
        command.arg("--local-dir").arg(staging.work()).env("HF_HUB_DISABLE_PROGRESS_BARS", "1");
        let bar = match self.pinned {
            Some(model) => progress::bytes("downloading", model.bytes),
            None => progress::spinner("downloading"),
        };
        program::run(client, &mut command, &staging.work(), &bar, interrupt)?;
        match (self.pinned, self.file) {
            (Some(model), Some(file)) => check(model, &staging.work().join(file), staging, interrupt),
            (_, Some(file)) => take(staging, Path::new(file)),
            (_, None) => take_all(staging),
        }
    }
}

/// Copy the pinned file into the model's folder, checking it on the way.
fn check(model: &KnownModel, path: &Path, staging: &Staging, interrupt: &Interrupt) -> anyhow::Result<()> {
    let bar = progress::bytes("checking", model.bytes);
    let mut file = PinnedFile::create(&staging.model().join(MODEL_FILE), model.bytes, &bar, interrupt)?;
    let mut from = fs::File::open(path).with_context(|| format!("the client did not leave `{}`", path.display()))?;
    file.append(&mut from)?;
    file.finish(model.sha256)
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
