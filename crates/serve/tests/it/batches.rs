//! What goes into one call, and what comes out of it.

use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use crate::support::{Act, Stage, answer, body, eventually, send};

/// Long enough for a request on its way to be in the queue; a test that depends on it can only pass for nothing.
const A_MOMENT: Duration = Duration::from_millis(200);

fn max_tokens(requests: &[lm::Request]) -> Vec<usize> {
    let mut max_tokens: Vec<usize> = requests.iter().map(|request| request.max_tokens).collect();
    max_tokens.sort_unstable();
    max_tokens
}

#[test]
fn what_waits_goes_into_one_call() {
    let stage = Stage::new(64);
    let first = stage.ask(1, 1);
    assert_eq!(max_tokens(&stage.call()), [1]);
    let others: Vec<_> = (2..10).map(|max_tokens| stage.ask(max_tokens, 3)).collect();
    thread::sleep(A_MOMENT);
    stage.tell(Act::Answer);
    let second = stage.call();
    assert_eq!(max_tokens(&second), (2..10).collect::<Vec<_>>());
    let seeds: std::collections::BTreeSet<u64> = second.iter().flat_map(|request| request.seeds.clone()).collect();
    assert_eq!(seeds.len(), 24, "fresh seeds differ");
    stage.tell(Act::Answer);
    assert_eq!(answer(first).2["choices"].as_array().unwrap().len(), 1);
    for other in others {
        let (status, _, body) = answer(other);
        assert_eq!(status, 200);
        assert_eq!(body["choices"].as_array().unwrap().len(), 3);
        assert_eq!(body["choices"][2]["finish_reason"], "stop");
        assert_eq!(body["usage"]["completion_tokens"], 6);
    }
    stage.end().unwrap();
}

#[test]
fn a_call_has_64_sequences_at_most() {
    let stage = Stage::new(64);
    let first = stage.ask(1, 1);
    stage.call();
    let others: Vec<_> = (2..5).map(|max_tokens| stage.ask(max_tokens, 30)).collect();
    thread::sleep(A_MOMENT);
    stage.tell(Act::Answer);
    assert_eq!(stage.call().len(), 2);
    stage.tell(Act::Answer);
    assert_eq!(stage.call().len(), 1);
    stage.tell(Act::Answer);
    for stream in others.into_iter().chain([first]) {
        assert_eq!(answer(stream).0, 200);
    }
    stage.end().unwrap();
}

#[test]
fn one_that_the_engine_refuses_harms_no_other() {
    let stage = Stage::new(64);
    let first = stage.ask(1, 1);
    stage.call();
    let (good, bad) = (stage.ask(2, 1), stage.ask(3, 1));
    thread::sleep(A_MOMENT);
    stage.tell(Act::Answer);
    for _ in 0..3 {
        stage.tell(Act::FailOn(3));
    }
    assert_eq!((stage.call().len(), stage.call().len(), stage.call().len()), (2, 1, 1));
    assert_eq!((answer(first).0, answer(good).0, answer(bad).0), (200, 200, 400));
    stage.end().unwrap();
}

#[test]
fn who_goes_away_is_not_computed_for() {
    let stage = Stage::new(64);
    let first = stage.ask(1, 1);
    stage.call();
    let (gone, there) = (stage.ask(2, 1), stage.ask(3, 1));
    thread::sleep(A_MOMENT);
    gone.shutdown(Shutdown::Both).unwrap();
    drop(gone);
    thread::sleep(A_MOMENT);
    stage.tell(Act::Answer);
    assert_eq!(max_tokens(&stage.call()), [3]);
    stage.tell(Act::Answer);
    assert_eq!((answer(first).0, answer(there).0), (200, 200));
    stage.end().unwrap();
}

#[test]
fn a_stream_has_a_chunk_for_each_choice_and_an_end() {
    let stage = Stage::new(1);
    let fields = r#""stream": true, "logprobs": true, "stream_options": {"include_usage": true}, "#;
    let body = body(5, 2).replacen('{', &format!("{{{fields}"), 1);
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length";
    let stream = send(stage.address, &format!("{head}: {}\r\n\r\n{body}", body.len()));
    stage.tell(Act::Answer);
    let (status, head, text) = answer(stream);
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    let events: Vec<&str> = text.as_str().unwrap().split_terminator("\n\n").collect();
    let chunk =
        |event: &str| -> serde_json::Value { serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap() };
    assert_eq!(events.len(), 4, "{events:?}");
    for index in [0, 1] {
        let choice = &chunk(events[index])["choices"][0];
        assert_eq!(choice["index"], index);
        assert_eq!(choice["delta"]["role"], "assistant");
        assert_eq!(choice["logprobs"]["content"][1]["logprob"], -2.5);
    }
    assert_eq!(chunk(events[2])["usage"]["completion_tokens"], 4);
    assert_eq!(events[3], "data: [DONE]");
    eventually(|| std::net::TcpStream::connect(stage.address).is_ok());
    stage.end().unwrap();
}
