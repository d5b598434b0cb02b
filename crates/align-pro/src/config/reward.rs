//! `[reward.NAME]` and `[reward-mix]`, resolved.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rollout::reward::{Fairness, OwaShape, Rule, Verifier};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::custom::{CommandPlan, HttpPlan};
use super::judge::GradingJudgePlan;
use super::plan::PrecisionName;

/// The rewards: one, or several that `[reward-mix]` makes one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub(crate) struct RewardPlan(pub(crate) Vec<OneReward>);

/// One reward, as `[reward.NAME]` names it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OneReward {
    /// A pure function of one exchange.
    Verifier(Verifier),
    /// A language model with a head that was trained on preference pairs.
    Model(RewardModelPlan),
    /// A program of the user's own.
    Command(CommandPlan),
    /// A server of the user's own.
    Http(HttpPlan),
    /// The grade of a language model.
    Judge(Box<GradingJudgePlan>),
}

/// `[reward.model]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct RewardModelPlan {
    /// The folder that `reward train` made.
    pub(crate) path: PathBuf,
    /// The attribute that is the reward, where the model has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attribute: Option<String>,
    /// How the language model's weights are kept.
    pub(crate) precision: PrecisionName,
}

/// Rewards that are no verifiers have their names from here, in configurations, results and journals.
const MODEL: &str = "model";
const COMMAND: &str = "command";
const HTTP: &str = "http";
const JUDGE: &str = "judge";

/// `[reward-mix]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct MixPlan {
    pub(crate) scale: ScaleName,
    /// 1 for rewards that are not named.
    pub(crate) weights: BTreeMap<String, f64>,
    /// Training prompts on which the scale is measured.
    pub(crate) calibration_prompts: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owa: Option<OwaPlan>,
}

/// What rewards are measured in before they are mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ScaleName {
    /// Gains over the prompt as it is, in standard deviations of that.
    Gains,
    Raw,
}

/// `[reward-mix.owa]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct OwaPlan {
    pub(crate) fairness: Fairness,
    pub(crate) weights: OwaShape,
    pub(crate) smoothing: f64,
}

impl OneReward {
    /// The reward that `[reward.NAME]` says.
    pub(crate) fn read(name: &str, options: &Value) -> Result<OneReward, toml::de::Error> {
        match name {
            MODEL => RewardModelPlan::deserialize(options.clone()).map(OneReward::Model),
            COMMAND => CommandPlan::deserialize(options.clone()).map(OneReward::Command),
            HTTP => HttpPlan::deserialize(options.clone()).map(OneReward::Http),
            JUDGE => GradingJudgePlan::deserialize(options.clone()).map(Box::new).map(OneReward::Judge),
            _ => {
                let table = Value::Table(Table::from_iter([(name.to_owned(), options.clone())]));
                Verifier::deserialize(table).map(OneReward::Verifier)
            }
        }
    }

    /// Its name in configurations, results and events.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            OneReward::Verifier(verifier) => verifier.name(),
            OneReward::Model(_) => MODEL,
            OneReward::Command(_) => COMMAND,
            OneReward::Http(_) => HTTP,
            OneReward::Judge(_) => JUDGE,
        }
    }

    /// It under its name.
    fn table(&self) -> Table {
        // It came from TOML, so nothing in it is beyond that.
        let table = match self {
            OneReward::Verifier(verifier) => Table::try_from(verifier),
            OneReward::Model(plan) => Table::try_from(BTreeMap::from([(MODEL, plan)])),
            OneReward::Command(plan) => Table::try_from(BTreeMap::from([(COMMAND, plan)])),
            OneReward::Http(plan) => Table::try_from(BTreeMap::from([(HTTP, plan)])),
            // By way of text, which writes numbers of 32 bits as short as they were written.
            OneReward::Judge(plan) => {
                let options: Option<Table> = toml::to_string(plan).ok().and_then(|text| text.parse().ok());
                Ok(Table::from_iter([(JUDGE.to_owned(), Value::Table(options.unwrap_or_default()))]))
            }
        };
        table.unwrap_or_default()
    }

    /// Take over from the same reward of another plan what does not decide a score.
    pub(super) fn connect_as(&mut self, now: &OneReward) {
        match (self, now) {
            (OneReward::Command(before), OneReward::Command(now)) => before.connect_as(now),
            (OneReward::Http(before), OneReward::Http(now)) => before.connect_as(now),
            (OneReward::Judge(before), OneReward::Judge(now)) => before.connect_as(now),
            _ => (),
        }
    }
}

impl TryFrom<Table> for RewardPlan {
    type Error = toml::de::Error;

    fn try_from(table: Table) -> Result<RewardPlan, toml::de::Error> {
        table.iter().map(|(name, options)| OneReward::read(name, options)).collect::<Result<_, _>>().map(RewardPlan)
    }
}

impl From<RewardPlan> for Table {
    fn from(plan: RewardPlan) -> Table {
        plan.0.iter().flat_map(OneReward::table).collect()
    }
}

impl RewardPlan {
    /// Whether there are several, which are made one.
    pub(crate) fn is_mixed(&self) -> bool {
        self.0.len() > 1
    }

    /// The names of those that are mixed: none where there is only one.
    pub(crate) fn mixed(&self) -> Vec<String> {
        let names = self.0.iter().map(|reward| reward.name().to_owned());
        if self.is_mixed() { names.collect() } else { Vec::new() }
    }

    /// [a, b], where the reward promises it: a verifier does, a mix of gains does not.
    pub(crate) fn range(&self) -> Option<[f64; 2]> {
        match self.0.as_slice() {
            [OneReward::Verifier(_) | OneReward::Judge(_)] => Some([0.0, 1.0]),
            _ => None,
        }
    }

    /// The names of all of them, in order.
    pub(crate) fn name(&self) -> String {
        self.0.iter().map(OneReward::name).collect::<Vec<_>>().join(" + ")
    }
}

impl MixPlan {
    /// How gains become one number.
    pub(crate) fn rule(&self) -> Rule {
        self.owa.as_ref().map_or(Rule::Sum, |&OwaPlan { fairness, weights, smoothing }| Rule::Owa {
            fairness,
            weights,
            smoothing,
        })
    }
}
