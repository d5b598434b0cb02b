//! Targets: the frozen model that answers what the prompter wrote.

use serde::{Deserialize, Serialize};

/// `[target.local]`, but for its model: how responses are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TargetOptions {
    /// Divides the logits; 0 always takes the most likely token.
    pub temperature: f32,
    /// Keep the most likely tokens that together have this probability.
    pub top_p: f32,
    /// Keep so many of the most likely tokens.
    pub top_k: Option<usize>,
    /// Drop tokens less likely than this share of the most likely one.
    pub min_p: f32,
    /// Most tokens of a response.
    pub max_tokens: usize,
    /// A message before the prompt that tells the target how to behave.
    pub system: Option<String>,
}

/// What a target answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The text.
    pub text: String,
    /// Its tokens.
    pub tokens: usize,
    /// Whether it was cut at the limit.
    pub cut: bool,
}
