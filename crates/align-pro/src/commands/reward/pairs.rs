//! The pairs of a reward model: read, split by their prompts, and as tokens.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use lm::CpuEngine;
use rollout::data::{Preference, Prompt, ReadOptions, is_held_out, read_preferences, stable_hash};
use rollout::model::LocalModel;
use rollout::reward::Reading;
use serde::{Deserialize, Serialize};
use train::reward_model::RewardPair;

use crate::output::say;
use crate::progress;

/// The same prompts are held out whatever the seed, so that reward models can be compared.
const HELD_OUT_SEED: u64 = 0;
const VALIDATION_SEED: u64 = 1;

/// Where an attribute's pairs come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) file: PathBuf,
    /// Of its bytes: a run goes on only with the pairs it began with.
    pub(super) digest: String,
}

/// How pairs are split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Shares {
    pub(super) held_out: f64,
    pub(super) validation: f64,
    pub(super) max_pairs: Option<usize>,
}

/// An attribute's pairs, split.
#[derive(Default)]
pub(super) struct Split {
    pub(super) train: Vec<Preference>,
    pub(super) validation: Vec<Preference>,
    pub(super) held_out: Vec<Preference>,
}

/// A pair as tokens, with what is asked about its lengths.
pub(super) struct Item {
    pub(super) pair: RewardPair,
    /// What tells its conversation apart.
    pub(super) key: String,
    /// log (tokens of the chosen response + 1) − log (those of the rejected one + 1), uncut.
    pub(super) log_longer: f64,
    /// Tokens of the chosen response − tokens of the rejected one, uncut.
    pub(super) longer_by: f64,
}

impl Source {
    /// `NAME=FILE`, or `FILE`, after whose name the attribute is called.
    pub(super) fn parse(text: &str) -> anyhow::Result<Source> {
        let (name, file) = match text.split_once('=') {
            Some((name, file)) if !Path::new(text).exists() => (name.to_owned(), file),
            _ => {
                let file_name = Path::new(text).file_name().map(|name| name.to_string_lossy().into_owned());
                (file_name.unwrap_or_default().split('.').next().unwrap_or_default().to_owned(), text)
            }
        };
        ensure!(!name.is_empty(), "`{text}`: the attribute has no name; write NAME=FILE");
        let file = std::path::absolute(file)?;
        let bytes = std::fs::read(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        Ok(Source { name, file, digest: format!("{:016x}", stable_hash(&[&bytes])) })
    }

    /// Its pairs on their sides.
    pub(super) fn split(&self, options: &ReadOptions, shares: Shares) -> anyhow::Result<Split> {
        let cannot = || format!("cannot use the pairs in `{}`", self.file.display());
        let loaded = read_preferences(&self.file, options).with_context(cannot)?;
        for row in &loaded.bad_rows {
            say(format_args!("warning: `{}`, {row}; the row is left out", self.file.display()));
        }
        let mut split = Split::default();
        let most = shares.max_pairs.unwrap_or(usize::MAX);
        for pair in loaded.records {
            let key = key(&pair.prompt);
            let (side, most) = if is_held_out(key, shares.held_out, HELD_OUT_SEED) {
                (&mut split.held_out, most)
            } else if is_held_out(key, shares.validation, VALIDATION_SEED) {
                (&mut split.validation, most.div_ceil(4))
            } else {
                (&mut split.train, most)
            };
            if side.len() < most {
                side.push(pair);
            }
        }
        for (what, pairs) in [("train on", &split.train), ("hold out", &split.held_out)] {
            ensure!(!pairs.is_empty(), "`{}` has no pairs to {what}; give more of them", self.file.display());
        }
        Ok(split)
    }
}

/// What tells conversations apart: how they begin, since pairs about later turns of one conversation share that.
fn key(prompt: &Prompt) -> &str {
    match prompt {
        Prompt::Text(text) => text,
        Prompt::Messages(messages) => {
            let first = messages.iter().find(|message| message.role == "user");
            first.map_or_else(|| prompt.text(), |message| &message.content)
        }
    }
}

/// Pairs as tokens for the head of one attribute.
pub(super) fn items(
    pairs: &[Preference],
    attribute: usize,
    reading: Reading,
    model: &LocalModel<CpuEngine>,
) -> anyhow::Result<Vec<Item>> {
    let bar = progress::count("reading pairs", pairs.len() as u64);
    let item = |pair: &Preference| {
        bar.inc(1);
        let [chosen, rejected] = [&pair.chosen, &pair.rejected].map(|response| model.n_tokens(response));
        let (chosen, rejected) = (chosen? as f64, rejected? as f64);
        Ok(Item {
            key: key(&pair.prompt).to_owned(),
            log_longer: ((chosen + 1.0) / (rejected + 1.0)).ln(),
            longer_by: chosen - rejected,
            pair: RewardPair {
                prefix: reading.prompt(model, &pair.prompt)?,
                chosen: reading.response(model, &pair.chosen)?,
                rejected: reading.response(model, &pair.rejected)?,
                attribute,
                handicap: -pair.margin,
            },
        })
    };
    let items = pairs.iter().map(item).collect();
    bar.finish_and_clear();
    items
}
