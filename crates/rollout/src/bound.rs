//! The suboptimality report: how far a trained prompter can be, and is, from fine-tuning the target, told from samples.
//!
//! ## What is estimated
//! Per prompt, then over prompts, with rewards in [a, b], the prompter ρ that was trained, and a policy π* over responses:
//! - the gap J(π*) − J(π_ρ) and its three steps A = J(π*) − J(π_F), B = J(π_F) − J(π_{ρ_ref}), C = J(π_{ρ_ref}) − J(π_ρ)
//! - term 1, (b − a) TV(π*, π_F(·|x)), which bounds A; term 2, (b − a) E_{ρ_ref} TV(π_F(·|x), π_F(·|x')), which bounds B; each
//!   of the laws of the reward, which is sharper than of responses and can be counted
//! - term 3, −λ KL(ρ ‖ ρ_ref), and its form with the Jeffreys divergence, from log-probabilities of both sides' own samples
//! - the forms of the bound: (1.4), (1.5a-c), and (1.4) and (1.5b) with C as it was measured in place of term 3
//! - how far ρ is from ρ*: λ log Z − (J(π_ρ) − λ KL(ρ ‖ ρ_ref)), which is λ KL(ρ ‖ ρ*)
//!
//! π* is what was fine-tuned where there is an oracle, and π_F tilted by exp(r/β), from the target's direct responses.
//!
//! ## Choices
//! - The theorem is about ρ*. For the prompter that training has left, a form holds by itself where it knows nothing of
//!   optimality, and otherwise under a premise, which is measured too: see [`Validity`] and `theory::bound`.
//! - Where responses are counted, the distance is given twice, erring upwards (`at_most`) and downwards (`at_least`). A
//!   bound is made of the first.
//! - Every interval is at 95 % for itself.
//!
//! ## Source
//! `theory::bound` for the forms and premises, `theory::estimate` for the estimators, why they hold and how they err.

mod figures;
#[cfg(test)]
mod tests;
mod verdict;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::evaluate::{EvaluatedPrompt, MeanResult, interval_of};
use crate::headroom::{STRENGTHS, is_enough};
use figures::{Figures, Policy};

/// Estimates carried by fewer are not to be trusted, however few were drawn.
const FEWEST_SAMPLES: f64 = 3.0;

/// What arms did with the same prompts in the same order.
#[derive(Clone, Copy, Debug)]
pub struct BoundArms<'a> {
    /// The target with the prompt as it is.
    pub naive: &'a [EvaluatedPrompt],
    /// Behind the reference prompter; `kl` is log ρ_ref − log ρ.
    pub reference: &'a [EvaluatedPrompt],
    /// Behind the trained prompter; `kl` is log ρ − log ρ_ref.
    pub trained: &'a [EvaluatedPrompt],
    /// The fine-tuned target with the prompt as it is.
    pub oracle: Option<&'a [EvaluatedPrompt]>,
}

/// What the bound depends on besides samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoundOptions {
    /// λ that the prompter was trained with.
    pub lambda: f64,
    /// β of the fine-tuned target that it is compared with, above 0.
    pub beta: f64,
    /// [a, b], where the reward promises it; what was seen without it.
    pub range: Option<[f64; 2]>,
    /// Whether training also took something off the reward, by length or by rails.
    pub penalised: bool,
}

/// The report; `bound.json` of a run folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoundReport {
    /// Prompts that were sampled.
    pub n_prompts: usize,
    /// Rewrites a prompt, of each prompter.
    pub n_rewrites: usize,
    /// Responses a rewrite.
    pub n_responses: usize,
    /// Responses to the prompt as it is.
    pub n_direct: usize,
    /// The reward's range.
    pub range: RewardRange,
    /// λ.
    pub lambda: f64,
    /// Whether training also took something off the reward; the best prompter here is that of the reward alone.
    pub penalised: bool,
    /// Mean reward of the prompt as it is.
    pub naive: MeanResult,
    /// Behind the reference prompter.
    pub reference: MeanResult,
    /// Behind the trained one.
    pub trained: MeanResult,
    /// Of the fine-tuned target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oracle_reward: Option<MeanResult>,
    /// Term 2: what the reference's rewrites do to the law of the reward.
    pub rewrites: Distance,
    /// Term 3, and how far the prompter is from the optimal one.
    pub prompter: PrompterFigures,
    /// Against the target tilted by β.
    pub optimum: Comparison,
    /// Against a target that was fine-tuned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oracle: Option<Comparison>,
    /// The same in short for other β.
    pub grid: Vec<GridRow>,
    /// What the figures say, in plain sentences.
    pub verdict: Vec<String>,
}

