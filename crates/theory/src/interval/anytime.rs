//! A paired comparison that may be looked at after every prompt.
//!
//! ## Objective
//! For differences d_t with |d_t| ≤ c, whatever their distribution:
//! - (1) evidence for "better": E_t = Π (1 + b_i d_i/c), bets b_i ∈ [0, ½] fixed before d_i is seen. Under E d ≤ 0 it is
//!   a supermartingale, so that P(E_t ≥ 1/α for any t) ≤ α (Ville). The bets are b_i = m/(v + m²) for the running mean m
//!   and variance v, clipped: approximately the growth-optimal ones.
//! - (2) confidence sequence of the mean: Σ λ_i x_i / Σ λ_i ± (log(2/α) + Σ 4 (x_i − μ̂_{i−1})² ψ(λ_i)) / Σ λ_i for
//!   x = (d/c + 1)/2 in [0, 1], ψ(λ) = (−log(1−λ) − λ)/4,
//!   λ_t = min(√(2 log(2/α) / (σ̂²_{t−1} t log(1+t))), ½)
//!
//! Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024):
//! (1) is a capital process with their "approximate GRAPA" bets, (2) their predictable plug-in empirical Bernstein
//! confidence sequence.
//!
//! ## Choices
//! Both directions are tested at α/2. The confidence sequence is intersected over time, so it never widens. It is wider
//! than an interval for a fixed number of prompts: that is the price of looking.

use super::Interval;
use crate::error::{self, Error};

/// Largest bet and largest λ: half of what could ruin.
const LARGEST_BET: f64 = 0.5;

/// What a sequence of paired differences says so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The mean difference is above 0.
    Better,
    /// The mean difference is below 0.
    Worse,
    /// Neither is shown yet.
    Undecided,
}

/// Differences between two arms on one prompt after another.
///
/// ```
/// use theory::{PairedSequence, Verdict};
/// let mut comparison = PairedSequence::new(1.0, 0.95)?;
/// let mut prompts = 0;
/// while comparison.verdict() == Verdict::Undecided {
///     comparison.observe(0.4)?; // reward of the trained prompter less that of the naive prompt
///     prompts += 1;
/// }
/// assert_eq!((comparison.verdict(), prompts), (Verdict::Better, 22));
/// # Ok::<(), theory::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PairedSequence {
    bound: f64,
    alpha: f64,
    n: f64,
    sum: f64,
    squares: f64,
    log_evidence: [f64; 2],
    best_log_evidence: [f64; 2],
    lambda_sum: f64,
    lambda_x: f64,
    penalty: f64,
    centred_squares: f64,
    interval: Interval,
}

impl PairedSequence {
    /// A comparison whose differences lie in [−`bound`, `bound`], at confidence `level`.
    ///
    /// # Errors
    /// A bound that is not above 0, a level outside (0, 1).
    pub fn new(bound: f64, level: f64) -> Result<Self, Error> {
        error::positive("bound", bound)?;
        super::check_level(level)?;
        Ok(PairedSequence {
            bound,
            alpha: 1.0 - level,
            n: 0.0,
            sum: 0.0,
            squares: 0.0,
            log_evidence: [0.0; 2],
            best_log_evidence: [0.0; 2],
            lambda_sum: 0.0,
            lambda_x: 0.0,
            penalty: 0.0,
            centred_squares: 0.0,
            interval: Interval::around(0.0, bound),
        })
    }

    /// Takes in the next prompt's difference.
    ///
    /// # Errors
    /// A difference outside the bound; the comparison stays as it was.
    pub fn observe(&mut self, difference: f64) -> Result<(), Error> {
        error::within("difference", -self.bound, self.bound, difference)?;
        let scaled = difference / self.bound;
        self.bet(scaled);
        self.narrow(0.5 * (scaled + 1.0));
        self.n += 1.0;
        self.sum += scaled;
        self.squares += scaled * scaled;
        Ok(())
    }

    /// Whether one arm is shown to be better, at the level of the comparison, however often this was asked before.
    pub fn verdict(&self) -> Verdict {
        let needed = (2.0 / self.alpha).ln();
        match self.best_log_evidence.map(|evidence| evidence >= needed) {
            [true, _] => Verdict::Better,
            [_, true] => Verdict::Worse,
            [false, false] => Verdict::Undecided,
        }
    }

    /// Two-sided p-value that stays valid under repeated looks.
    pub fn p_value(&self) -> f64 {
        let [better, worse] = self.best_log_evidence;
        (2.0 * (-better.max(worse)).exp()).min(1.0)
    }

    /// Confidence sequence of the mean difference (2): it holds at all times together.
    pub fn interval(&self) -> Interval {
        self.interval
    }

    fn bet(&mut self, scaled: f64) {
        // One imagined difference of each sign keeps the first bets from being reckless.
        let mean = self.sum / (self.n + 2.0);
        let second_moment = (self.squares + 0.5) / (self.n + 2.0);
        let bet = mean / second_moment;
        for (direction, sign) in [1.0, -1.0].into_iter().enumerate() {
            let stake = (sign * bet).clamp(0.0, LARGEST_BET);
            self.log_evidence[direction] += (stake * sign * scaled).ln_1p(); // (1)
            self.best_log_evidence[direction] = self.best_log_evidence[direction].max(self.log_evidence[direction]);
        }
    }

    fn narrow(&mut self, x: f64) {
        let t = self.n + 1.0;
        let log_term = (2.0 / self.alpha).ln();
        let mean_before = (0.5 + 0.5 * (self.sum + self.n)) / t;
        let variance_before = (0.25 + self.centred_squares) / t;
        let lambda = (2.0 * log_term / (variance_before * t * t.ln_1p())).sqrt().min(LARGEST_BET);
        self.lambda_sum += lambda;
        self.lambda_x += lambda * x;
        self.penalty += (x - mean_before) * (x - mean_before) * (-(-lambda).ln_1p() - lambda); // 4 (x − μ̂)² ψ(λ)
        let mean_now = (0.5 + 0.5 * (self.sum + self.n) + x) / (t + 1.0);
        self.centred_squares += (x - mean_now) * (x - mean_now);
        let centre = self.lambda_x / self.lambda_sum;
        let half_width = (log_term + self.penalty) / self.lambda_sum; // (2)
        let now = Interval {
            low: self.bound * (2.0 * (centre - half_width) - 1.0),
            high: self.bound * (2.0 * (centre + half_width) - 1.0),
        };
        let narrowed = Interval { low: now.low.max(self.interval.low), high: now.high.min(self.interval.high) };
        if narrowed.low <= narrowed.high {
            self.interval = narrowed;
        }
    }
}
