//! What is read, what is refused, and that the table of fields and the types behind it agree.

use std::path::Path;

use proptest::prelude::*;
use rollout::reward::{Abstention, Verifier};
use train::options::{LoraOptions, OptimizerOptions};

use super::data::{HeldOutPrompts, TrainPrompts};
use super::fields::{Absent, Field, Kind, ROOT};
use super::plan::{PrecisionName, TargetPlan};
use super::reward::OneReward;
use super::*;
use crate::arguments::TemplateName;

/// The least that is a configuration.
const LEAST: &str = r#"
seed = 7
[prompter]
model = "smollm2-135m-instruct"
mode = "augment"
[target.local]
model = "smollm2-135m-instruct"
[reward.constraints]
[data]
train = "prompts.jsonl"
[method.rloo]
lambda = 0.05
group-size = 4
[schedule]
steps = 100
prompts-per-step = 8
"#;

fn read(text: &str, sets: &[&str]) -> Result<Plan, Problem> {
    let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
    resolve(text, &sets, Path::new("/runs"))
}

/// The least with flags over it, or what is said against them.
fn with(sets: &[&str]) -> Result<Plan, String> {
    read(LEAST, sets).map_err(|problem| problem.to_string())
}

fn refused(set: &str) -> String {
    with(&[set]).unwrap_err()
}

#[test]
fn defaults_are_those_of_the_types() {
    let plan = read(LEAST, &[]).unwrap();
    assert_eq!(plan.optimizer, OptimizerOptions::default());
    assert_eq!(plan.prompter.lora, LoraOptions::default());
    assert_eq!(plan.rails, rollout::rails::Rails::default());
    let schedule = toml::from_str("steps = 100\nprompts-per-step = 8").unwrap();
    assert_eq!(plan.schedule, schedule);
    let ppo: Table = "ppo = {lambda = 0.1, group-size = 2}".parse().unwrap();
    let swapped = LEAST.replace("rloo]\nlambda = 0.05\ngroup-size = 4", "ppo]\nlambda = 0.1\ngroup-size = 2");
    assert_eq!(read(&swapped, &[]).unwrap().method, train::options::Method::deserialize(Value::Table(ppo)).unwrap());
    for reward in ["constraints = {}", "contains = {wanted = {field = 'a'}}", "length = {unit = 'words'}"] {
        let expected = Verifier::deserialize(Value::Table(reward.parse().unwrap())).unwrap();
        let plan = read(&LEAST.replace("[reward.constraints]", &format!("[reward]\n{reward}")), &[]).unwrap();
        assert_eq!(plan.reward.0, [OneReward::Verifier(expected)]);
    }
    assert_eq!((plan.length_penalty, plan.prompter.precision), (0.0, PrecisionName::Auto));
}

#[test]
fn a_frozen_target_is_kept_in_what_is_fastest() {
    let precision = |settings: &[&str]| {
        let plan = read(LEAST, settings).unwrap();
        let TargetPlan::Local(target) = &plan.target else { panic!("a local target") };
        lm::Precision::from(plan.target_precision(target))
    };
    let expected = match lm::frozen_precision() {
        lm::Precision::Int8 => lm::Precision::Int8,
        _ => lm::Precision::Auto,
    };
    assert_eq!(precision(&[]), expected);
    assert_eq!(precision(&["target.local.precision=f32"]), lm::Precision::F32);
    assert_eq!(precision(&["train.what=target"]), lm::Precision::Auto, "what is trained needs gradients");
}

#[test]
fn linear_maps_are_those_of_the_engine() {
    assert_eq!(LoraOptions::default().targets, lm::Linear::ALL.map(lm::Linear::name));
}

