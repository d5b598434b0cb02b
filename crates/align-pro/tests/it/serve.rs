//! `model serve` as a process: driven by the client of endpoints, and by raw requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command};
use std::time::{Duration, Instant};

use endpoint::{
    ApiKey, Budget, ChatMessage, ChatRequest, ChatResponse, Choice, Client, EndpointOptions, Error, Finish, Spent,
};
use serde_json::{Value, json};

use crate::support::{align_pro, tell, told};

const TINY: &str = "crates/lm/testdata/models/llama/model.gguf";
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that goes when the test does.
struct Server {
    process: Child,
    said: BufReader<ChildStderr>,
    port: u16,
}

impl Server {
    fn start(flags: &[&str]) -> Server {
        let arguments = ["model", "serve", TINY, "--port", "0", "--precision", "f32", "--threads", "1"];
        let mut command = align_pro(Path::new("nowhere"), arguments.iter().chain(flags));
        let mut process = command.env("ALIGN_PRO_TEST_KEY", "sk-right").spawn().unwrap();
        let mut said = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let port = line.strip_prefix("listening on http://127.0.0.1:").and_then(|rest| rest.strip_suffix("/v1\n"));
        let port = port.unwrap_or_else(|| panic!("{line}")).parse().unwrap();
        Server { process, said, port }
    }

    fn client(&self, concurrency: usize) -> Client {
        let options = EndpointOptions {
            concurrency,
            max_retries: 0,
            ..EndpointOptions::new(format!("http://127.0.0.1:{}/v1", self.port), "model")
        };
        Client::new(options, Budget::default(), Spent::default()).unwrap()
    }

    fn chat(&self, request: &ChatRequest) -> ChatResponse {
        chat(&self.client(1), std::slice::from_ref(request)).remove(0)
    }

    /// Status, head and body of what a raw request gets.
    fn raw(&self, request: &str) -> (u16, String, Value) {
        answer(self.send(request))
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id();
        assert!(Command::new("sh").args(["-c", &format!("kill -{signal} {id}")]).status().unwrap().success());
    }

    /// The exit code and what was said on the way.
    fn end(&mut self) -> (Option<i32>, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "the server does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut said = String::new();
        self.said.read_to_string(&mut said).unwrap();
        (status.code(), said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn answer(mut stream: TcpStream) -> (u16, String, Value) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), serde_json::from_str(body).unwrap())
}

fn chat(client: &Client, requests: &[ChatRequest]) -> Vec<ChatResponse> {
    let mut answers = vec![None; requests.len()];
    let taken = client.chat::<Error>(requests, &mut |position, response| {
        answers[position] = Some(response);
        Ok(())
    });
    taken.unwrap();
    answers.into_iter().map(Option::unwrap).collect()
}

fn request(text: &str) -> ChatRequest {
    ChatRequest { max_tokens: Some(8), ..ChatRequest::new(vec![ChatMessage::user(text)]) }
}

fn post(body: &str, more: &str) -> String {
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}content-length: {length}\r\n\r\n{body}"
    )
}

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}\r\n")
}

/// What `model generate` samples for the same text. The tiny model has no template: messages become its text.
fn generated(text: &str, flags: &[&str]) -> Vec<Value> {
    let text = format!("{text}\n\n");
    let arguments = ["model", "generate", TINY, &text, "--json", "--max-tokens", "8", "--precision", "f32"];
    let home = Path::new("nowhere");
    let output = align_pro(home, arguments.iter().chain(flags)).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, home));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document["results"][0]["samples"].as_array().unwrap().clone()
}

fn assert_same(choice: &Choice, sample: &Value) {
    assert_eq!(choice.text, sample["text"].as_str().unwrap());
    assert_eq!(choice.finish == Finish::Length, sample["finish"] == "length");
    let expected = sample["plain_token_logps"].as_array().unwrap();
    let logps = choice.token_logps.as_ref().unwrap();
    assert_eq!(logps.len(), expected.len());
    for (logp, expected) in logps.iter().zip(expected) {
        assert!((logp - expected.as_f64().unwrap()).abs() < 1e-4, "{logps:?} {expected:?}");
    }
}

