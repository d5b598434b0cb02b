//! What is asked. Fields that are known are checked, others ignored.

use std::ops::RangeInclusive;

use lm::Sampling;
use rollout::data::Message;
use serde_json::{Map, Value};

use super::Refusal;

/// Choices a request may ask for.
const MOST_CHOICES: u64 = 64;
/// Stop strings a request may give, and the bytes of each.
const MOST_STOPS: usize = 16;
const LONGEST_STOP: usize = 1024;
const HIGHEST_TEMPERATURE: f64 = 100.0;
/// Below this a softmax is greedy in all but name.
const LOWEST_TEMPERATURE: f64 = 1e-6;

/// A request for a chat's next message.
#[derive(Debug)]
pub(crate) struct ChatRequest {
    pub(crate) model: String,
    pub(crate) messages: Vec<Message>,
    pub(crate) sampling: Sampling,
    /// `None` leaves it to the server.
    pub(crate) max_tokens: Option<usize>,
    pub(crate) n: usize,
    pub(crate) seed: u64,
    pub(crate) stop: Vec<String>,
    pub(crate) logprobs: bool,
    pub(crate) stream: Option<Stream>,
}

/// How an answer is streamed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    /// Whether a last chunk tells the usage.
    pub(crate) with_usage: bool,
}

impl ChatRequest {
    /// Read a body; `fresh_seed` is for requests that have none.
    pub(crate) fn read(body: &[u8], fresh_seed: u64) -> Result<ChatRequest, Refusal> {
        let body: Value = serde_json::from_slice(body).map_err(|error| Refusal::no_json(&error.to_string()))?;
        let Value::Object(body) = &body else { return Err(Refusal::no_json("it is another JSON value")) };
        let fields = Fields(body);
        let max_completion_tokens = fields.whole("max_completion_tokens", 1..=u64::from(u32::MAX))?;
        let max_tokens = max_completion_tokens.or(fields.whole("max_tokens", 1..=u64::from(u32::MAX))?);
        fields.whole("top_logprobs", 0..=0)?;
        Ok(ChatRequest {
            model: fields.text("model")?,
            messages: fields.messages()?,
            sampling: fields.sampling()?,
            max_tokens: max_tokens.map(|max_tokens| max_tokens as usize),
            n: fields.whole("n", 1..=MOST_CHOICES)?.unwrap_or(1) as usize,
            seed: fields.seed()?.unwrap_or(fresh_seed),
            stop: fields.stop()?,
            logprobs: fields.flag("logprobs")?,
            stream: fields.stream()?,
        })
    }
}

