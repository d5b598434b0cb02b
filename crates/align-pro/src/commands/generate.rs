//! `model generate`: sample or decode text.

use std::io::Read;
use std::time::Instant;

use anyhow::Context;
use lm::{
    Engine, Finish, Framing, Message, NextTurn, Request, Role, Sample, Sampling, StopStrings, Token, derive_seed,
};
use serde::Serialize;
use serde_json::Value;

use super::Session;
use crate::arguments::{Generate, SamplingFlags};
use crate::failure::Failure;
use crate::json_lines::{Fault, JsonLines, Record};
use crate::models::{self, Loaded};
use crate::output::{Output, say};
use crate::progress;

const LINE_SHAPE: &str = "every line needs `prompt` (a string) or `messages` (a list of objects with `role` and `content`), and may have `id`";

/// Samples that are handed to the engine together; it fills its batch from them as others end.
const SAMPLES_AT_ONCE: usize = 64;

/// What a model is to answer.
struct Prompt {
    text: Text,
    /// Passed through from the input line.
    id: Option<Value>,
}

enum Text {
    Plain(String),
    Messages(Vec<Message>),
}

#[derive(Serialize)]
struct Document<'a> {
    model: &'a str,
    precision: &'static str,
    results: Vec<Answer>,
}

/// A prompt's samples.
#[derive(Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    prompt_tokens: Vec<Token>,
    samples: Vec<SampleReport>,
}

#[derive(Serialize)]
struct SampleReport {
    text: String,
    finish: &'static str,
    /// Sum of `token_logps`.
    logp: f64,
    tokens: Vec<Token>,
    token_texts: Vec<String>,
    /// Under the distribution each token was drawn from.
    token_logps: Vec<f32>,
    /// At temperature 1, without cuts.
    plain_token_logps: Vec<f32>,
}

pub(super) fn run(arguments: &Generate, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    let sampling = sampling(&arguments.sampling);
    sampling.check()?;
    let prompts = prompts(arguments)?;
    let mut model = models::load(&arguments.model, &arguments.engine, session)?;
    let requests = prompts.iter().map(|prompt| request(prompt, sampling, arguments, &model));
    let requests = requests.collect::<anyhow::Result<Vec<Request>>>()?;

    let (answers, rate) = answer(&prompts, &requests, &mut model)?;
    say(rate);
    if arguments.json {
        let precision = models::precision_name(model.engine.precision());
        return output.json_document(&Document { model: &arguments.model, precision, results: answers });
    }
    if arguments.input.is_some() {
        return answers.iter().try_for_each(|answer| output.json_line(answer));
    }
    answers.iter().try_for_each(|answer| print(answer, output))
}

fn sampling(flags: &SamplingFlags) -> Sampling {
    let &SamplingFlags { greedy, temperature, top_k, top_p, min_p, .. } = flags;
    if greedy { Sampling::Greedy } else { Sampling::Random { temperature, top_k, top_p, min_p } }
}

fn prompts(arguments: &Generate) -> anyhow::Result<Vec<Prompt>> {
    if let Some(file) = &arguments.input {
        return JsonLines::read(file, LINE_SHAPE)?.map(prompt_of_line);
    }
    let mut text = arguments.prompt.clone().unwrap_or_default();
    if text == "-" {
        text.clear();
        std::io::stdin().lock().read_to_string(&mut text).context("cannot read `<stdin>`")?;
    }
    Ok(vec![Prompt { text: Text::Plain(text), id: None }])
}

fn prompt_of_line(record: &Record) -> Result<Prompt, Fault> {
    let id = record.value("id").cloned();
    match (record.text("prompt")?, record.messages("messages")?) {
        (Some(text), None) => Ok(Prompt { text: Text::Plain(text), id }),
        (None, Some(messages)) => Ok(Prompt { text: Text::Messages(messages), id }),
        (None, None) => Err(Fault::of_line("neither `prompt` nor `messages`")),
        (Some(_), Some(_)) => Err(Fault::of_line("both `prompt` and `messages`")),
    }
}

