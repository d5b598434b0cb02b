//! `model list`: the catalogue.

use serde::Serialize;

use super::Session;
use crate::arguments::List;
use crate::output::Output;
use crate::pull::{CATALOGUE, Wanted};

#[derive(Serialize)]
struct Row {
    name: &'static str,
    summary: &'static str,
    licence: &'static str,
    bytes: u64,
    /// Where it is, if it is here.
    path: Option<String>,
}

pub(super) fn run(arguments: &List, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    let rows = CATALOGUE.iter().map(|entry| {
        let wanted = Wanted::Catalogue(entry);
        let path = wanted.is_here(session).then(|| wanted.path(session).display().to_string());
        Row { name: entry.name, summary: entry.summary, licence: entry.licence, bytes: entry.bytes, path }
    });
    if arguments.json {
        return output.json_document(&rows.collect::<Vec<_>>());
    }
    for row in rows {
        let size = indicatif::HumanBytes(row.bytes);
        let here = row.path.map_or_else(|| "not fetched yet".to_owned(), |path| format!("at {path}"));
        output.line(&format!("{}\n    {}\n    {size}, {}, {here}", row.name, row.summary, row.licence))?;
    }
    Ok(())
}
