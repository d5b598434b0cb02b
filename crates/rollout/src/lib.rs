//! The world in which a prompter learns: prompts, rewards and what lies between.
//!
//! The crate knows nothing of tensors: models are asked through [`lm::Engine`], tokens and log-probabilities come back.
//! Verifiers, rails and instructions are pure functions of text.
//!
//! # Layout
//! - [`data`]: prompts and how they are read, split and made.
//! - [`instruction`]: what the prompter is told, and how its text becomes the target's prompt.
//! - [`rails`]: what is looked for in that text, and what is done about it.
//! - [`reward`]: the seam between a response and its score, and the verifiers that need no model.
//! - [`model`]: an engine with its tokenizer and chat template.
//! - [`prompter`], [`target`]: the seams on either side of x', and local models behind them.
//! - [`judge`]: models that are asked how good an answer is, or which of two is better.
//! - [`journal`]: finished calls of targets, so that none is made twice.
//! - [`rollouts`]: prompts through prompter, target and reward.
//! - [`evaluate`]: arms side by side on held-out prompts.
//! - [`headroom`]: what any prompter could win; [`bound`]: how far a trained one is from fine-tuning the target.
//! - [`event`]: what happens in a run; [`tensorboard`] and [`report`] show it.
//!
//! Start reading at [`rollouts::collect`].

pub mod bound;
pub mod data;
mod error;
pub mod evaluate;
pub mod event;
pub mod headroom;
pub mod instruction;
pub mod journal;
pub mod judge;
pub mod model;
pub mod prompter;
pub mod rails;
pub mod report;
pub mod reward;
pub mod rollouts;
pub mod target;
mod template;
pub mod tensorboard;

pub use error::Error;
pub use template::Template;
