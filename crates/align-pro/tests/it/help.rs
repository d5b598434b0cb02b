//! Help texts and usage errors.

use std::path::Path;
use std::process::Command;

use crate::support::{align_pro, tell, told};

#[test]
fn help_texts() {
    insta::assert_snapshot!("help", tell(["--help"]));
    insta::assert_snapshot!("help_model", tell(["model", "--help"]));
    for command in ["list", "pull", "show", "score", "generate", "serve"] {
        insta::assert_snapshot!(format!("help_model_{command}"), tell(["model", command, "--help"]));
    }
}

#[test]
fn usage_errors() {
    insta::assert_snapshot!("usage_unknown_command", tell(["modle"]));
    insta::assert_snapshot!("usage_missing_argument", tell(["model", "pull"]));
    insta::assert_snapshot!("usage_unknown_source", tell(["model", "pull", "smollm2-135m-instruct", "--from", "ftp"]));
}

/// `head` leaves after one line; that is what it was asked for.
#[cfg(unix)]
#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let home = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_align-pro");
    let script = format!("'{program}' model list; echo \"exit code $?\" >&2");
    // The reading end is closed before the command starts.
    let output = Command::new("sh").args(["-c", &format!("( {script} ) | true; sleep 0.5")]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "exit code 0\n", "{}", told(&output, home.path()));
}

#[test]
fn colours_are_for_terminals() {
    let output = align_pro(Path::new("nowhere"), ["model", "show", "nothing"]).output().unwrap();
    assert!(!output.stderr.contains(&0x1b) && !output.stderr.is_empty());
}
