//! Policy objectives on token log-probabilities.
//!
//! They differ in three choices, each a type: the [`RatioLevel`] at which sampler and policy are compared, the
//! [`Clip`] of that ratio, and the [`Normaliser`] that weighs rewrites in a batch. [`policy_loss`] composes them; a
//! paper's name is a constructor that fixes them.

mod clip;
mod grpo;
mod metrics;
mod normaliser;
mod ppo;
mod reinforce;
mod rloo;
mod surrogate;

pub use clip::{Bound, Clip, ClippedSurrogate};
pub use grpo::{dapo, dr_grpo, grpo, gspo};
pub use metrics::PolicyMetrics;
pub use normaliser::{BatchSize, Normaliser};
pub use ppo::{ValueLoss, ppo, value_loss};
pub use reinforce::reinforce;
pub use rloo::{rloo, rloo_clipped};
pub use surrogate::{Advantage, KlPenalty, PolicyLoss, PolicyObjective, RatioLevel, Rewrite, policy_loss};
