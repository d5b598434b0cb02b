//! The rules that every part of the repository keeps.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::repository;

/// Which crate may use which. A new edge is a decision: it belongs into ARCHITECTURE.md first.
const EDGES: [(&str, &[&str]); 9] = [
    ("align-pro", &["endpoint", "lm", "objective", "rollout", "serve", "theory", "train"]),
    ("endpoint", &[]),
    ("kernel", &[]),
    ("lm", &["kernel"]),
    ("objective", &[]),
    ("rollout", &["endpoint", "lm", "objective", "theory"]),
    ("serve", &["lm", "rollout"]),
    ("theory", &["objective"]),
    ("train", &["lm", "objective", "rollout", "theory"]),
];

const LONGEST_FUNCTION: usize = 100;
const LONGEST_FILE: usize = 600;

fn files_below(folder: &Path, wanted: &dyn Fn(&Path) -> bool, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() && !name.starts_with("target") && (!name.starts_with('.') || name == ".ci") {
            files_below(&path, wanted, found);
        } else if path.is_file() && name != ".git" && wanted(&path) {
            found.push(path);
        }
    }
}

fn files(wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files_below(repository(), &wanted, &mut found);
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(repository()).unwrap().display().to_string()
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|extension| extensions.iter().any(|known| extension == *known))
}

/// Rust files with their lines, tests left out: whole files of tests, and what follows `#[cfg(test)]` in others.
fn sources() -> Vec<(String, Vec<String>)> {
    let is_source = |path: &Path| {
        let test = path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
        has_extension(path, &["rs"]) && !test
    };
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let before_tests = text.lines().collect::<Vec<_>>();
        let start =
            before_tests.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod tests"));
        let lines = before_tests[..start.unwrap_or(before_tests.len())].iter().map(|line| line.to_string());
        (shown(&path), lines.collect())
    };
    files(is_source).into_iter().map(read).collect()
}

#[test]
fn crates_use_only_what_they_may() {
    let mut found = BTreeMap::new();
    for manifest in files(|path| path.ends_with("Cargo.toml") && shown(path).starts_with("crates/")) {
        let name = manifest.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&manifest).unwrap();
        let section = text.split("[dependencies]").nth(1).unwrap_or_default().split("\n[").next().unwrap_or_default();
        let used = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
        let used: Vec<String> =
            used.filter(|used| EDGES.iter().any(|(known, _)| known == used)).map(str::to_owned).collect();
        found.insert(name, used);
    }
    let allowed: BTreeMap<String, Vec<String>> = EDGES
        .iter()
        .map(|(name, uses)| (name.to_string(), uses.iter().map(|used| used.to_string()).collect()))
        .collect();
    let names: Vec<_> = found.keys().collect();
    assert_eq!(names, allowed.keys().collect::<Vec<_>>(), "the crates themselves");
    for (name, used) in &found {
        let extra: Vec<_> = used.iter().filter(|used| !allowed[name].contains(used)).collect();
        assert!(extra.is_empty(), "crate `{name}` may not use {extra:?}; allowed are {:?}", allowed[name]);
    }
}

#[test]
fn files_stay_short() {
    let long: Vec<String> = sources()
        .into_iter()
        .filter(|(_, lines)| lines.len() > LONGEST_FILE)
        .map(|(path, lines)| format!("{path}: {} lines", lines.len()))
        .collect();
    assert!(long.is_empty(), "above {LONGEST_FILE} lines without tests: {long:#?}");
}

/// rustfmt puts the closing brace of a function at the indentation of its `fn`.
#[test]
fn functions_stay_short() {
    let mut long = Vec::new();
    for (path, lines) in sources() {
        for (start, line) in lines.iter().enumerate() {
            let indentation = line.len() - line.trim_start().len();
            let starts = [" fn ", "fn "].iter().any(|word| {
                line.trim_start().starts_with("fn ") || (line.trim_start().starts_with("pub") && line.contains(word))
            });
            if !starts {
                continue;
            }
            let end = format!("{}}}", " ".repeat(indentation));
            let length = lines[start..].iter().position(|line| *line == end || line.ends_with(" {}")).unwrap_or(0) + 1;
            if length > LONGEST_FUNCTION {
                long.push(format!("{path}:{}: {length} lines", start + 1));
            }
        }
    }
    assert!(long.is_empty(), "functions above {LONGEST_FUNCTION} lines: {long:#?}");
}

/// Only crate `kernel` has a reason for `unsafe`, and each use says what makes it sound.
#[test]
fn unsafe_stays_in_the_kernels() {
    for (path, lines) in sources() {
        let uses = lines.iter().any(|line| line.contains("unsafe {") || line.contains("unsafe fn"));
        assert!(!uses || path.starts_with("crates/kernel/"), "{path} has unsafe code");
    }
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    // Put together here, so that this file does not name them.
    let places = ["work", "root", "home", "Users"].map(|folder| format!("/{folder}/"));
    let texts = ["rs", "toml", "md", "py", "json", "snap", "txt", ""];
    for path in files(|path| has_extension(path, &texts) || path.extension().is_none()) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            let named = places.iter().any(|place| {
                line.match_indices(place)
                    .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "./]}".contains(c)))
            });
            assert!(!named, "{}:{}: {line}", shown(&path), number + 1);
        }
    }
}