/// For every key of the table: its value is taken by the types, and comes back from them under the same name.
#[test]
fn fields_and_types_agree() {
    let mut n_checked = 0;
    for (key, value) in examples(ROOT.fields(), "") {
        let mut base = LEAST.to_owned();
        for (kind, written) in
            [("method", "[method.rloo]\nlambda = 0.05\ngroup-size = 4\n"), ("reward", "[reward.constraints]\n")]
        {
            if key.starts_with(&format!("{kind}.")) {
                base = base.replace(written, "");
            }
        }
        if key.starts_with("target.openai") || key.starts_with("budget") {
            base = base.replace("[target.local]\nmodel = \"smollm2-135m-instruct\"\n", "");
        }
        if key.starts_with("data.constraints") || key == "data.eval" {
            base = base.replace("train = \"prompts.jsonl\"", "");
        }
        let mut sets = needed_beside(&key);
        sets.push(format!("{key}={value}"));
        let plan = resolve(&base, &sets, Path::new("/runs"))
            .unwrap_or_else(|problem| panic!("{key} = {value} with {sets:?}: {problem}"));
        let written = Value::try_from(&plan).unwrap();
        let found = key.split('.').try_fold(&written, |table, part| table.get(part));
        let found = found.unwrap_or_else(|| panic!("{key} is not in the plan: {written}"));
        let expected: Value = value.parse().unwrap();
        assert!(same(found, &expected), "{key}: {found} where {expected} was written");
        n_checked += 1;
    }
    assert!(n_checked > 90, "only {n_checked} values were tried");
}

/// Every key of a plan is a key of the table, and what is not refused or optional is always there.
#[test]
fn plans_hold_exactly_the_fields() {
    let plan = Value::try_from(read(LEAST, &[]).unwrap()).unwrap();
    agree(ROOT.fields(), plan.as_table().unwrap(), "");
}

fn agree(fields: &[Field], table: &Table, at: &str) {
    for key in table.keys() {
        assert!(fields.iter().any(|field| field.name == key), "{at}{key} is in no table of fields");
    }
    for field in fields {
        match (table.get(field.name), &field.kind) {
            (Some(Value::Table(inner)), Kind::Table(below) | Kind::OneOf(below) | Kind::SomeOf(below)) => {
                agree(below, inner, &format!("{at}{}.", field.name));
            }
            (None, _) => assert!(matches!(field.absent, Absent::Nothing | Absent::Rule(_)), "{at}{}", field.name),
            (Some(_), _) => (),
        }
    }
}

/// Values for every key below, as TOML.
fn examples(fields: &'static [Field], at: &str) -> Vec<(String, String)> {
    let of_field = |field: &'static Field| -> Vec<(String, String)> {
        let key = format!("{at}{}", field.name);
        let values: Vec<String> = match &field.kind {
            Kind::Table(fields) | Kind::OneOf(fields) | Kind::SomeOf(fields) => {
                return examples(fields, &format!("{key}."));
            }
            Kind::Text | Kind::Name if field.name == "instruction" => {
                vec!["'Mend {prompt} in {words} words'".to_owned()]
            }
            Kind::Name if field.name == "base-url" || field.name == "url" => {
                vec!["'http://localhost:8080/v1'".to_owned()]
            }
            Kind::Text | Kind::Name => vec!["'text'".to_owned()],
            Kind::Path => vec!["'/somewhere/else'".to_owned()],
            Kind::Model => vec!["'gemma3-270m'".to_owned()],
            Kind::Whole(least, _) => vec![least.max(&2).to_string()],
            Kind::Number(..) => vec!["0.25".to_owned()],
            Kind::Choice(names) => names.iter().map(|name| format!("'{name}'")).collect(),
            Kind::List(_, Kind::Whole(..)) => vec!["[2, 7]".to_owned()],
            Kind::List(_, Kind::Choice(names)) => vec![format!("{:?}", &names[..2])],
            Kind::List(..) if field.name == "types" => vec!["['punctuation:no_comma']".to_owned()],
            Kind::List(..) => vec!["['text', 'another']".to_owned()],
            Kind::Argv => vec!["['text', '', 'text']".to_owned()],
            Kind::Json if key == "reward-mix.weights" => vec!["{ constraints = 2.0 }".to_owned()],
            Kind::Json => vec!["{ type = 'object' }".to_owned()],
        };
        values.into_iter().map(|value| (key.clone(), value)).collect()
    };
    fields.iter().flat_map(of_field).collect()
}

