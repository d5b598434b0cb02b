//! Snappy's block format: <https://github.com/google/snappy/blob/main/format_description.txt>.

use super::Problem;
use super::thrift::{take, varint};

const DAMAGED: Problem = Problem::Damaged("a page is no Snappy block");

/// Unpack a block that must have `length` bytes, which the caller has paid for.
pub(super) fn unpack(mut block: &[u8], length: usize) -> Result<Vec<u8>, Problem> {
    if varint(&mut block)? != length as u64 {
        return Err(DAMAGED);
    }
    let mut unpacked = Vec::with_capacity(length);
    while !block.is_empty() {
        let tag = usize::from(take(&mut block, 1)?[0]);
        match tag & 3 {
            0 => {
                let mut n = tag >> 2;
                if n >= 60 {
                    n = number(&mut block, n - 59)?;
                }
                let literal = take(&mut block, n.saturating_add(1))?;
                if literal.len() > length - unpacked.len() {
                    return Err(DAMAGED);
                }
                unpacked.extend_from_slice(literal);
            }
            1 => {
                let offset = (tag >> 5) << 8 | number(&mut block, 1)?;
                copy(&mut unpacked, offset, 4 + (tag >> 2 & 7), length)?;
            }
            kind => {
                let offset = number(&mut block, if kind == 2 { 2 } else { 4 })?;
                copy(&mut unpacked, offset, 1 + (tag >> 2), length)?;
            }
        }
    }
    if unpacked.len() == length { Ok(unpacked) } else { Err(DAMAGED) }
}

/// A number of one to four bytes, the lowest first.
fn number(block: &mut &[u8], n_bytes: usize) -> Result<usize, Problem> {
    Ok(take(block, n_bytes)?.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)))
}

/// Append `n` bytes that begin `offset` bytes before the end; they may overlap what they append to.
fn copy(unpacked: &mut Vec<u8>, offset: usize, n: usize, length: usize) -> Result<(), Problem> {
    let start = unpacked.len().checked_sub(offset).filter(|_| offset > 0).ok_or(DAMAGED)?;
    if n > length - unpacked.len() {
        return Err(DAMAGED);
    }
    for index in start..start + n {
        unpacked.push(unpacked[index]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_copies_unpack() {
        // Literal `ab`, then four bytes from two back (one-byte offset), then three from six back (two-byte offset).
        let block = [9, 1 << 2, b'a', b'b', 1, 2, 2 << 2 | 2, 6, 0];
        assert_eq!(unpack(&block, 9).unwrap(), b"abababaab"[..6].iter().chain(b"aba").copied().collect::<Vec<u8>>());
        // A literal whose length takes a byte of its own.
        let long: Vec<u8> = [70, 60 << 2, 69].into_iter().chain([7; 70]).collect();
        assert_eq!(unpack(&long, 70).unwrap(), [7; 70]);
    }

    #[test]
    fn damaged_blocks_are_errors() {
        let blocks: [&[u8]; 6] =
            [&[], &[3, 1 << 2, b'a'], &[3, 0, b'a'], &[4, 0, b'a', 1, 0], &[5, 0, b'a', 1, 2], &[2, 0, b'a', 1, 1]];
        for block in blocks {
            assert!(unpack(block, block.first().copied().unwrap_or(0).into()).is_err(), "{block:?}");
        }
    }
}
