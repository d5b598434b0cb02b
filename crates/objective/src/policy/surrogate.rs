//! The loss that the policy objectives share, composed of ratio, clip and KL penalty.
//!
//! ## Objective
//! With w = ρ/ρ_old and C the clipped surrogate, the unreduced loss of rewrite i is
//! - (1) score          L_i = −Σ_t A_t log ρ(x'_t)
//! - (2) token          L_i = −Σ_t C(w_t, A_t)
//! - (3) sequence       L_i = −C(Π_t w_t, A)
//! - (4) sequence mean  L_i = −|x'| C((Π_t w_t)^{1/|x'|}, A)
//!
//! (5) and λ Σ_t k_t is added to any of them, k_t being an estimate of the divergence to the reference.
//!
//! ## Symbols
//! ρ `token_logps`; ρ_old `old_token_logps`, the policy that sampled; ρ_ref `ref_token_logps`; A `advantage`.
//!
//! ## Choices
//! Advantages and ρ_old are constants. In (4) every token carries the loss of its rewrite, so that the per-sequence
//! normaliser gives GSPO's mean over rewrites. Log-ratios above [`LOG_RATIO_LIMIT`](crate::logspace::LOG_RATIO_LIMIT)
//! go on along the tangent.
//!
//! ## Checked against
//! `testdata/golden/grpo.json`, `testdata/golden/rloo.json`, `testdata/golden/ppo.json`.

use super::clip::{Bound, Clip};
use super::normaliser::Normaliser;
use crate::error::{Error, in_range, same_length};
use crate::kl::KlEstimator;
use crate::logspace;

/// At which level sampler and policy are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RatioLevel {
    /// Not at all: the log-probability itself carries the advantage, as in REINFORCE.
    Score,
    /// Token by token, as in PPO and GRPO.
    Token,
    /// The whole rewrite as one action, as in TRL's RLOO.
    Sequence,
    /// The geometric mean over the rewrite's tokens, as in GSPO.
    SequenceMean,
}

/// λ and the estimator of the divergence to the reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KlPenalty {
    /// λ, at least 0.
    pub lambda: f64,
    /// How the divergence of a token is estimated.
    pub estimator: KlEstimator,
}

/// A policy objective: one choice of each kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyObjective {
    /// Where the ratio is taken.
    pub ratio: RatioLevel,
    /// What is done when it strays.
    pub clip: Clip,
    /// The penalty inside the loss; `None` when the divergence is charged to the reward, or not at all.
    pub kl: Option<KlPenalty>,
    /// How rewrites are weighed in a batch.
    pub normaliser: Normaliser,
}

impl PolicyObjective {
    /// Refuses options outside the methods' domain.
    pub fn check(&self) -> Result<(), Error> {
        self.clip.check()?;
        self.normaliser.check()?;
        self.kl.map_or(Ok(()), |kl| in_range("lambda", "at least 0", kl.lambda, kl.lambda >= 0.0))
    }
}

/// One sampled rewrite; every slice has one entry per token.
#[derive(Clone, Copy, Debug)]
pub struct Rewrite<'a> {
    /// log ρ(x'_t | x, x'_{<t}) now.
    pub token_logps: &'a [f64],
    /// The same when it was sampled; `None` means on-policy, where both are equal and this one is held fixed.
    pub old_token_logps: Option<&'a [f64]>,
    /// The same under the reference; needed for a KL penalty only.
    pub ref_token_logps: Option<&'a [f64]>,
}

/// Advantage of a rewrite.
#[derive(Clone, Copy, Debug)]
pub enum Advantage<'a> {
    /// One for the whole rewrite.
    Rewrite(f64),
    /// One per token.
    Tokens(&'a [f64]),
}

impl Advantage<'_> {
    fn at(&self, token: usize) -> f64 {
        match self {
            Advantage::Rewrite(advantage) => *advantage,
            Advantage::Tokens(advantages) => advantages[token],
        }
    }
}

/// Unreduced loss of one rewrite, with sums over its tokens from which [`PolicyMetrics`](crate::PolicyMetrics) are made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PolicyLoss {
    /// L_i: sum over tokens.
    pub loss: f64,
    /// Number of tokens.
    pub tokens: usize,
    /// Σ_t w_t of the ratio in use (each token counts the rewrite's ratio at the sequence levels, 1 for the score).
    pub ratio_sum: f64,
    /// Largest ratio in use.
    pub ratio_max: f64,
    /// Tokens stopped at the lower bound.
    pub clipped_low: usize,
    /// Tokens stopped at the upper bound.
    pub clipped_high: usize,
    /// Σ_t of the KL estimate to the reference; 0 without a penalty.
    pub kl_sum: f64,
}

