//! A small language model with an adapter, as prompter.

use std::rc::Rc;

use lm::{Engine, Finish, Group, Lora, Request, Sample, Sampling, ScoreOptions, Token};
use serde_json::Value;

use super::{Likelihood, Prompter, PrompterOptions, Rewrite, RewriteJob, Written};
use crate::data::{Message, Record};
use crate::instruction::{Mode, Shown};
use crate::model::LocalModel;
use crate::rails::{Guarded, Rails};
use crate::target::{TargetOptions, with_system};
use crate::{Error, Template};

/// Tokens after which no more prompts are scored together: it bounds the memory, and more would not be faster.
const SCORED_AT_ONCE: usize = 4096;

/// A local model under an instruction. Without an adapter it is the reference prompter ρ_ref.
pub struct LocalPrompter<E> {
    model: Rc<LocalModel<E>>,
    temperature: f32,
    max_tokens: usize,
    task: Task,
}

/// What the model's text is for.
enum Task {
    /// It becomes the target's prompt.
    Rewrite { mode: Mode, word_limit: usize, instruction: Option<Template>, rails: Rails },
    /// It is the response itself.
    Respond { system: Option<String> },
}

/// A prompter with a certain adapter, or with none.
pub struct AdaptedPrompter<'a, E> {
    prompter: &'a LocalPrompter<E>,
    adapter: Option<&'a Lora>,
    /// Whether it is about to learn from what it writes.
    learns: bool,
}

impl<E: Engine> LocalPrompter<E> {
    /// A prompter; an instruction of the user's own must have the slot `{prompt}` and no other.
    pub fn new(model: Rc<LocalModel<E>>, options: PrompterOptions, rails: Rails) -> Result<LocalPrompter<E>, Error> {
        let instruction = options.instruction.as_deref().map(Template::parse).transpose()?;
        if let Some(instruction) = &instruction {
            instruction.render(&[("prompt", "x"), ("words", "1")])?;
        }
        let PrompterOptions { mode, temperature, max_tokens, word_limit, .. } = options;
        Ok(LocalPrompter {
            model,
            temperature,
            max_tokens,
            task: Task::Rewrite { mode, word_limit, instruction, rails },
        })
    }

    /// The target as a policy over responses, which is what RLHF trains: it reads the user's prompt as it is, and what it
    /// writes goes past guard rails and [`Echo`](crate::target::Echo) to the reward.
    pub fn responding(model: Rc<LocalModel<E>>, options: &TargetOptions) -> LocalPrompter<E> {
        let &TargetOptions { temperature, max_tokens, ref system, .. } = options;
        LocalPrompter { model, temperature, max_tokens, task: Task::Respond { system: system.clone() } }
    }

    /// The model behind it.
    pub fn model(&self) -> &Rc<LocalModel<E>> {
        &self.model
    }

    /// Divides the logits, in sampling, scoring and training alike.
    pub fn temperature(&self) -> f32 {
        self.temperature
    }

    /// Most tokens that it writes.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// The prompter with an adapter, or without one: the reference.
    pub fn with<'a>(&'a self, adapter: Option<&'a Lora>) -> AdaptedPrompter<'a, E> {
        AdaptedPrompter { prompter: self, adapter, learns: false }
    }

    /// The prompter with an adapter whose gradients will be asked for the very rewrites that it writes: the engine keeps what
    /// it has computed for them.
    pub fn learning<'a>(&'a self, adapter: &'a Lora) -> AdaptedPrompter<'a, E> {
        AdaptedPrompter { prompter: self, adapter: Some(adapter), learns: true }
    }

    /// The tokens that the prompter reads for a prompt.
    pub fn prefix(&self, record: &Record) -> Result<Vec<Token>, Error> {
        let prompt = record.prompt.text();
        match &self.task {
            Task::Rewrite { word_limit, instruction: Some(template), .. } => {
                let content = template.render(&[("prompt", prompt), ("words", &word_limit.to_string())])?;
                self.model.render(&[Message { role: "user".to_owned(), content }])
            }
            Task::Rewrite { mode, word_limit, instruction: None, .. } => {
                let shown = Shown { prompt: prompt.to_owned(), response: None, reference: None };
                let content = mode.instruction(&shown, *word_limit)?;
                self.model.render(&[Message { role: "user".to_owned(), content }])
            }
            Task::Respond { system } => {
                self.model.render(&with_system(system.as_deref(), record.prompt.with_text(prompt)))
            }
        }
    }

