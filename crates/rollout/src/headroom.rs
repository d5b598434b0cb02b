//! Headroom: how much any prompter could win, told from samples before anything is trained.
//!
//! ## What is estimated
//! From N rewrites of the reference prompter and M responses to each, per prompt, then over prompts:
//! - best of n: choosing the best of n rewrites by half of the responses, judged by the other half
//! - for each λ: λ log Z(x), the most that E r − λ KL can reach, and J(ρ*), the reward of the prompter that reaches it, from
//!   below (chosen and judged by different responses) and from above (by the same)
//!
//! and from responses of the target to the prompt as it is:
//! - for each β: J(π*), what RLHF of the target could reach, with KL(π* ‖ π_F) and TV(π*, π_F), the bound's first term
//!
//! ## Choices
//! - Everything is told as a gain over the reference prompter, or for the target over the prompt as it is.
//! - Samples of the reference say little about a prompter far away from it. The effective sample size shows it: where few of
//!   the samples carry the estimate, training may win more, and only training tells.
//!
//! ## Source
//! `theory::estimate`: the estimators, their bias, and what they are checked against.

use serde::Serialize;
use theory::{Halves, best_of_curve, estimate_tilted, sample_variance_parts_unbiased, tilted_worth};

use crate::Error;
use crate::evaluate::{EvaluatedPrompt, EvaluatedRewrite, MeanResult, interval_of};

/// Confidence level of every interval.
const LEVEL: f64 = 0.95;

/// Estimates carried by fewer samples than this, or than a quarter of them, are not to be trusted.
const ENOUGH_SAMPLES: f64 = 10.0;

/// Strengths of both leashes, from loose to tight.
pub const STRENGTHS: [f64; 6] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

/// How much can be won, by whom.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Headroom {
    /// Prompts that were sampled.
    pub n_prompts: usize,
    /// N, the reference's rewrites a prompt.
    pub n_rewrites: usize,
    /// M, the responses a rewrite.
    pub n_responses: usize,
    /// Mean reward of the prompt as it is.
    pub naive: MeanResult,
    /// Mean reward of the reference prompter.
    pub reference: MeanResult,
    /// What the reference gains over the prompt as it is.
    pub reference_gain: MeanResult,
    /// Variance of the reward between the rewrites of a prompt, without the noise of the responses: what a choice of rewrites
    /// has to choose from.
    pub between_rewrites: f64,
    /// Variance between the responses to a rewrite.
    pub between_responses: f64,
    /// Gain of the best of n = 1, …, N rewrites over the reference.
    pub best_of: Vec<MeanResult>,
    /// The optimal prompter for each λ.
    pub prompter: Vec<PrompterHeadroom>,
    /// The λ that the configuration trains with.
    pub lambda: f64,
    /// The optimal target for each β.
    pub target: Vec<TargetHeadroom>,
}

/// What the optimal prompter gains over its reference at one λ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrompterHeadroom {
    /// λ.
    pub lambda: f64,
    /// λ log Z − J(ρ_ref): the gain of the regularised objective.
    pub objective_gain: MeanResult,
    /// J(ρ*) − J(ρ_ref), from below.
    pub gain_at_least: MeanResult,
    /// J(ρ*) − J(ρ_ref), from above.
    pub gain_at_most: MeanResult,
    /// KL(ρ* ‖ ρ_ref).
    pub kl: MeanResult,
    /// Mean number of rewrites that carry the estimate.
    pub effective_samples: f64,
    /// Whether those are enough.
    pub trusted: bool,
}

/// What the optimal fine-tuned target gains over the frozen one at one β.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetHeadroom {
    /// β.
    pub beta: f64,
    /// J(π*) − J(π_F).
    pub gain: MeanResult,
    /// KL(π* ‖ π_F).
    pub kl: MeanResult,
    /// TV(π*, π_F): the first term of the suboptimality bound, in units of the reward's range.
    pub total_variation: MeanResult,
    /// Mean number of responses that carry the estimate.
    pub effective_samples: f64,
    /// Whether those are enough.
    pub trusted: bool,
}

