//! An engine that does what it is told, the server over it, and raw HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lm::{
    Architecture, Checkpoint, Engine, Error, Finish, Group, Lora, LoraGradients, Request, Sample, ScoreOptions, Scores,
    Upstream,
};
use rollout::model::{LocalModel, ModelParts};
use serde_json::{Value, json};
use serve::{Options, Served, Server};

/// How long anything may take that should happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What an engine does with a call.
pub(crate) enum Act {
    /// Answer every sequence with the same two tokens.
    Answer,
    /// Refuse calls in which a request asks for this many tokens.
    FailOn(usize),
    Panic,
}

/// Waits to be told what to do with each call.
pub(crate) struct Puppet {
    architecture: Architecture,
    calls: mpsc::Sender<Vec<Request>>,
    acts: mpsc::Receiver<Act>,
}

impl Engine for Puppet {
    type Tape = ();

    fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    fn generate(&mut self, requests: &[Request], _: Option<&Lora>) -> Result<Vec<Vec<Sample>>, Error> {
        self.calls.send(requests.to_vec()).unwrap();
        match self.acts.recv_timeout(PATIENCE).unwrap() {
            Act::Panic => panic!("as the test wants it"),
            Act::FailOn(bad) if requests.iter().any(|request| request.max_tokens == bad) => {
                Err(Error::Request { problem: "as the test wants it".to_owned() })
            }
            Act::FailOn(_) | Act::Answer => {
                let sample = Sample {
                    tokens: vec![70, 71],
                    token_logps: vec![-1.0, -2.0],
                    plain_token_logps: vec![-1.5, -2.5],
                    finish: Finish::StopToken,
                };
                Ok(requests.iter().map(|request| vec![sample.clone(); request.seeds.len()]).collect())
            }
        }
    }

    fn score(&mut self, _: &[Group], _: Option<&Lora>, _: &ScoreOptions) -> Result<Scores, Error> {
        unimplemented!()
    }

    fn score_with_tape(&mut self, _: &[Group], _: &Lora, _: &ScoreOptions) -> Result<(Scores, ()), Error> {
        unimplemented!()
    }

    fn backward(&mut self, (): (), _: &Lora, _: &Upstream) -> Result<LoraGradients, Error> {
        unimplemented!()
    }
}

/// A server over a puppet, and the strings.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    calls: mpsc::Receiver<Vec<Request>>,
    acts: mpsc::Sender<Act>,
    stop: Arc<AtomicBool>,
    ended: mpsc::Receiver<Result<(), serve::Error>>,
}

impl Stage {
    pub(crate) fn new(max_waiting: usize) -> Stage {
        let options = Options {
            host: "127.0.0.1".to_owned(),
            port: 0,
            model: "puppet".to_owned(),
            aliases: Vec::new(),
            api_key: None,
            max_waiting,
        };
        let server = Server::bind(options).unwrap();
        let address = server.url()["http://".len()..].trim_end_matches("/v1").parse().unwrap();
        let (calls, seen) = mpsc::channel();
        let (acts, told) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        thread::spawn(move || {
            let load = move || Ok(served(calls, told));
            let outcome = server
                .run::<Puppet, serve::Error>(load, || ready.send(()).unwrap(), &|| stopped.load(Ordering::SeqCst));
            end.send(outcome).unwrap();
        });
        is_ready.recv_timeout(PATIENCE).unwrap();
        Stage { address, calls: seen, acts, stop, ended }
    }

    /// The next call of the engine, which waits until it is told what to do.
    pub(crate) fn call(&self) -> Vec<Request> {
        self.calls.recv_timeout(PATIENCE).unwrap()
    }

    pub(crate) fn tell(&self, act: Act) {
        self.acts.send(act).unwrap();
    }

    /// Ask, without waiting for the answer.
    pub(crate) fn ask(&self, max_tokens: usize, n: usize) -> TcpStream {
        let body = body(max_tokens, n);
        send(
            self.address,
            &format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ),
        )
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    pub(crate) fn end(self) -> Result<(), serve::Error> {
        self.stop();
        self.ended()
    }

    pub(crate) fn ended(&self) -> Result<(), serve::Error> {
        self.ended.recv_timeout(PATIENCE).unwrap()
    }
}

fn served(calls: mpsc::Sender<Vec<Request>>, acts: mpsc::Receiver<Act>) -> Served<Puppet> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/testdata/models/llama");
    let checkpoint = Checkpoint::open(&folder).unwrap();
    let parts = ModelParts {
        name: "puppet".to_owned(),
        fingerprint: String::new(),
        tokenizer: Arc::new(checkpoint.tokenizer().unwrap()),
        template: None,
        stop_tokens: checkpoint.stop_tokens(),
    };
    let puppet = Puppet { architecture: checkpoint.architecture().clone(), calls, acts };
    Served { model: LocalModel::new(puppet, parts), adapter: None }
}

pub(crate) fn body(max_tokens: usize, n: usize) -> String {
    let messages = [json!({ "role": "user", "content": "ab" })];
    json!({ "model": "puppet", "messages": messages, "max_tokens": max_tokens, "n": n }).to_string()
}

pub(crate) fn send(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

/// Status, head and body of an answer whose connection closes after it.
pub(crate) fn answer(mut stream: TcpStream) -> (u16, String, Value) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), serde_json::from_str(body).unwrap_or(Value::String(body.to_owned())))
}

/// Wait until `condition` holds.
pub(crate) fn eventually(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "it does not happen");
        thread::sleep(Duration::from_millis(5));
    }
}
