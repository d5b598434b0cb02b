//! What can go wrong with an endpoint, and what to do about it.

use std::time::Duration;

use crate::{Cause, Limit, Spent};

/// Everything a caller of this crate can act on. None of it shows a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL cannot be used.
    #[error("the URL `{base_url}` {problem}")]
    BaseUrl {
        /// The URL, without what may be a password.
        base_url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An option has a value that cannot be used.
    #[error("option `{option}`: expected {expected}, found {found}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What would do.
        expected: &'static str,
        /// Its value.
        found: String,
    },
    /// The variable that should hold the key holds nothing.
    #[error("the environment variable `{variable}` holds no key")]
    NoKey {
        /// The variable.
        variable: String,
    },
    /// The variable holds what cannot be a key.
    #[error("the environment variable `{variable}` holds characters that no key can have")]
    BadKey {
        /// The variable.
        variable: String,
    },
    /// The HTTP client cannot be set up, for example because the system has no root certificates.
    #[error("cannot set up an HTTP client")]
    Setup {
        /// Why.
        source: reqwest::Error,
    },
    /// The TLS library refuses its own settings.
    #[error("cannot set up TLS")]
    Tls {
        /// Why.
        source: rustls::Error,
    },
    /// The thread for the network cannot be started.
    #[error("cannot start the thread for the network")]
    Thread {
        /// Why.
        source: std::io::Error,
    },
    /// A blocking call was made from asynchronous code, or from within a batch.
    #[error("a batch of requests cannot be sent from asynchronous code")]
    Asynchronous,
    /// A request cannot be sent.
    #[error("request {request} of the batch cannot be sent: {problem}")]
    Request {
        /// Its position, counted from 0.
        request: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The endpoint refuses a request, and would refuse it again.
    #[error("`{url}` refuses {} with status {status}{}", request_name(*.request), said(.message))]
    Refused {
        /// Where.
        url: String,
        /// The request's position in its batch, counted from 0; `None` for the list of models.
        request: Option<usize>,
        /// The HTTP status.
        status: u16,
        /// What the server said, shortened; empty where it said nothing.
        message: String,
        /// The environment variable of the key that was sent.
        variable: Option<String>,
    },
    /// The endpoint refuses a request for a model that is not on its list.
    #[error("`{url}` refuses the model `{model}`{}; it has {}", said(.message), listed(.known))]
    UnknownModel {
        /// Where.
        url: String,
        /// The model asked for.
        model: String,
        /// Those it has.
        known: Vec<String>,
        /// What the server said, shortened; empty where it said nothing.
        message: String,
    },
    /// The endpoint points elsewhere. A key is not taken there.
    #[error("`{url}` points to `{location}`")]
    Redirected {
        /// Where.
        url: String,
        /// Where it points to.
        location: String,
    },
    /// All attempts failed.
    #[error("`{url}` left {} unanswered after {attempts} attempts, at last: {cause}{}", request_name(*.request), said(.message))]
    Unanswered {
        /// Where.
        url: String,
        /// The request's position in its batch, counted from 0; `None` for the list of models.
        request: Option<usize>,
        /// How often it was tried.
        attempts: u32,
        /// Why the last attempt failed.
        cause: Cause,
        /// What the server said then, shortened; empty where it said nothing.
        message: String,
        /// The failure below, if there is one.
        source: Option<reqwest::Error>,
    },
    /// The endpoint wants to be left alone for longer than a batch waits.
    #[error("`{url}` asks to wait for {} s, more than the {} s that are waited at most{}", .asked.as_secs(), .longest.as_secs(), said(.message))]
    WaitTooLong {
        /// Where.
        url: String,
        /// How long it asks for.
        asked: Duration,
        /// How long is waited at most.
        longest: Duration,
        /// What the server said, shortened; empty where it said nothing.
        message: String,
    },
    /// A response is longer than anything reasonable.
    #[error("a response of `{url}` is longer than {limit} bytes")]
    TooLong {
        /// Where.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// The budget is spent. What was under way has been handed over.
    #[error("the budget of {limit} is spent: {spent}, cost {cost:.4}")]
    BudgetSpent {
        /// What it was.
        limit: Limit,
        /// What was spent, what was spent before included.
        spent: Spent,
        /// Its cost, in the currency of the prices.
        cost: f64,
    },
}

impl Error {
    /// What a user can try, if there is something beyond what the error says.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::NoKey { variable } | Error::BadKey { variable } => format!("set `{variable}` to the endpoint's key"),
            Error::Refused { status: 401, variable: Some(variable), .. } => {
                format!("is the key in the environment variable `{variable}` one for this endpoint?")
            }
            Error::Refused { status: 401, variable: None, .. } => {
                "the endpoint wants a key: name the environment variable that holds it".to_owned()
            }
            Error::Refused { status: 403, .. } => "the key may not use this model, or not from here".to_owned(),
            Error::Refused { status: 404 | 405, .. } => {
                "does the URL end as the server's documentation says? The base URL of a chat endpoint mostly ends with `/v1`".to_owned()
            }
            Error::Redirected { location, .. } => {
                format!("if that is the right place, give it as the URL: `{location}`")
            }
            Error::Unanswered { cause: Cause::Connect, .. } => {
                "is the server running, and is the URL its address? Behind a proxy, set HTTPS_PROXY".to_owned()
            }
            Error::Unanswered { cause: Cause::Timeout, .. } => {
                "allow more time for a request, fewer tokens, or fewer requests at once".to_owned()
            }
            Error::Unanswered { cause: Cause::Status(429), .. } | Error::WaitTooLong { .. } => {
                "send fewer requests at once, or go on later".to_owned()
            }
            Error::Unanswered { cause: Cause::Malformed, .. } => {
                "is the base URL that of an OpenAI-compatible endpoint?".to_owned()
            }
            _ => return None,
        };
        Some(hint)
    }
}

fn request_name(request: Option<usize>) -> String {
    request.map_or("the list of models".to_owned(), |request| format!("request {request}"))
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

/// Models that are named before the rest is only counted.
const NAMED: usize = 20;

fn listed(known: &[String]) -> String {
    let named = known.iter().take(NAMED).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match known.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
