//! `lab objective` as a user sees it.

use std::io::Write;
use std::process::Stdio;

use crate::support::{align_pro, tell, told};

/// What the command says about this batch.
fn about(batch: &str, flags: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("batch.json");
    std::fs::write(&path, batch).unwrap();
    let arguments = ["lab", "objective", path.to_str().unwrap()].into_iter().chain(flags.iter().copied());
    told(&align_pro(home.path(), arguments).output().unwrap(), home.path())
}

const DPO: &str = r#"{"method": "dpo", "options": {"beta": 0.1}, "policy_chosen_logps": [-3.0, -6.5],
  "policy_rejected_logps": [-5.0, -6.0], "ref_chosen_logps": [-4.0, -6.5], "ref_rejected_logps": [-4.5, -6.0]}"#;

#[test]
fn evaluations() {
    insta::assert_snapshot!("lab_objective_dpo", about(DPO, &[]));
    insta::assert_snapshot!("lab_objective_dpo_json", about(DPO, &["--json"]));
    let grpo = r#"{"method": "grpo", "options": {"lambda": 0.04, "epsilon_high": 0.28},
        "token_logps": [[-0.5, -1.25], [-0.75], [-2.0, -0.1, -0.3]], "old_token_logps": [[-0.9, -1.25], [-0.7], [-2.0, -0.1, -0.3]],
        "ref_token_logps": [[-0.5, -1.0], [-1.0], [-2.5, -0.1, -0.1]], "rewards": [1.0, 0.25, 0.5]}"#;
    insta::assert_snapshot!("lab_objective_grpo", about(grpo, &[]));
}

#[test]
fn a_batch_from_standard_input() {
    let home = tempfile::tempdir().unwrap();
    let mut child = align_pro(home.path(), ["lab", "objective", "-", "--json"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(DPO.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(told(&output, home.path()), about(DPO, &["--json"]));
}

#[test]
fn schema() {
    insta::assert_snapshot!("lab_objective_schema", tell(["lab", "objective", "--schema"]));
    let json = tell(["lab", "objective", "--schema", "--json"]);
    assert!(json.starts_with("exit code 0\n--- stdout\n{"), "{json}");
}

#[test]
fn help() {
    insta::assert_snapshot!("help_lab_objective", tell(["lab", "objective", "--help"]));
}

/// Every malformed batch gets one error that names the place.
#[test]
fn malformed_batches() {
    let edited = |from: &str, to: &str| {
        assert!(DPO.contains(from), "{from}");
        DPO.replace(from, to)
    };
    let grpo = |fields: &str| format!(r#"{{"method": "grpo", "token_logps": [[-1.0, -0.5], [-2.0]], {fields}}}"#);
    let group = r#"{"method": "exo_rw", "policy_logps": [[-1, -2], [-1, -2, -3]], "ref_logps": [[-1, -2], [-1, -2]],
        "rewards": [[1, 0], [1, 0]], "options": {"beta_pi": 0.7, "beta_r": 0.5}}"#;
    let cases = [
        ("unknown method", edited("\"dpo\"", "\"dop\"")),
        ("method far from any", edited("\"dpo\"", "\"gradient descent\"")),
        ("no method", edited("\"method\": \"dpo\", ", "")),
        ("method not text", edited("\"dpo\"", "7")),
        ("unknown field", edited("ref_chosen_logps", "ref_choosen_logps")),
        ("unknown option", edited("beta", "betta")),
        ("option of another method", edited("beta\": 0.1", "gamma\": 0.1")),
        ("option of the wrong type", edited("0.1", "\"small\"")),
        ("option out of range", edited("0.1", "0")),
        ("missing field", edited(r#", "ref_rejected_logps": [-4.5, -6.0]"#, "")),
        ("wrong length", edited("[-4.0, -6.5]", "[-4.0]")),
        ("not a number", edited("-6.5],\n", "NaN],\n")),
        ("infinite", edited("[-4.0, -6.5]", "[-4.0, -Infinity]")),
        ("null entry", edited("[-4.0, -6.5]", "[-4.0, null]")),
        ("text for a list", edited("[-4.0, -6.5]", "\"-4.0\"")),
        ("nested where flat", edited("[-4.0, -6.5]", "[[-4.0], [-6.5]]")),
        ("empty", edited("\"policy_chosen_logps\": [-3.0, -6.5]", "\"policy_chosen_logps\": []")),
        ("cut file", DPO[..60].to_owned()),
        ("not a table", "[1, 2]".to_owned()),
        ("overflow", edited("[-4.0, -6.5]", "[1e308, -1e308]").replace("\"dpo\"", "\"ipo\"")),
        ("ragged group", group.to_owned()),
        ("needed option", group.replace("\"beta_pi\": 0.7, ", "").replace("[-1, -2, -3]", "[-1, -2]")),
        ("group of one", group.replace("[-1, -2, -3]", "[-1]").replace("-1, -2", "-1").replace("1, 0", "1")),
        ("rewards and advantages", grpo(r#""rewards": [1, 0], "advantages": [1, 0]"#)),
        ("neither", grpo(r#""group": [0, 0]"#)),
        ("group of one rewrite", grpo(r#""rewards": [1, 0], "group": [0, 1]"#)),
        ("group no index", grpo(r#""rewards": [1, 0], "group": [0, 0.5]"#)),
        ("ragged tokens", grpo(r#""rewards": [1, 0], "old_token_logps": [[-1.0, -0.5], [-2.0, -1.0]]"#)),
        ("no reference", grpo(r#""rewards": [1, 0], "options": {"lambda": 0.1}"#)),
        ("unknown choice", grpo(r#""rewards": [1, 0], "options": {"normaliser": "words"}"#)),
        ("lengths to average", edited("0.1}", "0.1, \"average\": true}")),
        (
            "length of zero",
            edited("0.1}", "0.1, \"average\": true}, \"chosen_lengths\": [3, 0], \"rejected_lengths\": [3, 4]"),
        ),
    ];
    let text: Vec<String> = cases.iter().map(|(title, batch)| format!("## {title}\n{}", about(batch, &[]))).collect();
    for (said, (title, _)) in text.iter().zip(&cases) {
        assert!(said.contains("exit code 2\n--- stdout\n--- stderr\nerror: "), "{title}: {said}");
    }
    insta::assert_snapshot!("lab_objective_malformed", text.join("\n"));
}

#[test]
fn a_field_that_is_not_read_is_worth_a_warning() {
    let batch = DPO.replace("\"method\"", "\"chosen_rewards\": [1, 1], \"method\"");
    let said = about(&batch, &["--json"]);
    assert!(said.starts_with("exit code 0\n"), "{said}");
    assert!(said.ends_with("--- stderr\nwarning: `dpo` does not read the field `chosen_rewards`\n"), "{said}");
}

#[test]
fn a_missing_file() {
    insta::assert_snapshot!("lab_objective_missing_file", tell(["lab", "objective", "nowhere.json"]));
}
