//! Whole runs with rewards of the user's own: a program, and a server.

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rollout::evaluate::Evaluation;
use rollout::journal::Journal;

use crate::runs::{config, outcome, train};
use crate::support::{repository, told};

/// Scores by the length of the response, keeps a list of what it was asked, and does not end by itself where there is a file `hold`.
const PROGRAM: &str = r#"
echo $$ >> pids
echo "ready to score" >&2
while read -r line; do
    printf '%s\n' "${line#*,}" >> asked
    id=${line#*: }; id=${id%%,*}
    response=${line#*\"response\": \"}; response=${response%%\", \"record\"*}
    echo "{\"id\": $id, \"score\": $((${#response} % 7)), \"parts\": {\"length\": ${#response}}}"
done
test -e hold && exec sleep 600
"#;

/// The configuration of a run that takes a second, with another reward.
fn with_reward(folder: &Path, reward: &str) -> PathBuf {
    let path = config(folder);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("[reward.length]\nunit = \"characters\"\nat-most = 3", reward)).unwrap();
    path
}

fn with_program(folder: &Path) -> PathBuf {
    fs::write(folder.join("score.sh"), PROGRAM).unwrap();
    with_reward(folder, "[reward.command]\nargv = ['sh', 'score.sh']")
}

fn finish(folder: &Path, config: &Path) -> String {
    let output = train(folder, config).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, folder));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// How often each exchange was asked about.
fn asked(folder: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in fs::read_to_string(folder.join("asked")).unwrap_or_default().lines() {
        *counts.entry(line.to_owned()).or_default() += 1;
    }
    counts
}

