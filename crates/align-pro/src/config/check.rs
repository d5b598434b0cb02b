//! Holding what was written against the table of fields: unknown keys, types, limits; and filling in what is not there.

use std::ops::Bound;
use std::path::Path;

use lm::{HubRepository, KnownModel};
use toml::{Table, Value};

use super::document::{Document, joined, told};
use super::fields::{Absent, Field, Kind, ROOT};
use super::problem::Problem;
use super::suggest::{closest, place_elsewhere};

/// The document with every default of the table, and paths from `folder` on. Defaults that depend on other keys are left
/// to the rules.
pub(super) fn checked(document: &Document, folder: &Path) -> Result<Table, Problem> {
    let checker = Checker { document, folder };
    checker.table(ROOT.fields(), &document.table, &mut Vec::new())
}

struct Checker<'a> {
    document: &'a Document,
    folder: &'a Path,
}

impl Checker<'_> {
    fn problem(&self, keys: &[String], problem: impl Into<String>) -> Problem {
        Problem::new(self.document.place(keys), joined(keys), problem)
    }

    fn table(&self, fields: &'static [Field], table: &Table, keys: &mut Vec<String>) -> Result<Table, Problem> {
        if let Some(unknown) = table.keys().find(|key| fields.iter().all(|field| field.name != *key)) {
            keys.push(unknown.clone());
            return Err(self.problem(keys, "unknown key").with_hint(suggestion(unknown, fields)));
        }
        let mut filled = Table::new();
        for field in fields {
            keys.push(field.name.to_owned());
            let value = match table.get(field.name) {
                Some(value) => Some(self.value(field, &field.kind, value, keys)?),
                None => self.absent(field, keys)?,
            };
            filled.extend(value.map(|value| (field.name.to_owned(), value)));
            keys.pop();
        }
        Ok(filled)
    }

    fn absent(&self, field: &'static Field, keys: &mut Vec<String>) -> Result<Option<Value>, Problem> {
        match field.absent {
            Absent::Nothing | Absent::Rule(_) => Ok(None),
            Absent::Refused => Err(self.problem(keys, "missing").with_hint(how_to_write(field, keys))),
            Absent::Value(text) => {
                let value = text.parse().map_err(|_| self.problem(keys, "has a default that is not TOML"))?;
                self.value(field, &field.kind, &value, keys).map(Some)
            }
        }
    }

    fn one_of(&self, field: &'static Field, table: &Table, keys: &mut Vec<String>) -> Result<Table, Problem> {
        let fields = field.kind.fields();
        let mut names = table.keys();
        match (names.next(), names.next()) {
            (None, _) => Err(self.problem(keys, "empty").with_hint(how_to_write(field, keys))),
            (Some(name), None) if fields.iter().any(|field| field.name == name) => self.table(fields, table, keys),
            (Some(name), None) => {
                keys.push(name.clone());
                let problem = format!("unknown {}", field.name);
                Err(self.problem(keys, problem).with_hint(suggestion(name, fields)))
            }
            (Some(one), Some(other)) => {
                let problem = format!("has both `{one}` and `{other}`, and exactly one is allowed");
                let place = self.document.place_among(keys, [one.as_str(), other]);
                Err(Problem::new(place, joined(keys), problem).with_hint(format!("keep one of {}", every(fields))))
            }
        }
    }

    fn some_of(&self, field: &'static Field, table: &Table, keys: &mut Vec<String>) -> Result<Table, Problem> {
        let fields = field.kind.fields();
        if table.is_empty() {
            return Err(self.problem(keys, "empty").with_hint(how_to_write(field, keys)));
        }
        match table.keys().find(|name| fields.iter().all(|field| field.name != *name)) {
            Some(name) => {
                keys.push(name.clone());
                let problem = format!("unknown {}", field.name);
                Err(self.problem(keys, problem).with_hint(suggestion(name, fields)))
            }
            None => self.table(fields, table, keys),
        }
    }

    fn value(
        &self,
        field: &'static Field,
        kind: &'static Kind,
        value: &Value,
        keys: &mut Vec<String>,
    ) -> Result<Value, Problem> {
        let wrong = |expected: &str| self.problem(keys, format!("expected {expected}, found {}", told(value)));
        match (kind, value) {
            (Kind::Table(fields), Value::Table(table)) => self.table(fields, table, keys).map(Value::Table),
            (Kind::OneOf(_), Value::Table(table)) => self.one_of(field, table, keys).map(Value::Table),
            (Kind::SomeOf(_), Value::Table(table)) => self.some_of(field, table, keys).map(Value::Table),
            (Kind::Table(_) | Kind::OneOf(_) | Kind::SomeOf(_), _) => Err(wrong("a table")),
            (Kind::Json, _) => Ok(value.clone()),
            (Kind::List(least, _), Value::Array(items)) if items.len() < *least => {
                Err(self.problem(keys, format!("needs at least {least}, found an empty list")))
            }
            (Kind::List(_, kind), Value::Array(items)) => self.list(field, kind, items, keys),
            (Kind::List(..), _) => Err(wrong("a list")),
            (Kind::Argv, Value::Array(items)) => self.argv(field, items, keys),
            (Kind::Argv, _) => {
                Err(wrong("a list").with_hint("each argument is a text of its own: `['python3', 'score.py']`"))
            }
            (Kind::Text, Value::String(_)) => Ok(value.clone()),
            (Kind::Name | Kind::Path | Kind::Model, Value::String(text)) if text.trim().is_empty() => {
                Err(self.problem(keys, "must not be empty"))
            }
            (Kind::Name, Value::String(_)) => Ok(value.clone()),
            (Kind::Path, Value::String(path)) => self.absolute(path, keys),
            (Kind::Model, Value::String(name)) => {
                if is_model_path(name, self.folder) {
                    self.absolute(name, keys)
                } else {
                    Ok(value.clone())
                }
            }
            (Kind::Choice(names), Value::String(name)) if names.contains(&name.as_str()) => Ok(value.clone()),
            (Kind::Choice(names), Value::String(name)) => {
                let problem = wrong(&format!("one of {}", quoted(names)));
                Err(match closest(name, names.iter().copied()) {
                    Some(closest) => problem.with_hint(format!("did you mean `{closest}`?")),
                    None => problem,
                })
            }
            (Kind::Text | Kind::Name | Kind::Path | Kind::Model | Kind::Choice(_), _) => {
                Err(wrong("text").with_hint("text stands in quotes"))
            }
            (Kind::Whole(least, most), Value::Integer(number)) => {
                let inside = u64::try_from(*number).is_ok_and(|number| (*least..=*most).contains(&number));
                if inside { Ok(value.clone()) } else { Err(wrong(&format!("a whole number {}", range(*least, *most)))) }
            }
            (Kind::Whole(..), _) => Err(wrong("a whole number")),
            (Kind::Number(low, high), Value::Integer(_) | Value::Float(_)) => {
                let number = as_number(value);
                // The engine computes in 32 bits, where a number may lie outside its limits though it lies inside in 64.
                let single = number as f32;
                if !single.is_finite() {
                    return Err(wrong("a number that 32 bits can hold"));
                }
                let inside = [number, f64::from(single)].iter().all(|number| is_inside(*number, *low, *high));
                if inside { Ok(Value::Float(number)) } else { Err(wrong(&format!("a number {}", limits(*low, *high)))) }
            }
            (Kind::Number(..), _) => Err(wrong("a number")),
        }
    }

    fn list(
        &self,
        field: &'static Field,
        kind: &'static Kind,
        items: &[Value],
        keys: &mut Vec<String>,
    ) -> Result<Value, Problem> {
        if let Some((_, twice)) = items.iter().enumerate().find(|(index, item)| items[..*index].contains(item)) {
            return Err(self.problem(keys, format!("has {} twice", told(twice))));
        }
        items.iter().map(|item| self.value(field, kind, item, keys)).collect::<Result<_, _>>().map(Value::Array)
    }

    fn argv(&self, field: &'static Field, items: &[Value], keys: &mut Vec<String>) -> Result<Value, Problem> {
        if items.is_empty() {
            return Err(self.problem(keys, "needs at least a program, found an empty list"));
        }
        let word = |(index, item)| self.value(field, if index == 0 { &Kind::Name } else { &Kind::Text }, item, keys);
        items.iter().enumerate().map(word).collect::<Result<_, _>>().map(Value::Array)
    }

    fn absolute(&self, path: &str, keys: &[String]) -> Result<Value, Problem> {
        let absolute = std::path::absolute(self.folder.join(path))
            .map_err(|error| self.problem(keys, format!("cannot make `{path}` an absolute path: {error}")))?;
        match absolute.to_str() {
            Some(absolute) => Ok(Value::String(absolute.to_owned())),
            None => Err(self.problem(keys, "lies in a folder whose name is not UTF-8")),
        }
    }
}

