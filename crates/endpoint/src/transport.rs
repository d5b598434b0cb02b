//! How one server is spoken to, whatever it is asked.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;

use crate::Error;
use crate::address::{is_encrypted, is_loopback, shown};
use crate::attempt::Passing;
use crate::batch::{Stopped, Unfinished};
use crate::options::Manners;
use crate::retry::{Jitter, LONGEST_WAIT};

/// How long a connection is kept without use. Common servers close theirs after five seconds; a request that is on its way just
/// then is lost.
const LONGEST_IDLE: Duration = Duration::from_secs(4);

/// Connections to one server, and when it is asked again.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    pub(crate) manners: Manners,
    jitter: Jitter,
}

impl Transport {
    /// For a server that has not been connected to yet.
    pub(crate) fn new(manners: Manners, url: &Url) -> Result<Transport, Error> {
        manners.check()?;
        Ok(Transport { http: http_client(&manners, url)?, manners, jitter: Jitter::new() })
    }

    /// What a server said, fit for people.
    pub(crate) fn presentable(&self, text: &str) -> String {
        self.manners.presentable(text)
    }

    /// Wait before a repetition, unless there must not be one.
    pub(crate) async fn wait(
        &self,
        passing: Passing,
        n_failures: u32,
        (url, request): (&Url, usize),
        stopped: &mut Stopped,
    ) -> Result<(), Unfinished> {
        let manners = &self.manners;
        if n_failures >= manners.max_retries {
            let attempts = n_failures.saturating_add(1);
            return Err(Unfinished::failed(passing.into_error(url, Some(request), attempts)));
        }
        if let Some(asked) = passing.wait.filter(|asked| *asked > LONGEST_WAIT) {
            let Passing { message, .. } = passing;
            let error = Error::WaitTooLong { url: shown(url), asked, longest: LONGEST_WAIT, message };
            return Err(Unfinished::failed(error));
        }
        let delay = self.jitter.delay(manners.first_delay, manners.longest_delay, n_failures);
        let delay = passing.wait.unwrap_or(Duration::ZERO).saturating_add(delay);
        let is_stopped = tokio::time::timeout(delay, stopped.wait_for(|stopped| *stopped)).await.is_ok();
        if is_stopped { Err(Unfinished::Stopped) } else { Ok(()) }
    }
}

fn http_client(manners: &Manners, url: &Url) -> Result<reqwest::Client, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = &manners.api_key {
        let bearer = HeaderValue::from_str(&format!("Bearer {}", key.value()));
        let mut bearer = bearer.map_err(|_| Error::BadKey { variable: key.variable().to_owned() })?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    let mut client = reqwest::Client::builder()
        .default_headers(headers)
        .user_agent(concat!("align-pro/", env!("CARGO_PKG_VERSION")))
        .timeout(manners.timeout)
        .connect_timeout(manners.connect_timeout)
        .pool_max_idle_per_host(manners.concurrency)
        .pool_idle_timeout(LONGEST_IDLE)
        // What a key was given for is one host, and a POST does not survive a redirection anyway.
        .redirect(Policy::none())
        .retry(reqwest::retry::never());
    if is_loopback(url) {
        client = client.no_proxy();
    }
    // Where there is nothing to encrypt, the system need not have root certificates.
    client = if is_encrypted(url) { with_system_roots(client) } else { without_roots(client)? };
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
