//! What is known about a reward model: a learned reward is not truth, so how often it agrees with people who were not asked
//! while it was trained goes wherever it goes.

use std::collections::BTreeMap;

use objective::logspace::{log_sigmoid, sigmoid};
use serde::{Deserialize, Serialize};

use super::Reading;
use crate::Error;
use crate::evaluate::{MeanResult, interval_of};

/// Version of `reward.json`.
pub const CARD_VERSION: u32 = 1;

/// Bins of the reliability diagram, from even odds to certainty.
const BINS: usize = 5;

/// `reward.json`, beside the adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RewardCard {
    /// [`CARD_VERSION`].
    pub version: u32,
    /// The language model below the heads, as it was named.
    pub model: String,
    /// What was trained.
    pub backbone: Backbone,
    /// What it reads.
    pub reading: Reading,
    /// Whether the heads were spared what lengths alone explain.
    pub length_debiased: bool,
    /// The seed of its training.
    pub seed: u64,
    /// Updates after which it was kept.
    pub steps: u64,
    /// One a head.
    pub attributes: Vec<Attribute>,
}

/// What of a reward model was trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backbone {
    /// A LoRA adapter and the heads.
    Lora,
    /// The heads alone.
    Frozen,
}

/// What one head says about responses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// The file of pairs that it was trained on.
    pub data: String,
    /// Pairs trained on.
    pub n_train: usize,
    /// Pairs that decided when to stop.
    pub n_validation: usize,
    /// Mean of the head over the responses trained on, which counts as 0.
    pub center: f64,
    /// How it does on pairs it has never seen, about prompts it has never seen.
    pub held_out: HeldOutResult,
}

/// A reward model on held-out pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOutResult {
    /// Pairs.
    pub n_pairs: usize,
    /// Prompts they are about, over which all intervals are.
    pub n_prompts: usize,
    /// Share of pairs in which the chosen response has the higher reward; ties count half.
    pub accuracy: MeanResult,
    /// Whether, on the pairs trained on, the longer response was chosen more often.
    pub prefers_longer: bool,
    /// The accuracy of always taking the longer response, or always the shorter one where those trained on say so.
    pub length_accuracy: MeanResult,
    /// Accuracy − length accuracy.
    pub over_length: MeanResult,
    /// Mean of −log P(chosen ≻ rejected); ln 2 = 0.693 knows nothing.
    pub log_loss: f64,
    /// Correlation of the difference of rewards with the difference of lengths: how much of the reward is length.
    pub length_correlation: f64,
    /// Expected calibration error: the mean distance of confidence and accuracy.
    pub calibration_error: f64,
    /// Confidence against accuracy.
    pub reliability: Vec<ReliabilityBin>,
}

/// Pairs of about the same confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Mean probability of the response that is said to be better.
    pub confidence: f64,
    /// Share of pairs in which it was the chosen one.
    pub accuracy: f64,
    /// Pairs.
    pub n_pairs: usize,
}

/// A held-out pair as the reward model sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldOutPair {
    /// The prompt's text.
    pub prompt: String,
    /// Reward of the chosen response − reward of the rejected one.
    pub margin: f64,
    /// Tokens of the chosen response − tokens of the rejected one.
    pub longer_by: f64,
}

impl RewardCard {
    /// The heads' outputs with what counts as 0 taken off.
    pub(super) fn centred(&self, values: &[f64]) -> Vec<f64> {
        self.attributes.iter().zip(values).map(|(attribute, value)| value - attribute.center).collect()
    }

    /// The number of an attribute; the only one needs no name.
    pub fn attribute(&self, name: Option<&str>) -> Result<usize, Error> {
        let position = match name {
            None if self.attributes.len() == 1 => Some(0),
            None => None,
            Some(name) => self.attributes.iter().position(|attribute| attribute.name == name),
        };
        position.ok_or_else(|| Error::UnknownAttribute {
            name: name.map(str::to_owned),
            known: self.attributes.iter().map(|attribute| attribute.name.clone()).collect(),
        })
    }
}

impl HeldOutResult {
    /// What comes of held-out pairs; at least one.
    pub fn of(pairs: &[HeldOutPair], prefers_longer: bool) -> Result<HeldOutResult, Error> {
        let sign = if prefers_longer { 1.0 } else { -1.0 };
        let right = |pair: &HeldOutPair| half_for_ties(pair.margin);
        let by_length = |pair: &HeldOutPair| half_for_ties(sign * pair.longer_by);
        Ok(HeldOutResult {
            n_pairs: pairs.len(),
            n_prompts: by_prompt(pairs, right).len(),
            accuracy: share_of(&by_prompt(pairs, right))?,
            prefers_longer,
            length_accuracy: share_of(&by_prompt(pairs, by_length))?,
            over_length: interval_of(&by_prompt(pairs, |pair| right(pair) - by_length(pair)))?,
            log_loss: pairs.iter().map(|pair| -log_sigmoid(pair.margin)).sum::<f64>() / pairs.len().max(1) as f64,
            length_correlation: correlation(pairs.iter().map(|pair| (pair.margin, pair.longer_by))),
            calibration_error: reliability(pairs)
                .iter()
                .map(|bin| bin.n_pairs as f64 * (bin.confidence - bin.accuracy).abs())
                .sum::<f64>()
                / pairs.len().max(1) as f64,
            reliability: reliability(pairs),
        })
    }
}

