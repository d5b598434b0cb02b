//! The seam between this crate and everything above it: batches in, batches out.
//!
//! `sample rewrites → score → objective → backward` needs three calls; an engine for another device implements the same
//! three. Nothing above this trait knows that there is a CPU.

use crate::{Architecture, Error, Lora, LoraGradients};

/// Token ids.
pub type Token = u32;

/// A device that runs one set of frozen weights.
pub trait Engine {
    /// What the gradients' bookkeeping of one [`score`](Engine::score) is for this engine.
    type Tape;

    /// The model behind it.
    fn architecture(&self) -> &Architecture;

    /// Sample `request.seeds.len()` continuations of each request's prompt; one inner vector a request, in seed order.
    fn generate(&mut self, requests: &[Request], adapter: Option<&Lora>) -> Result<Vec<Vec<Sample>>, Error>;

    /// [`generate`](Engine::generate), keeping each token's activations, so that
    /// [`score_with_tape`](Engine::score_with_tape) of the same texts under the same adapter needs no forward pass; until the
    /// next call of this kind, or a tape of something else. Results are the same, here and there; an engine need not keep
    /// anything.
    fn generate_recorded(&mut self, requests: &[Request], adapter: &Lora) -> Result<Vec<Vec<Sample>>, Error> {
        self.generate(requests, Some(adapter))
    }

    /// Log-probabilities of given continuations, without anything kept for gradients.
    fn score(&mut self, groups: &[Group], adapter: Option<&Lora>, options: &ScoreOptions) -> Result<Scores, Error>;

    /// [`score`](Engine::score), keeping what [`backward`](Engine::backward) needs.
    fn score_with_tape(
        &mut self,
        groups: &[Group],
        adapter: &Lora,
        options: &ScoreOptions,
    ) -> Result<(Scores, Self::Tape), Error>;

    /// LoRA gradients of Σ d_token_logps · token_logps + Σ d_values · values; shapes as in the [`Scores`] of the tape.
    fn backward(&mut self, tape: Self::Tape, adapter: &Lora, upstream: &Upstream) -> Result<LoraGradients, Error>;
}

/// One prompt and how to continue it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Prompt tokens, special tokens included; at least one.
    pub prompt: Vec<Token>,
    /// What each sample reads after the prompt, one entry a seed: requests that differ in their last words share the rest.
    /// It is not part of the sample. Empty where all samples begin right after the prompt.
    pub tails: Vec<Vec<Token>>,
    /// One sample a seed. The same seed gives the same text whatever else is in the batch.
    pub seeds: Vec<u64>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Most tokens a sample may have.
    pub max_tokens: usize,
    /// Token ids that end a sample; the ending token is part of the sample.
    pub stop_tokens: Vec<Token>,
    /// Texts that end a sample as soon as its decoded text contains one.
    pub stop_strings: Vec<String>,
}

impl Request {
    /// What a sample reads after the prompt.
    pub fn tail(&self, sample: usize) -> &[Token] {
        self.tails.get(sample).map_or(&[], Vec::as_slice)
    }
}

/// How the next token is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// The most likely token; the lowest id among equals.
    Greedy,
    /// A draw from the softmax of `logits / temperature`, cut to the candidates all three limits allow.
    Random {
        /// Greater than zero.
        temperature: f32,
        /// Keep the `k` most likely tokens; `None` keeps all.
        top_k: Option<usize>,
        /// Keep the smallest set of most likely tokens whose probability reaches this; 1 keeps all.
        top_p: f32,
        /// Drop tokens less likely than this share of the most likely one; 0 keeps all.
        min_p: f32,
    },
}

/// One sampled continuation.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Sampled tokens, a stop token included.
    pub tokens: Vec<Token>,
    /// Log-probability of each token under the distribution it was drawn from.
    pub token_logps: Vec<f32>,
    /// Log-probability of each token under the plain softmax at temperature 1.
    pub plain_token_logps: Vec<f32>,
    /// Why it ended.
    pub finish: Finish,
}

/// Why a sample ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// A stop token was drawn.
    StopToken,
    /// A stop string appeared.
    StopString,
    /// `max_tokens` or the model's context was reached.
    Length,
}

/// A prompt and its continuations to be scored; the prompt is computed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Shared prefix, at least one token; not scored.
    pub prefix: Vec<Token>,
    /// Continuations; each token of each is scored. An empty one is allowed and scores nothing.
    pub continuations: Vec<Vec<Token>>,
}

/// What to compute while scoring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreOptions {
    /// The softmax temperature of the log-probabilities.
    pub temperature: f32,
    /// Where the model is read.
    pub reads: Reads,
}

/// Where scoring reads the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// At every token of a continuation: log-probabilities and, with heads, values.
    Tokens,
    /// At the end of each continuation alone, and nothing but the heads there: no log-probabilities, and one state's values
    /// a continuation. What reward models need, without the cost of the vocabulary.
    Ends,
}

impl Default for ScoreOptions {
    fn default() -> Self {
        ScoreOptions { temperature: 1.0, reads: Reads::Tokens }
    }
}

/// Result of scoring; outer index group, then continuation, then token.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Scores {
    /// log p(token_t | prefix, tokens before t); empty lines with [`Reads::Ends`].
    pub token_logps: Vec<Vec<Vec<f32>>>,
    /// With an adapter that has heads: one vector of head outputs for the hidden state that *predicts* each token,
    /// `[token][head]` flattened, and one more at the end for the last token's own hidden state (so a continuation of
    /// n tokens has n + 1 states; the last is where a sequence-level reward head reads). With [`Reads::Ends`] that last one
    /// alone.
    pub values: Option<Vec<Vec<Vec<f32>>>>,
}

/// Derivatives of a loss with respect to [`Scores`], in its shapes.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Upstream {
    /// d loss / d token_logps.
    pub d_token_logps: Vec<Vec<Vec<f32>>>,
    /// d loss / d values; `None` when the heads take no part.
    pub d_values: Option<Vec<Vec<Vec<f32>>>>,
}
