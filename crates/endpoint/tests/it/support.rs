//! A small HTTP/1.1 server that does what a script says, and remembers what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use endpoint::{ApiKey, Budget, ChatMessage, ChatRequest, ChatResponse, Client, EndpointOptions, Error, Spent};
use serde_json::{Value, json};

pub(crate) const KEY: &str = "sk-0123456789abcdef";
pub(crate) const MODEL: &str = "model-a";

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answer as it should.
    Answer,
    /// Answer as it should, but late.
    Late(Duration),
    /// Answer with this status, these headers and this body.
    Reply(u16, Vec<(&'static str, String)>, String),
    /// Answer as it should, but close in the middle of the body.
    Cut,
    /// Close without a word.
    Close,
    /// Send these bytes and close.
    Raw(Vec<u8>),
}

impl Act {
    pub(crate) fn status(status: u16, body: impl Into<String>) -> Act {
        Act::Reply(status, Vec::new(), body.into())
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    /// Method and path.
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
    /// How often the same messages came before.
    pub(crate) n_before: usize,
}

impl Seen {
    /// The number in the last message, `request 7`.
    pub(crate) fn position(&self) -> usize {
        let text = self.body["messages"][0]["content"].as_str().unwrap_or_default();
        text.rsplit(' ').next().unwrap().parse().unwrap()
    }

    pub(crate) fn is_chat(&self) -> bool {
        self.line.starts_with("POST ")
    }
}

type Script = dyn Fn(&Seen) -> Act + Send + Sync;

struct State {
    script: Box<Script>,
    seen: Mutex<Vec<Seen>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    answered: AtomicUsize,
    ended: AtomicBool,
}

pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

impl Server {
    pub(crate) fn start(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            script: Box::new(script),
            seen: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.ended.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream.unwrap(), &shared));
            }
        });
        Server { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    pub(crate) fn n_chats(&self) -> usize {
        self.seen().iter().filter(|seen| seen.is_chat()).count()
    }

    pub(crate) fn most_in_flight(&self) -> usize {
        self.state.most_in_flight.load(Ordering::SeqCst)
    }

    /// Chat requests that were given status 200, whole or cut.
    pub(crate) fn answered(&self) -> usize {
        self.state.answered.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// Serve a connection until it is closed.
fn serve(stream: TcpStream, state: &State) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(mut seen) = receive(&mut reader) {
        let now = state.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_in_flight.fetch_max(now, Ordering::SeqCst);
        {
            let mut all = state.seen.lock().unwrap();
            seen.n_before = all.iter().filter(|other| other.body["messages"] == seen.body["messages"]).count();
            all.push(seen.clone());
        }
        let act = (state.script)(&seen);
        if let Act::Late(delay) = act {
            wait(&stream, delay);
        }
        let answers = matches!(act, Act::Answer | Act::Late(_) | Act::Cut | Act::Reply(200, ..) | Act::Raw(_));
        state.answered.fetch_add(usize::from(answers && seen.is_chat()), Ordering::SeqCst);
        // Before the client can learn that it is over, so that it is never counted too long.
        state.in_flight.fetch_sub(1, Ordering::SeqCst);
        if !respond(&stream, &act, &seen) {
            break;
        }
    }
}

/// Wait, but not longer than the client does.
fn wait(stream: &TcpStream, delay: Duration) {
    let until = Instant::now() + delay;
    stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    while Instant::now() < until && !matches!(stream.peek(&mut [0]), Ok(0)) {}
    stream.set_read_timeout(None).unwrap();
}

fn receive(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length: &String| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    Some(Seen { at: Instant::now(), line, headers, body, n_before: 0 })
}

/// Returns whether the connection stays open.
fn respond(mut stream: &TcpStream, act: &Act, seen: &Seen) -> bool {
    let reply = |status: u16, headers: &[(&str, String)], body: &str| {
        let mut text = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        format!("{text}\r\n{body}").into_bytes()
    };
    let (bytes, stays) = match act {
        Act::Answer | Act::Late(_) => (reply(200, &[], &answer(seen)), true),
        Act::Reply(status, headers, body) => (reply(*status, headers, body), true),
        Act::Cut => {
            let mut bytes = reply(200, &[], &answer(seen));
            bytes.truncate(bytes.len() - 20);
            (bytes, false)
        }
        Act::Close => (Vec::new(), false),
        Act::Raw(bytes) => (bytes.clone(), false),
    };
    let written = stream.write_all(&bytes).is_ok();
    if !stays {
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
    written && stays
}

/// A correct response: as many choices as were asked for, each naming the request and the seed.
pub(crate) fn answer(seen: &Seen) -> String {
    if !seen.is_chat() {
        return json!({ "object": "list", "data": [{ "id": MODEL }, { "id": "model-b" }] }).to_string();
    }
    let text = format!("answer {} seed {}", seen.body["messages"][0]["content"], seen.body["seed"]);
    let choice = |index| json!({ "index": index, "message": { "content": text }, "finish_reason": "stop" });
    let n = seen.body["n"].as_u64().unwrap_or(1);
    let usage = json!({ "prompt_tokens": 10, "completion_tokens": 5 * n });
    json!({ "model": seen.body["model"], "choices": (0..n).map(choice).collect::<Value>(), "usage": usage }).to_string()
}

/// Options that lose no time.
pub(crate) fn options(server: &Server) -> EndpointOptions {
    EndpointOptions {
        api_key: Some(ApiKey::new("SOME_API_KEY", KEY).unwrap()),
        concurrency: 8,
        timeout: Duration::from_secs(5),
        max_retries: 3,
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_millis(4),
        ..EndpointOptions::new(server.url(), MODEL)
    }
}

pub(crate) fn client(server: &Server) -> Client {
    Client::new(options(server), Budget::default(), Spent::default()).unwrap()
}

pub(crate) fn requests(n: usize) -> Vec<ChatRequest> {
    let request = |position| ChatRequest::new(vec![ChatMessage::user(format!("request {position}"))]);
    (0..n).map(request).collect()
}

/// What a batch handed over, by position, and how it ended.
pub(crate) struct Outcome {
    pub(crate) responses: BTreeMap<usize, ChatResponse>,
    pub(crate) result: Result<(), Error>,
}

/// Run a batch; a position that comes twice fails the test.
pub(crate) fn run(client: &Client, requests: &[ChatRequest]) -> Outcome {
    let mut responses = BTreeMap::new();
    let result = client.chat(requests, &mut |position, response| {
        assert!(responses.insert(position, response).is_none(), "request {position} was handed over twice");
        Ok(())
    });
    Outcome { responses, result }
}

/// Fail the test if it hangs.
pub(crate) fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let worker = thread::spawn(move || sender.send(work()));
    match receiver.recv_timeout(limit) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => std::panic::resume_unwind(worker.join().unwrap_err()),
    }
}

/// An error as people and logs see it: with its causes, in both forms.
pub(crate) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("{error}\n{error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!("\n{cause}\n{cause:?}");
        source = cause.source();
    }
    text
}
