//! The RLHF optimum: the fine-tuned policy a prompter is measured against.
//!
//! ## Objective
//! - (1.1) π* = argmax_π E_{y~π} r(x,y) − β KL(π(·|x) ‖ π_sft(·|x)),  π*(y|x) = π_sft(y|x) exp(r(x,y)/β) / Z_π(x)
//!
//! Eq. 1.1 is the closed form of [`closed_form`](crate::closed_form) with responses in place of rewrites.

use crate::closed_form::{Tilted, tilt};
use crate::error::Error;

/// The best policy over responses under a KL leash of strength `beta` to `pi_sft` (1.1); its `mean_value` is J(π*).
///
/// # Errors
/// As [`tilt`].
///
/// ```
/// let oracle = theory::rlhf_optimum(&[1.0 / 3.0; 3], &[0.0, 0.5, 1.0], 0.5)?;
/// assert!((oracle.policy[2] - 0.6652409557748219).abs() < 1e-12);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn rlhf_optimum(pi_sft: &[f64], reward: &[f64], beta: f64) -> Result<Tilted, Error> {
    tilt(pi_sft, reward, beta) // (1.1)
}