/// What must be set for a key to be allowed at all.
fn needed_beside(key: &str) -> Vec<String> {
    for table in ["judge", "reward.judge"] {
        if let Some(key) = key.strip_prefix(&format!("{table}.")) {
            let needed: &[&str] = match key {
                _ if key.starts_with("local") => &["local.model=m"],
                "budget.max-cost" => &["openai.base-url=http://a", "openai.model=m", "budget.prompt-price=1"],
                _ => &["openai.base-url=http://a", "openai.model=m"],
            };
            return needed.iter().map(|set| format!("{table}.{set}")).collect();
        }
    }
    let needed: &[&str] = match key {
        "schedule.patience" => &["schedule.validate-every=5"],
        "data.eval" => &["data.train=prompts.jsonl"],
        _ if key.starts_with("target.openai") => &["target.openai.base-url=https://a/v1", "target.openai.model=m"],
        "budget.max-cost" => &["target.openai.base-url=http://a", "target.openai.model=m", "budget.prompt-price=1"],
        _ if key.starts_with("budget") => &["target.openai.base-url=http://a", "target.openai.model=m"],
        _ if key.starts_with("reward-mix.owa") => &["reward.length.unit=words"],
        _ if key.starts_with("method.rloo") => &["method.rloo.lambda=0", "method.rloo.group-size=4"],
        _ if key.starts_with("method.ppo") => &["method.ppo.lambda=0", "method.ppo.group-size=4"],
        _ if key.starts_with("reward.exact-match") => &["reward.exact-match.field=answer"],
        _ if key.starts_with("reward.contains.letter") => &["reward.contains.wanted.field=answer"],
        _ if key.starts_with("reward.command") => &["reward.command.argv=['a']"],
        _ if key.starts_with("reward.http") => &["reward.http.url=http://a"],
        _ if key.starts_with("reward.length") => &["reward.length.unit=words"],
        _ if key.starts_with("reward.model") => &["reward.model.path=/rewards/hh"],
        _ if key.starts_with("data.constraints") => &["data.constraints.train=10"],
        _ => &[],
    };
    needed.iter().map(|set| set.to_string()).collect()
}

fn same(found: &Value, expected: &Value) -> bool {
    found == expected || check::as_number(found) == check::as_number(expected)
}

#[test]
fn a_plan_is_a_configuration_that_resolves_to_itself() {
    let texts = [TemplateName::Constraints, TemplateName::Gsm8k, TemplateName::Jsonl].map(template::text);
    let variants: [&[&str]; 4] = [
        &[],
        &["schedule.validate-every=5", "prompter.instruction=Mend {prompt}", "target.local.top-k=40"],
        &["data.eval=held-out.csv", "prompter.adapter=adapters/first", "optimizer.learning-rate=3e-5"],
        &["prompter.temperature=0.7", "target.local.temperature=0", "eval.best-of=4", "seed=9223372036854775807"],
    ];
    for text in texts.into_iter().chain([LEAST]) {
        for sets in variants {
            let Ok(plan) = read(text, sets) else { continue };
            let written = toml::to_string(&plan).unwrap();
            assert_eq!(toml::from_str::<Plan>(&written).unwrap(), plan, "{written}");
            assert_eq!(resolve(&written, &[], Path::new("/elsewhere")).unwrap(), plan, "{written}");
            let json = serde_json::to_string(&plan).unwrap();
            assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan, "{json}");
        }
    }
}

