//! Whole runs of the command on a tiny random model: what it writes, and that a killed run ends like one that was not.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rollout::evaluate::Evaluation;
use rollout::event::{Event, read_events};
use rollout::journal::Journal;

use crate::support::{align_pro, run_with, tiny_config, tiny_target, told};

const STEPS: u64 = 6;

/// A configuration of a run that takes a second.
pub(crate) fn config(folder: &Path) -> PathBuf {
    let target = format!("{}\n[reward.length]\nunit = \"characters\"\nat-most = 3", tiny_target());
    let rest = format!(
        "[optimizer]\nlearning-rate = 0.01\n[schedule]\nsteps = {STEPS}\nprompts-per-step = 2\ncheckpoint-every = 2\n\
         [eval]\nbest-of = 2\nrewrites = 1\n"
    );
    tiny_config(folder, &target, &rest)
}

pub(crate) fn train(folder: &Path, config: &Path) -> Command {
    let mut command = align_pro(folder, ["train"]);
    command.arg(config).arg("--run").arg(folder.join("run")).args(["--json", "--threads", "1"]);
    command
}

pub(crate) fn finished(folder: &Path) -> Output {
    let output = train(folder, &config(folder)).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, folder));
    output
}

/// What a run left behind, without the seconds.
pub(crate) fn outcome(folder: &Path) -> (Vec<Event>, Evaluation, String, Vec<u8>) {
    let run = folder.join("run");
    let mut events = read_events(&run.join("events.jsonl")).unwrap();
    for event in &mut events {
        if let Event::StepDone(done) = event {
            done.seconds = Default::default();
        }
    }
    let mut result: Evaluation = serde_json::from_slice(&std::fs::read(run.join("result.json")).unwrap()).unwrap();
    result.about.seconds = 0.0;
    let evaluated = std::fs::read_to_string(run.join("evaluation.jsonl")).unwrap();
    (events, result, evaluated, std::fs::read(run.join("adapter/adapter_model.safetensors")).unwrap())
}

fn n_calls(folder: &Path) -> u64 {
    Journal::open(&folder.join("run/journal.sqlite")).map_or(0, |journal| journal.n_calls().unwrap())
}

/// `… 12 target calls made, 3 taken from the journal; …`
pub(crate) fn calls_told(output: &Output) -> (u64, u64) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|line| line.contains("target calls made")).unwrap();
    let numbers: Vec<u64> =
        line.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
    (numbers[0], numbers[1])
}

#[test]
fn a_run_leaves_everything_in_its_folder() {
    let home = tempfile::tempdir().unwrap();
    let output = finished(home.path());
    let result: Evaluation = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result.arms.keys().collect::<Vec<_>>(), ["best-of-2", "naive", "ref", "trained"]);
    assert_eq!(result.gain.len(), 3);
    assert_eq!((result.about.steps, result.about.seed), (STEPS, 3));

    let run = home.path().join("run");
    for file in ["config.toml", "plan.toml", "report.html", "adapter/adapter_config.json", "metrics"] {
        assert!(run.join(file).exists(), "{file}");
    }
    let mut steps: Vec<_> =
        std::fs::read_dir(run.join("checkpoints")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    steps.sort();
    assert_eq!(steps, ["step-000004", "step-000006"], "the two newest are kept");
    assert_eq!(calls_told(&output).0, n_calls(home.path()));

    // The same again is done at once, and asks nothing.
    let before = outcome(home.path());
    let again = finished(home.path());
    assert_eq!(calls_told(&again).0, 0);
    assert_eq!(outcome(home.path()), before);
}

/// The run is killed at many moments: while models load, between any two steps, while arms are evaluated.
#[test]
fn a_killed_run_ends_like_one_that_was_not() {
    let whole = tempfile::tempdir().unwrap();
    let started = std::time::Instant::now();
    finished(whole.path());
    let takes = started.elapsed();
    let (expected, total) = (outcome(whole.path()), n_calls(whole.path()));
    for moment in 0..20u32 {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path());
        let mut child = train(home.path(), &config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(takes * moment / 20 + Duration::from_millis(u64::from(moment % 3)));
        child.kill().unwrap();
        child.wait().unwrap();
        let stored = n_calls(home.path());
        let output = finished(home.path());
        assert_eq!(outcome(home.path()), expected, "killed at moment {moment}");
        assert_eq!(stored + calls_told(&output).0, total, "killed at moment {moment}: every call was made once");
    }
}

