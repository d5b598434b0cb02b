//! The world in which a prompter learns: prompts, rewards and what lies between.
//!
//! The crate knows nothing of tensors and models: everything in it is a function of text. Verifiers and guard rails are
//! pure; files are touched only in [`data`], [`event`],
//! [`journal`] and [`tensorboard`].
//!
//! # Layout
//! - [`data`]: prompts and how they are read, split and made.
//! - [`instruction`]: what the prompter is told, and how its text becomes the target's prompt.
//! - [`rails`]: what is looked for in that text, and what is done about it.
//! - [`reward`]: the seam between a response and its score, and the verifiers that need no model.
//! - [`journal`]: finished calls of targets, so that none is made twice.
//! - [`report`]: a run as one HTML file to read.
//! - [`tensorboard`]: metrics for those who watch them there.
//!
//! Start reading at [`reward::Reward`].

pub mod data;
mod error;
pub mod evaluate;
pub mod event;
pub mod instruction;
pub mod journal;
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
