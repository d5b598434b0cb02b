//! The names of metrics, which are those of TRL where TRL has one, so that dashboards carry over.

/// A figure of a training step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Mean reward of the rollouts, penalties taken off.
    Reward,
    /// Its standard deviation within groups, averaged over them.
    RewardStd,
    /// Share of groups whose rewards are all equal, which teach nothing.
    FracRewardZeroStd,
    /// Mean over rewrites of Σ_t log ρ − log ρ_ref: the divergence to the reference prompter, in nats.
    Kl,
    /// Mean over tokens of −log ρ of what was sampled.
    Entropy,
    /// The objective's value.
    Loss,
    /// Euclidean norm of the gradients before clipping.
    GradNorm,
    /// Learning rate of the step.
    LearningRate,
    /// Mean number of tokens that the prompter wrote.
    RewritesMeanLength,
    /// Share of rewrites that were cut at the limit.
    RewritesClippedRatio,
    /// Mean number of tokens of a response.
    CompletionsMeanLength,
    /// Share of responses that were cut at the limit.
    CompletionsClippedRatio,
    /// Largest difference between a token's log-probability when sampled and when scored.
    SamplingLogpDifferenceMax,
    /// Mean of these differences.
    SamplingLogpDifferenceMean,
    /// Mean probability ratio of the prompter to the sampler.
    ImportanceRatioMean,
    /// Share of tokens stopped at the lower bound of the trust region.
    ClipRatioLow,
    /// Share of tokens stopped at the upper bound of the trust region.
    ClipRatioHigh,
    /// Loss of the value head.
    ValueLoss,
    /// Share of the returns' variance that the value head explains.
    ExplainedVariance,
    /// Tokens sampled in the step, by prompter and target.
    NumTokens,
    /// Share of rewrites that a rail replaced by the user's prompt.
    FellBack,
    /// Share of preference pairs whose chosen response has the higher reward.
    Accuracy,
}

impl Metric {
    /// All of them.
    pub const ALL: [Metric; 22] = [
        Metric::Reward,
        Metric::RewardStd,
        Metric::FracRewardZeroStd,
        Metric::Kl,
        Metric::Entropy,
        Metric::Loss,
        Metric::GradNorm,
        Metric::LearningRate,
        Metric::RewritesMeanLength,
        Metric::RewritesClippedRatio,
        Metric::CompletionsMeanLength,
        Metric::CompletionsClippedRatio,
        Metric::SamplingLogpDifferenceMax,
        Metric::SamplingLogpDifferenceMean,
        Metric::ImportanceRatioMean,
        Metric::ClipRatioLow,
        Metric::ClipRatioHigh,
        Metric::ValueLoss,
        Metric::ExplainedVariance,
        Metric::NumTokens,
        Metric::FellBack,
        Metric::Accuracy,
    ];

    /// Its name in events and dashboards.
    pub const fn name(self) -> &'static str {
        match self {
            Metric::Reward => "reward",
            Metric::RewardStd => "reward_std",
            Metric::FracRewardZeroStd => "frac_reward_zero_std",
            Metric::Kl => "kl",
            Metric::Entropy => "entropy",
            Metric::Loss => "loss",
            Metric::GradNorm => "grad_norm",
            Metric::LearningRate => "learning_rate",
            Metric::RewritesMeanLength => "rewrites/mean_length",
            Metric::RewritesClippedRatio => "rewrites/clipped_ratio",
            Metric::CompletionsMeanLength => "completions/mean_length",
            Metric::CompletionsClippedRatio => "completions/clipped_ratio",
            Metric::SamplingLogpDifferenceMax => "sampling/sampling_logp_difference/max",
            Metric::SamplingLogpDifferenceMean => "sampling/sampling_logp_difference/mean",
            Metric::ImportanceRatioMean => "sampling/importance_sampling_ratio/mean",
            Metric::ClipRatioLow => "clip_ratio/low_mean",
            Metric::ClipRatioHigh => "clip_ratio/high_mean",
            Metric::ValueLoss => "loss/value_avg",
            Metric::ExplainedVariance => "val/explained_variance",
            Metric::NumTokens => "num_tokens",
            Metric::FellBack => "rails/fell_back",
            Metric::Accuracy => "accuracy",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
    }
}
