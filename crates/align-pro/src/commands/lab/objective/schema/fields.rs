//! The fields of batches, and which of them each method reads.

use objective::MethodId;
use serde::Serialize;

/// A field of a batch.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: &'static str,
    pub(crate) about: &'static str,
    /// A value for examples, as JSON.
    #[serde(skip)]
    pub(crate) sample: &'static str,
}

/// One way of giving a method its numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) needed: &'static [Field],
    pub(crate) optional: &'static [Field],
    pub(crate) gradient: &'static [&'static str],
}

const fn field(name: &'static str, shape: &'static str, sample: &'static str, about: &'static str) -> Field {
    Field { name, shape, about, sample }
}

#[rustfmt::skip]
mod named {
    use super::{Field, field};

    pub(super) const POLICY_CHOSEN: Field = field("policy_chosen_logps", "pairs", "[-3.0, -6.5]", "log-probability of the chosen rewrite under the prompter");
    pub(super) const POLICY_REJECTED: Field = field("policy_rejected_logps", "pairs", "[-5.0, -6.0]", "of the rejected rewrite");
    pub(super) const REF_CHOSEN: Field = field("ref_chosen_logps", "pairs", "[-4.0, -6.5]", "of the chosen rewrite under the reference prompter");
    pub(super) const REF_REJECTED: Field = field("ref_rejected_logps", "pairs", "[-4.5, -6.0]", "of the rejected rewrite under the reference prompter");
    pub(super) const CHOSEN_REWARDS: Field = field("chosen_rewards", "pairs", "[0.9, 0.5]", "reward of the chosen rewrite (rpo); its win probability (sppo)");
    pub(super) const REJECTED_REWARDS: Field = field("rejected_rewards", "pairs", "[0.1, 0.25]", "of the rejected rewrite");
    pub(super) const CHOSEN_LENGTHS: Field = field("chosen_lengths", "pairs", "[4, 7]", "tokens of the chosen rewrite, at least 1");
    pub(super) const REJECTED_LENGTHS: Field = field("rejected_lengths", "pairs", "[5, 6]", "of the rejected rewrite");
    pub(super) const POLICY_MISMATCHED: Field = field("policy_mismatched_logps", "rewrites", "[-9.0]", "log-probabilities of rewrites under prompts not theirs, for kto's z");
    pub(super) const REF_MISMATCHED: Field = field("ref_mismatched_logps", "rewrites", "[-9.5]", "the same under the reference prompter");
    pub(super) const POLICY_LOGPS: Field = field("policy_logps", "groups × K", "[[-3.0, -5.0, -4.0]]", "log-probabilities of K rewrites of each prompt under the prompter");
    pub(super) const REF_LOGPS: Field = field("ref_logps", "groups × K", "[[-4.0, -4.5, -4.0]]", "the same under the reference prompter");
    pub(super) const GROUP_REWARDS: Field = field("rewards", "groups × K", "[[0.9, 0.1, 0.4]]", "rewards of the K rewrites");
    pub(super) const REWARDS: Field = field("rewards", "rewrites", "[1.0, 0.25]", "rewards of the sampled rewrites");
    pub(super) const TOKEN_LOGPS: Field = field("token_logps", "rewrites × tokens", "[[-0.5, -1.25], [-0.75]]", "log-probability of every token of every sampled rewrite, now");
    pub(super) const OLD_TOKEN_LOGPS: Field = field("old_token_logps", "rewrites × tokens", "[[-0.5, -1.0], [-1.0]]", "the same when it was sampled; default: now, held fixed");
    pub(super) const REF_TOKEN_LOGPS: Field = field("ref_token_logps", "rewrites × tokens", "[[-0.75, -1.0], [-1.0]]", "the same under the reference prompter; needed when lambda is above 0");
    pub(super) const MASK: Field = field("mask", "rewrites × tokens", "[[0, 1], [1]]", "1 where a token counts; default: everywhere");
    pub(super) const ADVANTAGES: Field = field("advantages", "rewrites (× tokens)", "[0.5, -0.5]", "in place of rewards: one a rewrite, or one a token");
    pub(super) const GROUP: Field = field("group", "rewrites", "[0, 0]", "index of each rewrite's prompt; default: one prompt");
    pub(super) const VALUES: Field = field("values", "rewrites × tokens", "[[0.5, 0.75], [0.25]]", "what the value head says, now");
    pub(super) const OLD_VALUES: Field = field("old_values", "rewrites × tokens", "[[0.5, 0.5], [0.5]]", "what it said at sampling time; default: values, held fixed");
    pub(super) const RETURNS: Field = field("returns", "rewrites × tokens", "[[1.0, 1.0], [0.25]]", "what the values should have been; default: from rewards");
}

use named::*;

/// Every field that some method reads.
#[rustfmt::skip]
pub(crate) const EVERY_FIELD: &[Field] = &[
    POLICY_CHOSEN, POLICY_REJECTED, REF_CHOSEN, REF_REJECTED, CHOSEN_REWARDS, REJECTED_REWARDS, CHOSEN_LENGTHS,
    REJECTED_LENGTHS, POLICY_MISMATCHED, REF_MISMATCHED, POLICY_LOGPS, REF_LOGPS, GROUP_REWARDS, REWARDS, TOKEN_LOGPS,
    OLD_TOKEN_LOGPS, REF_TOKEN_LOGPS, MASK, ADVANTAGES, GROUP, VALUES, OLD_VALUES, RETURNS,
];

