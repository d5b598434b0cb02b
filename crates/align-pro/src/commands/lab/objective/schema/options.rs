//! The options of every method.

use objective::MethodId;
use serde::Serialize;

/// An option of a method.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct OptionEntry {
    pub(crate) name: &'static str,
    /// None: it must be given.
    pub(crate) default: Option<&'static str>,
    pub(crate) about: &'static str,
    /// A value for examples, as JSON, of an option that must be given.
    #[serde(skip)]
    pub(crate) sample: Option<&'static str>,
}

const fn option(name: &'static str, default: &'static str, about: &'static str) -> OptionEntry {
    OptionEntry { name, default: Some(default), about, sample: None }
}

const fn needed(name: &'static str, sample: &'static str, about: &'static str) -> OptionEntry {
    OptionEntry { name, default: None, about, sample: Some(sample) }
}

const NORMALISERS: &str = "sequence, token, rewrite, or a number: the constant to divide by";
const ADVANTAGES: &str = "from rewards by none (as they are), group_mean, leave_one_out or z_score";
const RATIOS: &str = "score, token, sequence or sequence_mean";
const ESTIMATORS: &str = "k1, k2 or k3";

const BETA: OptionEntry = option("beta", "0.1", "strength of the leash to the reference");
const AVERAGE: OptionEntry = option("average", "false", "log-probabilities per token; needs the lengths");
const ALPHA: OptionEntry = option("alpha", "0.09", "how much the reference is sharpened; 0 is dpo");
const IN_REWARD: OptionEntry = option("lambda", "0", "price of diverging from the reference, charged to the reward");
const IN_LOSS: OptionEntry = option("lambda", "0", "price of diverging from the reference, charged to the loss");
const LOW: OptionEntry = option("epsilon_low", "0.2", "the ratio is clipped below 1 − this");
const HIGH: OptionEntry = option("epsilon_high", "epsilon_low", "the ratio is clipped above 1 + this");
const BETA_PI: OptionEntry = needed("beta_pi", "0.7", "scale of the log-ratios");
const BETA_R: OptionEntry = needed("beta_r", "0.5", "temperature of the rewards");
const DISTANCE: OptionEntry = needed("distance", "\"bwd\"", "sq = ½(a − b)², bwd (target first) or fwd (policy first)");

/// The options of a method.
pub(crate) fn options_of(method: MethodId) -> Vec<OptionEntry> {
    match method {
        MethodId::Sft => vec![
            option("average", "false", "per token of each rewrite: normaliser sequence; needs chosen_lengths if whole"),
            option("normaliser", "rewrite", NORMALISERS),
        ],
        MethodId::Dpo | MethodId::Ipo => vec![BETA, AVERAGE],
        MethodId::Cdpo => vec![
            BETA,
            option("label_smoothing", "0.1", "share of labels taken to be flipped"),
            option("noise", "conservative", "conservative (cDPO) or unbiased (robust DPO)"),
            AVERAGE,
        ],
        MethodId::Simpo => vec![
            option("beta", "2", "scale of the log-probabilities per token"),
            option("gamma", "0.5", "margin by which the chosen rewrite should win"),
        ],
        MethodId::Kto => vec![
            BETA,
            option("reference_point", "0", "z, unless estimated from the mismatched log-probabilities"),
            option("desirable_weight", "1", "weight of chosen rewrites"),
            option("undesirable_weight", "1", "weight of rejected rewrites"),
        ],
        MethodId::Rpo => vec![BETA, option("eta", "1", "scale of the rewards"), DISTANCE, AVERAGE],
        MethodId::ExoPref => {
            vec![BETA, option("label_smoothing", "0.001", "probability left to the rejected rewrite"), AVERAGE]
        }
        MethodId::ExoRw | MethodId::DpoRw => vec![BETA_PI, BETA_R],
        MethodId::AlphaDpo => vec![BETA, ALPHA, AVERAGE],
        MethodId::Aipo => {
            vec![
                BETA,
                ALPHA,
                option("nll_weight", "0.5", "weight of the chosen rewrite's likelihood per token"),
                AVERAGE,
            ]
        }
        MethodId::Sppo => vec![option("beta", "0.1", "1/η: a sure win is worth 1/(2 beta) nats"), AVERAGE],
        MethodId::Reinforce => {
            vec![IN_REWARD, option("normaliser", "rewrite", NORMALISERS), option("advantage", "group_mean", ADVANTAGES)]
        }
        MethodId::Rloo => vec![
            IN_REWARD,
            LOW,
            HIGH,
            option("ratio", "sequence; score without old_token_logps", RATIOS),
            option("normaliser", "rewrite", NORMALISERS),
            option("advantage", "leave_one_out", ADVANTAGES),
        ],
        MethodId::Ppo => vec![
            IN_REWARD,
            option("kl_estimator", "k1", ESTIMATORS),
            LOW,
            HIGH,
            option("ratio", "token", RATIOS),
            option("normaliser", "token", NORMALISERS),
            option("discount", "1", "γ of the advantage estimate"),
            option("gae_lambda", "0.95", "λ of the advantage estimate"),
            option("whiten", "false", "advantages at zero mean and unit variance"),
            option("value_weight", "0.1", "weight of the value loss"),
            option("epsilon_value", "0.2", "how far a value may move before its gradient stops"),
        ],
        MethodId::Grpo => vec![
            IN_LOSS,
            option("kl_estimator", "k3", ESTIMATORS),
            LOW,
            HIGH,
            option("ratio", "token", RATIOS),
            option("normaliser", "sequence", NORMALISERS),
            option("advantage", "z_score", ADVANTAGES),
        ],
    }
}
