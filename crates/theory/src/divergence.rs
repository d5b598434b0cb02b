//! Distances between two distributions over one finite set.
//!
//! ## Objective
//! - KL(p ‖ q) = Σ p log(p/q)
//! - Jeffreys(p, q) = KL(p ‖ q) + KL(q ‖ p)
//! - TV(p, q) = ½ Σ |p − q|, so that |E_p f − E_q f| ≤ (max f − min f) · TV(p, q)
//!
//! ## Choices
//! Natural logarithms. 0 log 0 = 0, and p log(p/0) = ∞. Entries beyond the shorter table count as absent; the callers
//! of this crate check lengths first.

/// Σ p f, the expectation of `value` under `distribution`.
///
/// ```
/// assert_eq!(theory::divergence::expectation(&[0.25, 0.75], &[0.0, 4.0]), 3.0);
/// ```
pub fn expectation(distribution: &[f64], value: &[f64]) -> f64 {
    distribution.iter().zip(value).map(|(p, v)| p * v).sum()
}

/// KL(p ‖ q) in nats.
///
/// ```
/// let kl = theory::divergence::kl(&[0.5, 0.5], &[0.25, 0.75]);
/// assert!((kl - 0.5 * (4f64 / 3.0).ln()).abs() < 1e-15);
/// assert_eq!(theory::divergence::kl(&[1.0, 0.0], &[0.0, 1.0]), f64::INFINITY);
/// ```
pub fn kl(p: &[f64], q: &[f64]) -> f64 {
    let sum: f64 = p.iter().zip(q).filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p / q).ln()).sum();
    sum.max(0.0)
}

/// Jeffreys divergence: KL both ways, in nats.
///
/// ```
/// let (p, q) = ([0.5, 0.5], [0.25, 0.75]);
/// assert_eq!(theory::divergence::jeffreys(&p, &q), theory::divergence::jeffreys(&q, &p));
/// ```
pub fn jeffreys(p: &[f64], q: &[f64]) -> f64 {
    kl(p, q) + kl(q, p)
}

/// Total-variation distance ½ Σ |p − q|, in [0, 1].
///
/// ```
/// assert_eq!(theory::divergence::total_variation(&[1.0, 0.0], &[0.25, 0.75]), 0.75);
/// ```
pub fn total_variation(p: &[f64], q: &[f64]) -> f64 {
    0.5 * p.iter().zip(q).map(|(p, q)| (p - q).abs()).sum::<f64>()
}
