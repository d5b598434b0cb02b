//! Other people's programs, watched while they download.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use indicatif::ProgressBar;

use crate::failure::Failure;
use crate::interrupt::Interrupt;

const POLL: Duration = Duration::from_millis(100);

/// Whether `command` can be started and succeeds; its output is nobody's business.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Run `command`, called `program`, to its end while `bar` follows the bytes in `folder`; kill it when interrupted.
///
/// What it says goes to a file in `folder`, whose last line tells why it failed.
pub(crate) fn run(
    program: &'static str,
    command: &mut Command,
    folder: &Path,
    bar: &ProgressBar,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let log = folder.join("said.txt");
    let file = fs::File::create(&log).with_context(|| format!("cannot write `{}`", log.display()))?;
    let second = file.try_clone().with_context(|| format!("cannot write `{}`", log.display()))?;
    command.stdin(Stdio::null()).stdout(file).stderr(second);
    let status = watch(command, folder, bar, interrupt).with_context(|| format!("cannot run `{program}`"))?;
    match status {
        Some(status) if status.success() => Ok(()),
        Some(_) => {
            let said = fs::read(&log).unwrap_or_default();
            Err(Failure::Program { program: program.to_owned(), said: String::from_utf8_lossy(&said).into_owned() }
                .into())
        }
        None => Err(Failure::Interrupted.into()),
    }
}

/// `None` when interrupted.
fn watch(
    command: &mut Command,
    folder: &Path,
    bar: &ProgressBar,
    interrupt: &Interrupt,
) -> std::io::Result<Option<ExitStatus>> {
    let mut child = command.spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if interrupt.requested() {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        bar.set_position(bytes_in(folder));
        thread::sleep(POLL);
    }
}

/// Bytes of all files below a folder that somebody is writing to; what vanishes meanwhile counts nothing.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
