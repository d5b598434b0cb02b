//! `report`: a run as one HTML file.

use crate::arguments::Report;
use crate::failure::Failure;
use crate::output::Output;
use crate::run::folder::RunFolder;

pub(super) fn run(arguments: &Report, output: &mut Output) -> anyhow::Result<()> {
    let folder = RunFolder::open(&arguments.run)?;
    let report = folder.write_report()?;
    if !arguments.json {
        return output.line(&report.display().to_string());
    }
    match folder.evaluated()? {
        Some((result, _)) => output.json_document(&result),
        None => Err(Failure::NotTrained { folder: arguments.run.clone() }.into()),
    }
}
