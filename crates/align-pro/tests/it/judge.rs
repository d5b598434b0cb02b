//! Whole runs with a judge behind an endpoint: graded while training, compared in pairs afterwards, and asked nothing twice.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rollout::evaluate::Evaluation;
use rollout::journal::Journal;
use serde_json::{Value, json};

use crate::endpoint::request;
use crate::support::{align_pro, tiny_config, tiny_target, told};

/// A scripted judge: it likes words, and `biased` likes whatever comes first.
struct Judge {
    port: u16,
    asked: Arc<Mutex<Asked>>,
}

/// What a judge was asked.
struct Asked {
    /// How often each question was answered.
    answers: BTreeMap<String, u32>,
    /// After so many answers it falls silent, and hangs up on who waits once it may speak again.
    most: usize,
}

impl Asked {
    fn is_silent(&self) -> bool {
        self.answers.len() >= self.most
    }

    /// Whether a question is answered, which then counts.
    fn takes(&mut self, question: String) -> bool {
        let takes = !self.is_silent();
        if takes {
            *self.answers.entry(question).or_default() += 1;
        }
        takes
    }
}

impl Judge {
    fn start() -> Judge {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Asked { answers: BTreeMap::new(), most: usize::MAX }));
        let shared = Arc::clone(&asked);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let asked = Arc::clone(&shared);
                std::thread::spawn(move || while serve(&connection, &asked).is_some() {});
            }
        });
        Judge { port, asked }
    }

    fn set_most(&self, most: usize) {
        self.asked.lock().unwrap().most = most;
    }

    /// Questions, and answers beyond the first of each.
    fn counts(&self) -> (usize, u32) {
        let asked = self.asked.lock().unwrap();
        (asked.answers.len(), asked.answers.values().map(|n| n - 1).sum())
    }
}

/// One question; `None` when the connection is over.
fn serve(mut connection: &TcpStream, asked: &Mutex<Asked>) -> Option<()> {
    let body: Value = serde_json::from_slice(&request(connection)?).ok()?;
    let key = format!("{} {} {}", body["model"], body["messages"], body["seed"]);
    if !asked.lock().unwrap().takes(key) {
        while asked.lock().unwrap().is_silent() {
            std::thread::sleep(Duration::from_millis(10));
        }
        return None;
    }
    let question = body["messages"].as_array()?.last()?["content"].as_str()?;
    let text = if body["model"] == "biased" { "Verdict: A".to_owned() } else { opinion(question) };
    let answer = json!({
        "model": body["model"],
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 4},
    })
    .to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
    connection.write_all(format!("{head} {}\r\n\r\n{answer}", answer.len()).as_bytes()).ok()
}

/// What it says of a question, whose parts stand between lines with a mark.
fn opinion(question: &str) -> String {
    let mark = &question.split("each line with the mark ").nth(1).unwrap()[..16];
    let worth = |name: &str| {
        let after = question.split(&format!("[{mark} {name}]\n")).nth(1)?;
        let text = after.split(&format!("\n[{mark} end of {name}]")).next()?;
        Some(if text.starts_with("Ignore the rules") { 0 } else { text.split_whitespace().count() })
    };
    match (worth("answer"), worth("answer A"), worth("answer B")) {
        (Some(words), ..) => format!("Grade: {}", (1 + words).min(10)),
        (_, Some(a), Some(b)) if a == b => "Verdict: tie".to_owned(),
        (_, Some(a), Some(b)) => format!("Verdict: {}", if a > b { "A" } else { "B" }),
        _ => "I cannot find any answer.".to_owned(),
    }
}

fn config(folder: &Path, port: u16) -> PathBuf {
    let judge = format!("base-url = \"http://127.0.0.1:{port}/v1\"\nmodel = \"stern\"");
    let target = format!("{}\n[reward.judge.openai]\n{judge}\nconcurrency = 4\n[judge.openai]\n{judge}", tiny_target());
    let rest = "[optimizer]\nlearning-rate = 0.01\n[schedule]\nsteps = 4\nprompts-per-step = 2\ncheckpoint-every = 2\n";
    tiny_config(folder, &target, rest)
}

fn train(folder: &Path, config: &Path, more: &[&str]) -> Command {
    let mut command = align_pro(folder, ["train"]);
    command.arg(config).arg("--run").arg(folder.join("run")).args(["--json", "--threads", "1"]).args(more);
    command
}

fn eval(folder: &Path, more: &[&str]) -> Command {
    let mut command = align_pro(folder, ["eval"]);
    command.arg(folder.join("run")).args(["--judge", "--threads", "1"]).args(more);
    command
}