const PAIRS: &[Field] = &[POLICY_CHOSEN, POLICY_REJECTED, REF_CHOSEN, REF_REJECTED];
const LENGTHS: &[Field] = &[CHOSEN_LENGTHS, REJECTED_LENGTHS];
const BOTH_POLICY: &[&str] = &["policy_chosen_logps", "policy_rejected_logps"];
const BOTH_MODELS: &[&str] =
    &["policy_chosen_logps", "policy_rejected_logps", "ref_chosen_logps", "ref_rejected_logps"];

const fn form(needed: &'static [Field], optional: &'static [Field], gradient: &'static [&'static str]) -> Form {
    Form { needed, optional, gradient }
}

const WITH_REWARD_SLOPES: &[&str] = &[
    "policy_chosen_logps",
    "policy_rejected_logps",
    "ref_chosen_logps",
    "ref_rejected_logps",
    "chosen_rewards",
    "rejected_rewards",
];
const GROUPS: Form = form(&[POLICY_LOGPS, REF_LOGPS, GROUP_REWARDS], &[], &["policy_logps", "ref_logps", "rewards"]);
const MARGIN: Form = form(PAIRS, LENGTHS, BOTH_MODELS);

/// The ways of giving a method its numbers.
pub(crate) fn forms_of(method: MethodId) -> Vec<Form> {
    match method {
        MethodId::Sft => {
            const TOKENS: Form = form(&[TOKEN_LOGPS], &[MASK], &["token_logps"]);
            const WHOLE: Form = form(&[POLICY_CHOSEN], &[CHOSEN_LENGTHS], &["policy_chosen_logps"]);
            vec![TOKENS, WHOLE]
        }
        MethodId::Dpo | MethodId::Cdpo | MethodId::Ipo | MethodId::ExoPref | MethodId::AlphaDpo => vec![MARGIN],
        MethodId::Simpo => {
            vec![form(&[POLICY_CHOSEN, POLICY_REJECTED, CHOSEN_LENGTHS, REJECTED_LENGTHS], &[], BOTH_POLICY)]
        }
        MethodId::Kto => vec![form(PAIRS, &[POLICY_MISMATCHED, REF_MISMATCHED], BOTH_MODELS)],
        MethodId::Rpo => {
            const REWARDED: &[Field] =
                &[POLICY_CHOSEN, POLICY_REJECTED, REF_CHOSEN, REF_REJECTED, CHOSEN_REWARDS, REJECTED_REWARDS];
            vec![form(REWARDED, LENGTHS, WITH_REWARD_SLOPES), GROUPS]
        }
        MethodId::ExoRw | MethodId::DpoRw => vec![GROUPS],
        MethodId::Aipo => {
            const MEASURED: &[Field] =
                &[POLICY_CHOSEN, POLICY_REJECTED, REF_CHOSEN, REF_REJECTED, CHOSEN_LENGTHS, REJECTED_LENGTHS];
            vec![form(MEASURED, &[], BOTH_MODELS)]
        }
        MethodId::Sppo => {
            const OPTIONAL: &[Field] = &[CHOSEN_REWARDS, REJECTED_REWARDS, CHOSEN_LENGTHS, REJECTED_LENGTHS];
            vec![form(PAIRS, OPTIONAL, WITH_REWARD_SLOPES)]
        }
        MethodId::Reinforce | MethodId::Rloo => {
            const OPTIONAL: &[Field] = &[OLD_TOKEN_LOGPS, REF_TOKEN_LOGPS, GROUP];
            const ADVISED: Form = form(&[TOKEN_LOGPS, ADVANTAGES], &[OLD_TOKEN_LOGPS], &["token_logps"]);
            vec![form(&[TOKEN_LOGPS, REWARDS], OPTIONAL, &["token_logps"]), ADVISED]
        }
        MethodId::Ppo => {
            const OPTIONAL: &[Field] = &[OLD_TOKEN_LOGPS, REF_TOKEN_LOGPS, OLD_VALUES, RETURNS];
            const ADVISED_OPTIONAL: &[Field] = &[OLD_TOKEN_LOGPS, VALUES, OLD_VALUES, RETURNS];
            const SLOPES: &[&str] = &["token_logps", "values"];
            const ADVISED: Form = form(&[TOKEN_LOGPS, ADVANTAGES], ADVISED_OPTIONAL, SLOPES);
            vec![form(&[TOKEN_LOGPS, REWARDS, VALUES], OPTIONAL, SLOPES), ADVISED]
        }
        MethodId::Grpo => {
            const OPTIONAL: &[Field] = &[OLD_TOKEN_LOGPS, REF_TOKEN_LOGPS, GROUP];
            const SLOPES: &[&str] = &["token_logps", "ref_token_logps"];
            const ADVISED: Form = form(&[TOKEN_LOGPS, ADVANTAGES], &[OLD_TOKEN_LOGPS, REF_TOKEN_LOGPS], SLOPES);
            vec![form(&[TOKEN_LOGPS, REWARDS], OPTIONAL, SLOPES), ADVISED]
        }
    }
}
