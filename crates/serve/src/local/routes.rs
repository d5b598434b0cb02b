//! What is answered where.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request, Response};
use lm::derive_seed;
use serde_json::json;
use tokio::sync::oneshot;

use super::{Job, Queue, Refused};
use crate::wire::{ChatRequest, Refusal, Reply, json_response};
use crate::{Options, http};

/// The routes of a local model.
pub(crate) struct Routes {
    options: Options,
    queue: Arc<Queue>,
    started: u64,
    /// Differs between servers: ids and seeds of requests without one come from it.
    entropy: u64,
    n_requests: AtomicU64,
}

impl Routes {
    pub(crate) fn new(options: Options, queue: Arc<Queue>) -> Routes {
        // The standard library draws the keys of its maps from the system.
        let entropy = RandomState::new().build_hasher().finish();
        Routes { options, queue, started: now(), entropy, n_requests: AtomicU64::new(0) }
    }

    /// Answer anything.
    pub(crate) async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.answer(request).await.unwrap_or_else(|refusal| refusal.response())
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Refusal> {
        if request.uri().path() == "/health" {
            allow(&request, Method::GET)?;
            return Ok(json_response(&json!({ "status": "ok" })));
        }
        self.let_in(&request)?;
        match request.uri().path() {
            "/v1/models" => {
                allow(&request, Method::GET)?;
                let Options { model, .. } = &self.options;
                let model = json!({ "id": model, "object": "model", "created": self.started, "owned_by": "align-pro" });
                Ok(json_response(&json!({ "object": "list", "data": [model] })))
            }
            "/v1/chat/completions" => {
                allow(&request, Method::POST)?;
                self.chat(&http::body(request.into_body()).await?).await
            }
            path => Err(Refusal::no_such_path(path)),
        }
    }

    fn let_in(&self, request: &Request<Incoming>) -> Result<(), Refusal> {
        let Some(key) = &self.options.api_key else { return Ok(()) };
        let sent = request.headers().get(AUTHORIZATION).map(|header| header.as_bytes()).unwrap_or_default();
        match sent.split_at_checked(b"Bearer ".len()) {
            Some((scheme, sent)) if scheme.eq_ignore_ascii_case(b"Bearer ") && key.is(sent.trim_ascii()) => Ok(()),
            _ => Err(Refusal::wrong_key()),
        }
    }

    async fn chat(&self, body: &[u8]) -> Result<Response<Full<Bytes>>, Refusal> {
        let unique = derive_seed(&[self.entropy, self.n_requests.fetch_add(1, Ordering::Relaxed)]);
        let request = ChatRequest::read(body, unique)?;
        if !self.options.is_called(&request.model) {
            return Err(Refusal::no_such_model(&request.model, &self.options.model));
        }
        let (with_logprobs, stream) = (request.logprobs, request.stream);
        let (reply, answer) = oneshot::channel();
        self.queue.push(Job { request, reply }).map_err(|refused| match refused {
            Refused::Full => Refusal::busy(self.options.max_waiting),
            Refused::Closed => Refusal::stopping(),
        })?;
        // The other side goes away without a word only where the engine's thread breaks down.
        let answer = answer.await.unwrap_or_else(|_gone| Err(Refusal::engine_gone()))?;
        let id = format!("chatcmpl-{:016x}", derive_seed(&[unique]));
        let reply = Reply { id, created: now(), model: &self.options.model, answer: &answer, with_logprobs };
        Ok(match stream {
            None => json_response(&reply.document()),
            Some(stream) => reply.events(stream),
        })
    }
}

fn allow(request: &Request<Incoming>, method: Method) -> Result<(), Refusal> {
    if request.method() == method { Ok(()) } else { Err(Refusal::wrong_method(method)) }
}

/// In seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "OpenAI's answers tell when they were made; nothing depends on it")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
