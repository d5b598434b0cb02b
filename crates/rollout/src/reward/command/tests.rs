//! Programs that do as they should, and programs that do not.

use std::path::Path;
use std::sync::Mutex;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::data::Record;
use crate::reward::fixture::record;
use crate::reward::{Part, Score};

/// For shells: `answer LINE` gives the number that is the response for a score.
const ANSWER: &str = r#"
id_of() { id=${1#*: }; echo "${id%%,*}"; }
response_of() { y=${1#*\"response\": \"}; echo "${y%%\"*}"; }
answer() { echo "{\"id\": $(id_of "$1"), \"score\": $(response_of "$1")}"; }
"#;

fn shell(folder: &Path, script: &str) -> CommandOptions {
    program(folder, &["sh", "-c", &format!("{ANSWER}\n{script}")])
}

fn program(folder: &Path, argv: &[&str]) -> CommandOptions {
    CommandOptions {
        argv: argv.iter().map(|word| word.to_string()).collect(),
        folder: folder.to_owned(),
        timeout: Duration::from_secs(20),
        max_restarts: 2,
        batch: None,
    }
}

fn reward(options: CommandOptions) -> CommandReward {
    CommandReward::new(options, Arc::new(|_: &str| {}))
}

fn records(n: usize) -> Vec<Record> {
    (0..n).map(|number| Record { id: format!("p{number}"), ..record(json!({})) }).collect()
}

/// The scores of responses, one prompt each; an exchange that is handed over twice fails the test.
fn scores(reward: &mut CommandReward, responses: &[String]) -> Result<Vec<f64>, Error> {
    let records = records(responses.len());
    let batch: Vec<Exchange<'_>> = responses
        .iter()
        .zip(&records)
        .map(|(response, record)| Exchange { prompt: "x", rewrite: "x'", response, record })
        .collect();
    let mut given = vec![None; batch.len()];
    reward.score_each(&batch, &mut |scored| {
        for Scored { exchange, score } in scored {
            assert!(given[exchange].replace(score.value).is_none(), "exchange {exchange} came twice");
        }
        Ok(())
    })?;
    Ok(given.into_iter().map(Option::unwrap).collect())
}

/// Responses that are numbers, and the scores that they are to get.
fn numbers(n: usize) -> (Vec<String>, Vec<f64>) {
    ((0..n).map(|number| number.to_string()).collect(), (0..n).map(|number| number as f64).collect())
}

#[test]
fn one_program_answers_all_batches() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"echo started >> starts; while read -r line; do answer "$line"; done"#;
    let mut reward = reward(shell(folder.path(), script));
    assert!(!folder.path().join("starts").exists(), "it is started when it is needed");
    for n in [3, 0, 1, 5] {
        let (responses, expected) = numbers(n);
        assert_eq!(scores(&mut reward, &responses).unwrap(), expected);
    }
    drop(reward);
    assert_eq!(std::fs::read_to_string(folder.path().join("starts")).unwrap(), "started\n");
}

#[test]
fn answers_come_in_any_order_and_batches_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    // Reads two before it answers any: with a larger batch it would wait for a fourth.
    let script = r#"while read -r a && read -r b; do answer "$b"; answer "$a"; done"#;
    let mut reward = reward(CommandOptions { batch: Some(2), ..shell(folder.path(), script) });
    let (responses, expected) = numbers(6);
    assert_eq!(scores(&mut reward, &responses).unwrap(), expected);
}

#[test]
fn the_limit_is_on_silence_not_on_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"while read -r line; do sleep 0.2; answer "$line"; done"#;
    let timeout = Duration::from_secs(1);
    let mut reward = reward(CommandOptions { timeout, max_restarts: 0, ..shell(folder.path(), script) });
    let (responses, expected) = numbers(8);
    assert_eq!(scores(&mut reward, &responses).unwrap(), expected);
}

/// What a program does when it comes to the second exchange, and what that is taken for.
type Misdeed = (&'static str, fn(&Fault) -> bool);

const MISDEEDS: [Misdeed; 15] = [
    ("exit 3", |fault| matches!(fault, Fault::Ended { status } if status.code() == Some(3))),
    ("exit 0", |fault| matches!(fault, Fault::Ended { status } if status.success())),
    ("kill -9 $$", |fault| matches!(fault, Fault::Ended { status } if status.code().is_none())),
    // Its child holds its output open.
    ("sleep 30 & exit 3", |fault| matches!(fault, Fault::Ended { .. })),
    ("exec >&-; sleep 30", |fault| matches!(fault, Fault::Closed)),
    ("sleep 30", |fault| matches!(fault, Fault::Silent { .. })),
    // Leaves it out and goes on.
    ("continue", |fault| matches!(fault, Fault::Silent { .. })),
    ("echo hello", |fault| matches!(fault, Fault::NoAnswer { line, .. } if line == "hello")),
    ("printf '{\"id\"'; exit 0", |fault| matches!(fault, Fault::NoAnswer { .. })),
    ("echo \"{\\\"id\\\": $(id_of \"$line\"), \\\"score\\\": NaN}\"", |fault| matches!(fault, Fault::NoAnswer { .. })),
    ("echo \"{\\\"id\\\": $(id_of \"$line\"), \\\"score\\\": \\\"1\\\"}\"", |fault| {
        matches!(fault, Fault::NoAnswer { .. })
    }),
    ("echo \"{\\\"id\\\": $(id_of \"$line\"), \\\"score\\\": null}\"", |fault| matches!(fault, Fault::NoAnswer { .. })),
    ("echo '{\"id\": 9999, \"score\": 1}'", |fault| matches!(fault, Fault::Unasked { id: 9999 })),
    ("echo '{\"id\": 0, \"score\": 1}'", |fault| matches!(fault, Fault::Twice { id: 0 })),
    ("head -c 3000000 /dev/zero | tr '\\0' x; echo", |fault| matches!(fault, Fault::LongLine { .. })),
];

/// The program that commits a misdeed, the first time only or always.
fn misbehaving(folder: &Path, misdeed: &str, always: bool) -> CommandOptions {
    let when = if always { "true" } else { "test ! -e done" };
    let script = format!(
        r#"while read -r line; do
            if test "$(response_of "$line")" = 1 && {when}; then
                touch done; echo "now comes a misdeed" >&2; {misdeed}
            else
                answer "$line"
            fi
        done"#
    );
    // Long enough for a busy machine to start a shell.
    let is_silent = misdeed == "sleep 30" || misdeed == "continue";
    let timeout = Duration::from_secs(if is_silent { 2 } else { 30 });
    CommandOptions { timeout, ..shell(folder, &script) }
}

/// Those that wait beside those that work.
fn beside_each_other(check: impl Fn(Misdeed) + Sync) {
    std::thread::scope(|scope| {
        for misdeed in MISDEEDS {
            let check = &check;
            scope.spawn(move || check(misdeed));
        }
    });
}

#[test]
fn a_misdeed_that_passes_changes_nothing() {
    beside_each_other(|(misdeed, _)| {
        let folder = tempfile::tempdir().unwrap();
        let mut reward = reward(misbehaving(folder.path(), misdeed, false));
        let (responses, expected) = numbers(4);
        assert_eq!(scores(&mut reward, &responses).unwrap(), expected, "{misdeed}");
        assert!(folder.path().join("done").exists(), "{misdeed} was never done");
        // And the next batch is answered as if nothing had been.
        assert_eq!(scores(&mut reward, &responses).unwrap(), expected, "{misdeed}");
    });
}

#[test]
fn a_misdeed_that_lasts_is_one_error() {
    beside_each_other(|(misdeed, is_expected)| {
        let folder = tempfile::tempdir().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listener = Arc::clone(&heard);
        let options = misbehaving(folder.path(), misdeed, true);
        let mut reward =
            CommandReward::new(options, Arc::new(move |line: &str| listener.lock().unwrap().push(line.to_owned())));
        let error = scores(&mut reward, &numbers(4).0).unwrap_err();
        let told = error.to_string();
        let Error::Command(error) = error else { panic!("{told}") };
        match *error {
            CommandError::NoScore { ref record, restarts: 2, ref fault, ref said, .. } => {
                assert!(is_expected(fault), "{misdeed}: {told}");
                assert_eq!(record, "p1", "{misdeed}");
                assert_eq!(said, &["now comes a misdeed"], "{misdeed}");
            }
            _ => panic!("{misdeed}: {told}"),
        }
        assert!(told.contains("gave no score for prompt `p1`, started anew 2 times: it "), "{told}");
        assert!(told.ends_with("standard error:\n    now comes a misdeed"), "{told}");
        assert!(heard.lock().unwrap().len() >= 3, "{misdeed}: each attempt is heard");
    });
}

#[test]
fn restarts_are_counted_from_the_last_answer_on() {
    let folder = tempfile::tempdir().unwrap();
    // Ends after each answer.
    let script = r#"read -r line && answer "$line""#;
    let (responses, expected) = numbers(7);
    let once = CommandOptions { max_restarts: 1, ..shell(folder.path(), script) };
    assert_eq!(scores(&mut reward(once.clone()), &responses).unwrap(), expected);
    let error = scores(&mut reward(CommandOptions { max_restarts: 0, ..once }), &responses).unwrap_err();
    assert!(error.to_string().contains("prompt `p1`, started anew 0 times: it ended"), "{error}");
}

/// Each side writes more than a pipe holds before the other reads.
#[test]
fn full_pipes_stop_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let script = "import sys, json\n\
        for line in sys.stdin:\n    \
            r = json.loads(line)\n    \
            print('talk ' * 20000, file=sys.stderr)\n    \
            print(json.dumps({'id': r['id'], 'score': len(r['response']), 'why': 'y' * 200000}), flush=True)\n";
    let mut reward = reward(program(folder.path(), &["python3", "-c", script]));
    let responses: Vec<String> = (0..40).map(|n| "y".repeat(200_000 + n)).collect();
    let expected: Vec<f64> = (0..40).map(|n| (200_000 + n) as f64).collect();
    assert_eq!(scores(&mut reward, &responses).unwrap(), expected);
}

#[test]
fn a_program_need_not_read_what_it_can_guess() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"for id in 2 0 1; do echo "{\"id\": $id, \"score\": $id}"; done; sleep 30"#;
    let mut reward = reward(shell(folder.path(), script));
    let responses = ["a", "b", "c"].map(|letter| letter.repeat(500_000));
    assert_eq!(scores(&mut reward, &responses).unwrap(), [0.0, 1.0, 2.0]);
}

#[test]
fn what_cannot_be_started_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("score.sh"), "exit 0").unwrap();
    let told = |argv: &[&str]| {
        let error = scores(&mut reward(program(folder.path(), argv)), &numbers(1).0).unwrap_err();
        assert!(std::error::Error::source(&error).is_some());
        error.to_string()
    };
    let place = format!("in `{}`; ", folder.path().display());
    let missing = told(&["no-such-program-anywhere", "a b"]);
    assert!(missing.starts_with("cannot start the reward's command `no-such-program-anywhere \"a b\"` "), "{missing}");
    assert!(missing.contains(&place) && missing.ends_with("is it installed, and is its name right?"), "{missing}");
    assert!(told(&["score.sh"]).ends_with("a program of that folder is written `./score.sh`"));
    assert!(told(&["./score.sh"]).ends_with("may it be executed (`chmod +x`)?"));
    assert!(told(&["./none.sh"]).ends_with("is its name right?"));
    told(&["a\0b"]);
}

