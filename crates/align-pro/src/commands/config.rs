//! `init` and `config`: configurations to start from, what they resolve to, and what they may hold.

use anyhow::Context;

use crate::arguments::{ConfigCommand, ConfigShow, Init};
use crate::config;
use crate::failure::{Failure, shown};
use crate::output::{Output, say};

pub(super) fn run(command: &ConfigCommand, output: &mut Output) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Show(arguments) => show(arguments, output),
        ConfigCommand::Schema => output.json_document(&config::schema()),
    }
}

pub(super) fn init(arguments: &Init) -> anyhow::Result<()> {
    let file = shown(&arguments.out);
    if !arguments.force && arguments.out.symlink_metadata().is_ok() {
        return Err(Failure::WouldOverwrite { file }.into());
    }
    lm::write_atomically(&arguments.out, config::template::text(arguments.template).as_bytes())?;
    say(format_args!("{file} is written; `align-pro config show {file}` shows what it means"));
    Ok(())
}

fn show(arguments: &ConfigShow, output: &mut Output) -> anyhow::Result<()> {
    let (_, plan) = config::load(&arguments.source.config, &arguments.source.sets)?;
    if arguments.json {
        return output.json_document(&plan);
    }
    let text = toml::to_string(&plan).context("cannot write the plan as TOML")?;
    output.line(text.trim_end())
}
