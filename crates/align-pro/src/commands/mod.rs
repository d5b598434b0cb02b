//! One file a command.

mod data;
mod generate;
pub(crate) mod lab;
mod list;
mod pull;
mod score;
mod show;

use crate::arguments::{Command, ModelCommand};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::output::Output;

/// What every command may need of the world.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) home: Home,
    pub(crate) interrupt: Interrupt,
}

/// Run one command.
pub(crate) fn run(command: Command, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    match command {
        Command::Data(command) => data::run(&command, output),
        Command::Lab(arguments) => lab::run(&arguments, output),
        Command::Model(ModelCommand::List(arguments)) => list::run(&arguments, session, output),
        Command::Model(ModelCommand::Pull(arguments)) => pull::run(&arguments, session, output),
        Command::Model(ModelCommand::Show(arguments)) => show::run(&arguments, session, output),
        Command::Model(ModelCommand::Score(arguments)) => score::run(&arguments, session, output),
        Command::Model(ModelCommand::Generate(arguments)) => generate::run(&arguments, session, output),
    }
}
