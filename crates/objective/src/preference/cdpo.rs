//! Conservative DPO: some of the labels are taken to be wrong.
//!
//! ## Objective
//! - (1) conservative  L = −(1−ε) log σ(a) − ε log σ(−a)
//! - (2) unbiased      L = [−(1−ε) log σ(a) + ε log σ(−a)] / (1 − 2ε)
//!
//! with a as in DPO. (1): E. Mitchell, "A note on DPO with noisy preferences" (2023); (2): robust DPO,
//! arXiv:2403.00409.
//!
//! ## Symbols
//! ε `label_smoothing`, the share of flipped labels; β `beta`.
//!
//! ## Choices
//! The two answer different questions: (1) trains towards the smoothed label and stops at a = log((1−ε)/ε); (2) has the
//! clean DPO loss as its expectation under flips, and is unbounded below in a. TRL computes (1) for CPO's `sigmoid` with
//! `label_smoothing` and (2) for DPO's `robust`.
//!
//! ## Checked against
//! Fixture B; `testdata/golden/cdpo.json` and `testdata/golden/cdpo_unbiased.json`, written by
//! `tools/golden/objective/dpo.py`.

use super::pair::{Pair, PairLoss};
use crate::error::{Error, in_range, positive};
use crate::logspace::{log_sigmoid, sigmoid};

/// What is done about flipped labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LabelNoise {
    /// Smooth the label: cDPO.
    #[default]
    Conservative,
    /// Undo the flips in expectation: robust DPO.
    Unbiased,
}

/// Options of [`cdpo`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cdpo {
    /// β: strength of the leash to the reference.
    pub beta: f64,
    /// ε: share of labels taken to be flipped, below one half.
    pub label_smoothing: f64,
    /// What is done about them.
    pub noise: LabelNoise,
}

impl Cdpo {
    /// Refuses options outside the method's domain.
    pub fn check(&self) -> Result<(), Error> {
        positive("beta", self.beta)?;
        let smoothing = self.label_smoothing;
        in_range("label_smoothing", "at least 0 and below 0.5", smoothing, (0.0..0.5).contains(&smoothing))
    }
}

/// Loss of one pair.
///
/// ```
/// use objective::{Cdpo, LabelNoise, Pair, Sides, cdpo};
/// let pair = Pair::of_logps(Sides::new(-3.0, -5.0), Sides::new(-4.0, -4.5));
/// let options = Cdpo { beta: 0.1, label_smoothing: 0.1, noise: LabelNoise::Conservative };
/// assert!((cdpo(&pair, options).loss - 0.6359570477895321).abs() < 1e-15);
/// ```
pub fn cdpo(pair: &Pair, options: Cdpo) -> PairLoss {
    let a = options.beta * pair.log_ratios().margin();
    let flipped = options.label_smoothing;
    let (kept, turned, scale) = match options.noise {
        LabelNoise::Conservative => (1.0 - flipped, flipped, 1.0), // (1)
        LabelNoise::Unbiased => (1.0 - flipped, -flipped, 1.0 / (1.0 - 2.0 * flipped)), // (2)
    };
    let loss = scale * (-kept * log_sigmoid(a) - turned * log_sigmoid(-a));
    let slope = scale * (-kept * sigmoid(-a) + turned * sigmoid(a));
    PairLoss::of_scaled_margin(pair, options.beta, loss, slope)
}
