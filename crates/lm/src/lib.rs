//! Small language models that sample, score and learn in groups, on a plain CPU.
//!
//! The crate reads model files, runs decoder-only transformers with LoRA adapters, and exposes three batch calls
//! through [`Engine`]: `generate`, `score` (with or without a tape) and `backward`. It knows nothing of prompters,
//! rewards or objectives, and touches neither the network nor the environment.

mod architecture;
mod atomic;
mod catalogue;
mod chat;
mod checkpoint;
mod cpu;
mod engine;
mod error;
mod gguf;
mod lora;
mod optimizer;
mod peft;
mod random;
mod sample;
mod stop;
mod tensor_file;
mod tokenizer;

pub use architecture::{Activation, Architecture, Linear, Rotary, Window};
pub use atomic::write_atomically;
pub use catalogue::{CATALOGUE, HubRepository, KnownModel, PackagedPart, find_model, models_folder};
pub use chat::{ChatTemplate, Message, NextTurn, Role};
pub use checkpoint::{Checkpoint, LayerTensor, Summary, TensorId};
pub use cpu::{
    CpuEngine, EngineOptions, Precision, Tape, default_precision, frozen_precision, instruction_set,
    tape_bytes_per_token,
};
pub use engine::{Engine, Finish, Group, Reads, Request, Sample, Sampling, ScoreOptions, Scores, Token, Upstream};
pub use error::{Error, Problem};
pub use lora::{Dropout, Lora, LoraGradients, LoraShape};
pub use optimizer::{AdamW, AdamWSettings, Decay, Schedule, clip_by_global_norm};
pub use peft::PeftDetails;
pub use random::{Generator, derive_seed};
pub use sample::{Drawn, LogSums, Sampler, token_logp};
pub use stop::{StopMatch, StopStrings};
pub use tokenizer::{Framing, TextStream, Tokenizer};
