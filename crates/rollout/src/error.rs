//! What can go wrong with prompts, rewards and their arguments, and what to do about it.

use std::path::PathBuf;

use crate::data::BadRow;
use crate::reward::CommandError;

/// Everything a caller of this crate can act on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A constraint type nobody checks.
    #[error("unknown constraint `{id}`; the closest known one is `{closest}`")]
    UnknownConstraint {
        /// The id as given, `group:name`.
        id: String,
        /// The id a user may have meant.
        closest: &'static str,
    },
    /// A constraint lacks an argument.
    #[error("constraint `{id}` needs the argument `{argument}`")]
    MissingArgument {
        /// The constraint's id.
        id: &'static str,
        /// The argument's name.
        argument: &'static str,
    },
    /// A constraint was given an argument it does not know; nulls are ignored.
    #[error("constraint `{id}` has no argument `{argument}`")]
    UnexpectedArgument {
        /// The constraint's id.
        id: &'static str,
        /// The argument's name as given.
        argument: String,
    },
    /// A constraint's argument has the wrong type or a value that cannot be checked.
    #[error("constraint `{id}`, argument `{argument}`: expected {expected}, found `{found}`")]
    WrongArgument {
        /// The constraint's id.
        id: &'static str,
        /// The argument's name.
        argument: &'static str,
        /// What would do.
        expected: &'static str,
        /// The value as given, in JSON.
        found: String,
    },
    /// A record's field is missing or is not what a reward needs.
    #[error("prompt `{record}`, field `{field}`: expected {expected}, found {found}")]
    Field {
        /// The record's id.
        record: String,
        /// The field's name.
        field: String,
        /// What would do.
        expected: &'static str,
        /// What is there, in JSON, or `nothing`.
        found: String,
    },
    /// A prompt's constraint ids and their arguments do not pair up.
    #[error("prompt `{record}` has {n_ids} constraint ids but {n_arguments} sets of arguments")]
    UnpairedArguments {
        /// The record's id.
        record: String,
        /// Number of ids.
        n_ids: usize,
        /// Number of argument objects.
        n_arguments: usize,
    },
    /// A constraint of a prompt is wrong; the source says how.
    #[error("prompt `{record}`, constraint {position}")]
    Constraint {
        /// The record's id.
        record: String,
        /// Position in the prompt's list, counted from 1.
        position: usize,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// A pattern is not a regular expression of the `regex` crate.
    #[error("cannot use the pattern `{pattern}`")]
    Pattern {
        /// The pattern as given.
        pattern: String,
        /// Why.
        source: Box<regex::Error>,
    },
    /// A JSON schema uses what the known subset has not.
    #[error("JSON schema, `{place}`: {problem}")]
    Schema {
        /// Where in the schema, as a JSON pointer.
        place: String,
        /// What is wrong there.
        problem: String,
    },
    /// A file could not be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of prompts in a format this crate does not read.
    #[error("`{path}` is not JSONL, JSON, CSV or Parquet by its name, plain or packed as .gz or .zst")]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// A file of prompts has more unusable rows than allowed.
    #[error("`{path}` has more unusable rows than the {limit} that `max-bad-rows` allows; {}", first(.bad_rows))]
    TooManyBadRows {
        /// The file.
        path: PathBuf,
        /// How many are allowed.
        limit: usize,
        /// Those read so far, one more than allowed.
        bad_rows: Vec<BadRow>,
    },
    /// A file could not be written.
    #[error("cannot write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that only grows has become shorter than it was.
    #[error("`{path}` has {found} bytes, fewer than the {expected} it had")]
    Shortened {
        /// The file.
        path: PathBuf,
        /// Bytes it had.
        expected: u64,
        /// Bytes it has.
        found: u64,
    },
    /// A line of a file of events is not an event.
    #[error("`{path}`, line {line}: not an event")]
    Event {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// The engine, the tokenizer or the chat template refused.
    #[error("the model `{model}` cannot do this")]
    Model {
        /// Its name.
        model: String,
        /// Why.
        source: Box<lm::Error>,
    },
    /// A message of a role that chat templates of local models do not know.
    #[error("no local model knows messages of the role `{role}`; there are system, user, assistant")]
    Role {
        /// The role.
        role: String,
    },
    /// A journal cannot be used.
    #[error("cannot use the journal `{path}`")]
    Journal {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// An endpoint did not answer, or is not to be asked any more.
    #[error(transparent)]
    Endpoint(#[from] endpoint::Error),
    /// A program that gives a reward does not start, or gives none.
    #[error(transparent)]
    Command(Box<CommandError>),
    /// A reward that says it is done, and is not.
    #[error("a reward left exchanges without a score; this is a bug in it")]
    Unscored,
    /// A journal of scores holds something else.
    #[error("`{path}` holds what is no score; remove it, and rewards are asked for anew")]
    StoredScore {
        /// The journal.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A judge could not be asked; the source says why.
    #[error("the judge does not answer")]
    Judge {
        /// Why.
        source: Box<Error>,
    },
    /// A target that says it is done, and is not.
    #[error("the target left calls without an answer; this is a bug in it")]
    Unanswered,
    /// A database where a journal should be.
    #[error("`{path}` is a database of something else, not a journal of calls")]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// A journal that another version of the program wrote.
    #[error("the journal `{path}` has version {found} of its tables; this version of align-pro knows {known} only")]
    JournalSchema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// The version known here.
        known: i32,
    },
    /// A statistic cannot be computed.
    #[error("cannot compute {what}")]
    Statistic {
        /// Which.
        what: &'static str,
        /// Why.
        source: Box<theory::Error>,
    },
    /// A template has a brace that belongs to no slot.
    #[error("a brace that begins or ends no slot: `{excerpt}`; write it twice to mean itself")]
    StrayBrace {
        /// The template from there on.
        excerpt: String,
    },
    /// A template has a slot that nothing fills.
    #[error("no slot is called `{slot}`; there are {}", .known.join(", "))]
    UnknownSlot {
        /// The slot's name.
        slot: String,
        /// The names that can be filled.
        known: Vec<String>,
    },
    /// A reward model has no such attribute, or several of which none was named.
    #[error("{}; there are {}", unknown_attribute(.name.as_deref()), .known.join(", "))]
    UnknownAttribute {
        /// The name asked for.
        name: Option<String>,
        /// The names there are.
        known: Vec<String>,
    },
    /// No prompt can be made under the given restrictions.
    #[error("the split `{split}` has none of the constraint types {}", .types.join(", "))]
    NoTypes {
        /// The split asked for.
        split: &'static str,
        /// The types asked for.
        types: Vec<String>,
    },
    /// Fewer different prompts can be made than were asked for.
    #[error("only {n_made} of {n} different prompts could be made")]
    TooFewPrompts {
        /// How many there are.
        n_made: usize,
        /// How many were asked for.
        n: usize,
    },
}

fn unknown_attribute(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("the reward model has no attribute `{name}`"),
        None => "the reward model has several attributes, one of which must be named".to_owned(),
    }
}

impl From<CommandError> for Error {
    fn from(error: CommandError) -> Error {
        Error::Command(Box::new(error))
    }
}

fn first(bad_rows: &[BadRow]) -> String {
    bad_rows.first().map_or(String::new(), |row| format!("the first is {row}"))
}