/// Whether a model's name can only be meant as a place on the disk, from `folder` on.
pub(crate) fn is_model_path(name: &str, folder: &Path) -> bool {
    let is_name = KnownModel::named(name).is_some() || HubRepository::parse(name).is_some();
    let looks_like_one = name.contains(['/', '\\']) && !name.starts_with("hf:");
    !is_name && (looks_like_one || folder.join(name).exists())
}

/// A number of either kind.
pub(super) fn as_number(value: &Value) -> f64 {
    match value {
        Value::Integer(number) => *number as f64,
        Value::Float(number) => *number,
        _ => f64::NAN,
    }
}

fn is_inside(number: f64, low: Bound<f64>, high: Bound<f64>) -> bool {
    let above = match low {
        Bound::Included(least) => number >= least,
        Bound::Excluded(limit) => number > limit,
        Bound::Unbounded => true,
    };
    let below = match high {
        Bound::Included(most) => number <= most,
        Bound::Excluded(limit) => number < limit,
        Bound::Unbounded => true,
    };
    above && below
}

fn limits(low: Bound<f64>, high: Bound<f64>) -> String {
    if let (Bound::Included(least), Bound::Included(most)) = (low, high) {
        return format!("from {least} to {most}");
    }
    let low = match low {
        Bound::Included(least) => Some(format!("of at least {least}")),
        Bound::Excluded(limit) => Some(format!("above {limit}")),
        Bound::Unbounded => None,
    };
    let high = match high {
        Bound::Included(most) => Some(format!("of at most {most}")),
        Bound::Excluded(limit) => Some(format!("below {limit}")),
        Bound::Unbounded => None,
    };
    [low, high].into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

fn range(least: u64, most: u64) -> String {
    if most >= i64::MAX as u64 { format!("of at least {least}") } else { format!("from {least} to {most}") }
}

fn suggestion(name: &str, fields: &'static [Field]) -> String {
    match closest(name, fields.iter().map(|field| field.name)) {
        Some(closest) => format!("did you mean `{closest}`?"),
        None => match place_elsewhere(name) {
            Some(place) => format!("`{name}` belongs into `[{place}]`"),
            None => format!("there are {}", every(fields)),
        },
    }
}

fn how_to_write(field: &Field, keys: &[String]) -> String {
    let key = joined(keys);
    let about = field.about;
    match &field.kind {
        Kind::OneOf(fields) | Kind::SomeOf(fields) => {
            let tables = fields.iter().map(|field| format!("`[{key}.{}]`", field.name)).collect::<Vec<_>>();
            format!("add {}. {about}", tables.join(" or "))
        }
        Kind::Table(_) => format!("add `[{key}]`. {about}"),
        _ => format!("add `{} = …`. {about}", field.name),
    }
}

fn every(fields: &[Field]) -> String {
    quoted(&fields.iter().map(|field| field.name).collect::<Vec<_>>())
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