/// From what the prompt as it is and the reference prompter did with the same prompts in the same order.
///
/// # Errors
/// Fewer than two prompts, fewer than three rewrites of a prompt or responses to a prompt as it is, an odd number of
/// responses to a rewrite.
pub fn headroom(naive: &[EvaluatedPrompt], reference: &[EvaluatedPrompt], lambda: f64) -> Result<Headroom, Error> {
    let samples: Vec<Samples> = reference.iter().map(Samples::of).collect();
    let ours: Vec<f64> = samples.iter().map(Samples::mean).collect();
    let theirs: Vec<f64> = naive.iter().map(EvaluatedPrompt::mean_reward).collect();
    let (n_rewrites, n_responses) = reference.first().map_or((0, 0), |prompt| {
        (prompt.rewrites.len(), prompt.rewrites.first().map_or(0, |rewrite| rewrite.responses.len()))
    });
    let rewards: Vec<Vec<Vec<f64>>> = reference.iter().map(EvaluatedPrompt::rewards).collect();
    let parts = sample_variance_parts_unbiased(&rewards).map_err(failed)?;
    let mut strengths: Vec<f64> = STRENGTHS.into_iter().chain((lambda > 0.0).then_some(lambda)).collect();
    strengths.sort_by(f64::total_cmp);
    strengths.dedup();
    Ok(Headroom {
        n_prompts: reference.len(),
        n_rewrites,
        n_responses,
        naive: over_prompts(theirs.iter().copied())?,
        reference: over_prompts(ours.iter().copied())?,
        reference_gain: over_prompts(ours.iter().zip(&theirs).map(|(ours, theirs)| ours - theirs))?,
        between_rewrites: parts.between_rewrites,
        between_responses: parts.within,
        best_of: best_of(&samples, n_rewrites)?,
        prompter: strengths.iter().map(|&lambda| prompter(&samples, lambda)).collect::<Result<_, _>>()?,
        lambda,
        target: strengths.iter().map(|&beta| target(naive, beta)).collect::<Result<_, _>>()?,
    })
}

/// The rewards of the reference's rewrites of one prompt.
struct Samples {
    /// Mean reward of each rewrite.
    value: Vec<f64>,
    /// The same from the first half of the responses.
    one: Vec<f64>,
    /// And from the second.
    other: Vec<f64>,
}

impl Samples {
    fn of(prompt: &EvaluatedPrompt) -> Samples {
        let half = |rewrite: &EvaluatedRewrite, second: bool| {
            let (one, other) = rewrite.responses.split_at(rewrite.responses.len() / 2);
            let half = if second { other } else { one };
            half.iter().map(|response| response.reward).sum::<f64>() / half.len().max(1) as f64
        };
        Samples {
            value: prompt.rewrites.iter().map(EvaluatedRewrite::mean_reward).collect(),
            one: prompt.rewrites.iter().map(|rewrite| half(rewrite, false)).collect(),
            other: prompt.rewrites.iter().map(|rewrite| half(rewrite, true)).collect(),
        }
    }

    fn mean(&self) -> f64 {
        self.value.iter().sum::<f64>() / self.value.len().max(1) as f64
    }

    fn halves(&self) -> Halves<'_> {
        Halves { one: &self.one, other: &self.other }
    }
}

fn best_of(samples: &[Samples], n_rewrites: usize) -> Result<Vec<MeanResult>, Error> {
    let curves = samples.iter().map(|sample| Ok((best_of_curve(sample.halves()).map_err(failed)?, sample.mean())));
    let curves = curves.collect::<Result<Vec<_>, Error>>()?;
    (0..n_rewrites).map(|n| over_prompts(curves.iter().map(|(curve, mean)| curve[n] - mean))).collect()
}

fn prompter(samples: &[Samples], lambda: f64) -> Result<PrompterHeadroom, Error> {
    let tilted = samples.iter().map(|sample| estimate_tilted(&sample.value, lambda, LEVEL).map_err(failed));
    let tilted = tilted.collect::<Result<Vec<_>, Error>>()?;
    let worth = samples.iter().map(|sample| tilted_worth(sample.halves(), lambda).map_err(failed));
    let worth = worth.collect::<Result<Vec<f64>, Error>>()?;
    let gains = |reached: Vec<f64>| over_prompts(reached.iter().zip(samples).map(|(reached, it)| reached - it.mean()));
    let effective_samples = mean(tilted.iter().map(|tilted| tilted.effective_sample_size));
    Ok(PrompterHeadroom {
        lambda,
        objective_gain: gains(tilted.iter().map(|tilted| lambda * tilted.log_partition.value).collect())?,
        gain_at_least: gains(worth)?,
        gain_at_most: gains(tilted.iter().map(|tilted| tilted.mean_value.value).collect())?,
        kl: over_prompts(tilted.iter().map(|tilted| tilted.kl.value))?,
        effective_samples,
        trusted: is_enough(effective_samples, samples.first().map_or(0, |sample| sample.value.len())),
    })
}

