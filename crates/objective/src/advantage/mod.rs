//! Advantages: how much better a rewrite did than its baseline.
//!
//! They are constants of the gradient step: no derivative flows through them.

mod gae;
mod group;
mod shaping;
mod whitening;

pub use gae::{Gae, gae};
pub use group::{Deviation, ZScore, group_mean, leave_one_out, z_score};
pub use shaping::{shape_reward, shape_token_rewards};
pub use whitening::{WhitenedMean, whiten};
