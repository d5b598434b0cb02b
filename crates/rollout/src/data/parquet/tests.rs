use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Error;
use crate::data::{Prompt, ReadOptions, read_records};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/parquet")).join(name)
}

fn read(bytes: &[u8]) -> Result<Vec<Row>, Problem> {
    let mut table = Table::open(bytes)?;
    let mut rows = Vec::new();
    while let Some(group) = table.next_rows() {
        rows.extend(group?);
    }
    Ok(rows)
}

/// The first `n` rows of one of the lists that `tools/golden/parquet_prompts.py` wrote down.
fn expected(list: &str, n: usize) -> Vec<Value> {
    let rows: Value = serde_json::from_slice(&fs::read(fixture("rows.json")).unwrap()).unwrap();
    rows[list].as_array().unwrap()[..n].to_vec()
}

#[test]
fn files_of_pyarrow_read_back() {
    for (name, list, n) in [
        ("snappy", "chat", 10),
        ("gzip", "chat", 4),
        ("zstd-v2", "chat", 7),
        ("plain", "scalars", 2),
        ("encodings", "encoded", 21),
    ] {
        let rows = read(&fs::read(fixture(&format!("{name}.parquet"))).unwrap()).unwrap();
        let rows: Vec<Value> = rows.into_iter().map(Result::unwrap).collect();
        assert_eq!(rows, expected(list, n), "{name}");
    }
}

#[test]
fn old_timestamps_are_nanoseconds() {
    let rows = read(&fs::read(fixture("int96.parquet")).unwrap()).unwrap();
    assert_eq!(rows[0], Ok(json!({"prompt": "text", "timestamp": 1_709_209_801_000_250_000_i64})));
}

#[test]
fn conversations_become_records() {
    let loaded = read_records(&fixture("snappy.parquet"), &ReadOptions::default()).unwrap();
    assert_eq!(loaded.records.len(), 10);
    assert_eq!(loaded.records[4].id, "row-4");
    assert!(matches!(&loaded.records[4].prompt, Prompt::Messages(messages) if messages.len() == 2));
    assert_eq!(loaded.records[4].prompt.text(), "Say 日本 4.");
    assert_eq!(loaded.records[4].fields["tags"], json!([["a", null], [], ["b"]]));
    let options = ReadOptions { prompt_field: "tags".to_owned(), max_bad_rows: 20 };
    let loaded = read_records(&fixture("snappy.parquet"), &options).unwrap();
    assert_eq!(loaded.bad_rows[6].to_string().split(':').next(), Some("row 7"));
}

#[test]
fn what_is_not_known_is_named() {
    let told = |path: PathBuf| {
        let error = read_records(&path, &ReadOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Read { .. }), "{error}");
        std::error::Error::source(&error).unwrap().to_string()
    };
    assert_eq!(told(fixture("brotli.parquet")), "a Parquet file with the codec `BROTLI`, which is not known here");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.parquet");
    fs::write(&path, "{}").unwrap();
    assert_eq!(told(path), "not a Parquet file");
}

/// A file of one column, `prompt`, whose page says of itself what it likes.
fn file_of(n_rows: u64, page: &[u8], page_header: &[u8]) -> Vec<u8> {
    let mut bytes = b"PAR1".to_vec();
    bytes.extend(page_header);
    bytes.extend(page);
    // FileMetaData: schema of two elements, one row group of one chunk, uncompressed.
    let footer_start = bytes.len();
    bytes.extend([0x29, 0x2c, 0x48, 4, b'r', b'o', b'o', b't', 0x15, 2, 0]);
    bytes.extend([0x15, 12, 0x25, 0, 0x18, 6, b'p', b'r', b'o', b'm', b'p', b't', 0x25, 0, 0]);
    bytes.extend([0x29, 0x1c, 0x19, 0x1c, 0x3c, 0x15, 12, 0x35, 0, 0x16]);
    put_varint(&mut bytes, n_rows * 2);
    bytes.extend([0x46, 8, 0, 0, 0x26]);
    put_varint(&mut bytes, n_rows * 2);
    bytes.extend([0, 0]);
    let length = (bytes.len() - footer_start) as u32;
    bytes.extend(length.to_le_bytes());
    bytes.extend(b"PAR1");
    bytes
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// The header of a page of plain or dictionary values.
fn header(kind: u8, n_values: u64, length: usize, encoding: u8) -> Vec<u8> {
    let mut bytes = vec![0x15, kind * 2, 0x15];
    put_varint(&mut bytes, length as u64 * 2);
    bytes.push(0x15);
    put_varint(&mut bytes, length as u64 * 2);
    bytes.extend([if kind == 0 { 0x2c } else { 0x4c }, 0x15]);
    put_varint(&mut bytes, n_values * 2);
    bytes.extend([0x15, encoding * 2, 0, 0]);
    bytes
}

#[test]
fn small_files_cannot_fill_the_memory() {
    let text = [3, 0, 0, 0, b'a', b'b', b'c'];
    let sound = file_of(1, &text, &header(0, 1, 7, 0));
    assert_eq!(read(&sound).unwrap(), [Ok(json!({"prompt": "abc"}))]);
    // A page that claims more values than it has, then a whole gibibyte of values.
    assert!(matches!(read(&file_of(2, &text, &header(0, 2, 7, 0))), Err(Problem::Damaged(_))));
    assert!(matches!(read(&file_of(1 << 40, &text, &header(0, 1 << 30, 7, 0))), Err(Problem::TooLarge { .. })));
    // One long word of a dictionary, repeated a million times by a run of a few bytes.
    let n = 1_000_000;
    let mut word = 100_000_u32.to_le_bytes().to_vec();
    word.resize(100_004, b'a');
    let mut pages = word;
    let run = [1, 0x80, 0x89, 0x7a, 0];
    pages.extend(header(0, n, run.len(), 8));
    pages.extend(run);
    let bomb = file_of(n, &pages, &header(2, 1, 100_004, 0));
    assert!(matches!(read(&bomb), Err(Problem::TooLarge { .. })), "{:?}", read(&bomb).map(|rows| rows.len()));
}

#[test]
fn a_text_that_is_not_utf8_spoils_its_row_only() {
    let path = fixture("plain.parquet");
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.windows(5).position(|window| window == b"other").unwrap();
    bytes[at] = 0xff;
    let rows = read(&bytes).unwrap();
    assert!(rows[0].is_ok());
    assert_eq!(rows[1], Err("field `prompt`: not UTF-8".to_owned()));
}

proptest! {
    #[test]
    fn no_damage_makes_the_reader_panic(
        name in prop::sample::select(vec!["snappy", "gzip", "zstd-v2", "plain", "encodings"]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let mut bytes = fs::read(fixture(&format!("{name}.parquet"))).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cuts {
            let at = cut.index(bytes.len());
            bytes.remove(at);
        }
        let _ = read(&bytes);
    }
}
