//! The training loops: one file a method, everything below the loop shared.
//!
//! A loop samples rewrites, has them answered and judged, asks an objective for the derivative of its loss with respect to
//! each log-probability, and hands that to the engine's backward pass. It never sees a tensor.
//!
//! # Layout, in reading order
//! - [`rloo`]: the loop of the default method; start here
//! - [`ppo`]: the loop with a critic
//! - [`reward_model`]: heads on preference pairs
//! - [`run`]: what the loops over prompts share: rollouts, gradients, the update, validation, checkpoints
//! - [`batch`]: one step's rollouts, cut into micro-batches
//! - [`checkpoint`]: folders from which a run goes on as if it had never stopped
//! - [`options`]: what a user decides

pub mod batch;
pub mod checkpoint;
mod descent;
mod error;
mod gradient;
mod metrics;
pub mod options;
pub mod ppo;
pub mod reward_model;
pub mod rloo;
pub mod run;

pub use checkpoint::Checkpoints;
pub use error::Error;
pub use run::{Outcome, Run};