/// [a, b] of the reward.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RewardRange {
    /// a.
    pub low: f64,
    /// b.
    pub high: f64,
    /// Whether the reward promises it, rather than that nothing else was seen.
    pub known: bool,
    /// Width of the bins that rewards were counted in; 0 where each value counts for itself.
    pub bin_width: f64,
}

/// b − a times a total variation, and what that bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distance {
    /// From empirical laws, which err upwards.
    pub at_most: MeanResult,
    /// By a set that half of the samples choose and the others judge, which errs downwards.
    pub at_least: MeanResult,
}

/// What the trained prompter's own samples and the reference's tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrompterFigures {
    /// KL(ρ ‖ ρ_ref) in nats.
    pub kl: MeanResult,
    /// KL(ρ_ref ‖ ρ) in nats.
    pub reverse_kl: MeanResult,
    /// −λ KL(ρ ‖ ρ_ref): term 3 of (1.4).
    pub term: MeanResult,
    /// −λ times the Jeffreys divergence: its form in (1.5a) and (1.5b).
    pub jeffreys_term: MeanResult,
    /// C = J(π_{ρ_ref}) − J(π_ρ), measured.
    pub step: MeanResult,
    /// J_λ(ρ) − J_λ(ρ_ref) = −C − λ KL(ρ ‖ ρ_ref): where it is not below 0, C ≤ term 3.
    pub objective_gain: MeanResult,
    /// −C − λ Jeffreys: where it is not below 0, the Jeffreys form holds; 0 for ρ*.
    pub jeffreys_slack: MeanResult,
    /// How far it is from ρ*, where λ is above 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimality: Option<Optimality>,
}

/// λ KL(ρ ‖ ρ*) = λ log Z − J_λ(ρ): what training has left on the table of its own objective.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Optimality {
    /// The difference. Noise in the rewards raises it; rewrites that the reference hardly ever writes lower it, even below 0.
    pub gap: MeanResult,
    /// λ log Z − J(π_{ρ_ref}): all there was to win.
    pub attainable: MeanResult,
    /// Mean number of the reference's rewrites that carry log Z.
    pub effective_samples: f64,
    /// Whether those are enough.
    pub trusted: bool,
}

/// The prompter against one policy π*.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// β of the tilted target; none for one that was fine-tuned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta: Option<f64>,
    /// Mean number of responses that carry the estimate; none for one that was fine-tuned, and sampled itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_samples: Option<f64>,
    /// Whether those are enough.
    pub trusted: bool,
    /// J(π*) − J(π_ρ), measured.
    pub gap: MeanResult,
    /// A = J(π*) − J(π_F).
    pub alignment_step: MeanResult,
    /// B = J(π_F) − J(π_{ρ_ref}).
    pub rewrites_step: MeanResult,
    /// Term 1: the law of the reward under π* and under π_F.
    pub alignment: Distance,
    /// Under π* and behind the reference prompter.
    pub merged: Distance,
    /// Under π* and behind the trained prompter.
    pub direct: Distance,
    /// The bounds on the gap.
    pub forms: Vec<Form>,
}

/// One form of the bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Form {
    /// Which.
    pub name: FormName,
    /// The bound, from distances that err upwards.
    pub bound: MeanResult,
    /// No larger than the reward's range, which no gap exceeds.
    pub clipped: MeanResult,
    /// From distances that err downwards: more samples bring the bound towards it.
    pub at_least: MeanResult,
    /// Whether it holds for this prompter.
    pub validity: Validity,
}

/// The forms of the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FormName {
    /// Terms 1 and 2, less λ KL(ρ ‖ ρ_ref).
    #[serde(rename = "1.4")]
    Theorem,
    /// Terms 1 and 2, and C as measured.
    #[serde(rename = "1.4-measured")]
    TheoremMeasured,
    /// Terms 1 and 2, less λ times the Jeffreys divergence.
    #[serde(rename = "1.5a")]
    Jeffreys,
    /// Terms 1 and 2 merged, less λ times the Jeffreys divergence.
    #[serde(rename = "1.5b")]
    Merged,
    /// Terms 1 and 2 merged, and C as measured.
    #[serde(rename = "1.5b-measured")]
    MergedMeasured,
    /// π* and the trained prompter directly.
    #[serde(rename = "1.5c")]
    Direct,
}

/// Whether a form of the bound, proven for ρ*, holds for the prompter that was trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validity {
    /// It holds for every prompter.
    Always,
    /// Its premise was measured, and the interval lies on the right side.
    Shown,
    /// The interval of its premise lies on both sides.
    Open,
    /// The interval of its premise lies on the wrong side: it is about ρ* only.
    OptimalOnly,
}

