//! What rounds of optimisation add up to, and what no optimisation at all achieves.

mod apo;
mod best_of_n;

pub use apo::{Extrapolation, apo_coefficient, extrapolate, extrapolate_normalised};
pub use best_of_n::best_of_n_kl;
