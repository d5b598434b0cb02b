//! Several rewards as one.
//!
//! ## Objective
//! Each reward is put on one scale first, by what it gives to the target's answers to the user's own prompts: its gain
//! g_k = (r_k − mean_0,k) / deviation_0,k, weighted by w_k. Then
//! - sum: R = Σ w_k g_k
//! - OWA ex-post: R = f_b(w g), the smoothed ordered weighted average of one answer's gains: fair inside each answer
//! - OWA ex-ante: R = Σ u_k w_k g_k with u = ∇ f_b(μ), where μ is the mean of the gains over the steps so far: fair over all
//!   answers together. u is constant within a step, and μ is learned from the steps before it, so that no answer weighs
//!   its own reward.
//!
//! ## Choices
//! - μ is a moving average, begun at 0 (no gain) and moved by a tenth a step. It is part of a checkpoint.
//! - A reward that gives the same to all answers has no deviation; its gain is left undivided.
//!
//! ## Source
//! The OWA operator and its smoothing: `theory::owa`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use theory::owa::OwaWeights;
use theory::owa::envelope::moreau_envelope;

use super::{Exchange, Part, Reward, Score};
use crate::Error;
use crate::data::Record;
use crate::evaluate::EvaluatedPrompt;
use crate::judge::CanaryResult;

/// How far μ moves to a step's mean.
const PACE: f64 = 0.1;

/// How weighted gains become one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Their sum.
    Sum,
    /// OWA of them.
    Owa {
        /// Whether answers are fair each, or all together.
        fairness: Fairness,
        /// How much the worst weighs.
        weights: OwaShape,
        /// b, above 0: gains closer than this weigh nearly alike.
        smoothing: f64,
    },
}

/// Where fairness is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fairness {
    /// In each answer.
    ExPost,
    /// Over all answers.
    ExAnte,
}

/// Families of OWA weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwaShape {
    /// Falling evenly from the worst to the best.
    Gini,
    /// The worst alone.
    Worst,
    /// All alike.
    Mean,
}

/// What a reward gives to the target's answers to the user's own prompts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation, or 1 where there is none.
    pub deviation: f64,
}

impl Scale {
    /// Rewards as they are.
    pub const RAW: Scale = Scale { mean: 0.0, deviation: 1.0 };
}

/// The reward of a run: the only one, or several as one.
pub enum Whole {
    /// The only one, as it is.
    One(Box<dyn Reward>),
    /// Several as one.
    Mix(Mix),
}

/// One of several rewards.
pub struct Ingredient {
    /// Its name; its value is a part of the mixed score under this name.
    pub name: String,
    /// The reward.
    pub reward: Box<dyn Reward>,
    /// w.
    pub weight: f64,
    /// Its scale.
    pub scale: Scale,
}

/// Several rewards as one.
pub struct Mix {
    ingredients: Vec<Ingredient>,
    rule: Rule,
    /// μ, the mean weighted gains of the steps so far.
    means: Vec<f64>,
}

impl Mix {
    /// A mix; at least one reward.
    pub fn new(ingredients: Vec<Ingredient>, rule: Rule) -> Mix {
        let means = vec![0.0; ingredients.len()];
        Mix { ingredients, rule, means }
    }

    /// Put the rewards on these scales, one each.
    pub fn set_scales(&mut self, scales: &[Scale]) {
        for (ingredient, scale) in self.ingredients.iter_mut().zip(scales) {
            ingredient.scale = *scale;
        }
    }

    /// The weighted gains behind a mixed score.
    fn gains(&self, score: &Score) -> Vec<f64> {
        let gain = |ingredient: &Ingredient| {
            let value = score.parts.iter().find(|part| part.name == ingredient.name).map_or(0.0, |part| part.value);
            ingredient.gain(value)
        };
        self.ingredients.iter().map(gain).collect()
    }

    fn value(&self, gains: &[f64], slopes: &[f64]) -> Result<f64, Error> {
        match self.rule {
            Rule::Owa { fairness: Fairness::ExPost, weights, smoothing } => {
                Ok(moreau_envelope(gains, &weights.of(gains.len())?, smoothing).map_err(failed)?.value)
            }
            Rule::Sum | Rule::Owa { fairness: Fairness::ExAnte, .. } => {
                Ok(slopes.iter().zip(gains).map(|(slope, gain)| slope * gain).sum())
            }
        }
    }

