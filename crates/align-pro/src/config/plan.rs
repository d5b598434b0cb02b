//! The resolved configuration: every default filled in, every path absolute, every rule kept.

use std::path::PathBuf;

use endpoint::Budget;
use lm::Precision;
use rollout::data::ReadOptions;
use rollout::instruction::Mode;
use rollout::prompter::PrompterOptions;
use rollout::rails::Rails;
use rollout::target::{EndpointTargetOptions, TargetOptions};
use serde::{Deserialize, Serialize};
use train::options::{LoraOptions, Method, OptimizerOptions, ScheduleOptions};

use super::data::DataPlan;
use super::judge::PairJudgePlan;
use super::reward::{MixPlan, RewardPlan};

/// All that decides a run. Written as TOML it is a configuration again, and resolves to itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Plan {
    /// Every random number of the run follows from it.
    pub(crate) seed: u64,
    /// What each token that the prompter writes takes off the reward.
    pub(crate) length_penalty: f64,
    pub(crate) train: TrainPlan,
    pub(crate) prompter: PrompterPlan,
    pub(crate) target: TargetPlan,
    pub(crate) budget: BudgetPlan,
    pub(crate) reward: RewardPlan,
    pub(crate) reward_mix: MixPlan,
    pub(crate) rails: Rails,
    pub(crate) data: DataPlan,
    pub(crate) method: Method,
    pub(crate) optimizer: OptimizerOptions,
    pub(crate) schedule: ScheduleOptions,
    pub(crate) eval: EvalPlan,
    /// Who compares the answers of arms in pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) judge: Option<PairJudgePlan>,
}

/// `[train]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct TrainPlan {
    pub(crate) what: What,
}

/// What gets the adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    /// The prompter: the target stays frozen.
    Prompter,
    /// The target, which reads the user's prompts as they are: RLHF, the oracle that prompters are measured by.
    Target,
}

/// `[prompter]`: what is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct PrompterPlan {
    /// As `models::open` takes it: a known name, `hf:ORG/REPO`, or an absolute path.
    pub(crate) model: String,
    /// A PEFT folder to start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) adapter: Option<PathBuf>,
    pub(crate) precision: PrecisionName,
    pub(crate) mode: Mode,
    pub(crate) temperature: f32,
    pub(crate) max_tokens: usize,
    pub(crate) word_limit: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instruction: Option<String>,
    pub(crate) lora: LoraOptions,
}

/// `[target.NAME]`: the frozen model that answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum TargetPlan {
    /// A model on this machine.
    Local(LocalTarget),
    /// A model behind an OpenAI-compatible endpoint.
    Openai(EndpointTarget),
}

/// `[target.local]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct LocalTarget {
    /// As `models::open` takes it: a known name, `hf:ORG/REPO`, or an absolute path.
    pub(crate) model: String,
    pub(crate) precision: PrecisionName,
    /// Responses to each rewrite while training.
    pub(crate) responses: usize,
    pub(crate) temperature: f32,
    pub(crate) top_p: f32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) top_k: Option<usize>,
    pub(crate) min_p: f32,
    pub(crate) max_tokens: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) system: Option<String>,
}

/// `[target.openai]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct EndpointTarget {
    pub(crate) base_url: String,
    pub(crate) model: String,
    /// The environment variable that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api_key_env: Option<String>,
    pub(crate) concurrency: usize,
    /// Seconds that one attempt may take.
    pub(crate) timeout: f64,
    pub(crate) max_retries: u32,
    /// Responses to each rewrite while training.
    pub(crate) responses: usize,
    pub(crate) temperature: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) top_p: Option<f64>,
    pub(crate) max_tokens: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) system: Option<String>,
    /// More fields of the body of every request.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub(crate) extra: toml::Table,
}

/// `[budget]`: what the target's calls may cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct BudgetPlan {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_calls: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_cost: Option<f64>,
    /// Price of a million tokens that the target reads.
    pub(crate) prompt_price: f64,
    /// Price of a million tokens that it writes.
    pub(crate) completion_price: f64,
}

/// `[eval]`: how arms are compared on held-out prompts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct EvalPlan {
    /// The most held-out prompts that are used.
    pub(crate) prompts: usize,
    /// Rewrites of each prompt.
    pub(crate) rewrites: usize,
    /// Responses to each rewrite.
    pub(crate) responses: usize,
    /// 0 for none; N adds the arm that keeps the best of N rewrites.
    pub(crate) best_of: usize,
}

/// How frozen weights are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PrecisionName {
    Auto,
    F32,
    Bf16,
    Int8,
}