#[test]
fn verifiers_come_back_as_they_were() {
    let rewards = [
        r#"regex = {pattern = '^\d+ "x"$'}"#,
        "json-schema = {type = 'object', required = ['a'], properties = {a = {type = 'string', pattern = '^b'}}}",
        "contains = {wanted = {texts = ['a', 'b']}, letter-case = 'insensitive'}",
        "exact-match = {field = 'answer', after = 'The answer is'}",
        "command = {argv = ['python3', '-c', 'import \"x\"', '-c'], batch = 3}",
        "http = {url = 'http://localhost:8000/score', api-key-env = 'A_KEY'}",
    ];
    for reward in rewards {
        let text = LEAST.replace("[reward.constraints]", &format!("[reward]\n{reward}"));
        let plan = read(&text, &[]).unwrap();
        let again: Plan = toml::from_str(&toml::to_string(&plan).unwrap()).unwrap();
        assert_eq!(again, plan);
        assert_ne!(again.reward, read(LEAST, &[]).unwrap().reward);
    }
}

#[test]
fn a_judge_is_one_model_and_comes_back_as_it_was() {
    let judged = LEAST.replace(
        "[reward.constraints]",
        "[reward.judge.local]\nmodel = 'm'\n[judge.openai]\nbase-url = 'http://a'\nmodel = 'n'",
    );
    let plan = read(&judged, &[]).unwrap();
    let [OneReward::Judge(grading)] = plan.reward.0.as_slice() else { panic!("{:?}", plan.reward) };
    assert_eq!((grading.scale, grading.abstain), ([1, 10], Abstention::Middle));
    let local = grading.local.as_ref().unwrap();
    assert_eq!((local.temperature, local.max_tokens, local.responses), (0.0, 32, 1));
    let written = toml::to_string(&plan).unwrap();
    assert!(written.contains("top-p = 0.95"), "{written}");
    assert_eq!(read(&written, &[]).unwrap(), plan);
    assert_eq!(read(LEAST, &[]).unwrap().judge, None);

    let problem = |sets: &[&str]| read(&judged, sets).unwrap_err().to_string();
    let scale = problem(&["reward.judge.scale=[5, 4]"]);
    assert!(
        scale.ends_with("`reward.judge.scale`: must be the lowest and then the highest grade, found 5 and 4"),
        "{scale}"
    );
    let scale = problem(&["reward.judge.scale=[1, 2, 3]"]);
    assert!(scale.contains("`reward.judge`: ") && scale.contains("length 3"), "{scale}");
    let both = problem(&["judge.local.model=m"]);
    assert!(both.ends_with("`judge`: has both `local` and `openai`, and exactly one is allowed"), "{both}");
    let neither = read(&LEAST.replace("[reward.constraints]", "[reward.judge]"), &[]).unwrap_err().to_string();
    assert!(neither.contains("`reward.judge`: has neither `local` nor `openai`"), "{neither}");
    let budget = problem(&["reward.judge.budget.max-calls=5"]);
    assert!(budget.contains("`reward.judge.budget`: is for `openai`"), "{budget}");
    let price = problem(&["judge.budget.max-cost=5"]);
    assert!(price.contains("`judge.budget.max-cost`: needs `prompt-price`"), "{price}");
    let url = problem(&["judge.openai.base-url=ftp://a"]);
    assert!(url.contains("`judge.openai.base-url`: must begin with"), "{url}");
}

#[test]
fn a_run_goes_on_with_another_connection_and_another_judge_of_pairs_but_not_with_other_grades() {
    let judged = LEAST.replace("[reward.constraints]", "[reward.judge.openai]\nbase-url = 'http://a'\nmodel = 'n'");
    let plan = read(&judged, &[]).unwrap();
    let goes_on = |sets: &[&str]| read(&judged, sets).unwrap().continues(&plan);
    assert!(goes_on(&["reward.judge.budget.max-calls=9", "reward.judge.openai.timeout=5", "judge.local.model=m"]));
    assert!(!goes_on(&["reward.judge.openai.model=o"]) && !goes_on(&["reward.judge.criteria=brevity"]));
}

