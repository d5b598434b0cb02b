//! The total variation between the laws of a reward under two policies, from samples.
//!
//! ## Objective
//! Of two policies p and q over responses and a reward r in [a, b], the bound needs |E_p r − E_q r| only, and for that the
//! laws r♯p and r♯q of the reward under them are enough:
//! - (1) |E_p r − E_q r| ≤ (b − a) TV(r♯p, r♯q) ≤ (b − a) TV(p, q)
//! - (2) TV(r♯π*, r♯π) = TV(π*, π) for π* = π exp(r/β)/Z
//! - (3) |E_p r − E_q r| ≤ (b − a − h) TV + h where TV is that of the reward cut into bins of width h
//! - (4) plug-in: E TV(p̂, q̂) ≥ TV(p, q) for empirical laws p̂, q̂
//! - (5) split: E [p̂₂(A) − q̂₂(A)] ≤ TV(p, q) for A = {p̂₁ > q̂₁}, chosen by other samples
//!
//! Responses can hardly be counted; rewards can, for they lie on a line and verifiers give few values.
//!
//! ## Why they hold
//! - (1) E r is a mean of the law alone, and |E_p f − E_q f| ≤ (max f − min f) TV. A set of rewards is a set of responses
//!   too, so the supremum in the second total variation is over more sets: the data-processing inequality.
//! - (2) TV(π*, π) = E_π (1 − dπ*/dπ)₊, and the density exp(r/β)/Z is a function of r: `estimate_tilted` estimates it
//!   without any cells.
//! - (3) With m the middle of the bin of r, |r − m| ≤ h/2, so |E_p r − E_q r| ≤ |E_p m − E_q m| + h, and m is a function of
//!   the bin whose range is b − a − h.
//! - (4) TV is convex in (p̂, q̂) together, whose expectation is (p, q): Jensen.
//! - (5) A is fixed once the other half is seen, so the expectation is that of p(A) − q(A), which is at most its supremum.
//!
//! ## Choices
//! (4) errs upwards, so a bound made of it stays one; (5) errs downwards; the truth lies between. Both errors are of order
//! √(cells/N). Weights that are normalised by their own sum, as those of a tilted law, add a bias of order 1/N to both.
//!
//! ## Checked against
//! Enumerated worlds and simulation in `tests/it/law.rs`.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{self, Error};

/// Rewards with more values than this are cut into so many bins.
const MOST_CELLS: usize = 20;

/// What rewards are told apart by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RewardCells {
    /// Their values.
    Values,
    /// Bins of equal width.
    Bins {
        /// Where the first one begins.
        low: f64,
        /// h.
        width: f64,
    },
}

/// The law of a reward, cell by cell.
#[derive(Clone, Debug, PartialEq)]
pub struct RewardLaw(BTreeMap<u64, f64>);

impl RewardCells {
    /// Values where there are few, or else bins over `range`.
    ///
    /// ```
    /// use theory::RewardCells;
    /// assert_eq!(RewardCells::of([0.0, 1.0, 1.0, 0.5], [0.0, 1.0]), RewardCells::Values);
    /// let many = (0..100).map(|k| f64::from(k) / 100.0);
    /// assert_eq!(RewardCells::of(many, [0.0, 1.0]).width(), 0.05);
    /// ```
    pub fn of(rewards: impl IntoIterator<Item = f64>, [low, high]: [f64; 2]) -> RewardCells {
        let mut values = BTreeSet::new();
        for reward in rewards {
            values.insert(value_cell(reward));
            if values.len() > MOST_CELLS {
                return RewardCells::Bins { low, width: (high - low) / MOST_CELLS as f64 };
            }
        }
        RewardCells::Values
    }

    /// h; 0 for values.
    pub fn width(&self) -> f64 {
        match self {
            RewardCells::Values => 0.0,
            RewardCells::Bins { width, .. } => *width,
        }
    }

