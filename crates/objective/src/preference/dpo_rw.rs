//! DPO from rewards, also known as InfoNCA: the policy learns the rewards' softmax by cross-entropy.
//!
//! ## Objective
//! (1) L = −Σ_k q_k log p_k,  p = softmax_k(β_π f_k),  q = softmax_k(r_k / β_r)
//!
//! over K rewrites, f_k = log ρ(x'_k|x) − log ρ_ref(x'_k|x). DPO_rw of arXiv:2402.00856; arXiv:2402.05369.
//!
//! ## Symbols
//! β_π `beta_pi`; β_r `beta_r`; r `rewards`.
//!
//! ## Choices
//! The cross-entropy, not the divergence: its least value is the entropy of q. The gradient is that of KL(q ‖ p).
//!
//! ## Checked against
//! Fixture C; `testdata/golden/dpo_rw.json`, written by `tools/golden/objective/rpo.py`.

use super::group::{Group, GroupGradient, GroupLoss, Scores};
use crate::error::{Error, positive};

/// Options of [`dpo_rw`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DpoRw {
    /// β_π: scale of the log-ratios.
    pub beta_pi: f64,
    /// β_r: temperature of the rewards.
    pub beta_r: f64,
}

impl DpoRw {
    /// Refuses options outside the method's domain.
    pub fn check(&self) -> Result<(), Error> {
        positive("beta_pi", self.beta_pi)?;
        positive("beta_r", self.beta_r)
    }

    /// KL strength of the minimiser: β_π β_r.
    pub fn lambda_eff(&self) -> f64 {
        self.beta_pi * self.beta_r
    }
}

/// Loss of one group of K ≥ 2 rewrites; writes the gradient.
///
/// ```
/// use objective::{DpoRw, Group, GroupGradient, dpo_rw};
/// let group = Group { policy_logps: &[-1.0, -1.0], ref_logps: &[-1.0, -1.0], rewards: &[1.0, 0.0] };
/// let (mut d_logps, mut d_rewards) = ([0.0; 2], [0.0; 2]);
/// let gradient = GroupGradient { policy_logps: &mut d_logps, rewards: &mut d_rewards };
/// let loss = dpo_rw(group, DpoRw { beta_pi: 0.1, beta_r: 0.5 }, gradient)?;
/// assert!((loss.loss - 2f64.ln()).abs() < 1e-15);
/// # Ok::<(), objective::Error>(())
/// ```
pub fn dpo_rw(group: Group<'_>, options: DpoRw, gradient: GroupGradient<'_>) -> Result<GroupLoss, Error> {
    let s = Scores::new("dpo_rw", group, (options.beta_pi, options.beta_r.recip()), &gradient)?;
    let q = |k| s.log_q(k).exp();
    let loss = -s.mean_over(q, |k| s.log_p(k)); // (1)
    let d_a = |k| s.log_p(k).exp() - q(k);
    let d_b = |k| -q(k) * (s.log_p(k) + loss);
    Ok(s.finish(loss, gradient, d_a, d_b))
}
