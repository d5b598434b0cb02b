//! `reward`: reward models.

mod pairs;
mod score;
mod train;

use crate::arguments::RewardCommand;
use crate::commands::Session;
use crate::output::Output;

pub(super) fn run(command: &RewardCommand, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    match command {
        RewardCommand::Train(arguments) => train::run(arguments, session, output),
        RewardCommand::Score(arguments) => score::run(arguments, session, output),
    }
}
