//! The align-pro command, as a library of two functions: the command itself, and the part of it that is fuzzed.

mod arguments;
mod commands;
mod config;
mod failure;
mod home;
mod interrupt;
mod json_lines;
mod models;
mod output;
mod progress;
mod pull;
mod run;

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use commands::Session;
use interrupt::Interrupt;
use output::Output;

/// Do what the command line says, and tell how it went.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let session = Session { home: home::resolve(arguments.home), interrupt: Interrupt::watch() };
    let mut output = Output::stdout();
    let outcome = commands::run(arguments.command, &session, &mut output).and_then(|()| output.finish());
    failure::conclude(outcome)
}

/// Whether the plan that a configuration stands for, written as TOML, stands for itself, as it always should; or why the
/// configuration is refused. `fuzz/` asks this about hostile text.
pub fn resolves_to_itself(configuration: &str, sets: &[String]) -> Result<bool, String> {
    let resolve = |text: &str, sets: &[String]| config::resolve(text, sets, std::path::Path::new("/"));
    let plan = resolve(configuration, sets).map_err(|problem| problem.to_string())?;
    let written = toml::to_string(&plan).map_err(|error| error.to_string())?;
    Ok(resolve(&written, &[]).is_ok_and(|again| again == plan))
}