fn target(naive: &[EvaluatedPrompt], beta: f64) -> Result<TargetHeadroom, Error> {
    let rewards: Vec<Vec<f64>> = naive.iter().map(|prompt| prompt.rewards().concat()).collect();
    let tilted = rewards.iter().map(|rewards| estimate_tilted(rewards, beta, LEVEL).map_err(failed));
    let tilted = tilted.collect::<Result<Vec<_>, Error>>()?;
    let before = naive.iter().map(EvaluatedPrompt::mean_reward);
    let effective_samples = mean(tilted.iter().map(|tilted| tilted.effective_sample_size));
    Ok(TargetHeadroom {
        beta,
        gain: over_prompts(tilted.iter().zip(before).map(|(tilted, before)| tilted.mean_value.value - before))?,
        kl: over_prompts(tilted.iter().map(|tilted| tilted.kl.value))?,
        total_variation: over_prompts(tilted.iter().map(|tilted| tilted.total_variation.value))?,
        effective_samples,
        trusted: is_enough(effective_samples, rewards.first().map_or(0, Vec::len)),
    })
}

/// Whether so many effective samples, of those drawn, carry an estimate.
pub(crate) fn is_enough(effective: f64, drawn: usize) -> bool {
    effective >= ENOUGH_SAMPLES.min(drawn as f64 / 4.0)
}

fn over_prompts(figures: impl Iterator<Item = f64>) -> Result<MeanResult, Error> {
    interval_of(&figures.collect::<Vec<_>>())
}

fn mean(figures: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = figures.len().max(1) as f64;
    figures.sum::<f64>() / n
}

fn failed(source: theory::Error) -> Error {
    Error::Statistic { what: "the headroom", source: Box::new(source) }
}

impl Headroom {
    /// What the figures say, in plain sentences.
    pub fn verdict(&self) -> Vec<String> {
        let mut verdict = Vec::new();
        if let Some(leash) = self.prompter.iter().find(|leash| leash.lambda == self.lambda) {
            verdict.push(self.verdict_on_training(leash));
        }
        if self.reference_gain.interval[1] < 0.0 {
            verdict.push(format!(
                "The untuned prompter does harm ({}): training must first win that back, so try another instruction or \
                 `prompter.mode` as well.",
                self.reference_gain.change()
            ));
        }
        verdict.extend(self.best_of.last().map(|best| self.verdict_on_rewrites(*best)));
        if let Some(target) = self
            .target
            .iter()
            .filter(|target| target.trusted)
            .max_by(|one, other| one.gain.mean.total_cmp(&other.gain.mean))
        {
            verdict.push(format!(
                "Training the target itself could win {} over the prompt as it is (beta {}; the loosest leash that {} \
                 responses a prompt can tell of).",
                target.gain.change(),
                target.beta,
                self.n_direct()
            ));
        }
        verdict
    }

    fn n_direct(&self) -> usize {
        self.n_rewrites * self.n_responses
    }

    fn verdict_on_training(&self, leash: &PrompterHeadroom) -> String {
        let (low, high) = (leash.gain_at_least, leash.gain_at_most);
        let begin = format!("At lambda {}, the best prompter near this reference gains", leash.lambda);
        let against = format!(
            "over the untuned prompter, which itself is {} against the prompt as it is",
            self.reference_gain.change()
        );
        if leash.trusted {
            let most = high.mean.max(low.mean);
            format!("{begin} between {:+.3} and {most:+.3} {against}.", low.mean)
        } else {
            format!(
                "{begin} at least about {} {against}. Only {:.1} of {} rewrites a prompt carry that: with so loose a leash, \
                 training can go further than they tell (more rewrites with `--rewrites`, or a larger lambda, say more).",
                low.change(),
                leash.effective_samples,
                self.n_rewrites
            )
        }
    }

