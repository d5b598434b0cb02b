//! Writes METHODS.md: the table of methods, and each file's own account of its formula and choices.
//!
//! Run `cargo run -p objective --example methods` after changing a method's header.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use objective::{BuildingBlock, MethodId, Provenance};

fn main() -> std::io::Result<()> {
    std::fs::write(path(), render()?)
}

/// Where METHODS.md lies: the root of the workspace.
pub(crate) fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../METHODS.md")
}

/// The text of METHODS.md.
pub(crate) fn render() -> std::io::Result<String> {
    let methods = MethodId::ALL.map(MethodId::provenance);
    let blocks = BuildingBlock::ALL.map(BuildingBlock::provenance);
    let mut page = String::from(
        "# Methods\n\n\
         Made from the headers of the files named below by `cargo run -p objective --example methods`; a test fails \
         when it is stale.\nFiles are relative to `crates/objective`, golden vectors to \
         `crates/objective/testdata/golden`.\n\n",
    );
    table(&mut page, "method", &methods);
    page.push_str("\n## Building blocks\n\n");
    table(&mut page, "block", &blocks);
    for entry in methods.iter().chain(&blocks) {
        let source = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(entry.file))?;
        page.push_str(&section(entry, &source));
    }
    Ok(page)
}

fn table(page: &mut String, kind: &str, entries: &[Provenance]) {
    let _ = writeln!(page, "| {kind} | title | paper | equation | file | golden |\n|---|---|---|---|---|---|");
    for e in entries {
        let golden = if e.golden.is_empty() { "exact values only".to_owned() } else { e.golden.join(", ") };
        let _ =
            writeln!(page, "| `{}` | {} | {} | {} | `{}` | {golden} |", e.name, e.title, e.paper, e.equation, e.file);
    }
}

/// The module documentation of a file, one heading level down.
fn section(entry: &Provenance, source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let text: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let text = text.join("\n").replace("\n## ", "\n### ");
    format!("\n## {}\n\n{}\n", entry.name, without_links(&text))
}

/// Turns rustdoc's [`text`](crate::path) and [`text`] into plain `text`.
fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("[`") {
        let Some(length) = rest[start..].find("`]") else { break };
        let end = start + length;
        plain.push_str(&rest[..start]);
        plain.push_str(&rest[start + 1..=end]);
        rest = &rest[end + 2..];
        if let Some(target) = rest.strip_prefix("(crate::").and_then(|target| target.split_once(')')) {
            rest = target.1;
        }
    }
    plain + rest
}
