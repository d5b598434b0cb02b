//! What can be wrong with a batch, by place.

use serde_json::Value;

use crate::commands::lab::table_file::{TableError, kind_of, nearest};

/// A batch that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("{place} must be {expected}, found {found}")]
    Type { place: String, expected: &'static str, found: String },
    #[error("the field `method` is missing")]
    NoMethod,
    #[error("there is no {kind} `{found}`")]
    Unknown { kind: &'static str, found: String, known: Vec<&'static str> },
    #[error("method `{method}` has no option `{found}`")]
    UnknownOption { method: &'static str, found: String, known: Vec<&'static str> },
    #[error("method `{method}` needs the field `{field}`{reason}")]
    MissingField { method: &'static str, field: &'static str, reason: &'static str },
    #[error("method `{method}` needs the option `{option}`")]
    MissingOption { method: &'static str, option: &'static str },
    #[error("`{place}` has {found} where `{like}` has {expected}")]
    Length { place: String, found: String, like: String, expected: String },
    #[error("`{field}` is empty")]
    Empty { field: &'static str },
    #[error("option `{option}` cannot be `{found}`")]
    Choice { option: &'static str, found: String, allowed: &'static str },
    #[error("`{field}[{entry}]` must be {expected}, found {found}")]
    Entry { field: &'static str, entry: usize, expected: &'static str, found: f64 },
    #[error("`{one}` and `{other}` cannot be given together")]
    Both { one: &'static str, other: &'static str },
    #[error("the result is too large for a number: {what} is not finite")]
    Overflow { what: &'static str },
    #[error("{place}")]
    Group { place: String, source: objective::Error },
    #[error(transparent)]
    Objective(#[from] objective::Error),
}

impl Problem {
    pub(super) fn of_type(place: String, expected: &'static str, found: &Value) -> Self {
        let found = match found {
            Value::Number(value) => value.to_string(),
            Value::String(value) => format!("`{value}`"),
            other => kind_of(other).to_owned(),
        };
        Problem::Type { place, expected, found }
    }

    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Problem::Unknown { found, known, .. } | Problem::UnknownOption { found, known, .. } => {
                Some(match nearest(found, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => "it has none".to_owned(),
                    None => format!("known: {}", known.join(", ")),
                })
            }
            Problem::Choice { allowed, .. } => Some(format!("it may be {allowed}")),
            Problem::NoMethod | Problem::MissingField { .. } | Problem::MissingOption { .. } => {
                Some("`align-pro lab objective --schema` lists fields and options of every method".to_owned())
            }
            Problem::Table(_)
            | Problem::Type { .. }
            | Problem::Length { .. }
            | Problem::Empty { .. }
            | Problem::Entry { .. }
            | Problem::Both { .. }
            | Problem::Overflow { .. }
            | Problem::Group { .. }
            | Problem::Objective(_) => None,
        }
    }
}
