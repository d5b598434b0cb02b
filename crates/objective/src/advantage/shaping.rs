//! Rewards that carry the price of leaving the reference prompter.
//!
//! ## Objective
//! - whole rewrite  S = R(x, x') − λ (log ρ(x'|x) − log ρ_ref(x'|x))
//! - per token      s_t = −λ k_t + [t is the last token] R(x, x')
//!
//! Step 5 of Align-Pro's algorithm (arXiv:2501.03486); the token form is that of arXiv:2203.02155.
//!
//! ## Symbols
//! R `reward`; λ `lambda`; k_t the chosen estimate of the token's divergence; ρ is the prompter that sampled.
//!
//! ## Choices
//! The log-probabilities are those of the sampling policy and are constants here: the divergence acts through the
//! advantage. With k1 the token rewards add up to S.
//!
//! ## Checked against
//! `testdata/golden/ppo.json`, written by `tools/golden/objective/ppo.py`.

use crate::error::{Error, same_length};
use crate::kl::KlEstimator;

/// Reward of a whole rewrite less `lambda` times its log-ratio; log-probabilities are sums over the rewrite.
///
/// ```
/// assert_eq!(objective::shape_reward(1.0, -2.0, -3.0, 0.5), 0.5);
/// ```
pub fn shape_reward(reward: f64, sampled_logp: f64, ref_logp: f64, lambda: f64) -> f64 {
    reward - lambda * (sampled_logp - ref_logp)
}

/// One reward per token of a rewrite: the divergence's price everywhere, the reward on the last token.
///
/// A rewrite without tokens has nowhere to put its reward and is left empty.
pub fn shape_token_rewards(
    reward: f64,
    sampled_token_logps: &[f64],
    ref_token_logps: &[f64],
    price: (f64, KlEstimator),
    token_rewards: &mut [f64],
) -> Result<(), Error> {
    same_length("ref_token_logps", sampled_token_logps.len(), ref_token_logps.len())?;
    same_length("token_rewards", sampled_token_logps.len(), token_rewards.len())?;
    let (lambda, estimator) = price;
    for ((shaped, &sampled), &reference) in token_rewards.iter_mut().zip(sampled_token_logps).zip(ref_token_logps) {
        *shaped = -lambda * estimator.estimate(sampled, reference).value;
    }
    if let Some(last) = token_rewards.last_mut() {
        *last += reward;
    }
    Ok(())
}
