//! `reward train`: from preference pairs to a reward model that says how good it is.

use std::path::Path;

use anyhow::{Context, ensure};
use indicatif::ProgressBar;
use lm::{CpuEngine, Engine, Lora, PeftDetails, tape_bytes_per_token, write_atomically};
use objective::{BradleyTerry, Sides};
use rollout::data::{Preference, ReadOptions};
use rollout::event::{Event, EventLog, EventSink, Metric};
use rollout::model::LocalModel;
use rollout::reward::{Attribute, Backbone, CARD_VERSION, HeldOutPair, HeldOutResult, Reading, RewardCard};
use serde::{Deserialize, Serialize};
use train::options::{DecayName, LoraOptions, OptimizerOptions, ScheduleOptions};
use train::reward_model::{self, RewardModelRun, RewardPair, frozen};
use train::{Checkpoints, Outcome};

use super::pairs::{Item, Shares, Source, items};
use crate::arguments::{BackboneFlag, RewardTrain};
use crate::commands::Session;
use crate::config::is_model_path;
use crate::config::plan::PrecisionName;
use crate::failure::Failure;
use crate::output::{Output, say};
use crate::progress;
use crate::run::folder::lock;
use crate::run::reward::{CARD, card};
use crate::run::shelf::Shelf;

/// Bytes that the activations of one backward pass may take.
const TAPE_BUDGET: usize = 1 << 30;

/// Pairs of each attribute over whose responses the mean reward is taken.
const CENTRE_PAIRS: usize = 64;

/// Tokens after which no more pairs are measured together.
const MEASURED_AT_ONCE: usize = 4096;

const PLAN: &str = "plan.json";

/// All that decides a reward model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Plan {
    sources: Vec<Source>,
    model: String,
    backbone: Backbone,
    epochs: f64,
    pairs_per_step: usize,
    learning_rate: f64,
    rank: usize,
    length_debiased: bool,
    center_weight: f64,
    reading: Reading,
    shares: Shares,
    validate_every: u64,
    patience: u64,
    seed: u64,
    prompt_field: String,
    max_bad_rows: usize,
}

/// The pairs of all attributes as tokens. `[attribute][pair]`
struct Pairs {
    train: Vec<Vec<Item>>,
    validation: Vec<Vec<Item>>,
    held_out: Vec<Vec<Item>>,
}

pub(super) fn run(arguments: &RewardTrain, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    let plan = plan(arguments)?;
    let folder = &arguments.out;
    check_folder(folder, &plan)?;
    if !folder.join(CARD).is_file() {
        let mut shelf = Shelf::new(TAPE_BUDGET, &arguments.threads, session);
        let model = shelf.model(&plan.model, PrecisionName::Auto)?;
        check_reading(plan.reading, model.engine().architecture().context)?;
        let pairs = pairs(&plan, &model)?;
        begin(folder, &plan)?;
        let _lock = lock(folder)?;
        let outcome = train(&plan, folder, &model, &pairs)?;
        conclude(&plan, folder, &model, &pairs, &outcome)?;
    }
    let card = card(folder)?;
    if arguments.json {
        return output.json_document(&card);
    }
    tell(&card).into_iter().try_for_each(|line| output.line(&line))
}

