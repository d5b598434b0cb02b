//! Objectives: from log-probabilities and rewards to a loss and its exact derivative.
//!
//! Every way of training a prompter ρ(x'|x) that this project knows is a page of arithmetic in this crate. A function
//! gets numbers and returns numbers: the unreduced loss of one pair, group or rewrite, its derivative with respect to
//! each log-probability, and the field's metrics. Weighing items in a batch is a separate, named step.
//!
//! # Invariants
//! - No tensor, model, file, clock, thread or random number; no dependency but the error derive.
//! - No allocation: gradients go into the caller's slices.
//! - All arithmetic is f64. Inputs may be f32 values widened; results narrowed to f32 stay finite for arguments up to
//!   10⁴, because every formula works in log space.
//! - No panic on any input: shapes are checked and reported as [`Error`].
//!
//! # Layout
//! - [`logspace`], `kl` — arithmetic that the methods share
//! - `advantage` — rewards into advantages: leave-one-out, group mean, z-score, GAE, whitening, KL shaping
//! - `policy` — REINFORCE, RLOO, PPO, GRPO on token log-probabilities; start at [`policy_loss`]
//! - `preference` — SFT, the DPO family on pairs ([`Pair`]), RPO and EXO on groups ([`Group`]); start at [`dpo()`]
//! - `iteration` — APO's momentum, best-of-N
//! - `method` — the table of methods behind METHODS.md
//!
//! ```
//! use objective::{Dpo, Pair, Sides, dpo};
//! let pair = Pair::of_logps(Sides::new(-12.0, -15.0), Sides::new(-13.0, -14.5));
//! let loss = dpo(&pair, Dpo { beta: 0.1 });
//! // Gradient descent raises the chosen rewrite and lowers the rejected one.
//! assert!(loss.d_policy.chosen < 0.0 && loss.d_policy.rejected > 0.0);
//! ```

mod advantage;
mod error;
mod iteration;
mod kl;
pub mod logspace;
mod method;
mod policy;
mod preference;

pub use advantage::{
    Deviation, Gae, WhitenedMean, ZScore, gae, group_mean, leave_one_out, shape_reward, shape_token_rewards, whiten,
    z_score,
};
pub use error::Error;
pub use iteration::{Extrapolation, apo_coefficient, best_of_n_kl, extrapolate, extrapolate_normalised};
pub use kl::{KlEstimate, KlEstimator};
pub use method::{BuildingBlock, MethodId, Provenance};
pub use policy::{
    Advantage, BatchSize, Bound, Clip, ClippedSurrogate, KlPenalty, Normaliser, PolicyLoss, PolicyMetrics,
    PolicyObjective, RatioLevel, Rewrite, ValueLoss, dapo, dr_grpo, grpo, gspo, policy_loss, ppo, reinforce, rloo,
    rloo_clipped, value_loss,
};
pub use preference::{
    Aipo, AlphaDpo, BradleyTerry, Cdpo, Distance, Dpo, DpoRw, ExoPref, ExoRw, Group, GroupGradient, GroupLoss,
    GroupObjective, Ipo, IteratedCoefficients, Kto, KtoLoss, Label, LabelNoise, Pair, PairLoss, PairMetrics,
    PairObjective, RewardLoss, Rpo, Sides, Simpo, Sppo, aipo, alpha_dpo, bradley_terry, cdpo, dpo, dpo_rw, exo_pref,
    exo_rw, ipo, iterated_coefficients, kto, reference_point, rpo, rpo_group, sft, sft_masked, simpo, sppo,
};
