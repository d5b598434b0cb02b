//! JSON out and in. What servers send is read leniently where nothing hangs on it, and strictly where an answer does.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Cause, ChatRequest, Choice, EndpointOptions, Finish, Usage};

/// Seeds are sent in so many bits.
const SEED_BITS: u32 = 31;

/// The body of a request for the choices after the first `n_drawn`.
pub(crate) fn body(options: &EndpointOptions, request: &ChatRequest, n_drawn: u32) -> Map<String, Value> {
    let n = request.n.saturating_sub(n_drawn);
    let message = |message: &crate::ChatMessage| json!({ "role": message.role, "content": message.content });
    let mut body = Map::new();
    let mut set = |field: &str, value: Value| body.insert(field.to_owned(), value);
    set("model", json!(options.model));
    set("messages", request.messages.iter().map(message).collect());
    set("stream", json!(false));
    if let Some(temperature) = request.temperature {
        set("temperature", json!(temperature));
    }
    if let Some(top_p) = request.top_p {
        set("top_p", json!(top_p));
    }
    if let Some(max_tokens) = request.max_tokens {
        set("max_tokens", json!(max_tokens));
    }
    if let Some(seed) = request.seed {
        set("seed", json!(folded(seed.wrapping_add(u64::from(n_drawn)))));
    }
    if !request.stop.is_empty() {
        set("stop", json!(request.stop));
    }
    if n > 1 {
        set("n", json!(n));
    }
    if request.logprobs {
        set("logprobs", json!(true));
    }
    for (field, value) in &options.extra {
        match value {
            Value::Null => body.remove(field),
            value => body.insert(field.clone(), value.clone()),
        };
    }
    body
}

/// A seed in 31 bits: itself where it fits, else all its bits folded together.
fn folded(seed: u64) -> u64 {
    (seed ^ (seed >> SEED_BITS) ^ (seed >> (2 * SEED_BITS))) & ((1 << SEED_BITS) - 1)
}

/// What one call was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) choices: Vec<Choice>,
    pub(crate) usage: Option<Usage>,
    pub(crate) model: Option<String>,
}

/// Read a reply, or say why it is none, with what the server has to say about it.
pub(crate) fn reply(body: &[u8]) -> Result<Reply, (Cause, String)> {
    let wire: WireReply = serde_json::from_slice(body).map_err(|error| (Cause::Malformed, error.to_string()))?;
    let choices = wire.choices.unwrap_or_default();
    if choices.is_empty() {
        let problem = if wire.error.is_some() { error_message(body) } else { String::new() };
        return Err((Cause::NoChoices, problem));
    }
    let usage = wire.usage.and_then(|usage| serde_json::from_value::<WireUsage>(usage).ok());
    Ok(Reply {
        choices: choices.into_iter().map(choice).collect(),
        usage: usage
            .map(|usage| Usage { prompt_tokens: usage.prompt_tokens, completion_tokens: usage.completion_tokens }),
        model: wire.model.filter(|model| !model.is_empty()),
    })
}

fn choice(wire: WireChoice) -> Choice {
    let finish = match wire.finish_reason.as_deref() {
        Some("stop") => Finish::Stop,
        Some("length") => Finish::Length,
        other => Finish::Other(other.unwrap_or_default().to_owned()),
    };
    let tokens = wire.logprobs.and_then(|logprobs| serde_json::from_value::<WireLogprobs>(logprobs).ok());
    let token_logps = tokens.map(|tokens| tokens.content.into_iter().map(|token| token.logprob).collect());
    Choice { text: wire.message.content.unwrap_or_default(), finish, token_logps }
}

/// What an error's body says, whatever its form.
pub(crate) fn error_message(body: &[u8]) -> String {
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        return String::from_utf8_lossy(body).into_owned();
    };
    let places = ["/error/message", "/error", "/message", "/detail"];
    let found = places.into_iter().find_map(|place| json.pointer(place).and_then(Value::as_str));
    found.map_or_else(|| json.to_string(), str::to_owned)
}

/// Whether an error means that there is no money left, which waiting does not change.
pub(crate) fn is_out_of_money(body: &[u8]) -> bool {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    ["/error/code", "/error/type"].into_iter().any(|place| json.pointer(place) == Some(&json!("insufficient_quota")))
}

/// The names in a list of models.
pub(crate) fn models(body: &[u8]) -> Result<Vec<String>, serde_json::Error> {
    let wire: WireModels = serde_json::from_slice(body)?;
    Ok(wire.data.into_iter().map(|model| model.id).collect())
}

