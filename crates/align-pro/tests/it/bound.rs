//! `bound` on whole runs of a tiny random model.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rollout::bound::{BoundReport, FormName, Validity};

use crate::runs::{calls_told, config, finished, train};
use crate::support::{align_pro, tell, told};

fn bound(home: &Path, run: &Path, more: &[&str]) -> Command {
    let mut command = align_pro(home, ["bound"]);
    command.arg(run).args(["--prompts", "4", "--rewrites", "3", "--responses", "2", "--threads", "1"]).args(more);
    command
}

fn succeed(mut command: Command, home: &Path) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", told(&output, home));
    output
}

/// A finished run, and one that trained its target.
fn run_and_oracle(home: &Path) -> (PathBuf, PathBuf) {
    finished(home);
    let mut command = align_pro(home, ["train"]);
    let oracle = home.join("oracle");
    command
        .arg(config(home))
        .args(["--set", "train.what=target", "--json", "--threads", "1"])
        .arg("--run")
        .arg(&oracle);
    succeed(command, home);
    (home.join("run"), oracle)
}

#[test]
fn help_texts() {
    insta::assert_snapshot!("help_bound", tell(["bound", "--help"]));
}

#[test]
fn a_bound_is_told_and_kept_and_asks_nothing_twice() {
    let home = tempfile::tempdir().unwrap();
    finished(home.path());
    let run = home.path().join("run");
    let out = home.path().join("sampled.jsonl");
    let go = || succeed(bound(home.path(), &run, &["--json", "--out", &out.display().to_string()]), home.path());
    let first = go();
    let report: BoundReport = serde_json::from_slice(&first.stdout).unwrap();
    // 4 prompts × 6 responses, of the target as it is and behind two prompters.
    let (made, replayed) = calls_told(&first);
    assert_eq!(made + replayed, 72);
    assert!(replayed >= 4, "the evaluation asked the first of them already: {replayed}");
    assert_eq!((report.n_prompts, report.n_rewrites, report.n_responses, report.n_direct), (4, 3, 2, 6));
    assert!(report.range.known && (report.range.low, report.range.high) == (0.0, 1.0), "a verifier promises its range");
    assert_eq!((report.lambda, report.optimum.beta), (0.01, Some(0.01)), "the theorem's beta is the run's lambda");
    assert!(report.oracle.is_none() && report.prompter.optimality.is_some());
    // Six steps at a high rate have moved the prompter.
    assert!(report.prompter.kl.mean.is_finite() && report.prompter.kl.mean != 0.0);
    assert!(report.prompter.reverse_kl.mean != report.prompter.kl.mean);
    for form in &report.optimum.forms {
        assert!(form.clipped.mean <= 1.0 && form.bound.interval[0] <= form.bound.mean, "{form:?}");
    }
    assert_eq!(report.optimum.form(FormName::Direct).unwrap().validity, Validity::Always);
    let gap = report.optimum.gap.mean - (report.optimum.alignment_step.mean + report.optimum.rewrites_step.mean);
    assert!((gap - report.prompter.step.mean).abs() < 1e-12, "the steps add up");

    let kept = std::fs::read(run.join("bound.json")).unwrap();
    assert_eq!(serde_json::from_slice::<BoundReport>(&kept).unwrap(), report);
    assert_eq!(std::fs::read_to_string(&out).unwrap().lines().count(), 12);
    let again = go();
    assert_eq!((calls_told(&again), &again.stdout), ((0, 72), &first.stdout));
}

#[test]
fn a_killed_bound_ends_like_one_that_was_not() {
    let home = tempfile::tempdir().unwrap();
    finished(home.path());
    let run = home.path().join("run");
    let journal = std::fs::read(run.join("journal.sqlite")).unwrap();
    let started = std::time::Instant::now();
    let whole = succeed(bound(home.path(), &run, &["--json"]), home.path());
    let takes = started.elapsed();
    for moment in 1..6u32 {
        for name in ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm", "bound.json"] {
            let _ = std::fs::remove_file(run.join(name));
        }
        std::fs::write(run.join("journal.sqlite"), &journal).unwrap();
        let mut command = bound(home.path(), &run, &["--json"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(takes * moment / 6);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(succeed(bound(home.path(), &run, &["--json"]), home.path()).stdout, whole.stdout, "moment {moment}");
    }
}

/// Lines up to their last figure, figures as `#`.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    for line in text.lines() {
        let mut told = String::new();
        for character in line.chars() {
            let figure = character.is_ascii_digit() || (character == '.' && told.ends_with('#'));
            match figure {
                true if told.ends_with('#') => {}
                true => told.push('#'),
                false if character == ' ' && told.ends_with(' ') => {}
                // What depends on the figures themselves.
                false if character == '?' => {}
                false if "+-".contains(character) && !told.ends_with(char::is_alphabetic) => {}
                false => told.push(character),
            }
        }
        let end = told.rfind(['#', ']']).map_or(told.len(), |end| end + 1);
        shape += told[..end].trim_end();
        shape.push('\n');
    }
    shape
}

