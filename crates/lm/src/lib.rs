//! Small language models that sample, score and learn in groups, on a plain CPU.
//!
//! The crate reads model files, runs decoder-only transformers with LoRA adapters, and exposes three batch calls
//! through [`Engine`]: `generate`, `score` (with or without a tape) and `backward`. It knows nothing of prompters,
//! rewards or objectives, and touches neither the network nor the environment.

mod architecture;
mod engine;
mod error;
mod lora;

pub use architecture::{Activation, Architecture, Linear, Rotary, Window};
pub use engine::{Engine, Finish, Group, Request, Sample, Sampling, ScoreOptions, Scores, Token, Upstream};
pub use error::Error;
pub use lora::{Dropout, Lora, LoraGradients, LoraShape};
