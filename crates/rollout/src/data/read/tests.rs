use std::fs;
use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;

/// Writes a file and reads it back.
fn read(name: &str, bytes: impl AsRef<[u8]>, options: &ReadOptions) -> Result<Loaded, Error> {
    let folder = TempDir::new().unwrap();
    let path: PathBuf = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    read_records(&path, options)
}

fn lenient() -> ReadOptions {
    ReadOptions { max_bad_rows: 100, ..ReadOptions::default() }
}

fn texts(loaded: &Loaded) -> Vec<&str> {
    loaded.records.iter().map(|record| record.prompt.text()).collect()
}

#[test]
fn lines_carry_prompts_ids_and_whatever_else() {
    let text = "\u{feff}{\"prompt\": \"a\", \"key\": 7, \"kwargs\": [{}]}\r\n\n{\"prompt\": \" b\"}";
    let loaded = read("p.jsonl", text, &ReadOptions::default()).unwrap();
    assert_eq!(texts(&loaded), ["a", " b"]);
    assert_eq!(loaded.records[0].id, "7");
    assert_eq!(loaded.records[0].fields["kwargs"], json!([{}]));
    assert_eq!(loaded.records[1].id, "line 3");
    let options = ReadOptions { prompt_field: "question".to_owned(), ..ReadOptions::default() };
    assert_eq!(texts(&read("p.ndjson", r#"{"question": "q", "answer": 4}"#, &options).unwrap()), ["q"]);
}

#[test]
fn conversations_end_with_the_user() {
    let row = |role: &str| {
        json!({"prompt": [{"role": "system", "content": "s"}, {"role": role, "content": "x"}]}).to_string()
    };
    let loaded = read("p.jsonl", row("user"), &ReadOptions::default()).unwrap();
    assert_eq!(texts(&loaded), ["x"]);
    assert_eq!(loaded.records[0].prompt.with_text("y").len(), 2);
    let loaded = read("p.jsonl", row("assistant"), &lenient()).unwrap();
    let problem = "line 1: field `prompt`: the last message must be the user's, not of role `assistant`";
    assert_eq!(loaded.bad_rows[0].to_string(), problem);
}

#[test]
fn bad_rows_are_named_and_limited() {
    let text = "{\"prompt\": \"a\", \"id\": 1}\n{oops\n[1]\n{\"text\": 1}\n{\"prompt\": 3}\n{\"prompt\": \" \"}\n\
                {\"prompt\": \"b\", \"id\": 1}\n{\"prompt\": []}\n{\"prompt\": \"\\ud800\"}\n{\"prompt\": \"c\"}";
    let loaded = read("p.jsonl", text, &lenient()).unwrap();
    assert_eq!(texts(&loaded), ["a", "c"]);
    let problems: Vec<String> = loaded.bad_rows.iter().map(BadRow::to_string).collect();
    let expected = [
        "line 2: not JSON: key must be a string at column 2",
        "line 3: expected an object, found [1]",
        "line 4: no field `prompt`",
        "line 5: field `prompt`: expected text or messages, found 3",
        "line 6: field `prompt`: blank",
        "line 7: repeats the id `1` of line 1",
        "line 8: field `prompt`: no messages",
    ];
    assert_eq!(problems[..7], expected);
    assert_eq!(problems.len(), 8, "a lone surrogate is not text");

    let strict = ReadOptions { max_bad_rows: 1, ..ReadOptions::default() };
    let message = read("p.jsonl", text, &strict).unwrap_err().to_string();
    assert!(
        message
            .contains("p.jsonl` has more unusable rows than the 1 that `max-bad-rows` allows; the first is line 2: ")
    );
}

#[test]
fn arrays_and_tables_have_the_same_rows() {
    let loaded = read("p.json", r#"[{"prompt": "a"}, {"prompt": "b", "n": 2}]"#, &lenient()).unwrap();
    assert_eq!(texts(&loaded), ["a", "b"]);
    assert_eq!(loaded.records[1].id, "item 2");
    assert!(matches!(read("p.json", r#"{"prompt": "a"}"#, &lenient()), Err(Error::Read { .. })));

    let table = "id,prompt,kwargs,note\np1,\"a,\n\"\"b\"\"\",\"[{\"\"n\"\": 1}]\",12\np2,[c],{oops,\np3,too few\n";
    let loaded = read("p.csv", table, &lenient()).unwrap();
    assert_eq!(texts(&loaded), ["a,\n\"b\"", "[c]"]);
    assert_eq!(loaded.records[0].id, "p1");
    assert_eq!(loaded.records[0].fields["kwargs"], json!([{"n": 1}]));
    assert_eq!(loaded.records[0].fields["note"], json!("12"));
    assert_eq!(loaded.records[1].fields["kwargs"], json!("{oops"));
    assert_eq!(loaded.bad_rows[0].place, Place::Line(5));
}

#[test]
fn packed_files_are_unpacked() {
    let text = b"{\"prompt\": \"packed\", \"id\": 1}\n{\"prompt\": \"twice\", \"id\": 2}\n";
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    let packed = encoder.finish().unwrap();
    assert_eq!(texts(&read("p.jsonl.gz", &packed, &lenient()).unwrap()), ["packed", "twice"]);
    // A file of two members, as concatenation makes them, is one text.
    let doubled: Vec<u8> = packed.iter().chain(&packed).copied().collect();
    assert_eq!(read("p.jsonl.gz", doubled, &lenient()).unwrap().bad_rows.len(), 2, "ids repeat");
    assert!(matches!(read("p.jsonl.gz", &packed[..packed.len() - 12], &lenient()), Err(Error::Read { .. })));

    // The same text as `zstd` 1.5 packs it.
    let packed = [
        0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58, 0x85, 0x01, 0x00, 0x64, 0x02, 0x7b, 0x22, 0x70, 0x72, 0x6f, 0x6d, 0x70,
        0x74, 0x22, 0x3a, 0x20, 0x22, 0x70, 0x61, 0x63, 0x6b, 0x65, 0x64, 0x22, 0x2c, 0x20, 0x22, 0x69, 0x64, 0x22,
        0x3a, 0x20, 0x31, 0x7d, 0x0a, 0x74, 0x77, 0x69, 0x63, 0x65, 0x32, 0x7d, 0x0a, 0x02, 0x00, 0x40, 0x15, 0xda,
        0xc0, 0x29, 0x27, 0xba, 0xb6, 0xe6, 0x65,
    ];
    assert_eq!(texts(&read("p.jsonl.zst", packed, &lenient()).unwrap()), ["packed", "twice"]);
    assert!(matches!(read("p.jsonl.zst", &packed[..20], &lenient()), Err(Error::Read { .. })));
}

#[test]
fn other_names_are_refused() {
    for name in ["p.txt", "p", "p.gz"] {
        let error = read(name, b"", &lenient()).unwrap_err();
        assert!(matches!(error, Error::UnknownFormat { .. } | Error::Read { .. }), "{name}: {error}");
    }
    assert!(matches!(read_records(Path::new("/nonexistent/p.jsonl"), &lenient()), Err(Error::Read { .. })));
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(
        name in prop::sample::select(vec!["p.jsonl", "p.json", "p.csv", "p.jsonl.gz", "p.csv.zst"]),
        start in prop::sample::select(vec![&b""[..], b"prompt,id\n", b"{\"prompt\": ", b"[{\"prompt\": \"a\"},", b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08"]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let content: Vec<u8> = start.iter().chain(&bytes).copied().collect();
        if let Ok(loaded) = read(name, content, &lenient()) {
            prop_assert!(loaded.bad_rows.len() <= 100);
        }
    }
}
