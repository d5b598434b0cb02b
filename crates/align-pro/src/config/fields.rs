//! The one table of everything that a configuration may say: types, limits, defaults and their reasons.
//!
//! Checking, suggestions, filling in defaults and the JSON Schema all read it.

mod asked;
mod custom;
mod reward;

use std::ops::Bound;

/// A key and what it may hold.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) absent: Absent,
    pub(super) about: &'static str,
}

/// What a key may hold.
#[derive(Debug)]
pub(super) enum Kind {
    Text,
    /// Text that is not empty.
    Name,
    /// A file or folder, from the configuration's own folder.
    Path,
    /// A model by its name, or a file or folder.
    Model,
    Whole(u64, u64),
    Number(Bound<f64>, Bound<f64>),
    Choice(&'static [&'static str]),
    /// A list of at least so many.
    List(usize, &'static Kind),
    Table(&'static [Field]),
    /// A table that holds exactly one of these.
    OneOf(&'static [Field]),
    /// A table that holds at least one of these.
    SomeOf(&'static [Field]),
    /// A program and its arguments, which may be alike.
    Argv,
    /// Anything that JSON can say.
    Json,
}

/// What a key stands for where it is not written.
#[derive(Debug)]
pub(super) enum Absent {
    /// Nothing: it must be written.
    Refused,
    /// That there is none.
    Nothing,
    /// This value, as TOML.
    Value(&'static str),
    /// What a rule makes of the other keys.
    Rule(&'static str),
}

use Absent::{Nothing, Refused, Rule, Value};
use Kind::{Choice, List, Model, Name, Number, OneOf, Path, SomeOf, Table, Whole};

/// No count of a sensible run comes near this.
const MANY: u64 = 1_000_000_000;
const COUNT: Kind = Whole(1, MANY);
/// Samples of one kind for one prompt.
const FEW: Kind = Whole(1, 4096);
const COUNT_OR_NONE: Kind = Whole(0, MANY);
const POSITIVE: Kind = Number(Bound::Excluded(0.0), Bound::Unbounded);
const NOT_NEGATIVE: Kind = Number(Bound::Included(0.0), Bound::Unbounded);
const PROPER_SHARE: Kind = Number(Bound::Excluded(0.0), Bound::Excluded(1.0));
const SHARE_BELOW_ONE: Kind = Number(Bound::Included(0.0), Bound::Excluded(1.0));
const SHARE: Kind = Number(Bound::Included(0.0), Bound::Included(1.0));
const SHARE_ABOVE_ZERO: Kind = Number(Bound::Excluded(0.0), Bound::Included(1.0));

pub(super) static ROOT: Kind = Table(&[
    field("seed", Whole(0, i64::MAX as u64), Refused, "Every random number of the run follows from it."),
    field(
        "length-penalty",
        NOT_NEGATIVE,
        Value("0.0"),
        "What each token that the prompter writes takes off the reward.",
    ),
    field("train", Table(TRAIN), Value("{}"), "What is trained."),
    field("prompter", Table(PROMPTER), Refused, "What is trained: a model that rewrites prompts."),
    field("target", OneOf(asked::TARGETS), Refused, "The frozen model that answers the rewrites."),
    field(
        "budget",
        Table(BUDGET),
        Value("{}"),
        "What the calls of an endpoint may cost; a run stops cleanly when it is spent.",
    ),
    field("reward", SomeOf(reward::REWARDS), Refused, "How a response is scored against the user's own prompt."),
    field("reward-mix", Table(reward::MIX), Value("{}"), "How several rewards become one."),
    field("rails", Table(RAILS), Value("{}"), "What is looked for in rewrites before the target reads them."),
    field("data", Table(DATA), Refused, "The prompts."),
    field("method", OneOf(METHODS), Refused, "How the prompter learns."),
    field("optimizer", Table(OPTIMIZER), Value("{}"), "AdamW and its learning rate."),
    field("schedule", Table(SCHEDULE), Refused, "How long, how much a step, and what happens on the way."),
    field("eval", Table(EVAL), Value("{}"), "How arms are compared on held-out prompts."),
    field("judge", Table(asked::PAIR_JUDGE), Nothing, "Who compares the answers of arms in pairs, for `eval --judge`."),
]);

const TRAIN: &[Field] = &[field(
    "what",
    Choice(&["prompter", "target"]),
    Value("'prompter'"),
    "`target` trains the target itself, by the same method and with the adapter of `[prompter]`: the oracle.",
)];

const MODEL: &str = "A name from `model list`, `hf:ORG/REPO`, a GGUF file or a safetensors folder.";

const PROMPTER: &[Field] = &[
    field("model", Model, Refused, MODEL),
    field("adapter", Path, Nothing, "A PEFT folder to start from; a fresh adapter without it."),
    field("precision", Choice(&["auto", "f32", "bf16"]), Value("'auto'"), "How the frozen weights are kept."),
    field("mode", Choice(&["augment", "rewrite"]), Refused, "Whether it writes an addition or the whole new prompt."),
    field(
        "temperature",
        Number(Bound::Included(0.001), Bound::Included(100.0)),
        Value("1.0"),
        "Divides the logits, in sampling, scoring and training alike.",
    ),
    field("max-tokens", COUNT, Value("64"), "Most tokens that it may write."),
    field("word-limit", COUNT, Value("30"), "The instruction asks for fewer words than this."),
    field("instruction", Name, Nothing, "An instruction of your own, with the slot {prompt} and perhaps {words}."),
    field("lora", Table(LORA), Value("{}"), "The adapter that is trained."),
];

const LORA: &[Field] = &[
    field("rank", Whole(1, 4096), Value("16"), "Rank of every pair of matrices."),
    field("alpha", POSITIVE, Value("32.0"), "Their product is scaled by alpha / rank."),
    field("dropout", SHARE_BELOW_ONE, Value("0.0"), "Share of the adapter's inputs dropped while training."),
    field(
        "targets",
        List(1, &Choice(&["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])),
        Value("['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']"),
        "The adapted linear maps.",
    ),
];

const BUDGET: &[Field] = &[
    field("max-calls", COUNT, Nothing, "Calls that the endpoint may have charged."),
    field("max-tokens", COUNT, Nothing, "Tokens, read and written together."),
    field("max-cost", POSITIVE, Nothing, "In the currency of the prices."),
    field("prompt-price", NOT_NEGATIVE, Value("0.0"), "Price of a million tokens that the target reads."),
    field("completion-price", NOT_NEGATIVE, Value("0.0"), "Price of a million tokens that it writes."),
];

const ACTION: Kind = Choice(&["fix", "penalise", "fall-back-to-x"]);

const RAILS: &[Field] = &[
    field("chatter", ACTION, Value("'fix'"), "About talk around the rewrite."),
    field("too-long", ACTION, Value("'fix'"), "About too many words."),
    field("max-words", COUNT, Value("200"), "The most words the prompter may write."),
    field("unchanged", ACTION, Value("'fix'"), "About a rewrite that is the user's own prompt."),
    field("answer-leak", ACTION, Value("'fall-back-to-x'"), "About a rewrite that gives the answer away."),
    field("intent", ACTION, Value("'fall-back-to-x'"), "About something of the user's prompt that got lost."),
    field("penalty", NOT_NEGATIVE, Value("0.1"), "What one penalised finding takes off the reward."),
];

const DATA: &[Field] = &[
    field("train", Path, Nothing, "A JSONL, JSON, CSV or Parquet file of prompts to train on; or else `constraints`."),
    field("eval", Path, Nothing, "A file of held-out prompts."),
    field("held-out-share", PROPER_SHARE, Rule("0.2"), "Share of `train` that is held out where there is no `eval`."),
    field(
        "validation-share",
        SHARE_BELOW_ONE,
        Rule("0.1, and 0 without trials"),
        "Share of the training prompts set aside for the trials of `schedule.validate-every`.",
    ),
    field("prompt-field", Name, Value("'prompt'"), "The field of a file's rows that holds the prompt."),
    field("max-bad-rows", COUNT_OR_NONE, Value("0"), "How many unusable rows a file may have."),
    field(
        "constraints",
        Table(CONSTRAINTS),
        Nothing,
        "Prompts made rather than read: tasks with checkable constraints.",
    ),
];

const CONSTRAINTS: &[Field] = &[
    field("train", Whole(1, 1_000_000), Refused, "How many to train on."),
    field(
        "held-out",
        Whole(1, 1_000_000),
        Rule("200"),
        "How many, with tasks that are not trained on, to compare arms on.",
    ),
    field("types", List(0, &Name), Value("[]"), "Constraint types by id; all without any."),
];

const METHODS: &[Field] = &[
    field("rloo", Table(RLOO), Nothing, "REINFORCE leave-one-out."),
    field("ppo", Table(PPO), Nothing, "Proximal Policy Optimization."),
];

const LAMBDA: &str = "The price of a nat of divergence to the reference prompter, in reward.";

const RLOO: &[Field] = &[
    field("lambda", NOT_NEGATIVE, Refused, LAMBDA),
    field("group-size", Whole(2, 4096), Refused, "Rewrites a prompt; each is compared with the mean of the others."),
];

const PPO: &[Field] = &[
    field("lambda", NOT_NEGATIVE, Refused, LAMBDA),
    field("group-size", FEW, Refused, "Rewrites a prompt."),
    field("epochs", COUNT, Value("4"), "Times that each batch of rollouts is gone through."),
    field("mini-batches", COUNT, Value("1"), "Updates an epoch: the batch is cut into so many parts."),
    field("epsilon", PROPER_SHARE, Value("0.2"), "How far a token's probability ratio may move from one."),
    field("value-clip", POSITIVE, Value("0.2"), "How far a value may move from its old one."),
    field("value-weight", NOT_NEGATIVE, Value("0.1"), "Weight of the value head's loss."),
    field("discount", SHARE, Value("1.0"), "Weight of the next token's value."),
    field("gae-decay", SHARE, Value("0.95"), "0 trusts the value head, 1 the sampled rewards."),
];

const OPTIMIZER: &[Field] = &[
    field("learning-rate", POSITIVE, Value("0.0001"), "The highest learning rate."),
    field("warmup", COUNT_OR_NONE, Value("0"), "Steps in which the rate rises from 0."),
    field("decay", Choice(&["constant", "linear", "cosine"]), Value("'constant'"), "How it falls after that."),
    field("weight-decay", NOT_NEGATIVE, Value("0.0"), "Decoupled weight decay."),
    field("beta1", SHARE_BELOW_ONE, Value("0.9"), "Decay of the gradients' running mean."),
    field("beta2", SHARE_BELOW_ONE, Value("0.999"), "Decay of the squared gradients' running mean."),
    field("max-grad-norm", POSITIVE, Value("1.0"), "Longer gradients are scaled down to this norm."),
];

const SCHEDULE: &[Field] = &[
    field("steps", COUNT, Refused, "Updates of the prompter."),
    field("prompts-per-step", COUNT, Refused, "Prompts a step; each gets a group of rewrites."),
    field("checkpoint-every", COUNT, Value("10"), "Steps between checkpoints."),
    field("validate-every", COUNT_OR_NONE, Value("0"), "Steps between trials on the validation prompts; 0 for none."),
    field("patience", COUNT_OR_NONE, Value("0"), "Trials without a new best before training stops; 0 for never."),
    field("activation-memory", COUNT, Value("1024"), "MiB for the activations of one backward pass."),
];

const EVAL: &[Field] = &[
    field("prompts", COUNT, Value("200"), "The most held-out prompts that are used."),
    field("rewrites", FEW, Value("2"), "Rewrites of each prompt."),
    field("responses", FEW, Value("1"), "Responses to each rewrite."),
    field("best-of", Whole(0, 4096), Value("0"), "N adds the arm that keeps the best of N rewrites; 0 for none."),
];

const fn field(name: &'static str, kind: Kind, absent: Absent, about: &'static str) -> Field {
    Field { name, kind, absent, about }
}

impl Kind {
    /// The keys that may stand below.
    pub(super) fn fields(&self) -> &'static [Field] {
        match self {
            Table(fields) | OneOf(fields) | SomeOf(fields) => fields,
            _ => &[],
        }
    }
}