#[test]
fn paths_and_models_are_found_from_the_files_folder() {
    let plan = with(&["prompter.adapter=a/b", "data.eval=../x.csv", "prompter.model=./mine.gguf"]).unwrap();
    assert_eq!(plan.data.train, TrainPrompts::File("/runs/prompts.jsonl".into()));
    assert_eq!(plan.data.held_out, HeldOutPrompts::File("/runs/../x.csv".into()));
    assert_eq!(plan.prompter.adapter, Some("/runs/a/b".into()));
    assert_eq!(plan.prompter.model, "/runs/mine.gguf");
    assert_eq!(with(&["prompter.model=hf:org/name"]).unwrap().prompter.model, "hf:org/name");
    assert_eq!(with(&["prompter.model=smollm3"]).unwrap().prompter.model, "smollm3");
    assert_eq!(with(&["prompter.model=/m/x"]).unwrap().prompter.model, "/m/x");
}

#[test]
fn what_is_held_out_follows_from_the_data() {
    let share = |sets: &[&str]| {
        let plan = with(sets).unwrap();
        (plan.data.held_out, plan.data.validation_share)
    };
    assert_eq!(share(&[]), (HeldOutPrompts::Share(0.2), 0.0));
    assert_eq!(share(&["schedule.validate-every=5"]).1, 0.1);
    assert_eq!(share(&["schedule.validate-every=5", "data.validation-share=0.3"]).1, 0.3);
    let made = read(&LEAST.replace("train = \"prompts.jsonl\"", "constraints = {train = 10}"), &[]).unwrap();
    assert_eq!(made.data.train, TrainPrompts::Constraints { n: 10, types: vec![] });
    assert_eq!(made.data.held_out, HeldOutPrompts::Constraints { n: 200, types: vec![] });
}

#[test]
fn flags_are_toml_or_plain_words() {
    let instruction = "Mend, shortly: {prompt}";
    let plan = with(&[&format!("prompter.instruction={instruction}"), "prompter.lora={rank = 4}"]).unwrap();
    assert_eq!((plan.prompter.instruction.as_deref(), plan.prompter.lora.rank), (Some(instruction), 4));
    let plan =
        with(&["prompter.lora.targets=['q_proj']", " prompter.mode = \"rewrite\" ", "seed=1", "seed=2"]).unwrap();
    assert_eq!((plan.prompter.lora.targets, plan.seed), (vec!["q_proj".to_owned()], 2));
    assert_eq!(refused("seed"), "flag `--set`: expected KEY=VALUE, found `seed`");
    assert_eq!(refused(".seed=1"), "flag `--set`: expected KEY=VALUE, found `.seed=1`");
    assert_eq!(refused("metod.rloo.lambda=1"), "flag `--set`, `metod`: unknown key");
    let both = "has both `train` and `constraints`, and exactly one is needed";
    assert_eq!(refused("data.constraints={train = 9}"), format!("flag `--set`, `data`: {both}"));
    let both = "has both `local` and `openai`, and exactly one is allowed";
    assert_eq!(refused("target.openai.model=m"), format!("flag `--set`, `target`: {both}"));
    assert_eq!(refused("seed.a=1"), "flag `--set`, `seed`: expected a table, found 7");
    assert!(refused("seed=[1").starts_with("flag `--set`, `seed`: not a value: "));
    // A value is one value, whatever stands on its further lines.
    assert!(
        refused("seed=1\n[method.ppo]").starts_with("flag `--set`, `seed`: expected a whole number, found the text")
    );
}