/// Another β in short.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GridRow {
    /// β.
    pub beta: f64,
    /// J(π*) − J(π_ρ).
    pub gap: MeanResult,
    /// Term 1, at most.
    pub alignment: MeanResult,
    /// (1.5b) with C as measured.
    pub merged_measured: MeanResult,
    /// (1.5c).
    pub direct: MeanResult,
    /// Mean number of responses that carry the estimates.
    pub effective_samples: f64,
    /// Whether those are enough.
    pub trusted: bool,
}

/// The report of what the arms did.
///
/// # Errors
/// Arms of different lengths, fewer than two prompts, fewer than three rewrites of a prompt or two responses to one, rewrites
/// without log-probabilities, a β that is not above 0.
pub fn bound(arms: BoundArms<'_>, options: BoundOptions) -> Result<BoundReport, Error> {
    let figures = Figures::of(arms, options)?;
    let optimum = comparison(&figures, &figures.tilted(options.beta)?, Some(options.beta))?;
    let oracle = figures.oracle()?.map(|policy| comparison(&figures, &policy, None)).transpose()?;
    let grid = STRENGTHS.iter().map(|&beta| grid_row(&figures, beta)).collect::<Result<_, Error>>()?;
    let of_prompt = |arm: &[EvaluatedPrompt]| {
        let rewrites = arm.first().map_or(&[][..], |prompt| &prompt.rewrites);
        (rewrites.len(), rewrites.first().map_or(0, |rewrite| rewrite.responses.len()))
    };
    let (n_rewrites, n_responses) = of_prompt(arms.trained);
    let mut report = BoundReport {
        n_prompts: arms.trained.len(),
        n_rewrites,
        n_responses,
        n_direct: figures.n_direct,
        range: figures.range,
        lambda: options.lambda,
        penalised: options.penalised,
        naive: interval_of(&figures.naive)?,
        reference: interval_of(&figures.reference)?,
        trained: interval_of(&figures.trained)?,
        oracle_reward: figures.oracle.as_ref().map(|rewards| interval_of(rewards)).transpose()?,
        rewrites: distance(&figures.rewrites)?,
        prompter: prompter(&figures, options.lambda)?,
        optimum,
        oracle,
        grid,
        verdict: Vec::new(),
    };
    report.verdict = verdict::verdict(&report);
    Ok(report)
}

fn distance(pairs: &[[f64; 2]]) -> Result<Distance, Error> {
    Ok(Distance { at_most: over(pairs, |pair| pair[0])?, at_least: over(pairs, |pair| pair[1])? })
}

fn over<T>(prompts: &[T], figure: impl Fn(&T) -> f64) -> Result<MeanResult, Error> {
    interval_of(&prompts.iter().map(figure).collect::<Vec<_>>())
}

/// The mean over prompts of a figure of the prompt's place.
fn each(figures: &Figures, figure: impl Fn(usize) -> f64) -> Result<MeanResult, Error> {
    interval_of(&(0..figures.trained.len()).map(figure).collect::<Vec<_>>())
}

fn prompter(figures: &Figures, lambda: f64) -> Result<PrompterFigures, Error> {
    let step = |x: usize| figures.step(x);
    let (kl, jeffreys) = (|x: usize| figures.kl[x], |x: usize| figures.kl[x] + figures.reverse_kl[x]);
    let optimality = figures.optimum.as_ref().map(|optimum| -> Result<Optimality, Error> {
        let effective_samples = mean(optimum.iter().map(|(_, effective)| *effective));
        Ok(Optimality {
            gap: each(figures, |x| optimum[x].0 - (figures.trained[x] - lambda * kl(x)))?,
            attainable: each(figures, |x| optimum[x].0 - figures.reference[x])?,
            effective_samples,
            trusted: carry(effective_samples, figures.n_rewrites),
        })
    });
    Ok(PrompterFigures {
        kl: each(figures, kl)?,
        reverse_kl: each(figures, |x| figures.reverse_kl[x])?,
        term: each(figures, |x| -lambda * kl(x))?,
        jeffreys_term: each(figures, |x| -lambda * jeffreys(x))?,
        step: each(figures, step)?,
        objective_gain: each(figures, |x| -step(x) - lambda * kl(x))?,
        jeffreys_slack: each(figures, |x| -step(x) - lambda * jeffreys(x))?,
        optimality: optimality.transpose()?,
    })
}

