//! GGUF files, versions 2 and 3: metadata and quantised tensors in one file.
//!
//! Every count, length, size and offset is checked against the file's length before anything is allocated for it, so
//! what a hostile file can make this reader allocate is bounded by a small multiple of what the file holds. Tensors
//! stay in the file until they are asked for.

mod header;
mod k_quants;
mod quantisation;
mod value;

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::error::{Fault, Problem};

pub(crate) use quantisation::Quantisation;
pub(crate) use value::{List, Value};

/// An open GGUF file.
#[derive(Debug)]
pub(crate) struct Gguf {
    file: Mutex<File>,
    length: u64,
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, TensorInfo>,
}

/// Where a tensor lies and how it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorInfo {
    /// Slowest dimension first, as transformers has it: `[outputs, inputs]`.
    pub(crate) shape: Vec<usize>,
    pub(crate) quantisation: Quantisation,
    /// From the start of the file; `start + bytes` is inside the file.
    pub(crate) start: u64,
    pub(crate) bytes: u64,
}

impl TensorInfo {
    /// Number of values; checked against overflow when the header was read.
    pub(crate) fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Gguf {
    pub(crate) fn open(path: &Path) -> Result<Gguf, Fault> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let header = header::read(&mut file, length)?;
        Ok(Gguf { file: Mutex::new(file), length, metadata: header.metadata, tensors: header.tensors })
    }

    /// Bytes of the whole file.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.length
    }

    pub(crate) fn tensors(&self) -> &HashMap<String, TensorInfo> {
        &self.tensors
    }

    /// The values of a tensor, or of a range of its rows (its slowest dimension), as f32.
    pub(crate) fn read(&self, name: &str, rows: Option<Range<usize>>) -> Result<Vec<f32>, Fault> {
        let missing = || Problem::MissingTensor { name: name.to_owned() };
        let info = self.tensors.get(name).ok_or_else(missing)?;
        let all_rows = if info.shape.len() > 1 { info.shape[0] } else { 1 };
        let rows = rows.unwrap_or(0..all_rows);
        if rows.start > rows.end || rows.end > all_rows {
            return Err(Fault::number(format!("a row of `{name}`"), rows.end as i128, format!("it has {all_rows}")));
        }
        let (row_values, row_bytes) = (info.elements() / all_rows, info.bytes / all_rows as u64);
        let mut bytes = vec![0; row_bytes as usize * rows.len()];
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(info.start + row_bytes * rows.start as u64))?;
            file.read_exact(&mut bytes)?;
        }
        let mut values = vec![0.0; row_values * rows.len()];
        info.quantisation.dequantise(&bytes, &mut values);
        Ok(values)
    }

    pub(crate) fn contains_key(&self, key: &str) -> bool {
        self.metadata.contains_key(key)
    }

    /// A text; `None` when the key is missing.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, Fault> {
        self.get(key, "a text", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A number that counts or indexes something.
    pub(crate) fn count(&self, key: &str) -> Result<Option<usize>, Fault> {
        self.get(key, "a whole number, not negative", |value| match value {
            Value::Integer(number) => usize::try_from(*number).ok(),
            _ => None,
        })
    }

    /// A real number.
    pub(crate) fn real(&self, key: &str) -> Result<Option<f32>, Fault> {
        self.get(key, "a finite number", |value| match value {
            Value::Real(number) => Some(*number as f32).filter(|number| number.is_finite()),
            Value::Integer(number) => Some(*number as f32),
            _ => None,
        })
    }

    /// Yes or no.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, Fault> {
        self.get(key, "true or false", |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    /// A list of any kind.
    pub(crate) fn list(&self, key: &str) -> Result<Option<&List>, Fault> {
        self.get(key, "a list", |value| match value {
            Value::List(list) => Some(list),
            _ => None,
        })
    }

    /// A list of texts.
    pub(crate) fn texts(&self, key: &str) -> Result<Option<&[String]>, Fault> {
        self.get(key, "a list of texts", |value| match value {
            Value::List(List::Texts(texts)) => Some(texts.as_slice()),
            _ => None,
        })
    }

    fn get<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(value) => convert(value).map(Some).ok_or_else(|| Fault::key(key, expected, value)),
        }
    }
}

/// The value or an error that says the key is missing.
pub(crate) fn required<T>(value: Option<T>, key: &str) -> Result<T, Fault> {
    value.ok_or_else(|| Fault::key(key, "there", "missing"))
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