fn plan(arguments: &RewardTrain) -> anyhow::Result<Plan> {
    let sources = arguments.pairs.iter().map(|text| Source::parse(text)).collect::<anyhow::Result<Vec<_>>>()?;
    for (index, source) in sources.iter().enumerate() {
        let is_new = sources[..index].iter().all(|earlier| earlier.name != source.name);
        ensure!(is_new, "two attributes are called `{}`; write NAME=FILE", source.name);
    }
    let share = |flag: &str, share: f64| -> anyhow::Result<f64> {
        ensure!((0.0..1.0).contains(&share), "`{flag}` must be at least 0 and below 1, found {share}");
        Ok(share)
    };
    let positive = |flag: &str, number: f64| -> anyhow::Result<f64> {
        ensure!(number.is_finite() && number > 0.0, "`{flag}` must be above 0, found {number}");
        Ok(number)
    };
    let center_weight = arguments.center_weight;
    let is_weight = center_weight.is_finite() && center_weight >= 0.0;
    ensure!(is_weight, "`--center-weight` must be at least 0, found {center_weight}");
    Ok(Plan {
        sources,
        model: model_of(&arguments.model)?,
        backbone: match arguments.backbone {
            BackboneFlag::Lora => Backbone::Lora,
            BackboneFlag::Frozen => Backbone::Frozen,
        },
        epochs: positive("--epochs", arguments.epochs)?,
        pairs_per_step: arguments.pairs_per_step.get(),
        learning_rate: positive("--learning-rate", arguments.learning_rate)?,
        rank: arguments.rank.get(),
        length_debiased: arguments.length_debiased,
        center_weight,
        reading: Reading {
            max_prompt_tokens: arguments.max_prompt_tokens.get(),
            max_response_tokens: arguments.max_response_tokens.get(),
        },
        shares: Shares {
            held_out: share("--held-out-share", arguments.held_out_share)?,
            validation: share("--validation-share", arguments.validation_share)?,
            max_pairs: arguments.max_pairs.map(std::num::NonZeroUsize::get),
        },
        validate_every: arguments.validate_every.get() as u64,
        patience: arguments.patience,
        seed: arguments.seed,
        prompt_field: arguments.prompt_field.clone(),
        max_bad_rows: arguments.max_bad_rows,
    })
}

/// A model by its name, or by the absolute path of its file or folder: it must be found again from anywhere.
fn model_of(name: &str) -> anyhow::Result<String> {
    if !is_model_path(name, Path::new("")) {
        return Ok(name.to_owned());
    }
    let path = std::path::absolute(name)?;
    Ok(path.to_str().context("the model lies in a folder whose name is not UTF-8")?.to_owned())
}

/// See that a folder that is there holds nothing, or a reward model of the same plan.
fn check_folder(folder: &Path, plan: &Plan) -> anyhow::Result<()> {
    let path = folder.join(PLAN);
    if path.is_file() {
        let cannot = || format!("cannot use `{}`", path.display());
        let earlier: Plan = serde_json::from_slice(&std::fs::read(&path).with_context(cannot)?).with_context(cannot)?;
        if earlier != *plan {
            return Err(Failure::OtherRewardModel { folder: folder.to_owned() }.into());
        }
        return Ok(());
    }
    // A kill may have left the plan half written.
    let is_left = |entry: std::fs::DirEntry| !entry.file_name().to_string_lossy().starts_with(".plan.json");
    if std::fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(is_left)) {
        return Err(Failure::NotEmpty { folder: folder.to_owned() }.into());
    }
    Ok(())
}

/// Write down what is about to be trained: only once it can be, or a mended mistake would look like another plan.
fn begin(folder: &Path, plan: &Plan) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
    Ok(write_atomically(&folder.join(PLAN), &serde_json::to_vec_pretty(plan)?)?)
}

/// That the longest pair fits into the model's context.
fn check_reading(reading: Reading, context: usize) -> anyhow::Result<()> {
    let Reading { max_prompt_tokens, max_response_tokens } = reading;
    // And the token that ends the response.
    let most = max_prompt_tokens.saturating_add(max_response_tokens).saturating_add(1);
    ensure!(
        most <= context,
        "`--max-prompt-tokens` {max_prompt_tokens} and `--max-response-tokens` {max_response_tokens} need a context of {most} \
         tokens; the model has {context}"
    );
    Ok(())
}

fn pairs(plan: &Plan, model: &LocalModel<CpuEngine>) -> anyhow::Result<Pairs> {
    let options = ReadOptions { prompt_field: plan.prompt_field.clone(), max_bad_rows: plan.max_bad_rows };
    let mut pairs = Pairs { train: Vec::new(), validation: Vec::new(), held_out: Vec::new() };
    for (attribute, source) in plan.sources.iter().enumerate() {
        let split = source.split(&options, plan.shares)?;
        let items = |pairs: &[Preference]| items(pairs, attribute, plan.reading, model);
        let (mut train, mut validation) = (items(&split.train)?, items(&split.validation)?);
        if plan.length_debiased {
            let weight = length_weight(&train);
            for item in train.iter_mut().chain(&mut validation) {
                item.pair.handicap += weight * item.log_longer;
            }
        }
        pairs.held_out.push(items(&split.held_out)?);
        pairs.train.push(train);
        pairs.validation.push(validation);
        say(format_args!(
            "{}: {} pairs to train on, {} to stop by, {} held out",
            source.name,
            split.train.len(),
            split.validation.len(),
            split.held_out.len()
        ));
    }
    Ok(pairs)
}