#[test]
fn values_out_of_their_limits_are_refused() {
    let check = |set: &str, expected: &str| {
        let key = set.split('=').next().unwrap();
        assert_eq!(refused(set), format!("flag `--set`, `{key}`: {expected}"), "{set}");
    };
    check("prompter.temperature=0", "expected a number from 0.001 to 100, found 0");
    check("prompter.temperature=nan", "expected a number that 32 bits can hold, found nan");
    check("method.rloo.group-size=1", "expected a whole number from 2 to 4096, found 1");
    check("method.rloo.group-size=2.5", "expected a whole number, found 2.5");
    check("method.rloo.lambda=-0.1", "expected a number of at least 0, found -0.1");
    check("method.rloo.lambda=inf", "expected a number that 32 bits can hold, found inf");
    check("method.rloo.lambda=1e300", "expected a number that 32 bits can hold, found 1e300");
    check("prompter.lora.rank=0", "expected a whole number from 1 to 4096, found 0");
    check("prompter.lora.targets=[]", "needs at least 1, found an empty list");
    check("prompter.lora.targets=['q_proj','q_proj']", "has the text \"q_proj\" twice");
    check("schedule.steps=0", "expected a whole number from 1 to 1000000000, found 0");
    check("target.local.top-p=0", "expected a number above 0 and of at most 1, found 0");
    check("target.local.top-p=1e-60", "expected a number above 0 and of at most 1, found 1e-60");
    check("target.local.temperature=0.0001", "must be 0 or at least 0.001, found 0.0001");
    check("target.local.system=7", "expected text, found 7");
    check("length-penalty=-1", "expected a number of at least 0, found -1");
    check("seed=-1", "expected a whole number of at least 0, found -1");
    check("data.train=''", "must not be empty");
    check("data.held-out-share=1", "expected a number above 0 and below 1, found 1");
    check("optimizer.beta1=1.0", "expected a number of at least 0 and below 1, found 1.0");
    check("eval.best-of=1", "must be 0 or at least 2, found 1");
    check("prompter.instruction=Mend it", "has no slot `{prompt}`");
    check("prompter.instruction=Mend {prompts}", "no slot is called `prompts`; there are prompt, words");
    check("schedule.patience=3", "3 trials, but `schedule.validate-every` is 0");
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    let both = with(&["data.eval=a.csv", "data.held-out-share=0.3"]);
    assert_eq!(both.unwrap_err(), "flag `--set`, `data.held-out-share`: is for `train` without `eval` only");
    let trials = with(&["schedule.validate-every=3", "data.validation-share=0"]).unwrap_err();
    assert!(trials.starts_with("flag `--set`, `data.validation-share`: must be above 0"), "{trials}");
    let made = LEAST.replace("train = \"prompts.jsonl\"", "constraints = {train = 10, held-out = 5}\neval = 'a.csv'");
    let problem = read(&made, &[]).unwrap_err().to_string();
    assert_eq!(problem, "line 10, `data.constraints.held-out`: is without effect beside `data.eval`");
    let neither = read(&LEAST.replace("train = \"prompts.jsonl\"", ""), &[]).unwrap_err().to_string();
    assert_eq!(neither, "line 9, `data`: has neither `train` nor `constraints`, and exactly one is needed");
    let types =
        LEAST.replace("train = \"prompts.jsonl\"", "constraints = {train = 10, types = ['startend:quotation']}");
    let problem = read(&types, &[]).unwrap_err().to_string();
    assert!(problem.starts_with("line 10, `data.constraints.types`: the split `train` has none of"), "{problem}");
    let ppo = LEAST.replace("[method.rloo]", "[method.ppo]\nmini-batches = 33");
    let problem = read(&ppo, &[]).unwrap_err().to_string();
    assert_eq!(problem, "line 12, `method.ppo.mini-batches`: must be at most the 32 rewrites of a step, found 33");
    let length = LEAST.replace("[reward.constraints]", "[reward.length]\nunit = 'words'\nat-least = 9\nat-most = 3");
    let problem = read(&length, &[]).unwrap_err().to_string();
    assert_eq!(problem, "line 11, `reward.length.at-most`: must be at least `at-least` = 9, found 3");
}