#[test]
fn runs_are_not_mixed_up() {
    let home = tempfile::tempdir().unwrap();
    finished(home.path());
    let config = config(home.path());
    let mut other = train(home.path(), &config);
    other.args(["--set", "seed=4"]);
    let output = other.output().unwrap();
    let said = told(&output, home.path());
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("another plan: it has seed = 3; asked for is seed = 4"), "{said}");
    assert!(said.contains("hint: give the new plan a folder of its own"), "{said}");
    let mut other = train(home.path(), &config);
    other.args(["--set", "prompter.temperature=0.3"]);
    let said = told(&other.output().unwrap(), home.path());
    assert!(said.contains("asked for is prompter.temperature = 0.3") && !said.contains("0.30000"), "{said}");

    // What a run leaves that is killed before it has its plan is no obstacle.
    let begun = home.path().join("begun");
    std::fs::create_dir(&begun).unwrap();
    std::fs::write(begun.join("config.toml"), "half").unwrap();
    let mut command = align_pro(home.path(), ["train"]);
    let output = command.arg(&config).arg("--run").arg(&begun).args(["--set", "schedule.steps=1"]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, home.path()));

    let taken = home.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("file"), "").unwrap();
    let mut command = align_pro(home.path(), ["train"]);
    let output = command.arg(&config).arg("--run").arg(&taken).output().unwrap();
    assert!(told(&output, home.path()).contains("is neither empty nor a run's"));
}

#[test]
fn a_trained_prompter_is_used() {
    let home = tempfile::tempdir().unwrap();
    finished(home.path());
    let run = home.path().join("run");
    let mut rewrite = align_pro(home.path(), ["rewrite"]);
    rewrite.arg(&run).args(["-n", "2", "--json"]);
    let output = run_with(rewrite, b"Name a fruit.\n\nName a tree.\n");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told.as_array().unwrap().len(), 2);
    assert_eq!(told[1]["prompt"], "Name a tree.");
    let rewrites = told[1]["rewrites"].as_array().unwrap();
    assert_eq!(rewrites.len(), 2);
    assert!(rewrites[0]["rewrite"].as_str().unwrap().starts_with("Name a tree."), "it is added to: {rewrites:?}");
    assert_eq!(rewrites[0]["tokens"].as_array().unwrap().len(), rewrites[0]["token_logps"].as_array().unwrap().len());

    // On its own held-out prompts everything is in the journal.
    let mut eval = align_pro(home.path(), ["eval"]);
    let output = eval.arg(&run).args(["--json", "--gate"]).output().unwrap();
    let result: Evaluation = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result.arms, outcome(home.path()).1.arms);
    let gain = &result.gain["vs_naive"];
    let passes = gain.significant && gain.mean > 0.0;
    assert_eq!(output.status.code(), Some(if passes { 0 } else { 1 }));

    let mut report = align_pro(home.path(), ["report"]);
    let output = report.arg(&run).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), run.join("report.html").display().to_string());
}

#[test]
fn what_is_not_a_run_is_told() {
    let home = tempfile::tempdir().unwrap();
    for command in ["report", "rewrite"] {
        let mut command = align_pro(home.path(), [command]);
        let output = command.arg(home.path()).output().unwrap();
        let said = told(&output, home.path());
        assert_eq!(output.status.code(), Some(2));
        assert!(said.contains("error: there is no run in `[HOME]`\nhint: `align-pro train CONFIG`"), "{said}");
    }
}

#[test]
fn a_dry_run_tells_what_a_run_takes_and_makes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut command = train(home.path(), &config(home.path()));
    let output = command.arg("--dry-run").output().unwrap();
    let estimate: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(estimate["steps"], STEPS);
    assert!(estimate["seconds"].as_f64().unwrap() > 0.0);
    assert!(!home.path().join("run").exists());
    // Some calls are asked for twice: best-of-2 tries, first, the rewrite of the arm ref, and a rewrite that fell back to x
    // is the naive arm's.
    let (made, replayed) = calls_told(&finished(home.path()));
    assert_eq!(estimate["target_calls"], made + replayed);
}

#[test]
fn the_doctor_tells_what_it_finds() {
    let home = tempfile::tempdir().unwrap();
    let output = align_pro(home.path(), ["doctor", "--json"]).output().unwrap();
    let checks: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> = checks.as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["processor", "memory", "home", "models", "pip"]);
}

