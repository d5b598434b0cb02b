//! Prompters: from the user's prompt x to rewrites x'.

mod local;

use lm::Token;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::data::Record;
use crate::instruction::Mode;
use crate::rails::Guarded;

pub use local::{AdaptedPrompter, LocalPrompter};

/// `[prompter]`, but for its model and its adapter: how rewrites are asked for and drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PrompterOptions {
    /// What the prompter does to the user's prompt.
    pub mode: Mode,
    /// Divides the logits: the prompter's policy is this tempered softmax, in sampling, scoring and training alike.
    pub temperature: f32,
    /// Most tokens it may write.
    pub max_tokens: usize,
    /// The instruction asks for fewer words than this.
    pub word_limit: usize,
    /// An instruction of the user's own, with the slot `{prompt}`; FIPO's modular template without it.
    pub instruction: Option<String>,
}

/// A prompt to be rewritten, once a seed.
#[derive(Clone, Debug)]
pub struct RewriteJob<'a> {
    /// The prompt.
    pub record: &'a Record,
    /// The same seed gives the same rewrite, whatever else is asked for.
    pub seeds: Vec<u64>,
}

/// One rewrite.
#[derive(Clone, Debug, PartialEq)]
pub struct Rewrite {
    /// What the prompter sampled; `None` where x' is x without anybody's doing.
    pub written: Option<Written>,
    /// What became of it on the rails.
    pub guarded: Guarded,
}

/// A text as it was sampled. Its log-probabilities belong to it, whatever the rails make of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The text.
    pub text: String,
    /// Its tokens, the one that ended it included.
    pub tokens: Vec<Token>,
    /// log ρ of each token when it was sampled.
    pub token_logps: Vec<f32>,
    /// Whether it was cut at the limit.
    pub cut: bool,
}

/// Writes rewrites in batches. Concurrency lives inside the implementation.
pub trait Prompter {
    /// One inner vector a job, one rewrite a seed, in order.
    fn rewrite(&mut self, jobs: &[RewriteJob<'_>]) -> Result<Vec<Vec<Rewrite>>, Error>;
}

/// Tells how likely a prompter is to write a text: what divergences are measured to.
pub trait Likelihood {
    /// log ρ(text | x) of each text of each prompt: the sum over its tokens.
    fn logps(&mut self, written: &[(&Record, Vec<&Written>)]) -> Result<Vec<Vec<f64>>, Error>;
}

/// No prompter: x' is x.
#[derive(Clone, Copy, Debug)]
pub struct Identity;

impl Prompter for Identity {
    fn rewrite(&mut self, jobs: &[RewriteJob<'_>]) -> Result<Vec<Vec<Rewrite>>, Error> {
        let unchanged = |job: &RewriteJob<'_>| Rewrite {
            written: None,
            guarded: Guarded::untouched(job.record.prompt.text().to_owned()),
        };
        Ok(jobs.iter().map(|job| vec![unchanged(job); job.seeds.len()]).collect())
    }
}

impl Written {
    /// log ρ of the whole text when it was sampled.
    pub fn logp(&self) -> f64 {
        self.token_logps.iter().map(|&logp| f64::from(logp)).sum()
    }
}

impl Rewrite {
    /// Number of tokens the prompter wrote.
    pub fn n_tokens(&self) -> usize {
        self.written.as_ref().map_or(0, |written| written.tokens.len())
    }
}
