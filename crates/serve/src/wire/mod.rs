//! OpenAI's JSON, in and out.

mod refusal;
mod reply;
mod request;

pub(crate) use refusal::Refusal;
pub(crate) use reply::{Reply, json_response};
pub(crate) use request::{ChatRequest, Stream};
