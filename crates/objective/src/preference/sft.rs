//! Supervised fine-tuning: the prompter learns given rewrites by maximum likelihood.
//!
//! ## Objective
//! L = −log ρ(x'|x) = −Σ_t m_t log ρ(x'_t | x, x'_{<t})
//!
//! BPO trains its prompter so: arXiv:2311.04155.
//!
//! ## Symbols
//! x' the wanted rewrite; m the mask, 1 on tokens of the rewrite and its end; log ρ `logp`, `token_logps`.
//!
//! ## Choices
//! The sum is unreduced. Divide by the masked length for the length-normalised form, or weigh a batch with
//! [`Normaliser`](crate::Normaliser): `PerSequence` is that form, `PerToken` is TRL's and PyTorch's.
//!
//! ## Checked against
//! `testdata/golden/sft.json`, written by `tools/golden/objective/sft.py`.

use crate::error::{Error, same_length};

/// Loss of a whole rewrite and its derivative, given its summed log-probability.
///
/// ```
/// assert_eq!(objective::sft(-3.5), (3.5, -1.0));
/// ```
pub fn sft(logp: f64) -> (f64, f64) {
    (-logp, -1.0)
}

/// Loss of one rewrite token by token; writes the gradient and returns the loss and the number of tokens counted.
///
/// ```
/// let mut gradient = [0.0; 3];
/// let counted = objective::sft_masked(&[-1.0, -2.0, -4.0], &[false, true, true], &mut gradient)?;
/// assert_eq!(counted, (6.0, 2));
/// assert_eq!(gradient, [0.0, -1.0, -1.0]);
/// # Ok::<(), objective::Error>(())
/// ```
pub fn sft_masked(token_logps: &[f64], mask: &[bool], gradient: &mut [f64]) -> Result<(f64, usize), Error> {
    same_length("mask", token_logps.len(), mask.len())?;
    same_length("gradient", token_logps.len(), gradient.len())?;
    let (mut loss, mut counted) = (0.0, 0);
    for ((slope, &logp), &counts) in gradient.iter_mut().zip(token_logps).zip(mask) {
        *slope = if counts { -1.0 } else { 0.0 };
        if counts {
            loss -= logp;
            counted += 1;
        }
    }
    Ok((loss, counted))
}
