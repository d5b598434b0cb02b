//! What an evaluation found: the format of `result.json` and of `evaluation.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::judged::JudgeResult;
use super::rewards::RewardsResult;
use crate::reward::Attribute;

/// Arms side by side on the same held-out prompts; `result.json` of a run folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Every arm by name: `naive`, `ref`, `trained`, `best-of-N`, `oracle`.
    pub arms: BTreeMap<String, ArmResult>,
    /// What the trained prompter, or else the oracle, gains over the others, paired by prompt: `vs_naive`, `vs_ref`.
    pub gain: BTreeMap<String, Gain>,
    /// How often it does better than the others on a prompt: `vs_naive`, `vs_ref`.
    pub win_rate: BTreeMap<String, WinRateResult>,
    /// Share of the oracle's gain over the naive prompt that the trained prompter reaches; only where the oracle's gain is
    /// significant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oracle_share: Option<MeanResult>,
    /// The rewards behind the reward, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewards: Option<RewardsResult>,
    /// Mean of each part of the reward, by part and arm; for the `constraints` reward a part is a constraint type.
    pub parts: BTreeMap<String, BTreeMap<String, PartMean>>,
    /// What a judge of pairs says; only where one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<JudgeResult>,
    /// What it is about.
    #[serde(flatten)]
    pub about: About,
}

/// What an evaluation is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The run's seed.
    pub seed: u64,
    /// The prompter's model.
    pub model: String,
    /// The target's model.
    pub target: String,
    /// The reward's name.
    pub reward: String,
    /// How far to trust the reward, where a reward model is it or a part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<Attribute>,
    /// Training steps behind the trained arm.
    pub steps: u64,
    /// Seconds that the whole run took: the command that ended it, and the steps of those before. It differs from run to run, unlike everything else.
    pub seconds: f64,
}

/// One way to get from x to y.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmResult {
    /// Mean reward over prompts.
    pub mean_reward: f64,
    /// Its 95 % interval.
    pub interval: [f64; 2],
    /// Variance of the reward of one response to one rewrite of one prompt.
    pub variance: f64,
    /// The variance split by where it comes from.
    pub variance_parts: VariancePartsResult,
    /// Mean number of tokens of a response.
    pub mean_response_tokens: f64,
    /// Mean number of tokens that the prompter wrote; 0 where there is none.
    pub mean_rewrite_tokens: f64,
    /// KL(ρ ‖ ρ_ref) of whole rewrites, estimated from those that were sampled; only where a prompter was trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl: Option<MeanResult>,
    /// Prompts evaluated.
    pub n_prompts: usize,
    /// Rewrites a prompt.
    pub n_rewrites: usize,
    /// Responses a rewrite.
    pub n_responses: usize,
    /// Share of rewrites in which each rail found something, and of those that fell back to x (`fell-back`).
    pub rails: BTreeMap<String, f64>,
}

/// A mean over prompts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeanResult {
    /// The mean.
    pub mean: f64,
    /// Its 95 % interval.
    pub interval: [f64; 2],
}

impl MeanResult {
    /// As `0.120 [0.090, 0.150]`.
    pub fn level(self) -> String {
        let MeanResult { mean, interval: [low, high] } = self;
        format!("{mean:.3} [{low:.3}, {high:.3}]")
    }

    /// As `+0.120 [+0.090, +0.150]`.
    pub fn change(self) -> String {
        let MeanResult { mean, interval: [low, high] } = self;
        format!("{mean:+.3} [{low:+.3}, {high:+.3}]")
    }
}

/// The three parts of a variance, of the rewards as they were sampled; they add up to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariancePartsResult {
    /// Between prompts.
    pub between_prompts: f64,
    /// Between the rewrites of a prompt, and whatever their responses add to it by chance: all of it where a rewrite got one
    /// response.
    pub between_rewrites: f64,
    /// Between the responses to a rewrite; nothing is known of it where a rewrite got one.
    pub within: Option<f64>,
}

/// A mean difference, paired by prompt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// Mean over prompts.
    pub mean: f64,
    /// Its 95 % interval.
    pub interval: [f64; 2],
    /// Whether the interval leaves out 0, with at least six prompts.
    pub significant: bool,
}

/// A share of prompts won, ties counted half.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WinRateResult {
    /// The share.
    pub mean: f64,
    /// Its 95 % interval.
    pub interval: [f64; 2],
    /// Share of prompts on which both did equally well.
    pub ties: f64,
    /// The chance of wins and losses as uneven as these, or more so, if each were as likely: the exact two-sided sign test.
    /// For rewards of 0 and 1 and one response a prompt it is McNemar's.
    #[serde(default = "no_evidence")]
    pub p_value: f64,
}

/// Of results from before it was computed.
fn no_evidence() -> f64 {
    1.0
}

/// The mean of a part of the reward.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartMean {
    /// Mean over the responses that have it.
    pub mean: f64,
    /// Number of prompts that have it.
    pub n_prompts: usize,
}

/// What one arm did with one prompt; a line of `evaluation.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluatedPrompt {
    /// The arm's name.
    pub arm: String,
    /// The prompt's id.
    pub id: String,
    /// The user's prompt x.
    pub prompt: String,
    /// Its rewrites; one that is x itself for the naive arm.
    pub rewrites: Vec<EvaluatedRewrite>,
}

/// One rewrite and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluatedRewrite {
    /// What the prompter wrote; `None` where there is no prompter.
    pub written: Option<String>,
    /// The target's prompt x'.
    pub rewrite: String,
    /// Tokens that the prompter wrote.
    pub tokens: usize,
    /// Which rails found something.
    pub findings: Vec<String>,
    /// Whether x' is x because a rail said so.
    pub fell_back: bool,
    /// Sum of log ρ − log ρ_ref over its tokens, where both were computed.
    pub kl: Option<f64>,
    /// The target's responses.
    pub responses: Vec<EvaluatedResponse>,
}

/// One response and its reward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluatedResponse {
    /// The text.
    pub text: String,
    /// Its tokens.
    pub tokens: usize,
    /// Whether it was cut at the limit.
    pub cut: bool,
    /// The reward r(x, y), without penalties.
    pub reward: f64,
    /// The parts of the reward, by name.
    pub parts: Vec<(String, f64)>,
}

impl EvaluatedPrompt {
    /// Mean reward over rewrites and their responses, every rewrite weighing the same.
    pub fn mean_reward(&self) -> f64 {
        let means = self.rewrites.iter().map(EvaluatedRewrite::mean_reward);
        means.sum::<f64>() / self.rewrites.len().max(1) as f64
    }

    /// The reward of every response to every rewrite. `[rewrite][response]`
    pub fn rewards(&self) -> Vec<Vec<f64>> {
        let of_rewrite =
            |rewrite: &EvaluatedRewrite| rewrite.responses.iter().map(|response| response.reward).collect();
        self.rewrites.iter().map(of_rewrite).collect()
    }

    /// Mean of log ρ − log ρ_ref over the rewrites where it is known.
    pub fn mean_kl(&self) -> Option<f64> {
        let known: Vec<f64> = self.rewrites.iter().filter_map(|rewrite| rewrite.kl).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }
}

impl EvaluatedRewrite {
    /// Mean reward over the responses.
    pub fn mean_reward(&self) -> f64 {
        self.responses.iter().map(|response| response.reward).sum::<f64>() / self.responses.len().max(1) as f64
    }
}
