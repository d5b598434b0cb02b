//! The pages of a column's chunk, read into cells.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

use super::schema::{Column, Physical};
use super::thrift::{Thrift, take};
use super::values::{Cell, hybrid, plain_values, read_values};
use super::{Budget, Problem, snappy};

/// Where a column's data lie in a row group.
#[derive(Debug)]
pub(super) struct Chunk {
    start: usize,
    n_entries: usize,
    codec: Codec,
}

#[derive(Clone, Copy, Debug)]
enum Codec {
    None,
    Snappy,
    Gzip,
    Zstd,
}

/// A column of a row group: an entry for each value and for each place where there is none.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// How much of the path to a value is there, for each entry; empty where all of it always is.
    pub(super) definitions: Vec<u32>,
    /// Which list an entry goes on with, for each entry; empty where there are no lists.
    pub(super) repeats: Vec<u32>,
    /// The values of those entries that have one.
    pub(super) cells: Vec<Cell>,
}

impl Chunk {
    pub(super) fn read(chunk: &Thrift<'_>) -> Result<Chunk, Problem> {
        // ColumnChunk and ColumnMetaData of parquet.thrift.
        if chunk.field(8).is_some() {
            return Err(Problem::Encrypted);
        }
        let data = chunk.field(3).filter(|_| chunk.field(1).is_none());
        let data = data.ok_or(Problem::Damaged("a column's data are in another file"))?;
        let codec = match data.int(4) {
            Some(0) => Codec::None,
            Some(1) => Codec::Snappy,
            Some(2) => Codec::Gzip,
            Some(6) => Codec::Zstd,
            other => return Err(Problem::Unknown { what: "codec", name: codec_name(other) }),
        };
        let pages = data.size(9)?;
        // Some writers say 0 where there is no dictionary.
        let dictionary = data.size(11).unwrap_or(0);
        let start = if dictionary > 0 { dictionary.min(pages) } else { pages };
        Ok(Chunk { start, n_entries: data.size(5)?, codec })
    }
}

fn codec_name(number: Option<i64>) -> String {
    match number {
        Some(3) => "LZO".to_owned(),
        Some(4) => "BROTLI".to_owned(),
        Some(5) => "LZ4".to_owned(),
        Some(7) => "LZ4_RAW".to_owned(),
        other => format!("{other:?}"),
    }
}

/// The most bytes of a page's header, in which some writers put the smallest and the largest value.
const MAX_HEADER: usize = 1 << 24;

/// All entries of a chunk, in a file's bytes up to its footer.
pub(super) fn read_chunk(file: &[u8], chunk: &Chunk, column: &Column, budget: &mut Budget) -> Result<Entries, Problem> {
    let mut bytes = file.get(chunk.start..).ok_or(Problem::Damaged("a column begins behind the file's end"))?;
    let mut entries = Entries::default();
    let mut dictionary = Vec::new();
    let mut n_entries = 0;
    while n_entries < chunk.n_entries {
        let mut front = &bytes[..bytes.len().min(MAX_HEADER)];
        let before = front.len();
        // PageHeader of parquet.thrift.
        let header = Thrift::read_struct(&mut front)?;
        take(&mut bytes, before - front.len())?;
        let page = Page { packed: take(&mut bytes, header.size(3)?)?, length: header.size(2)?, codec: chunk.codec };
        match (header.int(1), header.field(5), header.field(7), header.field(8)) {
            (Some(0), Some(data), _, _) => {
                n_entries += read_page(&page, data, column, &dictionary, &mut entries, budget)?;
            }
            (Some(2), _, Some(head), _) => {
                let bytes = page.unpack(0, budget)?;
                let n_values = head.size(1)?;
                budget.pay_cells(n_values)?;
                dictionary = plain_values(&bytes, n_values, column, budget)?;
            }
            (Some(3), _, _, Some(data)) => {
                n_entries += read_page_v2(&page, data, column, &dictionary, &mut entries, budget)?;
            }
            // An index says nothing that the data do not.
            (Some(1), ..) => {}
            _ => return Err(Problem::Damaged("a page of an unknown type")),
        }
    }
    Ok(entries)
}

/// A page of the first version: levels, each list of them after its length, then values, all packed together.
fn read_page(
    page: &Page<'_>,
    data: &Thrift<'_>,
    column: &Column,
    dictionary: &[Cell],
    entries: &mut Entries,
    budget: &mut Budget,
) -> Result<usize, Problem> {
    let n_entries = data.size(1)?;
    budget.pay_cells(n_entries)?;
    let bytes = page.unpack(0, budget)?;
    let mut rest = &bytes[..];
    let mut levels = |max: u16, encoding: Option<i64>| {
        if max == 0 {
            return Ok(Vec::new());
        }
        if encoding != Some(3) {
            return Err(Problem::Unknown { what: "encoding of levels", name: format!("{encoding:?}") });
        }
        let length = take(&mut rest, 4)?.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
        levels_of(take(&mut rest, length)?, max, n_entries)
    };
    let repeats = levels(column.max_repeat, data.int(4))?;
    let definitions = levels(column.max_definition, data.int(3))?;
    let n_values = entries.extend(column, repeats, definitions, n_entries);
    entries.cells.extend(read_values(rest, data.int(2), n_values, column, dictionary, budget)?);
    Ok(n_entries)
}

