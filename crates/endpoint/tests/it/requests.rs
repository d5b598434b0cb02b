//! What is sent, what is handed over, and when.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use endpoint::{Budget, Cause, ChatResponse, Client, EndpointOptions, Error, Spent};
use serde_json::json;

use crate::support::{Act, KEY, Server, answer, client, options, requests, run, within};

#[test]
fn a_request_is_what_openai_documents() {
    let server = Server::start(|_| Act::Answer);
    let mut requests = requests(1);
    requests[0].seed = Some(7);
    run(&client(&server), &requests).result.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.line, "POST /v1/chat/completions");
    assert_eq!(seen.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(seen.headers["content-type"], "application/json");
    assert!(seen.headers["user-agent"].starts_with("align-pro/"));
    let messages = json!([{ "role": "user", "content": "request 0" }]);
    assert_eq!(seen.body, json!({ "model": "model-a", "messages": messages, "stream": false, "seed": 7 }));
}

#[test]
fn as_many_as_allowed_are_under_way() {
    for concurrency in [1, 5, 64] {
        let server = Server::start(|_| Act::Late(Duration::from_millis(60)));
        let mut options = options(&server);
        options.concurrency = concurrency;
        let client = Client::new(options, Budget::default(), Spent::default()).unwrap();
        let outcome = run(&client, &requests(12));
        outcome.result.unwrap();
        assert_eq!(outcome.responses.len(), 12);
        let most = server.most_in_flight();
        assert!(most <= concurrency && most >= concurrency.min(12).div_ceil(2), "{most} of {concurrency}");
    }
}

