//! Win rate with ties.
//!
//! ## Objective
//! p = (wins + ½ ties) / n, with Wilson's score interval at the effective sample size n/d, d being the variance of the
//! scores {0, ½, 1} over that of a coin with the same mean: d = 1 − τ / (4 p (1 − p)), τ = ties / n.
//!
//! Wilson, JASA 22 (1927). The correction for ties is this project's: they make a score less variable than a coin.
//!
//! ## Choices
//! Ties count half and are shown. τ is shrunk to ties / (n + z²) inside d only, so that a sample of nothing but ties
//! keeps an interval of honest width. Verdicts must be independent: with two seatings of one pair or several answers a
//! prompt, average per prompt and use [`bca_bootstrap`](crate::bca_bootstrap) or
//! [`studentised_bootstrap`](crate::studentised_bootstrap).

use super::{Interval, check_level, distribution::normal_quantile};
use crate::error::{self, Error};

/// A win rate with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WinRate {
    /// (wins + ½ ties) / n.
    pub rate: f64,
    /// Wins less losses, as a share of n.
    pub net: f64,
    /// Ties as a share of n.
    pub ties: f64,
    /// Interval of `rate`.
    pub interval: Interval,
}

/// The win rate of independent verdicts, ties counted half.
///
/// # Errors
/// No verdicts, a level outside (0, 1).
///
/// ```
/// let verdicts = theory::win_rate(60, 10, 30, 0.95)?;
/// assert_eq!((verdicts.rate, verdicts.net, verdicts.ties), (0.65, 0.3, 0.1));
/// assert!(verdicts.interval.low > 0.5);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn win_rate(wins: u64, ties: u64, losses: u64, level: f64) -> Result<WinRate, Error> {
    let count = wins + ties + losses;
    error::at_least("a win rate", 1, usize::try_from(count).unwrap_or(usize::MAX))?;
    check_level(level)?;
    let n = count as f64;
    let rate = (wins as f64 + 0.5 * ties as f64) / n;
    let z = normal_quantile(0.5 + 0.5 * level);
    let coin = rate * (1.0 - rate);
    let shrunk_ties = ties as f64 / (n + z * z);
    let effective = if coin > 0.0 { n / (1.0 - shrunk_ties / (4.0 * coin)) } else { n };
    let weight = z * z / effective;
    let centre = (rate + 0.5 * weight) / (1.0 + weight);
    let half_width = z / (1.0 + weight) * (coin / effective + 0.25 * weight / effective).sqrt();
    Ok(WinRate {
        rate,
        net: (wins as f64 - losses as f64) / n,
        ties: ties as f64 / n,
        interval: Interval::around(centre, half_width).within(0.0, 1.0),
    })
}
