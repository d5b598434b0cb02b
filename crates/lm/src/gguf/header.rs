//! The part of a GGUF file before its tensors' data.

use std::collections::HashMap;
use std::io::{BufReader, Read};

use super::{List, Quantisation, TensorInfo, Value};
use crate::error::{Fault, Problem};

/// Metadata and tensor list together must fit here; real files need some tens of megabytes.
const HEADER_LIMIT: u64 = 256 << 20;
const KEY_LIMIT: u64 = 65_535;
const DIMENSIONS_LIMIT: u32 = 4;
/// Smallest entries: an empty key with a one-byte value; an empty name with no dimensions.
const SMALLEST_PAIR: u64 = 8 + 4 + 1;
const SMALLEST_TENSOR: u64 = 8 + 4 + 4 + 8;

pub(super) struct Header {
    pub(super) metadata: HashMap<String, Value>,
    pub(super) tensors: HashMap<String, TensorInfo>,
}

/// Reads the header of a file of `length` bytes from its start.
pub(super) fn read(file: impl Read, length: u64) -> Result<Header, Fault> {
    let mut input = Input { inner: BufReader::new(file), position: 0, length };
    let magic = input.bytes::<4>("the magic number")?;
    if &magic != b"GGUF" {
        return Err(Problem::Magic { format: "GGUF", found: magic }.into());
    }
    match input.u32("the version")? {
        2 | 3 => {}
        version if matches!(version.swap_bytes(), 1..=3) => return Err(Fault::unsupported("a big-endian GGUF")),
        version => return Err(Fault::unsupported(format!("GGUF version {version}"))),
    }
    let tensor_count = input.u64("the tensor count")?;
    let pair_count = input.u64("the metadata count")?;
    input.room(pair_count, SMALLEST_PAIR, "the metadata")?;
    let metadata = read_metadata(&mut input, pair_count)?;
    input.room(tensor_count, SMALLEST_TENSOR, "the tensor list")?;
    let tensors = read_tensors(&mut input, tensor_count, alignment(&metadata)?)?;
    Ok(Header { metadata, tensors })
}

fn alignment(metadata: &HashMap<String, Value>) -> Result<u64, Fault> {
    const KEY: &str = "general.alignment";
    match metadata.get(KEY) {
        None => Ok(32),
        Some(Value::Integer(bytes @ 1..=65_536)) if (*bytes as u64).is_power_of_two() => Ok(*bytes as u64),
        Some(value) => Err(Fault::key(KEY, "a power of two up to 65536", value)),
    }
}

fn read_metadata(input: &mut Input<impl Read>, count: u64) -> Result<HashMap<String, Value>, Fault> {
    let mut metadata = HashMap::new();
    for index in 0..count {
        let key = input.text(&format!("metadata key {index}"), KEY_LIMIT)?;
        let kind = input.u32(&key)?;
        let value = input.value(kind, &key)?;
        if metadata.contains_key(&key) {
            return Err(Problem::Duplicate { what: "the metadata key", name: key }.into());
        }
        metadata.insert(key, value);
    }
    Ok(metadata)
}

fn read_tensors(
    input: &mut Input<impl Read>,
    count: u64,
    alignment: u64,
) -> Result<HashMap<String, TensorInfo>, Fault> {
    let mut tensors = HashMap::new();
    for index in 0..count {
        let name = input.text(&format!("the name of tensor {index}"), KEY_LIMIT)?;
        let info = input.tensor(&name)?;
        if !info.start.is_multiple_of(alignment) {
            let bound = format!("it must be a multiple of the alignment {alignment}");
            return Err(Fault::number(format!("the offset of `{name}`"), info.start, bound));
        }
        if tensors.contains_key(&name) {
            return Err(Problem::Duplicate { what: "the tensor", name }.into());
        }
        tensors.insert(name, info);
    }
    let data_start = input.position.next_multiple_of(alignment);
    for (name, info) in &mut tensors {
        let start = info.start.checked_add(data_start).filter(|start| *start <= input.length);
        let available = start.map_or(0, |start| input.length - start);
        if info.bytes > available {
            let what = format!("the tensor `{name}`");
            return Err(Problem::Truncated { what, needed: info.bytes, available }.into());
        }
        info.start += data_start;
    }
    Ok(tensors)
}

/// A reader that knows how much of the file is left.
struct Input<R> {
    inner: BufReader<R>,
    position: u64,
    length: u64,
}

impl<R: Read> Input<R> {
    /// Fails unless `count` things of at least `size` bytes each are still in the file and within the header's limit.
    fn room(&self, count: u64, size: u64, what: &str) -> Result<(), Fault> {
        let available = self.length - self.position;
        let needed = count.saturating_mul(size);
        if needed > available {
            return Err(Problem::Truncated { what: what.to_owned(), needed, available }.into());
        }
        if self.position.saturating_add(needed) > HEADER_LIMIT {
            return Err(Fault::number(
                format!("the end of {what}"),
                self.position + needed,
                format!("the limit is {HEADER_LIMIT}"),
            ));
        }
        Ok(())
    }

