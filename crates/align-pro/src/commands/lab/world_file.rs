//! A world from its file.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use theory::{World, WorldTables};

use super::table_file::{TableError, Tables};

const FIELDS: [&str; 8] = ["rho_ref", "pi_f", "reward", "lambda", "beta", "weights", "pi_sft", "reward_range"];

/// Reads a world from a file, or from standard input where the path is `-`.
pub(super) fn read(path: &Path) -> anyhow::Result<World> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.with_context(|| format!("cannot read the world `{}`", path.display()))?;
    let unusable = || format!("cannot use the world `{}`", path.display());
    let tables = tables(&text).with_context(unusable)?;
    World::new(tables).with_context(unusable)
}

fn tables(text: &str) -> Result<WorldTables, TableError> {
    let file = Tables::parse(text, &FIELDS)?;
    Ok(WorldTables {
        rho_ref: file.required("rho_ref")?,
        pi_f: file.required("pi_f")?,
        reward: file.required("reward")?,
        lambda: file.required("lambda")?,
        beta: file.required("beta")?,
        weights: file.optional("weights")?,
        pi_sft: file.optional("pi_sft")?,
        reward_range: file.optional("reward_range")?,
    })
}
