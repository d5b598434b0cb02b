//! An OpenAI-compatible HTTP server over one local model.
//!
//! HTTP is asynchronous and runs on the caller's thread. One thread owns the model, takes everything that waits, up to
//! [`SEQUENCES_AT_ONCE`] sequences, into one call of the engine, and hands the answers back. What comes while a call runs
//! waits for the next one.
//!
//! # Endpoints
//! - `POST /v1/chat/completions`: `model`, `messages`, and perhaps `temperature` (0 is greedy), `top_p`, `top_k`, `min_p`,
//!   `max_completion_tokens` or `max_tokens`, `n` up to 64, `seed`, `stop`, `logprobs`, `stream`, `stream_options`. Other
//!   fields are ignored. A stream holds one chunk for each choice, once all are finished. Log-probabilities are the model's
//!   own, at temperature 1 and without cuts, one for every sampled token: the token that ended a text is among them.
//! - `GET /v1/models`, `GET /health`; the latter needs no key.
//!
//! # Layout, in reading order
//! - `server`: what a caller calls; start here for the control flow
//! - `http`: connections, bodies, and how they end; knows nothing of models
//! - `local`: routes and a queue before a local model, and the thread that owns it
//! - `wire`: OpenAI's JSON in and out, and its errors
//! - `options`, `error`

mod error;
mod http;
mod local;
mod options;
mod server;
mod wire;

pub use error::Error;
pub use local::{SEQUENCES_AT_ONCE, Served};
pub use options::{ApiKey, Options};
pub use server::Server;
