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

    /// The calls of a reward, or of a judge, that asks somebody: `journal-NAME.sqlite` beside the
    /// `journal.sqlite` of the target.
    pub(crate) fn reward(&self, name: &str) -> anyhow::Result<Journal> {
        let Some(target) = &self.0 else { return Ok(Journal::in_memory()?) };
        let mut file = target.file_stem().unwrap_or_default().to_owned();
        file.push(format!("-{name}"));
        if let Some(extension) = target.extension() {
            file.push(".");
            file.push(extension);
        }
        Ok(Journal::open(&target.with_file_name(file))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journals_lie_beside_the_target_s() {
        let folder = tempfile::tempdir().unwrap();
        for (target, expected) in [("journal.sqlite", "journal-judge.sqlite"), ("calls", "calls-judge")] {
            Journals::beside(&folder.path().join(target)).reward("judge").unwrap();
            assert!(folder.path().join(expected).is_file(), "{expected}");
        }
        assert_eq!(Journals::in_memory().reward("judge").unwrap().n_calls().unwrap(), 0);
    }
}
