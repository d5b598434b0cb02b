//! What is asked and what is answered.

use crate::Error;

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage {
    /// `system`, `user` or `assistant`; the endpoint decides what else it knows.
    pub role: String,
    /// The text.
    pub content: String,
}

impl ChatMessage {
    /// A message of the role `user`.
    pub fn user(content: impl Into<String>) -> ChatMessage {
        ChatMessage { role: "user".to_owned(), content: content.into() }
    }

    /// A message of the role `system`.
    pub fn system(content: impl Into<String>) -> ChatMessage {
        ChatMessage { role: "system".to_owned(), content: content.into() }
    }
}

/// One question. What is `None` is not sent, so that the endpoint's own default holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRequest {
    /// The conversation; at least one message.
    pub messages: Vec<ChatMessage>,
    /// Divides the logits; 0 always takes the most likely token.
    pub temperature: Option<f64>,
    /// Keep the most likely tokens that together have this probability.
    pub top_p: Option<f64>,
    /// Most tokens of each choice.
    pub max_tokens: Option<u32>,
    /// The same seed gives the same answer, where the endpoint can. Sent in 31 bits, which every server takes (some read 32
    /// bits, some refuse what is above 2³¹, and JSON in a gateway may round above 2⁵³): seeds below 2³¹ as they are, others
    /// with their higher bits folded in by exclusive or.
    pub seed: Option<u64>,
    /// Texts that end an answer. Most endpoints take up to four.
    pub stop: Vec<String>,
    /// How many choices to draw, at least 1. An endpoint that returns fewer (many know 1 only) is asked again for those that
    /// are missing, with other seeds; each time is a call of the budget.
    pub n: u32,
    /// Whether to ask for the log-probabilities of the answer's tokens.
    pub logprobs: bool,
}

impl ChatRequest {
    /// One choice, everything else left to the endpoint.
    pub fn new(messages: Vec<ChatMessage>) -> ChatRequest {
        ChatRequest {
            messages,
            temperature: None,
            top_p: None,
            max_tokens: None,
            seed: None,
            stop: Vec::new(),
            n: 1,
            logprobs: false,
        }
    }

    pub(crate) fn check(&self, request: usize) -> Result<(), Error> {
        let finite = |number: Option<f64>| number.is_none_or(f64::is_finite);
        let problem = if self.messages.is_empty() {
            "it has no message"
        } else if self.n == 0 {
            "it asks for 0 choices"
        } else if !finite(self.temperature) || !finite(self.top_p) {
            "`temperature` and `top_p` must be finite"
        } else {
            return Ok(());
        };
        Err(Error::Request { request, problem })
    }

    /// Tokens of the messages, at four characters a token: for endpoints that do not count.
    pub fn estimated_tokens(&self) -> u64 {
        self.messages.iter().map(|message| estimated_tokens(&message.content)).sum()
    }
}

/// Tokens of a text, at four characters a token: for endpoints that do not count.
pub fn estimated_tokens(text: &str) -> u64 {
    text.chars().count().div_ceil(4) as u64
}

/// What an endpoint answered to one request.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatResponse {
    /// As many as the request asked for.
    pub choices: Vec<Choice>,
    /// Tokens as the endpoint counted them, over all the calls that the answer took; `None` where it did not.
    pub usage: Option<Usage>,
    /// The model's name as the endpoint gave it, often with a date; the one asked for where it gave none.
    pub model: String,
}

/// One drawn answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The text; empty where the model said nothing.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// Natural logarithms of the probabilities of its tokens; `None` where not asked for, or not given for every token.
    pub token_logps: Option<Vec<f64>>,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model ended it, or a stop text did.
    Stop,
    /// It was cut at the limit of tokens.
    Length,
    /// What else the endpoint said, such as `content_filter`; empty where it gave no reason.
    Other(String),
}

/// Tokens of a response, as the endpoint counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written, over all choices.
    pub completion_tokens: u64,
}
