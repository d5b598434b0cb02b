//! What must hold between keys.

use rollout::Template;
use rollout::data::synth::{SynthOptions, SynthSplit, constraint_prompts};
use rollout::reward::Verifier;
use toml::{Table, Value};
use train::options::Method;

use super::data::{HeldOutPrompts, TrainPrompts};
use super::document::Document;
use super::plan::{BudgetPlan, EndpointTarget, LocalTarget, Plan, PrecisionName, TargetPlan, What};
use super::problem::Problem;
use super::reward::OneReward;

/// Share of the training prompts set aside where there are trials and nothing else is said.
const VALIDATION_SHARE: f64 = 0.1;

/// A softmax colder than this is greedy in all but name, and its logits lose their digits.
const COLDEST: f32 = 0.001;

/// Rules over tables that have a default of their own where they are kept.
pub(super) fn fill_in(document: &Document, table: &mut Table) -> Result<(), Problem> {
    let problem = |key: &str, problem: &str| Problem::new(document.place_of(key), key, problem);
    let has_trials = number_at(table, "schedule", "validate-every") > 0;
    let Some(Value::Table(data)) = table.get_mut("data") else { return Ok(()) };
    let made = matches!(data.get("constraints"), Some(Value::Table(made)) if made.contains_key("held-out"));
    let [train, eval, share, constraints] =
        ["train", "eval", "held-out-share", "constraints"].map(|key| data.contains_key(key));
    if train == constraints {
        let found = if train { "has both `train` and `constraints`" } else { "has neither `train` nor `constraints`" };
        let hint = "`train` is a file of prompts to train on; `[data.constraints]` makes prompts instead";
        let place = document.place_among(&["data".to_owned()], ["train", "constraints"]);
        return Err(Problem::new(place, "data", format!("{found}, and exactly one is needed")).with_hint(hint));
    }
    if share && (eval || constraints) {
        return Err(problem("data.held-out-share", "is for `train` without `eval` only"));
    }
    if made && eval {
        return Err(problem("data.constraints.held-out", "is without effect beside `data.eval`"));
    }
    let validation_share = if has_trials { VALIDATION_SHARE } else { 0.0 };
    data.entry("validation-share").or_insert(Value::Float(validation_share));
    Ok(())
}

fn number_at(table: &Table, name: &str, key: &str) -> i64 {
    table.get(name).and_then(|table| table.get(key)).and_then(Value::as_integer).unwrap_or(0)
}

/// Rules over the plan as a whole.
pub(super) fn check(document: &Document, plan: &Plan) -> Result<(), Problem> {
    let refuse = |key: &str, problem: String| Err(Problem::new(document.place_of(key), key, problem));
    let schedule = &plan.schedule;
    if schedule.validate_every > 0 && plan.data.validation_share <= 0.0 {
        let problem = "must be above 0 where `schedule.validate-every` asks for trials, found 0".to_owned();
        return refuse("data.validation-share", problem);
    }
    if schedule.patience > 0 && schedule.validate_every == 0 {
        return refuse(
            "schedule.patience",
            format!("{} trials, but `schedule.validate-every` is 0", schedule.patience),
        );
    }
    if plan.eval.best_of == 1 {
        return refuse("eval.best-of", "must be 0 or at least 2, found 1".to_owned());
    }
    if let Method::Ppo(ppo) = &plan.method {
        let batch = schedule.prompts_per_step.saturating_mul(ppo.group_size);
        if ppo.mini_batches > batch {
            let problem = format!("must be at most the {batch} rewrites of a step, found {}", ppo.mini_batches);
            return refuse("method.ppo.mini-batches", problem);
        }
    }
    check_rewards(plan).or_else(|(key, problem)| refuse(&key, problem))?;
    check_target(plan).or_else(|(key, problem)| refuse(key, problem))?;
    if let Some(judge) = &plan.judge {
        judge.check().or_else(|(key, problem)| refuse(&key, problem))?;
    }
    if let Some(instruction) = &plan.prompter.instruction {
        check_instruction(instruction).or_else(|problem| refuse("prompter.instruction", problem))?;
    }
    check_types(plan).or_else(|problem| refuse("data.constraints.types", problem))
}