    fn bytes<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Fault> {
        self.room(1, N as u64, what)?;
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self, what: &str) -> Result<u32, Fault> {
        self.bytes(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &str) -> Result<u64, Fault> {
        self.bytes(what).map(u64::from_le_bytes)
    }

    fn text(&mut self, what: &str, limit: u64) -> Result<String, Fault> {
        let length = self.u64(what)?;
        self.room(length, 1, what)?;
        if length > limit {
            return Err(Fault::number(format!("the length of {what}"), length, format!("the limit is {limit}")));
        }
        let mut bytes = vec![0; length as usize];
        self.inner.read_exact(&mut bytes)?;
        self.position += length;
        String::from_utf8(bytes).map_err(|_| Problem::Utf8 { what: what.to_owned() }.into())
    }

    fn bool(&mut self, what: &str) -> Result<bool, Fault> {
        match self.bytes(what)? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(Fault::number(what, other, "a flag is 0 or 1")),
        }
    }

    fn value(&mut self, kind: u32, key: &str) -> Result<Value, Fault> {
        Ok(match kind {
            0..=5 | 10 | 11 => Value::Integer(self.integer(kind, key)?),
            6 => Value::Real(f32::from_le_bytes(self.bytes(key)?).into()),
            7 => Value::Bool(self.bool(key)?),
            8 => Value::Text(self.text(key, HEADER_LIMIT)?),
            9 => Value::List(self.list(key)?),
            12 => Value::Real(f64::from_le_bytes(self.bytes(key)?)),
            _ => return Err(Fault::number(format!("the type of `{key}`"), kind, "types go from 0 to 12")),
        })
    }

    fn integer(&mut self, kind: u32, key: &str) -> Result<i128, Fault> {
        Ok(match kind {
            0 => u8::from_le_bytes(self.bytes(key)?).into(),
            1 => i8::from_le_bytes(self.bytes(key)?).into(),
            2 => u16::from_le_bytes(self.bytes(key)?).into(),
            3 => i16::from_le_bytes(self.bytes(key)?).into(),
            4 => u32::from_le_bytes(self.bytes(key)?).into(),
            5 => i32::from_le_bytes(self.bytes(key)?).into(),
            10 => u64::from_le_bytes(self.bytes(key)?).into(),
            _ => i64::from_le_bytes(self.bytes(key)?).into(),
        })
    }

    fn list(&mut self, key: &str) -> Result<List, Fault> {
        let kind = self.u32(key)?;
        let count = self.u64(key)?;
        let size = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            9 => return Err(Fault::unsupported(format!("a list of lists (`{key}`)"))),
            _ => return Err(Fault::number(format!("the type of `{key}`"), kind, "types go from 0 to 12")),
        };
        self.room(count, size, key)?;
        Ok(match kind {
            6 => List::Reals((0..count).map(|_| self.bytes(key).map(f32::from_le_bytes)).collect::<Result<_, _>>()?),
            12 => {
                let narrow = |bytes| f64::from_le_bytes(bytes) as f32;
                List::Reals((0..count).map(|_| self.bytes(key).map(narrow)).collect::<Result<_, _>>()?)
            }
            7 => List::Bools((0..count).map(|_| self.bool(key)).collect::<Result<_, _>>()?),
            8 => List::Texts((0..count).map(|_| self.text(key, KEY_LIMIT)).collect::<Result<_, _>>()?),
            _ => List::Integers((0..count).map(|_| self.narrow(kind, key)).collect::<Result<_, _>>()?),
        })
    }

    fn narrow(&mut self, kind: u32, key: &str) -> Result<i64, Fault> {
        let value = self.integer(kind, key)?;
        i64::try_from(value).map_err(|_| Fault::number(key, value, "the limit is 2^63 - 1"))
    }

    /// One entry of the tensor list; `start` is still relative to the data section.
    fn tensor(&mut self, name: &str) -> Result<TensorInfo, Fault> {
        let dimensions = self.u32(name)?;
        if dimensions == 0 || dimensions > DIMENSIONS_LIMIT {
            let what = format!("the number of dimensions of `{name}`");
            return Err(Fault::number(what, dimensions, format!("it must be from 1 to {DIMENSIONS_LIMIT}")));
        }
        let mut shape = (0..dimensions).map(|_| self.dimension(name)).collect::<Result<Vec<usize>, Fault>>()?;
        let kind = self.u32(name)?;
        let start = self.u64(name)?;
        let quantisation = Quantisation::from_id(kind)
            .map_err(|kind| Fault::unsupported(format!("the tensor type {kind} (`{name}`)")))?;
        if !shape[0].is_multiple_of(quantisation.block_values()) {
            let bound = format!("{quantisation} needs a multiple of {}", quantisation.block_values());
            return Err(Fault::number(format!("the row length of `{name}`"), shape[0] as u64, bound));
        }
        shape.reverse();
        let too_large = || Fault::number(format!("the size of `{name}`"), u64::MAX, "it does not fit into memory");
        let elements = shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size));
        let bytes = elements.and_then(|elements| quantisation.bytes(elements)).ok_or_else(too_large)?;
        Ok(TensorInfo { shape, quantisation, start, bytes })
    }

    fn dimension(&mut self, name: &str) -> Result<usize, Fault> {
        let size = self.u64(name)?;
        let error = || Fault::number(format!("a dimension of `{name}`"), size, "it must be from 1 to 2^31");
        usize::try_from(size).ok().filter(|size| (1..=1 << 31).contains(size)).ok_or_else(error)
    }
}