    fn request(&self, job: &RewriteJob<'_>) -> Result<Request, Error> {
        Ok(Request {
            prompt: self.prefix(job.record)?,
            tails: Vec::new(),
            seeds: job.seeds.clone(),
            // Nothing is cut off while training: the policy that samples is the softmax that the objective differentiates.
            sampling: Sampling::Random { temperature: self.temperature, top_k: None, top_p: 1.0, min_p: 0.0 },
            max_tokens: self.max_tokens,
            stop_tokens: self.model.stop_tokens().to_vec(),
            stop_strings: Vec::new(),
        })
    }

    fn rewrite_of(&self, record: &Record, sample: Sample) -> Rewrite {
        let text = self.model.text(&sample);
        let guarded = match &self.task {
            Task::Rewrite { mode, rails, .. } => rails.guard(*mode, record.prompt.text(), &text, known_answer(record)),
            Task::Respond { .. } => Guarded::untouched(text.clone()),
        };
        let cut = sample.finish == Finish::Length;
        let Sample { tokens, token_logps, .. } = sample;
        Rewrite { written: Some(Written { text, tokens, token_logps, cut }), guarded }
    }
}

impl<E: Engine> Prompter for AdaptedPrompter<'_, E> {
    fn rewrite(&mut self, jobs: &[RewriteJob<'_>]) -> Result<Vec<Vec<Rewrite>>, Error> {
        let prompter = self.prompter;
        let requests = jobs.iter().map(|job| prompter.request(job)).collect::<Result<Vec<_>, Error>>()?;
        let samples = match self.adapter {
            Some(adapter) if self.learns => prompter.model.engine().generate_recorded(&requests, adapter),
            adapter => prompter.model.engine().generate(&requests, adapter),
        };
        let samples = samples.map_err(|source| prompter.model.failed(source))?;
        let rewrites = jobs
            .iter()
            .zip(samples)
            .map(|(job, samples)| samples.into_iter().map(|sample| prompter.rewrite_of(job.record, sample)).collect());
        Ok(rewrites.collect())
    }
}

impl<E: Engine> Likelihood for AdaptedPrompter<'_, E> {
    fn logps(&mut self, written: &[(&Record, Vec<&Written>)]) -> Result<Vec<Vec<f64>>, Error> {
        let prompter = self.prompter;
        let options = ScoreOptions { temperature: prompter.temperature, ..ScoreOptions::default() };
        let mut logps = Vec::with_capacity(written.len());
        let (mut groups, mut n_tokens) = (Vec::new(), 0);
        for (index, (record, texts)) in written.iter().enumerate() {
            let prefix = prompter.prefix(record)?;
            n_tokens += prefix.len() + texts.iter().map(|text| text.tokens.len()).sum::<usize>();
            groups.push(Group { prefix, continuations: texts.iter().map(|text| text.tokens.clone()).collect() });
            if n_tokens >= SCORED_AT_ONCE || index + 1 == written.len() {
                let scores = prompter.model.engine().score(&groups, self.adapter, &options);
                let scores = scores.map_err(|source| prompter.model.failed(source))?;
                let sums = |texts: Vec<Vec<f32>>| {
                    texts.iter().map(|logps| logps.iter().map(|&logp| f64::from(logp)).sum()).collect()
                };
                logps.extend(scores.token_logps.into_iter().map(sums));
                groups.clear();
                n_tokens = 0;
            }
        }
        Ok(logps)
    }
}

/// The answer that a rewrite must not give away, where the record has one; GSM8K keeps its own after `####`.
fn known_answer(record: &Record) -> Option<&str> {
    let answer = record.fields.get("answer").and_then(Value::as_str)?;
    let answer = answer.rsplit("####").next().unwrap_or(answer).trim();
    (!answer.is_empty()).then_some(answer)
}
