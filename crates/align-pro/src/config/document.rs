//! A configuration as it was written: the file and the flags, every key with its place.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::problem::{Place, Problem};

/// The file with the flags laid over it.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) table: Table,
    places: BTreeMap<Vec<String>, Place>,
}

/// A flag of more levels is nobody's configuration; tables within tables without end would exhaust the stack, which in
/// files the parser sees to.
const MOST_LEVELS: usize = 32;

impl Document {
    pub(super) fn parse(text: &str) -> Result<Document, Problem> {
        let refused = |what: &str, error: &toml::de::Error| {
            let line = error.span().map(|span| Place::Line(line_of(text, span.start)));
            Problem::new(line, "", format!("{what}: {}", one_line(error.message())))
        };
        let spans = DeTable::parse(text).map_err(|error| refused("not TOML", &error))?;
        let mut places = BTreeMap::new();
        collect_places(spans.get_ref(), text, &mut Vec::new(), &mut places);
        Ok(Document { table: toml::from_str(text).map_err(|error| refused("cannot read a value", &error))?, places })
    }

    /// Lays `KEY=VALUE` over what was there.
    pub(super) fn set(&mut self, assignment: &str) -> Result<(), Problem> {
        let shape = || Problem::new(Some(Place::Set), "", format!("expected KEY=VALUE, found `{assignment}`"));
        let example = "for example `--set prompter.temperature=0.8`";
        let (key, value) = assignment.split_once('=').ok_or_else(|| shape().with_hint(example))?;
        let keys: Vec<String> = key.split('.').map(|part| part.trim().to_owned()).collect();
        if keys.iter().any(String::is_empty) || keys.len() > MOST_LEVELS {
            return Err(shape().with_hint(example));
        }
        let value = parse_value(value.trim()).map_err(|problem| {
            Problem::new(Some(Place::Set), joined(&keys), format!("not a value: {problem}"))
                .with_hint("text that begins with a quote or a bracket stands in quotes of its own: `'KEY=\"[…\"'`")
        })?;
        let (last, parents) = keys.split_last().ok_or_else(shape)?;
        let mut table = &mut self.table;
        for (level, parent) in parents.iter().enumerate() {
            if !table.contains_key(parent) {
                self.places.insert(keys[..=level].to_vec(), Place::Set);
            }
            table = match table.entry(parent).or_insert_with(|| Value::Table(Table::new())) {
                Value::Table(inner) => inner,
                other => {
                    let problem = format!("expected a table, found {}", told(other));
                    return Err(Problem::new(Some(Place::Set), joined(&keys[..=level]), problem));
                }
            };
        }
        table.insert(last.clone(), value);
        self.places.retain(|place, _| !place.starts_with(&keys));
        self.places.insert(keys, Place::Set);
        Ok(())
    }

    /// Where a key was written, or else the table that it belongs into.
    pub(super) fn place(&self, keys: &[String]) -> Option<Place> {
        (1..=keys.len()).rev().find_map(|length| self.places.get(&keys[..length])).cloned()
    }

    /// Where one of these keys of a table was written that are too many together: the flag, if one of them is a flag's, for the
    /// file was sound without it.
    pub(super) fn place_among<'a>(&self, table: &[String], keys: impl IntoIterator<Item = &'a str>) -> Option<Place> {
        let place = |key: &str| self.place(&[table, &[key.to_owned()]].concat());
        keys.into_iter().filter_map(place).find(|place| *place == Place::Set).or_else(|| self.place(table))
    }

    /// The same for a dotted key.
    pub(super) fn place_of(&self, key: &str) -> Option<Place> {
        self.place(&key.split('.').map(str::to_owned).collect::<Vec<_>>())
    }
}

/// Keys as they are written with dots.
pub(super) fn joined(keys: &[String]) -> String {
    let is_bare = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
    let part = |key: &String| if is_bare(key) { key.clone() } else { format!("{:?}", shortened(key)) };
    keys.iter().map(part).collect::<Vec<_>>().join(".")
}

/// A value as messages show it.
pub(super) fn told(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the text {:?}", shortened(text)),
        Value::Integer(_) | Value::Boolean(_) => value.to_string(),
        Value::Float(number) => format!("{number:?}").to_lowercase(),
        Value::Datetime(_) => "a date".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}

fn shortened(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The line, counted from 1, of a position in bytes.
pub(super) fn line_of(text: &str, position: usize) -> usize {
    1 + text.bytes().take(position).filter(|&byte| byte == b'\n').count()
}

/// A value in TOML's spelling, or a word or sentence as it is.
fn parse_value(text: &str) -> Result<Value, String> {
    match text.parse() {
        Ok(value) => Ok(value),
        Err(error) if text.starts_with(['"', '\'', '[', '{']) => Err(one_line(error.message())),
        Err(_) => Ok(Value::String(text.to_owned())),
    }
}

fn collect_places(table: &DeTable<'_>, text: &str, keys: &mut Vec<String>, places: &mut BTreeMap<Vec<String>, Place>) {
    for (key, value) in table {
        keys.push(key.get_ref().to_string());
        places.insert(keys.clone(), Place::Line(line_of(text, key.span().start)));
        if let DeValue::Table(inner) = value.get_ref() {
            collect_places(inner, text, keys, places);
        }
        keys.pop();
    }
}