    /// The law of rewards with weights, which need not sum to one.
    ///
    /// # Errors
    /// No rewards, rewards or weights that are not finite, weights below 0, weights that are all 0.
    ///
    /// ```
    /// use theory::RewardCells;
    /// let (p, q) = (RewardCells::Values.law([(0.0, 1.0), (1.0, 3.0)])?, RewardCells::Values.law([(0.0, 1.0), (1.0, 1.0)])?);
    /// assert_eq!(p.total_variation(&q), 0.25);
    /// # Ok::<(), theory::Error>(())
    /// ```
    pub fn law(&self, weighted: impl IntoIterator<Item = (f64, f64)>) -> Result<RewardLaw, Error> {
        let (rewards, weights): (Vec<f64>, Vec<f64>) = weighted.into_iter().unzip();
        error::finite("reward", &rewards)?;
        error::not_negative("weight", &weights)?;
        let total: f64 = weights.iter().sum();
        error::positive("weight", total)?;
        let mut law = BTreeMap::new();
        for (reward, weight) in rewards.iter().zip(&weights) {
            *law.entry(self.cell(*reward)).or_insert(0.0) += weight / total;
        }
        Ok(RewardLaw(law))
    }

    /// The law of rewards tilted by exp(reward / strength): of π* where the rewards are samples of π.
    ///
    /// # Errors
    /// As [`RewardCells::law`], and a strength that is not above 0.
    ///
    /// ```
    /// use theory::RewardCells;
    /// let tilted = RewardCells::Values.tilted_law(&[0.0, 1.0], 1.0 / 3f64.ln())?;
    /// assert!((tilted.total_variation(&RewardCells::Values.law([(0.0, 0.25), (1.0, 0.75)])?)).abs() < 1e-15);
    /// # Ok::<(), theory::Error>(())
    /// ```
    pub fn tilted_law(&self, rewards: &[f64], strength: f64) -> Result<RewardLaw, Error> {
        error::positive("strength", strength)?;
        let largest = rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        self.law(rewards.iter().map(|reward| (*reward, ((reward - largest) / strength).exp())))
    }

    /// The most that two means of the reward can differ by, given the total variation of their laws and b − a (1, 3).
    ///
    /// ```
    /// let bins = theory::RewardCells::Bins { low: 0.0, width: 0.1 };
    /// assert!((bins.largest_difference(0.5, 1.0) - 0.55).abs() < 1e-15);
    /// assert_eq!(theory::RewardCells::Values.largest_difference(0.5, 2.0), 1.0);
    /// ```
    pub fn largest_difference(&self, total_variation: f64, reward_span: f64) -> f64 {
        (reward_span - self.width()) * total_variation + self.width() // (3)
    }

    fn cell(&self, reward: f64) -> u64 {
        match *self {
            RewardCells::Values => value_cell(reward),
            // What lies outside of the range belongs to the bins at its ends; a float below 0 becomes 0.
            RewardCells::Bins { low, width } => (((reward - low) / width) as u64).min(MOST_CELLS as u64 - 1),
        }
    }
}

impl RewardLaw {
    /// TV of two laws over the same cells: of empirical ones, the plug-in estimate (4).
    pub fn total_variation(&self, other: &RewardLaw) -> f64 {
        let cells: BTreeSet<&u64> = self.0.keys().chain(other.0.keys()).collect();
        0.5 * cells.into_iter().map(|cell| (self.mass(cell) - other.mass(cell)).abs()).sum::<f64>()
    }

    fn mass(&self, cell: &u64) -> f64 {
        self.0.get(cell).copied().unwrap_or(0.0)
    }
}

/// The split estimate of TV (5), from two independent halves of the samples of each law; both ways round, averaged. It can
/// come out negative where the total variation is small.
///
/// ```
/// use theory::{RewardCells, split_total_variation};
/// let law = |ones: f64| RewardCells::Values.law([(0.0, 1.0 - ones), (1.0, ones)]);
/// // The halves agree that the first has more ones, by 0.4 and by 0.2.
/// let distance = split_total_variation([&law(0.7)?, &law(0.6)?], [&law(0.3)?, &law(0.4)?]);
/// assert!((distance - 0.3).abs() < 1e-15);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn split_total_variation(p: [&RewardLaw; 2], q: [&RewardLaw; 2]) -> f64 {
    let one_way = |choice: usize, judge: usize| {
        let chosen = p[choice].0.iter().filter(|(cell, mass)| **mass > q[choice].mass(cell));
        chosen.map(|(cell, _)| p[judge].mass(cell) - q[judge].mass(cell)).sum::<f64>()
    };
    (one_way(0, 1) + one_way(1, 0)) / 2.0
}

/// A cell for each value; 0 and −0 are one.
fn value_cell(reward: f64) -> u64 {
    (reward + 0.0).to_bits()
}
