//! Prompts from files: JSONL, JSON, CSV and Parquet, plain or packed with gzip or Zstandard.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use serde_json::Value;

use super::parquet::Table;
use super::record::{Message, Prompt, Record, excerpt, id_of};
use crate::Error;

/// How prompt files are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// The field that holds the prompt: text, or a list of messages.
    pub prompt_field: String,
    /// How many unusable rows are tolerated.
    pub max_bad_rows: usize,
}

impl Default for ReadOptions {
    fn default() -> ReadOptions {
        ReadOptions { prompt_field: "prompt".to_owned(), max_bad_rows: 0 }
    }
}

/// What a file held.
#[derive(Debug, PartialEq)]
pub struct Loaded<T = Record> {
    /// The usable rows.
    pub records: Vec<T>,
    /// The others, no more than the options allow.
    pub bad_rows: Vec<BadRow>,
}

/// A row that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Where it is.
    pub place: Place,
    /// What is wrong with it.
    pub problem: String,
}

/// The place of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of a JSONL or CSV file, counted from 1.
    Line(u64),
    /// An item of a JSON array, counted from 1.
    Item(u64),
    /// A row of a Parquet file, counted from 1.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(line) => write!(formatter, "line {line}"),
            Place::Item(item) => write!(formatter, "item {item}"),
            Place::Row(row) => write!(formatter, "row {row}"),
        }
    }
}

impl fmt::Display for BadRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.problem)
    }
}

/// The most bytes one row, one whole JSON document or one Parquet file may have once unpacked, against files made to fill the memory.
const MAX_BYTES: u64 = 1 << 28;

/// Reads the prompts of a file whose name ends in `.jsonl`, `.ndjson`, `.json`, `.csv` or `.parquet`, and maybe `.gz` or
/// `.zst`.
///
/// Each row has a prompt in one of the forms of TRL's prompt-only type; its other fields are carried along. In CSV, cells
/// that hold a JSON array or object are read as such, all others as text.
pub fn read_records(path: &Path, options: &ReadOptions) -> Result<Loaded, Error> {
    let record = |row: Value, place: Place| {
        let record = record_of(row, place, &options.prompt_field)?;
        Ok((record.id.clone(), record))
    };
    read_rows(path, (options, &[&options.prompt_field]), &record)
}

/// What becomes of a row: what it is known by, which no other row of the file may be, and what is read of it; or what is
/// wrong with it.
pub(super) type Convert<'a, T> = dyn Fn(Value, Place) -> Result<(String, T), String> + 'a;

/// Reads the rows of a file in any of the formats.
///
/// In CSV, the cells of `texts` are texts, whatever they look like.
pub(super) fn read_rows<T>(
    path: &Path,
    (options, texts): (&ReadOptions, &[&str]),
    convert: &Convert<'_, T>,
) -> Result<Loaded<T>, Error> {
    let cannot_read = |source| Error::Read { path: path.to_owned(), source };
    let file = BufReader::new(File::open(path).map_err(cannot_read)?);
    let (name, input): (&Path, Box<dyn Read>) = match path.extension().and_then(OsStr::to_str) {
        Some("gz") => (Path::new(path.file_stem().unwrap_or_default()), Box::new(MultiGzDecoder::new(file))),
        Some("zst") => {
            let decoder = StreamingDecoder::new(file).map_err(|error| cannot_read(std::io::Error::other(error)))?;
            (Path::new(path.file_stem().unwrap_or_default()), Box::new(decoder))
        }
        _ => (path, Box::new(file)),
    };
    let loaded = Loaded { records: Vec::new(), bad_rows: Vec::new() };
    let mut rows = Rows { path, options, texts, convert, loaded, places: BTreeMap::new() };
    match name.extension().and_then(OsStr::to_str) {
        Some("jsonl" | "ndjson") => read_lines(input, &mut rows)?,
        Some("json") => read_array(input, &mut rows)?,
        Some("csv") => read_table(input, &mut rows)?,
        Some("parquet") => read_columns(input, &mut rows)?,
        _ => return Err(Error::UnknownFormat { path: path.to_owned() }),
    }
    Ok(rows.loaded)
}

fn read_lines<T>(input: Box<dyn Read>, rows: &mut Rows<'_, T>) -> Result<(), Error> {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let n_read =
            input.by_ref().take(MAX_BYTES).read_until(b'\n', &mut line).map_err(|error| rows.cannot_read(error))?;
        if n_read == 0 {
            break;
        }
        let text = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&line).trim_ascii();
        if !text.is_empty() {
            rows.push(Place::Line(number), serde_json::from_slice(text).map_err(|error| not_json(&error)))?;
        }
    }
    Ok(())
}

/// What is wrong with a line. serde_json counts lines too, but there is only one here.
fn not_json(error: &serde_json::Error) -> String {
    let told = error.to_string();
    let what = told.split(" at line ").next().unwrap_or(&told);
    format!("not JSON: {what} at column {}", error.column())
}

fn read_array<T>(input: Box<dyn Read>, rows: &mut Rows<'_, T>) -> Result<(), Error> {
    let mut bytes = Vec::new();
    input.take(MAX_BYTES).read_to_end(&mut bytes).map_err(|error| rows.cannot_read(error))?;
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let items: Vec<Value> = serde_json::from_slice(text).map_err(|error| rows.cannot_read(error.into()))?;
    items.into_iter().zip(1..).try_for_each(|(item, number)| rows.push(Place::Item(number), Ok(item)))
}

