//! `model score`: log-probabilities of given texts, token by token.

use lm::{Engine, Framing, Group, Message, NextTurn, ScoreOptions, Token};
use serde::Serialize;
use serde_json::Value;

use super::Session;
use crate::arguments::Score;
use crate::failure::Failure;
use crate::json_lines::{Fault, JsonLines, Record};
use crate::models::{self, Loaded};
use crate::output::Output;
use crate::progress;

const LINE_SHAPE: &str = "every line needs `text` (a string) or `messages` (a list of objects with `role` and `content`), \
                          and may have `prefix` (of the same kind) and `id`";

/// Tokens that are handed to the engine together.
const TOKENS_AT_ONCE: usize = 4096;

/// A text to score, of the kind its line had.
enum Line {
    Text { text: String, prefix: Option<String>, id: Option<Value> },
    Messages { messages: Vec<Message>, prefix: Option<Vec<Message>>, id: Option<Value> },
}

/// A line as tokens.
struct Item {
    id: Option<Value>,
    /// What is given. Without a prefix it is the text's own first token, which nothing can predict.
    given: Vec<Token>,
    scored: Vec<Token>,
    has_prefix: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    model: &'a str,
    precision: &'static str,
    temperature: f32,
    /// Sum over all lines.
    logp: f64,
    /// Number of scored tokens.
    scored_tokens: usize,
    lines: Vec<LineReport>,
}

#[derive(Serialize)]
struct LineReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    /// Sum of `token_logps`.
    logp: f64,
    prefix_tokens: usize,
    tokens: Vec<Token>,
    token_texts: Vec<String>,
    /// Null for a first token that nothing comes before.
    token_logps: Vec<Option<f32>>,
}

pub(super) fn run(arguments: &Score, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    let lines = JsonLines::read(&arguments.input, LINE_SHAPE)?.map(read_line)?;
    let mut model = models::load(&arguments.model, &arguments.engine, session)?;
    let items = lines.into_iter().map(|line| item(line, &arguments.model, &model));
    let items = items.collect::<anyhow::Result<Vec<Item>>>()?;

    let options = ScoreOptions { temperature: arguments.temperature, ..ScoreOptions::default() };
    let bar = progress::count("scoring", items.len() as u64);
    let mut reports = Vec::with_capacity(items.len());
    for batch in batches(items) {
        let scored = score(batch, &mut model, &options)?;
        bar.inc(scored.len() as u64);
        if arguments.json {
            reports.extend(scored);
        } else {
            bar.suspend(|| {
                scored.iter().try_for_each(|report| output.json_line(report)).and_then(|()| output.finish())
            })?;
        }
    }
    bar.finish_and_clear();
    if !arguments.json {
        return Ok(());
    }
    output.json_document(&Document {
        model: &arguments.model,
        precision: models::precision_name(model.engine.precision()),
        temperature: arguments.temperature,
        logp: reports.iter().map(|report| report.logp).sum(),
        scored_tokens: reports.iter().map(|report| report.token_logps.iter().flatten().count()).sum(),
        lines: reports,
    })
}

fn read_line(record: &Record) -> Result<Line, Fault> {
    let id = record.value("id").cloned();
    match (record.text("text")?, record.messages("messages")?) {
        (Some(text), None) => Ok(Line::Text { text, prefix: record.text("prefix")?, id }),
        (None, Some(messages)) => Ok(Line::Messages { messages, prefix: record.messages("prefix")?, id }),
        (None, None) => Err(Fault::of_line("neither `text` nor `messages`")),
        (Some(_), Some(_)) => Err(Fault::of_line("both `text` and `messages`")),
    }
}

