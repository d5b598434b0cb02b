use std::collections::HashMap;
use std::path::Path;

use safetensors::SafeTensors;

use super::quantisation::Quantisation;
use super::testing::{Writer, open, tiny_llama};
use super::{List, Value, required};
use crate::error::{Fault, Problem};

fn refusal(writer: &Writer) -> Problem {
    match open(&writer.bytes()).unwrap_err() {
        Fault::Malformed(problem) => problem,
        other => panic!("{other:?}"),
    }
}

fn unsupported(writer: &Writer) -> String {
    match open(&writer.bytes()).unwrap_err() {
        Fault::Unsupported(feature) => feature,
        other => panic!("{other:?}"),
    }
}

/// Every format against the reference implementation's values for random blocks, bit for bit.
#[test]
fn dequantised_values_are_the_references_bit_for_bit() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/quantised_blocks.safetensors");
    let file = std::fs::read(path).unwrap();
    let golden = SafeTensors::deserialize(&file).unwrap();
    let formats: HashMap<String, Quantisation> =
        (0..64).filter_map(|id| Quantisation::from_id(id).ok()).map(|format| (format.to_string(), format)).collect();
    let mut checked = 0;
    for name in golden.names().into_iter().filter_map(|name| name.strip_suffix(".bytes")) {
        let format = formats[name];
        let bytes = golden.tensor(&format!("{name}.bytes")).unwrap();
        let expected = golden.tensor(&format!("{name}.values")).unwrap();
        let expected: Vec<u32> =
            expected.data().chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let mut values = vec![0.0; expected.len()];
        format.dequantise(bytes.data(), &mut values);
        assert_eq!(values.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), expected, "{name}");
        checked += 1;
    }
    assert_eq!(checked, formats.len() - 1, "all but F32, which is stored as it is");
}

#[test]
fn values_of_every_type_are_read() {
    let gguf = open(
        &Writer::default()
            .raw("u8", 0, &[200])
            .raw("i8", 1, &[0xFF])
            .raw("u16", 2, &[1, 2])
            .raw("i16", 3, &[0xFE, 0xFF])
            .count("u32", 7)
            .raw("i32", 5, &(-3i32).to_le_bytes())
            .real("f32", 0.5)
            .flag("bool", true)
            .text("text", "é")
            .raw("u64", 10, &u64::MAX.to_le_bytes())
            .raw("i64", 11, &i64::MIN.to_le_bytes())
            .raw("f64", 12, &0.25f64.to_le_bytes())
            .list("bools", 7, &[vec![1], vec![0]])
            .list("f64s", 12, &[0.5f64.to_le_bytes().to_vec()])
            .texts("texts", &["a", ""])
            .bytes(),
    )
    .unwrap();
    let integers = ["u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64"].map(|key| gguf.metadata[key].clone());
    let expected = [200, -1, 513, -2, 7, -3, i128::from(u64::MAX), i128::from(i64::MIN)].map(Value::Integer);
    assert_eq!(integers, expected);
    assert_eq!((gguf.real("f32").unwrap(), gguf.real("f64").unwrap()), (Some(0.5), Some(0.25)));
    assert_eq!((gguf.flag("bool").unwrap(), gguf.text("text").unwrap()), (Some(true), Some("é")));
    assert_eq!(gguf.list("bools").unwrap(), Some(&List::Bools(vec![true, false])));
    assert_eq!(gguf.list("f64s").unwrap(), Some(&List::Reals(vec![0.5])));
    assert_eq!(gguf.texts("texts").unwrap().unwrap(), ["a", ""]);
    assert!(gguf.count("u64").is_ok() && gguf.count("i8").is_err() && gguf.count("text").is_err());
    assert!(gguf.count("absent").unwrap().is_none() && required(gguf.count("absent").unwrap(), "absent").is_err());
}

