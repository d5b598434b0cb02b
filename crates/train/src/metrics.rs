//! The figures of a step.

use std::collections::BTreeMap;

use rollout::event::Metric;
use rollout::rollouts::Rollout;

use crate::batch::Batch;

/// Log-probabilities of a sampled token, when sampled and when scored, may differ by so much before it is worth a word.
const SAMPLING_TOLERANCE: f64 = 1e-4;

/// A step's metrics, and what a user should know about it.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) metrics: BTreeMap<String, f64>,
    pub(crate) warnings: Vec<String>,
    pub(crate) skipped: bool,
}

impl Figures {
    /// The figures that every method has: rewards, lengths, divergence and entropy of the sampled rewrites.
    pub(crate) fn of(batch: &Batch<'_>, reference: &[Vec<Vec<f64>>]) -> Figures {
        let mut figures = Figures::default();
        figures.add_rewards(batch);
        figures.add_lengths(batch);
        let (mut kl, mut entropy) = (Mean::default(), Mean::default());
        for (rollout, reference) in batch.rollouts().zip(reference.iter().flatten()) {
            let sampled = Batch::sampled_token_logps(rollout);
            kl.add(sampled.iter().zip(reference).map(|(&logp, reference)| f64::from(logp) - reference).sum());
            sampled.iter().for_each(|&logp| entropy.add(-f64::from(logp)));
        }
        figures.set(Metric::Kl, kl.value());
        figures.set(Metric::Entropy, entropy.value());
        figures
    }

    pub(crate) fn set(&mut self, metric: Metric, value: f64) {
        self.metrics.insert(metric.name().to_owned(), value);
    }

    /// The norm that an update had, or that there was none.
    pub(crate) fn set_update(&mut self, norm: Option<f64>) {
        match norm {
            Some(norm) => self.set(Metric::GradNorm, norm),
            None => {
                self.skipped = true;
                self.warnings.push("the gradients are not finite; the update was left out".to_owned());
            }
        }
    }

    /// How far scoring and sampling are apart.
    pub(crate) fn set_sampling_difference(&mut self, largest: f64, mean: f64) {
        self.set(Metric::SamplingLogpDifferenceMax, largest);
        self.set(Metric::SamplingLogpDifferenceMean, mean);
        if largest > SAMPLING_TOLERANCE {
            let message = format!(
                "a token's log-probability differs by {largest:.1e} between sampling and scoring, more than {SAMPLING_TOLERANCE:.0e}"
            );
            self.warnings.push(message);
        }
    }

    fn add_rewards(&mut self, batch: &Batch<'_>) {
        let (mut reward, mut spread, mut equal) = (Mean::default(), Mean::default(), Mean::default());
        let mut parts: BTreeMap<String, Mean> = BTreeMap::new();
        for group in &batch.groups {
            let rewards: Vec<f64> = group.iter().map(|rollout| rollout.reward).collect();
            let deviation = deviation(&rewards);
            rewards.iter().for_each(|&value| reward.add(value));
            spread.add(deviation);
            equal.add(f64::from(u8::from(deviation == 0.0)));
        }
        for part in batch.rollouts().flat_map(|rollout| &rollout.scores).flat_map(|score| &score.parts) {
            parts.entry(format!("rewards/{}/mean", part.name)).or_default().add(part.value);
        }
        self.set(Metric::Reward, reward.value());
        self.set(Metric::RewardStd, spread.value());
        self.set(Metric::FracRewardZeroStd, equal.value());
        self.metrics.extend(parts.into_iter().map(|(name, mean)| (name, mean.value())));
    }

    fn add_lengths(&mut self, batch: &Batch<'_>) {
        let is = |yes: bool| f64::from(u8::from(yes));
        let (mut length, mut cut, mut fell_back) = (Mean::default(), Mean::default(), Mean::default());
        let (mut response_length, mut response_cut) = (Mean::default(), Mean::default());
        for Rollout { rewrite, responses, .. } in batch.rollouts() {
            length.add(rewrite.n_tokens() as f64);
            cut.add(is(rewrite.written.as_ref().is_some_and(|written| written.cut)));
            fell_back.add(is(rewrite.guarded.fell_back));
            for response in responses {
                response_length.add(response.tokens as f64);
                response_cut.add(is(response.cut));
            }
        }
        self.set(Metric::RewritesMeanLength, length.value());
        self.set(Metric::RewritesClippedRatio, cut.value());
        self.set(Metric::FellBack, fell_back.value());
        self.set(Metric::CompletionsMeanLength, response_length.value());
        self.set(Metric::CompletionsClippedRatio, response_cut.value());
        self.set(Metric::NumTokens, length.sum + response_length.sum);
    }
}

/// A running mean; 0 of nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mean {
    sum: f64,
    n: usize,
}

impl Mean {
    pub(crate) fn add(&mut self, value: f64) {
        self.sum += value;
        self.n += 1;
    }

    pub(crate) fn value(self) -> f64 {
        self.sum / self.n.max(1) as f64
    }
}

/// The sample deviation; 0 of fewer than two figures and, exactly, of equal ones.
fn deviation(figures: &[f64]) -> f64 {
    let Some(&first) = figures.first() else { return 0.0 };
    let n = figures.len() as f64;
    let mean = first + figures.iter().map(|figure| figure - first).sum::<f64>() / n;
    let squares: f64 = figures.iter().map(|figure| (figure - mean) * (figure - mean)).sum();
    if figures.len() < 2 { 0.0 } else { (squares / (n - 1.0)).sqrt() }
}
