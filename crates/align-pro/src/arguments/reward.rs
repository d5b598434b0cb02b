//! Flags of `reward`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{ThreadFlags, at_most};

#[derive(Debug, Subcommand)]
pub(crate) enum RewardCommand {
    /// Train a reward model on preference pairs, or go on with one
    ///
    /// Each file of pairs is an attribute with a head of its own. Pairs are split by the text of their prompt: those held
    /// out are never trained on nor looked at before the end, and what the model gets right of them is written into its
    /// folder, beside what the lengths of the responses alone would get right.
    Train(Box<RewardTrain>),
    /// What a reward model says about responses
    Score(RewardScore),
}

#[derive(Debug, Args)]
pub(crate) struct RewardTrain {
    /// Files of pairs with `prompt`, `chosen` and `rejected`; the attribute is called as the file unless NAME= says more
    #[arg(required = true, value_name = "[NAME=]FILE")]
    pub(crate) pairs: Vec<String>,
    /// The folder of the reward model; one that is there already goes on
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// The language model below the heads
    #[arg(long, default_value = "smollm2-135m-instruct", value_name = "MODEL")]
    pub(crate) model: String,
    /// What is trained besides the heads
    #[arg(long, default_value = "lora", value_name = "WHAT")]
    pub(crate) backbone: BackboneFlag,
    /// Times that the pairs are gone through
    #[arg(long, default_value_t = 1.0, value_name = "N")]
    pub(crate) epochs: f64,
    /// Pairs an update
    #[arg(long, default_value = "16", value_name = "N", value_parser = at_most::<4096>)]
    pub(crate) pairs_per_step: NonZeroUsize,
    /// The highest learning rate
    #[arg(long, default_value_t = 1e-4, value_name = "RATE")]
    pub(crate) learning_rate: f64,
    /// Rank of the adapter
    #[arg(long, default_value = "16", value_name = "R", value_parser = at_most::<4096>)]
    pub(crate) rank: NonZeroUsize,
    /// Spare the heads what lengths alone explain: a response is not better for being longer
    #[arg(long)]
    pub(crate) length_debiased: bool,
    /// How strongly rewards are drawn towards zero
    #[arg(long, default_value_t = 0.01, value_name = "WEIGHT")]
    pub(crate) center_weight: f64,
    /// Tokens that are read of a conversation: the last
    #[arg(long, default_value = "128", value_name = "N", value_parser = at_most::<1_000_000>)]
    pub(crate) max_prompt_tokens: NonZeroUsize,
    /// Tokens that are read of a response: the first
    #[arg(long, default_value = "128", value_name = "N", value_parser = at_most::<1_000_000>)]
    pub(crate) max_response_tokens: NonZeroUsize,
    /// The most pairs of each file that are trained on; no more are held out, and a quarter of it decides when to stop
    #[arg(long, value_name = "N")]
    pub(crate) max_pairs: Option<NonZeroUsize>,
    /// Share of the prompts that is held out
    #[arg(long, default_value_t = 0.2, value_name = "SHARE")]
    pub(crate) held_out_share: f64,
    /// Share of the prompts that decides when to stop
    #[arg(long, default_value_t = 0.1, value_name = "SHARE")]
    pub(crate) validation_share: f64,
    /// Updates between trials on the validation pairs
    #[arg(long, default_value = "25", value_name = "N")]
    pub(crate) validate_every: NonZeroUsize,
    /// Trials without a new best after which training stops; 0 for never
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) patience: u64,
    /// Every random number follows from it
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The field of a row that holds the prompt
    #[arg(long, default_value = "prompt", value_name = "FIELD")]
    pub(crate) prompt_field: String,
    /// How many unusable rows a file may have
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) max_bad_rows: usize,
    /// Print what is known about the reward model as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) threads: ThreadFlags,
}

/// What is trained besides the heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackboneFlag {
    /// An adapter of the language model
    Lora,
    /// Nothing: much faster
    Frozen,
}

#[derive(Debug, Args)]
pub(crate) struct RewardScore {
    /// The folder of a reward model
    pub(crate) model: PathBuf,
    /// JSON lines with `prompt` (or `messages`) and `response`, and perhaps an `id`; `-` is standard input
    #[arg(default_value = "-", value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Print one JSON document instead of one JSON line for each input line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) threads: ThreadFlags,
}
