//! What is answered.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use super::Stream;
use crate::local::{Answer, Choice, ScoredToken};

/// A finished chat.
pub(crate) struct Reply<'a> {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) model: &'a str,
    pub(crate) answer: &'a Answer,
    pub(crate) with_logprobs: bool,
}

impl Reply<'_> {
    /// As one document.
    pub(crate) fn document(&self) -> Value {
        let choice = |(index, choice): (usize, &Choice)| {
            json!({
                "index": index,
                "message": { "role": "assistant", "content": choice.text },
                "logprobs": self.logprobs(choice),
                "finish_reason": finish(choice),
            })
        };
        let choices = self.answer.choices.iter().enumerate().map(choice).collect();
        let mut document = self.envelope("chat.completion", choices);
        document["usage"] = self.usage();
        document
    }

    /// As server-sent events: a chunk a choice, perhaps one with the usage, and the end.
    pub(crate) fn events(&self, stream: Stream) -> Response<Full<Bytes>> {
        let mut body = String::new();
        let mut send = |event: &str| body += &format!("data: {event}\n\n");
        for (index, choice) in self.answer.choices.iter().enumerate() {
            let choice = json!({
                "index": index,
                "delta": { "role": "assistant", "content": choice.text },
                "logprobs": self.logprobs(choice),
                "finish_reason": finish(choice),
            });
            send(&self.envelope("chat.completion.chunk", vec![choice]).to_string());
        }
        if stream.with_usage {
            let mut chunk = self.envelope("chat.completion.chunk", Vec::new());
            chunk["usage"] = self.usage();
            send(&chunk.to_string());
        }
        send("[DONE]");
        let mut response = Response::new(Full::new(Bytes::from(body)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    fn envelope(&self, object: &str, choices: Vec<Value>) -> Value {
        json!({ "id": self.id, "object": object, "created": self.created, "model": self.model, "choices": choices })
    }

    fn usage(&self) -> Value {
        let prompt = self.answer.n_prompt_tokens;
        let completion: usize = self.answer.choices.iter().map(|choice| choice.tokens.len()).sum();
        json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
    }

    fn logprobs(&self, choice: &Choice) -> Value {
        if !self.with_logprobs {
            return Value::Null;
        }
        json!({ "content": choice.tokens.iter().map(logprob).collect::<Vec<_>>() })
    }
}

fn finish(choice: &Choice) -> &'static str {
    if choice.is_cut { "length" } else { "stop" }
}

fn logprob(token: &ScoredToken) -> Value {
    // The bytes of a token that is only a part of a character cannot be told.
    let bytes = Some(token.text.as_bytes()).filter(|_| !token.text.contains(char::REPLACEMENT_CHARACTER));
    json!({ "token": token.text, "logprob": token.logp, "bytes": bytes, "top_logprobs": [] })
}

/// A response of JSON.
pub(crate) fn json_response(document: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(document.to_string())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
