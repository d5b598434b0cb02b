//! The batch, and what a caller calls.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::address::Address;
use crate::answer::{Asked, End, Unfinished};
use crate::attempt::{Failure, Problem};
use crate::budget::{Ledger, Reservation};
use crate::retry::Jitter;
use crate::{Budget, ChatRequest, ChatResponse, EndpointOptions, Error, Limit, Spent, Statistics};

/// How long the list of models may take, where it is only asked for to explain an error.
const PATIENCE_FOR_HINTS: Duration = Duration::from_secs(5);

/// How long a connection is kept without use. Common servers close theirs after five seconds; a request that is on its way just
/// then is lost.
const LONGEST_IDLE: Duration = Duration::from_secs(4);

/// A client of one endpoint. It keeps connections between batches, and has a thread of its own that serves the network, so
/// that a caller who takes long over one response does not hold up the others.
pub struct Client {
    shared: Arc<Shared>,
    handle: Handle,
    // Last, so that it goes after everything that uses it.
    _network: Network,
}

/// What all requests need.
pub(crate) struct Shared {
    pub(crate) options: EndpointOptions,
    pub(crate) address: Address,
    pub(crate) http: reqwest::Client,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) jitter: Jitter,
    statistics: Mutex<Statistics>,
}

impl Client {
    /// A client that has not connected yet. `spent` is what was spent of the budget before, for example by a run that goes on.
    ///
    /// # Errors
    /// Where options or budget cannot be used, or the system lacks what an HTTP client needs.
    pub fn new(options: EndpointOptions, budget: Budget, spent: Spent) -> Result<Client, Error> {
        options.check()?;
        budget.check()?;
        let address = Address::of(&options.base_url)?;
        let http = http_client(&options, &address)?;
        let (network, handle) = Network::start()?;
        let ledger = Arc::new(Ledger::new(budget, spent));
        let shared = Shared { options, address, http, ledger, jitter: Jitter::new(), statistics: Mutex::default() };
        Ok(Client { shared: Arc::new(shared), handle, _network: network })
    }

    /// Ask all requests, up to the limit at once, and hand each response with its request's position to `finished` as soon as it is
    /// there, in the order of arrival, on the caller's thread. Every position is handed over once at most, and all are where the
    /// result is `Ok`.
    ///
    /// A batch that cannot go on sends nothing more, not even repetitions, but waits for what is under way and hands that over
    /// too, since it is paid. An error of `finished` ends it at once: nothing more is handed over, and calls under way are
    /// given up and counted as spent.
    ///
    /// # Errors
    /// The first one of any request, [`Error::BudgetSpent`] where the budget did not suffice, or that of `finished`.
    pub fn chat<E: From<Error>>(
        &self,
        requests: &[ChatRequest],
        finished: &mut dyn FnMut(usize, ChatResponse) -> Result<(), E>,
    ) -> Result<(), E> {
        for (position, request) in requests.iter().enumerate() {
            request.check(position)?;
        }
        let end = self.block_on(self.batch(requests, finished))??;
        match end {
            None => Ok(()),
            Some(End::Failed(error)) => Err(self.explained(error).into()),
            Some(End::Spent(limit)) => Err(self.budget_spent(limit).into()),
        }
    }

    /// The names of the models that the endpoint offers. Asked once, without repetitions.
    ///
    /// # Errors
    /// Where it does not answer, or not with such a list.
    pub fn models(&self) -> Result<Vec<String>, Error> {
        let models = self.block_on(self.shared.list_models(self.shared.options.timeout))?;
        models.map_err(|Failure { problem, .. }| match problem {
            Problem::Final(error) => error,
            Problem::Passing(passing) => passing.into_error(&self.shared.address.models, None, 1),
        })
    }

    /// What was spent, what was spent before this client included.
    pub fn spent(&self) -> Spent {
        self.shared.ledger.spent()
    }

    /// What happened so far.
    pub fn statistics(&self) -> Statistics {
        let mut statistics = self.shared.count(|statistics| statistics.clone());
        statistics.estimated = self.shared.ledger.estimated();
        statistics
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        // Blocking a thread that serves futures is a panic in tokio.
        match Handle::try_current() {
            Ok(_) => Err(Error::Asynchronous),
            Err(_) => Ok(self.handle.block_on(future)),
        }
    }