#[test]
fn answers_are_those_of_generate() {
    let server = Server::start(&[]);
    assert_eq!(server.client(1).models().unwrap(), ["model"]);
    let greedy = ChatRequest { temperature: Some(0.0), logprobs: true, ..request("ab") };
    let answer = server.chat(&greedy);
    assert_same(&answer.choices[0], &generated("ab", &["--greedy"])[0]);
    assert_eq!(answer.model, "model");

    let three = ChatRequest { n: 3, seed: Some(5), logprobs: true, ..request("ab") };
    let answer = server.chat(&three);
    let samples = generated("ab", &["-n", "3", "--seed", "5", "--temperature", "1", "--top-p", "1"]);
    assert_eq!(answer.choices.len(), 3);
    answer.choices.iter().zip(&samples).for_each(|(choice, sample)| assert_same(choice, sample));
    // At temperature 1 without cuts, what it was drawn from is the model's own distribution.
    let sum: f64 = answer.choices[0].token_logps.as_ref().unwrap().iter().sum();
    assert!((sum - samples[0]["logp"].as_f64().unwrap()).abs() < 1e-4);
    let usage = answer.usage.unwrap();
    let n_tokens: usize = samples.iter().map(|sample| sample["tokens"].as_array().unwrap().len()).sum();
    assert_eq!(usage.completion_tokens, n_tokens as u64);

    let cut = ChatRequest { temperature: Some(0.7), top_p: Some(0.9), seed: Some(6), logprobs: true, ..request("q") };
    let samples = generated("q", &["--seed", "6", "--temperature", "0.7", "--top-p", "0.9"]);
    assert_same(&server.chat(&cut).choices[0], &samples[0]);
}

#[test]
fn the_same_seed_gives_the_same_text_in_any_company() {
    let server = Server::start(&[]);
    let seeded = |seed: u64| ChatRequest { seed: Some(seed), ..request("tell me") };
    let alone = server.chat(&seeded(7)).choices;
    assert_eq!(alone, server.chat(&seeded(7)).choices);
    assert_ne!(alone, server.chat(&seeded(8)).choices);
    let crowd: Vec<ChatRequest> = (0..48)
        .map(|index| match index % 3 {
            0 => seeded(7),
            1 => ChatRequest { temperature: Some(0.3 + index as f64 / 40.0), ..request(&"z".repeat(index)) },
            _ => ChatRequest { n: 2, max_tokens: Some(1 + index as u32), ..request("other") },
        })
        .collect();
    let answers = chat(&server.client(16), &crowd);
    for answer in answers.iter().step_by(3) {
        assert_eq!(answer.choices, alone);
    }
    let fresh = chat(&server.client(1), &[request("tell me"), request("tell me")]);
    assert_ne!(fresh[0].choices, fresh[1].choices);
}

#[test]
fn texts_end_at_stop_strings_and_at_their_longest() {
    let server = Server::start(&[]);
    let long = ChatRequest { temperature: Some(0.0), max_tokens: Some(40), logprobs: true, ..request("one") };
    let whole = server.chat(&long).choices.remove(0);
    assert_eq!(whole.finish, Finish::Length);
    assert_eq!(whole.token_logps.unwrap().len(), 40);
    let middle = whole.text.chars().skip(3).find(char::is_ascii_graphic).unwrap().to_string();
    let stopped = server.chat(&ChatRequest { stop: vec!["no such text".to_owned(), middle.clone()], ..long });
    assert_eq!(stopped.choices[0].text, whole.text.split(&middle).next().unwrap());
    assert_eq!(stopped.choices[0].finish, Finish::Stop);

    // The context is 256; what is not asked for is cut to what is left.
    let text = "a".repeat(180);
    let open = ChatRequest { max_tokens: None, ..request(&text) };
    assert!(server.chat(&open).choices[0].text.chars().count() < 256);
    let refused = server.client(1).chat::<Error>(&[ChatRequest { max_tokens: Some(256), ..open }], &mut |_, _| Ok(()));
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("the context has 256"), "{refused}");
}

