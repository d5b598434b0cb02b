//! Values as they are encoded in pages (Encodings.md), and what they are in JSON.

use serde_json::{Number, Value};

use super::column::width_of;
use super::schema::{Column, Meaning, Physical};
use super::thrift::{take, varint, zigzag};
use super::{Budget, CELL_BYTES, Problem};

/// A value in JSON, or what is wrong with it.
pub(super) type Cell = Result<Value, &'static str>;

/// A value as it is stored.
enum Stored<'a> {
    Bool(bool),
    Int(i64),
    Float(f32),
    Double(f64),
    Bytes(&'a [u8]),
}

const ENDS_EARLY: Problem = Problem::Damaged("a page has too few values");
const LENGTH: Problem = Problem::Damaged("a value has an impossible length");

/// Read `n` values of a page; cells for them are paid for.
pub(super) fn read_values(
    bytes: &[u8],
    encoding: Option<i64>,
    n: usize,
    column: &Column,
    dictionary: &[Cell],
    budget: &mut Budget,
) -> Result<Vec<Cell>, Problem> {
    let mut cells = Vec::new();
    if n == 0 {
        return Ok(cells);
    }
    match (encoding, column.physical) {
        (Some(0), _) => cells = plain_values(bytes, n, column, budget)?,
        (Some(2 | 8), _) => {
            let (&width, indices) = bytes.split_first().ok_or(ENDS_EARLY)?;
            for index in hybrid(indices, u32::from(width), n)? {
                let cell = dictionary.get(index as usize).ok_or(Problem::Damaged("a word is not in its dictionary"))?;
                budget.pay(cell.as_ref().map_or(0, size_of))?;
                cells.push(cell.clone());
            }
        }
        (Some(3), Physical::Boolean) => {
            let bits = hybrid(bytes.get(4..).ok_or(ENDS_EARLY)?, 1, n)?;
            cells.extend(bits.into_iter().map(|bit| Ok(Value::Bool(bit == 1))));
        }
        (Some(5), Physical::Int32 | Physical::Int64) => {
            for value in deltas(&mut &bytes[..], n)? {
                cells.push(cell(Stored::Int(value), column, budget)?);
            }
        }
        (Some(6), Physical::Bytes) => {
            let mut rest = bytes;
            for length in deltas(&mut rest, n)? {
                let value = take(&mut rest, usize::try_from(length).map_err(|_| LENGTH)?)?;
                cells.push(cell(Stored::Bytes(value), column, budget)?);
            }
        }
        (Some(7), Physical::Bytes | Physical::Fixed(_)) => cells = incremental(bytes, n, column, budget)?,
        (Some(9), physical) => {
            let width = width_of(physical).ok_or(Problem::Damaged("split bytes of values of no fixed width"))?;
            let streams = bytes.get(..width.checked_mul(n).ok_or(LENGTH)?).ok_or(ENDS_EARLY)?;
            for index in 0..n {
                let value: Vec<u8> = streams.iter().skip(index).step_by(n).copied().collect();
                cells.push(cell(fixed(&value, physical)?, column, budget)?);
            }
        }
        (other, physical) => {
            let name = format!("{} of {physical:?}", other.unwrap_or(-1));
            return Err(Problem::Unknown { what: "encoding", name });
        }
    }
    Ok(cells)
}

/// Values one after the other.
pub(super) fn plain_values(bytes: &[u8], n: usize, column: &Column, budget: &mut Budget) -> Result<Vec<Cell>, Problem> {
    let mut rest = bytes;
    let mut cells = Vec::with_capacity(n);
    for index in 0..n {
        let stored = match column.physical {
            Physical::Boolean => Stored::Bool(bytes.get(index / 8).ok_or(ENDS_EARLY)? >> (index % 8) & 1 == 1),
            Physical::Bytes => {
                let length = take(&mut rest, 4)?.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
                Stored::Bytes(take(&mut rest, length)?)
            }
            physical => fixed(take(&mut rest, width_of(physical).unwrap_or(0))?, physical)?,
        };
        cells.push(cell(stored, column, budget)?);
    }
    Ok(cells)
}

