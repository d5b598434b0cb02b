//! The options of a batch's method: names checked against the schema, values by type.

use objective::{Clip, Distance, KlEstimator, LabelNoise, MethodId, Normaliser, RatioLevel};
use serde_json::{Map, Value};

use super::problem::Problem;
use super::schema;

/// Options whose names the method knows.
pub(super) struct Options<'a> {
    method: MethodId,
    given: Option<&'a Map<String, Value>>,
}

/// How rewards become advantages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Baseline {
    None,
    GroupMean,
    LeaveOneOut,
    ZScore,
}

impl<'a> Options<'a> {
    pub(super) fn read(document: &'a Map<String, Value>, method: MethodId) -> Result<Self, Problem> {
        let given = match document.get("options") {
            None => None,
            Some(Value::Object(given)) => Some(given),
            Some(other) => return Err(Problem::of_type("`options`".to_owned(), "an object", other)),
        };
        let known: Vec<&'static str> = schema::options_of(method).iter().map(|option| option.name).collect();
        let stranger = given.and_then(|given| given.keys().find(|key| !known.contains(&key.as_str())));
        match stranger {
            Some(found) => Err(Problem::UnknownOption { method: method.name(), found: found.clone(), known }),
            None => Ok(Options { method, given }),
        }
    }

    fn value(&self, option: &str) -> Option<&'a Value> {
        self.given.and_then(|given| given.get(option))
    }

    pub(super) fn has(&self, option: &str) -> bool {
        self.value(option).is_some()
    }

    /// A number, or the default.
    pub(super) fn number(&self, option: &str, default: f64) -> Result<f64, Problem> {
        self.value(option).map_or(Ok(default), |value| {
            value.as_f64().ok_or_else(|| Problem::of_type(format!("option `{option}`"), "a number", value))
        })
    }

    /// A number that has no default.
    pub(super) fn needed_number(&self, option: &'static str) -> Result<f64, Problem> {
        match self.has(option) {
            true => self.number(option, f64::NAN),
            false => Err(Problem::MissingOption { method: self.method.name(), option }),
        }
    }

    /// true or false, or the default.
    pub(super) fn switch(&self, option: &str, default: bool) -> Result<bool, Problem> {
        self.value(option).map_or(Ok(default), |value| {
            value.as_bool().ok_or_else(|| Problem::of_type(format!("option `{option}`"), "true or false", value))
        })
    }

    /// One of some words, if given.
    fn word<T: Copy>(
        &self,
        option: &'static str,
        allowed: &'static str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.value(option) else { return Ok(None) };
        let chosen = value.as_str().and_then(|word| choices.iter().find(|(name, _)| *name == word));
        match chosen {
            Some((_, choice)) => Ok(Some(*choice)),
            None => {
                let found = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
                Err(Problem::Choice { option, found, allowed })
            }
        }
    }

    pub(super) fn distance(&self) -> Result<Distance, Problem> {
        let choices = [("sq", Distance::Square), ("bwd", Distance::Backward), ("fwd", Distance::Forward)];
        let missing = Problem::MissingOption { method: self.method.name(), option: "distance" };
        self.word("distance", "`sq`, `bwd` or `fwd`", &choices)?.ok_or(missing)
    }

    pub(super) fn noise(&self) -> Result<LabelNoise, Problem> {
        let choices = [("conservative", LabelNoise::Conservative), ("unbiased", LabelNoise::Unbiased)];
        Ok(self.word("noise", "`conservative` or `unbiased`", &choices)?.unwrap_or_default())
    }

    pub(super) fn estimator(&self, default: KlEstimator) -> Result<KlEstimator, Problem> {
        let choices = [("k1", KlEstimator::K1), ("k2", KlEstimator::K2), ("k3", KlEstimator::K3)];
        Ok(self.word("kl_estimator", "`k1`, `k2` or `k3`", &choices)?.unwrap_or(default))
    }

    pub(super) fn ratio(&self, default: RatioLevel) -> Result<RatioLevel, Problem> {
        let choices = [
            ("score", RatioLevel::Score),
            ("token", RatioLevel::Token),
            ("sequence", RatioLevel::Sequence),
            ("sequence_mean", RatioLevel::SequenceMean),
        ];
        let allowed = "`score`, `token`, `sequence` or `sequence_mean`";
        Ok(self.word("ratio", allowed, &choices)?.unwrap_or(default))
    }

    pub(super) fn baseline(&self, default: Baseline) -> Result<Baseline, Problem> {
        let choices = [
            ("none", Baseline::None),
            ("group_mean", Baseline::GroupMean),
            ("leave_one_out", Baseline::LeaveOneOut),
            ("z_score", Baseline::ZScore),
        ];
        let allowed = "`none`, `group_mean`, `leave_one_out` or `z_score`";
        Ok(self.word("advantage", allowed, &choices)?.unwrap_or(default))
    }

    /// A word, or a number: the constant.
    pub(super) fn normaliser(&self, default: Normaliser) -> Result<Normaliser, Problem> {
        if let Some(constant) = self.value("normaliser").and_then(Value::as_f64) {
            return Ok(Normaliser::Constant(constant));
        }
        let choices = [
            ("sequence", Normaliser::PerSequence),
            ("token", Normaliser::PerToken),
            ("rewrite", Normaliser::PerRewrite),
        ];
        let allowed = "`sequence`, `token`, `rewrite` or a number, the constant to divide by";
        Ok(self.word("normaliser", allowed, &choices)?.unwrap_or(default))
    }

    /// ε_low and ε_high; the second follows the first unless given.
    pub(super) fn clip(&self) -> Result<Clip, Problem> {
        let low = self.number("epsilon_low", 0.2)?;
        Ok(Clip::Range { low, high: self.number("epsilon_high", low)? })
    }
}
