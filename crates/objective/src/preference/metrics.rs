//! The field's metrics of a preference objective over a batch.

use super::pair::{PairLoss, Sides};

/// Metrics under the names TRL logs them by; means are over pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairMetrics {
    /// Mean implicit rewards: `rewards/chosen` and `rewards/rejected`.
    pub rewards: Sides,
    /// Mean of chosen minus rejected: `rewards/margins`.
    pub margin: f64,
    /// Share of pairs whose chosen rewrite has the larger implicit reward: `rewards/accuracies`.
    pub accuracy: f64,
}

impl PairMetrics {
    /// Metrics of a batch from its pairs' losses.
    pub fn of<'a>(losses: impl Iterator<Item = &'a PairLoss>) -> Self {
        let (mut rewards, mut right, mut pairs) = (Sides::default(), 0.0, 0.0);
        for loss in losses {
            rewards = rewards + loss.implicit_rewards;
            right += f64::from(u8::from(loss.implicit_rewards.margin() > 0.0));
            pairs += 1.0;
        }
        let share = 1.0 / f64::max(pairs, 1.0);
        let rewards = rewards * share;
        PairMetrics { rewards, margin: rewards.margin(), accuracy: right * share }
    }
}