/// The reward of this configuration is what training on it can reach: fewer words than the model writes by itself.
#[test]
fn the_oracle_is_one_setting_away_and_becomes_an_arm() {
    let home = tempfile::tempdir().unwrap();
    let (config, run) = (config(home.path()), home.path().join("run"));
    // A frozen target may be kept in bytes, a trained one cannot: said alike, both runs have the same weights.
    let alike = ["--set", "target.local.precision=f32"];
    let output = train(home.path(), &config).args(alike).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, home.path()));
    let mut command = align_pro(home.path(), ["train"]);
    command.arg(&config).args(alike).args(["--set", "train.what=target", "--json", "--threads", "1"]);
    let output = command.current_dir(home.path()).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, home.path()));
    let result: Evaluation = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result.arms.keys().collect::<Vec<_>>(), ["naive", "oracle"]);
    assert_eq!(result.gain.keys().collect::<Vec<_>>(), ["vs_naive"]);
    let oracle = home.path().join("runs/tiny-oracle");

    let mut command = align_pro(home.path(), ["eval"]);
    command.arg(&run).arg("--oracle").arg(&oracle).args(["--json", "--threads", "1"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", told(&output, home.path()));
    let both: Evaluation = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(both.arms.keys().collect::<Vec<_>>(), ["best-of-2", "naive", "oracle", "ref", "trained"]);
    assert_eq!(both.arms["oracle"].mean_reward, result.arms["oracle"].mean_reward);
    assert!(both.gain.contains_key("vs_oracle"));

    // However the weights are kept, it is an oracle of the same target.
    let bytes = home.path().join("bytes");
    let mut command = align_pro(home.path(), ["train"]);
    command.arg(&config).arg("--run").arg(&bytes).args(["--json", "--set", "target.local.precision=int8"]);
    assert!(command.output().unwrap().status.success());
    let output = align_pro(home.path(), ["eval"]).arg(&bytes).arg("--oracle").arg(&oracle).arg("--json").output();
    let in_bytes: Evaluation = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    assert!(in_bytes.arms.contains_key("oracle"));

    // A run that trained a prompter is no oracle, and an oracle's run has no prompter.
    let refusals = [
        (vec!["eval".into(), run.clone(), "--oracle".into(), run.clone()], "did not train the target"),
        (vec!["rewrite".into(), oracle, "x".into()], "has no prompter"),
    ];
    for (arguments, complaint) in refusals {
        let output = align_pro(home.path(), arguments).output().unwrap();
        let said = told(&output, home.path());
        assert!(output.status.code() == Some(2) && said.contains(complaint), "{said}");
    }
}

#[test]
fn the_trained_arm_tells_its_divergence() {
    let home = tempfile::tempdir().unwrap();
    let result: Evaluation = serde_json::from_slice(&finished(home.path()).stdout).unwrap();
    // Six steps at a high rate move the prompter; the others have nowhere to diverge from.
    assert!(result.arms["trained"].kl.is_some_and(|kl| kl.mean != 0.0 && kl.mean.is_finite()));
    assert!(result.arms["ref"].kl.is_none() && result.arms["naive"].kl.is_none());
}

#[test]
fn headroom_is_told_from_training_prompts_and_kept_in_a_journal() {
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path());
    let go = || {
        let mut command = align_pro(home.path(), ["headroom"]);
        command.arg(&config).args(["--prompts", "4", "--rewrites", "4", "--json", "--threads", "1"]);
        let output =
            command.args(["--journal", "h.sqlite", "--out", "h.jsonl"]).current_dir(home.path()).output().unwrap();
        assert!(output.status.success(), "{}", told(&output, home.path()));
        output
    };
    let first = go();
    let found: serde_json::Value = serde_json::from_slice(&first.stdout).unwrap();
    // 4 prompts × (4 × 2 responses to rewrites, and as many to the prompt as it is).
    assert_eq!(calls_told(&first), (64, 0));
    assert_eq!(found["best_of"].as_array().unwrap().len(), 4);
    assert!(found["best_of"][0]["mean"].as_f64().unwrap().abs() < 1e-12, "one of one gains nothing");
    assert!(found["prompter"].as_array().unwrap().iter().any(|leash| leash["lambda"] == 0.01));
    let lines = std::fs::read_to_string(home.path().join("h.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 8);
    let again = go();
    assert_eq!((calls_told(&again), &again.stdout), ((0, 64), &first.stdout));
}

/// Fewer words, and a letter: rewards with a memory of earlier steps, which a kill must not wipe out.
#[test]
fn several_rewards_are_mixed_and_a_killed_run_weighs_them_as_before() {
    let mixed = |home: &Path, kill: Option<Duration>| {
        let config = config(home);
        let text = std::fs::read_to_string(&config).unwrap();
        let more = "[reward.contains]\nwanted = { texts = ['e'] }\n[reward-mix]\ncalibration-prompts = 4\n\
                    [reward-mix.owa]\nfairness = 'ex-ante'\nsmoothing = 0.5\n[reward.length]";
        std::fs::write(&config, text.replace("[reward.length]", more)).unwrap();
        if let Some(moment) = kill {
            let mut child = train(home, &config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(moment);
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let output = train(home, &config).output().unwrap();
        assert!(output.status.success(), "{}", told(&output, home));
        outcome(home)
    };
    let whole = tempfile::tempdir().unwrap();
    let started = std::time::Instant::now();
    let expected = mixed(whole.path(), None);
    let takes = started.elapsed();
    let rewards = expected.1.rewards.as_ref().unwrap();
    assert_eq!(rewards.names, ["contains", "length"]);
    assert_eq!(rewards.arms["trained"].means.len(), 2);
    assert!(expected.1.parts.contains_key("length") && expected.1.parts.contains_key("contains"));
    for part in 1..=4 {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(mixed(home.path(), Some(takes * part / 5)), expected, "killed after {part} fifths");
    }
    // The same rewards by the same weights, from the checkpoint and the journal.
    let mut eval = align_pro(whole.path(), ["eval"]);
    let output = eval.arg(whole.path().join("run")).args(["--json", "--threads", "1"]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, whole.path()));
    let again: Evaluation = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((again.arms, again.rewards), (expected.1.arms, expected.1.rewards));
}

/// A row that a reward cannot judge is found before anything is begun, not when its turn comes.
#[test]
fn a_row_without_what_the_reward_needs_is_refused_at_once() {
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path());
    let rows: String = (0..12)
        .map(|row| match row {
            7 => "{\"prompt\": \"p7\"}\n".to_owned(),
            _ => format!("{{\"prompt\": \"p{row}\", \"answer\": \"yes\"}}\n"),
        })
        .collect();
    std::fs::write(home.path().join("rows.jsonl"), rows).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text
        .replace("[reward.length]\nunit = \"characters\"\nat-most = 3", "[reward.exact-match]\nfield = \"answer\"")
        .replace(
            "[data.constraints]\ntrain = 24\nheld-out = 6\ntypes = [\"punctuation:no_comma\"]",
            "[data]\ntrain = \"rows.jsonl\"",
        );
    std::fs::write(&config, text).unwrap();
    let output = train(home.path(), &config).output().unwrap();
    let said = told(&output, home.path());
    assert_eq!(output.status.code(), Some(2), "{said}");
    for told in ["rows.jsonl`", "`exact-match` cannot judge", "`line 8`, field `answer`"] {
        assert!(said.contains(told), "{told}: {said}");
    }
    assert!(!home.path().join("run").exists());
}

/// A run of the tiny configuration on prompts in a file.
fn config_on_a_file(folder: &Path, prompts: &str) -> PathBuf {
    let path = config(folder);
    let text = std::fs::read_to_string(&path).unwrap();
    let made = "[data.constraints]\ntrain = 24\nheld-out = 6\ntypes = [\"punctuation:no_comma\"]\n";
    assert!(text.contains(made));
    std::fs::write(&path, text.replace(made, "[data]\ntrain = 'prompts.jsonl'\nheld-out-share = 0.5\n")).unwrap();
    std::fs::write(folder.join("prompts.jsonl"), prompts).unwrap();
    path
}

fn refused(mut command: Command, folder: &Path, expected: &str) {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", told(&output, folder));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_run_does_not_go_on_with_other_files_than_it_began_with() {
    let home = tempfile::tempdir().unwrap();
    let prompts = |word: &str| -> String {
        (0..12).map(|n| format!("{}\n", serde_json::json!({"prompt": format!("{word} {n}.")}))).collect()
    };
    let config = config_on_a_file(home.path(), &prompts("Count"));
    let output = train(home.path(), &config).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, home.path()));
    let result = std::fs::read(home.path().join("run/result.json")).unwrap();

    std::fs::write(home.path().join("prompts.jsonl"), prompts("Sing")).unwrap();
    refused(train(home.path(), &config), home.path(), "prompts.jsonl` has changed since the run in");
    assert_eq!(std::fs::read(home.path().join("run/result.json")).unwrap(), result);
    std::fs::write(home.path().join("prompts.jsonl"), prompts("Count")).unwrap();
    assert!(train(home.path(), &config).output().unwrap().status.success());
}

#[test]
fn what_was_refused_is_not_in_the_way_of_what_is_mended() {
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path());
    let mut mistaken = train(home.path(), &config);
    mistaken.args(["--set", "prompter.adapter=nowhere"]);
    refused(mistaken, home.path(), "nowhere");
    finished(home.path());
}

#[test]
fn a_folder_is_one_command_s_at_a_time() {
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path());
    std::fs::create_dir(home.path().join("run")).unwrap();
    let lock = std::fs::File::create(home.path().join("run/lock")).unwrap();
    lock.lock().unwrap();
    refused(train(home.path(), &config), home.path(), "is being worked on by another command");
    drop(lock);
    finished(home.path());
}
