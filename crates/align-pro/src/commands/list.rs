//! `model list`: the catalogue.

use lm::CATALOGUE;
use serde::Serialize;

use super::Session;
use crate::arguments::List;
use crate::output::Output;
use crate::pull::Wanted;

#[derive(Serialize)]
struct Row {
    name: &'static str,
    description: &'static str,
    licence: &'static str,
    bytes: u64,
    /// Where it is, if it is here.
    path: Option<String>,
}

pub(super) fn run(arguments: &List, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    let rows = CATALOGUE.iter().map(|model| {
        let wanted = Wanted::Known(model);
        let path = wanted.is_here(session).then(|| wanted.folder(session).display().to_string());
        let lm::KnownModel { name, description, licence, bytes, .. } = *model;
        Row { name, description, licence, bytes, path }
    });
    if arguments.json {
        return output.json_document(&rows.collect::<Vec<_>>());
    }
    for row in rows {
        let size = indicatif::HumanBytes(row.bytes);
        let here = row.path.map_or_else(|| "not fetched yet".to_owned(), |path| format!("at {path}"));
        output.line(&format!("{}\n    {}\n    {size}, {}, {here}", row.name, row.description, row.licence))?;
    }
    Ok(())
}
