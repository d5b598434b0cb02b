//! Engines over the tiny models, and what tests do with them again and again.

use std::num::NonZeroUsize;

use lm::{
    Checkpoint, CpuEngine, Engine, EngineOptions, Group, Lora, Precision, Request, Sampling, ScoreOptions, Scores,
    Token, Upstream,
};

use crate::golden::{Ragged, model_folder};

pub(crate) fn load(name: &str, options: EngineOptions) -> CpuEngine {
    CpuEngine::load(&Checkpoint::open(&model_folder(name)).unwrap(), options, &mut |_, _| {}).unwrap()
}

/// On two threads, so that splitting the work is tested wherever the tests run.
pub(crate) fn options(precision: Precision) -> EngineOptions {
    EngineOptions { threads: NonZeroUsize::new(2), precision, ..EngineOptions::default() }
}

pub(crate) fn exact(name: &str) -> CpuEngine {
    load(name, options(Precision::F32))
}

pub(crate) fn at(temperature: f32) -> ScoreOptions {
    ScoreOptions { temperature, ..ScoreOptions::default() }
}

pub(crate) fn score(engine: &mut CpuEngine, groups: &[Group], adapter: Option<&Lora>) -> Scores {
    engine.score(groups, adapter, &ScoreOptions::default()).unwrap()
}

/// Gradients of Σ d·logp + Σ d·value, and the scores of the same pass.
pub(crate) fn differentiate(
    engine: &mut CpuEngine,
    groups: &[Group],
    adapter: &Lora,
    upstream: &Upstream,
    temperature: f32,
) -> (Scores, Vec<f32>) {
    let (scores, tape) = engine.score_with_tape(groups, adapter, &at(temperature)).unwrap();
    (scores, engine.backward(tape, adapter, upstream).unwrap().flat)
}

/// Weights for log-probabilities alone.
pub(crate) fn upstream(d_token_logps: &Ragged) -> Upstream {
    Upstream { d_token_logps: d_token_logps.clone(), d_values: None }
}

/// The same shape, all zero.
pub(crate) fn zeros(like: &Ragged) -> Ragged {
    like.iter().map(|group| group.iter().map(|line| vec![0.0; line.len()]).collect()).collect()
}

pub(crate) fn request(prompt: &[Token], seeds: &[u64], sampling: Sampling, max_tokens: usize) -> Request {
    Request {
        prompt: prompt.to_vec(),
        tails: Vec::new(),
        seeds: seeds.to_vec(),
        sampling,
        max_tokens,
        stop_tokens: vec![],
        stop_strings: vec![],
    }
}

pub(crate) fn group(prefix: &[Token], continuations: &[Vec<Token>]) -> Group {
    Group { prefix: prefix.to_vec(), continuations: continuations.to_vec() }
}
