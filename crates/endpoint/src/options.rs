//! Where and how an endpoint is asked.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::Error;

/// Where an endpoint is, and how it is asked.
#[derive(Clone, Debug)]
pub struct EndpointOptions {
    /// The URL that `/chat/completions` is appended to, as OpenAI's own clients do: `https://api.openai.com/v1`. A slash at
    /// its end changes nothing, a URL without a path (`http://localhost:8080`) means `/v1`, and one that ends with
    /// `/chat/completions` means what is before. It must not hold a user or a password.
    pub base_url: String,
    /// The model's name, as the endpoint knows it.
    pub model: String,
    /// Sent as bearer token; `None` for endpoints that want none.
    pub api_key: Option<ApiKey>,
    /// How many requests of a batch are under way at once, waits before repetitions included. At least 1.
    pub concurrency: usize,
    /// How long one attempt may take, from connecting to the last byte.
    pub timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How often a request is asked again after its first attempt failed.
    pub max_retries: u32,
    /// The longest wait before the first repetition; it doubles with each. How long is drawn uniformly from 0 to there.
    pub first_delay: Duration,
    /// The longest wait before any repetition, unless the endpoint asks for more.
    pub longest_delay: Duration,
    /// Fields for the body of every request. One replaces the request's own of the same name, and null removes it: a model that
    /// wants `max_completion_tokens` gets it so. `model`, `messages`, `n`, `seed` and `stream` cannot be set here.
    pub extra: Map<String, Value>,
}

/// Fields of the body that the client needs for itself.
const OWN_FIELDS: [&str; 5] = ["model", "messages", "n", "seed", "stream"];

impl EndpointOptions {
    /// Without a key, 8 requests at once, 5 minutes for each (10 seconds to connect), and up to 6 repetitions that wait for up
    /// to half a second, then 1, 2, 4, 8 and 16 seconds.
    pub fn new(base_url: impl Into<String>, model: impl Into<String>) -> EndpointOptions {
        EndpointOptions {
            base_url: base_url.into(),
            model: model.into(),
            api_key: None,
            concurrency: 8,
            timeout: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(10),
            max_retries: 6,
            first_delay: Duration::from_millis(500),
            longest_delay: Duration::from_secs(30),
            extra: Map::new(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = |option, expected, found: String| Err(Error::Option { option, expected, found });
        if self.model.is_empty() {
            return wrong("model", "a name", "nothing".to_owned());
        }
        match self.extra.keys().find(|field| OWN_FIELDS.contains(&field.as_str())) {
            Some(field) => wrong("extra", "no field that the client sets itself", field.clone()),
            None => Ok(()),
        }
    }

    /// What does not depend on what is asked.
    pub(crate) fn manners(&self) -> Manners {
        let api_key = self.api_key.clone();
        let &EndpointOptions { concurrency, timeout, connect_timeout, max_retries, first_delay, longest_delay, .. } =
            self;
        Manners { api_key, concurrency, timeout, connect_timeout, max_retries, first_delay, longest_delay }
    }
}

/// How a server is asked, whatever it is asked: the part of the options of that name.
#[derive(Clone, Debug)]
pub(crate) struct Manners {
    pub(crate) api_key: Option<ApiKey>,
    pub(crate) concurrency: usize,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_retries: u32,
    pub(crate) first_delay: Duration,
    pub(crate) longest_delay: Duration,
}

impl Manners {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = |option, expected| Err(Error::Option { option, expected, found: "0".to_owned() });
        if self.concurrency == 0 {
            return wrong("concurrency", "at least 1");
        }
        for (option, time) in [("timeout", self.timeout), ("connect_timeout", self.connect_timeout)] {
            if time.is_zero() {
                return wrong(option, "more than 0");
            }
        }
        Ok(())
    }

    /// What a server said, fit for people: in one line, without the key, and not too long.
    pub(crate) fn presentable(&self, text: &str) -> String {
        let text = match &self.api_key {
            Some(key) => text.replace(&key.value, HIDDEN),
            None => text.to_owned(),
        };
        let characters = text.trim().chars().map(|character| if character.is_control() { ' ' } else { character });
        let mut shown: String = characters.clone().take(LONGEST_MESSAGE).collect();
        if characters.count() > LONGEST_MESSAGE {
            shown.push('…');
        }
        shown
    }
}

/// Characters of a server's message that are shown.
const LONGEST_MESSAGE: usize = 500;

const HIDDEN: &str = "***";

/// A key, which neither `Debug` nor `Display` nor any error shows.
#[derive(Clone)]
pub struct ApiKey {
    variable: String,
    value: String,
}

impl ApiKey {
    /// The key that an environment variable holds. Space around it is ignored.
    ///
    /// # Errors
    /// Where the variable is not set, is empty, or holds what cannot stand in a header.
    #[expect(clippy::disallowed_methods, reason = "a key comes by the name of its variable, and goes nowhere else")]
    pub fn from_env(variable: &str) -> Result<ApiKey, Error> {
        match std::env::var(variable) {
            Ok(value) => ApiKey::new(variable, &value),
            Err(std::env::VarError::NotPresent) => Err(Error::NoKey { variable: variable.to_owned() }),
            Err(std::env::VarError::NotUnicode(_)) => Err(Error::BadKey { variable: variable.to_owned() }),
        }
    }

    /// A key that the caller got elsewhere; `variable` is what error messages tell people to set.
    ///
    /// # Errors
    /// Where it is empty or holds what cannot stand in a header.
    pub fn new(variable: &str, value: &str) -> Result<ApiKey, Error> {
        let (variable, value) = (variable.to_owned(), value.trim().to_owned());
        if value.is_empty() {
            Err(Error::NoKey { variable })
        } else if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            Err(Error::BadKey { variable })
        } else {
            Ok(ApiKey { variable, value })
        }
    }

    /// The environment variable that it comes from.
    pub fn variable(&self) -> &str {
        &self.variable
    }

    pub(crate) fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HIDDEN)
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_itself_nowhere() {
        let key = ApiKey::new("SOME_KEY", " sk-secret\n").unwrap();
        assert_eq!(key.value(), "sk-secret");
        let options = EndpointOptions { api_key: Some(key.clone()), ..EndpointOptions::new("http://localhost", "m") };
        assert!(!format!("{key} {key:?} {options:?} {options:#?}").contains("secret"));
        assert_eq!(options.manners().presentable("a\nbad key sk-secret\u{1b}[31m"), "a bad key *** [31m");
        let cut_within = format!("{}sk-secret", "a".repeat(LONGEST_MESSAGE - 4));
        assert!(!options.manners().presentable(&cut_within).contains("sk-"));
    }

    #[test]
    fn keys_that_cannot_be_sent_are_refused() {
        assert!(matches!(ApiKey::new("K", " "), Err(Error::NoKey { .. })));
        assert!(matches!(ApiKey::new("K", "a\nb"), Err(Error::BadKey { .. })));
        assert!(matches!(ApiKey::from_env("ALIGN_PRO_NO_SUCH_VARIABLE"), Err(Error::NoKey { .. })));
    }
}