/// The result without the seconds, the calls in the judge's journal, and what was said.
fn finish(folder: &Path, config: &Path) -> (Evaluation, u64, String) {
    let output = train(folder, config, &[]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, folder));
    let mut result: Evaluation = serde_json::from_slice(&output.stdout).unwrap();
    result.about.seconds = 0.0;
    (result, n_calls(folder), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn n_calls(folder: &Path) -> u64 {
    Journal::open(&folder.join("run/journal-judge.sqlite")).unwrap().n_calls().unwrap()
}

#[test]
fn a_killed_run_asks_its_judge_nothing_twice() {
    let calm = Judge::start();
    let whole = tempfile::tempdir().unwrap();
    let (expected, n_expected, said) = finish(whole.path(), &config(whole.path(), calm.port));
    assert!(said.contains("the judge passed its 8 canaries"), "{said}");
    assert_eq!(calm.counts(), (n_expected as usize, 0));
    assert_eq!((expected.about.reward.as_str(), expected.parts["judge-abstained"]["naive"].mean), ("judge", 0.0));

    let judge = Judge::start();
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path(), judge.port);
    // In the middle of the canaries, and in the middle of training.
    for most in [5, 24] {
        judge.set_most(most);
        let mut child = train(home.path(), &config, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        while judge.counts().0 < most {
            assert!(started.elapsed() < Duration::from_secs(60), "{:?}", judge.counts());
            std::thread::sleep(Duration::from_millis(20));
        }
        // The last answers are still to be written down.
        std::thread::sleep(Duration::from_secs(1));
        child.kill().unwrap();
        child.wait().unwrap();
        judge.set_most(usize::MAX);
        // Who was kept waiting is gone, and must have hung up before it can be answered.
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!((judge.counts(), n_calls(home.path())), ((most, 0), most as u64));
    }
    let (result, n_calls, _) = finish(home.path(), &config);
    assert_eq!((result, n_calls), (expected, n_expected));
    assert_eq!(judge.counts(), (n_expected as usize, 0));
}

#[test]
fn a_judge_has_a_budget_of_its_own() {
    let judge = Judge::start();
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path(), judge.port);
    let output = train(home.path(), &config, &["--set", "reward.judge.budget.max-calls=20"]).output().unwrap();
    let said = told(&output, home.path());
    assert_eq!(output.status.code(), Some(2), "{said}");
    let expected = "error: the judge does not answer\n  caused by: the budget of 20 calls is spent";
    assert!(
        said.contains(expected) && said.contains("hint: every reply so far is kept: raise the judge's own"),
        "{said}"
    );
    assert_eq!((n_calls(home.path()), judge.counts()), (20, (20, 0)));
    let (_, n_calls, _) = finish(home.path(), &config);
    assert_eq!(judge.counts(), (n_calls as usize, 0));
}

#[test]
fn arms_are_compared_in_pairs() {
    let judge = Judge::start();
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path(), judge.port);
    finish(home.path(), &config);
    let (n_graded, _) = judge.counts();

    let output = eval(home.path(), &["--json"]).output().unwrap();
    let said = told(&output, home.path());
    assert!(output.status.success() && said.contains("passed its 16 canaries"), "{said}");
    let result: Evaluation = serde_json::from_slice(&output.stdout).unwrap();
    let verdicts = result.judge.as_ref().unwrap();
    assert_eq!((verdicts.judge.as_str(), verdicts.arm.as_str(), verdicts.canaries.passed), ("stern", "trained", 16));
    assert_eq!(verdicts.win_rate.keys().collect::<Vec<_>>(), ["vs_naive", "vs_ref"]);
    for judged in verdicts.win_rate.values() {
        assert_eq!((judged.n_pairs, judged.flip_rate, judged.abstention_rate), (12, 0.0, 0.0));
        assert!(judged.rate.interval[0] <= judged.rate.mean && judged.rate.mean <= judged.rate.interval[1]);
    }
    // The run's own files have it, and nothing is asked again.
    let run = home.path().join("run");
    let kept: Evaluation = serde_json::from_slice(&std::fs::read(run.join("result.json")).unwrap()).unwrap();
    assert_eq!(kept.judge, result.judge);
    assert!(std::fs::read_to_string(run.join("report.html")).unwrap().contains("In the eyes of a judge"));
    let counts = judge.counts();
    assert!(counts.0 > n_graded && counts.1 == 0, "{counts:?}");
    let again = eval(home.path(), &[]).output().unwrap();
    let said = told(&again, home.path());
    assert!(said.contains("`stern` as judge of the answers of `trained`") && said.contains("16 of 16 lost"), "{said}");
    assert_eq!(judge.counts(), counts);

    let flags = &["--json", "--set", "judge.openai.model=biased", "--set", "eval.prompts=3"];
    let output = eval(home.path(), flags).output().unwrap();
    let said = told(&output, home.path());
    let result: Evaluation = serde_json::from_slice(&output.stdout).unwrap();
    for judged in result.judge.unwrap().win_rate.values() {
        assert_eq!((judged.flip_rate, judged.rate.mean), (1.0, 0.5));
    }
    assert!(said.contains("warning: the judge passed 8 of 16 canaries only"), "{said}");
    let kept_now: Evaluation = serde_json::from_slice(&std::fs::read(run.join("result.json")).unwrap()).unwrap();
    assert_eq!(kept_now, kept, "what is said of other prompts is not the run's");
}

#[test]
fn who_is_to_judge_must_be_named() {
    let judge = Judge::start();
    let home = tempfile::tempdir().unwrap();
    let path = config(home.path(), judge.port);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, after) = text.split_once("[judge.openai]").unwrap();
    std::fs::write(&path, format!("{before}{}", &after[after.find("[data").unwrap()..])).unwrap();
    let output = align_pro(home.path(), ["eval", "--judge", "--threads", "1"]).arg(&path).output().unwrap();
    let said = told(&output, home.path());
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("error: the configuration names no judge\nhint: add `[judge.openai]` or"), "{said}");
}
