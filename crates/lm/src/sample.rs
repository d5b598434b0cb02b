//! Drawing a token from logits.
//!
//! A [`Sampler`] belongs to one sample and owns its random stream, one number a token, so the text of a seed does not
//! depend on what else is in the batch. Weights are probabilities to the same bits everywhere, added up in
//! a fixed order: equal logits give equal draws on every machine.
//!
//! The normalisers (the log of the summed exponentials) are handed in rather than computed here. The caller has them
//! from the kernel that scoring uses too, so the log-probability of a drawn token is bit for bit the one that scoring it
//! later gives: both are [`token_logp`].

use std::cmp::Ordering;

use kernel::Pool;

use crate::random::Generator;
use crate::{Error, Sampling, Token};

/// Draws the tokens of one sample.
#[derive(Clone, Debug)]
pub struct Sampler {
    generator: Generator,
    candidates: Vec<Candidate>,
}

/// log Σ exp over the whole vocabulary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSums {
    /// Of the logits as they are.
    pub plain: f32,
    /// Of the logits times [`Sampling::inverse_temperature`]; equal to `plain` where that is 1.
    pub tempered: f32,
}

/// A drawn token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// Which one.
    pub token: Token,
    /// Its log-probability under the distribution it was drawn from, all cuts applied. A greedy draw has only one
    /// possible outcome, so this is 0 there, as it is with `top_k` of 1.
    pub logp: f32,
    /// Its log-probability under the softmax at temperature 1 over the whole vocabulary.
    pub plain_logp: f32,
}

/// The log-probability of a token from its logit and its vocabulary's log-sum, at one inverse temperature. Sampling and
/// scoring both go through this one line.
pub fn token_logp(logit: f32, inverse_temperature: f32, log_sum: f32) -> f32 {
    logit * inverse_temperature - log_sum
}

/// Below this a softmax is greedy in all but name, and logits over temperature lose their last digits.
const LOWEST_TEMPERATURE: f32 = 1e-6;

impl Sampling {
    /// The softmax at `temperature`, without cuts.
    pub fn at_temperature(temperature: f32) -> Sampling {
        Sampling::Random { temperature, top_k: None, top_p: 1.0, min_p: 0.0 }
    }

    /// Refuse parameters outside their ranges; to be called once a request.
    pub fn check(&self) -> Result<(), Error> {
        let Sampling::Random { temperature, top_k, top_p, min_p } = *self else { return Ok(()) };
        let problem = if !(LOWEST_TEMPERATURE..=f32::MAX).contains(&temperature) {
            format!("temperature must be a finite number of at least {LOWEST_TEMPERATURE}, not {temperature}")
        } else if top_k == Some(0) {
            "top-k must be at least 1, not 0".to_owned()
        } else if !(top_p > 0.0 && top_p <= 1.0) {
            format!("top-p must be above 0 and at most 1, not {top_p}")
        } else if !(0.0..=1.0).contains(&min_p) {
            format!("min-p must be between 0 and 1, not {min_p}")
        } else {
            return Ok(());
        };
        Err(Error::Request { problem })
    }

    /// What logits are multiplied with before the softmax; 1 for [`Sampling::Greedy`], which does not look at it.
    pub fn inverse_temperature(&self) -> f32 {
        match *self {
            Sampling::Greedy => 1.0,
            Sampling::Random { temperature, .. } => 1.0 / temperature,
        }
    }
}

impl Sampler {
    /// The sampler of one sample.
    pub fn new(seed: u64) -> Sampler {
        Sampler { generator: Generator::new(seed), candidates: Vec::new() }
    }

