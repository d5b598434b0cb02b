//! What a user decides about training; a table of the configuration each.

use lm::{AdamWSettings, Architecture, Decay, Linear, LoraShape, Schedule};
use serde::{Deserialize, Serialize};

/// `[method.NAME]`: exactly one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Method {
    /// REINFORCE leave-one-out.
    Rloo(Rloo),
    /// Proximal Policy Optimization.
    Ppo(Ppo),
}

impl Method {
    /// Its name in configurations and events.
    pub fn name(&self) -> &'static str {
        match self {
            Method::Rloo(_) => "rloo",
            Method::Ppo(_) => "ppo",
        }
    }

    /// λ: the price of a nat of divergence to the reference prompter, in reward.
    pub fn lambda(&self) -> f64 {
        match self {
            Method::Rloo(rloo) => rloo.lambda,
            Method::Ppo(ppo) => ppo.lambda,
        }
    }

    /// Rewrites a prompt.
    pub fn group_size(&self) -> usize {
        match self {
            Method::Rloo(rloo) => rloo.group_size,
            Method::Ppo(ppo) => ppo.group_size,
        }
    }
}

/// `[method.rloo]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rloo {
    /// λ: the price of a nat of divergence to the reference prompter, in reward.
    pub lambda: f64,
    /// Rewrites a prompt, at least 2: each is compared with the mean of the others.
    pub group_size: usize,
}

/// `[method.ppo]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ppo {
    /// λ: the price of a nat of divergence to the reference prompter, in reward, charged token by token.
    pub lambda: f64,
    /// Rewrites a prompt.
    pub group_size: usize,
    /// Times that each batch of rollouts is gone through.
    #[serde(default = "Ppo::default_epochs")]
    pub epochs: usize,
    /// Updates an epoch: the batch is cut into so many parts.
    #[serde(default = "Ppo::default_mini_batches")]
    pub mini_batches: usize,
    /// ε: how far a token's probability ratio may move from one before its gradient stops.
    #[serde(default = "Ppo::default_epsilon")]
    pub epsilon: f64,
    /// How far a value may move from its old one before its gradient stops.
    #[serde(default = "Ppo::default_epsilon")]
    pub value_clip: f64,
    /// Weight of the value head's loss.
    #[serde(default = "Ppo::default_value_weight")]
    pub value_weight: f64,
    /// γ: weight of the next token's value.
    #[serde(default = "Ppo::default_discount")]
    pub discount: f64,
    /// λ of GAE: 0 trusts the value head, 1 the sampled rewards.
    #[serde(default = "Ppo::default_gae_decay")]
    pub gae_decay: f64,
}

impl Ppo {
    fn default_epochs() -> usize {
        4
    }
    fn default_mini_batches() -> usize {
        1
    }
    fn default_epsilon() -> f64 {
        0.2
    }
    fn default_value_weight() -> f64 {
        0.1
    }
    fn default_discount() -> f64 {
        1.0
    }
    fn default_gae_decay() -> f64 {
        0.95
    }
}

/// `[optimizer]`: AdamW and its learning rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct OptimizerOptions {
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Steps in which the rate rises from 0.
    pub warmup: u64,
    /// How it falls after that.
    pub decay: DecayName,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Decay of the gradients' running mean.
    pub beta1: f64,
    /// Decay of the squared gradients' running mean.
    pub beta2: f64,
    /// Greatest Euclidean norm of the gradients; longer ones are scaled down to it.
    pub max_grad_norm: f64,
}

impl OptimizerOptions {
    /// The learning rate of a step of `total`, counted from 0.
    pub fn rate(&self, step: u64, total: u64) -> f64 {
        let decay = match self.decay {
            DecayName::Constant => Decay::Constant,
            DecayName::Linear => Decay::Linear,
            DecayName::Cosine => Decay::Cosine,
        };
        Schedule { peak: self.learning_rate, warmup: self.warmup, total, decay }.rate(step)
    }

    /// The constants of the update.
    pub fn settings(&self) -> AdamWSettings {
        let &OptimizerOptions { beta1, beta2, weight_decay, .. } = self;
        AdamWSettings { beta1, beta2, weight_decay, ..AdamWSettings::default() }
    }
}

impl Default for OptimizerOptions {
    fn default() -> Self {
        OptimizerOptions {
            learning_rate: 1e-4,
            warmup: 0,
            decay: DecayName::Constant,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            max_grad_norm: 1.0,
        }
    }
}

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecayName {
    /// Not at all.
    Constant,
    /// In a straight line to 0.
    Linear,
    /// Along half a cosine wave to 0.
    Cosine,
}

/// `[schedule]`: how long, how much a step, and what happens on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScheduleOptions {
    /// Updates of the prompter.
    pub steps: u64,
    /// Prompts a step; each gets a group of rewrites.
    pub prompts_per_step: usize,
    /// Steps between checkpoints.
    #[serde(default = "ScheduleOptions::default_checkpoint_every")]
    pub checkpoint_every: u64,
    /// Steps between trials on the validation prompts; 0 for none.
    #[serde(default)]
    pub validate_every: u64,
    /// Trials without a new best after which training stops; 0 for never.
    #[serde(default)]
    pub patience: u64,
    /// Memory for the activations of one backward pass, in MiB; what a step needs beyond it is done in micro-batches.
    #[serde(default = "ScheduleOptions::default_memory")]
    pub activation_memory: usize,
}

impl ScheduleOptions {
    /// Whether what happens `every` so many steps, or never for 0, happens after this one; after the last it always does.
    pub(crate) fn is_due(&self, every: u64, step: u64) -> bool {
        every > 0 && (step.is_multiple_of(every) || step == self.steps)
    }

    fn default_checkpoint_every() -> u64 {
        10
    }
    fn default_memory() -> usize {
        1024
    }
}

/// `[prompter.lora]`: what is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LoraOptions {
    /// Rank of every pair of matrices.
    pub rank: usize,
    /// Their product is scaled by alpha / rank.
    pub alpha: f32,
    /// Share of the adapter's inputs dropped while training.
    pub dropout: f32,
    /// The adapted linear maps: `q_proj`, `k_proj`, `v_proj`, `o_proj`, `gate_proj`, `up_proj`, `down_proj`.
    pub targets: Vec<String>,
}

impl LoraOptions {
    /// The adapter's shape on a model, with so many heads on its last hidden state.
    pub fn shape(&self, architecture: &Architecture, heads: usize) -> LoraShape {
        let is_adapted = |linear: &Linear| self.targets.iter().any(|name| name == linear.name());
        let targets: Vec<Linear> = Linear::ALL.into_iter().filter(is_adapted).collect();
        LoraShape::new(architecture, self.rank, self.alpha, &targets, heads)
    }
}

impl Default for LoraOptions {
    fn default() -> Self {
        let targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
        LoraOptions { rank: 16, alpha: 32.0, dropout: 0.0, targets: targets.map(str::to_owned).to_vec() }
    }
}
