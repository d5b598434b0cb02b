//! Flags of `data`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Make prompts
    #[command(subcommand)]
    Synth(SynthCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SynthCommand {
    /// Tasks with one to three constraints that a program can check, as JSON lines
    Constraints(SynthConstraints),
}

#[derive(Debug, Args)]
pub(crate) struct SynthConstraints {
    /// How many prompts
    #[arg(short = 'n', long = "n", default_value_t = 100, value_name = "N")]
    pub(crate) n: usize,
    /// Same seed, same prompts; asking for more changes none of the first ones
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// What the prompts may share with those trained on
    #[arg(long, default_value = "all")]
    pub(crate) split: SplitFlag,
    /// Only these constraint types, by id, separated by commas [default: all 25]
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    pub(crate) types: Vec<String>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON document: how many prompts of each split and type, and, without `--out`, the prompts
    #[arg(long)]
    pub(crate) json: bool,
}

/// A part of the prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SplitFlag {
    /// Every part, most of it to train on; each prompt says which it is of
    All,
    /// To train on
    Train,
    /// Types trained on, with tasks that are not
    UnseenTasks,
    /// Tasks trained on, with types that are not
    UnseenTypes,
    /// Neither tasks nor types trained on
    UnseenBoth,
}
