//! Flags of the commands that make and use runs.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::{above_zero, at_most};

#[derive(Debug, Args)]
pub(crate) struct Train {
    /// The configuration of the run
    pub(crate) config: PathBuf,
    /// The run's folder; a run that is there already goes on [default: runs/NAME, after the configuration's name]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) run: Option<PathBuf>,
    /// Override a value of the configuration: method.rloo.lambda=0.1; can be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Say what would be done, how many tokens and how long it takes, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) threads: ThreadFlags,
}

#[derive(Debug, Args)]
pub(crate) struct Eval {
    /// A run's folder, or a configuration to try without a trained prompter
    #[arg(value_name = "RUN|CONFIG")]
    pub(crate) run: PathBuf,
    /// Other held-out prompts than those of the configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Override a value of the configuration; can be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// A run of the same configuration with `train.what` set to `target`: adds its arm, and the share of its gain
    #[arg(long, value_name = "RUN")]
    pub(crate) oracle: Option<PathBuf>,
    /// Let the judge of `[judge]` compare the trained prompter's answers with the others', each pair in both orders
    #[arg(long)]
    pub(crate) judge: bool,
    /// End with exit code 1 unless the trained prompter is significantly better than the prompt as it is
    #[arg(long)]
    pub(crate) gate: bool,
    /// Write the outcome of every prompt to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print the result as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) threads: ThreadFlags,
}

#[derive(Debug, Args)]
pub(crate) struct Headroom {
    /// The configuration that is to be trained
    pub(crate) config: PathBuf,
    /// The most training prompts that are sampled
    #[arg(long, default_value = "32", value_name = "N")]
    pub(crate) prompts: NonZeroUsize,
    /// Rewrites of each by the untuned prompter
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(3..=1024))]
    pub(crate) rewrites: u16,
    /// Pairs of responses to each rewrite: one half chooses among the rewrites, the other tells what the choice is worth
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) response_pairs: u16,
    /// Override a value of the configuration; can be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Keep the target's answers in this file, from which a later call goes on
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// Write what was sampled to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) threads: ThreadFlags,
}

#[derive(Debug, Args)]
pub(crate) struct Bound {
    /// The folder of a finished run
    pub(crate) run: PathBuf,
    /// A run of the same configuration with `train.what` set to `target`: compares with what was fine-tuned
    #[arg(long, value_name = "RUN")]
    pub(crate) oracle: Option<PathBuf>,
    /// How strongly the fine-tuned target that is estimated is held to the frozen one [default: the run's lambda]
    #[arg(long, value_name = "BETA", value_parser = above_zero)]
    pub(crate) beta: Option<f64>,
    /// Other held-out prompts than those of the configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// The most held-out prompts that are sampled
    #[arg(long, default_value = "32", value_name = "N")]
    pub(crate) prompts: NonZeroUsize,
    /// Rewrites of each, by the trained prompter and by the untuned one
    #[arg(long, default_value_t = 4, value_name = "K", value_parser = clap::value_parser!(u16).range(3..=1024))]
    pub(crate) rewrites: u16,
    /// Responses to each rewrite; the prompt as it is gets as many as all rewrites of one prompter together
    #[arg(long, default_value_t = 8, value_name = "M", value_parser = clap::value_parser!(u16).range(2..=1024))]
    pub(crate) responses: u16,
    /// Write what was sampled to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) threads: ThreadFlags,
}

#[derive(Debug, Args)]
pub(crate) struct Quickstart {
    /// Every random number of the run follows from it
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The run's folder; a run that is there already goes on [default: runs/quickstart-SEED]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) run: Option<PathBuf>,
    /// Override a value of its configuration, which it writes into its folder as `config.toml`; can be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Print the result as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) threads: ThreadFlags,
}

#[derive(Debug, Args)]
pub(crate) struct Rewrite {
    /// A run's folder
    pub(crate) run: PathBuf,
    /// The prompt; without it, every line of standard input is one
    pub(crate) prompt: Option<String>,
    /// Rewrites of each prompt
    #[arg(short = 'n', long = "n", default_value = "1", value_name = "K", value_parser = at_most::<4096>)]
    pub(crate) n: NonZeroUsize,
    /// Same seed, same rewrites
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Rewrite with the untuned prompter instead
    #[arg(long)]
    pub(crate) untuned: bool,
    /// Print one JSON document, with tokens and log-probabilities
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) threads: ThreadFlags,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// A run's folder
    pub(crate) run: PathBuf,
    /// Print the result of its evaluation as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct ThreadFlags {
    /// Threads to compute with [default: all cores]
    #[arg(long, value_name = "N", value_parser = at_most::<256>)]
    pub(crate) threads: Option<NonZeroUsize>,
}