    /// Draw from `logits` (one a token of the vocabulary), as `sampling`, which passed [`Sampling::check`], says.
    ///
    /// Cuts apply one after the other, as in transformers: temperature, then the `top_k` most likely tokens, then the
    /// smallest set of the most likely that holds `top_p` of what is left, then those with at least `min_p` times the
    /// probability of the most likely. Among equal logits the lower id counts as more likely. Logits of −∞ are never
    /// drawn; a NaN, a +∞, or nothing to draw from is [`Error::NotFinite`].
    ///
    /// Of `pool` only the instruction set is used: all works on the caller's thread.
    pub fn draw(
        &mut self,
        pool: &Pool,
        logits: &[f32],
        sampling: &Sampling,
        log_sums: LogSums,
    ) -> Result<Drawn, Error> {
        let inverse_temperature = sampling.inverse_temperature();
        let softmax = Softmax { logits, inverse_temperature, log_sum: log_sums.tempered };
        let (token, logp) = match *sampling {
            Sampling::Greedy => (most_likely(logits)?, 0.0),
            Sampling::Random { top_k: None, top_p, min_p, .. } if top_p >= 1.0 && min_p <= 0.0 => {
                let token = softmax.draw(pool, self.generator.uniform())?;
                (token, softmax.logp(logits[token]))
            }
            Sampling::Random { top_k, top_p, min_p, .. } => self.draw_cut(softmax, Cuts { top_k, top_p, min_p })?,
        };
        Ok(Drawn { token: token as Token, logp, plain_logp: token_logp(logits[token], 1.0, log_sums.plain) })
    }

    fn draw_cut(&mut self, softmax: Softmax, cuts: Cuts) -> Result<(usize, f32), Error> {
        let peak = softmax.logits[most_likely(softmax.logits)?];
        let whole_mass = match cuts.top_k {
            Some(k) => {
                self.gather_most_likely(softmax.logits, k);
                None
            }
            None => Some(self.gather_likely_enough(softmax, peak, cuts)),
        };
        self.candidates.sort_unstable_by(Candidate::most_likely_first);
        for candidate in &mut self.candidates {
            candidate.weight = kernel::probability(candidate.logit - peak, softmax.inverse_temperature, 0.0);
        }
        if cuts.top_p < 1.0 {
            let mass = whole_mass.unwrap_or_else(|| self.mass());
            self.keep_nucleus(f64::from(cuts.top_p) * mass);
        }
        let likely_enough = self.candidates.partition_point(|candidate| candidate.weight >= cuts.min_p);
        self.candidates.truncate(likely_enough.max(1));

        let mass = self.mass();
        let uniform = self.generator.uniform();
        let chosen = self.pick(uniform * mass);
        let logp = f64::from((chosen.logit - peak) * softmax.inverse_temperature) - mass.ln();
        Ok((chosen.token, logp as f32))
    }

    /// Collect the `k` most likely tokens, in any order.
    fn gather_most_likely(&mut self, logits: &[f32], k: usize) {
        let room = k.saturating_mul(2).max(64);
        let mut floor = f32::NEG_INFINITY;
        self.candidates.clear();
        for (token, &logit) in logits.iter().enumerate() {
            // An equal logit at the floor has a higher id than the k already held, so it cannot replace one of them.
            if logit > floor {
                self.candidates.push(Candidate { logit, token, weight: 0.0 });
                if self.candidates.len() >= room {
                    floor = self.keep_most_likely(k);
                }
            }
        }
        if self.candidates.len() > k {
            self.keep_most_likely(k);
        }
    }

    /// Cut the candidates to the `k` most likely; the logit of the last of them.
    fn keep_most_likely(&mut self, k: usize) -> f32 {
        let (_, last, _) = self.candidates.select_nth_unstable_by(k - 1, Candidate::most_likely_first);
        let floor = last.logit;
        self.candidates.truncate(k);
        floor
    }

    /// Collect every token that top-p and min-p could keep, in any order, and return the mass of the whole vocabulary.
    ///
    /// Tokens lighter than (1 − top_p) / vocabulary of the mass hold less than 1 − top_p of it together, so the nucleus
    /// is full before it reaches them. The slack leaves exact comparisons to the caller.
    fn gather_likely_enough(&mut self, softmax: Softmax, peak: f32, cuts: Cuts) -> f64 {
        let mass = f64::from(softmax.log_sum - peak * softmax.inverse_temperature).exp();
        let lightest = (1.0 - f64::from(cuts.top_p)) * mass / softmax.logits.len() as f64;
        let slack = 0.01;
        let floor = (lightest.max(f64::from(cuts.min_p)).ln() - slack) as f32 / softmax.inverse_temperature + peak;
        self.candidates.clear();
        for (token, &logit) in softmax.logits.iter().enumerate() {
            if logit >= floor && logit > f32::NEG_INFINITY {
                self.candidates.push(Candidate { logit, token, weight: 0.0 });
            }
        }
        mass
    }

