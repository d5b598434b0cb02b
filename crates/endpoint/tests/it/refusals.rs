//! What an endpoint refuses for good is one clear error.

use std::time::Duration;

use endpoint::{Budget, Client, Error, Spent};

use crate::support::{Act, KEY, MODEL, Server, client, options, requests, run, told};

#[test]
fn a_refusal_is_not_repeated() {
    for status in [400, 401, 403, 404, 405, 413, 422, 501] {
        let server = Server::start(move |seen| {
            let body = format!("{{ \"error\": {{ \"message\": \"not with {KEY}\\u001b[31m\" }} }}");
            match seen.is_chat() {
                true if seen.position() == 5 => Act::status(status, body),
                true => Act::Late(Duration::from_millis(2)),
                false => Act::status(404, "Not Found"),
            }
        });
        let client = client(&server);
        let outcome = run(&client, &requests(40));
        let error = outcome.result.unwrap_err();
        let expected =
            format!("`{}/chat/completions` refuses request 5 with status {status}: not with *** [31m", server.url());
        assert_eq!(error.to_string(), expected);
        assert!(!told(&error).contains(KEY));
        assert_eq!(server.seen().iter().filter(|seen| seen.is_chat() && seen.position() == 5).count(), 1);
        // Those under way were still handed over.
        assert_eq!(outcome.responses.len(), server.n_chats() - 1);
        assert!(server.n_chats() < 40);
        assert_eq!(client.spent().calls as usize, outcome.responses.len());
        let hint = error.hint().unwrap_or_default();
        let word = match status {
            401 => "`SOME_API_KEY`",
            403 => "may not use",
            404 | 405 => "/v1",
            _ => "",
        };
        assert!(hint.contains(word), "{status}: {hint}");
    }
}

#[test]
fn without_a_key_the_hint_asks_for_one() {
    let server = Server::start(|_| Act::status(401, "who are you?"));
    let mut options = options(&server);
    options.api_key = None;
    let client = Client::new(options, Budget::default(), Spent::default()).unwrap();
    assert!(run(&client, &requests(1)).result.unwrap_err().hint().unwrap().contains("environment variable"));
    assert!(!server.seen()[0].headers.contains_key("authorization"));
}

#[test]
fn an_unknown_model_is_told_with_the_known_ones() {
    for (status, message) in [(404, "not here"), (400, "The Model does not exist")] {
        let server = Server::start(move |seen| if seen.is_chat() { Act::status(status, message) } else { Act::Answer });
        let mut options = options(&server);
        options.model = "model-x".to_owned();
        let client = Client::new(options, Budget::default(), Spent::default()).unwrap();
        let error = run(&client, &requests(3)).result.unwrap_err();
        let expected = format!(
            "`{}/chat/completions` refuses the model `model-x`: {message}; it has `model-a`, `model-b`",
            server.url()
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(client.models().unwrap(), [MODEL, "model-b"]);
    }
}

#[test]
fn an_empty_account_is_not_asked_again() {
    let body = r#"{ "error": { "message": "You exceeded your quota", "code": "insufficient_quota" } }"#;
    let server = Server::start(move |_| Act::status(429, body));
    let error = run(&client(&server), &requests(1)).result.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 429, .. }), "{error:?}");
    assert_eq!(server.n_chats(), 1);
}

#[test]
fn a_key_is_not_carried_elsewhere() {
    let other = Server::start(|_| Act::Answer);
    let elsewhere = format!("{}/chat/completions", other.url());
    let server = Server::start(move |_| Act::Reply(307, vec![("location", elsewhere.clone())], String::new()));
    let error = run(&client(&server), &requests(1)).result.unwrap_err();
    assert!(matches!(error, Error::Redirected { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains(&other.port().to_string()));
    assert_eq!(other.seen().len(), 0);
}

#[test]
fn a_body_without_end_is_not_read() {
    let announced = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{".to_vec();
    // 65 MiB in one chunk.
    let mut chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4100000\r\n".to_vec();
    chunked.resize(chunked.len() + (65 << 20), b' ');
    for bytes in [announced, chunked] {
        let server = Server::start(move |_| Act::Raw(bytes.clone()));
        let error = run(&client(&server), &requests(1)).result.unwrap_err();
        assert!(matches!(error, Error::TooLong { .. }), "{error:?}");
        assert_eq!(server.n_chats(), 1);
    }
}

#[test]
fn options_that_cannot_work_are_refused() {
    let server = Server::start(|_| Act::Answer);
    let refused = |change: fn(&mut endpoint::EndpointOptions)| {
        let mut options = options(&server);
        change(&mut options);
        Client::new(options, Budget::default(), Spent::default()).unwrap_err().to_string()
    };
    assert_eq!(refused(|options| options.concurrency = 0), "option `concurrency`: expected at least 1, found 0");
    assert!(refused(|options| options.timeout = Duration::ZERO).starts_with("option `timeout`"));
    assert!(refused(|options| options.model.clear()).starts_with("option `model`"));
    assert!(refused(|options| options.base_url = "localhost".to_owned()).starts_with("the URL `localhost` is not"));
    let stream = |options: &mut endpoint::EndpointOptions| drop(options.extra.insert("stream".to_owned(), true.into()));
    assert!(refused(stream).ends_with("found stream"));
}

#[test]
fn requests_that_cannot_work_are_refused_before_anything_is_sent() {
    let server = Server::start(|_| Act::Answer);
    for change in [
        |request: &mut endpoint::ChatRequest| request.n = 0,
        |request: &mut endpoint::ChatRequest| request.messages.clear(),
        |request: &mut endpoint::ChatRequest| request.temperature = Some(f64::NAN),
    ] {
        let mut requests = requests(3);
        change(&mut requests[2]);
        let error = run(&client(&server), &requests).result.unwrap_err();
        assert!(matches!(error, Error::Request { request: 2, .. }), "{error:?}");
    }
    assert_eq!(server.n_chats(), 0);
}
