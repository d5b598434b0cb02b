//! Estimates for when nothing can be enumerated, each with its bias and an interval.
//!
//! | figure | from | estimator | bias |
//! |---|---|---|---|
//! | log Z, J(ρ*), KL(ρ* ‖ ρ_ref) | N rewrites of ρ_ref with their values | [`estimate_tilted`] | O(1/N²) |
//! | J(π*), TV(π*, π_F) | N responses of π_F with their rewards | [`estimate_tilted`] | O(1/N²) |
//! | the best of n, J(ρ*) under noisy rewards | two means of rewards a rewrite | [`best_of_curve`], [`tilted_worth`] | downwards |
//! | TV of the laws of a reward | rewards under both policies | [`RewardLaw::total_variation`], [`split_total_variation`] | upwards, downwards |
//! | TV of two sequence models | samples of the first | [`estimate_total_variation`] | none |
//! | KL of two sequence models | samples of the first | [`estimate_kl`] | none (k1, k3), some (k2) |
//! | the bound's terms | the above, per prompt | [`estimate_bound`] | that of its inputs |
//! | any of them over prompts | one estimate a prompt | [`mean_over_prompts`] | that of its inputs |

mod bound_terms;
mod jackknife;
mod law;
mod selection;
mod sequence;
mod tilted;

pub use bound_terms::{BoundEstimate, BoundSamples, estimate_bound};
pub use law::{RewardCells, RewardLaw, split_total_variation};
pub use selection::{Halves, best_of_curve, tilted_worth};
pub use sequence::{estimate_kl, estimate_total_variation};
pub use tilted::{TiltedEstimate, estimate_tilted};

use crate::error::Error;
use crate::interval::{Estimate, student_interval};

/// The mean of one estimate a prompt, with Student's interval over prompts.
///
/// The prompts are taken to be a sample; their spread holds the error of each estimate as well, so that no further
/// account of it is needed.
///
/// # Errors
/// Fewer than two prompts, estimates that are not finite, a level outside (0, 1).
///
/// ```
/// use theory::{estimate_tilted, mean_over_prompts};
/// let prompts = [[0.1, 0.4, 0.3, 0.2], [0.6, 0.5, 0.9, 0.5], [0.2, 0.2, 0.3, 0.1]];
/// let reached = prompts.iter().map(|values| estimate_tilted(values, 0.5, 0.95).map(|tilted| tilted.mean_value));
/// let mean = mean_over_prompts(&reached.collect::<Result<Vec<_>, _>>()?, 0.95)?;
/// assert!(mean.interval.contains(0.4));
/// # Ok::<(), theory::Error>(())
/// ```
pub fn mean_over_prompts(estimates: &[Estimate], level: f64) -> Result<Estimate, Error> {
    let values: Vec<f64> = estimates.iter().map(|estimate| estimate.value).collect();
    student_interval(&values, level)
}