/// A body's fields; null stands for one that is not there.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn needed(&self, name: &str) -> Result<&'a Value, Refusal> {
        self.get(name).ok_or_else(|| Refusal::missing(name))
    }

    fn text(&self, name: &str) -> Result<String, Refusal> {
        let value = self.needed(name)?;
        value.as_str().map(str::to_owned).ok_or_else(|| Refusal::invalid(name, "a string", value))
    }

    fn flag(&self, name: &str) -> Result<bool, Refusal> {
        let Some(value) = self.get(name) else { return Ok(false) };
        value.as_bool().ok_or_else(|| Refusal::invalid(name, "true or false", value))
    }

    fn number(&self, name: &str, expected: &str, allowed: impl Fn(f64) -> bool) -> Result<Option<f64>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_f64().filter(|&number| allowed(number));
        number.map(Some).ok_or_else(|| Refusal::invalid(name, expected, value))
    }

    fn whole(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let expected = match (*range.start(), *range.end()) {
            (start, end) if start == end => format!("{start}, the only number that is supported"),
            (start, end) => format!("a whole number from {start} to {end}"),
        };
        let number = value.as_u64().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| Refusal::invalid(name, &expected, value))
    }

    fn seed(&self) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.get("seed") else { return Ok(None) };
        let seed = value.as_u64().or(value.as_i64().map(i64::cast_unsigned));
        seed.map(Some).ok_or_else(|| Refusal::invalid("seed", "a whole number of 64 bits", value))
    }

    fn sampling(&self) -> Result<Sampling, Refusal> {
        let temperature = self.number("temperature", "a number from 0 to 100", |temperature| {
            (0.0..=HIGHEST_TEMPERATURE).contains(&temperature)
        })?;
        // What is zero in 32 bits is zero to the engine.
        let top_p =
            self.number("top_p", "a number above 0, and 1 at most", |top_p| top_p as f32 > 0.0 && top_p <= 1.0)?;
        let min_p = self.number("min_p", "a number from 0 to 1", |min_p| (0.0..=1.0).contains(&min_p))?;
        let top_k = self.top_k()?;
        let temperature = temperature.unwrap_or(1.0);
        if temperature < LOWEST_TEMPERATURE {
            return Ok(Sampling::Greedy);
        }
        let (top_p, min_p) = (top_p.unwrap_or(1.0) as f32, min_p.unwrap_or(0.0) as f32);
        Ok(Sampling::Random { temperature: (temperature as f32).max(LOWEST_TEMPERATURE as f32), top_k, top_p, min_p })
    }

    /// As other servers have it: 0 and −1 keep all.
    fn top_k(&self) -> Result<Option<usize>, Refusal> {
        let Some(value) = self.get("top_k") else { return Ok(None) };
        match value.as_i64() {
            Some(-1 | 0) => Ok(None),
            Some(k @ 1..) => Ok(Some(k as usize)),
            _ => Err(Refusal::invalid("top_k", "a whole number from −1", value)),
        }
    }

    fn stop(&self) -> Result<Vec<String>, Refusal> {
        let Some(value) = self.get("stop") else { return Ok(Vec::new()) };
        let expected = || format!("a string, or a list of up to {MOST_STOPS}, of up to {LONGEST_STOP} bytes each");
        let invalid = || Refusal::invalid("stop", &expected(), value);
        let values = match value {
            Value::Array(values) => values.as_slice(),
            single => std::slice::from_ref(single),
        };
        if values.len() > MOST_STOPS {
            return Err(invalid());
        }
        let text = |value: &Value| value.as_str().filter(|text| text.len() <= LONGEST_STOP).map(str::to_owned);
        let mut stops = values.iter().map(text).collect::<Option<Vec<String>>>().ok_or_else(invalid)?;
        stops.retain(|stop| !stop.is_empty());
        Ok(stops)
    }

    fn stream(&self) -> Result<Option<Stream>, Refusal> {
        let is_streamed = self.flag("stream")?;
        let Some(options) = self.get("stream_options") else {
            return Ok(is_streamed.then_some(Stream { with_usage: false }));
        };
        let Value::Object(options) = options else {
            return Err(Refusal::invalid("stream_options", "an object", options));
        };
        let with_usage = Fields(options).flag("include_usage")?;
        Ok(is_streamed.then_some(Stream { with_usage }))
    }

    fn messages(&self) -> Result<Vec<Message>, Refusal> {
        let value = self.needed("messages")?;
        let messages = value.as_array().filter(|messages| !messages.is_empty());
        let messages = messages.ok_or_else(|| Refusal::invalid("messages", "a list of at least one message", value))?;
        messages.iter().enumerate().map(|(index, message)| read_message(index, message)).collect()
    }
}

fn read_message(index: usize, message: &Value) -> Result<Message, Refusal> {
    let invalid = |field: &str, expected: &str, found: Option<&Value>| match found {
        Some(found) => Refusal::invalid(&format!("messages[{index}]{field}"), expected, found),
        None => Refusal::missing(&format!("messages[{index}]{field}")),
    };
    if !message.is_object() {
        return Err(invalid("", "an object with `role` and `content`", Some(message)));
    }
    let role = match message.get("role").and_then(Value::as_str) {
        Some(role @ ("system" | "user" | "assistant")) => role,
        // Its new name.
        Some("developer") => "system",
        _ => return Err(invalid(".role", "`system`, `user` or `assistant`", message.get("role"))),
    };
    let content = message.get("content");
    let text = match content {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Array(parts)) => parts.iter().map(part_text).collect(),
        _ => None,
    };
    let content = text.ok_or_else(|| invalid(".content", "a string or a list of parts of type `text`", content))?;
    Ok(Message { role: role.to_owned(), content })
}

