//! Models that are asked: targets and judges have the same keys, with other defaults.

use super::Absent::{Nothing, Refused, Value};
use super::Kind::{Choice, Json, List, Model, Name, Table, Text, Whole};
use super::{BUDGET, COUNT, FEW, Field, MODEL, NOT_NEGATIVE, POSITIVE, SHARE, SHARE_ABOVE_ZERO, field};

/// What differs between who answers prompts and who judges answers.
struct Role {
    precision: &'static str,
    responses: &'static str,
    temperature: &'static str,
    max_tokens: &'static str,
    system: &'static str,
}

const TARGET: Role = Role {
    precision: "How the weights are kept; `auto`: as bytes where the processor multiplies them, unless they are trained.",
    responses: "Responses to each rewrite while training.",
    temperature: "0.7",
    max_tokens: "256",
    system: "A message before the prompt that tells the target how to behave.",
};

const JUDGE: Role = Role {
    precision: "How the weights are kept.",
    responses: "How often the same is asked; what is said is averaged.",
    temperature: "0.0",
    max_tokens: "32",
    system: "A message before the question that tells the judge how to behave.",
};

pub(super) const TARGETS: &[Field] = &[
    field("local", Table(TARGET_LOCAL), Nothing, "A model on this machine."),
    field(
        "openai",
        Table(TARGET_OPENAI),
        Nothing,
        "A model behind an OpenAI-compatible endpoint: hosted, or a server of your own.",
    ),
];

const TARGET_LOCAL: &[Field] = &local(TARGET);
const TARGET_OPENAI: &[Field] = &openai(TARGET);

/// `[judge]`.
pub(super) const PAIR_JUDGE: &[Field] = &[CRITERIA, WITH_LOCAL, WITH_OPENAI, OWN_BUDGET];

/// `[reward.judge]`.
pub(super) const GRADING_JUDGE: &[Field] = &[
    CRITERIA,
    field(
        "scale",
        List(2, &Whole(0, 1000)),
        Value("[1, 10]"),
        "The lowest and the highest grade, which are rewards of 0 and 1.",
    ),
    field(
        "abstain",
        Choice(&["middle", "lowest"]),
        Value("'middle'"),
        "What a reply without a clear grade counts for: the middle of the scale, or its lower end.",
    ),
    WITH_LOCAL,
    WITH_OPENAI,
    OWN_BUDGET,
];

const CRITERIA: Field = field(
    "criteria",
    Name,
    Value("'how well the answer does what the request asks for: correct, complete and to the point'"),
    "What counts, in words for the judge.",
);
const WITH_LOCAL: Field = field("local", Table(JUDGE_LOCAL), Nothing, "A model on this machine; or else `openai`.");
const WITH_OPENAI: Field =
    field("openai", Table(JUDGE_OPENAI), Nothing, "A model behind an OpenAI-compatible endpoint; or else `local`.");
const OWN_BUDGET: Field =
    field("budget", Table(BUDGET), Value("{}"), "What its calls may cost, apart from the target's.");

const JUDGE_LOCAL: &[Field] = &local(JUDGE);
const JUDGE_OPENAI: &[Field] = &openai(JUDGE);

const fn openai(role: Role) -> [Field; 12] {
    [
        field("base-url", Name, Refused, "What `/chat/completions` is appended to, as in `http://localhost:8080/v1`."),
        field("model", Name, Refused, "The model's name, as the endpoint knows it."),
        field(
            "api-key-env",
            Name,
            Nothing,
            "The environment variable that holds the key; the key itself is never stored.",
        ),
        field("concurrency", Whole(1, 4096), Value("8"), "Requests under way at once."),
        field("timeout", POSITIVE, Value("300.0"), "Seconds that one attempt may take."),
        field("max-retries", Whole(0, 1000), Value("6"), "How often a request that failed is asked again."),
        field("responses", FEW, Value("1"), role.responses),
        field("temperature", NOT_NEGATIVE, Value(role.temperature), TEMPERATURE),
        field("top-p", SHARE_ABOVE_ZERO, Nothing, TOP_P),
        field("max-tokens", COUNT, Value(role.max_tokens), MAX_TOKENS),
        field("system", Text, Nothing, role.system),
        field("extra", Json, Value("{}"), "More fields of the body of every request; JSON's null cannot be said."),
    ]
}

const fn local(role: Role) -> [Field; 9] {
    [
        field("model", Model, Refused, MODEL),
        field("precision", Choice(&["auto", "f32", "bf16", "int8"]), Value("'auto'"), role.precision),
        field("responses", FEW, Value("1"), role.responses),
        field("temperature", NOT_NEGATIVE, Value(role.temperature), TEMPERATURE),
        field("top-p", SHARE_ABOVE_ZERO, Value("0.95"), TOP_P),
        field("top-k", COUNT, Nothing, "Keep so many of the most likely tokens; all without it."),
        field("min-p", SHARE, Value("0.0"), "Drop tokens less likely than this share of the most likely one."),
        field("max-tokens", COUNT, Value(role.max_tokens), MAX_TOKENS),
        field("system", Text, Nothing, role.system),
    ]
}

const TEMPERATURE: &str = "Divides the logits; 0 always takes the most likely token.";
const TOP_P: &str = "Keep the most likely tokens that together have this probability.";
const MAX_TOKENS: &str = "Most tokens of a response.";
