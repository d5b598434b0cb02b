//! Preference objectives: on pairs of rewrites and on groups of K rewrites.
//!
//! A pair function takes a [`Pair`] and its options by value and returns a [`PairLoss`]; a group function takes a
//! [`Group`], writes the gradient into the caller's buffers and returns a [`GroupLoss`]. Nothing is reduced.

mod group;
mod pair;

mod aipo;
mod alpha_dpo;
mod bradley_terry;
mod cdpo;
mod dpo;
mod dpo_rw;
mod exo_pref;
mod exo_rw;
mod ipo;
mod kto;
mod metrics;
mod objective;
mod rpo;
mod sft;
mod simpo;
mod sppo;
pub use aipo::{Aipo, IteratedCoefficients, aipo, iterated_coefficients};
pub use alpha_dpo::{AlphaDpo, alpha_dpo};
pub use bradley_terry::{BradleyTerry, RewardLoss, bradley_terry};
pub use cdpo::{Cdpo, LabelNoise, cdpo};
pub use dpo::{Dpo, dpo};
pub use dpo_rw::{DpoRw, dpo_rw};
pub use exo_pref::{ExoPref, exo_pref};
pub use exo_rw::{ExoRw, exo_rw};
pub use group::{Group, GroupGradient, GroupLoss};
pub use ipo::{Ipo, ipo};
pub use kto::{Kto, KtoLoss, Label, kto, reference_point};
pub use metrics::PairMetrics;
pub use objective::{GroupObjective, PairObjective};
pub use pair::{Pair, PairLoss, Sides};
pub use rpo::{Distance, Rpo, rpo, rpo_group};
pub use sft::{sft, sft_masked};
pub use simpo::{Simpo, simpo};
pub use sppo::{Sppo, sppo};