/// γ of P(chosen ≻ rejected) = σ(γ log (length ratio)), by Newton's method: what the lengths alone explain.
fn length_weight(items: &[Item]) -> f64 {
    let mut weight = 0.0;
    for _ in 0..50 {
        let (mut slope, mut curvature) = (0.0, 1e-6);
        for x in items.iter().map(|item| item.log_longer) {
            let p = objective::logspace::sigmoid(weight * x);
            slope += (1.0 - p) * x;
            curvature += p * (1.0 - p) * x * x;
        }
        weight += slope / curvature;
    }
    weight
}

fn flat(items: &[Vec<Item>]) -> Vec<RewardPair> {
    items.iter().flatten().map(|item| item.pair.clone()).collect()
}

fn train(plan: &Plan, folder: &Path, model: &LocalModel<CpuEngine>, pairs: &Pairs) -> anyhow::Result<Outcome> {
    let (training, validation) = (flat(&pairs.train), flat(&pairs.validation));
    let limit = {
        let engine = model.engine();
        TAPE_BUDGET / tape_bytes_per_token(engine.architecture(), engine.precision()).max(1)
    };
    let names: Vec<String> = plan.sources.iter().map(|source| source.name.clone()).collect();
    if plan.backbone == Backbone::Frozen {
        let bar = progress::count("hidden states", (training.len() + validation.len()) as u64);
        let done = &mut |done| bar.set_position(done as u64);
        let outcome = frozen::train(model, &training, &validation, names.len(), limit, done)?;
        bar.finish_and_clear();
        return Ok(outcome);
    }
    let steps = ((plan.epochs * training.len() as f64 / plan.pairs_per_step as f64).ceil() as u64).max(1);
    let checkpoints = Checkpoints::new(&folder.join("checkpoints"), &plan.model);
    let events = EventLog::resume(&folder.join("events.jsonl"), checkpoints.events_length()?)?;
    let mut watcher = Steps { bar: progress::steps("training", steps), steps };
    let run = RewardModelRun {
        model,
        pairs: &training,
        validation: &validation,
        attributes: &names,
        objective: BradleyTerry { center_weight: plan.center_weight },
        lora: &LoraOptions { rank: plan.rank, alpha: 2.0 * plan.rank as f32, ..LoraOptions::default() },
        optimizer: &OptimizerOptions {
            learning_rate: plan.learning_rate,
            warmup: steps / 20,
            decay: DecayName::Linear,
            ..OptimizerOptions::default()
        },
        schedule: &ScheduleOptions {
            steps,
            prompts_per_step: plan.pairs_per_step,
            checkpoint_every: plan.validate_every,
            validate_every: plan.validate_every,
            patience: plan.patience,
            activation_memory: TAPE_BUDGET >> 20,
        },
        seed: plan.seed,
        micro_batch_tokens: limit,
        checkpoints,
        events,
        watcher: &mut watcher,
    };
    Ok(reward_model::train(run)?)
}

/// A bar over updates on a terminal, lines elsewhere.
struct Steps {
    bar: ProgressBar,
    steps: u64,
}

impl EventSink for Steps {
    fn emit(&mut self, event: &Event) -> Result<(), rollout::Error> {
        match event {
            Event::StepDone(done) => {
                let figure = |metric: Metric| done.metrics.get(metric.name()).copied().unwrap_or_default();
                let told = format!("loss {:.3}  accuracy {:.2}", figure(Metric::Loss), figure(Metric::Accuracy));
                if self.bar.is_hidden() {
                    say(format_args!("step {}/{}  {told}  {:.1} s", done.step, self.steps, done.seconds.total));
                }
                self.bar.set_position(done.step);
                self.bar.set_message(told);
            }
            Event::Validated { step, reward, best, .. } => {
                let best = if *best { ", the best so far" } else { "" };
                self.bar.suspend(|| say(format_args!("step {step}: validation loss {:.4}{best}", -reward)));
            }
            Event::Finished { .. } => self.bar.finish_and_clear(),
            _ => {}
        }
        Ok(())
    }
}

