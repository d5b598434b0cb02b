//! Known-answer data that is not part of the repository.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

/// The file under `shared/data` beside the repository; `None`, with the reason printed, where it is absent.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")).join(name);
    if !path.exists() {
        println!("skipped: no `{name}` in `shared/data` beside the repository");
        return None;
    }
    Some(path)
}

/// The text of a file, unpacked where its name ends in `.gz`.
pub(crate) fn read_text(path: &PathBuf) -> String {
    let bytes = fs::read(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text
}

/// The rows of a JSONL file.
pub(crate) fn read_rows(path: &PathBuf) -> Vec<Value> {
    read_text(path).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