    fn verdict_on_rewrites(&self, best: MeanResult) -> String {
        if best.interval[0] > 0.0 {
            format!("The target reacts to rewrites: the best of {} is worth {}.", self.n_rewrites, best.change())
        } else {
            format!(
                "The target hardly reacts to these rewrites: even the best of {} is worth {}. Use a wider reference \
                 (`prompter.temperature`, another instruction), other prompts, or more responses a rewrite.",
                self.n_rewrites,
                best.change()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use theory::{Stream, tilt};

    use super::*;
    use crate::evaluate::EvaluatedResponse;

    /// What a prompt's rewrites are worth: the chance of a reward of 1.
    const VALUES: [f64; 8] = [0.1, 0.2, 0.3, 0.3, 0.4, 0.5, 0.6, 0.8];

    fn prompt(values: &[f64], n_responses: usize, stream: &mut Stream) -> EvaluatedPrompt {
        let mut response = |value: f64| {
            let reward = f64::from(u8::from(stream.uniform() < value));
            EvaluatedResponse { text: String::new(), tokens: 1, cut: false, reward, parts: Vec::new() }
        };
        let mut rewrite = |&value: &f64| EvaluatedRewrite {
            written: None,
            rewrite: String::new(),
            tokens: 0,
            findings: Vec::new(),
            fell_back: false,
            kl: None,
            responses: (0..n_responses).map(|_| response(value)).collect(),
        };
        let rewrites = values.iter().map(&mut rewrite).collect();
        EvaluatedPrompt { arm: String::new(), id: String::new(), prompt: String::new(), rewrites }
    }

    fn sampled(values: &[f64], lambda: f64) -> Headroom {
        let mut stream = Stream::new(3);
        let reference: Vec<_> = (0..400).map(|_| prompt(values, 4, &mut stream)).collect();
        let naive: Vec<_> = (0..400).map(|_| prompt(&[0.25], 16, &mut stream)).collect();
        headroom(&naive, &reference, lambda).unwrap()
    }

    #[test]
    fn what_can_be_won_lies_between_the_two_estimates() {
        let found = sampled(&VALUES, 0.1);
        let mean = VALUES.iter().sum::<f64>() / 8.0;
        // The rewrites seen are all there are: the closed form over them is the truth.
        for leash in found.prompter.iter().filter(|leash| leash.lambda >= 0.05) {
            let exact = tilt(&[1.0 / 8.0; 8], &VALUES, leash.lambda).unwrap().mean_value - mean;
            let (low, high) = (leash.gain_at_least.interval[0], leash.gain_at_most.interval[1]);
            assert!(low < exact && exact < high, "{leash:?} {exact}");
        }
        assert!(found.best_of[0].mean.abs() < 1e-12);
        assert!(found.best_of.windows(2).all(|pair| pair[0].mean < pair[1].mean));
        assert!(found.best_of[7].mean < 0.8 - mean, "noise hides the best from those who choose");
        assert!((found.between_rewrites - 0.054).abs() < 0.01, "{}", found.between_rewrites);
        // A coin of chance 0.25, tilted: e^(1/β) / (e^(1/β) + 3).
        let target = found.target.iter().find(|leash| leash.beta == 0.5).unwrap();
        let exact = 2f64.exp() / (2f64.exp() + 3.0) - 0.25;
        assert!(target.gain.interval[0] - 0.01 < exact && exact < target.gain.interval[1] + 0.01, "{target:?} {exact}");
    }

    #[test]
    fn the_verdict_says_when_there_is_nothing_to_win_and_when_samples_do_not_tell() {
        let flat = sampled(&[0.1; 8], 0.5).verdict();
        assert!(flat.iter().any(|line| line.contains("hardly reacts")), "{flat:?}");
        assert!(flat.iter().any(|line| line.contains("does harm")), "{flat:?}");
        let wide = sampled(&VALUES, 0.5).verdict();
        assert!(wide[0].contains("gains between") && wide.iter().any(|line| line.contains("reacts to")), "{wide:?}");
        let loose = sampled(&VALUES, 0.01).verdict();
        assert!(loose[0].contains("more rewrites"), "{loose:?}");
    }
}
