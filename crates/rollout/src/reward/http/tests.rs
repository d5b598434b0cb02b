//! Servers that do as they should, and servers that do not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use endpoint::JsonOptions;

use super::*;
use crate::data::Message;
use crate::reward::fixture::record;

/// A server that answers what a script says: the number of the request and its body make a status and a body.
struct Server {
    url: String,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    fn start(script: impl Fn(usize, &Value) -> (u16, String) + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/score", listener.local_addr().unwrap());
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&bodies);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let body: Value = serde_json::from_slice(&body).unwrap();
                let n_before = shared.lock().unwrap().len();
                let (status, answer) = script(n_before, &body);
                shared.lock().unwrap().push(body);
                let head =
                    format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
                let _ = stream.write_all(format!("{head}{answer}").as_bytes());
            }
        });
        Server { url, bodies }
    }

    fn reward(&self, batch: usize) -> HttpReward {
        let options = JsonOptions {
            max_retries: 2,
            concurrency: 1,
            first_delay: Duration::from_millis(1),
            ..JsonOptions::new(&self.url)
        };
        HttpReward::new(JsonClient::new(&options).unwrap(), &self.url, batch)
    }
}

/// The lengths of the completions, under the name that the answer is to have.
fn lengths(body: &Value, name: &str) -> String {
    let length = |completion: &Value| json!(completion.as_str().unwrap().len());
    let rewards: Value = body["completions"].as_array().unwrap().iter().map(length).collect();
    if name.is_empty() { rewards.to_string() } else { json!({ name: rewards }).to_string() }
}

fn scores(reward: &mut HttpReward, responses: &[&str]) -> Result<Vec<f64>, Error> {
    let record = record(json!({}));
    let batch: Vec<Exchange<'_>> =
        responses.iter().map(|response| Exchange { prompt: "x", rewrite: "x'", response, record: &record }).collect();
    let mut given = vec![f64::NAN; batch.len()];
    reward.score_each(&batch, &mut |scored| {
        scored.into_iter().for_each(|scored| given[scored.exchange] = scored.score.value);
        Ok(())
    })?;
    Ok(given)
}

#[test]
fn a_batch_is_posted_as_trl_calls_reward_functions() {
    let server = Server::start(|_, _| (200, "[1, 2, 3]".to_owned()));
    let message = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
    let text = record(json!({"answer": "18", "prompts": "not this"}));
    let bare = Record { id: "p2".to_owned(), ..record(json!({"level": 3})) };
    let talk = Prompt::Messages(vec![message("system", "s"), message("user", "u")]);
    let talk = Record { id: "p3".to_owned(), prompt: talk, ..record(json!({"level": null})) };
    let batch = [&text, &bare, &talk].map(|record| Exchange {
        prompt: record.prompt.text(),
        rewrite: "better",
        response: "y",
        record,
    });
    server.reward(8).score_each(&batch, &mut |_| Ok(())).unwrap();
    let talk = json!([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]);
    let expected = json!({
        "prompts": ["x", "x", talk],
        "completions": ["y", "y", [{"role": "assistant", "content": "y"}]],
        "rewrites": ["better", "better", "better"],
        "id": ["p1", "p2", "p3"],
        "answer": ["18", null, null],
        "level": [null, 3, null],
    });
    assert_eq!(*server.bodies.lock().unwrap(), [expected]);
}

#[test]
fn rewards_come_under_any_of_their_names_and_batches_are_cut() {
    for name in ["rewards", "scores", ""] {
        let server = Server::start(move |_, body| (200, lengths(body, name)));
        let responses = ["", "a", "bb", "ccc", "dddd"];
        assert_eq!(scores(&mut server.reward(2), &responses).unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0], "{name}");
        assert_eq!(server.bodies.lock().unwrap().len(), 3);
        assert_eq!(scores(&mut server.reward(2), &[]).unwrap(), [] as [f64; 0]);
    }
}

/// Answers that are of no use, and what is said about them.
const FAULTS: [(u16, &str, &str); 11] = [
    (500, "out of order", "status 500: out of order"),
    (503, "{\"detail\": \"loading\"}", "status 503: loading"),
    (200, "<html>", "it is not JSON (expected value at line 1 column 1): <html>"),
    (200, "{\"rewards\": [1, 2", "it is not JSON"),
    (200, "{\"rewards\": [1, NaN]}", "it is not JSON"),
    (200, "{\"rewards\": [1, 1e999]}", "it is not JSON (number out of range"),
    (200, "{\"reward\": [1, 2]}", "expected `{\"rewards\": [0.5, …]}`, a number for each completion: {\"reward\""),
    (200, "{\"rewards\": 1}", "expected `{\"rewards\": [0.5, …]}`"),
    (200, "{\"rewards\": [1]}", "it has 1 rewards for 2 completions"),
    (200, "{\"rewards\": [1, null]}", "its reward 1 is null, and every completion needs a number"),
    (200, "{\"rewards\": [\"1\", 2]}", "its reward 0 is \"1\""),
];

#[test]
fn faults_that_pass_change_nothing() {
    for (status, answer, _) in FAULTS {
        let server = Server::start(move |n, body| match n {
            0 => (status, answer.to_owned()),
            _ => (200, lengths(body, "rewards")),
        });
        assert_eq!(scores(&mut server.reward(2), &["a", "bb", "ccc"]).unwrap(), [1.0, 2.0, 3.0], "{answer}");
        assert_eq!(server.bodies.lock().unwrap().len(), 3, "{answer}");
    }
}

#[test]
fn faults_that_last_are_one_error() {
    for (status, answer, expected) in FAULTS {
        let server = Server::start(move |_, _| (status, answer.to_owned()));
        let error = scores(&mut server.reward(2), &["a", "bb", "ccc"]).unwrap_err();
        let told = error.to_string();
        let start = format!("`{}` left request 0 unanswered after 3 attempts, at last: ", server.url);
        assert!(told.starts_with(&start) && told.contains(expected), "{told}");
        assert!(matches!(error, Error::Endpoint(_)));
    }
}

#[test]
fn a_refusal_is_told_at_once() {
    for status in [400, 401, 404, 422] {
        let server = Server::start(move |_, _| (status, "{\"detail\": \"no field `completions`\"}".to_owned()));
        let error = scores(&mut server.reward(2), &["a"]).unwrap_err();
        let expected = format!("`{}` refuses request 0 with status {status}: no field `completions`", server.url);
        assert_eq!(error.to_string(), expected);
        assert_eq!(server.bodies.lock().unwrap().len(), 1);
    }
}
