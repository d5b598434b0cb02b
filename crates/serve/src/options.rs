//! Where a server listens, and whom it lets in.

use std::fmt;

use subtle::ConstantTimeEq;

/// Where a server listens, what its model is called, and whom it lets in.
#[derive(Clone, Debug)]
pub struct Options {
    /// A name or an address of this machine.
    pub host: String,
    /// 0 takes a free one.
    pub port: u16,
    /// The model's name, as clients see it.
    pub model: String,
    /// Other names that requests may call it by.
    pub aliases: Vec<String>,
    /// What clients must send as bearer token; `None` lets everyone in.
    pub api_key: Option<ApiKey>,
    /// Requests that may wait for the engine; more are told to come back later.
    pub max_waiting: usize,
}

impl Options {
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.model == name || self.aliases.iter().any(|alias| alias == name)
    }
}

/// A key, which `Debug` does not show.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// A key from its text.
    pub fn new(key: impl Into<String>) -> ApiKey {
        ApiKey(key.into())
    }

    /// Whether this is the key, in a time that does not tell how much of it is right.
    pub(crate) fn is(&self, key: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(key).into()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}
