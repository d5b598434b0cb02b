//! Rows of Parquet files, as JSON.
//!
//! A reader of its own (DESIGN.md says why): whole files, all columns, one row group at a time. Every count and offset is
//! checked against what is there, and everything that is unpacked is paid for from a [`Budget`] first, so that a small
//! file cannot fill the memory.
//!
//! It reads data pages of both versions, every encoding that writers use, and the codecs none, Snappy, gzip and Zstandard.
//! Lists, maps and structs become arrays and objects. Dates and times stay the whole numbers that they are stored as; bytes
//! that are not text become null, as do numbers that JSON does not have.

mod assemble;
mod column;
mod schema;
mod snappy;
mod thrift;
mod values;

use serde_json::Value;

use assemble::assemble;
use column::{Chunk, read_chunk};
use schema::Schema;
use thrift::Thrift;

/// Why a file cannot be read as Parquet.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("not a Parquet file")]
    NotParquet,
    #[error("an encrypted Parquet file")]
    Encrypted,
    #[error("a damaged Parquet file: {0}")]
    Damaged(&'static str),
    #[error("a Parquet file with the {what} `{name}`, which is not known here")]
    Unknown { what: &'static str, name: String },
    #[error("a Parquet file that unpacks to more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("a Parquet file with a page that does not unpack")]
    Unpack(#[source] std::io::Error),
}

/// How much may still be unpacked.
#[derive(Debug)]
struct Budget {
    limit: u64,
    left: u64,
}

/// The most that a file may unpack to, counting what a cell takes in memory.
const MAX_UNPACKED: u64 = 1 << 32;
/// What any file may unpack to.
const FREE: u64 = 1 << 26;
/// What each byte of a file may unpack to beyond that.
const MAX_RATIO: u64 = 1 << 10;
/// What a cell takes beyond its text.
const CELL_BYTES: u64 = 64;

impl Budget {
    fn of(file_bytes: usize) -> Budget {
        let limit = MAX_UNPACKED.min(FREE.saturating_add(MAX_RATIO.saturating_mul(file_bytes as u64)));
        Budget { limit, left: limit }
    }

    fn pay(&mut self, bytes: u64) -> Result<(), Problem> {
        self.left = self.left.checked_sub(bytes).ok_or(Problem::TooLarge { limit: self.limit })?;
        Ok(())
    }

    fn pay_cells(&mut self, n_cells: usize) -> Result<(), Problem> {
        self.pay((n_cells as u64).saturating_mul(CELL_BYTES))
    }
}

/// A Parquet file in memory.
#[derive(Debug)]
pub(super) struct Table<'a> {
    /// The file up to its footer.
    bytes: &'a [u8],
    schema: Schema,
    groups: std::vec::IntoIter<Thrift<'a>>,
    budget: Budget,
}

/// A row as JSON, or what is wrong with it.
pub(super) type Row = Result<Value, String>;

const MAGIC: &[u8] = b"PAR1";
const MAGIC_OF_ENCRYPTED: &[u8] = b"PARE";
/// The most bytes of a footer; that of a file with a thousand columns and row groups has a few millions.
const MAX_FOOTER: usize = 1 << 24;

impl<'a> Table<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Table<'a>, Problem> {
        let (rest, magic) = bytes.split_last_chunk::<4>().ok_or(Problem::NotParquet)?;
        if magic == MAGIC_OF_ENCRYPTED {
            return Err(Problem::Encrypted);
        }
        if magic != MAGIC || !bytes.starts_with(MAGIC) {
            return Err(Problem::NotParquet);
        }
        let (rest, length) = rest.split_last_chunk::<4>().ok_or(Problem::NotParquet)?;
        let length = u32::from_le_bytes(*length) as usize;
        let start = rest.len().checked_sub(length).ok_or(Problem::Damaged("its footer is longer than the file"))?;
        if length > MAX_FOOTER {
            return Err(Problem::Damaged("its footer is too long"));
        }
        // FileMetaData of parquet.thrift.
        let footer = Thrift::read_struct(&mut &rest[start..])?;
        let schema = Schema::read(footer.list(2))?;
        let groups = footer.into_list(4).into_iter();
        Ok(Table { bytes: &rest[..start], schema, groups, budget: Budget::of(bytes.len()) })
    }

    /// The rows of the next row group; `None` after the last one.
    pub(super) fn next_rows(&mut self) -> Option<Result<Vec<Row>, Problem>> {
        let group = self.groups.next()?;
        Some(self.rows_of(&group))
    }

    fn rows_of(&mut self, group: &Thrift<'_>) -> Result<Vec<Row>, Problem> {
        // RowGroup of parquet.thrift.
        let chunks = group.list(1);
        let n_rows =
            usize::try_from(group.int(3).unwrap_or(0)).map_err(|_| Problem::Damaged("fewer rows than none"))?;
        if chunks.len() != self.schema.columns.len() {
            return Err(Problem::Damaged("a row group has not one chunk for each column"));
        }
        let mut columns = Vec::with_capacity(chunks.len());
        for (chunk, column) in chunks.iter().zip(&self.schema.columns) {
            let chunk = Chunk::read(chunk)?;
            columns.push(read_chunk(self.bytes, &chunk, column, &mut self.budget)?);
        }
        assemble(&self.schema, columns, n_rows, &mut self.budget)
    }
}

#[cfg(test)]
mod tests;
