//! `model pull`: fetch a model.

use serde::Serialize;

use super::Session;
use crate::arguments::Pull;
use crate::failure::Failure;
use crate::output::Output;
use crate::pull::{Wanted, pull};

#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    path: String,
    /// Null when it was there already.
    source: Option<String>,
}

pub(super) fn run(arguments: &Pull, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    let name = &arguments.name;
    let wanted = Wanted::by_name(name)?.ok_or_else(|| Failure::NoSource { name: name.clone() })?;
    let pulled = pull(&wanted, name, arguments.from, session)?;
    let path = pulled.path.display().to_string();
    if arguments.json {
        return output.json_document(&Report { name, path, source: pulled.source });
    }
    output.line(&path)
}
