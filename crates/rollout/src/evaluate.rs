//! Evaluation: arms side by side on held-out prompts, each comparison paired by prompt.

mod judged;
mod result;
mod rewards;
mod summary;
#[cfg(test)]
mod tests;

use lm::derive_seed;

use crate::Error;
use crate::data::{Record, stable_hash};
use crate::event::Seconds;
use crate::prompter::{Likelihood, Prompter, RewriteJob, Written};
use crate::rollouts::{Environment, Rollout, answer, collect};

pub use judged::{JudgeResult, JudgedResult, judge_arms};
pub use result::{
    About, ArmResult, EvaluatedPrompt, EvaluatedResponse, EvaluatedRewrite, Evaluation, Gain, MeanResult, PartMean,
    VariancePartsResult, WinRateResult,
};
pub use rewards::{RewardsOfArm, RewardsResult};
pub use summary::{interval_of, summarise};

/// Prompts that go through an arm together.
const PROMPTS_AT_ONCE: usize = 32;

/// Keeps the seeds of evaluations apart from those of training.
const EVALUATION: u64 = 0x6576_616c;
const SELECTION: u64 = 0x7069_636b;

/// One way to get from x to y.
pub struct Arm<'a> {
    /// Its name in results: `naive`, `ref`, `trained`, `best-of-N`.
    pub name: String,
    /// Who rewrites.
    pub prompter: &'a mut dyn Prompter,
    /// Which rewrites are answered.
    pub draw: Draw,
    /// What the arm's divergence is measured to; without it, none is.
    pub reference: Option<&'a mut dyn Likelihood>,
}

/// Which rewrites of a prompt are answered, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// So many rewrites, as often as the environment says each.
    Rewrites(usize),
    /// One rewrite that is x itself, as often as that many rewrites would be in all.
    Once {
        /// Responses to it.
        responses: usize,
    },
    /// The best of `n` rewrites by their reward. The best is then answered anew, `responses` times, since the rewards it
    /// was chosen by flatter it.
    BestOf {
        /// Rewrites to choose from.
        n: usize,
        /// New responses to the best.
        responses: usize,
    },
}

/// What an arm does with every prompt. `progress` hears how many prompts are done.
pub fn evaluate(
    arm: &mut Arm<'_>,
    prompts: &[Record],
    environment: &mut Environment<'_>,
    seed: u64,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<EvaluatedPrompt>, Error> {
    let mut evaluated = Vec::with_capacity(prompts.len());
    for chunk in prompts.chunks(PROMPTS_AT_ONCE) {
        let groups = match arm.draw {
            Draw::Rewrites(n) => collect(arm.prompter, environment, &jobs(chunk, seed, n), &mut Seconds::default())?,
            Draw::Once { responses } => {
                let mut environment = with_responses(environment, responses);
                collect(arm.prompter, &mut environment, &jobs(chunk, seed, 1), &mut Seconds::default())?
            }
            Draw::BestOf { n, responses } => best_of(arm.prompter, chunk, environment, seed, (n, responses))?,
        };
        let kl = match &mut arm.reference {
            Some(reference) => divergences(*reference, chunk, &groups)?,
            None => groups.iter().map(|rollouts| vec![None; rollouts.len()]).collect(),
        };
        let done = chunk.iter().zip(groups).zip(kl);
        evaluated.extend(done.map(|((record, rollouts), kl)| evaluated_prompt(&arm.name, record, rollouts, kl)));
        progress(evaluated.len());
    }
    Ok(evaluated)
}

/// `n` rewrites of each prompt. Their seeds depend on the run's seed, the prompt and their number alone.
fn jobs(prompts: &[Record], seed: u64, n: usize) -> Vec<RewriteJob<'_>> {
    let job = |record| RewriteJob { record, seeds: (0..n as u64).map(|k| prompt_seed(record, seed, k)).collect() };
    prompts.iter().map(job).collect()
}

fn prompt_seed(record: &Record, seed: u64, number: u64) -> u64 {
    derive_seed(&[seed, EVALUATION, stable_hash(&[record.prompt.text().as_bytes()]), number])
}

fn with_responses<'a>(environment: &'a mut Environment<'_>, responses: usize) -> Environment<'a> {
    Environment {
        target: &mut *environment.target,
        reward: &mut *environment.reward,
        responses,
        length_penalty: environment.length_penalty,
    }
}

fn best_of(
    prompter: &mut dyn Prompter,
    prompts: &[Record],
    environment: &mut Environment<'_>,
    seed: u64,
    (n, responses): (usize, usize),
) -> Result<Vec<Vec<Rollout>>, Error> {
    let tried = collect(prompter, environment, &jobs(prompts, seed, n), &mut Seconds::default())?;
    let best = tried.into_iter().map(|rollouts| {
        // The first of the best, so that the choice among equals does not depend on anything.
        let best = rollouts.into_iter().reduce(|best, other| if other.reward > best.reward { other } else { best });
        best.map(|rollout| rollout.rewrite).into_iter().collect()
    });
    let anew = prompts
        .iter()
        .map(|record| RewriteJob { record, seeds: vec![derive_seed(&[prompt_seed(record, seed, 0), SELECTION])] });
    let mut environment = with_responses(environment, responses);
    answer(best.collect(), &mut environment, &anew.collect::<Vec<_>>(), &mut Seconds::default())
}

/// log ρ − log ρ_ref of what was written, whose mean is the divergence. [prompt][rewrite]
fn divergences(
    reference: &mut dyn Likelihood,
    prompts: &[Record],
    groups: &[Vec<Rollout>],
) -> Result<Vec<Vec<Option<f64>>>, Error> {
    let written: Vec<(&Record, Vec<&Written>)> = prompts
        .iter()
        .zip(groups)
        .map(|(record, rollouts)| (record, rollouts.iter().filter_map(|it| it.rewrite.written.as_ref()).collect()))
        .collect();
    let reference = reference.logps(&written)?;
    let of_group = |(rollouts, reference): (&Vec<Rollout>, Vec<f64>)| {
        let mut reference = reference.into_iter();
        let of_rewrite = |rollout: &Rollout| Some(rollout.rewrite.written.as_ref()?.logp() - reference.next()?);
        rollouts.iter().map(of_rewrite).collect()
    };
    Ok(groups.iter().zip(reference).map(of_group).collect())
}

fn evaluated_prompt(arm: &str, record: &Record, rollouts: Vec<Rollout>, kl: Vec<Option<f64>>) -> EvaluatedPrompt {
    EvaluatedPrompt {
        arm: arm.to_owned(),
        id: record.id.clone(),
        prompt: record.prompt.text().to_owned(),
        rewrites: rollouts.into_iter().zip(kl).map(|(rollout, kl)| evaluated_rewrite(rollout, kl)).collect(),
    }
}

fn evaluated_rewrite(rollout: Rollout, kl: Option<f64>) -> EvaluatedRewrite {
    let tokens = rollout.rewrite.n_tokens();
    let guarded = rollout.rewrite.guarded;
    let responses = rollout.responses.into_iter().zip(rollout.scores).map(|(response, score)| EvaluatedResponse {
        text: response.text,
        tokens: response.tokens,
        cut: response.cut,
        reward: score.value,
        parts: score.parts.into_iter().map(|part| (part.name.into_owned(), part.value)).collect(),
    });
    EvaluatedRewrite {
        written: rollout.rewrite.written.map(|written| written.text),
        rewrite: guarded.rewrite,
        tokens,
        findings: guarded.findings.iter().map(|finding| finding.rail().name().to_owned()).collect(),
        fell_back: guarded.fell_back,
        kl,
        responses: responses.collect(),
    }
}
