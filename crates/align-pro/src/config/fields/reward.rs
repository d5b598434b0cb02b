//! `[reward.NAME]`, and how several of them are mixed.

use super::Absent::{Nothing, Refused, Value};
use super::Kind::{Choice, Json, List, Name, OneOf, Path, Table, Text};
use super::{COUNT, COUNT_OR_NONE, Field, POSITIVE, custom, field};

pub(super) const REWARDS: &[Field] = &[
    field("constraints", Table(CONSTRAINTS), Nothing, "The share of the record's constraints that the response meets."),
    field("exact-number", Table(EXACT_NUMBER), Nothing, "1 where the response's final number is the record's."),
    field("exact-match", Table(EXACT_MATCH), Nothing, "1 where the response is the record's answer."),
    field("regex", Table(REGEX), Nothing, "1 where a regular expression matches anywhere in the response."),
    field("contains", Table(CONTAINS), Nothing, "The share of the wanted texts that occur in the response."),
    field("json-schema", Json, Nothing, "1 where the response is JSON that fits this schema."),
    field("length", Table(LENGTH), Nothing, "1 within the limits, and less the further outside."),
    field("model", Table(LEARNED), Nothing, "What a reward model that `reward train` made says."),
    field(
        "judge",
        Table(super::asked::GRADING_JUDGE),
        Nothing,
        "The grade that a language model gives to the response.",
    ),
    field("command", Table(custom::COMMAND), Nothing, "What a program of your own says, line by line."),
    field(
        "http",
        Table(custom::HTTP),
        Nothing,
        "What a server of your own says, in the manner of TRL's reward functions.",
    ),
];

const CONSTRAINTS: &[Field] = &[
    field("strictness", Choice(&["strict", "loose", "mean"]), Value("'strict'"), "Which verdict counts."),
    field("merge", Choice(&["share", "all"]), Value("'share'"), "How several verdicts become one number."),
];

const EXACT_NUMBER: &[Field] = &[field("field", Name, Refused, "The record's field with the correct answer.")];

const LETTER_CASE: Field =
    field("letter-case", Choice(&["sensitive", "insensitive"]), Value("'sensitive'"), "Whether capitals matter.");

const EXACT_MATCH: &[Field] = &[
    field("field", Name, Refused, "The record's field: a text, or a list of texts any of which will do."),
    LETTER_CASE,
    field(
        "after",
        Name,
        Nothing,
        "Compare only what follows the last occurrence of this text, to the end of its line.",
    ),
];

const REGEX: &[Field] = &[field("pattern", Text, Refused, "In the syntax of Rust's crate regex.")];

const CONTAINS: &[Field] = &[field("wanted", OneOf(WANTED), Refused, "What must occur."), LETTER_CASE];

const WANTED: &[Field] = &[
    field("texts", List(1, &Name), Nothing, "These texts."),
    field("field", Name, Nothing, "The record's field: a text or a list of texts."),
];

const LENGTH: &[Field] = &[
    field("unit", Choice(&["characters", "words", "lines"]), Refused, "What is counted."),
    field("at-least", COUNT_OR_NONE, Value("0"), "The least that will do."),
    field("at-most", COUNT_OR_NONE, Nothing, "The most that will do."),
];

const LEARNED: &[Field] = &[
    field("path", Path, Refused, "The folder that `reward train` made."),
    field("attribute", Name, Nothing, "The attribute that is the reward, where the model has several."),
    field("precision", Choice(&["auto", "f32", "bf16", "int8"]), Value("'auto'"), "How the weights are kept."),
];

pub(in crate::config) const MIX: &[Field] = &[
    field(
        "scale",
        Choice(&["gains", "raw"]),
        Value("'gains'"),
        "`gains`: over the prompt as it is, in standard deviations of that; `raw`: as they are.",
    ),
    field("weights", Json, Value("{}"), "A number for each reward by its name; 1 for those that are not named."),
    field("calibration-prompts", COUNT, Value("32"), "Training prompts on which the scale is measured."),
    field("owa", Table(OWA), Nothing, "An ordered weighted average instead of a sum: what fares worst weighs most."),
];

const OWA: &[Field] = &[
    field(
        "fairness",
        Choice(&["ex-post", "ex-ante"]),
        Value("'ex-post'"),
        "`ex-post`: within each answer; `ex-ante`: over all answers together.",
    ),
    field(
        "weights",
        Choice(&["gini", "worst", "mean"]),
        Value("'gini'"),
        "`gini`: falling evenly from the worst to the best; `worst`: the worst alone; `mean`: all alike.",
    ),
    field("smoothing", POSITIVE, Value("0.1"), "Gains closer than this weigh nearly alike."),
];
