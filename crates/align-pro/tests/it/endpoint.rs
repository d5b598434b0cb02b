//! Whole runs against an endpoint that misbehaves: nothing hangs, nothing is lost, nothing that was stored is asked again.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rollout::evaluate::Evaluation;
use rollout::journal::Journal;
use serde_json::{Value, json};

use crate::support::{align_pro, tiny_config, told};

/// What a server does with the requests it gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manners {
    Good,
    /// One in three is refused, cut off, or nonsense, and then answered when it is asked again.
    Bad,
}

/// How often each question was answered in full.
type Answers = Arc<Mutex<BTreeMap<String, u32>>>;

struct Server {
    port: u16,
    answers: Answers,
}

impl Server {
    fn start(manners: Manners) -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = Answers::default();
        let shared = Arc::clone(&answers);
        std::thread::spawn(move || {
            let n_asked = Arc::new(Mutex::new(0u32));
            for connection in listener.incoming().flatten() {
                let (answers, n_asked) = (Arc::clone(&shared), Arc::clone(&n_asked));
                // A client that was killed leaves a broken connection behind.
                std::thread::spawn(move || while serve(&connection, manners, &answers, &n_asked).is_some() {});
            }
        });
        Server { port, answers }
    }

    /// Questions, and answers beyond the first of each.
    fn counts(&self) -> (usize, u32) {
        let answers = self.answers.lock().unwrap();
        (answers.len(), answers.values().map(|n| n - 1).sum())
    }
}

/// One request; `None` when the connection is over.
fn serve(mut connection: &TcpStream, manners: Manners, answers: &Answers, n_asked: &Mutex<u32>) -> Option<()> {
    let body = request(connection)?;
    let question: Value = serde_json::from_slice(&body).ok()?;
    let key = format!("{} {}", question["messages"], question["seed"]);
    let turn = {
        let mut n_asked = n_asked.lock().unwrap();
        *n_asked += 1;
        *n_asked
    };
    // Long enough for a kill to find calls under way.
    std::thread::sleep(Duration::from_millis(5));
    let words = key.bytes().fold(7u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte))) % 6;
    let answer = json!({
        "model": "scripted",
        "choices": [{"message": {"role": "assistant", "content": "word ".repeat(words as usize)}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": words},
    })
    .to_string();
    let reply = |status: &str, more: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{more}\r\n{body}",
            body.len()
        )
    };
    let whole = reply("200 OK", "", &answer);
    match if manners == Manners::Bad { turn % 15 } else { 0 } {
        1 => connection.write_all(reply("429 Too Many Requests", "retry-after: 0\r\n", "{}").as_bytes()).ok()?,
        4 => connection.write_all(reply("500 Internal Server Error", "", "oh no").as_bytes()).ok()?,
        7 => {
            connection.write_all(&whole.as_bytes()[..whole.len() - 9]).ok()?;
            return None;
        }
        10 => connection.write_all(reply("200 OK", "", "{\"choices\": [").as_bytes()).ok()?,
        13 => connection.write_all(reply("200 OK", "", "{\"choices\": []}").as_bytes()).ok()?,
        _ => {
            connection.write_all(whole.as_bytes()).ok()?;
            *answers.lock().unwrap().entry(key).or_default() += 1;
        }
    }
    Some(())
}

pub(crate) fn request(connection: &TcpStream) -> Option<Vec<u8>> {
    let mut reader = BufReader::new(connection);
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

fn config(folder: &Path, port: u16) -> PathBuf {
    let target = format!(
        "[target.openai]\nbase-url = \"http://127.0.0.1:{port}/v1\"\nmodel = \"scripted\"\nconcurrency = 4\n\
         [reward.length]\nunit = \"words\"\nat-most = 3"
    );
    tiny_config(folder, &target, "[schedule]\nsteps = 4\nprompts-per-step = 2\ncheckpoint-every = 2\n")
}

fn train(folder: &Path, config: &Path, more: &[&str]) -> std::process::Command {
    let mut command = align_pro(folder, ["train"]);
    command.arg(config).arg("--run").arg(folder.join("run")).args(["--json", "--threads", "1"]).args(more);
    command
}

/// The result, without the seconds, and the calls in the journal.
fn finish(folder: &Path, config: &Path) -> (Evaluation, u64) {
    let output = train(folder, config, &[]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, folder));
    let mut result: Evaluation = serde_json::from_slice(&output.stdout).unwrap();
    result.about.seconds = 0.0;
    (result, Journal::open(&folder.join("run/journal.sqlite")).unwrap().n_calls().unwrap())
}

