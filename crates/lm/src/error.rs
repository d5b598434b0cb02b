//! What can go wrong with models, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

/// Everything a caller of this crate can act on.
///
/// The display says what failed; the chain of `source()` says why.
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
        problem: Problem,
    },
    /// A file is sound but asks for something this crate does not do.
    #[error("`{path}` uses {feature}, which is not supported")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it asks for.
        feature: String,
    },
    /// A model's chat template refused the messages or failed.
    #[error("the model's chat template cannot render these messages")]
    Template {
        /// Why.
        source: minijinja::Error,
    },
    /// The tokenizer could not encode a text.
    #[error("the model's tokenizer cannot encode a text of {bytes} bytes")]
    Tokenize {
        /// Length of the text.
        bytes: usize,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No model goes by this name, and no file lies at this path.
    #[error(
        "there is no model `{name}`: known names are {known}, or give the path of a GGUF file or a safetensors folder"
    )]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// The catalogue's names, separated by commas.
        known: String,
    },
    /// A model of the catalogue has not been fetched yet.
    #[error("the model `{name}` is not at `{path}` yet: `align-pro model pull {name}` fetches it")]
    NotPulled {
        /// The catalogue's name.
        name: String,
        /// Where it will be.
        path: PathBuf,
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

/// What is wrong with a file, in one line that stands inside [`Error::Malformed`]'s.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file ends before what it announces.
    #[error("{what} needs {needed} bytes, but the file has only {available} left")]
    Truncated {
        /// What was being read.
        what: String,
        /// Bytes it needs.
        needed: u64,
        /// Bytes between its place and the end of the file.
        available: u64,
    },
    /// The first bytes are not those of the format.
    #[error("it does not start like a {format} file (its first bytes are {found:02x?})")]
    Magic {
        /// The format expected.
        format: &'static str,
        /// The bytes found.
        found: [u8; 4],
    },
    /// A number is outside what is possible or sensible.
    #[error("{what} is {value}, but {bound}")]
    Number {
        /// What the number is.
        what: String,
        /// Its value.
        value: i128,
        /// What it should have been, such as `the limit is 65536`.
        bound: String,
    },
    /// A key or setting is missing or has the wrong type or value.
    #[error("`{key}` should be {expected}, but is {found}")]
    Key {
        /// The key of the metadata or of the JSON file.
        key: String,
        /// What it should be.
        expected: String,
        /// What it is; `missing` when it is not there.
        found: String,
    },
    /// Bytes that should be UTF-8 are not.
    #[error("{what} is not UTF-8")]
    Utf8 {
        /// What was being read.
        what: String,
    },
    /// A tensor that the architecture needs is not there.
    #[error("the tensor `{name}` is missing")]
    MissingTensor {
        /// The name it should have.
        name: String,
    },
    /// A tensor's shape is not the one the architecture gives it.
    #[error("the tensor `{name}` has shape {found:?} where the architecture needs {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// Rows and columns, as the architecture has them.
        expected: Vec<usize>,
        /// Rows and columns, as the file has them.
        found: Vec<usize>,
    },
    /// Two entries have one name.
    #[error("{what} `{name}` occurs twice")]
    Duplicate {
        /// What the entries are.
        what: &'static str,
        /// Their name.
        name: String,
    },
    /// What the file holds is wrong in a way no other variant covers.
    #[error("{0}")]
    Content(String),
    /// A JSON file cannot be read as what it should be.
    #[error("its JSON cannot be understood ({source})")]
    Json {
        /// Why.
        source: serde_json::Error,
    },
    /// The header of a safetensors file is damaged.
    #[error("its safetensors header is damaged ({source})")]
    Safetensors {
        /// Why.
        source: safetensors::SafeTensorError,
    },
    /// The tokenizer cannot be built.
    #[error("its tokenizer cannot be built ({source})")]
    Tokenizer {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The chat template has a syntax error.
    #[error("its chat template cannot be compiled ({source})")]
    Template {
        /// Why.
        source: minijinja::Error,
    },
    /// A folder holds no model, or several.
    #[error("the folder should hold config.json with *.safetensors, or exactly one GGUF file, but {found}")]
    Folder {
        /// What is there instead.
        found: String,
    },
}

/// A failure inside one file, before the file's path is attached.
#[derive(Debug)]
pub(crate) enum Fault {
    Read(std::io::Error),
    Malformed(Problem),
    Unsupported(String),
}

impl Fault {
    /// Attaches the path.
    pub(crate) fn at(self, path: &Path) -> Error {
        let path = path.to_path_buf();
        match self {
            Fault::Read(source) => Error::Read { path, source },
            Fault::Malformed(problem) => Error::Malformed { path, problem },
            Fault::Unsupported(feature) => Error::Unsupported { path, feature },
        }
    }

    pub(crate) fn unsupported(feature: impl fmt::Display) -> Fault {
        Fault::Unsupported(feature.to_string())
    }

    pub(crate) fn key(key: &str, expected: impl fmt::Display, found: impl fmt::Display) -> Fault {
        let (key, expected, found) = (key.to_owned(), expected.to_string(), found.to_string());
        Fault::Malformed(Problem::Key { key, expected, found })
    }

    pub(crate) fn number(what: impl fmt::Display, value: impl Into<i128>, bound: impl fmt::Display) -> Fault {
        let (what, value, bound) = (what.to_string(), value.into(), bound.to_string());
        Fault::Malformed(Problem::Number { what, value, bound })
    }
}

impl From<std::io::Error> for Fault {
    fn from(source: std::io::Error) -> Self {
        Fault::Read(source)
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Fault::Malformed(problem)
    }
}
