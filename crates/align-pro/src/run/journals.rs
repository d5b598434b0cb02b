//! Where the finished calls of a run are kept: those of the target, and those of rewards that ask somebody.

use std::path::{Path, PathBuf};

use rollout::journal::Journal;

/// Journals side by side in one folder, or in memory.
pub(crate) struct Journals(Option<PathBuf>);

impl Journals {
    /// Journals that are gone when they are dropped.
    pub(crate) fn in_memory() -> Journals {
        Journals(None)
    }

    /// The target's journal is this file; the others lie beside it.
    pub(crate) fn beside(target: &Path) -> Journals {
        Journals(Some(target.to_owned()))
    }

    /// The target's calls.
    pub(crate) fn target(&self) -> anyhow::Result<Journal> {
        Ok(self.0.as_deref().map_or_else(Journal::in_memory, Journal::open)?)
    }

    /// What the reward of this name has given.
    pub(crate) fn reward(&self, name: &str) -> anyhow::Result<Journal> {
        let file = self.0.as_deref().map(|target| target.with_file_name(format!("journal-{name}.sqlite")));
        Ok(file.as_deref().map_or_else(Journal::in_memory, Journal::open)?)
    }
}
