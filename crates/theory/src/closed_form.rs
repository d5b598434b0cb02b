//! The closed-form optimal prompter and the value of a KL-regularised problem.
//!
//! ## Objective
//! - (1.2) J_λ(ρ) = E_{x'~ρ} R(x,x') − λ KL(ρ(·|x) ‖ ρ_ref(·|x)), to be maximised over ρ, λ > 0
//! - (1.3) ρ*(x'|x) = ρ_ref(x'|x) exp(R(x,x')/λ) / Z(x),  Z(x) = Σ_{x'} ρ_ref(x'|x) exp(R(x,x')/λ)
//! - J_λ(ρ) = λ log Z − λ KL(ρ ‖ ρ*), so that the largest value is λ log Z
//!
//! The lemma of arXiv:2501.03486. The same form with a policy over responses, reward r and strength β is the RLHF
//! optimum of [`rlhf`](crate::rlhf).
//!
//! ## Symbols
//! ρ_ref `reference`; R `value`; λ `strength`; ρ* `policy`; log Z `log_partition`; log ρ* − log ρ_ref `log_ratio`.
//!
//! ## Choices
//! Both divergences between ρ* and ρ_ref are taken from `log_ratio`, not from the probabilities: at a small λ the
//! probabilities underflow while the divergences stay finite.
//!
//! ## Checked against
//! Fixture A and enumeration in `tests/it/closed_form.rs`.

use crate::divergence::{expectation, kl};
use crate::error::{self, Error};
use objective::logspace::log_sum_exp;

/// A reference distribution tilted towards a value: reference · exp(value / strength) / Z.
#[derive(Clone, Debug, PartialEq)]
pub struct Tilted {
    /// The tilted distribution ρ*.
    pub policy: Vec<f64>,
    /// log ρ* − log ρ_ref = value / strength − log Z, one an outcome, also where the reference is zero.
    pub log_ratio: Vec<f64>,
    /// log Z.
    pub log_partition: f64,
    /// E_{ρ*} of the value.
    pub mean_value: f64,
    /// Var_{ρ*} of the value: the derivative of `mean_value` in 1 / strength.
    pub variance: f64,
    /// KL(ρ* ‖ ρ_ref).
    pub kl: f64,
    /// KL(ρ_ref ‖ ρ*).
    pub reverse_kl: f64,
    /// λ log Z, the largest value of (1.2).
    pub optimum: f64,
}

/// Solves max_ρ E_ρ value − strength · KL(ρ ‖ reference) exactly (1.3).
///
/// # Errors
/// Tables of different lengths or without entries, entries that are not finite, a strength that is not above 0.
///
/// ```
/// let tilted = theory::tilt(&[0.4, 0.3, 0.2, 0.1], &[0.25, 0.55, 0.80, 0.55], 0.5)?;
/// assert!((tilted.log_partition.exp() - 2.8517614027376474).abs() < 1e-12);
/// assert!((tilted.policy[2] - 0.3473665377222848).abs() < 1e-12);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn tilt(reference: &[f64], value: &[f64], strength: f64) -> Result<Tilted, Error> {
    check(reference, value, strength)?;
    // Against the largest value, so that what all values share costs no digits.
    let largest = value.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let tilts: Vec<f64> = value.iter().map(|v| (v - largest) / strength).collect();
    let logits: Vec<f64> = reference.iter().zip(&tilts).map(|(p, tilt)| p.ln() + tilt).collect();
    let log_sum = log_sum_exp(logits.iter().copied());
    let policy: Vec<f64> = logits.iter().map(|logit| (logit - log_sum).exp()).collect(); // (1.3)
    let log_ratio: Vec<f64> = tilts.iter().map(|tilt| tilt - log_sum).collect();
    let log_partition = largest / strength + log_sum; // log Z of (1.3)
    let mean_value = expectation(&policy, value);
    Ok(Tilted {
        variance: policy.iter().zip(value).map(|(p, v)| p * (v - mean_value) * (v - mean_value)).sum(),
        kl: expectation(&policy, &log_ratio).max(0.0),
        reverse_kl: (-expectation(reference, &log_ratio)).max(0.0),
        optimum: largest + strength * log_sum,
        mean_value,
        log_partition,
        log_ratio,
        policy,
    })
}

/// J_λ(ρ) of (1.2) for any policy ρ; −∞ where ρ puts mass on something the reference cannot produce.
///
/// # Errors
/// As [`tilt`].
///
/// ```
/// let (reference, value) = ([0.4, 0.3, 0.2, 0.1], [0.25, 0.55, 0.80, 0.55]);
/// let best = theory::tilt(&reference, &value, 0.5)?;
/// let reached = theory::regularised_value(&best.policy, &reference, &value, 0.5)?;
/// assert!((reached - best.optimum).abs() < 1e-12);
/// assert!(theory::regularised_value(&reference, &reference, &value, 0.5)? < reached);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn regularised_value(policy: &[f64], reference: &[f64], value: &[f64], strength: f64) -> Result<f64, Error> {
    check(reference, value, strength)?;
    error::same_length("policy", value.len(), policy.len())?;
    Ok(expectation(policy, value) - strength * kl(policy, reference)) // (1.2)
}

fn check(reference: &[f64], value: &[f64], strength: f64) -> Result<(), Error> {
    error::same_length("value", reference.len(), value.len())?;
    error::not_negative("reference", reference)?;
    error::finite("value", value)?;
    error::positive("strength", strength)
}
