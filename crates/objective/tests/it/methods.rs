//! METHODS.md is up to date, and every file it names is there and in order.

use std::path::Path;

use objective::{BuildingBlock, MethodId};

#[path = "../../examples/methods.rs"]
#[expect(dead_code, reason = "the example's `main` is for running it")]
mod page;

#[test]
fn methods_page_is_fresh() {
    let found = std::fs::read_to_string(page::path()).unwrap_or_default();
    let stale = "METHODS.md is stale: run `cargo run -p objective --example methods`";
    assert!(found == page::render().unwrap(), "{stale}");
}

#[test]
fn every_file_of_the_table_exists_and_has_the_four_headings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = MethodId::ALL.map(MethodId::provenance).into_iter().chain(BuildingBlock::ALL.map(|b| b.provenance()));
    for entry in entries {
        let source = std::fs::read_to_string(root.join(entry.file)).unwrap();
        let mut rest = source.as_str();
        for heading in ["//! ## Objective", "//! ## Symbols", "//! ## Choices", "//! ## Checked against"] {
            let at = rest.find(heading).unwrap_or_else(|| panic!("{} lacks `{heading}` in its place", entry.file));
            rest = &rest[at..];
        }
        for golden in entry.golden {
            assert!(root.join("testdata/golden").join(golden).exists(), "{golden}");
        }
    }
}

#[test]
fn golden_files_and_table_name_each_other() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden");
    let named: Vec<&str> = MethodId::ALL.iter().flat_map(|method| method.provenance().golden).copied().collect();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(named.contains(&name.as_str()), "no method names the golden vectors {name}");
    }
}

#[test]
fn names_lead_back_to_their_methods() {
    for (position, method) in MethodId::ALL.into_iter().enumerate() {
        assert_eq!(method as usize, position, "the table is indexed by the order of the variants");
        let file = method.provenance().file;
        assert!(file.ends_with(&format!("/{}.rs", method.name())), "{} is not in {file}", method.name());
        assert_eq!(MethodId::from_name(method.name()), Some(method));
    }
    assert_eq!(MethodId::from_name("dop"), None);
}
