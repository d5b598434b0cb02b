//! JSON posted to one URL: for servers that are no chat endpoints, such as one that scores.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use serde_json::Value;

use crate::address;
use crate::attempt::Problem;
use crate::batch::{End, Stopped, Unfinished, batch};
use crate::network::Network;
use crate::options::Manners;
use crate::transport::Transport;
use crate::{ApiKey, Cause, EndpointOptions, Error, Spent};

/// Where JSON is posted, and how.
#[derive(Clone, Debug)]
pub struct JsonOptions {
    /// The URL, as it is. It must not hold a user or a password.
    pub url: String,
    /// Sent as bearer token; `None` for servers that want none.
    pub api_key: Option<ApiKey>,
    /// How many requests of a batch are under way at once, waits before repetitions included. At least 1.
    pub concurrency: usize,
    /// How long one attempt may take, from connecting to the last byte.
    pub timeout: Duration,
    /// How often a request is asked again after its first attempt failed.
    pub max_retries: u32,
    /// The longest wait before the first repetition; it doubles with each. How long is drawn uniformly from 0 to there.
    pub first_delay: Duration,
    /// The longest wait before any repetition, unless the server asks for more.
    pub longest_delay: Duration,
}

impl JsonOptions {
    /// As [`EndpointOptions::new`] has them.
    pub fn new(url: impl Into<String>) -> JsonOptions {
        let manners = EndpointOptions::new("", "").manners();
        JsonOptions {
            url: url.into(),
            api_key: None,
            concurrency: manners.concurrency,
            timeout: manners.timeout,
            max_retries: manners.max_retries,
            first_delay: manners.first_delay,
            longest_delay: manners.longest_delay,
        }
    }

    fn manners(&self) -> Manners {
        let &JsonOptions { ref api_key, concurrency, timeout, max_retries, first_delay, longest_delay, .. } = self;
        let general = EndpointOptions::new("", "").manners();
        let api_key = api_key.clone();
        Manners { api_key, concurrency, timeout, max_retries, first_delay, longest_delay, ..general }
    }
}

/// A client that posts JSON to one URL, with the connections and the repetitions of a [`Client`](crate::Client).
pub struct JsonClient {
    shared: Arc<Shared>,
    // Last, so that it goes after everything that uses it.
    network: Network,
}

struct Shared {
    transport: Transport,
    url: Url,
}

impl JsonClient {
    /// A client that has not connected yet.
    ///
    /// # Errors
    /// Where the options cannot be used, or the system lacks what an HTTP client needs.
    pub fn new(options: &JsonOptions) -> Result<JsonClient, Error> {
        let url = address::parse(&options.url)?;
        let transport = Transport::new(options.manners(), &url)?;
        Ok(JsonClient { shared: Arc::new(Shared { transport, url }), network: Network::start()? })
    }

    /// Post all bodies, up to the limit at once, and hand what `read` makes of each answer, with its body's position, to `finished`
    /// as soon as it is there, on the caller's thread. `read` gets the body of an answer that tells of success; where it
    /// says what is wrong with it, the request is repeated as others that fail.
    ///
    /// A batch ends as that of [`Client::chat`](crate::Client::chat) does.
    ///
    /// # Errors
    /// The first one of any request, or that of `finished`.
    pub fn post<T: Send + 'static, E: From<Error>>(
        &self,
        bodies: &[Value],
        read: impl Fn(usize, &[u8]) -> Result<T, String> + Send + Sync + 'static,
        finished: &mut dyn FnMut(usize, T) -> Result<(), E>,
    ) -> Result<(), E> {
        let read = Arc::new(read);
        let start = |position: usize, stopped| {
            let (shared, read, body) = (Arc::clone(&self.shared), Arc::clone(&read), bodies[position].to_string());
            Ok(async move { shared.answer(position, body, &*read, stopped).await })
        };
        let concurrency = self.shared.transport.manners.concurrency;
        match self.network.block_on(batch(bodies.len(), concurrency, start, finished))?? {
            None => Ok(()),
            Some(End::Failed(error)) => Err(error.into()),
            // Nothing here has a budget.
            Some(End::Spent(limit)) => Err(Error::BudgetSpent { limit, spent: Spent::default(), cost: 0.0 }.into()),
        }
    }
}

impl Shared {
    /// Ask until there is an answer that can be read.
    async fn answer<T>(
        &self,
        position: usize,
        body: String,
        read: &(impl Fn(usize, &[u8]) -> Result<T, String> + Sync),
        mut stopped: Stopped,
    ) -> Result<T, Unfinished> {
        let Shared { transport, url } = self;
        let mut n_failures = 0;
        loop {
            let sent = transport.http.post(url.clone()).body(body.clone());
            let answer = transport.exchange(sent, url, Some(position)).await.and_then(|answer| {
                let unusable = |problem: String| {
                    transport.unusable(Cause::Unusable, &format!("{problem}: {}", String::from_utf8_lossy(&answer)))
                };
                read(position, &answer).map_err(unusable)
            });
            match answer.map_err(|failure| failure.problem) {
                Ok(answer) => return Ok(answer),
                Err(Problem::Final(error)) => return Err(Unfinished::failed(error)),
                Err(Problem::Passing(passing)) => {
                    transport.wait(passing, n_failures, (url, position), &mut stopped).await?;
                }
            }
            n_failures += 1;
            if *stopped.borrow() {
                return Err(Unfinished::Stopped);
            }
        }
    }
}

impl fmt::Debug for JsonClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { transport, url } = &*self.shared;
        let (url, manners) = (address::shown(url), &transport.manners);
        formatter.debug_struct("JsonClient").field("url", &url).field("manners", manners).finish_non_exhaustive()
    }
}
