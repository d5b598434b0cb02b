//! `model score`, on tiny random models and on the real SmolLM2.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{align_pro, real_home, run_with, told};

const TINY: &str = "crates/lm/testdata/models/llama/model.gguf";

fn score(home: &Path, arguments: &[&str], input: &str) -> Output {
    let all = ["model", "score"].iter().chain(arguments);
    run_with(align_pro(home, all), input.as_bytes())
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", told(output, Path::new("?")));
    let lines = output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().filter_map(Value::as_f64).collect()
}

#[test]
fn bad_lines_are_told_with_their_place_and_the_fix() {
    let check = |name: &str, input: &str| {
        insta::assert_snapshot!(name, told(&score(Path::new("nowhere"), &[TINY], input), Path::new("nowhere")));
    };
    check("score_bad_type", "{\"text\": \"a\"}\n\n{\"text\": 3}\n");
    check("score_bad_json", "{\"text\": \"a\n");
    check("score_both", "{\"text\": \"a\", \"messages\": [{\"role\": \"user\", \"content\": \"b\"}]}");
    check("score_bad_prefix", "{\"text\": \"a\", \"prefix\": [1]}");
    check("score_no_template", "{\"messages\": [{\"role\": \"user\", \"content\": \"b\"}]}");
}

#[test]
fn every_token_but_the_first_is_scored() {
    let home = tempfile::tempdir().unwrap();
    let input = "{\"text\": \"abcab\", \"id\": 4}\n{\"text\": \"\"}\n{\"prefix\": \"abc\", \"text\": \"ab\"}\n";
    let lines = lines(&score(home.path(), &[TINY], input));
    assert_eq!(lines[0]["id"], 4);
    assert!(lines[0]["token_logps"][0].is_null() && lines[0]["token_logps"][1].is_f64(), "{}", lines[0]);
    assert_eq!(lines[0]["tokens"].as_array().unwrap().len(), lines[0]["token_logps"].as_array().unwrap().len());
    let logps = numbers(&lines[2]["token_logps"]);
    assert_eq!(logps.len(), lines[2]["tokens"].as_array().unwrap().len());
    assert!((logps.iter().sum::<f64>() - lines[2]["logp"].as_f64().unwrap()).abs() < 1e-6);
    assert!(lines[2]["prefix_tokens"].as_u64().unwrap() > 0);
}

#[test]
fn a_document_sums_the_lines_up() {
    let home = tempfile::tempdir().unwrap();
    let input = "{\"text\": \"abcab\"}\n{\"text\": \"bcd\"}\n";
    let output = score(home.path(), &[TINY, "--json", "--precision", "f32"], input);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["precision"], "f32");
    let sum: f64 = document["lines"].as_array().unwrap().iter().map(|line| line["logp"].as_f64().unwrap()).sum();
    assert!((sum - document["logp"].as_f64().unwrap()).abs() < 1e-9);
}

/// What is generated is scored the same: the greedy answer's own log-probabilities come back, token by token.
#[test]
fn scores_of_the_real_model_agree_with_its_own_samples() {
    let question = "What is the capital of France?";
    let arguments = [
        "model",
        "generate",
        "smollm2-135m-instruct",
        question,
        "--greedy",
        "--precision",
        "f32",
        "--max-tokens",
        "40",
        "--json",
    ];
    let generated = align_pro(real_home(), arguments).output().unwrap();
    let generated: Value = serde_json::from_slice(&generated.stdout).unwrap();
    let sample = &generated["results"][0]["samples"][0];

    let prefix = json!([{"role": "user", "content": question}]);
    let answer = json!([{"role": "assistant", "content": sample["text"]}]);
    let line = json!({"prefix": prefix, "messages": answer}).to_string();
    let scored = lines(&score(real_home(), &["smollm2-135m-instruct", "--precision", "f32"], &line));

    let sampled = sample["tokens"].as_array().unwrap();
    assert_eq!(&scored[0]["tokens"].as_array().unwrap()[..sampled.len()], &sampled[..]);
    let (ours, theirs) = (numbers(&scored[0]["token_logps"]), numbers(&sample["plain_token_logps"]));
    assert_eq!(ours[..theirs.len()], theirs[..], "bit for bit");
}
