//! A reward that a server of the user's own gives, in the manner of TRL's reward functions.
//!
//! What such a function is called with is posted as JSON, one list an argument and one element an exchange:
//!
//! ```text
//! {"prompts": ["x", …], "completions": ["y", …], "rewrites": ["x'", …], "answer": ["18", …], …}
//! ```
//!
//! Beside the prompts x, the responses y and the rewrites x' stand the other fields of the prompts' rows, as TRL passes on
//! the columns of a data set; null where a row lacks a field. As in TRL, the prompt of a conversation is its messages, and its
//! completion a list of one message. The answer is `{"rewards": [0.1, …]}`, a number for each completion, in order;
//! `{"scores": […]}` and the bare list will do.
//!
//! ## Choices
//! - TRL lets a function give `None`, for a sample that it does not judge, and leaves that out of a sum. Every exchange here
//!   needs a reward to be learned from, so null is refused.

use std::collections::BTreeSet;

use endpoint::JsonClient;
use serde_json::{Map, Value, json};

use super::journaled::{Scored, Scorer, TakeScores, is_score};
use super::{Exchange, Score};
use crate::Error;
use crate::data::{Prompt, Record};

/// A server that gives scores. Those of a request are handed over as soon as they are there, since they may be paid for.
pub struct HttpReward {
    client: JsonClient,
    identity: String,
    batch: usize,
}

impl HttpReward {
    /// A reward that asks `client`, which posts to `url`, about up to `batch` exchanges a request.
    pub fn new(client: JsonClient, url: &str, batch: usize) -> HttpReward {
        HttpReward { client, identity: format!("http {url}"), batch: batch.max(1) }
    }
}

impl Scorer for HttpReward {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn score_each(&mut self, batch: &[Exchange<'_>], take: &mut TakeScores<'_>) -> Result<(), Error> {
        let chunks: Vec<&[Exchange<'_>]> = batch.chunks(self.batch).collect();
        let bodies: Vec<Value> = chunks.iter().map(|chunk| body(chunk)).collect();
        let lengths: Vec<usize> = chunks.iter().map(|chunk| chunk.len()).collect();
        let read = move |request: usize, body: &[u8]| rewards(body, lengths[request]);
        self.client.post(&bodies, read, &mut |request, rewards| {
            let first = request * self.batch;
            let scored = |(index, reward)| Scored { exchange: first + index, score: Score::plain(reward) };
            take(rewards.into_iter().enumerate().map(scored).collect())
        })
    }
}

/// The arguments of a reward function.
fn body(exchanges: &[Exchange<'_>]) -> Value {
    let rows: Vec<Map<String, Value>> = exchanges.iter().map(|exchange| exchange.record.to_row()).collect();
    let names: BTreeSet<&String> = rows.iter().flat_map(Map::keys).collect();
    let column = |name: &str| rows.iter().map(|row| row.get(name).cloned().unwrap_or_default()).collect::<Value>();
    let mut body: Map<String, Value> = names.into_iter().map(|name| (name.clone(), column(name))).collect();
    body.remove("prompt");
    let own = [
        ("prompts", exchanges.iter().map(|exchange| prompt(exchange.record)).collect()),
        ("completions", exchanges.iter().map(completion).collect()),
        ("rewrites", exchanges.iter().map(|exchange| json!(exchange.rewrite)).collect::<Value>()),
    ];
    body.extend(own.map(|(name, list)| (name.to_owned(), list)));
    Value::Object(body)
}

fn prompt(record: &Record) -> Value {
    match &record.prompt {
        Prompt::Text(text) => json!(text),
        Prompt::Messages(messages) => json!(messages),
    }
}

fn completion(exchange: &Exchange<'_>) -> Value {
    match exchange.record.prompt {
        Prompt::Text(_) => json!(exchange.response),
        Prompt::Messages(_) => json!([{"role": "assistant", "content": exchange.response}]),
    }
}

/// The rewards that an answer gives to `n` completions, or what is wrong with it.
fn rewards(body: &[u8], n: usize) -> Result<Vec<f64>, String> {
    let answer: Value = serde_json::from_slice(body).map_err(|error| format!("it is not JSON ({error})"))?;
    let named = || ["rewards", "scores"].into_iter().find_map(|name| answer.get(name)?.as_array());
    let list =
        answer.as_array().or_else(named).ok_or("expected `{\"rewards\": [0.5, …]}`, a number for each completion")?;
    if list.len() != n {
        return Err(format!("it has {} rewards for {n} completions", list.len()));
    }
    let number = |(index, reward): (usize, &Value)| {
        let number = reward.as_f64().filter(|number| is_score(*number));
        number.ok_or_else(|| {
            format!("its reward {index} is {reward}, and every completion needs a number between -1e9 and 1e9")
        })
    };
    list.iter().enumerate().map(number).collect()
}

#[cfg(test)]
mod tests;