fn check_rewards(plan: &Plan) -> Result<(), (String, String)> {
    for reward in &plan.reward.0 {
        if let OneReward::Judge(judge) = reward {
            judge.check()?;
        }
        if let OneReward::Verifier(Verifier::Length(length)) = reward
            && let Some(most) = length.at_most.filter(|most| *most < length.at_least)
        {
            let problem = format!("must be at least `at-least` = {}, found {most}", length.at_least);
            return Err(("reward.length.at-most".to_owned(), problem));
        }
        if let OneReward::Http(http) = reward
            && !is_http(&http.url)
        {
            return Err(("reward.http.url".to_owned(), NOT_HTTP.to_owned()));
        }
    }
    for (name, weight) in &plan.reward_mix.weights {
        let key = format!("reward-mix.weights.{name}");
        if !plan.reward.0.iter().any(|reward| reward.name() == name) {
            return Err((key, format!("there is no `[reward.{name}]`")));
        }
        if !(weight.is_finite() && *weight > 0.0) {
            return Err((key, format!("must be above 0, found {weight}")));
        }
    }
    if plan.reward_mix.owa.is_some() && !plan.reward.is_mixed() {
        return Err(("reward-mix.owa".to_owned(), "needs at least two rewards".to_owned()));
    }
    Ok(())
}

const NOT_HTTP: &str = "must begin with `http://` or `https://`";

fn is_http(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

fn check_target(plan: &Plan) -> Result<(), (&'static str, String)> {
    let tuned = plan.train.what == What::Target;
    match &plan.target {
        TargetPlan::Local(target) => {
            check_temperature(target).map_err(|problem| ("target.local.temperature", problem))?;
            if tuned && target.temperature == 0.0 {
                let problem =
                    "must be above 0 where `train.what` is `target`: what cannot vary cannot learn".to_owned();
                return Err(("target.local.temperature", problem));
            }
            if tuned && target.precision == PrecisionName::Int8 {
                let problem =
                    "must not be `int8` where `train.what` is `target`: it has no backward pass; say `auto`".to_owned();
                return Err(("target.local.precision", problem));
            }
            if plan.budget != BudgetPlan::default() {
                return Err(("budget", "is for `[target.openai]`; a model on this machine costs nothing".to_owned()));
            }
        }
        TargetPlan::Openai(target) => {
            if tuned {
                return Err(("train.what", "a target behind an endpoint cannot be trained".to_owned()));
            }
            check_endpoint(target, &plan.budget).map_err(|(key, problem)| {
                let key = if key == "openai.base-url" { "target.openai.base-url" } else { key };
                (key, problem)
            })?;
        }
    }
    Ok(())
}

/// That a model on this machine can be drawn from.
pub(super) fn check_temperature(target: &LocalTarget) -> Result<(), String> {
    match target.temperature > 0.0 && target.temperature < COLDEST {
        true => Err(format!("must be 0 or at least {COLDEST}, found {}", target.temperature)),
        false => Ok(()),
    }
}

/// That an endpoint can be asked within a budget; else the key, from the table that holds both, and what is wrong there.
pub(super) fn check_endpoint(target: &EndpointTarget, budget: &BudgetPlan) -> Result<(), (&'static str, String)> {
    if !target.base_url.starts_with("http://") && !target.base_url.starts_with("https://") {
        return Err(("openai.base-url", "must begin with `http://` or `https://`".to_owned()));
    }
    if budget.max_cost.is_some() && budget.prompt_price + budget.completion_price == 0.0 {
        return Err(("budget.max-cost", "needs `prompt-price` and `completion-price` beside it".to_owned()));
    }
    Ok(())
}

fn check_instruction(text: &str) -> Result<(), String> {
    let template = Template::parse(text).map_err(|error| error.to_string())?;
    template.render(&[("prompt", ""), ("words", "")]).map_err(|error| error.to_string())?;
    if template.slots().any(|slot| slot == "prompt") { Ok(()) } else { Err("has no slot `{prompt}`".to_owned()) }
}

/// That one prompt can be made of each kind that is asked for.
fn check_types(plan: &Plan) -> Result<(), String> {
    let one_of = |types: &[String], split| {
        let options = SynthOptions { n: 1, seed: plan.seed, split: Some(split), types: types.to_vec() };
        constraint_prompts(&options).map(|_| ()).map_err(|error| error.to_string())
    };
    if let TrainPrompts::Constraints { types, .. } = &plan.data.train {
        one_of(types, SynthSplit::Train)?;
    }
    if let HeldOutPrompts::Constraints { types, .. } = &plan.data.held_out {
        one_of(types, SynthSplit::UnseenTasks)?;
    }
    Ok(())
}