#[test]
fn an_oracle_is_compared_with_beside_the_estimate() {
    let home = tempfile::tempdir().unwrap();
    let (run, oracle) = run_and_oracle(home.path());
    let with_oracle = ["--oracle", &oracle.display().to_string(), "--beta", "0.5"];
    let output = succeed(bound(home.path(), &run, &with_oracle), home.path());
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    // The sentences at the end say what the figures are.
    let (tables, sentences) = text.trim_end().rsplit_once("\n\n").unwrap();
    insta::assert_snapshot!("bound", shape(tables));
    assert!(sentences.contains("the oracle") && sentences.contains("(1.4)"), "{sentences}");
    let (made, replayed) = calls_told(&output);
    assert_eq!(made + replayed, 96, "the oracle's responses too");

    let again = succeed(bound(home.path(), &run, &[&with_oracle[..], &["--json"]].concat()), home.path());
    assert_eq!(calls_told(&again), (0, 96), "the oracle's answers are in the journal as well");
    let report: BoundReport = serde_json::from_slice(&again.stdout).unwrap();
    let compared = report.oracle.as_ref().unwrap();
    assert_eq!((compared.beta, report.optimum.beta), (None, Some(0.5)));
    assert!((compared.gap.mean - (report.oracle_reward.unwrap().mean - report.trained.mean)).abs() < 1e-12);
    assert_eq!(report.main(), compared);
}

#[test]
fn what_no_bound_can_be_told_of_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let (run, oracle) = run_and_oracle(home.path());
    // A run's plan alone, with something changed.
    let planned = |name: &str, of: &Path, from: &str, to: &str| {
        let folder = home.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        let plan = std::fs::read_to_string(of.join("plan.toml")).unwrap();
        assert!(plan.contains(from), "{plan}");
        std::fs::write(folder.join("plan.toml"), plan.replace(from, to)).unwrap();
        folder
    };
    let untrained = planned("untrained", &run, "seed = 3", "seed = 3");
    let unleashed = planned("unleashed", &run, "lambda = 0.01", "lambda = 0.0");
    let other = planned("other", &oracle, "models/llama", "models/qwen2");
    let oracle_flag = |run: &Path| vec!["--oracle".to_owned(), run.display().to_string()];
    let cases: [(&Path, Vec<String>, &str); 7] = [
        (home.path(), vec![], "there is no run in `[HOME]`\nhint: `align-pro train CONFIG`"),
        (&untrained, vec![], "the run in `[HOME]/untrained` is not finished\nhint: `align-pro train`"),
        (&oracle, vec![], "the run in `[HOME]/oracle` trained a target, and has no prompter"),
        (
            &unleashed,
            vec![],
            "the run has no lambda from which to take the beta of a fine-tuned target\nhint: give it as `--beta`",
        ),
        (&run, oracle_flag(&run), "the run in `[HOME]/run` did not train the target"),
        (&run, oracle_flag(&other), "the run in `[HOME]/other` did not train the target"),
        (&run, vec!["--beta".to_owned(), "0".to_owned()], "it must be a number above 0"),
    ];
    for (run, more, complaint) in cases {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let output = bound(home.path(), run, &more).output().unwrap();
        let said = told(&output, home.path());
        assert!(output.status.code() == Some(2) && said.contains(complaint), "{said}");
    }
    // One prompt has no spread to tell an interval by.
    let mut command = align_pro(home.path(), ["bound"]);
    let output = command.arg(&run).args(["--prompts", "1", "--rewrites", "3", "--responses", "2"]).output().unwrap();
    let said = told(&output, home.path());
    assert!(output.status.code() == Some(2) && said.contains("needs at least 2 samples, found 1"), "{said}");
}

/// The training of a run that has not ended leaves a folder with a plan and no adapter.
#[test]
fn a_run_that_was_stopped_at_its_beginning_has_no_bound_yet() {
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path());
    let mut command = train(home.path(), &config);
    command.args(["--set", "schedule.steps=4000"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let run = home.path().join("run");
    while !run.join("plan.toml").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let said = told(&bound(home.path(), &run, &[]).output().unwrap(), home.path());
    assert!(said.contains("is not finished"), "{said}");
    assert!(!run.join("bound.json").exists());
}
