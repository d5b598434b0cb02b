//! Clipping of the probability ratio.
//!
//! ## Objective
//! (1) C(w, A) = min( w A, clip(w, 1 − ε_low, 1 + ε_high) A )
//!
//! Eq. 7 of arXiv:1707.06347 (PPO), with ε_low = ε_high = ε there; the asymmetric form is DAPO's "clip-higher",
//! eq. 10 of arXiv:2503.14476.
//!
//! ## Symbols
//! w `ratio`; A `advantage`; ε_low `low`; ε_high `high`.
//!
//! ## Choices
//! The bound at which a token stops carrying gradient is reported, because only two of the four combinations of
//! excess and sign clip: too high with A > 0, too low with A < 0.
//!
//! ## Checked against
//! `testdata/golden/ppo.json` and `testdata/golden/grpo.json`.

use crate::error::{Error, in_range};

/// What is done about ratios far from one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clip {
    /// Nothing: the importance-weighted policy gradient.
    Unclipped,
    /// The pessimistic minimum of (1).
    Range {
        /// ε_low, from 0 to 1.
        low: f64,
        /// ε_high, at least 0.
        high: f64,
    },
}

/// A side of the trust region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// 1 − ε_low.
    Low,
    /// 1 + ε_high.
    High,
}

/// The surrogate gain of one ratio; objectives minimise its negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClippedSurrogate {
    /// C(w, A).
    pub gain: f64,
    /// d C / d w: the advantage, or 0 where clipped.
    pub slope: f64,
    /// The bound that took effect.
    pub clipped_at: Option<Bound>,
}

impl Clip {
    /// The same ε on both sides, as in PPO.
    pub const fn symmetric(epsilon: f64) -> Self {
        Clip::Range { low: epsilon, high: epsilon }
    }

    /// Refuses bounds outside the method's domain.
    pub fn check(&self) -> Result<(), Error> {
        match *self {
            Clip::Unclipped => Ok(()),
            Clip::Range { low, high } => {
                in_range("epsilon_low", "from 0 to 1", low, (0.0..=1.0).contains(&low))?;
                in_range("epsilon_high", "at least 0", high, high >= 0.0)
            }
        }
    }

    /// The surrogate gain of one ratio.
    ///
    /// ```
    /// use objective::{Bound, Clip};
    /// let surrogate = Clip::symmetric(0.2).surrogate(1.5, 2.0);
    /// assert_eq!((surrogate.gain, surrogate.slope, surrogate.clipped_at), (2.4, 0.0, Some(Bound::High)));
    /// ```
    pub fn surrogate(self, ratio: f64, advantage: f64) -> ClippedSurrogate {
        let at = |bound: f64, clipped_at| ClippedSurrogate { gain: bound * advantage, slope: 0.0, clipped_at };
        match self {
            Clip::Range { high, .. } if ratio > 1.0 + high && advantage > 0.0 => at(1.0 + high, Some(Bound::High)), // (1)
            Clip::Range { low, .. } if ratio < 1.0 - low && advantage < 0.0 => at(1.0 - low, Some(Bound::Low)), // (1)
            Clip::Range { .. } | Clip::Unclipped => {
                ClippedSurrogate { gain: ratio * advantage, slope: advantage, clipped_at: None }
            }
        }
    }
}