#[test]
fn a_run_against_a_server_that_misbehaves_is_the_run_against_one_that_does_not() {
    let (calm, rough) = (Server::start(Manners::Good), Server::start(Manners::Bad));
    let outcomes = [&calm, &rough].map(|server| {
        let home = tempfile::tempdir().unwrap();
        finish(home.path(), &config(home.path(), server.port))
    });
    assert_eq!(outcomes[0], outcomes[1]);
    for server in [calm, rough] {
        let (questions, repeated) = server.counts();
        assert_eq!((questions as u64, repeated), (outcomes[0].1, 0), "each question is answered once");
    }
}

#[test]
fn a_killed_run_asks_again_only_what_was_under_way() {
    let calm = Server::start(Manners::Good);
    let whole = tempfile::tempdir().unwrap();
    let started = std::time::Instant::now();
    let expected = finish(whole.path(), &config(whole.path(), calm.port));
    let takes = started.elapsed();

    let server = Server::start(Manners::Good);
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path(), server.port);
    let n_kills = 6;
    for kill in 1..=n_kills {
        let mut child = train(home.path(), &config, &[])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(takes.mul_f64(f64::from(kill) / f64::from(n_kills + 2)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(finish(home.path(), &config), expected);
    // What a kill finds between the server and the journal is lost: at most the four that may be asked at once.
    let (_, repeated) = server.counts();
    assert!(repeated <= 4 * n_kills, "{repeated} answers were asked for again");
}

#[test]
fn a_spent_budget_stops_a_run_that_goes_on_with_a_higher_one() {
    let server = Server::start(Manners::Good);
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path(), server.port);
    let output = train(home.path(), &config, &["--set", "budget.max-calls=20"]).output().unwrap();
    let said = told(&output, home.path());
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("error: the budget of 20 calls is spent") && said.contains("raise `[budget]`"), "{said}");
    let stored = |home: &Path| Journal::open(&home.join("run/journal.sqlite")).unwrap().n_calls().unwrap();
    assert_eq!((stored(home.path()), server.counts()), (20, (20, 0)));
    let (_, n_calls) = finish(home.path(), &config);
    let (questions, repeated) = server.counts();
    assert_eq!((questions as u64, repeated), (n_calls, 0));
}

#[test]
fn what_an_endpoint_needs_is_told() {
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path(), 9);
    let cases: [(&[&str], &str); 3] = [
        (&["--set", "target.openai.max-retries=0"], "hint: is the server running"),
        (
            &["--set", "target.openai.api-key-env=ALIGN_PRO_NO_SUCH_KEY"],
            "the environment variable `ALIGN_PRO_NO_SUCH_KEY`",
        ),
        (&["--set", "train.what=target"], "a target behind an endpoint cannot be trained"),
    ];
    for (flags, complaint) in cases {
        let output = train(home.path(), &config, flags).output().unwrap();
        let said = told(&output, home.path());
        assert!(output.status.code() == Some(2) && said.contains(complaint), "{said}");
    }
}

#[test]
fn a_bound_is_told_of_an_endpoint_and_asks_nothing_twice() {
    let server = Server::start(Manners::Bad);
    let home = tempfile::tempdir().unwrap();
    finish(home.path(), &config(home.path(), server.port));
    let run = home.path().join("run");
    let bound = |more: &[&str]| {
        let mut command = align_pro(home.path(), ["bound"]);
        command.arg(&run).args(["--prompts", "4", "--rewrites", "3", "--responses", "2", "--json", "--threads", "1"]);
        command.args(more).output().unwrap()
    };
    let first = bound(&[]);
    assert!(first.status.success(), "{}", told(&first, home.path()));
    let again = bound(&[]);
    assert_eq!(first.stdout, again.stdout);
    let stored = Journal::open(&run.join("journal.sqlite")).unwrap().n_calls().unwrap();
    let (questions, repeated) = server.counts();
    assert_eq!((questions as u64, repeated), (stored, 0), "each question is answered once");
    let report: Value = serde_json::from_slice(&first.stdout).unwrap();
    assert!(report["optimum"]["gap"]["mean"].is_number() && report["oracle"].is_null());

    let refused = bound(&["--oracle", &run.display().to_string()]);
    let said = told(&refused, home.path());
    assert!(refused.status.code() == Some(2) && said.contains("hint: oracles are for `[target.local]`"), "{said}");
}
