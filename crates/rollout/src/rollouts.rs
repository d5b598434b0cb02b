//! Rollouts: prompts through prompter, target and reward.

use std::time::Instant;

use crate::Error;
use crate::data::Record;
use crate::event::{Seconds, ShownRollout};
use crate::prompter::{Prompter, Rewrite, RewriteJob};
use crate::reward::{Exchange, Reward, Score};
use crate::target::{Call, Response, Target};

/// What stands behind the prompter.
pub struct Environment<'a> {
    /// The frozen model.
    pub target: &'a mut dyn Target,
    /// The judge.
    pub reward: &'a mut dyn Reward,
    /// M, the responses to each rewrite.
    pub responses: usize,
    /// What each token that the prompter writes takes off the reward.
    pub length_penalty: f64,
}

/// A rewrite and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// The rewrite.
    pub rewrite: Rewrite,
    /// The target's responses to it.
    pub responses: Vec<Response>,
    /// Their scores.
    pub scores: Vec<Score>,
    /// R(x, x'): the mean score.
    pub value: f64,
    /// The value, with the rails' and the length's penalties taken off: what is trained on.
    pub reward: f64,
}

/// Rewrites, responses and rewards of some jobs: one group a job, one rollout a seed, in order.
///
/// The seeds of the responses depend on their rewrite's seed and their number alone. What took how long is added to
/// `seconds`.
pub fn collect(
    prompter: &mut dyn Prompter,
    environment: &mut Environment<'_>,
    jobs: &[RewriteJob<'_>],
    seconds: &mut Seconds,
) -> Result<Vec<Vec<Rollout>>, Error> {
    let clock = Instant::now();
    let rewrites = prompter.rewrite(jobs)?;
    seconds.sampling += clock.elapsed().as_secs_f64();
    answer(rewrites, environment, jobs, seconds)
}

/// Responses and rewards of rewrites that are there already, one group a job, one rewrite a seed.
pub fn answer(
    rewrites: Vec<Vec<Rewrite>>,
    environment: &mut Environment<'_>,
    jobs: &[RewriteJob<'_>],
    seconds: &mut Seconds,
) -> Result<Vec<Vec<Rollout>>, Error> {
    let clock = Instant::now();
    let mut calls = Vec::new();
    for (job, rewrites) in jobs.iter().zip(&rewrites) {
        for (rewrite, &seed) in rewrites.iter().zip(&job.seeds) {
            let messages = job.record.prompt.with_text(&rewrite.guarded.rewrite);
            let seeds = (0..environment.responses as u64).map(|number| lm::derive_seed(&[seed, number]));
            let stem = stem(job.record.prompt.text(), &rewrite.guarded.rewrite);
            calls.extend(seeds.map(|seed| Call { messages: messages.clone(), stem, seed }));
        }
    }
    let responses = environment.target.respond(&calls)?;
    seconds.target += clock.elapsed().as_secs_f64();

    let clock = Instant::now();
    let n_responses = environment.responses.max(1);
    let records =
        jobs.iter().zip(&rewrites).flat_map(|(job, rewrites)| rewrites.iter().map(|rewrite| (job.record, rewrite)));
    let exchanges: Vec<Exchange<'_>> = records
        .zip(responses.chunks(n_responses))
        .flat_map(|((record, rewrite), responses)| {
            responses.iter().map(move |response| exchange(record, rewrite, response))
        })
        .collect();
    let scores = environment.reward.score(&exchanges)?;
    drop(exchanges);
    let mut answered = responses.chunks(n_responses).zip(scores.chunks(n_responses));
    let groups = rewrites.into_iter().map(|rewrites| {
        let rollouts = rewrites.into_iter().zip(&mut answered);
        rollouts
            .map(|(rewrite, (responses, scores))| rollout(rewrite, responses, scores, environment.length_penalty))
            .collect()
    });
    let groups = groups.collect();
    seconds.reward += clock.elapsed().as_secs_f64();
    Ok(groups)
}

/// How much of x' all rewrites of x that keep it in front have in common.
fn stem(prompt: &str, rewrite: &str) -> usize {
    let prompt = prompt.trim_end();
    if rewrite.len() > prompt.len() && rewrite.starts_with(prompt) { prompt.len() } else { 0 }
}

fn exchange<'a>(record: &'a Record, rewrite: &'a Rewrite, response: &'a Response) -> Exchange<'a> {
    Exchange { prompt: record.prompt.text(), rewrite: &rewrite.guarded.rewrite, response: &response.text, record }
}

fn rollout(rewrite: Rewrite, responses: &[Response], scores: &[Score], length_penalty: f64) -> Rollout {
    let value = scores.iter().map(|score| score.value).sum::<f64>() / scores.len().max(1) as f64;
    let reward = value - rewrite.guarded.penalty - length_penalty * rewrite.n_tokens() as f64;
    Rollout { rewrite, responses: responses.to_vec(), scores: scores.to_vec(), value, reward }
}

impl Rollout {
    /// The rollout as people read it.
    pub fn shown(&self, record: &Record) -> ShownRollout {
        ShownRollout {
            prompt: record.prompt.text().to_owned(),
            written: self.rewrite.written.as_ref().map_or_else(String::new, |written| written.text.clone()),
            rewrite: self.rewrite.guarded.rewrite.clone(),
            response: self.responses.first().map_or_else(String::new, |response| response.text.clone()),
            reward: self.reward,
            findings: self.rewrite.guarded.findings.iter().map(|finding| finding.rail().name().to_owned()).collect(),
        }
    }
}
