//! `doctor`: what this machine offers, and what is missing.

use std::process::{Command, Stdio};

use serde::Serialize;

use super::Session;
use crate::arguments::Doctor;
use crate::output::Output;

#[derive(Serialize)]
struct Check {
    name: &'static str,
    is_fine: bool,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

pub(super) fn run(arguments: &Doctor, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    let checks = [processor(), memory(), home(session), models(session), pip()];
    if arguments.json {
        return output.json_document(&checks);
    }
    for Check { name, is_fine, found, hint } in &checks {
        output.line(&format!("{} {name:<10} {found}", if *is_fine { "ok     " } else { "MISSING" }))?;
        if let Some(hint) = hint.filter(|_| !is_fine) {
            output.line(&format!("        hint: {hint}"))?;
        }
    }
    Ok(())
}

fn processor() -> Check {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let found = format!(
        "{cores} cores, {}; models run in {}, targets in {}",
        lm::instruction_set(),
        crate::models::precision_name(lm::default_precision()),
        crate::models::precision_name(lm::frozen_precision())
    );
    Check { name: "processor", is_fine: true, found, hint: None }
}

/// A training step of the smallest model takes about 2 GiB.
const LEAST_MEMORY: u64 = 3 << 30;

fn memory() -> Check {
    let available = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    let hint = Some("lower `schedule.activation-memory`, or free some memory");
    match available {
        Some(kib) => {
            let is_fine = kib << 10 >= LEAST_MEMORY;
            let found = format!("{:.1} GiB available", kib as f64 / (1 << 20) as f64);
            Check { name: "memory", is_fine, found, hint }
        }
        None => Check { name: "memory", is_fine: true, found: "cannot be told on this system".to_owned(), hint: None },
    }
}

fn home(session: &Session) -> Check {
    let path = session.home.path();
    let is_fine = std::fs::create_dir_all(path).is_ok() && tempfile_in(path);
    let found = path.display().to_string();
    Check { name: "home", is_fine, found, hint: Some("give a folder that can be written by --home or ALIGN_PRO_HOME") }
}

/// Whether a file can be written in the folder.
fn tempfile_in(folder: &std::path::Path) -> bool {
    let probe = folder.join(format!(".probe-{}", std::process::id()));
    let written = std::fs::write(&probe, b"x").is_ok();
    // What was written only to see whether it can be is not missed.
    let _ = std::fs::remove_file(&probe);
    written
}

fn models(session: &Session) -> Check {
    let here: Vec<&str> = lm::CATALOGUE
        .iter()
        .map(|model| model.name)
        .filter(|name| lm::find_model(name, session.home.path()).is_ok())
        .collect();
    let found = if here.is_empty() { "none yet; they are fetched when needed".to_owned() } else { here.join(", ") };
    Check { name: "models", is_fine: true, found, hint: None }
}

fn pip() -> Check {
    let said = Command::new("python3").args(["-m", "pip", "--version"]).stdin(Stdio::null()).output();
    let version = said.ok().filter(|said| said.status.success());
    let found = version.as_ref().map_or("not found".to_owned(), |said| {
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    });
    let hint = Some("models by name are fetched with pip; without it, give paths of model files");
    Check { name: "pip", is_fine: version.is_some(), found, hint }
}