fn part_text(part: &Value) -> Option<&str> {
    part.get("text").filter(|_| part.get("type").is_some_and(|kind| kind == "text"))?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(more: Value) -> Result<ChatRequest, Refusal> {
        let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ChatRequest::read(body.to_string().as_bytes(), 9)
    }

    #[test]
    fn what_is_not_said_has_defaults() {
        let request = read(json!({ "user": "me", "n": null, "temperature": null, "logit_bias": {} })).unwrap();
        assert_eq!(request.sampling, Sampling::at_temperature(1.0));
        assert_eq!((request.max_tokens, request.n, request.seed), (None, 1, 9));
        assert!(request.stop.is_empty() && !request.logprobs && request.stream.is_none());
    }

    #[test]
    fn what_is_said_counts() {
        let messages = json!([{ "role": "developer", "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] }]);
        let request = read(json!({ "messages": messages, "temperature": 0.5, "top_p": 0.9, "top_k": 4, "min_p": 0.25,
            "max_tokens": 3, "max_completion_tokens": 5, "n": 64, "seed": -1, "stop": ["a", ""], "logprobs": true,
            "stream": true, "stream_options": { "include_usage": true } }));
        let request = request.unwrap();
        assert_eq!(request.messages, [Message { role: "system".to_owned(), content: "ab".to_owned() }]);
        let expected = Sampling::Random { temperature: 0.5, top_k: Some(4), top_p: 0.9, min_p: 0.25 };
        assert_eq!(request.sampling, expected);
        assert_eq!((request.max_tokens, request.n, request.seed), (Some(5), 64, u64::MAX));
        assert_eq!(request.stop, ["a"]);
        assert!(request.logprobs && request.stream.unwrap().with_usage);
        assert_eq!(read(json!({ "stop": "b" })).unwrap().stop, ["b"]);
    }

    #[test]
    fn whatever_is_read_can_be_sampled_with() {
        for temperature in [0.0, 1e-300, 1e-7, 1e-6, 1e-3, 2.0, 100.0] {
            for top_p in [1e-30, 0.5, 1.0] {
                let request = read(json!({ "temperature": temperature, "top_p": top_p, "top_k": i64::MAX })).unwrap();
                request.sampling.check().unwrap();
            }
        }
    }

    #[test]
    fn mistakes_name_their_field() {
        let part = json!([{ "type": "image_url" }]);
        for (more, field) in [
            (json!({ "model": 1 }), "model"),
            (json!({ "messages": null }), "messages"),
            (json!({ "messages": [] }), "messages"),
            (json!({ "messages": ["a"] }), "messages[0]"),
            (json!({ "messages": [{ "role": "tool", "content": "a" }] }), "messages[0].role"),
            (json!({ "messages": [{ "role": "user" }] }), "messages[0].content"),
            (json!({ "messages": [{ "role": "user", "content": part }] }), "messages[0].content"),
            (json!({ "temperature": -1 }), "temperature"),
            (json!({ "temperature": "hot" }), "temperature"),
            (json!({ "top_p": 0 }), "top_p"),
            (json!({ "top_p": 1e-60 }), "top_p"),
            (json!({ "top_k": -2 }), "top_k"),
            (json!({ "min_p": 2 }), "min_p"),
            (json!({ "max_tokens": 0 }), "max_tokens"),
            (json!({ "max_completion_tokens": 1.5 }), "max_completion_tokens"),
            (json!({ "n": 65 }), "n"),
            (json!({ "seed": 0.5 }), "seed"),
            (json!({ "stop": 3 }), "stop"),
            (json!({ "stop": vec!["a"; 17] }), "stop"),
            (json!({ "logprobs": 1 }), "logprobs"),
            (json!({ "top_logprobs": 5 }), "top_logprobs"),
            (json!({ "stream": "yes" }), "stream"),
            (json!({ "stream_options": [] }), "stream_options"),
        ] {
            let message = format!("{:?}", read(more.clone()).unwrap_err());
            assert!(message.contains(&format!("`{field}`")), "{more}: {message}");
        }
        for body in ["", "[]", "{", "nul", "\u{fffd}", &"[".repeat(100_000)] {
            assert!(ChatRequest::read(body.as_bytes(), 0).is_err());
        }
    }
}