#[test]
fn a_program_is_known_by_the_files_it_is_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("score.py");
    let identity = |argv: &[&str]| reward(program(folder.path(), argv)).identity();
    std::fs::write(&script, "first").unwrap();
    let first = identity(&["python3", "score.py"]);
    assert_eq!(identity(&["python3", "score.py"]), first);
    assert_ne!(identity(&["python3 score.py"]), first);
    assert_ne!(identity(&["python3", "score.py", "x"]), first);
    std::fs::write(&script, "other").unwrap();
    assert_ne!(identity(&["python3", "score.py"]), first);
}

#[test]
fn parts_are_named_after_the_reward() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"read -r line; echo '{"id": 0, "score": 0.5, "parts": {"tone": 1, "length": 0.25}}'"#;
    let record = record(json!({}));
    let exchange = Exchange { prompt: "x", rewrite: "x", response: "y", record: &record };
    let mut given = Vec::new();
    let mut take = |scored: Vec<Scored>| {
        given.extend(scored);
        Ok(())
    };
    reward(shell(folder.path(), script)).score_each(&[exchange], &mut take).unwrap();
    let part = |name: &'static str, value| Part { name: name.into(), value };
    let parts = vec![part("command.length", 0.25), part("command.tone", 1.0)];
    assert_eq!(given, [Scored { exchange: 0, score: Score { value: 0.5, parts } }]);
}

