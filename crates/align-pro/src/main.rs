//! The align-pro command.

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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let session = Session { home: home::resolve(arguments.home), interrupt: Interrupt::watch() };
    let mut output = Output::stdout();
    let outcome = commands::run(arguments.command, &session, &mut output).and_then(|()| output.finish());
    failure::conclude(outcome)
}
