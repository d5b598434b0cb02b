//! The exact sign test, which on paired right-or-wrong answers is McNemar's test.
//!
//! ## Objective
//! p = min(1, 2 P(X ≥ max(wins, losses))), X binomial with wins + losses trials of probability ½.

use super::distribution::binomial_tail;

/// Two-sided p-value of "wins and losses are equally likely"; ties carry no information here and are left out.
///
/// For right-or-wrong answers `wins` are the prompts that only the arm gets right and `losses` those that only the
/// baseline does.
///
/// ```
/// assert!((theory::sign_test(8, 2) - 112.0 / 1024.0).abs() < 1e-14);
/// assert_eq!(theory::sign_test(0, 0), 1.0);
/// ```
pub fn sign_test(wins: u64, losses: u64) -> f64 {
    (2.0 * binomial_tail(wins.max(losses), wins + losses, 0.5)).min(1.0)
}