/// Prefix and text are encoded apart, as they are when a model reads the one and writes the other.
fn item(line: Line, name: &str, model: &Loaded) -> anyhow::Result<Item> {
    let (id, given, scored) = match line {
        Line::Text { text, prefix: Some(prefix), id } => {
            let given = model.tokenizer.encode(&prefix, Framing::Framed)?;
            (id, given, model.tokenizer.encode(&text, Framing::Bare)?)
        }
        Line::Text { text, prefix: None, id } => (id, Vec::new(), model.tokenizer.encode(&text, Framing::Framed)?),
        Line::Messages { messages, prefix, id } => {
            let (given, scored) = render(messages, prefix.unwrap_or_default(), name, model)?;
            (id, given, scored)
        }
    };
    let has_prefix = !given.is_empty();
    if has_prefix {
        return Ok(Item { id, given, scored, has_prefix });
    }
    let (first, rest) = scored.split_at(scored.len().min(1));
    Ok(Item { id, given: first.to_vec(), scored: rest.to_vec(), has_prefix })
}

/// The tokens of a prefix, which is the start of a conversation, and those that `messages` add to it.
fn render(
    messages: Vec<Message>,
    prefix: Vec<Message>,
    name: &str,
    model: &Loaded,
) -> anyhow::Result<(Vec<Token>, Vec<Token>)> {
    let template = model.template.as_ref().ok_or_else(|| Failure::NoTemplate { model: name.to_owned() })?;
    if prefix.is_empty() {
        return Ok((Vec::new(), template.render(&model.tokenizer, &messages, NextTurn::None)?));
    }
    let next = if messages.first().is_some_and(|message| message.role == lm::Role::Assistant) {
        NextTurn::Assistant
    } else {
        NextTurn::None
    };
    let given = template.render(&model.tokenizer, &prefix, next)?;
    let whole: Vec<Message> = prefix.into_iter().chain(messages).collect();
    let whole = template.render(&model.tokenizer, &whole, NextTurn::None)?;
    // A template may rewrite earlier turns once there are later ones; what is shared is what was given.
    let shared = given.iter().zip(&whole).take_while(|(given, whole)| given == whole).count();
    Ok((whole[..shared].to_vec(), whole[shared..].to_vec()))
}

/// Cut the items into batches of about [`TOKENS_AT_ONCE`].
fn batches(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut batches = Vec::new();
    let mut tokens = usize::MAX;
    for item in items {
        let more = item.given.len() + item.scored.len();
        if tokens.saturating_add(more) > TOKENS_AT_ONCE {
            batches.push(Vec::new());
            tokens = 0;
        }
        tokens += more;
        if let Some(batch) = batches.last_mut() {
            batch.push(item);
        }
    }
    batches
}

/// Lines that follow each other with one prefix share its computation.
fn score(items: Vec<Item>, model: &mut Loaded, options: &ScoreOptions) -> anyhow::Result<Vec<LineReport>> {
    let mut groups: Vec<Group> = Vec::new();
    for item in items.iter().filter(|item| !item.given.is_empty()) {
        match groups.last_mut() {
            Some(group) if group.prefix == item.given => group.continuations.push(item.scored.clone()),
            _ => groups.push(Group { prefix: item.given.clone(), continuations: vec![item.scored.clone()] }),
        }
    }
    let scores = model.engine.score(&groups, model.adapter.as_ref(), options)?;
    let mut token_logps = scores.token_logps.into_iter().flatten();
    let report = |item: Item| {
        // An empty text has no tokens at all, so it was not handed over.
        let scored = if item.given.is_empty() { Vec::new() } else { token_logps.next().unwrap_or_default() };
        report(item, scored, model)
    };
    Ok(items.into_iter().map(report).collect())
}

fn report(item: Item, scored: Vec<f32>, model: &Loaded) -> LineReport {
    let Item { id, given, scored: tokens, has_prefix } = item;
    let logp = scored.iter().map(|&logp| f64::from(logp)).sum();
    let scored = scored.into_iter().map(Some);
    let (prefix_tokens, tokens, token_logps) = if has_prefix {
        (given.len(), tokens, scored.collect())
    } else {
        let unscored = given.iter().map(|_| None);
        (0, given.iter().copied().chain(tokens).collect(), unscored.chain(scored).collect())
    };
    let token_texts = models::token_texts(&model.tokenizer, &tokens);
    LineReport { id, logp, prefix_tokens, tokens, token_texts, token_logps }
}
