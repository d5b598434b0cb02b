//! What can go wrong with models, and what to do about it.

use std::path::PathBuf;

/// Everything a caller of this crate can act on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is damaged, hostile or not what its name says.
    #[error("`{path}` is not a usable model file: {problem}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the place and the numbers.
        problem: String,
    },
    /// A file is sound but asks for something this crate does not do.
    #[error("`{path}` uses {feature}, which is not supported")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it asks for.
        feature: String,
    },
    /// A request that no model could answer, such as an empty prompt or a token id outside the vocabulary.
    #[error("invalid request: {problem}")]
    Request {
        /// What is wrong with it, with the limit and the value.
        problem: String,
    },
    /// A number that must be finite is not: the model or the run has diverged, or its weights are damaged.
    #[error("the {quantity} is {value}, which must be a finite number")]
    NotFinite {
        /// What the number is.
        quantity: &'static str,
        /// NaN or an infinity.
        value: f64,
    },
}