#[test]
fn mistakes_get_their_status_and_openais_form() {
    let server = Server::start(&[]);
    let messages = r#""messages": [{"role": "user", "content": "x"}]"#;
    let huge = format!(r#"{{"model": "model", {messages}, "more": "{}"}}"#, "x".repeat(8 << 20));
    for (sent, status, code, part) in [
        (post("{", ""), 400, json!(null), "JSON object"),
        (post(r#"{"model": "model"}"#, ""), 400, json!("missing_required_parameter"), "`messages`"),
        (post(&format!("{{{messages}}}"), ""), 400, json!("missing_required_parameter"), "`model`"),
        (post(&format!(r#"{{"model": "model", "n": 0, {messages}}}"#), ""), 400, json!("invalid_value"), "`n`"),
        (post(&format!(r#"{{"model": "gpt", {messages}}}"#), ""), 404, json!("model_not_found"), "`model`"),
        (post(&huge, ""), 413, json!("request_too_large"), "8388608"),
        (get("/v1/completions", ""), 404, json!("unknown_url"), "/v1/completions"),
        (get("/v1/chat/completions", ""), 405, json!("method_not_allowed"), "POST"),
    ] {
        let (found, _, body) = server.raw(&sent);
        assert_eq!(found, status, "{body}");
        assert_eq!(body["error"]["code"], code, "{body}");
        assert_eq!(body["error"]["type"], "invalid_request_error");
        assert!(body["error"]["message"].as_str().unwrap().contains(part), "{body}");
    }
    let whole_path = post(&format!(r#"{{"model": "{TINY}", "max_tokens": 2, {messages}}}"#), "");
    assert_eq!(server.raw(&whole_path).0, 200);
    assert_eq!(server.raw(&get("/health", "")).2, json!({ "status": "ok" }));
}

#[test]
fn a_key_is_asked_for_where_there_is_one() {
    let server = Server::start(&["--api-key-env", "ALIGN_PRO_TEST_KEY"]);
    for header in
        ["", "authorization: Bearer sk-wrong\r\n", "authorization: Bearer \r\n", "authorization: sk-right\r\n"]
    {
        let (status, head, body) = server.raw(&get("/v1/models", header));
        assert_eq!((status, &body["error"]["code"]), (401, &json!("invalid_api_key")), "{header}");
        assert!(head.contains("www-authenticate: bearer") && !body.to_string().contains("sk-"), "{head}");
    }
    assert_eq!(server.raw(&get("/v1/models", "authorization: bearer sk-right\r\n")).0, 200);
    assert_eq!(server.raw(&get("/health", "")).0, 200);
    let url = format!("http://127.0.0.1:{}", server.port);
    let key = Some(ApiKey::new("ALIGN_PRO_TEST_KEY", "sk-right").unwrap());
    let options = EndpointOptions { api_key: key, ..EndpointOptions::new(url, "model") };
    let client = Client::new(options, Budget::default(), Spent::default()).unwrap();
    assert_eq!(chat(&client, &[request("x")]).len(), 1);
}

#[test]
fn signals_end_it_cleanly() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&[]);
        let idle = server.send("");
        let waiting = server.send(&post(
            &json!({ "model": "model", "n": 64, "max_tokens": 100,
            "messages": [{ "role": "user", "content": "x" }] })
            .to_string(),
            "",
        ));
        std::thread::sleep(Duration::from_millis(100));
        server.signal(signal);
        let (status, _, body) = answer(waiting);
        assert_eq!(status, 200, "what was being generated is finished: {body}");
        assert_eq!(server.end(), (Some(0), String::new()), "{signal}");
        drop(idle);
    }
}

#[test]
fn what_keeps_it_from_starting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = tell(["model", "serve", TINY, "--port", &port]).replace(&port, "[PORT]");
    insta::assert_snapshot!("serve_port_taken", output);
    insta::assert_snapshot!("serve_no_key", tell(["model", "serve", TINY, "--api-key-env", "ALIGN_PRO_NO_SUCH_KEY"]));
    insta::assert_snapshot!("serve_no_model", tell(["model", "serve", "no-such-model", "--port", "0"]));
}
