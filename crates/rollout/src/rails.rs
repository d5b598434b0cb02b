//! Guard rails: what is looked for in the prompter's text before the target reads it, and what is done about it.
//!
//! Each rail is a pure function that returns what it found. The log-probability of a rewrite always belongs to the text
//! that was sampled, whatever a rail makes of it.

mod chatter;
mod intent;
mod leak;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::instruction::Mode;

pub use chatter::{Stripped, strip_chatter};
pub use intent::{Lost, lost_intent};
pub use leak::{Leak, find_leak};

/// What can be wrong with a rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rail {
    /// Nothing but white space was written.
    Empty,
    /// Talk about the rewrite stands around it.
    Chatter,
    /// More words than allowed.
    TooLong,
    /// The target would read the user's own prompt.
    Unchanged,
    /// The rewrite gives the answer away.
    AnswerLeak,
    /// Something of the user's prompt got lost.
    Intent,
}

/// What is done about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Repair the text: strip the chatter, cut the length. What cannot be repaired falls back to x.
    Fix,
    /// Leave the text as it is and take the penalty off the reward.
    Penalise,
    /// Send the user's own prompt instead.
    FallBackToX,
}

/// What each rail does. An empty rewrite always falls back to x, and an unchanged one is x already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Rails {
    /// About talk around the rewrite.
    pub chatter: Action,
    /// About too many words.
    pub too_long: Action,
    /// The most words the prompter may write.
    pub max_words: usize,
    /// About a rewrite that is the user's own prompt.
    pub unchanged: Action,
    /// About a rewrite that gives the answer away.
    pub answer_leak: Action,
    /// About something of the user's prompt that got lost.
    pub intent: Action,
    /// What one penalised finding takes off the reward.
    pub penalty: f64,
}

impl Default for Rails {
    fn default() -> Rails {
        Rails {
            chatter: Action::Fix,
            too_long: Action::Fix,
            max_words: 200,
            unchanged: Action::Fix,
            answer_leak: Action::FallBackToX,
            intent: Action::FallBackToX,
            penalty: 0.1,
        }
    }
}

impl Rails {
    /// Whether a finding can take something off the reward.
    pub fn penalise(&self) -> bool {
        let actions = [self.chatter, self.too_long, self.unchanged, self.answer_leak, self.intent];
        self.penalty > 0.0 && actions.contains(&Action::Penalise)
    }
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing was written.
    Empty,
    /// Talk about the rewrite, piece by piece.
    Chatter {
        /// What is not part of the rewrite.
        removed: Vec<String>,
    },
    /// Too many words.
    TooLong {
        /// How many were written.
        words: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// The rewrite is the user's own prompt.
    Unchanged,
    /// The answer is given away.
    AnswerLeak(Leak),
    /// Something got lost.
    Intent {
        /// What, piece by piece.
        lost: Vec<Lost>,
    },
}

/// What the target reads, and what was found on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Guarded {
    /// The target's prompt x'.
    pub rewrite: String,
    /// What the rails found, in the order of [`Rail`].
    pub findings: Vec<Finding>,
    /// What is to be taken off the reward.
    pub penalty: f64,
    /// Whether x' is x because a rail said so.
    pub fell_back: bool,
}

impl Guarded {
    /// A text that nothing was looked for in.
    pub fn untouched(rewrite: String) -> Guarded {
        Guarded { rewrite, findings: Vec::new(), penalty: 0.0, fell_back: false }
    }
}

impl Rails {
    /// Passes what the prompter wrote for `prompt` along the rails. `answer` is the correct answer where one is known.
    pub fn guard(&self, mode: Mode, prompt: &str, written: &str, answer: Option<&str>) -> Guarded {
        let mut findings = Vec::new();
        if written.trim().is_empty() {
            return Guarded {
                rewrite: prompt.to_owned(),
                findings: vec![Finding::Empty],
                penalty: 0.0,
                fell_back: true,
            };
        }
        let mut written = written.trim();

        let stripped = strip_chatter(prompt, written);
        if !stripped.removed.is_empty() {
            let removed = stripped.removed.iter().map(|&piece| piece.to_owned()).collect();
            findings.push(Finding::Chatter { removed });
            written = if self.chatter == Action::Fix { stripped.kept } else { written };
        }
        let words = written.split_whitespace().count();
        if words > self.max_words {
            findings.push(Finding::TooLong { words, limit: self.max_words });
            written = if self.too_long == Action::Fix { cut(written, self.max_words) } else { written };
        }
        if written.is_empty() {
            findings.insert(0, Finding::Empty);
        }
        let rewrite = mode.compose(prompt, written);
        if is_unchanged(prompt, &rewrite) {
            findings.push(Finding::Unchanged);
        }
        findings.extend(find_leak(prompt, &rewrite, answer).map(Finding::AnswerLeak));
        let lost = lost_intent(prompt, &rewrite);
        if !lost.is_empty() {
            findings.push(Finding::Intent { lost });
        }
        self.decide(prompt, rewrite, findings)
    }