#[test]
fn suggestions_are_close_or_name_the_place() {
    let hint = |set: &str| read(LEAST, &[set]).unwrap_err().hint.unwrap();
    assert_eq!(hint("prompter.temprature=1"), "did you mean `temperature`?");
    assert_eq!(hint("prompter.max_tokens=1"), "did you mean `max-tokens`?");
    assert_eq!(hint("schedule.group-size=4"), "`group-size` belongs into `[method.rloo]`");
    assert_eq!(hint("eval.zzz=4"), "there are `prompts`, `rewrites`, `responses`, `best-of`");
    assert_eq!(hint("prompter.mode=augmented"), "did you mean `augment`?");
    assert_eq!(hint("prompter.lora.targets=['q_prj']"), "did you mean `q_proj`?");
}

#[test]
fn nesting_without_end_is_refused() {
    let (dots, lists) = (".a".repeat(200_000), "[".repeat(200_000));
    let tables = "{a=".repeat(200_000);
    for text in [format!("a{dots}=1"), format!("[a{dots}]"), format!("a={lists}"), format!("a={tables}")] {
        assert!(read(&text, &[]).is_err());
        let set = text.trim_matches(['[', ']']).to_owned();
        assert!(read(LEAST, &[&set]).is_err());
    }
    assert!(read(LEAST, &[&format!("seed={{a{dots}=1}}")]).is_err());
}

#[test]
fn the_checked_in_schema_is_current() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config.schema.json");
    let current = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    let checked_in = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        checked_in == current,
        "config.schema.json is stale; renew it with `cargo run -- config schema > crates/align-pro/config.schema.json`"
    );
}

/// A piece of TOML that may or may not be sensible.
fn fragment() -> impl Strategy<Value = String> {
    let key = "(seed|prompter|target|local|reward|data|method|rloo|ppo|lora|rank|lambda|[a-z\u{e9}.\" -]{1,6})";
    let value =
        r#"(-?[0-9]{1,20}|-?[0-9]\.[0-9]e[0-9]{1,3}|nan|inf|true|"[^"\\]{0,9}"|\[\]|\[1, 'a'\]|\{\}|1979-05-27|'')"#;
    prop_oneof![
        (key, value).prop_map(|(key, value)| format!("{key} = {value}\n")),
        (key, key).prop_map(|(table, key)| format!("[{table}.{key}]\n")),
        key.prop_map(|key| format!("[{key}]\n")),
    ]
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = text_of(bytes).map(|text| read(&text, &[&text]).map_err(|problem| problem.to_string()));
    }

    #[test]
    fn no_toml_panics(fragments in prop::collection::vec(fragment(), 0..12), set in "[a-z.]{0,12}=.{0,12}") {
        let text = fragments.concat();
        let told = read(&text, &[&set]).map_err(|problem| problem.to_string());
        prop_assert!(told.is_err(), "{told:?}");
        let _ = read(&format!("{LEAST}{text}"), &[]).map_err(|problem| problem.to_string());
    }

    #[test]
    fn every_plan_comes_back(
        seed in 0..=i64::MAX as u64,
        temperature in 0.001f32..100.0,
        rate in 1e-30f64..1e30,
        share in 0.0001f64..0.9999,
        system in "\\PC*",
    ) {
        let mut plan = read(LEAST, &[]).unwrap();
        plan.seed = seed;
        plan.prompter.temperature = temperature;
        plan.optimizer.learning_rate = rate;
        plan.data.held_out = HeldOutPrompts::Share(share);
        if let plan::TargetPlan::Local(target) = &mut plan.target {
            target.system = Some(system);
        }
        let written = toml::to_string(&plan).unwrap();
        prop_assert_eq!(resolve(&written, &[], Path::new("/")).unwrap(), plan);
    }
}
