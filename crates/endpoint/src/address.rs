//! URLs of an endpoint, and how they are shown.

use std::net::IpAddr;

use reqwest::Url;

use crate::Error;

/// What is asked where.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) chat: Url,
    pub(crate) models: Url,
}

const CHAT: &str = "/chat/completions";

impl Address {
    pub(crate) fn of(base_url: &str) -> Result<Address, Error> {
        let base = parse(base_url)?;
        let path = base.path().trim_end_matches('/');
        let path = path.strip_suffix(CHAT).unwrap_or(path).trim_end_matches('/');
        let path = if path.is_empty() { "/v1" } else { path }.to_owned();
        let beside = |name: &str| {
            let mut url = base.clone();
            url.set_path(&format!("{path}{name}"));
            url
        };
        Ok(Address { chat: beside(CHAT), models: beside("/models") })
    }
}

/// A URL that can be asked.
pub(crate) fn parse(text: &str) -> Result<Url, Error> {
    // Whatever stands before an `@` may be a password.
    let shown = text.rsplit('@').next().unwrap_or_default();
    let wrong = |problem| Error::BaseUrl { base_url: shown.to_owned(), problem };
    let mut url = Url::parse(text.trim()).map_err(|_| wrong("is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("does not begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("holds a user or a password, which belong into the key's environment variable"));
    }
    url.set_fragment(None);
    Ok(url)
}

/// Whether it is this machine, which no proxy can reach in our place.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

pub(crate) fn is_encrypted(url: &Url) -> bool {
    url.scheme() == "https"
}

/// A URL for people. Its query is left out: some services take keys there.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_come_in_many_forms() {
        for (base, chat) in [
            ("http://localhost:8080", "http://localhost:8080/v1/chat/completions"),
            ("http://localhost:8080/", "http://localhost:8080/v1/chat/completions"),
            ("https://a.example/v1", "https://a.example/v1/chat/completions"),
            ("https://a.example/v1/", "https://a.example/v1/chat/completions"),
            ("https://a.example/api/v2/chat/completions", "https://a.example/api/v2/chat/completions"),
            ("https://a.example/openai?version=1#x", "https://a.example/openai/chat/completions?version=1"),
        ] {
            assert_eq!(Address::of(base).unwrap().chat.as_str(), chat);
        }
        assert_eq!(
            shown(&Address::of("https://a.example/v1?key=secret").unwrap().models),
            "https://a.example/v1/models"
        );
    }

    #[test]
    fn what_cannot_be_a_base_url_is_refused_without_showing_passwords() {
        for base in ["localhost:8080", "ftp://a.example", "", "https://user:secret@a.example/v1", "x://user:secret@a b"]
        {
            let error = Address::of(base).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn loopback_is_known() {
        let is_loopback = |base: &str| is_loopback(&parse(base).unwrap());
        assert!(
            ["http://localhost:1", "http://127.0.0.9", "http://[::1]:8080", "http://0.0.0.0:8000"]
                .into_iter()
                .all(is_loopback)
        );
        assert!(!["http://localhost.example", "http://10.0.0.1", "https://a.example"].into_iter().any(is_loopback));
    }
}