/// Loss of one rewrite; writes d L_i / d `token_logps`, one entry per token, unreduced.
///
/// ```
/// use objective::{Advantage, Rewrite, policy_loss, reinforce};
/// let rewrite = Rewrite { token_logps: &[-1.0, -0.5], old_token_logps: None, ref_token_logps: None };
/// let mut gradient = [0.0; 2];
/// let loss = policy_loss(&rewrite, Advantage::Rewrite(2.0), &reinforce(), &mut gradient)?;
/// assert_eq!((loss.loss, gradient), (3.0, [-2.0, -2.0]));
/// # Ok::<(), objective::Error>(())
/// ```
pub fn policy_loss(
    rewrite: &Rewrite<'_>,
    advantage: Advantage<'_>,
    objective: &PolicyObjective,
    gradient: &mut [f64],
) -> Result<PolicyLoss, Error> {
    check_shapes(rewrite, advantage, gradient)?;
    let mut total = match (objective.ratio, advantage) {
        (RatioLevel::Score, _) => score(rewrite, advantage, gradient),
        (RatioLevel::Token, _) => by_token(rewrite, advantage, objective.clip, gradient),
        (_, Advantage::Tokens(_)) => return Err(Error::TokenAdvantage),
        (RatioLevel::Sequence, Advantage::Rewrite(a)) => {
            by_sequence(rewrite, a, objective.clip, Power::Product, gradient)
        }
        (RatioLevel::SequenceMean, Advantage::Rewrite(a)) => {
            by_sequence(rewrite, a, objective.clip, Power::GeometricMean, gradient)
        }
    };
    if let Some(penalty) = objective.kl {
        add_penalty(rewrite, penalty, &mut total, gradient)?;
    }
    Ok(total)
}

fn check_shapes(rewrite: &Rewrite<'_>, advantage: Advantage<'_>, gradient: &[f64]) -> Result<(), Error> {
    let tokens = rewrite.token_logps.len();
    same_length("gradient", tokens, gradient.len())?;
    same_length("old_token_logps", tokens, rewrite.old_token_logps.map_or(tokens, <[f64]>::len))?;
    same_length("ref_token_logps", tokens, rewrite.ref_token_logps.map_or(tokens, <[f64]>::len))?;
    match advantage {
        Advantage::Rewrite(_) => Ok(()),
        Advantage::Tokens(advantages) => same_length("advantages", tokens, advantages.len()),
    }
}

fn score(rewrite: &Rewrite<'_>, advantage: Advantage<'_>, gradient: &mut [f64]) -> PolicyLoss {
    let tokens = rewrite.token_logps.len();
    let mut loss = 0.0;
    for (t, (slope, logp)) in gradient.iter_mut().zip(rewrite.token_logps).enumerate() {
        loss -= advantage.at(t) * logp; // (1)
        *slope = -advantage.at(t);
    }
    PolicyLoss { loss, tokens, ratio_sum: tokens as f64, ratio_max: 1.0, ..PolicyLoss::default() }
}

fn by_token(rewrite: &Rewrite<'_>, advantage: Advantage<'_>, clip: Clip, gradient: &mut [f64]) -> PolicyLoss {
    let mut total = PolicyLoss::default();
    for (t, slope) in gradient.iter_mut().enumerate() {
        let ratio = logspace::ratio(log_ratio(rewrite, t));
        let surrogate = clip.surrogate(ratio.value, advantage.at(t));
        total.loss -= surrogate.gain; // (2)
        *slope = -surrogate.slope * ratio.slope;
        total.count(ratio.value, surrogate.clipped_at, 1);
    }
    total
}

/// How the token ratios of a rewrite are joined into one.
#[derive(Clone, Copy, PartialEq)]
enum Power {
    Product,
    GeometricMean,
}

fn by_sequence(rewrite: &Rewrite<'_>, advantage: f64, clip: Clip, power: Power, gradient: &mut [f64]) -> PolicyLoss {
    let tokens = gradient.len();
    let total_log_ratio: f64 = (0..tokens).map(|t| log_ratio(rewrite, t)).sum();
    let (exponent, carriers) = match power {
        Power::Product => (1.0, 1.0),
        Power::GeometricMean => (1.0 / tokens.max(1) as f64, tokens as f64),
    };
    let ratio = logspace::ratio(exponent * total_log_ratio);
    let surrogate = clip.surrogate(ratio.value, advantage);
    gradient.fill(-carriers * exponent * surrogate.slope * ratio.slope);
    let mut total = PolicyLoss { loss: -carriers * surrogate.gain, ..PolicyLoss::default() }; // (3), (4)
    total.count(ratio.value, surrogate.clipped_at, tokens);
    total
}

fn log_ratio(rewrite: &Rewrite<'_>, token: usize) -> f64 {
    rewrite.old_token_logps.map_or(0.0, |old| rewrite.token_logps[token] - old[token])
}

fn add_penalty(
    rewrite: &Rewrite<'_>,
    penalty: KlPenalty,
    total: &mut PolicyLoss,
    gradient: &mut [f64],
) -> Result<(), Error> {
    let missing = Error::Missing { method: "a KL penalty", field: "ref_token_logps" };
    let ref_token_logps = rewrite.ref_token_logps.ok_or(missing)?;
    for ((slope, &policy), &reference) in gradient.iter_mut().zip(rewrite.token_logps).zip(ref_token_logps) {
        let divergence = penalty.estimator.estimate(policy, reference);
        total.kl_sum += divergence.value;
        *slope += penalty.lambda * divergence.d_policy;
    }
    total.loss += penalty.lambda * total.kl_sum; // (5)
    Ok(())
}

impl PolicyLoss {
    fn count(&mut self, ratio: f64, clipped_at: Option<Bound>, tokens: usize) {
        self.tokens += tokens;
        self.ratio_sum += ratio * tokens as f64;
        self.ratio_max = self.ratio_max.max(ratio);
        match clipped_at {
            Some(Bound::Low) => self.clipped_low += tokens,
            Some(Bound::High) => self.clipped_high += tokens,
            None => {}
        }
    }
}