    fn decide(&self, prompt: &str, rewrite: String, findings: Vec<Finding>) -> Guarded {
        let (mut fell_back, mut penalty) = (false, 0.0);
        for finding in &findings {
            match self.action(finding) {
                Action::FallBackToX => fell_back = true,
                Action::Penalise => penalty += self.penalty,
                Action::Fix => fell_back |= matches!(finding, Finding::AnswerLeak(_) | Finding::Intent { .. }),
            }
        }
        let rewrite = if fell_back { prompt.to_owned() } else { rewrite };
        Guarded { rewrite, findings, penalty, fell_back }
    }

    fn action(&self, finding: &Finding) -> Action {
        match finding.rail() {
            Rail::Empty => Action::FallBackToX,
            Rail::Chatter => self.chatter,
            Rail::TooLong => self.too_long,
            Rail::Unchanged => self.unchanged,
            Rail::AnswerLeak => self.answer_leak,
            Rail::Intent => self.intent,
        }
    }
}

impl Finding {
    /// The rail that found it.
    pub fn rail(&self) -> Rail {
        match self {
            Finding::Empty => Rail::Empty,
            Finding::Chatter { .. } => Rail::Chatter,
            Finding::TooLong { .. } => Rail::TooLong,
            Finding::Unchanged => Rail::Unchanged,
            Finding::AnswerLeak(_) => Rail::AnswerLeak,
            Finding::Intent { .. } => Rail::Intent,
        }
    }
}

impl Rail {
    /// All of them, in the order they are looked at.
    pub const ALL: [Rail; 6] =
        [Rail::Empty, Rail::Chatter, Rail::TooLong, Rail::Unchanged, Rail::AnswerLeak, Rail::Intent];

    /// Its name in reports and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Rail::Empty => "empty",
            Rail::Chatter => "chatter",
            Rail::TooLong => "too-long",
            Rail::Unchanged => "unchanged",
            Rail::AnswerLeak => "answer-leak",
            Rail::Intent => "intent",
        }
    }
}

/// How often each rail found something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RailCounts {
    /// Rewrites looked at.
    pub n_rewrites: usize,
    /// Rewrites replaced by x.
    pub n_fell_back: usize,
    found: BTreeMap<Rail, usize>,
}

impl RailCounts {
    /// Counts one rewrite.
    pub fn add(&mut self, guarded: &Guarded) {
        self.n_rewrites += 1;
        self.n_fell_back += usize::from(guarded.fell_back);
        for finding in &guarded.findings {
            *self.found.entry(finding.rail()).or_default() += 1;
        }
    }

    /// Rewrites in which a rail found something.
    pub fn found(&self, rail: Rail) -> usize {
        self.found.get(&rail).copied().unwrap_or(0)
    }

    /// The share of rewrites in which a rail found something; 0 before the first.
    pub fn share(&self, rail: Rail) -> f64 {
        if self.n_rewrites == 0 { 0.0 } else { self.found(rail) as f64 / self.n_rewrites as f64 }
    }
}

/// Whether a rewrite differs from the prompt in white space at most.
pub fn is_unchanged(prompt: &str, rewrite: &str) -> bool {
    prompt.split_whitespace().eq(rewrite.split_whitespace())
}

/// The text up to the last sentence end within the first `max_words` words, or up to the last of these words.
pub fn cut(text: &str, max_words: usize) -> &str {
    let (mut words, mut inside) = (0, false);
    let mut end = text.len();
    for (at, character) in text.char_indices() {
        let starts = !character.is_whitespace() && !inside;
        words += usize::from(starts);
        inside = !character.is_whitespace();
        if words > max_words {
            end = at;
            break;
        }
    }
    let within = text[..end].trim_end();
    if within.len() == text.trim_end().len() {
        return within;
    }
    match within.rfind(['.', '!', '?']) {
        // A cut that would throw away more than half is worse than a broken sentence.
        Some(stop) if stop * 2 >= within.len() => &within[..=stop],
        _ => within,
    }
}