    /// Run a batch. Returns why it ended early, if it did; the error is that of `finished`.
    async fn batch<E>(
        &self,
        requests: &[ChatRequest],
        finished: &mut dyn FnMut(usize, ChatResponse) -> Result<(), E>,
    ) -> Result<Option<End>, E> {
        let (stop, stopped) = watch::channel(false);
        let mut waiting = requests.iter().enumerate();
        let mut tasks = JoinSet::new();
        let mut end = None;
        loop {
            // 1. Send as much as may be under way.
            while end.is_none() && tasks.len() < self.shared.options.concurrency {
                let Some((position, request)) = waiting.next() else { break };
                match self.shared.ledger.reserve() {
                    Ok(reservation) => {
                        tasks.spawn(self.asked(position, request, stopped.clone(), reservation));
                    }
                    Err(limit) => end = Some(End::Spent(limit)),
                }
            }
            // 2. Once the batch is over, let nobody ask again.
            if end.is_some() {
                stop.send_replace(true);
            }
            // 3. Hand over what is there.
            let Some(joined) = tasks.join_next().await else { return Ok(end) };
            match joined {
                Ok((position, Ok(response))) => {
                    self.shared.count(|statistics| statistics.answered += 1);
                    if let Err(error) = finished(position, response) {
                        tasks.shutdown().await;
                        return Err(error);
                    }
                }
                Ok((_, Err(Unfinished::Stopped))) => {}
                Ok((_, Err(Unfinished::Ended(reason)))) => end = end.or(Some(reason)),
                // Nobody aborts a task while the batch runs, so it is a bug that panicked there.
                Err(error) => {
                    if let Ok(panic) = error.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
    }

    fn asked(
        &self,
        position: usize,
        request: &ChatRequest,
        stopped: watch::Receiver<bool>,
        reservation: Reservation,
    ) -> impl Future<Output = (usize, Result<ChatResponse, Unfinished>)> + use<> {
        let asked = Asked { shared: Arc::clone(&self.shared), position, request: request.clone(), stopped };
        async move { (position, asked.answer(reservation).await) }
    }

    fn budget_spent(&self, limit: Limit) -> Error {
        let ledger = &self.shared.ledger;
        Error::BudgetSpent { limit, spent: ledger.spent(), cost: ledger.cost() }
    }

    /// A refusal that the list of models explains becomes that explanation.
    fn explained(&self, error: Error) -> Error {
        let Error::Refused { url, status, message, .. } = &error else { return error };
        let may_be_the_model = *status == 404 || (*status == 400 && message.to_lowercase().contains("model"));
        if !may_be_the_model {
            return error;
        }
        let options = &self.shared.options;
        let patience = PATIENCE_FOR_HINTS.min(options.timeout);
        match self.block_on(self.shared.list_models(patience)) {
            Ok(Ok(known)) if !known.is_empty() && !known.contains(&options.model) => {
                let known = known.iter().map(|name| options.presentable(name)).collect();
                let (url, message) = (url.clone(), message.clone());
                Error::UnknownModel { url, model: options.model.clone(), known, message }
            }
            _ => error,
        }
    }
}

impl Shared {
    pub(crate) fn count<T>(&self, change: impl FnOnce(&mut Statistics) -> T) -> T {
        change(&mut self.statistics.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { options, ledger, .. } = &*self.shared;
        formatter.debug_struct("Client").field("options", options).field("ledger", ledger).finish_non_exhaustive()
    }
}

fn http_client(options: &EndpointOptions, address: &Address) -> Result<reqwest::Client, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = &options.api_key {
        let bearer = HeaderValue::from_str(&format!("Bearer {}", key.value()));
        let mut bearer = bearer.map_err(|_| Error::BadKey { variable: key.variable().to_owned() })?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    let mut client = reqwest::Client::builder()
        .default_headers(headers)
        .user_agent(concat!("align-pro/", env!("CARGO_PKG_VERSION")))
        .timeout(options.timeout)
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(options.concurrency)
        .pool_idle_timeout(LONGEST_IDLE)
        // What a key was given for is one host, and a POST does not survive a redirection anyway.
        .redirect(Policy::none())
        .retry(reqwest::retry::never());
    if address.is_loopback() {
        client = client.no_proxy();
    }
    // Where there is nothing to encrypt, the system need not have root certificates.
    client = if address.is_encrypted() { with_system_roots(client) } else { without_roots(client)? };
    client.build().map_err(|error| Error::Setup { source: error.without_url() })
}

fn with_system_roots(client: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    // Fails where the program has chosen a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    client.tls_backend_rustls()
}

fn without_roots(client: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(|source| Error::Tls { source })?;
    let tls = versions.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    Ok(client.tls_backend_preconfigured(tls))
}

/// The runtime of the network's thread.
struct Network(Option<Runtime>);

impl Network {
    fn start() -> Result<(Network, Handle), Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("endpoint")
            .enable_io()
            .enable_time()
            .build();
        let runtime = runtime.map_err(|source| Error::Thread { source })?;
        let handle = runtime.handle().clone();
        Ok((Network(Some(runtime)), handle))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Not waiting for a name that is being looked up, and allowed in asynchronous code too.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