#[derive(Deserialize)]
struct WireReply {
    model: Option<String>,
    choices: Option<Vec<WireChoice>>,
    usage: Option<Value>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct WireChoice {
    message: WireMessage,
    finish_reason: Option<String>,
    logprobs: Option<Value>,
}

#[derive(Deserialize)]
struct WireMessage {
    content: Option<String>,
}

#[derive(Deserialize)]
struct WireLogprobs {
    content: Vec<WireToken>,
}

#[derive(Deserialize)]
struct WireToken {
    logprob: f64,
}

#[derive(Deserialize)]
struct WireUsage {
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

#[derive(Deserialize)]
struct WireModels {
    data: Vec<WireModel>,
}

#[derive(Deserialize)]
struct WireModel {
    id: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChatMessage;

    #[test]
    fn only_what_is_given_is_sent() {
        let mut options = EndpointOptions::new("http://localhost", "m");
        let mut request = ChatRequest::new(vec![ChatMessage::system("s"), ChatMessage::user("u")]);
        let messages = json!([{ "role": "system", "content": "s" }, { "role": "user", "content": "u" }]);
        let expected = json!({ "model": "m", "messages": messages, "stream": false });
        assert_eq!(Value::Object(body(&options, &request, 0)), expected);

        request = ChatRequest {
            temperature: Some(0.7),
            top_p: Some(0.9),
            max_tokens: Some(64),
            seed: Some(7),
            stop: vec!["\n".to_owned()],
            n: 4,
            logprobs: true,
            ..request
        };
        options.extra = json!({ "max_tokens": null, "max_completion_tokens": 64 }).as_object().unwrap().clone();
        let expected = json!({ "model": "m", "messages": messages, "stream": false, "temperature": 0.7, "top_p": 0.9,
            "max_completion_tokens": 64, "seed": 8, "stop": ["\n"], "n": 3, "logprobs": true });
        assert_eq!(Value::Object(body(&options, &request, 1)), expected);
    }

    #[test]
    fn seeds_fit_into_31_bits_and_small_ones_stay() {
        for seed in [0, 7, (1 << 31) - 1] {
            assert_eq!(folded(seed), seed);
        }
        assert_eq!(folded(u64::MAX), 3);
        for bit in 0..64 {
            assert!((1..1 << 31).contains(&folded(1 << bit)), "bit {bit} is lost");
        }
    }

    #[test]
    fn replies_are_read_as_far_as_they_go() {
        let text = r#"{ "id": "x", "model": "m", "choices": [
            { "index": 0, "message": { "role": "assistant", "content": "a" }, "finish_reason": "stop",
              "logprobs": { "content": [{ "token": "a", "logprob": -0.5 }] } },
            { "index": 1, "message": { "content": null }, "finish_reason": null, "logprobs": { "content": null } },
            { "message": { "content": "c" }, "finish_reason": "length" }],
            "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 } }"#;
        let reply = reply(text.as_bytes()).unwrap();
        let choice = |text: &str, finish, token_logps| Choice { text: text.to_owned(), finish, token_logps };
        let expected = [
            choice("a", Finish::Stop, Some(vec![-0.5])),
            choice("", Finish::Other(String::new()), None),
            choice("c", Finish::Length, None),
        ];
        assert_eq!(reply.choices, expected);
        assert_eq!(reply.usage, Some(Usage { prompt_tokens: 3, completion_tokens: 2 }));
        assert_eq!(reply.model.as_deref(), Some("m"));
    }

    #[test]
    fn what_is_no_reply_says_so() {
        let cause = |text: &str| reply(text.as_bytes()).unwrap_err();
        assert_eq!(cause("{}").0, Cause::NoChoices);
        assert_eq!(cause(r#"{ "choices": [] }"#).0, Cause::NoChoices);
        assert_eq!(cause(r#"{ "error": { "message": "no" } }"#), (Cause::NoChoices, "no".to_owned()));
        for text in ["", "<html>", "[]", r#"{ "choices": [{}] }"#, r#"{ "choices": [{ "message": "a" }] }"#] {
            assert_eq!(cause(text).0, Cause::Malformed, "{text}");
        }
    }

    #[test]
    fn errors_come_in_many_forms() {
        for text in [
            r#"{ "error": { "message": "why" } }"#,
            r#"{ "error": "why" }"#,
            r#"{ "message": "why" }"#,
            r#"{ "detail": "why" }"#,
            "why",
        ] {
            assert_eq!(error_message(text.as_bytes()), "why");
        }
        assert_eq!(error_message(br#"{ "detail": [1] }"#), r#"{"detail":[1]}"#);
        assert!(is_out_of_money(br#"{ "error": { "code": "insufficient_quota" } }"#));
        assert!(!is_out_of_money(br#"{ "error": "insufficient_quota" }"#));
    }
}