impl Plan {
    /// Whether a run of this plan can go on with the other one: how fast somebody is asked, what may be spent, and who
    /// compares answers in the end can change, all that decides an answer or a reward cannot.
    pub(crate) fn continues(&self, earlier: &Plan) -> bool {
        let mut earlier = earlier.clone();
        earlier.budget = self.budget.clone();
        earlier.judge.clone_from(&self.judge);
        if let (TargetPlan::Openai(now), TargetPlan::Openai(before)) = (&self.target, &mut earlier.target) {
            before.connect_as(now);
        }
        for (before, now) in earlier.reward.0.iter_mut().zip(&self.reward.0) {
            before.connect_as(now);
        }
        *self == earlier
    }

    /// What the activations of one backward pass may take, in bytes.
    pub(crate) fn tape_budget(&self) -> usize {
        self.schedule.activation_memory << 20
    }

    /// How the weights of a local target are kept. One that is not trained needs no gradients.
    pub(crate) fn target_precision(&self, target: &LocalTarget) -> PrecisionName {
        let is_frozen = self.train.what == What::Prompter;
        match target.precision {
            PrecisionName::Auto if is_frozen && lm::frozen_precision() == Precision::Int8 => PrecisionName::Int8,
            precision => precision,
        }
    }

    /// The model that gets the adapter.
    pub(crate) fn trained_model(&self) -> &str {
        match self.train.what {
            What::Prompter => &self.prompter.model,
            What::Target => self.target.model(),
        }
    }
}

impl EndpointTarget {
    /// Take over from another plan how the endpoint is reached, which decides no answer.
    pub(super) fn connect_as(&mut self, now: &EndpointTarget) {
        self.api_key_env.clone_from(&now.api_key_env);
        (self.concurrency, self.timeout, self.max_retries) = (now.concurrency, now.timeout, now.max_retries);
    }
}

impl TargetPlan {
    /// Whether both are one model under the same settings, however its weights are kept: a target in bytes has an oracle too,
    /// which was trained in more.
    pub(crate) fn is_alike(&self, other: &TargetPlan) -> bool {
        let however_kept = |target: &TargetPlan| match target {
            TargetPlan::Local(local) => {
                TargetPlan::Local(LocalTarget { precision: PrecisionName::Auto, ..local.clone() })
            }
            openai @ TargetPlan::Openai(_) => openai.clone(),
        };
        however_kept(self) == however_kept(other)
    }

    /// The model's name.
    pub(crate) fn model(&self) -> &str {
        match self {
            TargetPlan::Local(target) => &target.model,
            TargetPlan::Openai(target) => &target.model,
        }
    }

    /// Responses to each rewrite while training.
    pub(crate) fn responses(&self) -> usize {
        match self {
            TargetPlan::Local(target) => target.responses,
            TargetPlan::Openai(target) => target.responses,
        }
    }

    /// Most tokens of a response.
    pub(crate) fn max_tokens(&self) -> usize {
        match self {
            TargetPlan::Local(target) => target.max_tokens,
            TargetPlan::Openai(target) => target.max_tokens as usize,
        }
    }
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Precision {
        match name {
            PrecisionName::Auto => Precision::Auto,
            PrecisionName::F32 => Precision::F32,
            PrecisionName::Bf16 => Precision::Bf16,
            PrecisionName::Int8 => Precision::Int8,
        }
    }
}

impl From<&PrompterPlan> for PrompterOptions {
    fn from(plan: &PrompterPlan) -> PrompterOptions {
        PrompterOptions {
            mode: plan.mode,
            temperature: plan.temperature,
            max_tokens: plan.max_tokens,
            word_limit: plan.word_limit,
            instruction: plan.instruction.clone(),
        }
    }
}

impl From<&LocalTarget> for TargetOptions {
    fn from(plan: &LocalTarget) -> TargetOptions {
        TargetOptions {
            temperature: plan.temperature,
            top_p: plan.top_p,
            top_k: plan.top_k,
            min_p: plan.min_p,
            max_tokens: plan.max_tokens,
            system: plan.system.clone(),
        }
    }
}

impl From<&EndpointTarget> for EndpointTargetOptions {
    fn from(plan: &EndpointTarget) -> EndpointTargetOptions {
        EndpointTargetOptions {
            temperature: Some(plan.temperature),
            top_p: plan.top_p,
            max_tokens: plan.max_tokens,
            system: plan.system.clone(),
        }
    }
}

impl From<&BudgetPlan> for Budget {
    fn from(plan: &BudgetPlan) -> Budget {
        let &BudgetPlan { max_calls, max_tokens, max_cost, prompt_price, completion_price } = plan;
        Budget { max_calls, max_tokens, max_cost, prompt_price, completion_price }
    }
}

impl From<&DataPlan> for ReadOptions {
    fn from(plan: &DataPlan) -> ReadOptions {
        ReadOptions { prompt_field: plan.prompt_field.clone(), max_bad_rows: plan.max_bad_rows }
    }
}
