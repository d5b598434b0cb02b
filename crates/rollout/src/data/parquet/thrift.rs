//! Thrift's compact protocol, in which Parquet writes all that is not data.

use std::collections::BTreeMap;

use super::Problem;

/// A value of any type.
#[derive(Debug)]
pub(super) enum Thrift<'a> {
    Bool(bool),
    Int(i64),
    Bytes(&'a [u8]),
    List(Vec<Thrift<'a>>),
    Struct(BTreeMap<i16, Thrift<'a>>),
    /// Doubles and maps, which Parquet's own structs have not.
    Other,
}

const CUT: Problem = Problem::Damaged("it ends too early");

/// How deep structs and lists may lie in each other; Parquet's own need 6.
const MAX_DEPTH: u32 = 16;

impl<'a> Thrift<'a> {
    /// The struct at the front of `bytes`, which then begin after it.
    pub(super) fn read_struct(bytes: &mut &'a [u8]) -> Result<Thrift<'a>, Problem> {
        read_value(bytes, STRUCT, MAX_DEPTH)
    }

    pub(super) fn field(&self, id: i16) -> Option<&Thrift<'a>> {
        match self {
            Thrift::Struct(fields) => fields.get(&id),
            _ => None,
        }
    }

    pub(super) fn int(&self, id: i16) -> Option<i64> {
        match self.field(id) {
            Some(Thrift::Int(value)) => Some(*value),
            _ => None,
        }
    }

    /// A count or a size, which must be there.
    pub(super) fn size(&self, id: i16) -> Result<usize, Problem> {
        let size = self.int(id).ok_or(Problem::Damaged("a count is missing"))?;
        usize::try_from(size).map_err(|_| Problem::Damaged("a count is negative"))
    }

    pub(super) fn bool(&self, id: i16) -> Option<bool> {
        match self.field(id) {
            Some(Thrift::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn text(&self, id: i16) -> Option<&'a str> {
        match self.field(id) {
            Some(Thrift::Bytes(bytes)) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    pub(super) fn list(&self, id: i16) -> &[Thrift<'a>] {
        match self.field(id) {
            Some(Thrift::List(items)) => items,
            _ => &[],
        }
    }

    pub(super) fn into_list(self, id: i16) -> Vec<Thrift<'a>> {
        match self {
            Thrift::Struct(mut fields) => match fields.remove(&id) {
                Some(Thrift::List(items)) => items,
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }
}

pub(super) fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Result<&'a [u8], Problem> {
    let (taken, rest) = bytes.split_at_checked(n).ok_or(CUT)?;
    *bytes = rest;
    Ok(taken)
}

fn take_byte(bytes: &mut &[u8]) -> Result<u8, Problem> {
    let (&byte, rest) = bytes.split_first().ok_or(CUT)?;
    *bytes = rest;
    Ok(byte)
}

/// A number in groups of seven bits, the lowest first.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, Problem> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take_byte(bytes)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Problem::Damaged("a number has too many bytes"))
}

/// A number whose sign is its lowest bit.
pub(super) fn zigzag(bytes: &mut &[u8]) -> Result<i64, Problem> {
    let value = varint(bytes)?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

// Types of the compact protocol.
const STOP: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;

fn read_value<'a>(bytes: &mut &'a [u8], kind: u8, depth: u32) -> Result<Thrift<'a>, Problem> {
    let depth = depth.checked_sub(1).ok_or(Problem::Damaged("its structs lie too deep"))?;
    Ok(match kind {
        TRUE => Thrift::Bool(true),
        FALSE => Thrift::Bool(false),
        BYTE => Thrift::Int(i64::from(take_byte(bytes)? as i8)),
        I16 | I32 | I64 => Thrift::Int(zigzag(bytes)?),
        DOUBLE => {
            take(bytes, 8)?;
            Thrift::Other
        }
        BINARY => {
            let length = varint(bytes)?;
            Thrift::Bytes(take(bytes, usize::try_from(length).map_err(|_| CUT)?)?)
        }
        LIST | SET => read_items(bytes, depth)?,
        MAP => read_map(bytes, depth)?,
        STRUCT => read_fields(bytes, depth)?,
        _ => return Err(Problem::Damaged("a type that Thrift has not")),
    })
}

fn read_items<'a>(bytes: &mut &'a [u8], depth: u32) -> Result<Thrift<'a>, Problem> {
    let header = take_byte(bytes)?;
    let count = if header >> 4 == 15 { varint(bytes)? } else { u64::from(header >> 4) };
    // An item takes a byte at least.
    if count > bytes.len() as u64 {
        return Err(CUT);
    }
    let mut items = Vec::with_capacity(count as usize);
    for _ in 0..count {
        items.push(read_item(bytes, header & 15, depth)?);
    }
    Ok(Thrift::List(items))
}

/// Outside of structs a truth value is a byte of its own.
fn read_item<'a>(bytes: &mut &'a [u8], kind: u8, depth: u32) -> Result<Thrift<'a>, Problem> {
    match kind {
        TRUE | FALSE => Ok(Thrift::Bool(take_byte(bytes)? == TRUE)),
        _ => read_value(bytes, kind, depth),
    }
}

fn read_map<'a>(bytes: &mut &'a [u8], depth: u32) -> Result<Thrift<'a>, Problem> {
    let count = varint(bytes)?;
    if count > 0 {
        let kinds = take_byte(bytes)?;
        for _ in 0..count {
            read_item(bytes, kinds >> 4, depth)?;
            read_item(bytes, kinds & 15, depth)?;
        }
    }
    Ok(Thrift::Other)
}

fn read_fields<'a>(bytes: &mut &'a [u8], depth: u32) -> Result<Thrift<'a>, Problem> {
    let mut fields = BTreeMap::new();
    let mut id: i16 = 0;
    loop {
        let header = take_byte(bytes)?;
        let kind = header & 15;
        if kind == STOP {
            return Ok(Thrift::Struct(fields));
        }
        id = match header >> 4 {
            0 => i16::try_from(zigzag(bytes)?).map_err(|_| Problem::Damaged("a field's number is too large"))?,
            step => id.checked_add(i16::from(step)).ok_or(Problem::Damaged("a field's number is too large"))?,
        };
        fields.insert(id, read_value(bytes, kind, depth)?);
    }
}
