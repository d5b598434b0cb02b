//! `data synth`: prompts that need no file.

use std::fs;

use serde_json::Value;

use crate::support::{align_pro, tell, told};

#[test]
fn prompts_come_as_json_lines() {
    insta::assert_snapshot!("synth_constraints", tell(["data", "synth", "constraints", "--n", "3", "--seed", "7"]));
    insta::assert_snapshot!("help_synth_constraints", tell(["data", "synth", "constraints", "--help"]));
}

#[test]
fn a_file_holds_what_standard_output_would() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("prompts.jsonl");
    let flags =
        ["data", "synth", "constraints", "--n", "20", "--split", "unseen-tasks", "--types", "punctuation:no_comma"];
    let printed = align_pro(home.path(), flags).output().unwrap().stdout;
    let output = align_pro(home.path(), flags).arg("--out").arg(&path).output().unwrap();
    let expected = "exit code 0\n--- stdout\n--- stderr\n20 prompts in [HOME]/prompts.jsonl\n";
    assert_eq!(told(&output, home.path()), expected);
    assert_eq!(fs::read(&path).unwrap(), printed);
    assert_eq!(printed.iter().filter(|&&byte| byte == b'\n').count(), 20);
}

#[test]
fn one_document_counts_splits_and_types() {
    let home = tempfile::tempdir().unwrap();
    let output = align_pro(home.path(), ["data", "synth", "constraints", "--n", "50", "--json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&document["n"], document["prompts"].as_array().unwrap().len()), (&Value::from(50), 50));
    let splits: u64 = document["splits"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(splits, 50);
}

#[test]
fn mistakes_are_told() {
    let constraints = |flag, value| tell(["data", "synth", "constraints", flag, value]);
    insta::assert_snapshot!("synth_unknown_type", constraints("--types", "no_comma"));
    insta::assert_snapshot!("synth_unknown_split", constraints("--split", "test"));
}
