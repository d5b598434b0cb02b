//! JSON posted to one URL: the same faults, once and for ever, and what the caller says about answers.

use std::collections::BTreeMap;
use std::time::Duration;

use endpoint::{ApiKey, Cause, Error, JsonClient, JsonOptions};
use serde_json::{Value, json};

use crate::faults::{Fault, PATIENCE, check_all};
use crate::support::{Act, KEY, Server, told};

const N: usize = 20;

/// Options that lose no time.
fn options(server: &Server) -> JsonOptions {
    JsonOptions {
        api_key: Some(ApiKey::new("SOME_API_KEY", KEY).unwrap()),
        concurrency: 4,
        timeout: Duration::from_secs(5),
        max_retries: 3,
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_millis(4),
        ..JsonOptions::new(format!("{}/score?secret=1", server.url()))
    }
}

/// Bodies that the server tells apart.
fn bodies(n: usize) -> Vec<Value> {
    (0..n).map(|position| json!({ "messages": [{ "content": format!("request {position}") }] })).collect()
}

/// The text in a whole answer.
fn text(_: usize, body: &[u8]) -> Result<String, String> {
    let json: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let text = json.pointer("/choices/0/message/content").and_then(Value::as_str);
    text.map(str::to_owned).ok_or("no text".to_owned())
}

/// What was handed over, by position, and how the batch ended.
fn post(client: &JsonClient, n: usize) -> (BTreeMap<usize, String>, Result<(), Error>) {
    let mut texts = BTreeMap::new();
    let result = client.post(&bodies(n), text, &mut |position, text| {
        assert!(texts.insert(position, text).is_none(), "request {position} was handed over twice");
        Ok(())
    });
    (texts, result)
}

/// A client of a server where the first request meets a fault its first `n_times`.
fn meeting(fault: &Fault, n_times: usize) -> (Server, JsonClient) {
    let act = fault.act.clone();
    let server = Server::start(move |seen| {
        if seen.position() == 0 && seen.n_before < n_times { act.clone() } else { Act::Late(Duration::from_millis(1)) }
    });
    let mut options = options(&server);
    if fault.cause == Cause::Timeout {
        options.timeout = PATIENCE;
    }
    let client = JsonClient::new(&options).unwrap();
    (server, client)
}

fn a_passing_fault_changes_nothing(fault: Fault) {
    let (server, client) = meeting(&fault, 2);
    let (texts, result) = post(&client, N);
    result.unwrap();
    assert_eq!(texts.len(), N);
    assert!(texts.iter().all(|(position, text)| text.contains(&format!("request {position}\""))), "{texts:?}");
    assert_eq!(server.n_chats(), N + 2);
    let bearer = format!("Bearer {KEY}");
    let sent = |seen: &crate::support::Seen| seen.headers.get("authorization") == Some(&bearer);
    assert!(server.seen().iter().all(|seen| sent(seen) && seen.line == "POST /v1/score?secret=1"));
}

fn a_lasting_fault_is_one_error(fault: Fault) {
    let (server, client) = meeting(&fault, usize::MAX);
    let (texts, result) = post(&client, N);
    let error = result.unwrap_err();
    let expected =
        if matches!(fault.cause, Cause::Malformed | Cause::NoChoices) { Cause::Unusable } else { fault.cause };
    match &error {
        Error::Unanswered { request: Some(0), attempts: 4, cause, .. } => assert_eq!(*cause, expected),
        other => panic!("{other:?}"),
    }
    let told = told(&error);
    assert!(told.contains(&format!("`{}/score` left request 0 unanswered", server.url())), "{told}");
    assert!(!told.contains(KEY) && !told.contains("secret"), "{told}");
    assert_eq!(texts.len(), server.n_chats() - 4, "whoever was answered was handed over");
}

#[test]
fn faults_that_pass_change_nothing() {
    check_all(a_passing_fault_changes_nothing);
}

#[test]
fn faults_that_last_are_one_error() {
    check_all(a_lasting_fault_is_one_error);
}

#[test]
fn what_is_wrong_with_an_answer_is_told_with_its_beginning() {
    let server =
        Server::start(|_| Act::status(200, format!("{{ \"key\": \"{KEY}\", \"more\": \"{}\" }}", "x".repeat(900))));
    let client = JsonClient::new(&JsonOptions { max_retries: 0, ..options(&server) }).unwrap();
    let error = post(&client, 1).1.unwrap_err().to_string();
    let expected = "unanswered after 1 attempts, at last: an answer that cannot be used: no text: { \"key\": \"***\", ";
    assert!(error.contains(expected) && error.len() < 700 && error.ends_with("x…"), "{error}");
}

#[test]
fn a_refusal_is_not_repeated() {
    for status in [400, 401, 404, 422] {
        let server = Server::start(move |_| Act::status(status, "{ \"detail\": \"not like this\" }"));
        let client = JsonClient::new(&options(&server)).unwrap();
        let (_, result) = post(&client, 1);
        let expected = format!("`{}/score` refuses request 0 with status {status}: not like this", server.url());
        assert_eq!(result.unwrap_err().to_string(), expected);
        assert_eq!(server.n_chats(), 1);
    }
}

#[test]
fn options_that_cannot_be_used_are_refused() {
    let server = Server::start(|_| Act::Answer);
    let refused = |options: JsonOptions| JsonClient::new(&options).unwrap_err().to_string();
    assert!(refused(JsonOptions { concurrency: 0, ..options(&server) }).contains("`concurrency`"));
    assert!(refused(JsonOptions { timeout: Duration::ZERO, ..options(&server) }).contains("`timeout`"));
    for url in ["localhost/score", "ftp://a", "http://user:secret@a/score"] {
        let error = refused(JsonOptions { url: url.to_owned(), ..options(&server) });
        assert!(error.starts_with("the URL `") && !error.contains("secret"), "{error}");
    }
}