/// A value of a type that always has as many bytes.
fn fixed(bytes: &[u8], physical: Physical) -> Result<Stored<'_>, Problem> {
    fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Problem> {
        bytes.first_chunk().copied().ok_or(ENDS_EARLY)
    }
    Ok(match physical {
        Physical::Int32 => Stored::Int(i64::from(i32::from_le_bytes(array(bytes)?))),
        Physical::Int64 => Stored::Int(i64::from_le_bytes(array(bytes)?)),
        Physical::Float => Stored::Float(f32::from_le_bytes(array(bytes)?)),
        Physical::Double => Stored::Double(f64::from_le_bytes(array(bytes)?)),
        Physical::Int96 => {
            // Nanoseconds of the day, then its Julian number; told as nanoseconds since 1970.
            let (time, day) = bytes.split_first_chunk().ok_or(ENDS_EARLY)?;
            let day = i64::from(i32::from_le_bytes(array(day)?)) - 2_440_588;
            Stored::Int(day.wrapping_mul(86_400_000_000_000).wrapping_add(i64::from_le_bytes(*time)))
        }
        Physical::Boolean | Physical::Bytes | Physical::Fixed(_) => Stored::Bytes(bytes),
    })
}

/// Whole numbers of `width` bits: runs of one number, and groups of eight that are packed bit by bit.
pub(super) fn hybrid(mut bytes: &[u8], width: u32, n: usize) -> Result<Vec<u32>, Problem> {
    if width > 32 {
        return Err(Problem::Damaged("numbers of more than 32 bits"));
    }
    let mut numbers = Vec::with_capacity(n);
    while numbers.len() < n {
        let header = varint(&mut bytes)?;
        let missing = n - numbers.len();
        let count = usize::try_from(header >> 1).map_err(|_| LENGTH)?;
        if header & 1 == 0 {
            let value = take(&mut bytes, width.div_ceil(8) as usize)?;
            let value = value.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
            numbers.extend(std::iter::repeat_n(value, count.min(missing)));
        } else {
            // The last group may be cut short by writers that need no more of it.
            let length = count.saturating_mul(width as usize).min(bytes.len());
            let mut bits = Bits { bytes: take(&mut bytes, length)?, at: 0 };
            for _ in 0..count.saturating_mul(8).min(missing) {
                numbers.push(bits.take(width)? as u32);
            }
        }
    }
    Ok(numbers)
}

/// Bits of bytes, the lowest first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, width: u32) -> Result<u64, Problem> {
        let mut value = 0;
        let mut n_bits = 0;
        while n_bits < width {
            let byte = u64::from(*self.bytes.get(self.at / 8).ok_or(ENDS_EARLY)?);
            let offset = (self.at % 8) as u32;
            let taken = (8 - offset).min(width - n_bits);
            value |= (byte >> offset & ((1 << taken) - 1)) << n_bits;
            n_bits += taken;
            self.at += taken as usize;
        }
        Ok(value)
    }
}

/// Whole numbers as differences (DELTA_BINARY_PACKED); `bytes` then begin after them. There must be `n`.
fn deltas(bytes: &mut &[u8], n: usize) -> Result<Vec<i64>, Problem> {
    const SHAPE: Problem = Problem::Damaged("a block of differences has an impossible shape");
    let number = |bytes: &mut &[u8]| varint(bytes).and_then(|value| usize::try_from(value).map_err(|_| SHAPE));
    let per_block = number(bytes)?;
    let n_parts = number(bytes)?;
    let total = number(bytes)?;
    let per_part = per_block.checked_div(n_parts).filter(|size| *size > 0 && size % 8 == 0).ok_or(SHAPE)?;
    let mut value = zigzag(bytes)?;
    if total != n {
        return Err(ENDS_EARLY);
    }
    let mut values = Vec::with_capacity(n);
    values.push(value);
    while values.len() < n {
        let smallest = zigzag(bytes)?;
        for &width in take(bytes, n_parts)? {
            if values.len() == n {
                break;
            }
            let length = (per_part / 8).checked_mul(usize::from(width)).filter(|_| width <= 64).ok_or(SHAPE)?;
            let mut bits = Bits { bytes: take(bytes, length)?, at: 0 };
            for _ in 0..per_part.min(n - values.len()) {
                value = value.wrapping_add(smallest).wrapping_add(bits.take(u32::from(width))? as i64);
                values.push(value);
            }
        }
    }
    Ok(values)
}