fn comparison(figures: &Figures, policy: &Policy, beta: Option<f64>) -> Result<Comparison, Error> {
    let effective_samples = policy.effective_samples.as_deref().map(|all| mean(all.iter().copied()));
    Ok(Comparison {
        beta,
        effective_samples,
        trusted: effective_samples.is_none_or(|effective| carry(effective, figures.n_direct)),
        gap: each(figures, |x| policy.reward[x] - figures.trained[x])?,
        alignment_step: each(figures, |x| policy.reward[x] - figures.naive[x])?,
        rewrites_step: each(figures, |x| figures.naive[x] - figures.reference[x])?,
        alignment: distance(&policy.alignment)?,
        merged: distance(&policy.merged)?,
        direct: distance(&policy.direct)?,
        forms: forms(figures, policy)?,
    })
}

fn forms(figures: &Figures, policy: &Policy) -> Result<Vec<Form>, Error> {
    let lambda = figures.lambda;
    let (kl, step) = (|x: usize| lambda * figures.kl[x], |x: usize| figures.step(x));
    let jeffreys = |x: usize| lambda * (figures.kl[x] + figures.reverse_kl[x]);
    let objective = validity(each(figures, |x| -step(x) - kl(x))?);
    let slack = validity(each(figures, |x| -step(x) - jeffreys(x))?);
    let terms = |x: usize, side: usize| policy.alignment[x][side] + figures.rewrites[x][side];
    let form = |name, validity, bound: &dyn Fn(usize, usize) -> f64| -> Result<Form, Error> {
        let (upper, lower) = (each(figures, |x| bound(x, 0))?, each(figures, |x| bound(x, 1))?);
        Ok(Form { name, bound: upper, clipped: clipped(upper, figures.range), at_least: lower, validity })
    };
    let merged = |x: usize, side: usize| policy.merged[x][side];
    Ok(vec![
        form(FormName::Theorem, objective, &|x, side| terms(x, side) - kl(x))?,
        form(FormName::TheoremMeasured, Validity::Always, &|x, side| terms(x, side) + step(x))?,
        form(FormName::Jeffreys, slack, &|x, side| terms(x, side) - jeffreys(x))?,
        form(FormName::Merged, slack, &|x, side| merged(x, side) - jeffreys(x))?,
        form(FormName::MergedMeasured, Validity::Always, &|x, side| merged(x, side) + step(x))?,
        form(FormName::Direct, Validity::Always, &|x, side| policy.direct[x][side])?,
    ])
}

fn grid_row(figures: &Figures, beta: f64) -> Result<GridRow, Error> {
    let policy = figures.tilted(beta)?;
    let effective_samples = mean(policy.effective_samples.iter().flatten().copied());
    Ok(GridRow {
        beta,
        gap: each(figures, |x| policy.reward[x] - figures.trained[x])?,
        alignment: over(&policy.alignment, |pair| pair[0])?,
        merged_measured: each(figures, |x| policy.merged[x][0] + figures.step(x))?,
        direct: over(&policy.direct, |pair| pair[0])?,
        effective_samples,
        trusted: carry(effective_samples, figures.n_direct),
    })
}

/// Whether so many effective samples, of those drawn, carry an estimate. A few are drawn here where headroom draws many, and
/// one or two never do.
fn carry(effective: f64, drawn: usize) -> bool {
    effective >= FEWEST_SAMPLES && is_enough(effective, drawn)
}

/// Of a premise that must not be below 0.
fn validity(premise: MeanResult) -> Validity {
    match premise.interval {
        [low, _] if low >= 0.0 => Validity::Shown,
        [_, high] if high < 0.0 => Validity::OptimalOnly,
        _ => Validity::Open,
    }
}

fn clipped(bound: MeanResult, range: RewardRange) -> MeanResult {
    let span = range.span();
    MeanResult { mean: bound.mean.min(span), interval: bound.interval.map(|end| end.min(span)) }
}

fn mean(figures: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = figures.fold((0.0, 0usize), |(sum, n), figure| (sum + figure, n + 1));
    sum / n.max(1) as f64
}

impl RewardRange {
    /// b − a.
    pub fn span(&self) -> f64 {
        self.high - self.low
    }
}

impl Comparison {
    /// The form of that name.
    pub fn form(&self, name: FormName) -> Option<&Form> {
        self.forms.iter().find(|form| form.name == name)
    }

    /// The smallest of the forms that hold for this prompter, by their means.
    pub fn tightest(&self) -> Option<&Form> {
        let holding = self.forms.iter().filter(|form| matches!(form.validity, Validity::Always | Validity::Shown));
        holding.min_by(|one, other| one.bound.mean.total_cmp(&other.bound.mean))
    }
}

impl BoundReport {
    /// Against the oracle where there is one, or else against the tilted target.
    pub fn main(&self) -> &Comparison {
        self.oracle.as_ref().unwrap_or(&self.optimum)
    }
}
