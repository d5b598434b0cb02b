//! Reward models on a tiny random model: trained on pairs with a pattern, killed and gone on with, and used as a reward.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rollout::evaluate::Evaluation;
use rollout::reward::RewardCard;
use serde_json::{Value, json};

use crate::support::{align_pro, run_with, tell, tiny_model, told};

/// Pairs whose chosen response ends in "good" and whose rejected one ends in "bad", with lengths that say nothing.
fn pairs(folder: &Path, n: usize) -> PathBuf {
    let pair = |index: usize| {
        let (more, less) = ("so very ".repeat(index % 3), "so ".repeat((index + 1) % 4));
        let row = json!({
            "prompt": format!("question {index}?"), "chosen": format!("{more}good"), "rejected": format!("{less}bad"),
        });
        format!("{row}\n")
    };
    let path = folder.join("kind.jsonl");
    std::fs::write(&path, (0..n).map(pair).collect::<String>()).unwrap();
    path
}

fn train(home: &Path, out: &str, more: &[&str]) -> Command {
    let mut command = align_pro(home, ["reward", "train"]);
    command.arg(home.join("kind.jsonl")).arg("--out").arg(home.join(out)).arg("--model").arg(tiny_model());
    command.args([
        "--epochs",
        "4",
        "--pairs-per-step",
        "8",
        "--learning-rate",
        "0.01",
        "--rank",
        "2",
        "--max-response-tokens",
        "64",
    ]);
    command.args(["--validate-every", "10", "--json", "--threads", "1"]).args(more);
    command
}

fn card(output: &Output, home: &Path) -> RewardCard {
    assert!(output.status.success(), "{}", told(output, home));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A folder's files that are the reward model itself.
fn files(folder: &Path) -> [Vec<u8>; 3] {
    ["reward.json", "adapter_model.safetensors", "heads.safetensors"]
        .map(|file| std::fs::read(folder.join(file)).unwrap())
}

#[test]
fn a_reward_model_learns_a_pattern_and_says_how_well() {
    let home = tempfile::tempdir().unwrap();
    pairs(home.path(), 200);
    for backbone in ["lora", "frozen"] {
        let output = train(home.path(), backbone, &["--backbone", backbone]).output().unwrap();
        let card = card(&output, home.path());
        let attribute = &card.attributes[0];
        assert_eq!((attribute.name.as_str(), card.attributes.len()), ("kind", 1));
        let held_out = &attribute.held_out;
        let n = attribute.n_train + attribute.n_validation + held_out.n_pairs;
        assert_eq!((n, held_out.n_prompts), (200, held_out.n_pairs));
        assert!(held_out.accuracy.mean > 0.9 && held_out.over_length.interval[0] > 0.0, "{backbone}: {held_out:?}");

        let lines = "{\"prompt\": \"question 7?\", \"response\": \"so good\", \"id\": 7}\n\
                     {\"messages\": [{\"role\": \"user\", \"content\": \"question 7?\"}], \"response\": \"so bad\"}\n";
        let mut score = align_pro(home.path(), ["reward", "score"]);
        score.arg(home.path().join(backbone)).args(["--threads", "1"]);
        let scored = run_with(score, lines.as_bytes());
        assert!(scored.status.success(), "{}", told(&scored, home.path()));
        let scored: Vec<Value> =
            String::from_utf8(scored.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let reward = |line: &Value| line["rewards"]["kind"].as_f64().unwrap();
        assert_eq!(scored[0]["id"], 7);
        assert!(reward(&scored[0]) > reward(&scored[1]), "{scored:?}");
    }
}

#[test]
fn a_killed_training_goes_on_to_the_same_model() {
    let home = tempfile::tempdir().unwrap();
    pairs(home.path(), 120);
    let started = Instant::now();
    let whole = train(home.path(), "whole", &[]).output().unwrap();
    card(&whole, home.path());
    let takes = started.elapsed();
    let expected = files(&home.path().join("whole"));
    for moment in 0..8u32 {
        let out = format!("killed-{moment}");
        let mut child = train(home.path(), &out, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(takes * moment / 8 + Duration::from_millis(5));
        child.kill().unwrap();
        child.wait().unwrap();
        let output = train(home.path(), &out, &[]).output().unwrap();
        card(&output, home.path());
        assert!(files(&home.path().join(&out)) == expected, "killed at moment {moment}");
    }
}

#[test]
fn a_learned_reward_trains_a_prompter_and_tells_what_it_is_worth() {
    let home = tempfile::tempdir().unwrap();
    pairs(home.path(), 100);
    card(&train(home.path(), "kind", &["--backbone", "frozen"]).output().unwrap(), home.path());
    let config = home.path().join("run.toml");
    let text = format!(
        "seed = 3\nprompter = {{model = '{0}', mode = 'augment', max-tokens = 8, instruction = '{{prompt}}'}}\n\
         target.local = {{model = '{0}', max-tokens = 8}}\nreward.model = {{path = 'kind'}}\n\
         data.constraints = {{train = 8, held-out = 6, types = ['punctuation:no_comma']}}\n\
         method.rloo = {{lambda = 0.01, group-size = 2}}\nschedule = {{steps = 2, prompts-per-step = 2}}\n",
        tiny_model().display()
    );
    std::fs::write(&config, text).unwrap();
    let mut command = align_pro(home.path(), ["train"]);
    command.arg(&config).arg("--run").arg(home.path().join("run")).args(["--json", "--threads", "1"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", told(&output, home.path()));
    let result: Evaluation = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result.about.learned.unwrap().name, "kind");
    let report = std::fs::read_to_string(home.path().join("run/report.html")).unwrap();
    assert!(report.contains("was learned: it agrees with people on"));
    assert!(result.parts.contains_key("model.kind"), "{:?}", result.parts.keys());

    // Another model in its place is not taken for it.
    std::fs::remove_dir_all(home.path().join("kind")).unwrap();
    card(&train(home.path(), "kind", &["--backbone", "frozen", "--length-debiased"]).output().unwrap(), home.path());
    let output = align_pro(home.path(), ["eval"]).arg(home.path().join("run")).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", told(&output, home.path()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("has changed since the run in"));
}

#[test]
fn what_cannot_be_a_reward_model_is_told() {
    let home = tempfile::tempdir().unwrap();
    pairs(home.path(), 60);
    let fails = |command: &mut Command, expected: &str| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", told(&output, home.path()));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(expected), "{said}");
    };
    fails(
        &mut train(home.path(), "a", &["--held-out-share", "1.5"]),
        "`--held-out-share` must be at least 0 and below 1",
    );
    card(&train(home.path(), "b", &["--backbone", "frozen"]).output().unwrap(), home.path());
    fails(&mut train(home.path(), "b", &["--backbone", "frozen", "--seed", "9"]), "asked for in another way");
    std::fs::write(home.path().join("kind.jsonl"), "{\"prompt\": \"x\", \"chosen\": \"a\"}\n").unwrap();
    fails(&mut train(home.path(), "c", &[]), "line 1: no field `rejected`");
    // What was refused is not in the way of what is mended.
    pairs(home.path(), 60);
    card(&train(home.path(), "c", &["--backbone", "frozen"]).output().unwrap(), home.path());
    fails(&mut train(home.path(), "d", &["--max-prompt-tokens", "100000"]), "need a context of 100065 tokens");
    assert!(tell(["reward", "score", "/nowhere"]).contains("there is no reward model in `/nowhere`"));
}
