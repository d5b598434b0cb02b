//! The field's metrics of a policy objective over a batch.

use super::surrogate::PolicyLoss;

/// Metrics under the names TRL logs them by; means are over tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PolicyMetrics {
    /// Mean ratio of policy to sampler: `ratio`.
    pub ratio_mean: f64,
    /// Largest ratio: `ratio_max`.
    pub ratio_max: f64,
    /// Share of tokens stopped at the lower bound: `clip_ratio/low_mean`.
    pub clip_low: f64,
    /// Share of tokens stopped at the upper bound: `clip_ratio/high_mean`.
    pub clip_high: f64,
    /// Mean estimate of the divergence to the reference, where the objective has such a penalty: `kl`.
    pub kl: f64,
}

impl PolicyMetrics {
    /// Metrics of a batch from its rewrites' losses.
    pub fn of<'a>(losses: impl Iterator<Item = &'a PolicyLoss>) -> Self {
        let (mut sums, mut tokens) = (PolicyMetrics::default(), 0);
        for loss in losses {
            tokens += loss.tokens;
            sums.ratio_mean += loss.ratio_sum;
            sums.ratio_max = sums.ratio_max.max(loss.ratio_max);
            sums.clip_low += loss.clipped_low as f64;
            sums.clip_high += loss.clipped_high as f64;
            sums.kl += loss.kl_sum;
        }
        let tokens = tokens.max(1) as f64;
        PolicyMetrics {
            ratio_mean: sums.ratio_mean / tokens,
            clip_low: sums.clip_low / tokens,
            clip_high: sums.clip_high / tokens,
            kl: sums.kl / tokens,
            ..sums
        }
    }

    /// Share of tokens stopped at either bound: `clip_ratio/region_mean`.
    pub fn clip_region(&self) -> f64 {
        self.clip_low + self.clip_high
    }
}
