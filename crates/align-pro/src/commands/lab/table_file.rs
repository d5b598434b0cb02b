//! Reading tables of numbers from JSON, with the place of whatever is wrong.

use serde_json::{Map, Value};

/// What can be wrong with a file of tables.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(crate) enum TableError {
    #[error("not JSON: {0}")]
    Syntax(String),
    #[error("the file must hold one JSON object, found {found}")]
    NotAnObject { found: &'static str },
    #[error("unknown field `{field}`{}", suggestion(nearest.as_deref()))]
    UnknownField { field: String, nearest: Option<String> },
    #[error("`{field}` is missing")]
    Missing { field: &'static str },
    #[error("`{place}` must be {expected}, found {found}")]
    Kind { place: String, expected: &'static str, found: String },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!(", did you mean `{nearest}`?")).unwrap_or_default()
}

/// The fields of a JSON object that holds tables.
#[derive(Debug)]
pub(crate) struct Tables {
    fields: Map<String, Value>,
}

impl Tables {
    /// Parses a file whose fields are among `known`.
    pub(crate) fn parse(text: &str, known: &[&str]) -> Result<Self, TableError> {
        let fields = parse_object(text)?;
        match fields.keys().find(|field| !known.contains(&field.as_str())) {
            Some(field) => Err(TableError::UnknownField { field: field.clone(), nearest: nearest(field, known) }),
            None => Ok(Tables { fields }),
        }
    }

    /// A field that must be there.
    pub(crate) fn required<T: Table>(&self, field: &'static str) -> Result<T, TableError> {
        self.optional(field)?.ok_or(TableError::Missing { field })
    }

    /// A field that may be absent or null.
    pub(crate) fn optional<T: Table>(&self, field: &'static str) -> Result<Option<T>, TableError> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::read(value, field).map(Some),
        }
    }
}

/// Parses a file that holds one JSON object.
pub(crate) fn parse_object(text: &str) -> Result<Map<String, Value>, TableError> {
    let parsed = serde_json::from_str(text).or_else(|error| {
        // Python writes NaN and Infinity, which no JSON reader takes: quoted, they are refused at their place.
        serde_json::from_str(&quote_bare_words(text)).map_err(|_| TableError::Syntax(error.to_string()))
    })?;
    match parsed {
        Value::Object(fields) => Ok(fields),
        other => Err(TableError::NotAnObject { found: kind_of(&other) }),
    }
}

/// A number, or a table of any depth.
pub(crate) trait Table: Sized {
    /// Reads it from the JSON value at `place`.
    fn read(value: &Value, place: &str) -> Result<Self, TableError>;
}

impl Table for f64 {
    fn read(value: &Value, place: &str) -> Result<Self, TableError> {
        value.as_f64().ok_or_else(|| TableError::Kind {
            place: place.to_owned(),
            expected: "a finite number",
            found: match value {
                Value::String(word) if BARE_WORDS.contains(&word.as_str()) => word.clone(),
                other => kind_of(other).to_owned(),
            },
        })
    }
}

impl<T: Table> Table for Vec<T> {
    fn read(value: &Value, place: &str) -> Result<Self, TableError> {
        let entries = value.as_array().ok_or_else(|| TableError::Kind {
            place: place.to_owned(),
            expected: "a list",
            found: kind_of(value).to_owned(),
        })?;
        entries.iter().enumerate().map(|(index, entry)| T::read(entry, &format!("{place}[{index}]"))).collect()
    }
}

impl Table for [f64; 2] {
    fn read(value: &Value, place: &str) -> Result<Self, TableError> {
        let entries = Vec::read(value, place)?;
        entries.try_into().map_err(|entries: Vec<f64>| TableError::Kind {
            place: place.to_owned(),
            expected: "a list of two numbers",
            found: format!("{}", entries.len()),
        })
    }
}

pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Longest first, so that none is the start of a later one.
const BARE_WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// The text with every bare word outside strings put in quotes.
fn quote_bare_words(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    let (mut rest, mut in_string, mut escaped) = (text, false, false);
    while let Some(character) = rest.chars().next() {
        let word = BARE_WORDS.iter().find(|word| !in_string && rest.starts_with(**word));
        if let Some(word) = word {
            quoted += &format!("\"{word}\"");
            rest = &rest[word.len()..];
            continue;
        }
        in_string ^= character == '"' && !escaped;
        escaped = in_string && character == '\\' && !escaped;
        quoted.push(character);
        rest = &rest[character.len_utf8()..];
    }
    quoted
}

/// The known name that `field` was probably meant to be.
pub(crate) fn nearest(field: &str, known: &[&str]) -> Option<String> {
    let distance = |name: &&&str| edits(field, name);
    let best = known.iter().min_by_key(distance)?;
    (edits(field, best) <= 1 + best.len() / 3).then(|| (*best).to_owned())
}

/// Levenshtein's distance, case and separators aside.
fn edits(one: &str, other: &str) -> usize {
    let plain = |name: &str| name.to_lowercase().replace('-', "_").chars().collect::<Vec<_>>();
    let (one, other) = (plain(one), plain(other));
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, left) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in other.iter().enumerate() {
            let substituted = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Vec<f64>>, TableError> {
        Tables::parse(text, &["rho_ref", "reward"])?.required("rho_ref")
    }

    #[test]
    fn numbers_that_json_lacks_are_told_with_their_place() {
        let told = read(r#"{"reward": "not a NaN \" here", "rho_ref": [[0.5, 0.5], [0.1, -Infinity]]}"#);
        assert_eq!(told.unwrap_err().to_string(), "`rho_ref[1][1]` must be a finite number, found -Infinity");
        assert!(read("{\"rho_ref\": [[0.5,,]]}").unwrap_err().to_string().contains("at line 1 column 1"));
    }

    #[test]
    fn wrong_kinds_and_names_are_told() {
        assert_eq!(read("[]").unwrap_err().to_string(), "the file must hold one JSON object, found a list");
        assert_eq!(read("{}").unwrap_err().to_string(), "`rho_ref` is missing");
        let told = read(r#"{"rho_ref": [0.5]}"#).unwrap_err().to_string();
        assert_eq!(told, "`rho_ref[0]` must be a list, found a number");
        let told = read(r#"{"rhoRef": [[1]]}"#).unwrap_err().to_string();
        assert_eq!(told, "unknown field `rhoRef`, did you mean `rho_ref`?");
        let told = read(r#"{"temperature": 1}"#).unwrap_err().to_string();
        assert_eq!(told, "unknown field `temperature`");
    }
}
