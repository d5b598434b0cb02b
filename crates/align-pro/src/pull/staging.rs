//! Folders that appear whole, and one writer at a time.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use indicatif::ProgressBar;
use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::say;

/// The right to write one model; the system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Wait for the lock of the model in `place`.
    pub(crate) fn take(place: &Path, interrupt: &Interrupt) -> anyhow::Result<Lock> {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let path = place.with_file_name(format!(".{name}.lock"));
        let folder = place.parent().unwrap_or(place);
        let unusable = || format!("cannot lock `{}`", path.display());
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
        let file = File::options().create(true).append(true).open(&path).with_context(unusable)?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::Error(error)) => return Err(error).with_context(unusable),
                Err(TryLockError::WouldBlock) if interrupt.requested() => return Err(Failure::Interrupted.into()),
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        say(format!("waiting for another process that is fetching `{name}`"));
                        told = true;
                    }
                    thread::sleep(Duration::from_millis(200));
                }
            }
        }
    }
}

/// A folder in the making; removed when dropped, unless it was put in place.
#[derive(Debug)]
pub(crate) struct Staging {
    folder: PathBuf,
    place: PathBuf,
}

impl Staging {
    /// An empty folder beside `place`, on the same disk so that it can be renamed.
    pub(crate) fn fresh(place: &Path) -> anyhow::Result<Staging> {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let folder = place.with_file_name(format!(".{name}.partial"));
        let told = || format!("cannot make the folder `{}`", folder.display());
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(told)?;
        }
        fs::create_dir_all(folder.join("model")).with_context(told)?;
        fs::create_dir_all(folder.join("work")).with_context(told)?;
        Ok(Staging { folder, place: place.to_owned() })
    }

    /// Where the model's files go.
    pub(crate) fn model(&self) -> PathBuf {
        self.folder.join("model")
    }

    /// Where downloads and other scraps go.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// Make the model's folder appear, all of it at once.
    pub(crate) fn put_in_place(self) -> anyhow::Result<()> {
        let told = || format!("cannot move the model to `{}`", self.place.display());
        for file in fs::read_dir(self.model()).with_context(told)? {
            File::open(file.with_context(told)?.path()).and_then(|file| file.sync_all()).with_context(told)?;
        }
        fs::rename(self.model(), &self.place).with_context(told)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next pull.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A file that must turn out to be the pinned one.
pub(crate) struct PinnedFile<'a> {
    file: File,
    digest: Sha256,
    written: u64,
    limit: u64,
    bar: &'a ProgressBar,
    interrupt: &'a Interrupt,
}

impl<'a> PinnedFile<'a> {
    /// Start to write `path`, which will have `bytes` bytes.
    pub(crate) fn create(
        path: &Path,
        bytes: u64,
        bar: &'a ProgressBar,
        interrupt: &'a Interrupt,
    ) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(PinnedFile { file, digest: Sha256::new(), written: 0, limit: bytes, bar, interrupt })
    }

    /// Append all of `from`.
    pub(crate) fn append(&mut self, from: &mut impl Read) -> anyhow::Result<()> {
        let mut block = vec![0; 1 << 20];
        loop {
            if self.interrupt.requested() {
                return Err(Failure::Interrupted.into());
            }
            let length = from.read(&mut block).context("cannot read what was downloaded")?;
            if length == 0 {
                return Ok(());
            }
            self.written += length as u64;
            if self.written > self.limit {
                return Err(Failure::TooLong { expected: self.limit }.into());
            }
            self.digest.update(&block[..length]);
            self.file.write_all(&block[..length]).context("cannot write the model's file")?;
            self.bar.set_position(self.written);
        }
    }

    /// Check that all of it came, unaltered.
    pub(crate) fn finish(self, sha256: &str) -> anyhow::Result<()> {
        let found: String = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if found == sha256 {
            return Ok(());
        }
        Err(Failure::Checksum { expected: sha256.to_owned(), found }.into())
    }
}
