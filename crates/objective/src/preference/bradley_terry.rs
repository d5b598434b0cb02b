//! Bradley-Terry: the loss of reward models on pairs of responses.

use super::Sides;
use crate::Error;
use crate::error::finite;
use crate::logspace::{log_sigmoid, sigmoid};

/// Options of [`bradley_terry`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BradleyTerry {
    /// c: draws rewards towards zero, which the rest of the loss leaves open up to a constant (arXiv:2312.09244). 0 for
    /// not at all.
    pub center_weight: f64,
}

/// A reward model's loss on one pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RewardLoss {
    /// The loss.
    pub loss: f64,
    /// d loss / d rewards.
    pub d_rewards: Sides,
}

/// −log σ(r_chosen − r_rejected + h) + c (r_chosen + r_rejected)², of one pair.
///
/// P(chosen ≻ rejected) = σ(r_chosen − r_rejected) is Bradley and Terry's model of comparisons. The handicap h is what is
/// known about the pair besides its rewards: −m for a margin m by which the chosen response should win
/// (arXiv:2307.09288), or the log-odds that the responses' lengths alone explain, so that the rewards need not.
pub fn bradley_terry(rewards: Sides, handicap: f64, options: BradleyTerry) -> Result<RewardLoss, Error> {
    let BradleyTerry { center_weight } = options;
    finite("handicap", handicap)?;
    finite("center-weight", center_weight)?;
    let log_odds = rewards.margin() + handicap;
    let sum = rewards.chosen + rewards.rejected;
    let slope = -sigmoid(-log_odds);
    let pull = 2.0 * center_weight * sum;
    Ok(RewardLoss {
        loss: -log_sigmoid(log_odds) + center_weight * sum * sum,
        d_rewards: Sides::opposite(slope) + Sides::new(pull, pull),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: BradleyTerry = BradleyTerry { center_weight: 0.0 };

    #[test]
    fn equal_rewards_know_nothing_and_a_margin_asks_for_more() {
        let even = bradley_terry(Sides::new(3.0, 3.0), 0.0, PLAIN).unwrap();
        assert!((even.loss - 2f64.ln()).abs() < 1e-15);
        assert_eq!(even.d_rewards, Sides::opposite(-0.5));
        // −log σ(1): by hand.
        let ahead = bradley_terry(Sides::new(1.5, 0.5), 0.0, PLAIN).unwrap();
        assert!((ahead.loss - 0.313_261_687_518_222_8).abs() < 1e-15);
        let margin = bradley_terry(Sides::new(1.5, 0.5), -1.0, PLAIN).unwrap();
        assert!((margin.loss - 2f64.ln()).abs() < 1e-15);
        let centred = bradley_terry(Sides::new(1.5, 0.5), 0.0, BradleyTerry { center_weight: 0.01 }).unwrap();
        assert!((centred.loss - ahead.loss - 0.04).abs() < 1e-15);
        assert!(bradley_terry(Sides::default(), f64::NAN, PLAIN).is_err());
    }

    proptest! {
        #[test]
        fn slopes_are_differences(c in -20.0..20.0f64, r in -20.0..20.0f64, h in -5.0..5.0f64, w in 0.0..0.1f64) {
            let options = BradleyTerry { center_weight: w };
            let at = |c, r| bradley_terry(Sides::new(c, r), h, options).unwrap().loss;
            let slopes = bradley_terry(Sides::new(c, r), h, options).unwrap().d_rewards;
            let step = 1e-5;
            for (slope, up, down) in [
                (slopes.chosen, at(c + step, r), at(c - step, r)),
                (slopes.rejected, at(c, r + step), at(c, r - step)),
            ] {
                prop_assert!((slope - (up - down) / (2.0 * step)).abs() < 1e-6 * (1.0 + slope.abs()));
            }
        }

        #[test]
        fn extreme_rewards_stay_finite(c in -1e8..1e8f64, r in -1e8..1e8f64) {
            let found = bradley_terry(Sides::new(c, r), 0.0, PLAIN).unwrap();
            prop_assert!(found.loss.is_finite() && found.loss >= 0.0);
            prop_assert!(found.d_rewards.chosen <= 0.0 && found.d_rewards.rejected >= 0.0);
        }
    }
}
