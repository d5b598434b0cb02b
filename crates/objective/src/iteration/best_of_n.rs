//! Best of N: the divergence that choosing costs.
//!
//! ## Objective
//! (1) KL(best of N ‖ ρ_ref) = log N − (N−1)/N
//!
//! For a reward without ties; an upper bound with them (arXiv:2401.01879).
//!
//! ## Symbols
//! N `n`: rewrites drawn from ρ_ref, of which the best-rewarded is used.
//!
//! ## Choices
//! N = 0 draws nothing and diverges from nothing: 0.
//!
//! ## Checked against
//! N = 2, 4, 8 and an enumerated uniform world in `tests/it/iteration.rs`.

/// KL divergence, in nats, of the best of `n` reference rewrites from the reference.
///
/// ```
/// assert!((objective::best_of_n_kl(2) - 0.1931471805599453).abs() < 1e-15);
/// ```
pub fn best_of_n_kl(n: u32) -> f64 {
    let n = f64::from(n.max(1));
    n.ln() - (n - 1.0) / n // (1)
}
