//! What can go wrong while training.

use std::path::PathBuf;

/// Everything a caller of this crate can act on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The world refused: a prompt, the target, the reward, a file of the run.
    #[error(transparent)]
    World(#[from] rollout::Error),
    /// The prompter's engine, its adapter or its optimiser refused.
    #[error("cannot train the prompter")]
    Engine(#[source] Box<lm::Error>),
    /// An objective refused its numbers.
    #[error("cannot compute the objective")]
    Objective(#[from] objective::Error),
    /// Nothing to train on.
    #[error("there are no prompts to train on")]
    NoPrompts,
    /// A checkpoint cannot be written or read.
    #[error("cannot use the checkpoint `{path}`")]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A checkpoint's state is not what this version writes.
    #[error("`{path}` is not a checkpoint's state")]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A checkpoint of another version.
    #[error("`{path}` has version {found}, this program reads version {known}")]
    StateVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that is read.
        known: u32,
    },
    /// The adapter to start from has another shape than the configuration asks for.
    #[error("the adapter to start from has another rank, alpha or targets than the configuration, or heads")]
    OtherStart,
    /// A checkpoint's adapter has another shape than the configuration asks for.
    #[error("the adapter in `{path}` has another rank, alpha or targets than the configuration")]
    OtherAdapter {
        /// The checkpoint.
        path: PathBuf,
    },
}

impl From<lm::Error> for Error {
    fn from(source: lm::Error) -> Error {
        Error::Engine(Box::new(source))
    }
}
