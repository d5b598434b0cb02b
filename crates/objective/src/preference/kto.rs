//! Kahneman-Tversky Optimization: single rewrites marked desirable or undesirable.
//!
//! ## Objective
//! - (1) L = λ_D [1 − σ(β (f − z))]  for a desirable rewrite
//! - (2) L = λ_U [1 − σ(β (z − f))]  for an undesirable one
//! - (3) z = max(0, mean over mismatched rewrites of (log ρ − log ρ_ref))
//!
//! with f = log ρ(x'|x) − log ρ_ref(x'|x). Eq. 7 of arXiv:2402.01306.
//!
//! ## Symbols
//! β `beta`; λ_D `desirable_weight`; λ_U `undesirable_weight`; z `reference_point`.
//!
//! ## Choices
//! No derivative flows through z, as in the paper and TRL. The caller estimates it ([`reference_point`]) from rewrites
//! paired with the wrong prompts; z = 0 is TRL's loss without the KL estimate.
//!
//! ## Checked against
//! `testdata/golden/kto.json`, written by `tools/golden/objective/kto.py`.

use crate::error::{Error, in_range, positive};
use crate::logspace::sigmoid;

/// What is known about a rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// It helped.
    Desirable,
    /// It did not.
    Undesirable,
}

/// Options of [`kto`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kto {
    /// β: how fast satisfaction saturates.
    pub beta: f64,
    /// z: the divergence to the reference beyond which a rewrite counts as a gain, in nats, at least 0.
    pub reference_point: f64,
    /// λ_D.
    pub desirable_weight: f64,
    /// λ_U.
    pub undesirable_weight: f64,
}

impl Kto {
    /// Refuses options outside the method's domain.
    pub fn check(&self) -> Result<(), Error> {
        positive("beta", self.beta)?;
        in_range("reference_point", "at least 0", self.reference_point, self.reference_point >= 0.0)?;
        positive("desirable_weight", self.desirable_weight)?;
        positive("undesirable_weight", self.undesirable_weight)
    }
}

/// Loss of one rewrite; its derivative with respect to the reference's log-probability is minus `d_policy`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KtoLoss {
    /// The loss, unreduced.
    pub loss: f64,
    /// d loss / d log ρ(x'|x).
    pub d_policy: f64,
    /// β f: TRL's `rewards/chosen` or `rewards/rejected`.
    pub implicit_reward: f64,
}

/// Loss of one rewrite, given its log-probabilities under prompter and reference.
///
/// ```
/// use objective::{Kto, Label, kto};
/// let options = Kto { beta: 0.1, reference_point: 0.0, desirable_weight: 1.0, undesirable_weight: 1.0 };
/// assert_eq!(kto(-3.0, -3.0, Label::Desirable, options).loss, 0.5);
/// ```
pub fn kto(policy_logp: f64, ref_logp: f64, label: Label, options: Kto) -> KtoLoss {
    let log_ratio = policy_logp - ref_logp;
    let (weight, sign) = match label {
        Label::Desirable => (options.desirable_weight, 1.0),      // (1)
        Label::Undesirable => (options.undesirable_weight, -1.0), // (2)
    };
    let gain = sign * options.beta * (log_ratio - options.reference_point);
    KtoLoss {
        loss: weight * sigmoid(-gain), // 1 − σ(gain), without cancellation
        d_policy: -weight * sign * options.beta * sigmoid(gain) * sigmoid(-gain),
        implicit_reward: options.beta * log_ratio,
    }
}

/// The reference point from rewrites paired with the wrong prompts; zero when there are none.
pub fn reference_point(mismatched_policy_logps: &[f64], mismatched_ref_logps: &[f64]) -> Result<f64, Error> {
    crate::error::same_length("mismatched_ref_logps", mismatched_policy_logps.len(), mismatched_ref_logps.len())?;
    let total: f64 = mismatched_policy_logps.iter().zip(mismatched_ref_logps).map(|(policy, r)| policy - r).sum();
    Ok((total / mismatched_policy_logps.len().max(1) as f64).max(0.0)) // (3)
}
