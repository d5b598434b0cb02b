//! `model generate`, on tiny random models and on the real SmolLM2.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::{align_pro, real_home, run_with, tell, told};

const TINY: &str = "crates/lm/testdata/models/llama/model.gguf";

fn generate(home: &Path, arguments: &[&str], input: &str) -> Output {
    let all = ["model", "generate"].iter().chain(arguments);
    run_with(align_pro(home, all), input.as_bytes())
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", told(output, Path::new("?")));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The samples' texts, of the first prompt.
fn texts(document: &Value) -> Vec<String> {
    let samples = document["results"][0]["samples"].as_array().unwrap();
    samples.iter().map(|sample| sample["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn errors_before_any_work() {
    insta::assert_snapshot!("generate_no_prompt", tell(["model", "generate", TINY]));
    insta::assert_snapshot!("generate_temperature", tell(["model", "generate", TINY, "x", "--temperature", "0"]));
    insta::assert_snapshot!("generate_no_samples", tell(["model", "generate", TINY, "x", "-n", "0"]));
    insta::assert_snapshot!("generate_conflict", tell(["model", "generate", TINY, "x", "--greedy", "--top-k", "5"]));
    insta::assert_snapshot!("generate_no_template", tell(["model", "generate", TINY, "x", "--system", "be kind"]));
    insta::assert_snapshot!("generate_no_file", tell(["model", "generate", TINY, "--input", "no-such.jsonl"]));
    insta::assert_snapshot!(
        "generate_no_adapter",
        tell(["model", "generate", TINY, "x", "--adapter", "no-such-folder"])
    );
    let bad = generate(Path::new("nowhere"), &[TINY, "--input", "-"], "{\"prompt\": \"a\"}\n{\"promt\": \"b\"}\n");
    insta::assert_snapshot!("generate_bad_line", told(&bad, Path::new("nowhere")));
}

#[test]
fn a_document_has_tokens_and_both_log_probabilities() {
    let home = tempfile::tempdir().unwrap();
    let arguments = [TINY, "ab", "--json", "-n", "2", "--max-tokens", "5", "--temperature", "0.5", "--top-k", "4"];
    let document = json(&generate(home.path(), &arguments, ""));
    assert_eq!(document["model"], TINY);
    let samples = document["results"][0]["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 2);
    for sample in samples {
        let length = sample["tokens"].as_array().unwrap().len();
        for field in ["token_texts", "token_logps", "plain_token_logps"] {
            assert_eq!(sample[field].as_array().unwrap().len(), length, "{field}");
        }
        let sum: f64 = sample["token_logps"].as_array().unwrap().iter().map(|logp| logp.as_f64().unwrap()).sum();
        assert!((sum - sample["logp"].as_f64().unwrap()).abs() < 1e-6);
        assert!(["length", "stop_token"].contains(&sample["finish"].as_str().unwrap()));
    }
}

#[test]
fn the_same_seed_gives_the_same_text_in_any_company() {
    let home = tempfile::tempdir().unwrap();
    let with_seed = |seed: &str| {
        texts(&json(&generate(
            home.path(),
            &[TINY, "ab", "--json", "-n", "3", "--max-tokens", "8", "--seed", seed],
            "",
        )))
    };
    let alone = with_seed("7");
    assert_eq!(alone, with_seed("7"));
    assert_ne!(alone, with_seed("8"));
    assert_ne!(alone[0], alone[1]);

    let lines = "{\"prompt\": \"zz\"}\n{\"prompt\": \"ab\", \"id\": \"mine\"}\n{\"prompt\": \"q\"}\n";
    let batch = generate(home.path(), &[TINY, "--input", "-", "-n", "3", "--max-tokens", "8", "--seed", "7"], lines);
    let answers: Vec<Value> =
        batch.stdout.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    assert_eq!(answers.len(), 3, "{}", told(&batch, home.path()));
    assert_eq!(answers[1]["id"], "mine");
    assert_eq!(texts(&serde_json::json!({"results": [answers[1]]})), alone);
}

#[test]
fn an_adapter_changes_what_is_said() {
    let home = tempfile::tempdir().unwrap();
    let say = |more: &[&str]| {
        let arguments =
            [&["crates/lm/testdata/models/llama", "ab", "--json", "--greedy", "--max-tokens", "3"], more].concat();
        json(&generate(home.path(), &arguments, ""))["results"][0]["samples"][0]["plain_token_logps"].clone()
    };
    assert_ne!(say(&[]), say(&["--adapter", "crates/lm/testdata/models/llama/adapter"]));
}

/// What SmolLM2 answers greedily in f32, word for word.
#[test]
fn the_real_model_answers() {
    let arguments = [
        "smollm2-135m-instruct",
        "What is the capital of France?",
        "--greedy",
        "--precision",
        "f32",
        "--max-tokens",
        "40",
    ];
    let output = generate(real_home(), &arguments, "");
    assert!(output.status.success(), "{}", told(&output, real_home()));
    insta::assert_snapshot!("generate_real", String::from_utf8(output.stdout).unwrap());
    let rate = String::from_utf8(output.stderr).unwrap();
    assert!(rate.contains("tokens/s"), "{rate}");
}

#[test]
fn a_stop_string_ends_the_text_before_it() {
    let arguments = [
        "smollm2-135m-instruct",
        "-",
        "--greedy",
        "--precision",
        "f32",
        "--max-tokens",
        "40",
        "--stop",
        "Paris",
        "--json",
    ];
    let document = json(&generate(real_home(), &arguments, "What is the capital of France?"));
    let sample = &document["results"][0]["samples"][0];
    assert_eq!(sample["finish"], "stop_string", "{document}");
    assert!(!sample["text"].as_str().unwrap().contains("Paris"));
}

#[cfg(unix)]
#[test]
fn an_interrupted_generation_ends_with_130() {
    let arguments = ["model", "generate", "smollm2-135m-instruct", "Tell a long story.", "--max-tokens", "4000"];
    let child = align_pro(real_home(), arguments).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let sent = std::process::Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", told(&output, real_home()));
}