#[test]
fn tensors_are_read_whole_and_by_rows() {
    let gguf = open(&Writer::default().counting("a", &[3, 4]).counting("b", &[2]).bytes()).unwrap();
    assert_eq!(gguf.tensors()["a"].shape, [4, 3]);
    assert_eq!(gguf.read("a", None).unwrap(), (0..12).map(|value| value as f32).collect::<Vec<_>>());
    assert_eq!(gguf.read("a", Some(1..3)).unwrap(), [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    assert_eq!(gguf.read("b", None).unwrap(), [0.0, 1.0]);
    assert!(gguf.read("a", Some(2..5)).is_err() && gguf.read("c", None).is_err());
}

#[test]
fn version_2_is_read_and_others_are_named() {
    let mut bytes = tiny_llama().bytes();
    bytes[4] = 2;
    assert!(open(&bytes).is_ok());
    for (version, name) in [([1, 0, 0, 0], "version 1"), ([9, 0, 0, 0], "version 9"), ([0, 0, 0, 3], "big-endian")] {
        bytes[4..8].copy_from_slice(&version);
        let error = open(&bytes).unwrap_err();
        assert!(matches!(&error, Fault::Unsupported(feature) if feature.contains(name)), "{error:?}");
    }
    bytes[0] = b'X';
    assert!(matches!(open(&bytes), Err(Fault::Malformed(Problem::Magic { found: [b'X', ..], .. }))));
}

#[test]
fn announced_sizes_are_checked_against_the_file() {
    // A text, a list, a count of pairs and a tensor of sizes that would exhaust any memory.
    let huge = (1u64 << 60).to_le_bytes();
    let long_list = [&5u32.to_le_bytes()[..], &huge].concat();
    assert!(matches!(refusal(&Writer::default().raw("k", 8, &huge)), Problem::Truncated { .. }));
    assert!(matches!(refusal(&Writer::default().raw("k", 9, &long_list)), Problem::Truncated { .. }));
    let mut bytes = Writer::default().bytes();
    bytes[16..24].copy_from_slice(&huge);
    assert!(matches!(open(&bytes), Err(Fault::Malformed(Problem::Truncated { .. }))));
    let tensor = |dimensions: &[u64]| Writer::default().tensor("t", dimensions, 0, &[0; 32]);
    assert!(matches!(refusal(&tensor(&[1 << 30])), Problem::Truncated { needed: 4294967296, available: 32, .. }));
    assert!(matches!(refusal(&tensor(&[1 << 31, 1 << 31, 1 << 31])), Problem::Number { .. }));
    assert!(matches!(refusal(&tensor(&[u64::MAX])), Problem::Number { .. }));
    assert!(matches!(refusal(&tensor(&[0])), Problem::Number { value: 0, .. }));
    assert!(matches!(refusal(&tensor(&[])), Problem::Number { value: 0, .. }));
    assert!(matches!(refusal(&tensor(&[1; 5])), Problem::Number { value: 5, .. }));
}

#[test]
fn rows_must_be_whole_blocks() {
    let writer = Writer::default().tensor("t", &[48, 2], 8, &[0; 102]);
    assert!(matches!(refusal(&writer), Problem::Number { value: 48, .. }));
}

#[test]
fn names_must_be_unique_and_utf8() {
    let keys = Writer::default().count("k", 1).count("k", 2);
    assert!(matches!(refusal(&keys), Problem::Duplicate { .. }));
    let tensors = Writer::default().counting("t", &[1]).counting("t", &[1]);
    assert!(matches!(refusal(&tensors), Problem::Duplicate { .. }));
    let bytes = [&2u64.to_le_bytes()[..], &[0xC3, 0x28]].concat();
    assert!(matches!(refusal(&Writer::default().raw("k", 8, &bytes)), Problem::Utf8 { .. }));
}

#[test]
fn unread_types_are_named() {
    assert_eq!(unsupported(&Writer::default().tensor("t", &[256], 20, &[0; 144])), "the tensor type IQ4_NL (`t`)");
    assert_eq!(unsupported(&Writer::default().tensor("t", &[256], 99, &[0; 144])), "the tensor type number 99 (`t`)");
    assert!(unsupported(&Writer::default().list("k", 9, &[])).contains("a list of lists"));
    assert!(matches!(refusal(&Writer::default().raw("k", 13, &[0])), Problem::Number { value: 13, .. }));
    assert!(matches!(refusal(&Writer::default().raw("k", 7, &[2])), Problem::Number { value: 2, .. }));
}

#[test]
fn the_alignment_is_the_files() {
    let odd = Writer::default().count("general.alignment", 24);
    assert!(matches!(refusal(&odd), Problem::Key { .. }));
    // A tensor list written for 32 bytes is not aligned to 64.
    let wide = Writer::default().count("general.alignment", 64).counting("a", &[1]).counting("b", &[1]);
    assert!(matches!(refusal(&wide), Problem::Number { value: 32, .. }));
}
