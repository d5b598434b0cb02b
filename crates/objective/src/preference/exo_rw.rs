//! Efficient Exact Optimization from rewards.
//!
//! ## Objective
//! (1) L = KL(p ‖ q),  p = softmax_k(β_π f_k),  q = softmax_k(r_k / β_r)
//!
//! over K rewrites drawn from the reference, f_k = log ρ(x'_k|x) − log ρ_ref(x'_k|x). EXO_rw of arXiv:2402.00856.
//!
//! (2) dL/d(β_π f_k) = p_k [(log p_k − log q_k) − L]
//!
//! ## Symbols
//! β_π `beta_pi`; β_r `beta_r`; r `rewards`.
//!
//! ## Choices
//! The KL strength is split: the minimiser is f = r / (β_π β_r) + const, so λ_eff is the *product*. When the prompter
//! samples at a temperature, both models' logits are divided by it before they reach this function.
//!
//! ## Checked against
//! Fixture C; `testdata/golden/exo_rw.json`, written by `tools/golden/objective/rpo.py`.

use super::group::{Group, GroupGradient, GroupLoss, Scores};
use crate::error::{Error, positive};

/// Options of [`exo_rw`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExoRw {
    /// β_π: sharpness on which the gradient acts.
    pub beta_pi: f64,
    /// β_r: temperature of the rewards.
    pub beta_r: f64,
}

impl ExoRw {
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
/// use objective::{ExoRw, Group, GroupGradient, exo_rw};
/// let options = ExoRw { beta_pi: 0.7, beta_r: 0.5 };
/// let at_optimum = Group { policy_logps: &[2.0, 4.0], ref_logps: &[0.0; 2], rewards: &[0.7, 1.4] };
/// let (mut d_logps, mut d_rewards) = ([0.0; 2], [0.0; 2]);
/// let gradient = GroupGradient { policy_logps: &mut d_logps, rewards: &mut d_rewards };
/// assert!(exo_rw(at_optimum, options, gradient)?.loss.abs() < 1e-15);
/// # Ok::<(), objective::Error>(())
/// ```
pub fn exo_rw(group: Group<'_>, options: ExoRw, gradient: GroupGradient<'_>) -> Result<GroupLoss, Error> {
    let s = Scores::new("exo_rw", group, (options.beta_pi, options.beta_r.recip()), &gradient)?;
    let p = |k| s.log_p(k).exp();
    let excess = |k| s.log_p(k) - s.log_q(k);
    let loss = s.mean_over(p, excess); // (1)
    let d_a = |k| p(k) * (excess(k) - loss); // (2)
    let d_b = |k| s.log_q(k).exp() - p(k);
    Ok(s.finish(loss, gradient, d_a, d_b))
}
