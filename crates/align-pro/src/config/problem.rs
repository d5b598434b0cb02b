//! What is wrong with a configuration, where, and how to mend it.

use std::fmt;

/// One fault of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", where_from(.place.as_ref(), .key))]
pub(crate) struct Problem {
    pub(super) place: Option<Place>,
    /// The dotted key; empty where the fault is the file's.
    pub(super) key: String,
    pub(super) problem: String,
    pub(super) hint: Option<String>,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A line of the file, counted from 1.
    Line(usize),
    /// A flag.
    Set,
}

impl Problem {
    pub(super) fn new(place: Option<Place>, key: impl Into<String>, problem: impl Into<String>) -> Problem {
        Problem { place, key: key.into(), problem: problem.into(), hint: None }
    }

    pub(super) fn with_hint(self, hint: impl Into<String>) -> Problem {
        Problem { hint: Some(hint.into()), ..self }
    }

    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(line) => write!(formatter, "line {line}"),
            Place::Set => formatter.write_str("flag `--set`"),
        }
    }
}

fn where_from(place: Option<&Place>, key: &str) -> String {
    let place = place.map(Place::to_string);
    let key = (!key.is_empty()).then(|| format!("`{key}`"));
    match [place, key].into_iter().flatten().collect::<Vec<_>>().join(", ") {
        nowhere if nowhere.is_empty() => nowhere,
        somewhere => format!("{somewhere}: "),
    }
}
