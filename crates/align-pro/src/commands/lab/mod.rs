//! `lab`: the exact miniature.

mod bar;
mod fixed_point;
mod objective;
mod table_file;
mod world;
mod world_file;

use crate::arguments::{Lab, LabCommand};
use crate::output::Output;

pub(crate) use objective::Problem as ObjectiveProblem;

pub(super) fn run(arguments: &Lab, output: &mut Output) -> anyhow::Result<()> {
    match (&arguments.command, &arguments.world) {
        (Some(LabCommand::FixedPoint(arguments)), _) => fixed_point::run(arguments, output),
        (Some(LabCommand::Objective(arguments)), _) => objective::run(arguments, output),
        (None, Some(arguments)) => world::run(arguments, output),
        (None, None) => Ok(()), // clap shows the help instead
    }
}
