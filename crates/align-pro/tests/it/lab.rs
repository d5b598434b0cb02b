//! `lab WORLD.json` and `lab fixed-point`.

use std::fs;

use serde_json::Value;

use crate::support::{align_pro, repository, tell, told};

const FIXTURE_A: &str = "crates/align-pro/testdata/worlds/fixture-a.json";
const FIXTURE_D: &str = "crates/align-pro/testdata/worlds/fixture-d.json";
const TWO_PROMPTS: &str = "crates/align-pro/testdata/worlds/two-prompts.json";

fn json(arguments: &[&str]) -> Value {
    let home = tempfile::tempdir().unwrap();
    let output = align_pro(home.path(), arguments).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, home.path()));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[track_caller]
fn close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "found {found}, expected {expected}");
    }
}

#[test]
fn fixture_a_is_reproduced() {
    let report = json(&["lab", FIXTURE_A, "--json"]);
    let prompt = report["prompts"][0].as_object().unwrap();
    let lists: [(&str, &[f64]); 4] = [
        ("value", &[0.25, 0.55, 0.80, 0.55]),
        ("rho_star", &[0.23125655170413362, 0.3160326829301862, 0.3473665377222848, 0.1053442276433954]),
        ("pi_star", &[0.09003057317038045, 0.24472847105479764, 0.6652409557748219]),
        ("bound_terms", &[0.5652409557748219, 0.27, -0.04349624920771532]),
    ];
    for (key, expected) in lists {
        close(&numbers(&prompt[key]), expected, 1e-12);
    }
    let scalars = [
        ("z", 2.8517614027376474),
        ("log_z", 2.0 * 0.5239684197116158),
        ("j_ref", 0.48),
        ("j_star", 0.5674646689193311),
        ("kl_star", 0.08699249841543064),
        ("kl_ref_star", 0.08793683942323163),
        ("j_rlhf", 0.5674646689193311 + 0.22014052238288961),
        ("gap", 0.22014052238288961),
        ("bound", 0.7917447065671066),
        ("bound_jeffreys", 0.7477762868554908),
        ("bound_merged", 0.26777628685549076),
        ("bound_direct", 0.2620112282623952),
    ];
    let mean = report["mean"].as_object().unwrap();
    for (key, expected) in scalars {
        close(&[prompt[key].as_f64().unwrap(), mean[key].as_f64().unwrap()], &[expected, expected], 1e-12);
    }
    assert_eq!(prompt.len(), lists.len() + scalars.len(), "no key more");
    assert_eq!(mean.len(), scalars.len(), "no key more");
    assert_eq!(report.as_object().unwrap().keys().collect::<Vec<_>>(), ["mean", "prompts"]);
}

/// Figures to ten digits: the last ones depend on the platform's exponential.
fn rounded(value: Value) -> Value {
    match value {
        Value::Array(entries) => entries.into_iter().map(rounded).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, rounded(value))).collect(),
        Value::Number(number) => format!("{:.10}", number.as_f64().unwrap()).into(),
        other => other,
    }
}

#[test]
fn help_texts() {
    insta::assert_snapshot!("help_lab", tell(["lab", "--help"]));
    insta::assert_snapshot!("help_lab_fixed_point", tell(["lab", "fixed-point", "--help"]));
}

#[test]
fn worlds_as_tables() {
    insta::assert_snapshot!("lab_fixture_a", tell(["lab", FIXTURE_A]));
    insta::assert_snapshot!("lab_two_prompts", tell(["lab", TWO_PROMPTS]));
    let report = rounded(json(&["lab", TWO_PROMPTS, "--json"]));
    insta::assert_snapshot!("lab_two_prompts_json", serde_json::to_string_pretty(&report).unwrap());
}

#[test]
fn methods_end_where_they_should() {
    for method in ["reinforce", "rloo", "ppo", "rpo", "exo_rw", "dpo_rw", "dpo", "iterative_dpo", "apo"] {
        let end = json(&["lab", "fixed-point", FIXTURE_A, "--method", method, "--json"]);
        assert!(end["tv_rho_star"].as_f64().unwrap() <= 1e-9, "{method}: {end}");
        close(&[end["lambda_eff"].as_f64().unwrap()], &[0.5], 1e-12);
    }
    for distance in ["sq", "bwd", "fwd"] {
        let options = ["--method", "rpo", "--beta", "1.5", "--eta", "3", "--distance", distance];
        let end = json(&[&["lab", "fixed-point", FIXTURE_A, "--json"], options.as_slice()].concat());
        assert!(end["tv_rho_star"].as_f64().unwrap() <= 1e-9, "{distance}: {end}");
    }
    let elsewhere = ["--method", "exo_rw", "--beta-pi", "0.7", "--beta-r", "0.5"];
    let end = json(&[&["lab", "fixed-point", FIXTURE_A, "--json"], elsewhere.as_slice()].concat());
    close(&[end["tv_rho_star"].as_f64().unwrap()], &[0.0702432844856], 2e-11);
}

