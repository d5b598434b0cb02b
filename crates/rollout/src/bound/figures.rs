//! One figure a prompt of everything that the report is made of.

use theory::{RewardCells, RewardLaw, estimate_tilted, split_total_variation};

use super::{BoundArms, BoundOptions, RewardRange};
use crate::Error;
use crate::evaluate::{EvaluatedPrompt, EvaluatedRewrite};

/// Of the estimates' own intervals, which are not told: those over prompts hold their errors.
const LEVEL: f64 = 0.95;

/// Columns over prompts. A distance is a pair: erring upwards, erring downwards.
pub(super) struct Figures {
    pub(super) lambda: f64,
    pub(super) range: RewardRange,
    pub(super) n_rewrites: usize,
    pub(super) n_direct: usize,
    pub(super) naive: Vec<f64>,
    pub(super) reference: Vec<f64>,
    pub(super) trained: Vec<f64>,
    pub(super) oracle: Option<Vec<f64>>,
    /// Term 2.
    pub(super) rewrites: Vec<[f64; 2]>,
    pub(super) kl: Vec<f64>,
    pub(super) reverse_kl: Vec<f64>,
    /// λ log Z, and how many rewrites carry it; where λ is above 0.
    pub(super) optimum: Option<Vec<(f64, f64)>>,
    cells: RewardCells,
    /// Rewards of the direct responses.
    direct: Vec<Vec<f64>>,
    naive_laws: Vec<Laws>,
    reference_laws: Vec<Laws>,
    trained_laws: Vec<Laws>,
    oracle_laws: Option<Vec<Laws>>,
}

/// A policy π* that the prompter is compared with, prompt by prompt.
pub(super) struct Policy {
    pub(super) reward: Vec<f64>,
    /// Distance to the target on the prompt as it is.
    pub(super) alignment: Vec<[f64; 2]>,
    /// To the target behind the reference prompter.
    pub(super) merged: Vec<[f64; 2]>,
    /// To the target behind the trained prompter.
    pub(super) direct: Vec<[f64; 2]>,
    pub(super) effective_samples: Option<Vec<f64>>,
}

/// The law of the reward under one policy, from all samples and from two independent halves of them.
struct Laws {
    whole: RewardLaw,
    halves: [RewardLaw; 2],
}

impl Laws {
    fn of(prompt: &EvaluatedPrompt, cells: RewardCells) -> Result<Laws, Error> {
        match prompt.rewrites.as_slice() {
            [only] => Laws::of_responses(&rewards_of(only), cells),
            // Responses to one rewrite go together, so the halves must be of rewrites.
            rewrites => Laws::split(rewrites, |rewrites| {
                let of_rewrite = |rewrite: &EvaluatedRewrite| {
                    let rewards = rewards_of(rewrite);
                    let weight = 1.0 / rewards.len().max(1) as f64;
                    rewards.into_iter().map(move |reward| (reward, weight))
                };
                cells.law(rewrites.iter().flat_map(of_rewrite))
            }),
        }
    }

    fn of_responses(rewards: &[f64], cells: RewardCells) -> Result<Laws, Error> {
        Laws::split(rewards, |rewards| cells.law(rewards.iter().map(|reward| (*reward, 1.0))))
    }

    fn split<T>(samples: &[T], law: impl Fn(&[T]) -> Result<RewardLaw, theory::Error>) -> Result<Laws, Error> {
        let (one, other) = samples.split_at(samples.len() / 2);
        let law = |samples| law(samples).map_err(failed);
        Ok(Laws { whole: law(samples)?, halves: [law(one)?, law(other)?] })
    }

    /// What the means of the reward can differ by, at most and at least as much as the samples tell.
    fn distance(&self, other: &Laws, cells: RewardCells, span: f64) -> [f64; 2] {
        let [p1, p2] = &self.halves;
        let [q1, q2] = &other.halves;
        let at_most = cells.largest_difference(self.whole.total_variation(&other.whole), span);
        [at_most, span * split_total_variation([p1, p2], [q1, q2])]
    }
}

impl Figures {
    pub(super) fn of(arms: BoundArms<'_>, options: BoundOptions) -> Result<Figures, Error> {
        let BoundArms { naive, reference, trained, oracle } = arms;
        check(arms)?;
        let all = [Some(naive), Some(reference), Some(trained), oracle].into_iter().flatten().flatten();
        let rewards: Vec<f64> = all.flat_map(|prompt| &prompt.rewrites).flat_map(rewards_of).collect();
        let range = range(&rewards, options.range);
        let cells = RewardCells::of(rewards, [range.low, range.high]);
        let laws = |arm: &[EvaluatedPrompt]| arm.iter().map(|prompt| Laws::of(prompt, cells)).collect::<Result<_, _>>();
        let naive_laws: Vec<Laws> = laws(naive)?;
        let rewrites = reference.iter().zip(&naive_laws).map(|(prompt, direct)| spread(prompt, direct, cells, range));
        let divergence = |prompt: &EvaluatedPrompt| prompt.mean_kl().unwrap_or(f64::NAN);
        let optimum = |prompt: &EvaluatedPrompt| -> Result<(f64, f64), Error> {
            let values: Vec<f64> = prompt.rewrites.iter().map(EvaluatedRewrite::mean_reward).collect();
            let tilted = estimate_tilted(&values, options.lambda, LEVEL).map_err(failed)?;
            Ok((options.lambda * tilted.log_partition.value, tilted.effective_sample_size))
        };
        let has_leash = options.lambda > 0.0;
        Ok(Figures {
            lambda: options.lambda,
            range: RewardRange { bin_width: cells.width(), ..range },
            n_rewrites: reference.first().map_or(0, |prompt| prompt.rewrites.len()),
            n_direct: naive.first().map_or(0, |prompt| prompt.rewards().concat().len()),
            naive: means(naive),
            reference: means(reference),
            trained: means(trained),
            oracle: oracle.map(means),
            rewrites: rewrites.collect::<Result<_, _>>()?,
            kl: trained.iter().map(divergence).collect(),
            reverse_kl: reference.iter().map(divergence).collect(),
            optimum: has_leash.then(|| reference.iter().map(optimum).collect::<Result<_, _>>()).transpose()?,
            cells,
            direct: naive.iter().map(|prompt| prompt.rewards().concat()).collect(),
            naive_laws,
            reference_laws: laws(reference)?,
            trained_laws: laws(trained)?,
            oracle_laws: oracle.map(laws).transpose()?,
        })
    }

