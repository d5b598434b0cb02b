//! Flags of `init` and `config`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The file to write
    #[arg(long, default_value = "config.toml", value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// What to start from
    #[arg(long, default_value = "constraints", value_name = "NAME")]
    pub(crate) template: TemplateName,
    /// Overwrite the file if it is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// A configuration to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TemplateName {
    /// Prompts that are made here, with constraints that a program can check
    Constraints,
    /// Grade-school mathematics from files
    Gsm8k,
    /// Prompts of your own as JSON lines
    Jsonl,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// The resolved plan of a configuration, defaults included
    Show(ConfigShow),
    /// The JSON Schema of configurations, for editors
    Schema,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigShow {
    #[command(flatten)]
    pub(crate) source: ConfigSource,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// A configuration and what is laid over it.
#[derive(Debug, Args)]
pub(crate) struct ConfigSource {
    /// A configuration, as `align-pro init` writes one
    #[arg(value_name = "CONFIG")]
    pub(crate) config: PathBuf,
    /// Set one key, as in `prompter.temperature=0.8`; can be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
}