    /// u: how much each reward weighs by how well it fared so far; the same for a whole batch.
    fn slopes(&self) -> Result<Vec<f64>, Error> {
        match self.rule {
            Rule::Owa { fairness: Fairness::ExAnte, weights, smoothing } => {
                Ok(moreau_envelope(&self.means, &weights.of(self.means.len())?, smoothing).map_err(failed)?.gradient)
            }
            Rule::Sum | Rule::Owa { fairness: Fairness::ExPost, .. } => Ok(vec![1.0; self.means.len()]),
        }
    }
}

impl Whole {
    fn reward(&self) -> &dyn Reward {
        match self {
            Whole::One(reward) => &**reward,
            Whole::Mix(mix) => mix,
        }
    }

    fn reward_mut(&mut self) -> &mut dyn Reward {
        match self {
            Whole::One(reward) => &mut **reward,
            Whole::Mix(mix) => mix,
        }
    }
}

impl Reward for Whole {
    fn score(&mut self, batch: &[Exchange<'_>]) -> Result<Vec<Score>, Error> {
        self.reward_mut().score(batch)
    }

    fn check(&self, record: &Record) -> Result<(), Error> {
        self.reward().check(record)
    }

    fn learn(&mut self, scores: &[&Score]) {
        self.reward_mut().learn(scores);
    }

    fn state(&self) -> Vec<f64> {
        self.reward().state()
    }

    fn restore(&mut self, state: &[f64]) {
        self.reward_mut().restore(state);
    }

    fn ready(&mut self) -> Result<(), Error> {
        self.reward_mut().ready()
    }

    fn canaries(&mut self) -> Result<Option<CanaryResult>, Error> {
        self.reward_mut().canaries()
    }
}

impl Ingredient {
    fn gain(&self, value: f64) -> f64 {
        self.weight * (value - self.scale.mean) / self.scale.deviation
    }
}

impl OwaShape {
    fn of(self, count: usize) -> Result<OwaWeights, Error> {
        match self {
            OwaShape::Gini => OwaWeights::gini(count),
            OwaShape::Worst => OwaWeights::mean_of_worst(1, count),
            OwaShape::Mean => OwaWeights::mean_of_worst(count, count),
        }
        .map_err(failed)
    }
}

impl Reward for Mix {
    fn score(&mut self, batch: &[Exchange<'_>]) -> Result<Vec<Score>, Error> {
        let mut mixed = vec![Score::plain(0.0); batch.len()];
        for ingredient in &mut self.ingredients {
            for (mixed, score) in mixed.iter_mut().zip(ingredient.reward.score(batch)?) {
                mixed.parts.push(Part { name: Cow::Owned(ingredient.name.clone()), value: score.value });
                mixed.parts.extend(score.parts);
            }
        }
        let slopes = self.slopes()?;
        for score in &mut mixed {
            score.value = self.value(&self.gains(score), &slopes)?;
        }
        Ok(mixed)
    }

    fn check(&self, record: &Record) -> Result<(), Error> {
        self.ingredients.iter().try_for_each(|ingredient| ingredient.reward.check(record))
    }

    fn learn(&mut self, scores: &[&Score]) {
        if scores.is_empty() {
            return;
        }
        let mut step = vec![0.0; self.means.len()];
        for score in scores {
            for (mean, gain) in step.iter_mut().zip(self.gains(score)) {
                *mean += gain / scores.len() as f64;
            }
        }
        for (mean, step) in self.means.iter_mut().zip(step) {
            *mean += PACE * (step - *mean);
        }
    }

    fn state(&self) -> Vec<f64> {
        self.means.clone()
    }

    fn restore(&mut self, state: &[f64]) {
        if state.len() == self.means.len() {
            self.means.copy_from_slice(state);
        }
    }

    fn ready(&mut self) -> Result<(), Error> {
        self.ingredients.iter_mut().try_for_each(|ingredient| ingredient.reward.ready())
    }

    fn canaries(&mut self) -> Result<Option<CanaryResult>, Error> {
        let tested = self.ingredients.iter_mut().map(|ingredient| ingredient.reward.canaries());
        tested.reduce(|first, other| Ok(first?.or(other?))).unwrap_or(Ok(None))
    }
}

/// The scales of some rewards, from what the prompt as it is did with them. The parts of its scores must have their names.
pub fn scales(naive: &[EvaluatedPrompt], names: &[&str]) -> Vec<Scale> {
    let of = |name: &&str| {
        let parts = naive.iter().flat_map(|prompt| &prompt.rewrites).flat_map(|rewrite| &rewrite.responses);
        let values: Vec<f64> = parts
            .filter_map(|response| response.parts.iter().find(|(part, _)| part == name).map(|(_, value)| *value))
            .collect();
        let n = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        Scale { mean, deviation: if variance > 0.0 { variance.sqrt() } else { 1.0 } }
    };
    names.iter().map(of).collect()
}

fn failed(source: theory::Error) -> Error {
    Error::Statistic { what: "the mix of rewards", source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reward::fixture::{record, respond};
    use crate::reward::{Contains, Verifier};

    /// 1 where a word occurs.
    fn has(word: &str, weight: f64) -> Ingredient {
        let contains: Contains =
            serde_json::from_value(json!({"wanted": {"texts": [word]}, "letter-case": "sensitive"})).unwrap();
        let reward = Box::new(Verifier::Contains(contains));
        Ingredient { name: word.to_owned(), reward, weight, scale: Scale::RAW }
    }

    fn values(mix: &mut Mix, responses: &[&str]) -> Vec<f64> {
        let record = record(json!({}));
        let exchanges: Vec<Exchange<'_>> = responses.iter().map(|response| respond(&record, response)).collect();
        mix.score(&exchanges).unwrap().iter().map(|score| score.value).collect()
    }

    #[test]
    fn a_sum_weighs_gains_on_one_scale() {
        let mut mix = Mix::new(vec![has("a", 1.0), has("b", 2.0)], Rule::Sum);
        assert_eq!(values(&mut mix, &["a", "b", "a b", ""]), [1.0, 2.0, 3.0, 0.0]);
        mix.set_scales(&[Scale { mean: 0.5, deviation: 0.5 }, Scale { mean: 0.0, deviation: 4.0 }]);
        assert_eq!(values(&mut mix, &["a", "b", "a b", ""]), [1.0, -0.5, 1.5, -1.0]);
    }

    #[test]
    fn ex_post_the_worst_decides_and_parts_stay_what_they_were() {
        let rule = |weights| Rule::Owa { fairness: Fairness::ExPost, weights, smoothing: 1e-6 };
        let mut mix = Mix::new(vec![has("a", 1.0), has("b", 1.0)], rule(OwaShape::Worst));
        for (value, expected) in values(&mut mix, &["a", "b", "a b"]).iter().zip([0.0, 0.0, 1.0]) {
            assert!((value - expected).abs() < 1e-5, "{value}");
        }
        let mut mean = Mix::new(vec![has("a", 1.0), has("b", 1.0)], rule(OwaShape::Mean));
        assert!((values(&mut mean, &["a"])[0] - 0.5).abs() < 1e-5);
        let record = record(json!({}));
        let score = mix.score(&[respond(&record, "a")]).unwrap().remove(0);
        let parts: Vec<(&str, f64)> = score.parts.iter().map(|part| (&*part.name, part.value)).collect();
        assert_eq!(parts[0], ("a", 1.0));
        assert!(parts.contains(&("b", 0.0)));
    }

    #[test]
    fn ex_ante_what_fared_worse_so_far_weighs_more() {
        let rule = Rule::Owa { fairness: Fairness::ExAnte, weights: OwaShape::Gini, smoothing: 0.01 };
        let mut mix = Mix::new(vec![has("a", 1.0), has("b", 1.0)], rule);
        let before = values(&mut mix, &["a", "b"]);
        assert_eq!(before[0], before[1], "nothing has fared yet");
        let record = record(json!({}));
        let scores = mix.score(&[respond(&record, "a"), respond(&record, "a")]).unwrap();
        for _ in 0..10 {
            mix.learn(&scores.iter().collect::<Vec<_>>());
        }
        let after = values(&mut mix, &["a", "b"]);
        assert!((after[0] - 1.0 / 3.0).abs() < 1e-9 && (after[1] - 2.0 / 3.0).abs() < 1e-9, "{after:?}");
        // What it learned goes through a checkpoint.
        let mut other = Mix::new(vec![has("a", 1.0), has("b", 1.0)], rule);
        other.restore(&mix.state());
        assert_eq!(values(&mut other, &["a", "b"]), after);
    }
}
