//! The thread that owns the model.

use lm::{Engine, Finish, Lora, Request, Sample, StopStrings, Token, derive_seed};
use rollout::model::LocalModel;

use super::{Job, Queue};
use crate::wire::{ChatRequest, Refusal};

/// Sequences that go into one call of the engine.
pub const SEQUENCES_AT_ONCE: usize = 64;

/// Tokens of a choice where a request says nothing and the context has room.
const DEFAULT_MAX_TOKENS: usize = 256;

/// What is served. Requests with stop strings need an engine that knows its tokenizer.
pub struct Served<E> {
    /// The model.
    pub model: LocalModel<E>,
    /// An adapter that changes it.
    pub adapter: Option<Lora>,
}

/// What a request gets.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) n_prompt_tokens: usize,
    pub(crate) choices: Vec<Choice>,
}

/// One of the texts.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) text: String,
    /// Whether it was cut at its longest.
    pub(crate) is_cut: bool,
    pub(crate) tokens: Vec<ScoredToken>,
}

/// A sampled token, with its log-probability at temperature 1.
#[derive(Debug)]
pub(crate) struct ScoredToken {
    pub(crate) text: String,
    pub(crate) logp: f32,
}

/// Answer until the queue is closed.
pub(crate) fn work<E: Engine>(served: &Served<E>, queue: &Queue) {
    while let Some(jobs) = queue.take(SEQUENCES_AT_ONCE) {
        let mut ready = Vec::with_capacity(jobs.len());
        for job in jobs {
            match served.read(&job.request) {
                Ok(request) => ready.push((job, request)),
                Err(refusal) => job.answer(Err(refusal)),
            }
        }
        served.answer(ready);
    }
}

impl<E: Engine> Served<E> {
    /// What a request means for the engine.
    fn read(&self, asked: &ChatRequest) -> Result<Request, Refusal> {
        let prompt = self.model.render(&asked.messages).map_err(|error| Refusal::messages(&error))?;
        let context = self.model.engine().architecture().context;
        let room = context.saturating_sub(prompt.len());
        let max_tokens = asked.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS.min(room));
        if prompt.is_empty() || max_tokens == 0 || max_tokens > room {
            return Err(Refusal::too_long(prompt.len(), asked.max_tokens, context));
        }
        Ok(Request {
            prompt,
            tails: Vec::new(),
            // As in `model generate`.
            seeds: (0..asked.n as u64).map(|choice| derive_seed(&[asked.seed, choice])).collect(),
            sampling: asked.sampling,
            max_tokens,
            stop_tokens: self.model.stop_tokens().to_vec(),
            stop_strings: asked.stop.clone(),
        })
    }

    fn answer(&self, jobs: Vec<(Job, Request)>) {
        let (jobs, requests): (Vec<Job>, Vec<Request>) = jobs.into_iter().unzip();
        // A statement of its own: the guard must be gone before a job is answered alone.
        let samples = self.model.engine().generate(&requests, self.adapter.as_ref());
        match samples {
            Ok(samples) => {
                for ((job, request), samples) in jobs.into_iter().zip(&requests).zip(samples) {
                    let choices = samples.iter().map(|sample| self.choice(sample, request)).collect();
                    job.answer(Ok(Answer { n_prompt_tokens: request.prompt.len(), choices }));
                }
            }
            Err(error) if jobs.len() <= 1 => {
                jobs.into_iter().for_each(|job| job.answer(Err(Refusal::engine(&error))));
            }
            // What is wrong with one must not harm the others.
            Err(_) => jobs.into_iter().zip(requests).for_each(|job| self.answer(vec![job])),
        }
    }

    fn choice(&self, sample: &Sample, request: &Request) -> Choice {
        let mut text = self.model.text(sample);
        if let Some(found) = StopStrings::new(&request.stop_strings).push(&text) {
            text.truncate(found.start);
        }
        let scored = |(&token, &logp): (&Token, &f32)| ScoredToken { text: self.model.token_text(token), logp };
        let tokens = sample.tokens.iter().zip(&sample.plain_token_logps).map(scored).collect();
        Choice { text, is_cut: sample.finish == Finish::Length, tokens }
    }
}