/// A mean of shares, whose interval ends where shares do.
fn share_of(shares: &[f64]) -> Result<MeanResult, Error> {
    let MeanResult { mean, interval } = interval_of(shares)?;
    Ok(MeanResult { mean, interval: interval.map(|end| end.clamp(0.0, 1.0)) })
}

fn half_for_ties(difference: f64) -> f64 {
    match difference.partial_cmp(&0.0) {
        Some(std::cmp::Ordering::Greater) => 1.0,
        Some(std::cmp::Ordering::Less) => 0.0,
        _ => 0.5,
    }
}

/// The mean figure of each prompt: pairs about one prompt are not independent.
fn by_prompt(pairs: &[HeldOutPair], figure: impl Fn(&HeldOutPair) -> f64) -> Vec<f64> {
    let mut figures: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for pair in pairs {
        let (sum, n) = figures.entry(&pair.prompt).or_default();
        *sum += figure(pair);
        *n += 1.0;
    }
    figures.values().map(|(sum, n)| sum / n).collect()
}

fn reliability(pairs: &[HeldOutPair]) -> Vec<ReliabilityBin> {
    let mut bins = [(0.0, 0.0, 0); BINS];
    for pair in pairs {
        let confidence = sigmoid(pair.margin.abs());
        let place = (((confidence - 0.5) * 2.0 * BINS as f64) as usize).min(BINS - 1);
        let (confidences, right, n) = &mut bins[place];
        *confidences += confidence;
        *right += half_for_ties(pair.margin);
        *n += 1;
    }
    let bin = |&(confidences, right, n_pairs): &(f64, f64, usize)| ReliabilityBin {
        confidence: confidences / n_pairs as f64,
        accuracy: right / n_pairs as f64,
        n_pairs,
    };
    bins.iter().filter(|(_, _, n)| *n > 0).map(bin).collect()
}

/// Pearson's correlation; 0 where one of the two does not vary.
fn correlation(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let n = points.clone().count().max(1) as f64;
    let (x, y) = points.clone().fold((0.0, 0.0), |(x, y), point| (x + point.0 / n, y + point.1 / n));
    let sums = points.fold((0.0, 0.0, 0.0), |(xx, yy, xy), point| {
        let (dx, dy) = (point.0 - x, point.1 - y);
        (xx + dx * dx, yy + dy * dy, xy + dx * dy)
    });
    let (xx, yy, xy) = sums;
    if xx > 0.0 && yy > 0.0 { xy / (xx * yy).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(prompt: &str, margin: f64, longer_by: f64) -> HeldOutPair {
        HeldOutPair { prompt: prompt.to_owned(), margin, longer_by }
    }

    #[test]
    fn accuracy_counts_prompts_and_stands_beside_length() {
        let pairs = [pair("a", 1.0, 3.0), pair("a", -1.0, 2.0), pair("b", 0.0, -1.0), pair("c", 2.0, -5.0)];
        let found = HeldOutResult::of(&pairs, true).unwrap();
        assert_eq!((found.n_pairs, found.n_prompts), (4, 3));
        assert!((found.accuracy.mean - (0.5 + 0.5 + 1.0) / 3.0).abs() < 1e-12);
        assert!((found.length_accuracy.mean - 1.0 / 3.0).abs() < 1e-12);
        assert!((found.over_length.mean - 1.0 / 3.0).abs() < 1e-12);
        let shorter = HeldOutResult::of(&pairs, false).unwrap();
        assert!((shorter.length_accuracy.mean - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_model_that_knows_nothing_says_so() {
        let pairs: Vec<HeldOutPair> = (0..40).map(|n| pair(&n.to_string(), 0.0, f64::from(n % 2) - 0.5)).collect();
        let found = HeldOutResult::of(&pairs, true).unwrap();
        assert!((found.log_loss - 2f64.ln()).abs() < 1e-12 && found.calibration_error < 1e-12);
        assert_eq!((found.accuracy.mean, found.length_correlation), (0.5, 0.0));
    }

    #[test]
    fn a_boaster_is_found_out() {
        // Sure of itself by e^4 to 1, and right in half of the cases.
        let pairs: Vec<HeldOutPair> =
            (0..40).map(|n| pair(&n.to_string(), if n % 2 == 0 { 4.0 } else { -4.0 }, f64::from(n))).collect();
        let found = HeldOutResult::of(&pairs, true).unwrap();
        assert_eq!(found.reliability.len(), 1);
        assert!((found.calibration_error - (sigmoid(4.0) - 0.5)).abs() < 1e-12);
        assert!(found.log_loss > 2.0);
    }
}