/// Measure what was trained on what it never saw, and write it all down; the card comes last.
fn conclude(
    plan: &Plan,
    folder: &Path,
    model: &LocalModel<CpuEngine>,
    pairs: &Pairs,
    outcome: &Outcome,
) -> anyhow::Result<()> {
    let mut card = RewardCard {
        version: CARD_VERSION,
        model: plan.model.clone(),
        backbone: plan.backbone,
        reading: plan.reading,
        length_debiased: plan.length_debiased,
        seed: plan.seed,
        steps: outcome.kept_step,
        attributes: Vec::new(),
    };
    let adapter = &outcome.adapter;
    for (index, source) in plan.sources.iter().enumerate() {
        let (train, held_out) = (&pairs.train[index], &pairs.held_out[index]);
        let sample = rewards(model, adapter, &train[..train.len().min(CENTRE_PAIRS)], "centring")?;
        let sum: f64 = sample.iter().map(|rewards| rewards.chosen + rewards.rejected).sum();
        let measured = rewards(model, adapter, held_out, "measuring")?;
        let seen = |(item, rewards): (&Item, Sides)| HeldOutPair {
            prompt: item.key.clone(),
            margin: rewards.margin(),
            longer_by: item.longer_by,
        };
        let seen: Vec<HeldOutPair> = held_out.iter().zip(measured).map(seen).collect();
        let sign = |item: &Item| f64::from(i8::from(item.longer_by > 0.0) - i8::from(item.longer_by < 0.0));
        let longer = train.iter().map(sign).sum::<f64>();
        card.attributes.push(Attribute {
            name: source.name.clone(),
            data: source.file.display().to_string(),
            n_train: train.len(),
            n_validation: pairs.validation[index].len(),
            center: sum / (2 * sample.len()) as f64,
            held_out: HeldOutResult::of(&seen, longer >= 0.0)?,
        });
    }
    let details = PeftDetails { base_model: Some(plan.model.clone()), ..PeftDetails::default() };
    adapter.save_peft(folder, model.engine().architecture(), &details)?;
    Ok(write_atomically(&folder.join(CARD), &serde_json::to_vec_pretty(&card)?)?)
}

/// The rewards of pairs by their own heads.
fn rewards(model: &LocalModel<CpuEngine>, adapter: &Lora, items: &[Item], what: &str) -> anyhow::Result<Vec<Sides>> {
    let bar = progress::count(what, items.len() as u64);
    let pairs: Vec<&RewardPair> = items.iter().map(|item| &item.pair).collect();
    let mut found = Vec::with_capacity(pairs.len());
    reward_model::ends(model, adapter, &pairs, MEASURED_AT_ONCE, &mut |pair, [chosen, rejected]| {
        found.push(Sides::new(chosen[pair.attribute], rejected[pair.attribute]));
        bar.inc(1);
        Ok(())
    })?;
    bar.finish_and_clear();
    Ok(found)
}

/// What is known about a reward model, for people.
fn tell(card: &RewardCard) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<14} {:>8} {:>8}  {:<24}  {:<24}  {:<24} {:>8} {:>8}",
        "attribute", "trained", "held out", "accuracy", "length alone", "difference", "log loss", "cal. err"
    )];
    for Attribute { name, n_train, held_out, .. } in &card.attributes {
        lines.push(format!(
            "{name:<14} {n_train:>8} {:>8}  {:<24}  {:<24}  {:<24} {:>8.3} {:>8.3}",
            held_out.n_pairs,
            held_out.accuracy.level(),
            held_out.length_accuracy.level(),
            held_out.over_length.level(),
            held_out.log_loss,
            held_out.calibration_error
        ));
    }
    lines.push(String::new());
    lines.push(
        "accuracy on pairs about prompts never trained on, 95 % intervals over prompts; 0.5 is a coin".to_owned(),
    );
    lines
}