/// A page of the second version: levels, which are never packed, then values.
fn read_page_v2(
    page: &Page<'_>,
    data: &Thrift<'_>,
    column: &Column,
    dictionary: &[Cell],
    entries: &mut Entries,
    budget: &mut Budget,
) -> Result<usize, Problem> {
    let n_entries = data.size(1)?;
    budget.pay_cells(n_entries)?;
    let mut rest = page.packed;
    let repeats = take(&mut rest, data.size(6)?)?;
    let definitions = take(&mut rest, data.size(5)?)?;
    let n_level_bytes = repeats.len() + definitions.len();
    let codec = if data.bool(7) == Some(false) { Codec::None } else { page.codec };
    let bytes = Page { codec, ..*page }.unpack(n_level_bytes, budget)?;
    let repeats = levels_of(repeats, column.max_repeat, n_entries)?;
    let definitions = levels_of(definitions, column.max_definition, n_entries)?;
    let n_values = entries.extend(column, repeats, definitions, n_entries);
    entries.cells.extend(read_values(&bytes, data.int(4), n_values, column, dictionary, budget)?);
    Ok(n_entries)
}

/// Levels from 0 to `max`; none are written where there can be only one.
fn levels_of(bytes: &[u8], max: u16, n: usize) -> Result<Vec<u32>, Problem> {
    if max == 0 {
        return Ok(Vec::new());
    }
    let levels = hybrid(bytes, u16::BITS - max.leading_zeros(), n)?;
    if levels.iter().any(|&level| level > u32::from(max)) {
        return Err(Problem::Damaged("a level is too high"));
    }
    Ok(levels)
}

impl Entries {
    /// Take the levels of a page, and tell how many of its entries have a value.
    fn extend(&mut self, column: &Column, repeats: Vec<u32>, definitions: Vec<u32>, n_entries: usize) -> usize {
        let n_values = match column.max_definition {
            0 => n_entries,
            max => definitions.iter().filter(|&&level| level == u32::from(max)).count(),
        };
        self.repeats.extend(repeats);
        self.definitions.extend(definitions);
        n_values
    }
}

/// A page as it lies in the file.
#[derive(Clone, Copy)]
struct Page<'a> {
    packed: &'a [u8],
    /// Bytes once unpacked.
    length: usize,
    codec: Codec,
}

impl<'a> Page<'a> {
    /// The page but for its first bytes, which are not packed.
    fn unpack(&self, n_skipped: usize, budget: &mut Budget) -> Result<Cow<'a, [u8]>, Problem> {
        const OTHER_LENGTH: Problem = Problem::Damaged("a page has not the length it should have");
        let packed = self.packed.get(n_skipped..).ok_or(OTHER_LENGTH)?;
        let length = self.length.checked_sub(n_skipped).ok_or(OTHER_LENGTH)?;
        budget.pay(length as u64)?;
        if length == 0 {
            return Ok(Cow::Borrowed(&[]));
        }
        let unpacked = match self.codec {
            Codec::None => Cow::Borrowed(packed),
            Codec::Snappy => Cow::Owned(snappy::unpack(packed, length)?),
            Codec::Gzip => Cow::Owned(read_all(MultiGzDecoder::new(packed), length)?),
            Codec::Zstd => {
                let decoder = StreamingDecoder::new(packed);
                let decoder = decoder.map_err(|error| Problem::Unpack(std::io::Error::other(error)))?;
                Cow::Owned(read_all(decoder, length)?)
            }
        };
        if unpacked.len() == length { Ok(unpacked) } else { Err(OTHER_LENGTH) }
    }
}

/// At most one byte more than there should be.
fn read_all(input: impl Read, length: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    input.take((length as u64).saturating_add(1)).read_to_end(&mut bytes).map_err(Problem::Unpack)?;
    Ok(bytes)
}

/// Entries as they are taken one after the other.
#[derive(Debug)]
pub(super) struct Cursor {
    entries: Entries,
    max_definition: u32,
    at: usize,
    cells: std::vec::IntoIter<Cell>,
}

const TOO_SHORT: Problem = Problem::Damaged("a column has too few values");

impl Cursor {
    pub(super) fn new(mut entries: Entries, column: &Column) -> Cursor {
        let cells = std::mem::take(&mut entries.cells).into_iter();
        Cursor { entries, max_definition: u32::from(column.max_definition), at: 0, cells }
    }

    /// How much of the path to the next value is there.
    pub(super) fn definition(&self) -> Result<u32, Problem> {
        if self.max_definition == 0 {
            return if self.cells.len() > 0 { Ok(0) } else { Err(TOO_SHORT) };
        }
        self.entries.definitions.get(self.at).copied().ok_or(TOO_SHORT)
    }

    /// Which list the next entry goes on with; `None` at the end.
    pub(super) fn repeat(&self) -> Option<u32> {
        self.entries.repeats.get(self.at).copied()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.cells.len() == 0 && (self.max_definition == 0 || self.at == self.entries.definitions.len())
    }

    /// Take an entry without a value.
    pub(super) fn skip(&mut self) -> Result<(), Problem> {
        if self.definition()? == self.max_definition {
            return Err(Problem::Damaged("a value where there should be none"));
        }
        self.at += 1;
        Ok(())
    }

    /// Take an entry with a value.
    pub(super) fn take(&mut self) -> Result<Cell, Problem> {
        if self.definition()? != self.max_definition {
            return Err(Problem::Damaged("no value where there should be one"));
        }
        self.at += 1;
        self.cells.next().ok_or(TOO_SHORT)
    }
}

/// Bytes of a value that always has as many.
pub(super) fn width_of(physical: Physical) -> Option<usize> {
    match physical {
        Physical::Int32 | Physical::Float => Some(4),
        Physical::Int64 | Physical::Double => Some(8),
        Physical::Int96 => Some(12),
        Physical::Fixed(length) => Some(length),
        Physical::Boolean | Physical::Bytes => None,
    }
}
