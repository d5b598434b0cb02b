//! A group of K rewrites of one prompt and what a listwise loss says about it.

use crate::error::{Error, same_length};
use crate::logspace::log_sum_exp;

/// K rewrites of one prompt; the three slices have one entry per rewrite, in the same order.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// log ρ(x'_k|x) under the prompter, summed over tokens.
    pub policy_logps: &'a [f64],
    /// log ρ_ref(x'_k|x) under the reference prompter.
    pub ref_logps: &'a [f64],
    /// Rewards of the rewrites.
    pub rewards: &'a [f64],
}

/// Where a group objective writes its gradient; that with respect to `ref_logps` is minus that of `policy_logps`.
#[derive(Debug)]
pub struct GroupGradient<'a> {
    /// d loss / d `policy_logps`, K entries.
    pub policy_logps: &'a mut [f64],
    /// d loss / d `rewards`, K entries.
    pub rewards: &'a mut [f64],
}

/// Loss of one group, unreduced, with the field's metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupLoss {
    /// The loss.
    pub loss: f64,
    /// Implicit reward of the best-rewarded rewrite minus that of the worst-rewarded one: `rewards/margins`.
    pub implicit_margin: f64,
}

/// Scaled log-ratios a_k = `policy_scale` · (log ρ − log ρ_ref)(x'_k) beside scaled rewards b_k = `reward_scale` · r_k,
/// with the log-normalisers of p = softmax(a) and q = softmax(b).
#[derive(Clone, Copy)]
pub(crate) struct Scores<'a> {
    group: Group<'a>,
    policy_scale: f64,
    reward_scale: f64,
    log_z_policy: f64,
    log_z_reward: f64,
}

impl<'a> Scores<'a> {
    /// Checks the shapes and computes both normalisers.
    pub(crate) fn new(
        method: &'static str,
        group: Group<'a>,
        (policy_scale, reward_scale): (f64, f64),
        gradient: &GroupGradient<'_>,
    ) -> Result<Self, Error> {
        let size = group.policy_logps.len();
        if size < 2 {
            return Err(Error::GroupTooSmall { method, least: 2, found: size });
        }
        same_length("ref_logps", size, group.ref_logps.len())?;
        same_length("rewards", size, group.rewards.len())?;
        same_length("gradient.policy_logps", size, gradient.policy_logps.len())?;
        same_length("gradient.rewards", size, gradient.rewards.len())?;
        let mut scores = Scores { group, policy_scale, reward_scale, log_z_policy: 0.0, log_z_reward: 0.0 };
        scores.log_z_policy = log_sum_exp((0..size).map(|k| scores.a(k)));
        scores.log_z_reward = log_sum_exp((0..size).map(|k| scores.b(k)));
        Ok(scores)
    }

    /// Number of rewrites.
    pub(crate) fn size(&self) -> usize {
        self.group.policy_logps.len()
    }

    /// Scaled log-ratio of rewrite k: its implicit reward.
    pub(crate) fn a(&self, k: usize) -> f64 {
        self.policy_scale * (self.group.policy_logps[k] - self.group.ref_logps[k])
    }

    /// Scaled reward of rewrite k.
    pub(crate) fn b(&self, k: usize) -> f64 {
        self.reward_scale * self.group.rewards[k]
    }

    /// log p_k.
    pub(crate) fn log_p(&self, k: usize) -> f64 {
        self.a(k) - self.log_z_policy
    }

    /// log q_k.
    pub(crate) fn log_q(&self, k: usize) -> f64 {
        self.b(k) - self.log_z_reward
    }

    /// Expectation of a function of k over weights that sum to one.
    pub(crate) fn mean_over(&self, weight: impl Fn(usize) -> f64, value: impl Fn(usize) -> f64) -> f64 {
        (0..self.size()).map(|k| weight(k) * value(k)).sum()
    }

    /// Writes d loss / d a_k and d loss / d b_k, carried to log-probabilities and rewards, and wraps up the loss.
    pub(crate) fn finish(
        &self,
        loss: f64,
        gradient: GroupGradient<'_>,
        d_a: impl Fn(usize) -> f64,
        d_b: impl Fn(usize) -> f64,
    ) -> GroupLoss {
        for k in 0..self.size() {
            gradient.policy_logps[k] = self.policy_scale * d_a(k);
            gradient.rewards[k] = self.reward_scale * d_b(k);
        }
        GroupLoss { loss, implicit_margin: self.implicit_margin() }
    }

    fn implicit_margin(&self) -> f64 {
        let rewards = self.group.rewards;
        let (mut best, mut worst) = (0, 0);
        for k in 1..rewards.len() {
            if rewards[k] > rewards[best] {
                best = k;
            }
            if rewards[k] < rewards[worst] {
                worst = k;
            }
        }
        self.a(best) - self.a(worst)
    }
}
