//! One file a command.

mod bound;
mod config;
mod data;
mod doctor;
mod eval;
mod generate;
mod headroom;
pub(crate) mod lab;
mod list;
mod pull;
mod quickstart;
mod report;
mod reward;
mod rewrite;
mod score;
mod serve;
mod show;
mod train;

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
        Command::Quickstart(arguments) => quickstart::run(&arguments, session, output),
        Command::Headroom(arguments) => headroom::run(&arguments, session, output),
        Command::Train(arguments) => train::run(&arguments, session, output),
        Command::Eval(arguments) => eval::run(&arguments, session, output),
        Command::Bound(arguments) => bound::run(&arguments, session, output),
        Command::Rewrite(arguments) => rewrite::run(&arguments, session, output),
        Command::Report(arguments) => report::run(&arguments, output),
        Command::Doctor(arguments) => doctor::run(&arguments, session, output),
        Command::Config(command) => config::run(&command, output),
        Command::Init(arguments) => config::init(&arguments),
        Command::Reward(command) => reward::run(&command, session, output),
        Command::Data(command) => data::run(&command, output),
        Command::Lab(arguments) => lab::run(&arguments, output),
        Command::Model(ModelCommand::List(arguments)) => list::run(&arguments, session, output),
        Command::Model(ModelCommand::Pull(arguments)) => pull::run(&arguments, session, output),
        Command::Model(ModelCommand::Show(arguments)) => show::run(&arguments, session, output),
        Command::Model(ModelCommand::Score(arguments)) => score::run(&arguments, session, output),
        Command::Model(ModelCommand::Generate(arguments)) => generate::run(&arguments, session, output),
        Command::Model(ModelCommand::Serve(arguments)) => serve::run(&arguments, session),
    }
}
