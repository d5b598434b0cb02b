//! What the report tells, sorted out of the record once.

use std::collections::BTreeMap;

use super::RunRecord;
use super::format;
use super::plot::Shape;
use crate::evaluate::{ArmResult, EvaluatedPrompt};
use crate::event::{Event, Metric, Started, StepDone};

/// The arm that training made.
pub(crate) const TRAINED: &str = "trained";
/// The arm that training started from.
pub(crate) const REF: &str = "ref";
/// The arm without a prompter.
pub(crate) const NAIVE: &str = "naive";

/// One arm and how it is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Arm {
    pub(crate) name: String,
    pub(crate) class: &'static str,
    pub(crate) shape: Shape,
    /// What it does, in words.
    pub(crate) meaning: &'static str,
}

/// A prompt with what each arm did with it.
pub(crate) type ByArm<'a> = BTreeMap<&'a str, &'a EvaluatedPrompt>;

/// Everything in the order in which it is told.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) run: &'a RunRecord<'a>,
    pub(crate) started: Option<&'a Started>,
    /// The steps, in order; a step that was made again after a resumption counts once.
    pub(crate) steps: Vec<&'a StepDone>,
    /// The arms of the evaluation, in the order of the story.
    pub(crate) arms: Vec<Arm>,
    /// What each arm did, by the prompt's id.
    pub(crate) prompts: BTreeMap<&'a str, ByArm<'a>>,
    /// Digits after the point of a mean reward.
    pub(crate) decimals: usize,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(run: &'a RunRecord<'a>) -> Facts<'a> {
        let mut started = None;
        let mut steps = BTreeMap::new();
        for event in run.events {
            match event {
                Event::Started(first) => started = Some(first),
                Event::StepDone(step) => steps.extend([(step.step, step)]),
                _ => {}
            }
        }
        let mut prompts: BTreeMap<&str, ByArm<'_>> = BTreeMap::new();
        for prompt in run.prompts {
            prompts.entry(&prompt.id).or_default().insert(&prompt.arm, prompt);
        }
        let means = run.evaluation.iter().flat_map(|evaluation| evaluation.arms.values());
        let decimals = format::decimals_for(means.flat_map(|arm| [arm.mean_reward, arm.interval[0], arm.interval[1]]));
        Facts { run, started, steps: steps.into_values().collect(), arms: arms(run), prompts, decimals }
    }

    /// The arm of that name.
    pub(crate) fn arm(&self, name: &str) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.name == name)
    }

    /// The evaluation's figures of the arm of that name.
    pub(crate) fn result(&self, name: &str) -> Option<&'a ArmResult> {
        self.run.evaluation.and_then(|evaluation| evaluation.arms.get(name))
    }

    /// Arms with their figures.
    pub(crate) fn results(&self) -> impl Iterator<Item = (&Arm, &'a ArmResult)> {
        self.arms.iter().filter_map(|arm| Some((arm, self.result(&arm.name)?)))
    }

    /// A metric step by step; missing where the step does not have it.
    pub(crate) fn series(&self, name: &str) -> Vec<(f64, f64)> {
        let value = |step: &&StepDone| (step.step as f64, step.metrics.get(name).copied().unwrap_or(f64::NAN));
        self.steps.iter().map(value).collect()
    }

    /// As [`Facts::series`], by the metric's name in this crate.
    pub(crate) fn metric(&self, metric: Metric) -> Vec<(f64, f64)> {
        self.series(metric.name())
    }

    /// Prompts on which both arms have a reward, with both sides: `(id, arm, other)`.
    pub(crate) fn pairs(&self, arm: &str, other: &str) -> Vec<(&'a str, &'a EvaluatedPrompt, &'a EvaluatedPrompt)> {
        let pair = |(id, arms): (&&'a str, &ByArm<'a>)| Some((*id, *arms.get(arm)?, *arms.get(other)?));
        let is_finite = |pair: &(_, &EvaluatedPrompt, &EvaluatedPrompt)| {
            pair.1.mean_reward().is_finite() && pair.2.mean_reward().is_finite()
        };
        self.prompts.iter().filter_map(pair).filter(is_finite).collect()
    }

    /// Comparisons of the trained arm by what it is compared with, `vs_` taken off, in the order of the arms.
    pub(crate) fn versus<T>(&self, comparisons: &'a BTreeMap<String, T>) -> Vec<(&'a str, &'a T)> {
        let place = |other: &str| self.arms.iter().position(|arm| arm.name == other).unwrap_or(self.arms.len());
        let named = comparisons.iter().map(|(name, figure)| (name.strip_prefix("vs_").unwrap_or(name), figure));
        let mut named: Vec<_> = named.collect();
        named.sort_by_key(|(other, _)| place(other));
        named
    }

    /// What training is measured against: the prompter it started from, or the naive prompt.
    pub(crate) fn baseline(&self) -> &'static str {
        if self.arm(REF).is_some() { REF } else { NAIVE }
    }
}

/// Mean number of tokens of the responses.
pub(crate) fn mean_response_tokens(prompt: &EvaluatedPrompt) -> f64 {
    let responses = prompt.rewrites.iter().flat_map(|rewrite| &rewrite.responses);
    mean(responses.map(|response| response.tokens as f64))
}

/// By what share a figure is larger than before.
pub(crate) fn relative(value: f64, before: f64) -> f64 {
    if before > 0.0 { value / before - 1.0 } else { f64::NAN }
}

/// The mean of what is finite; not a number where nothing is.
pub(crate) fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let finite = values.into_iter().filter(|value| value.is_finite());
    let (sum, count) = finite.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    sum / f64::from(count)
}

/// All arms that anything is known of.
fn arms(run: &RunRecord<'_>) -> Vec<Arm> {
    let evaluated = run.evaluation.iter().flat_map(|evaluation| evaluation.arms.keys());
    let mut names: Vec<&str> =
        evaluated.chain(run.prompts.iter().map(|prompt| &prompt.arm)).map(String::as_str).collect();
    names.sort_by_key(|name| (rank(name), *name));
    names.dedup();
    let mut spare = SPARE.iter().cycle();
    let arm = |name: &&str| {
        let (class, shape, meaning) = match rank(name) {
            0 => ("c0", Shape::Circle, "the user’s prompt as it is"),
            1 => ("c1", Shape::Square, "rewritten by the untrained prompter"),
            2 => ("c2", Shape::Diamond, "rewritten by the trained prompter"),
            3 => ("c3", Shape::Triangle, "the best of several rewrites by their reward, which needs the reward in use"),
            4 => ("c4", Shape::Circle, "the target itself trained on the reward, reading the user’s prompt"),
            _ => spare.next().map_or(("c5", Shape::Square, ""), |&(class, shape)| (class, shape, "")),
        };
        Arm { name: (*name).to_owned(), class, shape, meaning }
    };
    names.iter().map(arm).collect()
}

const SPARE: [(&str, Shape); 3] = [("c5", Shape::Square), ("c6", Shape::Diamond), ("c7", Shape::Triangle)];

fn rank(arm: &str) -> u8 {
    match arm {
        NAIVE => 0,
        REF => 1,
        TRAINED => 2,
        best if best.starts_with("best-of-") => 3,
        "oracle" => 4,
        _ => 5,
    }
}