    /// Of the sorted candidates, keep the fewest that reach `mass`.
    fn keep_nucleus(&mut self, mass: f64) {
        let mut reached = 0.0;
        let full = self.candidates.iter().position(|candidate| {
            reached += f64::from(candidate.weight);
            reached >= mass
        });
        self.candidates.truncate(full.map_or(self.candidates.len(), |last| last + 1));
    }

    fn mass(&self) -> f64 {
        self.candidates.iter().map(|candidate| f64::from(candidate.weight)).sum()
    }

    /// The candidate in whose stretch of the cumulated weights `target` falls.
    fn pick(&self, target: f64) -> Candidate {
        let mut left = target;
        let within = self.candidates.iter().position(|candidate| {
            left -= f64::from(candidate.weight);
            left < 0.0
        });
        // Rounding can leave `target` at the very end; the last candidate ends there.
        self.candidates[within.unwrap_or(self.candidates.len() - 1)]
    }
}

/// The limits of a cut draw.
#[derive(Clone, Copy)]
struct Cuts {
    top_k: Option<usize>,
    top_p: f32,
    min_p: f32,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    logit: f32,
    token: usize,
    /// Relative to the most likely token's.
    weight: f32,
}

impl Candidate {
    fn most_likely_first(&self, other: &Candidate) -> Ordering {
        other.logit.total_cmp(&self.logit).then(self.token.cmp(&other.token))
    }
}

/// Tokens whose weights are summed together; a draw looks at single tokens in one block only.
const BLOCK: usize = 1024;

/// Maxima side by side, wide enough for any vector unit.
const LANES: usize = 16;

/// The distribution before cuts.
#[derive(Clone, Copy)]
struct Softmax<'a> {
    logits: &'a [f32],
    inverse_temperature: f32,
    log_sum: f32,
}

impl Softmax<'_> {
    fn logp(&self, logit: f32) -> f32 {
        token_logp(logit, self.inverse_temperature, self.log_sum)
    }

    fn probability(&self, logit: f32) -> f32 {
        kernel::probability(logit, self.inverse_temperature, self.log_sum)
    }

    /// Invert the cumulative distribution at `uniform`: one pass that sums blocks, then one block token by token. The
    /// pass's own total takes the place of 1, so that rounding in `log_sum` favours no token.
    fn draw(&self, pool: &Pool, uniform: f64) -> Result<usize, Error> {
        let mut total = 0.0;
        let ends: Vec<f64> = self
            .logits
            .chunks(BLOCK)
            .map(|block| {
                let mass = kernel::probability_mass(pool, block, self.inverse_temperature, self.log_sum);
                total += f64::from(mass);
                total
            })
            .collect();
        if !(total > 0.0 && total < f64::INFINITY) {
            return Err(Error::NotFinite {
                quantity: "log of the summed exponentials of the logits",
                value: total.ln(),
            });
        }
        let target = (uniform * total).min(total.next_down());
        let block = ends.partition_point(|&end| end <= target);
        let start = block * BLOCK;
        let mut left = if block == 0 { target } else { target - ends[block - 1] };
        let mut token = start;
        for (index, &logit) in self.logits[start..].iter().take(BLOCK).enumerate() {
            let probability = self.probability(logit);
            if probability > 0.0 {
                token = start + index;
                left -= f64::from(probability);
                if left < 0.0 {
                    break;
                }
            }
        }
        Ok(token)
    }
}

/// The id of the largest logit, the lowest among equals.
fn most_likely(logits: &[f32]) -> Result<usize, Error> {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    // Once NaN, always NaN: nothing is greater than it.
    let larger = |lane: f32, logit: f32| if logit > lane || logit.is_nan() { logit } else { lane };
    let (whole, rest) = logits.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, &logit) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, logit);
        }
    }
    let largest = lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |largest, &logit| larger(largest, logit));
    let place = logits.iter().position(|&logit| logit == largest);
    match place {
        Some(token) if largest.is_finite() => Ok(token),
        _ => Err(Error::NotFinite { quantity: "largest logit", value: f64::from(largest) }),
    }
}

#[cfg(test)]
mod tests;
