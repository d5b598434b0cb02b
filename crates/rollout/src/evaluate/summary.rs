//! From what the arms did to figures with intervals.

use std::collections::BTreeMap;

use theory::{
    Bootstrap, Interval, bca_bootstrap, sample_variance_parts, sign_test, student_interval, studentised_bootstrap,
    win_rate,
};

use super::rewards::each_reward;
use super::{
    About, ArmResult, EvaluatedPrompt, EvaluatedResponse, EvaluatedRewrite, Evaluation, Gain, MeanResult, PartMean,
    VariancePartsResult, WinRateResult,
};
use crate::Error;

/// Confidence level of every interval.
const LEVEL: f64 = 0.95;

/// With fewer prompts, resamples of them repeat each other, and intervals are Student's.
const FEW: usize = 20;

/// With fewer prompts nothing is significant: were gains and losses as likely as each other, five would all be gains, or all
/// losses, one time in sixteen.
const FEWEST: usize = 6;

/// The arm that the others are compared with; without it, the oracle is.
pub(super) const TRAINED: &str = "trained";
pub(super) const ORACLE: &str = "oracle";
pub(super) const NAIVE: &str = "naive";
pub(super) const REF: &str = "ref";

/// The figures of all arms, which must have gone through the same prompts in the same order. Where several rewards were
/// mixed, `mixed` has their names.
pub fn summarise(arms: &[Vec<EvaluatedPrompt>], mixed: &[String], about: About) -> Result<Evaluation, Error> {
    let named: Vec<(&str, &[EvaluatedPrompt])> =
        arms.iter().filter_map(|prompts| Some((prompts.first()?.arm.as_str(), prompts.as_slice()))).collect();
    let mut evaluation = Evaluation {
        arms: BTreeMap::new(),
        gain: BTreeMap::new(),
        win_rate: BTreeMap::new(),
        oracle_share: None,
        rewards: (!mixed.is_empty()).then(|| each_reward(mixed, arms)).transpose()?,
        parts: BTreeMap::new(),
        judge: None,
        about,
    };
    let arm = |wanted: &str| named.iter().find(|(name, _)| *name == wanted).map(|(_, prompts)| means(prompts));
    if let (Some(naive), Some(trained), Some(oracle)) = (arm(NAIVE), arm(TRAINED), arm(ORACLE)) {
        evaluation.oracle_share = oracle_share(&naive, &trained, &oracle)?;
    }
    let subject = [TRAINED, ORACLE].into_iter().find_map(|name| Some((name, arm(name)?)));
    for (name, prompts) in named {
        evaluation.arms.insert(name.to_owned(), arm_result(prompts)?);
        add_parts(name, prompts, &mut evaluation.parts);
        if let Some((_, trained)) = subject.as_ref().filter(|(subject, _)| name != *subject) {
            let versus = format!("vs_{name}");
            // One prompt has no spread to tell a gain from chance by.
            if trained.len() > 1 {
                evaluation.gain.insert(versus.clone(), gain(trained, &means(prompts))?);
            }
            evaluation.win_rate.insert(versus, wins(trained, &means(prompts))?);
        }
    }
    Ok(evaluation)
}

/// A mean over prompts with its 95 % interval; the figure itself where there is only one.
pub fn interval_of(figures: &[f64]) -> Result<MeanResult, Error> {
    if let [only] = figures {
        return Ok(MeanResult { mean: *only, interval: [*only, *only] });
    }
    mean_of("the mean reward", figures)
}

fn mean_of(what: &'static str, figures: &[f64]) -> Result<MeanResult, Error> {
    let estimate = match figures.len() < FEW {
        true => student_interval(figures, LEVEL),
        false => studentised_bootstrap(figures, bootstrap()),
    };
    let estimate = estimate.map_err(statistic(what))?;
    Ok(MeanResult { mean: estimate.value, interval: ends(estimate.interval) })
}

fn means(prompts: &[EvaluatedPrompt]) -> Vec<f64> {
    prompts.iter().map(EvaluatedPrompt::mean_reward).collect()
}

fn bootstrap() -> Bootstrap {
    Bootstrap { level: LEVEL, resamples: 10_000, seed: 0 }
}

fn ends(interval: Interval) -> [f64; 2] {
    [interval.low, interval.high]
}

fn statistic(what: &'static str) -> impl Fn(theory::Error) -> Error {
    move |source| Error::Statistic { what, source: Box::new(source) }
}

