//! The resolved configuration: every default filled in, every path absolute, every rule kept.

use std::path::PathBuf;

use lm::Precision;
use rollout::data::ReadOptions;
use rollout::instruction::Mode;
use rollout::prompter::PrompterOptions;
use rollout::rails::Rails;
use rollout::reward::Verifier;
use rollout::target::TargetOptions;
use serde::{Deserialize, Serialize};
use train::options::{LoraOptions, Method, OptimizerOptions, ScheduleOptions};

use super::data::DataPlan;

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
    pub(crate) reward: Verifier,
    pub(crate) rails: Rails,
    pub(crate) data: DataPlan,
    pub(crate) method: Method,
    pub(crate) optimizer: OptimizerOptions,
    pub(crate) schedule: ScheduleOptions,
    pub(crate) eval: EvalPlan,
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
    /// The model that gets the adapter.
    pub(crate) fn trained_model(&self) -> &str {
        match self.train.what {
            What::Prompter => &self.prompter.model,
            What::Target => self.target.model(),
        }
    }
}

impl TargetPlan {
    /// The model's name.
    pub(crate) fn model(&self) -> &str {
        let TargetPlan::Local(target) = self;
        &target.model
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

impl From<&DataPlan> for ReadOptions {
    fn from(plan: &DataPlan) -> ReadOptions {
        ReadOptions { prompt_field: plan.prompt_field.clone(), max_bad_rows: plan.max_bad_rows }
    }
}
