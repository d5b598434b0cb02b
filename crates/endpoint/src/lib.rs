//! A client of OpenAI-compatible chat endpoints: a local `llama-server`, vLLM, Ollama, or a hosted service.
//!
//! A batch of requests goes in, and each response is handed to the caller as soon as it is there: a caller who writes it
//! down first never pays for it twice. Requests run side by side up to a limit, are asked again where that can help, and stop
//! when a budget is spent. Inside it is asynchronous, outside it is one blocking call.
//!
//! It knows nothing of prompters, rewards or files. Of the environment it reads the variable that [`ApiKey::from_env`]
//! is told, and the usual ones for proxies (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`); loopback addresses are never proxied.
//!
//! # Layout, in reading order
//! - `chat`: what is asked and answered
//! - `options`: where and how it is asked, and the key, which nothing shows
//! - `client`: what a caller calls; start here for the control flow
//! - `batch`: many requests side by side
//! - `answer`: one request with its repetitions
//! - `json`: the same for servers that are no chat endpoints: any JSON, posted to one URL
//! - `transport`, `network`: connections, waits before repetitions, and the thread that serves them
//! - `attempt`: one exchange with the server, and what its failures mean
//! - `wire`: JSON out and in
//! - `retry`: how long to wait before asking again
//! - `budget`: what may be spent and what was
//! - `address`: URLs, and how they are shown
//! - `statistics`, `error`
//!
//! ```no_run
//! use endpoint::{Budget, ChatMessage, ChatRequest, Client, EndpointOptions, Error, Spent};
//!
//! let options = EndpointOptions::new("http://localhost:8080/v1", "qwen2.5-7b-instruct");
//! let client = Client::new(options, Budget::default(), Spent::default())?;
//! let requests = [ChatRequest::new(vec![ChatMessage::user("Name a prime.")])];
//! let mut answers = vec![None; requests.len()];
//! client.chat::<Error>(&requests, &mut |index, response| {
//!     answers[index] = Some(response);
//!     Ok(())
//! })?;
//! # Ok::<(), Error>(())
//! ```

mod address;
mod answer;
mod attempt;
mod batch;
mod budget;
mod chat;
mod client;
mod error;
mod json;
mod network;
mod options;
mod retry;
mod statistics;
mod transport;
mod wire;

pub use budget::{Budget, Limit, Spent};
pub use chat::{ChatMessage, ChatRequest, ChatResponse, Choice, Finish, Usage, estimated_tokens};
pub use client::Client;
pub use error::Error;
pub use json::{JsonClient, JsonOptions};
pub use options::{ApiKey, EndpointOptions};
pub use statistics::{Cause, Statistics};