fn arm_result(prompts: &[EvaluatedPrompt]) -> Result<ArmResult, Error> {
    let MeanResult { mean: mean_reward, interval } = interval_of(&means(prompts))?;
    let rewards: Vec<Vec<Vec<f64>>> = prompts.iter().map(EvaluatedPrompt::rewards).collect();
    let parts = sample_variance_parts(&rewards).map_err(statistic("the variance of the reward"))?;
    let first = prompts.first().and_then(|prompt| prompt.rewrites.first());
    let n_responses = first.map_or(0, |rewrite| rewrite.responses.len());
    let kl: Vec<f64> = prompts.iter().filter_map(EvaluatedPrompt::mean_kl).collect();
    let kl = match kl.is_empty() {
        true => None,
        false => Some(interval_of(&kl)?),
    };
    Ok(ArmResult {
        mean_reward,
        interval,
        variance: parts.total(),
        variance_parts: VariancePartsResult {
            between_prompts: parts.between_prompts,
            between_rewrites: parts.between_rewrites,
            within: (n_responses > 1).then_some(parts.within),
        },
        mean_response_tokens: mean(responses(prompts).map(|response| response.tokens as f64)),
        mean_rewrite_tokens: mean(rewrites(prompts).map(|rewrite| rewrite.tokens as f64)),
        kl,
        n_prompts: prompts.len(),
        n_rewrites: prompts.first().map_or(0, |prompt| prompt.rewrites.len()),
        n_responses,
        rails: rails(prompts),
    })
}

fn rewrites(prompts: &[EvaluatedPrompt]) -> impl Iterator<Item = &EvaluatedRewrite> {
    prompts.iter().flat_map(|prompt| &prompt.rewrites)
}

fn responses(prompts: &[EvaluatedPrompt]) -> impl Iterator<Item = &EvaluatedResponse> {
    rewrites(prompts).flat_map(|rewrite| &rewrite.responses)
}

fn mean(figures: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = figures.fold((0.0, 0usize), |(sum, n), figure| (sum + figure, n + 1));
    sum / n.max(1) as f64
}

fn rails(prompts: &[EvaluatedPrompt]) -> BTreeMap<String, f64> {
    let n = rewrites(prompts).count().max(1) as f64;
    let mut shares = BTreeMap::new();
    for rewrite in rewrites(prompts) {
        let fell_back = rewrite.fell_back.then(|| "fell-back".to_owned());
        for name in rewrite.findings.iter().cloned().chain(fell_back) {
            *shares.entry(name).or_insert(0.0) += 1.0 / n;
        }
    }
    shares
}

fn gain(trained: &[f64], other: &[f64]) -> Result<Gain, Error> {
    let gains: Vec<f64> = trained.iter().zip(other).map(|(trained, other)| trained - other).collect();
    let MeanResult { mean, interval } = mean_of("the gain", &gains)?;
    let significant = gains.len() >= FEWEST && !(interval[0] <= 0.0 && 0.0 <= interval[1]);
    Ok(Gain { mean, interval, significant })
}

/// The share of the oracle's gain over the naive prompt that the trained prompter reaches, where the oracle has one.
fn oracle_share(naive: &[f64], trained: &[f64], oracle: &[f64]) -> Result<Option<MeanResult>, Error> {
    if naive.len() < 2 || !gain(oracle, naive).is_ok_and(|gain| gain.significant && gain.mean > 0.0) {
        return Ok(None);
    }
    let gains: Vec<(f64, f64)> = naive
        .iter()
        .zip(trained)
        .zip(oracle)
        .map(|((naive, trained), oracle)| (trained - naive, oracle - naive))
        .collect();
    let share = |gains: &[(f64, f64)]| {
        gains.iter().map(|gain| gain.0).sum::<f64>() / gains.iter().map(|gain| gain.1).sum::<f64>()
    };
    // Prompts drawn anew may leave the oracle without a gain, and the share without a meaning.
    Ok(bca_bootstrap(&gains, share, bootstrap())
        .ok()
        .map(|estimate| MeanResult { mean: estimate.value, interval: ends(estimate.interval) }))
}

pub(super) fn wins(trained: &[f64], other: &[f64]) -> Result<WinRateResult, Error> {
    let count = |wanted: std::cmp::Ordering| {
        trained.iter().zip(other).filter(|(one, other)| one.total_cmp(other) == wanted).count() as u64
    };
    use std::cmp::Ordering::{Equal, Greater, Less};
    let (wins, losses) = (count(Greater), count(Less));
    let rate = win_rate(wins, count(Equal), losses, LEVEL).map_err(statistic("the win rate"))?;
    let p_value = sign_test(wins, losses);
    Ok(WinRateResult { mean: rate.rate, interval: ends(rate.interval), ties: rate.ties, p_value })
}

fn add_parts(arm: &str, prompts: &[EvaluatedPrompt], parts: &mut BTreeMap<String, BTreeMap<String, PartMean>>) {
    let mut sums: BTreeMap<&str, (f64, usize, usize)> = BTreeMap::new();
    for prompt in prompts {
        let mut seen = std::collections::BTreeSet::new();
        let all = prompt.rewrites.iter().flat_map(|rewrite| &rewrite.responses).flat_map(|response| &response.parts);
        for (name, value) in all {
            let entry = sums.entry(name).or_default();
            entry.0 += value;
            entry.1 += 1;
            entry.2 += usize::from(seen.insert(name));
        }
    }
    for (name, (sum, n, n_prompts)) in sums {
        let part = PartMean { mean: sum / n as f64, n_prompts };
        parts.entry(name.to_owned()).or_default().insert(arm.to_owned(), part);
    }
}