/// Programs of a folder that still run, after they had some time to end.
fn left_behind(folder: &Path) -> Vec<String> {
    let pids = fs::read_to_string(folder.join("pids")).unwrap_or_default();
    let runs = |pid: &&str| {
        Command::new("ps").args(["-o", "stat=", "-p", pid]).output().is_ok_and(|output| {
            let state = String::from_utf8_lossy(&output.stdout).into_owned();
            !state.trim().is_empty() && !state.starts_with('Z')
        })
    };
    let begun = Instant::now();
    loop {
        let left: Vec<String> = pids.lines().filter(runs).map(str::to_owned).collect();
        if left.is_empty() || begun.elapsed() > Duration::from_secs(10) {
            return left;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The run is killed while its program is asked, and the program holds on; nothing else differs.
#[test]
fn a_killed_run_leaves_no_program_and_ends_like_one_that_was_not() {
    let whole = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let said = finish(whole.path(), &with_program(whole.path()));
    let takes = started.elapsed();
    assert!(said.contains("reward command: ready to score\n"), "{said}");
    assert_eq!(left_behind(whole.path()), [""; 0]);
    let (expected, once) = (outcome(whole.path()), asked(whole.path()));
    assert_eq!(expected.1.about.reward, "command");
    assert!(expected.1.parts.contains_key("command.length"));
    assert!(once.values().all(|n| *n == 1), "an exchange was scored twice");
    let journal = Journal::open(&whole.path().join("run/journal-command.sqlite")).unwrap();
    assert_eq!(journal.n_calls().unwrap() as usize, once.len());
    for moment in 1..=7 {
        let home = tempfile::tempdir().unwrap();
        let config = with_program(home.path());
        fs::write(home.path().join("hold"), "").unwrap();
        let mut child = train(home.path(), &config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(takes * moment / 8);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(left_behind(home.path()), [""; 0], "killed at moment {moment}");
        fs::remove_file(home.path().join("hold")).unwrap();
        finish(home.path(), &config);
        assert_eq!(outcome(home.path()), expected, "killed at moment {moment}");
        let (asked, most) = (asked(home.path()), 12);
        assert_eq!(asked.keys().collect::<Vec<_>>(), once.keys().collect::<Vec<_>>(), "killed at moment {moment}");
        // What a kill finds between the program and the journal is lost: no more than is asked about at once.
        let twice = asked.values().map(|n| n - 1).sum::<usize>();
        assert!(twice <= most, "{twice} exchanges were scored again, killed at moment {moment}");
    }
    // The same again asks nothing.
    finish(whole.path(), &config_of(whole.path()));
    assert_eq!(asked(whole.path()), once);
}

fn config_of(folder: &Path) -> PathBuf {
    folder.join("tiny.toml")
}

#[test]
fn a_program_that_fails_ends_the_run_with_its_own_words() {
    let home = tempfile::tempdir().unwrap();
    let script = "read -r line; echo 'no module named judge' >&2; exit 7";
    let reward = format!("[reward.command]\nargv = ['sh', '-c', \"{script}\"]\nmax-restarts = 1");
    let output = train(home.path(), &with_reward(home.path(), &reward)).output().unwrap();
    let said = told(&output, home.path());
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("started anew 1 times: it ended (exit status: 7)"), "{said}");
    assert!(said.contains("standard error:\n    no module named judge\n"), "{said}");

    // More patience is no other plan.
    let reward = reward.replace("max-restarts = 1", "max-restarts = 0\ntimeout = 5");
    let output = train(home.path(), &with_reward(home.path(), &reward)).output().unwrap();
    assert!(told(&output, home.path()).contains("started anew 0 times"));
    // What cannot be started, or ends at once, leaves no plan that would stand in the way of what is mended.
    let other = tempfile::tempdir().unwrap();
    for (argv, told_why) in [
        ("['no-such-program-anywhere']", "is it installed, and is its name right?"),
        ("['sh', 'score.sh']", "ended before it was asked anything (exit status: "),
    ] {
        let reward = format!("[reward.command]\nargv = {argv}");
        let output = train(other.path(), &with_reward(other.path(), &reward)).output().unwrap();
        let said = told(&output, other.path());
        assert!(output.status.code() == Some(2) && said.contains(told_why), "{said}");
    }
    fs::write(other.path().join("score.py"), readme("import json, sys")).unwrap();
    finish(other.path(), &with_reward(other.path(), &readme("[reward.command]")));
}

/// An indented block of the README that begins with this line.
fn readme(first: &str) -> String {
    let text = fs::read_to_string(repository().join("README.md")).unwrap();
    let lines = text.lines().skip_while(|line| line.strip_prefix("    ") != Some(first));
    let block: Vec<&str> = lines.map_while(|line| line.strip_prefix("    ")).collect();
    assert!(!block.is_empty(), "the README has no block `{first}`");
    block.join("\n") + "\n"
}

#[test]
fn the_program_of_the_readme_works() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("score.py"), readme("import json, sys")).unwrap();
    let config = with_reward(home.path(), &readme("[reward.command]"));
    finish(home.path(), &config);
    let result = result(home.path());
    assert_eq!(result.about.reward, "command");
    assert!(result.arms["naive"].mean_reward > 0.0 && result.parts.contains_key("command.words"));
}

#[test]
fn the_server_of_the_readme_works() {
    let home = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let at_port = |text: String| text.replace("8000", &port.to_string());
    let script = at_port(readme("import json, http.server"));
    assert!(script.contains(&port.to_string()));
    let mut server =
        Command::new("python3").args(["-c", &script]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let config = with_reward(home.path(), &at_port(readme("[reward.http]")));
    finish(home.path(), &config);
    server.kill().unwrap();
    server.wait().unwrap();
    let first = (outcome(home.path()), result(home.path()));
    assert_eq!(first.1.about.reward, "http");
    assert!(first.1.arms["naive"].mean_reward > 0.0);
    // Without a server: all of it is in the journal.
    finish(home.path(), &config);
    assert_eq!(outcome(home.path()), first.0);
}

fn result(folder: &Path) -> Evaluation {
    serde_json::from_slice(&fs::read(folder.join("run/result.json")).unwrap()).unwrap()
}