    /// C of a prompt: J(π_{ρ_ref}) − J(π_ρ).
    pub(super) fn step(&self, prompt: usize) -> f64 {
        self.reference[prompt] - self.trained[prompt]
    }

    /// The target tilted by exp(r/β).
    pub(super) fn tilted(&self, beta: f64) -> Result<Policy, Error> {
        let tilted = self.direct.iter().map(|rewards| estimate_tilted(rewards, beta, LEVEL).map_err(failed));
        let tilted = tilted.collect::<Result<Vec<_>, Error>>()?;
        let laws = self.direct.iter().map(|rewards| Laws::split(rewards, |part| self.cells.tilted_law(part, beta)));
        let laws = laws.collect::<Result<Vec<_>, Error>>()?;
        // The density is known, so no law need be counted, and both sides are one estimate.
        let distance = |total_variation: f64| [self.range.span() * total_variation; 2];
        Ok(Policy {
            reward: tilted.iter().map(|tilted| tilted.mean_value.value).collect(),
            alignment: tilted.iter().map(|tilted| distance(tilted.total_variation.value)).collect(),
            merged: self.distances(&laws, &self.reference_laws),
            direct: self.distances(&laws, &self.trained_laws),
            effective_samples: Some(tilted.iter().map(|tilted| tilted.effective_sample_size).collect()),
        })
    }

    /// The target that was fine-tuned.
    pub(super) fn oracle(&self) -> Result<Option<Policy>, Error> {
        let (Some(reward), Some(laws)) = (&self.oracle, &self.oracle_laws) else { return Ok(None) };
        Ok(Some(Policy {
            reward: reward.clone(),
            alignment: self.distances(laws, &self.naive_laws),
            merged: self.distances(laws, &self.reference_laws),
            direct: self.distances(laws, &self.trained_laws),
            effective_samples: None,
        }))
    }

    fn distances(&self, laws: &[Laws], others: &[Laws]) -> Vec<[f64; 2]> {
        laws.iter().zip(others).map(|(law, other)| law.distance(other, self.cells, self.range.span())).collect()
    }
}

/// Term 2 of a prompt. A rewrite that is the prompt itself changes nothing, whatever the samples say.
fn spread(prompt: &EvaluatedPrompt, direct: &Laws, cells: RewardCells, range: RewardRange) -> Result<[f64; 2], Error> {
    let mut sums = [0.0; 2];
    for rewrite in prompt.rewrites.iter().filter(|rewrite| rewrite.rewrite != prompt.prompt) {
        let distance = Laws::of_responses(&rewards_of(rewrite), cells)?.distance(direct, cells, range.span());
        sums.iter_mut().zip(distance).for_each(|(sum, side)| *sum += side / prompt.rewrites.len() as f64);
    }
    Ok(sums)
}

fn rewards_of(rewrite: &EvaluatedRewrite) -> Vec<f64> {
    rewrite.responses.iter().map(|response| response.reward).collect()
}

fn means(arm: &[EvaluatedPrompt]) -> Vec<f64> {
    arm.iter().map(EvaluatedPrompt::mean_reward).collect()
}

/// What the reward promises, or else what was seen; a promise that was not kept is none.
fn range(rewards: &[f64], promised: Option<[f64; 2]>) -> RewardRange {
    let seen = rewards
        .iter()
        .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], reward| [low.min(*reward), high.max(*reward)]);
    let kept = promised.filter(|[low, high]| *low <= seen[0] && seen[1] <= *high);
    let [low, high] = kept.unwrap_or(seen);
    RewardRange { low, high, known: kept.is_some(), bin_width: 0.0 }
}

/// That the arms went through the same prompts, and have something to halve.
fn check(arms: BoundArms<'_>) -> Result<(), Error> {
    let n = arms.trained.len();
    if n < 2 {
        return Err(failed(theory::Error::TooFewSamples { method: "the bound over prompts", least: 2, found: n }));
    }
    let others = [("naive", Some(arms.naive)), ("ref", Some(arms.reference)), ("oracle", arms.oracle)];
    for (place, arm) in others {
        let found = arm.map_or(n, <[EvaluatedPrompt]>::len);
        if found != n {
            return Err(failed(theory::Error::Length { place: place.to_owned(), expected: n, found }));
        }
    }
    Ok(())
}

fn failed(source: theory::Error) -> Error {
    Error::Statistic { what: "the bound", source: Box::new(source) }
}
