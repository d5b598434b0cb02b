//! `init` and `config`: configurations as a user meets them.

use std::fs;
use std::path::Path;

use crate::support::{align_pro, repository, tell, told};

/// Runs in a folder of its own that holds `config.toml`.
fn about(config: &[u8], arguments: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("config.toml"), config).unwrap();
    run(home.path(), arguments)
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    told(&align_pro(folder, arguments).current_dir(folder).output().unwrap(), folder)
}

fn template(name: &str) -> String {
    fs::read_to_string(repository().join(format!("crates/align-pro/src/config/template/{name}.toml"))).unwrap()
}

const SHOW: &[&str] = &["config", "show", "config.toml"];

#[test]
fn help_texts() {
    for command in ["init", "config"] {
        insta::assert_snapshot!(format!("help_{command}"), tell([command, "--help"]));
    }
    insta::assert_snapshot!("help_config_show", tell(["config", "show", "--help"]));
}

#[test]
fn a_template_is_written_and_never_over_another_file() {
    let home = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("init", run(home.path(), &["init"]));
    assert_eq!(fs::read_to_string(home.path().join("config.toml")).unwrap(), template("constraints"));
    fs::write(home.path().join("config.toml"), "mine").unwrap();
    insta::assert_snapshot!("init_twice", run(home.path(), &["init", "--template", "gsm8k"]));
    assert_eq!(fs::read(home.path().join("config.toml")).unwrap(), b"mine");
    for name in ["gsm8k", "jsonl", "constraints"] {
        run(home.path(), &["init", "--force", "--template", name]);
        assert_eq!(fs::read_to_string(home.path().join("config.toml")).unwrap(), template(name));
        assert!(run(home.path(), SHOW).starts_with("exit code 0\n"), "{}", run(home.path(), SHOW));
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "a temporary file was left behind");
}

#[test]
fn plans() {
    insta::assert_snapshot!("config_show", about(template("constraints").as_bytes(), SHOW));
    let flags = ["--set", "prompter.temperature=0.8", "--set", "data.eval=x.csv", "--json"];
    insta::assert_snapshot!("config_show_json", about(template("jsonl").as_bytes(), &[SHOW, &flags].concat()));
}

#[test]
fn the_schema_is_what_is_checked_in() {
    let checked_in = fs::read_to_string(repository().join("crates/align-pro/config.schema.json")).unwrap();
    assert_eq!(tell(["config", "schema"]), format!("exit code 0\n--- stdout\n{checked_in}--- stderr\n"));
}

#[test]
fn files_that_cannot_be_read() {
    insta::assert_snapshot!("config_no_file", tell(["config", "show", "nowhere.toml"]));
    insta::assert_snapshot!("config_folder", tell(["config", "show", "crates"]));
    insta::assert_snapshot!("config_not_utf8", about(b"seed = 7\nname = \"\xff\"\n", SHOW));
    insta::assert_snapshot!("config_not_toml", about(b"seed = 7\n[prompter\nmodel = 1\n", SHOW));
}

