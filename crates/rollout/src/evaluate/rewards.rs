//! Several rewards beside each other: what each gives to each arm, and how they go together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{EvaluatedPrompt, MeanResult, interval_of};
use crate::Error;

/// The rewards that were mixed into one, each for itself and as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RewardsResult {
    /// Their names.
    pub names: Vec<String>,
    /// Every arm by name.
    pub arms: BTreeMap<String, RewardsOfArm>,
}

/// What the rewards give to one arm; one figure a reward, in the order of the names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RewardsOfArm {
    /// Mean over prompts.
    pub means: Vec<MeanResult>,
    /// Standard deviation over responses.
    pub deviations: Vec<f64>,
    /// Correlation over responses of each with each; `None` where one of the two does not vary.
    pub correlations: Vec<Vec<Option<f64>>>,
}

/// The rewards `names`, which are parts of every response.
pub(super) fn each_reward(names: &[String], arms: &[Vec<EvaluatedPrompt>]) -> Result<RewardsResult, Error> {
    let named = arms.iter().filter_map(|prompts| Some((prompts.first()?.arm.clone(), prompts)));
    let arms = named.map(|(name, prompts)| Ok((name, of_arm(names, prompts)?)));
    Ok(RewardsResult { names: names.to_vec(), arms: arms.collect::<Result<_, Error>>()? })
}

fn of_arm(names: &[String], prompts: &[EvaluatedPrompt]) -> Result<RewardsOfArm, Error> {
    let values: Vec<Vec<Vec<f64>>> =
        names.iter().map(|name| prompts.iter().map(|prompt| of_prompt(name, prompt)).collect()).collect();
    let mean_of =
        |by_prompt: &Vec<Vec<f64>>| interval_of(&by_prompt.iter().map(|values| mean(values)).collect::<Vec<_>>());
    let means = values.iter().map(mean_of).collect::<Result<_, Error>>()?;
    let flat: Vec<Vec<f64>> = values.iter().map(|by_prompt| by_prompt.concat()).collect();
    let deviations = flat.iter().map(|values| covariance(values, values).sqrt()).collect();
    let correlations = flat.iter().map(|one| flat.iter().map(|other| correlation(one, other)).collect()).collect();
    Ok(RewardsOfArm { means, deviations, correlations })
}

/// A reward's value for every response to a prompt.
fn of_prompt(name: &str, prompt: &EvaluatedPrompt) -> Vec<f64> {
    let responses = prompt.rewrites.iter().flat_map(|rewrite| &rewrite.responses);
    let value = |parts: &[(String, f64)]| parts.iter().find(|(part, _)| part == name).map_or(0.0, |(_, value)| *value);
    responses.map(|response| value(&response.parts)).collect()
}

fn correlation(one: &[f64], other: &[f64]) -> Option<f64> {
    let scale = (covariance(one, one) * covariance(other, other)).sqrt();
    (scale > 0.0).then(|| covariance(one, other) / scale)
}

fn covariance(one: &[f64], other: &[f64]) -> f64 {
    let (mean_one, mean_other) = (mean(one), mean(other));
    mean(&one.iter().zip(other).map(|(one, other)| (one - mean_one) * (other - mean_other)).collect::<Vec<_>>())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