/// An error of who takes the scores ends the batch, and leaves nothing for the next one to trip over.
#[test]
fn an_error_of_the_taker_ends_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let mut reward = reward(shell(folder.path(), r#"while read -r line; do answer "$line"; done"#));
    let record = record(json!({}));
    let exchange = Exchange { prompt: "x", rewrite: "x", response: "7", record: &record };
    let failed = reward.score_each(&[exchange; 5], &mut |_| Err(Error::Unscored));
    assert!(matches!(failed, Err(Error::Unscored)));
    let (responses, expected) = numbers(5);
    assert_eq!(scores(&mut reward, &responses).unwrap(), expected);
}

/// Whether a process runs; one that has ended and that nobody has asked about does not.
#[cfg(target_os = "linux")]
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|state| !state.is_empty() && !state.starts_with('Z'))
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"echo $$ > pids; sleep 600 & echo $! >> pids; read -r line; answer "$line"; exec sleep 600"#;
    let mut reward = reward(shell(folder.path(), script));
    scores(&mut reward, &numbers(1).0).unwrap();
    let pids = std::fs::read_to_string(folder.path().join("pids")).unwrap();
    assert_eq!(pids.lines().filter(|pid| runs(pid)).count(), 2);
    drop(reward);
    let begun = std::time::Instant::now();
    while pids.lines().any(runs) && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(pids.lines().filter(|pid| runs(pid)).count(), 0, "{pids}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// Python reads of a line what was written into it, whatever that is.
    #[test]
    fn any_text_reaches_python(texts in prop::collection::vec(prop::collection::vec(any::<char>(), 0..30), 1..30)) {
        let script = "import sys, json, zlib\n\
            for line in sys.stdin:\n    \
                r = json.loads(line)\n    \
                text = '|'.join([r['prompt'], r['rewrite'], r['response'], r['record']['field']])\n    \
                print(json.dumps({'id': r['id'], 'score': zlib.crc32(text.encode()) >> 4}), flush=True)\n";
        let folder = tempfile::tempdir().unwrap();
        let texts: Vec<String> = texts.into_iter().map(String::from_iter).collect();
        let records: Vec<Record> = texts.iter().map(|text| record(json!({"field": text}))).collect();
        let exchanges = texts.iter().zip(&records).map(|(text, record)| {
            Exchange { prompt: text, rewrite: "\u{2028}\r\n", response: text, record }
        });
        let exchanges: Vec<Exchange<'_>> = exchanges.collect();
        let mut given = vec![f64::NAN; texts.len()];
        reward(program(folder.path(), &["python3", "-c", script])).score_each(&exchanges, &mut |scored| {
            scored.into_iter().for_each(|scored| given[scored.exchange] = scored.score.value);
            Ok(())
        }).unwrap();
        for (text, given) in texts.iter().zip(given) {
            let mut sum = flate2::Crc::new();
            sum.update(format!("{text}|\u{2028}\r\n|{text}|{text}").as_bytes());
            prop_assert_eq!(given, f64::from(sum.sum() >> 4));
        }
    }
}