/// Every mistake gets one error that names file, line and key, and what to do.
#[test]
fn mistakes() {
    let base = template("constraints");
    let edited = |from: &str, to: &str| {
        assert!(base.contains(from), "{from}");
        base.replacen(from, to, 1)
    };
    let rewarded = |reward: &str| edited("[reward.constraints]", reward).replace("strictness = \"strict\"", "");
    let cases = [
        ("empty file", String::new()),
        ("no seed", edited("seed = 7", "")),
        (
            "no method",
            edited("[method.rloo]", "[method]").replace("lambda = 0.05 ", "# ").replacen("group-size", "# ", 1),
        ),
        ("method missing", edited("[method.rloo]", "[schedule.rloo]")),
        ("two methods", edited("[optimizer]", "[method.ppo]\nlambda = 0.05\ngroup-size = 4\n[optimizer]")),
        ("unknown method", edited("[method.rloo]", "[method.rlo]")),
        ("method far from any", edited("[method.rloo]", "[method.gradient-descent]")),
        ("unknown table", edited("[optimizer]", "[optimiser]")),
        ("unknown key", edited("learning-rate", "learning_rte")),
        ("key of another table", edited("group-size = 4", "prompts-per-step = 4")),
        (
            "weight of no reward",
            edited("[reward.constraints]", "[reward-mix]\nweights = { length = 2 }\n[reward.constraints]"),
        ),
        ("average of one reward", edited("[reward.constraints]", "[reward-mix.owa]\n[reward.constraints]")),
        (
            "two targets",
            edited("[reward.constraints]", "[target.openai]\nbase-url = 'http://a'\nmodel = 'm'\n[reward.constraints]"),
        ),
        ("budget of a local target", edited("[reward.constraints]", "[budget]\nmax-calls = 9\n[reward.constraints]")),
        ("reward of the old shape", edited("[reward.constraints]", "[reward.verifier]\nkind = 'constraints'")),
        ("key twice", edited("seed = 7", "seed = 7\nseed = 8")),
        ("text for a number", edited("steps = 100", "steps = '100'")),
        ("number for text", edited("mode = \"augment\"", "mode = 3")),
        ("value for a table", edited("lora = { rank = 16, alpha = 32.0 }", "lora = 16")),
        ("unknown mode", edited("\"augment\"", "\"append\"")),
        ("cold prompter", edited("max-tokens = 64", "temperature = 0")),
        ("rank of none", edited("rank = 16", "rank = 0")),
        ("unknown adapter target", edited("rank = 16", "targets = ['q_proj', 'kproj']")),
        ("negative lambda", edited("lambda = 0.05", "lambda = -0.05")),
        ("group of one", edited("group-size = 4", "group-size = 1")),
        ("no steps", edited("steps = 100", "steps = 0")),
        ("seed too large", edited("seed = 7", "seed = 9223372036854775808")),
        ("all and none", edited("temperature = 0.7", "top-p = 1.5")),
        ("epsilon", edited("[method.rloo]", "[method.ppo]\nepsilon = 1")),
        ("no slot", edited("max-tokens = 64", "instruction = \"Make it better.\"")),
        ("unknown slot", edited("max-tokens = 64", "instruction = \"{prompt} {answer}\"")),
        ("no data", edited("[data.constraints]", "[data]\n[data.other]")),
        ("two kinds of data", edited("[data.constraints]", "[data]\ntrain = 'a.jsonl'\n[data.constraints]")),
        ("unknown constraint", edited("held-out = 200", "types = ['no_comma']")),
        (
            "bad pattern",
            edited("[reward.constraints]", "[reward.regex]\npattern = '(a'").replace("strictness = \"strict\"", ""),
        ),
        (
            "bad schema",
            edited("[reward.constraints]", "[reward.json-schema]\ntype = 'objekt'")
                .replace("strictness = \"strict\"", ""),
        ),
        ("command as one text", rewarded("[reward.command]\nargv = 'python3 score.py'")),
        ("command of nothing", rewarded("[reward.command]\nargv = []")),
        ("command without a program", rewarded("[reward.command]\nargv = ['', 'score.py']")),
        ("reward server without a scheme", rewarded("[reward.http]\nurl = 'localhost:8000/score'")),
        (
            "trials on nothing",
            edited("[schedule]", "[schedule]\nvalidate-every = 5").replacen(
                "[data.constraints]",
                "[data]\nvalidation-share = 0\n[data.constraints]",
                1,
            ),
        ),
    ];
    let told: Vec<String> =
        cases.iter().map(|(title, text)| format!("### {title}\n{}", about(text.as_bytes(), SHOW))).collect();
    insta::assert_snapshot!("config_mistakes", told.join("\n"));
}

#[test]
fn mistakes_in_flags() {
    let base = template("constraints");
    let sets = ["seed", "=1", "prompter.temprature=1", "seed.x=1", "eval.best-of=1", "method.ppo.lambda=1", "seed=[1"];
    let told: Vec<String> = sets
        .iter()
        .map(|set| format!("### {set}\n{}", about(base.as_bytes(), &[SHOW, &["--set", set]].concat())))
        .collect();
    insta::assert_snapshot!("config_mistakes_in_flags", told.join("\n"));
}
