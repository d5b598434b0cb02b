//! What can go wrong with prompts, rewards and their arguments, and what to do about it.

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
}
