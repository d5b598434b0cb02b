//! Evaluation: arms side by side on held-out prompts.

mod result;

pub use result::{
    ArmResult, EvaluatedPrompt, EvaluatedResponse, EvaluatedRewrite, Evaluation, Gain, PartMean, VariancePartsResult,
    WinRateResult,
};