/// A response is handed over while others are still under way, and a caller who takes long holds nobody up.
#[test]
fn responses_come_as_soon_as_they_are_there() {
    let server = Server::start(|seen| Act::Late(Duration::from_millis(if seen.position() == 0 { 800 } else { 1 })));
    let begun = Instant::now();
    let mut order = Vec::new();
    let here = std::thread::current().id();
    let result: Result<(), Error> = client(&server).chat(&requests(4), &mut |position, _| {
        assert_eq!(std::thread::current().id(), here);
        order.push(position);
        std::thread::sleep(Duration::from_millis(100));
        Ok(())
    });
    result.unwrap();
    assert_eq!(order.len(), 4);
    assert_eq!(order[3], 0);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[derive(Debug)]
enum Mine {
    Full,
    Theirs,
}

impl From<Error> for Mine {
    fn from(_: Error) -> Mine {
        Mine::Theirs
    }
}

#[test]
fn an_error_of_the_caller_ends_the_batch() {
    let server = Server::start(|seen| Act::Late(Duration::from_secs(if seen.position() == 1 { 30 } else { 0 })));
    let client = client(&server);
    let begun = Instant::now();
    let mut n_handed = 0;
    let result = client.chat(&requests(100), &mut |_, _| {
        n_handed += 1;
        if n_handed == 3 { Err(Mine::Full) } else { Ok(()) }
    });
    assert!(matches!(result, Err(Mine::Full)));
    assert_eq!(n_handed, 3);
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited for a request that nobody wants");
    assert!(server.n_chats() < 30);
    // What may have been charged is in the books.
    assert!(client.spent().calls as usize >= server.n_chats());
    // And the client still works.
    let again = client.chat::<Mine>(&requests(1), &mut |_, _| Ok(()));
    assert!(again.is_ok(), "{again:?}");
}

/// The server has answered, and charged, but the answer is lost on the way: it is asked for again, and handed over once.
#[test]
fn a_lost_answer_is_handed_over_once() {
    let server = Server::start(|seen| if seen.n_before < 2 { Act::Cut } else { Act::Answer });
    let client = client(&server);
    let outcome = run(&client, &requests(10));
    outcome.result.unwrap();
    assert_eq!(outcome.responses.len(), 10);
    assert_eq!(server.answered(), 30);
    assert_eq!(client.spent().calls, 30);
}

#[test]
fn dated_names_are_accepted_and_counted() {
    let server = Server::start(|seen| {
        let named = answer(seen).replace("\"model-a\"", &format!("\"model-a-2024-{}\"", seen.position() % 2));
        Act::status(200, named)
    });
    let client = client(&server);
    let outcome = run(&client, &requests(10));
    outcome.result.unwrap();
    assert_eq!(outcome.responses[&1].model, "model-a-2024-1");
    let names: Vec<_> = client.statistics().other_models.into_iter().collect();
    assert_eq!(names, [("model-a-2024-0".to_owned(), 5), ("model-a-2024-1".to_owned(), 5)]);
}

#[test]
fn missing_choices_are_asked_for_with_other_seeds() {
    // A server that never gives more than two.
    let server = Server::start(|seen| {
        let mut less = seen.clone();
        less.body["n"] = json!(seen.body["n"].as_u64().unwrap_or(1).min(2));
        if seen.n_before == 1 { Act::status(500, "") } else { Act::status(200, answer(&less)) }
    });
    let mut requests = requests(6);
    for request in &mut requests {
        request.n = 5;
        request.seed = Some(100);
    }
    let client = client(&server);
    let outcome = run(&client, &requests);
    outcome.result.unwrap();
    for ChatResponse { choices, usage, .. } in outcome.responses.values() {
        assert_eq!(choices.len(), 5);
        let texts: BTreeSet<&str> = choices.iter().map(|choice| choice.text.as_str()).collect();
        assert_eq!(texts.len(), 3, "three calls, three seeds: {texts:?}");
        assert_eq!(usage.unwrap().completion_tokens, 25);
    }
    let asked: Vec<_> =
        server.seen().iter().filter(|seen| seen.position() == 0).map(|seen| seen.body["n"].clone()).collect();
    assert_eq!(asked, [json!(5), json!(3), json!(3), json!(null)]);
    let statistics = client.statistics();
    assert_eq!((statistics.attempts, statistics.follow_ups), (24, 12));
    assert_eq!(statistics.retried[&Cause::Status(500)], 6);
    assert_eq!(client.spent().calls, 18);
}

#[test]
fn more_choices_than_asked_for_are_left_out() {
    let server = Server::start(|seen| {
        let mut more = seen.clone();
        more.body["n"] = json!(4);
        Act::status(200, answer(&more))
    });
    assert_eq!(run(&client(&server), &requests(1)).responses[&0].choices.len(), 1);
}

#[test]
fn a_batch_within_a_batch_is_an_error_not_a_panic() {
    let server = Server::start(|_| Act::Answer);
    let client = client(&server);
    let result = client.chat(&requests(1), &mut |_, _| client.models().map(drop));
    assert!(matches!(result, Err(Error::Asynchronous)));
}

#[test]
fn a_client_serves_several_threads() {
    let server = Server::start(|_| Act::Late(Duration::from_millis(2)));
    let client = client(&server);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| run(&client, &requests(25)).result.unwrap());
        }
    });
    assert_eq!(client.spent().calls, 100);
}

/// A server without TLS stands for one that breaks it; what is tested is that there is a TLS to break.
#[test]
fn an_encrypted_endpoint_is_spoken_to_in_tls() {
    within(Duration::from_secs(10), || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let greeting = std::thread::spawn(move || {
            let mut greeting = [0; 3];
            std::io::Read::read_exact(&mut listener.accept().unwrap().0, &mut greeting).unwrap();
            greeting
        });
        let options =
            EndpointOptions { max_retries: 0, ..EndpointOptions::new(format!("https://127.0.0.1:{port}"), "m") };
        match Client::new(options, Budget::default(), Spent::default()) {
            Ok(client) => {
                let error = run(&client, &requests(1)).result.unwrap_err();
                assert!(matches!(error, Error::Unanswered { cause: Cause::Connect, .. }), "{error:?}");
                assert_eq!(greeting.join().unwrap()[..2], [22, 3], "a TLS handshake");
            }
            // A system without root certificates.
            Err(error) => assert!(matches!(error, Error::Setup { .. }), "{error:?}"),
        }
    });
}