#[test]
fn fixture_d_is_reproduced() {
    let policy = |options: &[&str]| {
        let arguments =
            [&["lab", "fixed-point", FIXTURE_D, "--json", "--beta", "0.5", "--scale", "1"], options].concat();
        numbers(&json(&arguments)["prompts"][0]["policy"])
    };
    let apo = policy(&["--method", "apo", "--alpha", "0.3", "--rounds", "3"]);
    close(&apo, &[0.005295869726458187, 0.02423456789371585, 0.970469562379826], 1e-12);
    let plain = policy(&["--method", "iterative_dpo", "--rounds", "3"]);
    close(&plain, &[0.015436855486759328, 0.046693766826991306, 0.9378693776862492], 1e-12);
    let sharpened = policy(&["--method", "alpha_dpo", "--alpha", "0.09"]);
    close(&sharpened, &[0.2390797712958536, 0.20464296785687489, 0.5562772608472715], 1e-12);
}

#[test]
fn fixed_points_as_tables() {
    insta::assert_snapshot!("lab_fixed_point", tell(["lab", "fixed-point", FIXTURE_A, "--method", "dpo"]));
    insta::assert_snapshot!("lab_fixed_point_sft", tell(["lab", "fixed-point", FIXTURE_A, "--method", "sft"]));
    let unknown = tell(["lab", "fixed-point", FIXTURE_A, "--method", "exo"]);
    insta::assert_snapshot!("lab_unknown_method", unknown);
    let unused = tell(["lab", "fixed-point", FIXTURE_A, "--method", "exo_rw", "--eta", "3"]);
    insta::assert_snapshot!("lab_unused_option", unused);
    let outside = tell(["lab", "fixed-point", FIXTURE_A, "--method", "dpo", "--beta=-1"]);
    insta::assert_snapshot!("lab_option_outside", outside);
}

#[test]
fn malformed_worlds_are_told_with_the_place() {
    let cases = [
        ("0.4, 0.3, 0.2, 0.1", "0.4, 0.4, 0.2, 0.1"),
        ("[0.1, 0.2, 0.7]", "[0.2, 0.2, 0.7]"),
        ("[0.1, 0.2, 0.7]", "[0.1, NaN, 0.7]"),
        ("[0.1, 0.2, 0.7]", "[0.1, \"0.2\", 0.7]"),
        ("[0.1, 0.2, 0.7]", "[0.3, 0.7]"),
        ("[0.1, 0.2, 0.7]", "[-0.1, 0.4, 0.7]"),
        (", [0.1, 0.2, 0.7]", ""),
        ("\"lambda\": 0.5", "\"lambda\": -0.5"),
        ("\"lambda\": 0.5", "\"lamda\": 0.5"),
        ("\"lambda\": 0.5,", ""),
        ("\"reward\": [[0, 0.5, 1]]", "\"reward\": [[0, 0.5, 1], [1]]"),
        ("\"beta\": 0.5", "\"beta\": 0.5, \"reward_range\": [0, 0.9]"),
        ("\"beta\": 0.5", "\"beta\": 0.5, \"weights\": [0]"),
        ("\"beta\": 0.5", "\"beta\": 0.5,"),
    ];
    let home = tempfile::tempdir().unwrap();
    let world = fs::read_to_string(repository().join(FIXTURE_A)).unwrap();
    let path = home.path().join("world.json");
    let mut all = String::new();
    for (good, bad) in cases {
        assert!(world.contains(good));
        fs::write(&path, world.replace(good, bad)).unwrap();
        let output = align_pro(home.path(), ["lab".as_ref(), path.as_os_str()]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        all += &format!("{good} -> {bad}\n{}\n", told(&output, home.path()));
    }
    insta::assert_snapshot!("lab_malformed", all);
    insta::assert_snapshot!("lab_missing_file", tell(["lab", "nowhere.json"]));
}
