//! `model list` and `model show`.

use std::path::Path;

use crate::support::{align_pro, repository, tell, told};

#[test]
fn the_catalogue() {
    insta::assert_snapshot!("list", tell(["model", "list"]));
    insta::assert_snapshot!("list_json", tell(["model", "list", "--json"]));
}

#[test]
fn a_folder_and_a_file() {
    insta::assert_snapshot!("show_folder", tell(["model", "show", "crates/lm/testdata/models/gemma3"]));
    insta::assert_snapshot!("show_file", tell(["model", "show", "crates/lm/testdata/models/llama/model.gguf"]));
    insta::assert_snapshot!("show_json", tell(["model", "show", "--json", "crates/lm/testdata/models/qwen3"]));
}

#[test]
fn what_is_no_model() {
    insta::assert_snapshot!("show_unknown", tell(["model", "show", "smollm3"]));
    insta::assert_snapshot!("show_hub_name", tell(["model", "show", "hf:../../etc/passwd"]));
    insta::assert_snapshot!("show_other_file", tell(["model", "show", "Cargo.toml"]));
}

#[test]
fn a_file_that_was_cut_short() {
    let home = tempfile::tempdir().unwrap();
    let whole = std::fs::read(repository().join("crates/lm/testdata/models/llama/model.gguf")).unwrap();
    let path = home.path().join("cut.gguf");
    std::fs::write(&path, &whole[..1000]).unwrap();
    let output = align_pro(home.path(), [Path::new("model"), Path::new("show"), &path]).output().unwrap();
    insta::assert_snapshot!("show_cut_file", told(&output, home.path()));
}