fn request(prompt: &Prompt, sampling: Sampling, arguments: &Generate, model: &Loaded) -> anyhow::Result<Request> {
    let flags = &arguments.sampling;
    Ok(Request {
        prompt: prompt_tokens(&prompt.text, arguments, model)?,
        // A sample's seed depends on its place among its prompt's samples only, never on the other prompts.
        tails: Vec::new(),
        seeds: (0..flags.samples.get() as u64).map(|sample| derive_seed(&[flags.seed, sample])).collect(),
        sampling,
        max_tokens: flags.max_tokens.get(),
        stop_tokens: model.checkpoint.stop_tokens(),
        stop_strings: flags.stop.clone(),
    })
}

fn prompt_tokens(text: &Text, arguments: &Generate, model: &Loaded) -> anyhow::Result<Vec<Token>> {
    let mut messages: Vec<Message> = arguments.system.iter().map(|system| Message::new(Role::System, system)).collect();
    match text {
        Text::Plain(text) if arguments.raw || (model.template.is_none() && messages.is_empty()) => {
            return Ok(model.tokenizer.encode(text, Framing::Framed)?);
        }
        Text::Plain(text) => messages.push(Message::new(Role::User, text)),
        Text::Messages(more) => messages.extend(more.iter().cloned()),
    }
    let template = model.template.as_ref().ok_or_else(|| Failure::NoTemplate { model: arguments.model.clone() })?;
    Ok(template.render(&model.tokenizer, &messages, NextTurn::Assistant)?)
}

/// All answers, and how fast they came.
fn answer(prompts: &[Prompt], requests: &[Request], model: &mut Loaded) -> anyhow::Result<(Vec<Answer>, String)> {
    let started = Instant::now();
    let bar = match requests {
        [_] => progress::spinner("generating"),
        _ => progress::count("generating", requests.len() as u64),
    };
    let samples_each = requests.first().map_or(1, |request| request.seeds.len());
    let mut answers = Vec::with_capacity(requests.len());
    for (prompts, requests) in prompts.chunks(chunk(samples_each)).zip(requests.chunks(chunk(samples_each))) {
        let samples = model.engine.generate(requests, model.adapter.as_ref())?;
        for ((prompt, request), samples) in prompts.iter().zip(requests).zip(samples) {
            let samples = samples.into_iter().map(|sample| report(sample, request, model)).collect();
            answers.push(Answer { id: prompt.id.clone(), prompt_tokens: request.prompt.clone(), samples });
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let tokens: usize = answers.iter().flat_map(|answer| &answer.samples).map(|sample| sample.tokens.len()).sum();
    let seconds = started.elapsed().as_secs_f64();
    Ok((answers, format!("{tokens} tokens in {seconds:.1} s: {:.0} tokens/s", tokens as f64 / seconds.max(1e-9))))
}

fn chunk(samples_each: usize) -> usize {
    SAMPLES_AT_ONCE.div_ceil(samples_each.max(1))
}

fn report(sample: Sample, request: &Request, model: &Loaded) -> SampleReport {
    let mut text = model.tokenizer.decode(&sample.tokens);
    if let Some(found) = StopStrings::new(&request.stop_strings).push(&text) {
        text.truncate(found.start);
    }
    let finish = match sample.finish {
        Finish::StopToken => "stop_token",
        Finish::StopString => "stop_string",
        Finish::Length => "length",
    };
    let Sample { tokens, token_logps, plain_token_logps, .. } = sample;
    let token_texts = models::token_texts(&model.tokenizer, &tokens);
    let logp = token_logps.iter().map(|&logp| f64::from(logp)).sum();
    SampleReport { text, finish, logp, tokens, token_texts, token_logps, plain_token_logps }
}

/// The text alone where there is one sample, and a line above each where there are several.
fn print(answer: &Answer, output: &mut Output) -> anyhow::Result<()> {
    for (index, sample) in answer.samples.iter().enumerate() {
        if answer.samples.len() > 1 {
            output.line(&format!("--- sample {} of {}", index + 1, answer.samples.len()))?;
        }
        output.line(&sample.text)?;
    }
    Ok(())
}
