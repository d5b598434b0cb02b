//! Errors as OpenAI's servers tell them.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::json_response;

/// Why a request gets no answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    /// Of OpenAI's types.
    kind: &'static str,
    code: Option<&'static str>,
    /// The field of the request that is wrong.
    field: Option<String>,
    message: String,
    /// Its name in lower case, and its value.
    header: Option<(&'static str, &'static str)>,
}

/// Characters of what a client sent that are repeated to it.
const LONGEST_QUOTE: usize = 100;

impl Refusal {
    fn new(status: StatusCode, code: impl Into<Option<&'static str>>, message: String) -> Refusal {
        let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
        Refusal { status, kind, code: code.into(), field: None, message, header: None }
    }

    fn with(self, name: &'static str, value: &'static str) -> Refusal {
        Refusal { header: Some((name, value)), ..self }
    }

    fn of_field(self, field: impl Into<String>) -> Refusal {
        Refusal { field: Some(field.into()), ..self }
    }

    /// The body is not a JSON object.
    pub(crate) fn no_json(problem: &str) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, None, format!("the body must be a JSON object: {problem}"))
    }

    /// A field must be there, and is not.
    pub(crate) fn missing(field: &str) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "missing_required_parameter", format!("`{field}` is missing"))
            .of_field(field)
    }

    /// A field is not what it should be.
    pub(crate) fn invalid(field: &str, expected: &str, found: &Value) -> Refusal {
        let message = format!("`{field}` must be {expected}, not {}", quoted(&found.to_string()));
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_value", message).of_field(field)
    }

    /// The chat template refuses the messages.
    pub(crate) fn messages(error: &dyn std::error::Error) -> Refusal {
        let message = format!("the model cannot read these `messages`: {}", chain(error));
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_value", message).of_field("messages")
    }

    /// Prompt and answer do not fit into the model's context.
    pub(crate) fn too_long(n_prompt_tokens: usize, max_tokens: Option<usize>, context: usize) -> Refusal {
        let asked = max_tokens.map_or("an answer needs at least 1".to_owned(), |max_tokens| {
            format!("`max_tokens` asks for {max_tokens} more")
        });
        let message = format!("the messages have {n_prompt_tokens} tokens, {asked}, and the context has {context}");
        let field = if max_tokens.is_some_and(|_| n_prompt_tokens < context) { "max_tokens" } else { "messages" };
        Refusal::new(StatusCode::BAD_REQUEST, "context_length_exceeded", message).of_field(field)
    }

    pub(crate) fn wrong_key() -> Refusal {
        let message = "a valid key is needed, as `authorization: Bearer KEY`".to_owned();
        Refusal::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message).with("www-authenticate", "Bearer")
    }

    pub(crate) fn no_such_path(path: &str) -> Refusal {
        let message = format!(
            "there is nothing at {}: POST /v1/chat/completions, GET /v1/models and GET /health are there",
            quoted(path)
        );
        Refusal::new(StatusCode::NOT_FOUND, "unknown_url", message)
    }

    pub(crate) fn no_such_model(asked: &str, served: &str) -> Refusal {
        let message = format!("there is no model `{}` here, but `{served}`", quoted(asked));
        Refusal::new(StatusCode::NOT_FOUND, "model_not_found", message).of_field("model")
    }

    pub(crate) fn wrong_method(allowed: Method) -> Refusal {
        let message = format!("only {allowed} is allowed here");
        let header = if allowed == Method::POST { "POST" } else { "GET" };
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message).with("allow", header)
    }

    pub(crate) fn slow_body() -> Refusal {
        Refusal::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not arrive in time".to_owned())
            .with("connection", "close")
    }

    pub(crate) fn cut_body() -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, None, "the body did not arrive whole".to_owned())
    }

    pub(crate) fn long_body(longest: usize) -> Refusal {
        let message = format!("the body has more than {longest} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message).with("connection", "close")
    }

    pub(crate) fn busy(max_waiting: usize) -> Refusal {
        let message = format!("{max_waiting} requests are waiting already");
        let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message);
        Refusal { kind: "rate_limit_error", ..refusal }.with("retry-after", "1")
    }

    pub(crate) fn stopping() -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server is stopping".to_owned())
    }

    /// The engine refused or failed.
    pub(crate) fn engine(error: &lm::Error) -> Refusal {
        let status = match error {
            lm::Error::Request { .. } => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refusal::new(status, None, chain(error))
    }

    pub(crate) fn engine_gone() -> Refusal {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "engine_gone", "the engine broke down".to_owned())
    }

    pub(crate) fn response(&self) -> Response<Full<Bytes>> {
        let Refusal { kind, code, field, message, .. } = self;
        let error = json!({ "message": message, "type": kind, "param": field, "code": code });
        let mut response = json_response(&json!({ "error": error }));
        *response.status_mut() = self.status;
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        response
    }
}

fn quoted(text: &str) -> String {
    let mut quoted: String = text.chars().take(LONGEST_QUOTE).collect();
    if quoted.len() < text.len() {
        quoted.push('…');
    }
    quoted
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
