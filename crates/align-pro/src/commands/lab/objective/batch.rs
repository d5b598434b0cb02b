//! The fields of a batch: read once, checked for type and shape, with the place in every complaint.

use std::cell::RefCell;
use std::collections::BTreeSet;

use objective::MethodId;
use serde_json::{Map, Value};

use super::problem::Problem;
use super::schema;
use crate::commands::lab::table_file::Table;

/// A batch whose method and field names are known to be right.
pub(super) struct Batch<'a> {
    pub(super) method: MethodId,
    fields: &'a Map<String, Value>,
    read: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Batch<'a> {
    pub(super) fn read(fields: &'a Map<String, Value>) -> Result<Self, Problem> {
        let known: Vec<&'static str> =
            schema::EVERY_FIELD.iter().map(|field| field.name).chain(["method", "options"]).collect();
        if let Some(found) = fields.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(Problem::Unknown { kind: "field", found: found.clone(), known });
        }
        let method = match fields.get("method") {
            None => return Err(Problem::NoMethod),
            Some(Value::String(name)) => MethodId::from_name(name).ok_or_else(|| Problem::Unknown {
                kind: "method",
                found: name.clone(),
                known: MethodId::ALL.map(MethodId::name).to_vec(),
            })?,
            Some(other) => return Err(Problem::of_type("`method`".to_owned(), "a string", other)),
        };
        Ok(Batch { method, fields, read: RefCell::default() })
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// Fields that were given and that nothing asked for.
    pub(super) fn unread(&self) -> Vec<String> {
        let read = self.read.borrow();
        let is_data = |key: &&String| !["method", "options"].contains(&key.as_str());
        self.fields.keys().filter(is_data).filter(|key| !read.contains(key.as_str())).cloned().collect()
    }

    fn value(&self, field: &'static str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(field);
        self.fields.get(field)
    }

    pub(super) fn missing(&self, field: &'static str, reason: &'static str) -> Problem {
        Problem::MissingField { method: self.method.name(), field, reason }
    }

    /// A vector of numbers, if given.
    pub(super) fn vector(&self, field: &'static str) -> Result<Option<Vec<f64>>, Problem> {
        Ok(self.value(field).map(|value| Table::read(value, field)).transpose()?)
    }

    /// A vector of numbers, which must be there and not empty.
    pub(super) fn needed_vector(&self, field: &'static str, reason: &'static str) -> Result<Vec<f64>, Problem> {
        let column = self.vector(field)?.ok_or_else(|| self.missing(field, reason))?;
        if column.is_empty() { Err(Problem::Empty { field }) } else { Ok(column) }
    }

    /// Rows of numbers, if given.
    pub(super) fn rows(&self, field: &'static str) -> Result<Option<Vec<Vec<f64>>>, Problem> {
        Ok(self.value(field).map(|value| Table::read(value, field)).transpose()?)
    }

    /// Rows of numbers, of which there must be at least one.
    pub(super) fn needed_rows(&self, field: &'static str, reason: &'static str) -> Result<Vec<Vec<f64>>, Problem> {
        let rows = self.rows(field)?.ok_or_else(|| self.missing(field, reason))?;
        if rows.is_empty() { Err(Problem::Empty { field }) } else { Ok(rows) }
    }

    /// Whether a field is a list of lists rather than a list of numbers.
    pub(super) fn is_nested(&self, field: &str) -> bool {
        self.fields.get(field).and_then(Value::as_array).and_then(|rows| rows.first()).is_some_and(Value::is_array)
    }
}

fn entries(count: usize) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

/// Refuses a vector that does not have as many entries as its companion.
pub(super) fn same_length<T, U>((field, column): (&str, &[T]), (like, companion): (&str, &[U])) -> Result<(), Problem> {
    if column.len() == companion.len() {
        return Ok(());
    }
    Err(Problem::Length {
        place: field.to_owned(),
        found: entries(column.len()),
        like: like.to_owned(),
        expected: companion.len().to_string(),
    })
}

/// Refuses rows whose number or lengths differ from those of their companion.
pub(super) fn same_rows(field: (&str, &[Vec<f64>]), like: (&str, &[Vec<f64>])) -> Result<(), Problem> {
    same_length(field, like)?;
    let uneven = field.1.iter().zip(like.1).position(|(row, companion)| row.len() != companion.len());
    let Some(row) = uneven else { return Ok(()) };
    Err(Problem::Length {
        place: format!("{}[{row}]", field.0),
        found: entries(field.1[row].len()),
        like: format!("{}[{row}]", like.0),
        expected: like.1[row].len().to_string(),
    })
}

/// Refuses rows that are not all as long as the first.
pub(super) fn rectangular(field: &str, rows: &[Vec<f64>]) -> Result<(), Problem> {
    let Some(first) = rows.first() else { return Ok(()) };
    let Some(row) = rows.iter().position(|row| row.len() != first.len()) else { return Ok(()) };
    Err(Problem::Length {
        place: format!("{field}[{row}]"),
        found: entries(rows[row].len()),
        like: format!("{field}[0]"),
        expected: first.len().to_string(),
    })
}