/// Texts that begin as the one before (DELTA_BYTE_ARRAY): how much of it they share, then what comes after that.
fn incremental(bytes: &[u8], n: usize, column: &Column, budget: &mut Budget) -> Result<Vec<Cell>, Problem> {
    let mut rest = bytes;
    let shared = deltas(&mut rest, n)?;
    let lengths = deltas(&mut rest, n)?;
    let mut cells = Vec::with_capacity(n);
    let mut text = Vec::new();
    for (shared, length) in shared.into_iter().zip(lengths) {
        let shared = usize::try_from(shared).ok().filter(|shared| *shared <= text.len()).ok_or(LENGTH)?;
        text.truncate(shared);
        text.extend_from_slice(take(&mut rest, usize::try_from(length).map_err(|_| LENGTH)?)?);
        // What is not text costs its reading all the same.
        budget.pay(text.len() as u64)?;
        cells.push(cell(Stored::Bytes(&text), column, budget)?);
    }
    Ok(cells)
}

/// The cell of a value.
fn cell(stored: Stored<'_>, column: &Column, budget: &mut Budget) -> Result<Cell, Problem> {
    let value = match stored {
        Stored::Bool(value) => Value::Bool(value),
        Stored::Int(value) => match column.meaning {
            Meaning::Unsigned if column.physical == Physical::Int32 => Value::from(value as u32),
            Meaning::Unsigned => Value::from(value as u64),
            Meaning::Decimal { scale } => decimal(i128::from(value), scale),
            _ => Value::from(value),
        },
        // The shortest digits that give the number again, not those of the f64 next to it.
        Stored::Float(value) => float(value.to_string().parse().unwrap_or(f64::NAN)),
        Stored::Double(value) => float(value),
        Stored::Bytes(bytes) => {
            let cell = of_bytes(bytes, column);
            budget.pay(cell.as_ref().map_or(0, size_of))?;
            return Ok(cell);
        }
    };
    Ok(Ok(value))
}

fn of_bytes(bytes: &[u8], column: &Column) -> Cell {
    let text = std::str::from_utf8(bytes);
    match (column.meaning, text) {
        (Meaning::Text | Meaning::Json, Err(_)) => Err("not UTF-8"),
        (Meaning::Text, Ok(text)) => Ok(Value::from(text)),
        (Meaning::Json, Ok(text)) => serde_json::from_str(text).map_err(|_| "not JSON"),
        (Meaning::Decimal { scale }, _) => Ok(big_endian(bytes).map_or(Value::Null, |value| decimal(value, scale))),
        (Meaning::Uuid, _) if bytes.len() == 16 => {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            Ok(Value::from([&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")))
        }
        // Writers of long ago did not mark texts as such.
        (_, Ok(text)) if column.physical == Physical::Bytes => Ok(Value::from(text)),
        _ => Ok(Value::Null),
    }
}

/// What a value takes in memory beyond a cell.
fn size_of(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(|item| CELL_BYTES + size_of(item)).sum(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| CELL_BYTES + name.len() as u64 + size_of(value)).sum()
        }
    }
}

fn float(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn decimal(unscaled: i128, scale: u16) -> Value {
    match i64::try_from(unscaled) {
        Ok(whole) if scale == 0 => Value::from(whole),
        _ => float(format!("{unscaled}e-{scale}").parse().unwrap_or(f64::NAN)),
    }
}

/// A whole number of at most 16 bytes with a sign, the highest byte first.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let (first, _) = bytes.split_first().filter(|_| bytes.len() <= 16)?;
    let sign = if first & 0x80 == 0 { 0 } else { -1 };
    Some(bytes.iter().fold(sign, |value, &byte| value << 8 | i128::from(byte)))
}
