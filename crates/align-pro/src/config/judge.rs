//! `[judge]` and `[reward.judge]`, resolved.

use rollout::reward::{Abstention, JudgeOptions};
use serde::{Deserialize, Serialize};

use super::plan::{BudgetPlan, EndpointTarget, LocalTarget};
use super::rules::{check_endpoint, check_temperature};

/// `[judge]`: who compares answers in pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct PairJudgePlan {
    /// What counts, in words.
    pub(crate) criteria: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) local: Option<LocalTarget>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) openai: Option<EndpointTarget>,
    pub(crate) budget: BudgetPlan,
}

/// `[reward.judge]`: who grades single answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct GradingJudgePlan {
    /// What counts, in words.
    pub(crate) criteria: String,
    /// The lowest and the highest grade.
    pub(crate) scale: [u32; 2],
    /// What a reply without a grade counts for.
    pub(crate) abstain: Abstention,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) local: Option<LocalTarget>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) openai: Option<EndpointTarget>,
    pub(crate) budget: BudgetPlan,
}

/// The model behind a judge.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AskedModel<'a> {
    Local(&'a LocalTarget),
    Openai(&'a EndpointTarget),
}

impl PairJudgePlan {
    /// The model that is asked.
    pub(crate) fn model(&self) -> Option<AskedModel<'_>> {
        AskedModel::of(self.local.as_ref(), self.openai.as_ref())
    }

    /// A key below `[judge]` that is wrong, and what is.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        check(self.local.as_ref(), self.openai.as_ref(), &self.budget).map_err(below("judge"))
    }
}

impl GradingJudgePlan {
    /// The model that is asked.
    pub(crate) fn model(&self) -> Option<AskedModel<'_>> {
        AskedModel::of(self.local.as_ref(), self.openai.as_ref())
    }

    /// A key below `[reward.judge]` that is wrong, and what is.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let [lowest, highest] = self.scale;
        if lowest >= highest {
            let problem = format!("must be the lowest and then the highest grade, found {lowest} and {highest}");
            return Err(("reward.judge.scale".to_owned(), problem));
        }
        check(self.local.as_ref(), self.openai.as_ref(), &self.budget).map_err(below("reward.judge"))
    }

    /// Take over from another plan how the judge is reached and what it may cost, which decides no grade.
    pub(super) fn connect_as(&mut self, now: &GradingJudgePlan) {
        self.budget = now.budget.clone();
        if let (Some(before), Some(now)) = (&mut self.openai, &now.openai) {
            before.connect_as(now);
        }
    }
}

impl<'a> AskedModel<'a> {
    fn of(local: Option<&'a LocalTarget>, openai: Option<&'a EndpointTarget>) -> Option<AskedModel<'a>> {
        local.map(AskedModel::Local).or_else(|| openai.map(AskedModel::Openai))
    }

    /// How often the same is asked.
    pub(crate) fn times(&self) -> usize {
        match self {
            AskedModel::Local(local) => local.responses,
            AskedModel::Openai(openai) => openai.responses,
        }
    }
}

impl From<&GradingJudgePlan> for JudgeOptions {
    fn from(plan: &GradingJudgePlan) -> JudgeOptions {
        JudgeOptions {
            criteria: plan.criteria.clone(),
            scale: plan.scale,
            abstention: plan.abstain,
            times: plan.model().map_or(1, |model| model.times()),
        }
    }
}

fn below(table: &'static str) -> impl Fn((&'static str, String)) -> (String, String) {
    move |(key, problem)| (if key.is_empty() { table.to_owned() } else { format!("{table}.{key}") }, problem)
}

fn check(
    local: Option<&LocalTarget>,
    openai: Option<&EndpointTarget>,
    budget: &BudgetPlan,
) -> Result<(), (&'static str, String)> {
    match (local, openai) {
        (None, None) => Err(("", "has neither `local` nor `openai`, and one of them must be asked".to_owned())),
        (Some(_), Some(_)) => Err(("", "has both `local` and `openai`, and exactly one is allowed".to_owned())),
        (Some(local), None) => {
            check_temperature(local).map_err(|problem| ("local.temperature", problem))?;
            match *budget == BudgetPlan::default() {
                true => Ok(()),
                false => Err(("budget", "is for `openai`; a model on this machine costs nothing".to_owned())),
            }
        }
        (None, Some(openai)) => check_endpoint(openai, budget),
    }
}
