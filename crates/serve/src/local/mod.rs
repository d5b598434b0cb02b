//! A local model behind a queue.

mod queue;
mod routes;
mod worker;

pub(crate) use queue::{Job, Queue, Refused};
pub(crate) use routes::Routes;
pub(crate) use worker::{Answer, Choice, ScoredToken, work};
pub use worker::{SEQUENCES_AT_ONCE, Served};