fn read_table<T>(input: Box<dyn Read>, rows: &mut Rows<'_, T>) -> Result<(), Error> {
    let mut table = csv::Reader::from_reader(input);
    let names = table.headers().map_err(|error| rows.cannot_read(error.into()))?.clone();
    let texts = rows.texts;
    for row in table.records() {
        match row {
            Ok(cells) => {
                let line = cells.position().map_or(0, csv::Position::line);
                let value =
                    |name: &str, cell: &str| if texts.contains(&name) { Value::from(cell) } else { cell_value(cell) };
                let names = names.iter().map(|name| name.trim_start_matches('\u{feff}'));
                let fields = names.zip(&cells).map(|(name, cell)| (name.to_owned(), value(name, cell))).collect();
                rows.push(Place::Line(line), Ok(Value::Object(fields)))?;
            }
            Err(error) if error.is_io_error() => return Err(rows.cannot_read(error.into())),
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                rows.push(Place::Line(line), Err(error.to_string()))?;
            }
        }
    }
    Ok(())
}

/// A cell as JSON where it is an array or an object, else as text.
fn cell_value(cell: &str) -> Value {
    let structured = cell.trim_start().starts_with(['[', '{']);
    let parsed = structured.then(|| serde_json::from_str(cell).ok()).flatten();
    parsed.unwrap_or_else(|| Value::from(cell))
}

fn read_columns<T>(input: Box<dyn Read>, rows: &mut Rows<'_, T>) -> Result<(), Error> {
    let mut bytes = Vec::new();
    input.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| rows.cannot_read(error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(rows.cannot_read(std::io::Error::other(format!("larger than {MAX_BYTES} bytes"))));
    }
    let cannot_read = |problem| std::io::Error::new(std::io::ErrorKind::InvalidData, problem);
    let mut table = Table::open(&bytes).map_err(|problem| rows.cannot_read(cannot_read(problem)))?;
    let mut number = 0;
    while let Some(group) = table.next_rows() {
        for row in group.map_err(|problem| rows.cannot_read(cannot_read(problem)))? {
            number += 1;
            rows.push(Place::Row(number), row)?;
        }
    }
    Ok(())
}

/// The rows of one file as they come in.
struct Rows<'a, T> {
    path: &'a Path,
    options: &'a ReadOptions,
    texts: &'a [&'a str],
    convert: &'a Convert<'a, T>,
    loaded: Loaded<T>,
    places: BTreeMap<String, Place>,
}

impl<T> Rows<'_, T> {
    fn cannot_read(&self, source: std::io::Error) -> Error {
        Error::Read { path: self.path.to_owned(), source }
    }

    fn push(&mut self, place: Place, row: Result<Value, String>) -> Result<(), Error> {
        let converted = row.and_then(|row| (self.convert)(row, place));
        match converted.and_then(|(id, record)| self.first_of_its_id(id, record, place)) {
            Ok(record) => self.loaded.records.push(record),
            Err(problem) => {
                self.loaded.bad_rows.push(BadRow { place, problem });
                if self.loaded.bad_rows.len() > self.options.max_bad_rows {
                    let (path, limit) = (self.path.to_owned(), self.options.max_bad_rows);
                    let bad_rows = std::mem::take(&mut self.loaded.bad_rows);
                    return Err(Error::TooManyBadRows { path, limit, bad_rows });
                }
            }
        }
        Ok(())
    }

    fn first_of_its_id(&mut self, id: String, record: T, place: Place) -> Result<T, String> {
        match self.places.get(&id) {
            Some(earlier) => Err(format!("repeats the id `{id}` of {earlier}")),
            None => {
                self.places.insert(id, place);
                Ok(record)
            }
        }
    }
}

/// The record of a row, or what is wrong with it.
fn record_of(row: Value, place: Place, prompt_field: &str) -> Result<Record, String> {
    let Value::Object(mut fields) = row else {
        return Err(format!("expected an object, found {}", excerpt(&row.to_string())));
    };
    let prompt = fields.remove(prompt_field).ok_or_else(|| format!("no field `{prompt_field}`"))?;
    let prompt = prompt_of(prompt).map_err(|problem| format!("field `{prompt_field}`: {problem}"))?;
    if prompt.text().trim().is_empty() {
        return Err(format!("field `{prompt_field}`: blank"));
    }
    Ok(Record { id: id_of(&fields).unwrap_or_else(|| place.to_string()), prompt, fields })
}

pub(super) fn prompt_of(value: Value) -> Result<Prompt, String> {
    match value {
        Value::String(text) => Ok(Prompt::Text(text)),
        Value::Array(_) => {
            let messages: Vec<Message> = serde_json::from_value(value).map_err(|error| error.to_string())?;
            match messages.last() {
                Some(last) if last.role == "user" => Ok(Prompt::Messages(messages)),
                Some(last) => {
                    Err(format!("the last message must be the user's, not of role `{}`", excerpt(&last.role)))
                }
                None => Err("no messages".to_owned()),
            }
        }
        other => Err(format!("expected text or messages, found {}", excerpt(&other.to_string()))),
    }
}

#[cfg(test)]
mod tests;
