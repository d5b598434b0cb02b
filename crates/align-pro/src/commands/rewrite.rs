//! `rewrite`: prompts through a trained prompter.

use std::io::{BufRead, IsTerminal};

use anyhow::Context;
use lm::derive_seed;
use rollout::data::{Prompt, Record};
use rollout::prompter::{Prompter, Rewrite as Rewritten, RewriteJob, Written};
use serde::Serialize;

use super::Session;
use crate::arguments::Rewrite;
use crate::config::plan::What;
use crate::failure::Failure;
use crate::output::{Output, say};
use crate::run::folder::RunFolder;
use crate::run::shelf::Shelf;
use crate::run::world::{self, Trainable};

/// Prompts that are rewritten together.
const PROMPTS_AT_ONCE: usize = 32;

#[derive(Serialize)]
struct Told {
    prompt: String,
    rewrites: Vec<ToldRewrite>,
}

#[derive(Serialize)]
struct ToldRewrite {
    /// What the target is to read.
    rewrite: String,
    /// What the prompter wrote.
    written: String,
    /// Sum of `token_logps`.
    logp: f64,
    tokens: Vec<u32>,
    token_logps: Vec<f32>,
    findings: Vec<&'static str>,
    fell_back: bool,
}

pub(super) fn run(arguments: &Rewrite, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    let folder = RunFolder::open(&arguments.run)?;
    let plan = folder.plan()?;
    if plan.train.what == What::Target {
        return Err(Failure::NoPrompter { folder: arguments.run.clone() }.into());
    }
    let prompts = prompts(arguments)?;
    let mut shelf = Shelf::new(plan.tape_budget(), &arguments.threads, session);
    let Trainable { prompter, start, architecture } = world::trainable(&mut shelf, &plan)?;
    let adapter = (!arguments.untuned).then(|| folder.load_adapter(&architecture)).transpose()?;
    let mut prompter = prompter.with(adapter.as_ref().or(start.as_ref()));
    let mut all = Vec::new();
    for chunk in prompts.chunks(PROMPTS_AT_ONCE) {
        let seeds: Vec<u64> = (0..arguments.n.get() as u64).map(|k| derive_seed(&[arguments.seed, k])).collect();
        let jobs: Vec<RewriteJob<'_>> =
            chunk.iter().map(|record| RewriteJob { record, seeds: seeds.clone() }).collect();
        for (record, rewrites) in chunk.iter().zip(prompter.rewrite(&jobs)?) {
            if arguments.json {
                let rewrites = rewrites.into_iter().map(told).collect();
                all.push(Told { prompt: record.prompt.text().to_owned(), rewrites });
            } else {
                rewrites.iter().try_for_each(|rewrite| output.line(&rewrite.guarded.rewrite))?;
            }
        }
    }
    if arguments.json { output.json_document(&all) } else { Ok(()) }
}

fn prompts(arguments: &Rewrite) -> anyhow::Result<Vec<Record>> {
    let texts: Vec<String> = match &arguments.prompt {
        Some(prompt) => vec![prompt.clone()],
        None => {
            if std::io::stdin().is_terminal() {
                say("reading prompts from the terminal, one a line");
            }
            let lines = std::io::stdin().lock().lines().collect::<std::io::Result<Vec<String>>>();
            lines.context("cannot read `<stdin>`")?
        }
    };
    let records = texts.into_iter().filter(|text| !text.trim().is_empty()).enumerate();
    let records: Vec<Record> = records
        .map(|(index, text)| Record {
            id: (index + 1).to_string(),
            prompt: Prompt::Text(text),
            fields: serde_json::Map::new(),
        })
        .collect();
    if records.is_empty() { Err(Failure::NoPrompts { purpose: "rewrite", file: None }.into()) } else { Ok(records) }
}

fn told(rewrite: Rewritten) -> ToldRewrite {
    let findings = rewrite.guarded.findings.iter().map(|finding| finding.rail().name()).collect();
    let logp = rewrite.written.as_ref().map_or(0.0, Written::logp);
    let (written, tokens, token_logps) =
        rewrite.written.map_or_else(Default::default, |written| (written.text, written.tokens, written.token_logps));
    ToldRewrite {
        rewrite: rewrite.guarded.rewrite,
        written,
        logp,
        tokens,
        token_logps,
        findings,
        fell_back: rewrite.guarded.fell_back,
    }
}
