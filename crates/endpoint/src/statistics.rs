//! What a client counts.

use std::collections::BTreeMap;
use std::fmt;

/// What happened since a client was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Chat requests sent, repetitions included.
    pub attempts: u64,
    /// Requests answered in full.
    pub answered: u64,
    /// Repetitions, by what made them necessary.
    pub retried: BTreeMap<Cause, u64>,
    /// Further calls for choices that an endpoint left out.
    pub follow_ups: u64,
    /// Calls whose tokens had to be estimated, because the endpoint did not count them or its answer was lost.
    pub estimated: u64,
    /// Names under which other models than the one asked for answered, and how often. Hosted services answer with dated names.
    pub other_models: BTreeMap<String, u64>,
}

/// Names that are kept: a server must not fill the memory.
const MOST_NAMES: usize = 32;

impl Statistics {
    pub(crate) fn count_model(&mut self, name: String) {
        if self.other_models.len() < MOST_NAMES || self.other_models.contains_key(&name) {
            *self.other_models.entry(name).or_default() += 1;
        }
    }
}

/// Why an attempt came to nothing although another one may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// There was no connection.
    Connect,
    /// It took longer than allowed.
    Timeout,
    /// The connection was cut before the response was whole.
    Cut,
    /// The endpoint answered with this HTTP status.
    Status(u16),
    /// The response is not that of a chat endpoint.
    Malformed,
    /// The response holds no choice.
    NoChoices,
    /// The answer is not what the caller can use.
    Unusable,
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Connect => formatter.write_str("no connection"),
            Cause::Timeout => formatter.write_str("time-out"),
            Cause::Cut => formatter.write_str("connection cut"),
            Cause::Status(status) => write!(formatter, "status {status}"),
            Cause::Malformed => formatter.write_str("not the response of a chat endpoint"),
            Cause::NoChoices => formatter.write_str("response without a choice"),
            Cause::Unusable => formatter.write_str("an answer that cannot be used"),
        }
    }
}
