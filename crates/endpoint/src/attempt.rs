//! One exchange with the server, and what its failures mean.

use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{RequestBuilder, Response, StatusCode};

use crate::address::shown;
use crate::client::Shared;
use crate::retry::asked_wait;
use crate::transport::Transport;
use crate::wire::{self, Reply};
use crate::{Cause, ChatRequest, Error};

/// The longest body that is read, in bytes.
const LONGEST_BODY: usize = 64 << 20;

/// Why an exchange came to nothing.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Whether the endpoint certainly does not charge for it.
    pub(crate) is_free: bool,
    pub(crate) problem: Problem,
}

#[derive(Debug)]
pub(crate) enum Problem {
    /// Asking again may help.
    Passing(Passing),
    /// It does not.
    Final(Error),
}

#[derive(Debug)]
pub(crate) struct Passing {
    pub(crate) cause: Cause,
    /// What the server said, fit for people.
    pub(crate) message: String,
    pub(crate) source: Option<reqwest::Error>,
    /// How long the server asks to wait.
    pub(crate) wait: Option<Duration>,
}

impl Passing {
    /// The error that this becomes when it is not tried again.
    pub(crate) fn into_error(self, url: &reqwest::Url, request: Option<usize>, attempts: u32) -> Error {
        let Passing { cause, message, source, .. } = self;
        Error::Unanswered { url: shown(url), request, attempts, cause, message, source }
    }
}

impl Shared {
    /// Ask for the choices of a request after its first `n_drawn`.
    pub(crate) async fn ask(&self, position: usize, request: &ChatRequest, n_drawn: u32) -> Result<Reply, Failure> {
        let body = wire::body(&self.options, request, n_drawn);
        let sent =
            self.transport.http.post(self.address.chat.clone()).body(serde_json::Value::Object(body).to_string());
        let body = self.transport.exchange(sent, &self.address.chat, Some(position)).await?;
        wire::reply(&body).map_err(|(cause, message)| self.transport.unusable(cause, &message))
    }

    /// The names of the endpoint's models.
    pub(crate) async fn list_models(&self, timeout: Duration) -> Result<Vec<String>, Failure> {
        let sent = self.transport.http.get(self.address.models.clone()).timeout(timeout);
        let body = self.transport.exchange(sent, &self.address.models, None).await?;
        wire::models(&body).map_err(|error| self.transport.unusable(Cause::Malformed, &error.to_string()))
    }
}

impl Transport {
    /// A response arrived, and may be charged, but it is of no use.
    pub(crate) fn unusable(&self, cause: Cause, message: &str) -> Failure {
        let message = self.presentable(message);
        let problem = Problem::Passing(Passing { cause, message, source: None, wait: None });
        Failure { is_free: false, problem }
    }

    /// Send a request, and return the body of a response that tells of success.
    pub(crate) async fn exchange(
        &self,
        sent: RequestBuilder,
        url: &reqwest::Url,
        request: Option<usize>,
    ) -> Result<Vec<u8>, Failure> {
        let mut response = sent.send().await.map_err(lost)?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let body = read(response, url).await;
        if status.is_success() { body } else { Err(self.refusal(status, &headers, body, url, request)) }
    }

    fn refusal(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: Result<Vec<u8>, Failure>,
        url: &reqwest::Url,
        request: Option<usize>,
    ) -> Failure {
        // The status says enough, should the body be cut.
        let body = body.unwrap_or_default();
        let message = self.presentable(&wire::error_message(&body));
        let problem = if let Some(location) = headers.get(LOCATION).filter(|_| status.is_redirection()) {
            let location = self.presentable(&String::from_utf8_lossy(location.as_bytes()));
            Problem::Final(Error::Redirected { url: shown(url), location })
        } else if is_passing(status) && !wire::is_out_of_money(&body) {
            let (cause, wait) = (Cause::Status(status.as_u16()), asked_wait(headers));
            Problem::Passing(Passing { cause, message, source: None, wait })
        } else {
            let variable = self.manners.api_key.as_ref().map(|key| key.variable().to_owned());
            Problem::Final(Error::Refused { url: shown(url), request, status: status.as_u16(), message, variable })
        };
        Failure { is_free: true, problem }
    }
}

/// Whether the same request may fare better later. 529 and Cloudflare's 520 to 524 are usual beside the standard ones.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 409 | 425 | 429 | 500..=599) && !matches!(status.as_u16(), 501 | 505)
}

/// Read a body up to the limit.
async fn read(mut response: Response, url: &reqwest::Url) -> Result<Vec<u8>, Failure> {
    let too_long = || {
        let problem = Problem::Final(Error::TooLong { url: shown(url), limit: LONGEST_BODY });
        Failure { is_free: false, problem }
    };
    if response.content_length().is_some_and(|length| length > LONGEST_BODY as u64) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A request that got no response, or half of one.
fn lost(error: reqwest::Error) -> Failure {
    // Its URL may hold a key in its query.
    let error = error.without_url();
    if error.is_builder() {
        return Failure { is_free: true, problem: Problem::Final(Error::Setup { source: error }) };
    }
    let cause = if error.is_connect() {
        Cause::Connect
    } else if error.is_timeout() {
        Cause::Timeout
    } else {
        Cause::Cut
    };
    let problem = Problem::Passing(Passing { cause, message: String::new(), source: Some(error), wait: None });
    Failure { is_free: cause == Cause::Connect, problem }
}
