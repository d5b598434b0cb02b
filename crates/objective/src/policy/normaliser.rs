//! How the rewrites of a batch are weighed against each other.
//!
//! ## Objective
//! L = Σ_i w_i L_i, where L_i is the sum over the tokens of rewrite i and
//! - per sequence  w_i = 1 / (N · max(|x'_i|, 1)) — GRPO, arXiv:2402.03300, eq. 3
//! - per token     w_i = 1 / Σ_j |x'_j| — DAPO, arXiv:2503.14476, eq. 8
//! - constant c    w_i = 1 / (N c) — Dr. GRPO, arXiv:2503.20783
//! - per rewrite   w_i = 1 / N — RLOO and REINFORCE, where the rewrite is one action
//!
//! ## Symbols
//! N the number of rewrites of the batch; |x'_i| the length of rewrite i in tokens; c the constant.
//!
//! ## Choices
//! Objectives return L_i and its gradient unreduced; multiplying by w_i is the caller's last step, so that a batch may
//! be cut into micro-batches without changing the sum. TRL's constant is the greatest completion length; its `bnpo`
//! is per token over the local micro-batch, its `dapo` over the whole batch.
//!
//! ## Checked against
//! `testdata/golden/grpo.json`.

use crate::error::{Error, positive};

/// The weight of a rewrite in its batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Normaliser {
    /// Mean over tokens inside a rewrite, then over rewrites: short rewrites get larger token gradients.
    PerSequence,
    /// Mean over all tokens of the batch: long rewrites weigh more.
    PerToken,
    /// Sum over tokens divided by a constant: no dependence on any length.
    Constant(f64),
    /// Sum over tokens, mean over rewrites.
    PerRewrite,
}

/// The size of a batch, over which a [`Normaliser`] averages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSize {
    /// Number of rewrites.
    pub rewrites: usize,
    /// Number of tokens in all of them.
    pub tokens: usize,
}

impl BatchSize {
    /// The size of a batch whose rewrites have these lengths.
    pub fn of(lengths: impl Iterator<Item = usize>) -> Self {
        lengths.fold(BatchSize { rewrites: 0, tokens: 0 }, |size, length| BatchSize {
            rewrites: size.rewrites + 1,
            tokens: size.tokens + length,
        })
    }
}

impl Normaliser {
    /// Refuses a constant outside the method's domain.
    pub fn check(&self) -> Result<(), Error> {
        match *self {
            Normaliser::Constant(constant) => positive("normaliser", constant),
            Normaliser::PerSequence | Normaliser::PerToken | Normaliser::PerRewrite => Ok(()),
        }
    }

    /// Weight of a rewrite of `tokens` tokens in a batch.
    ///
    /// ```
    /// use objective::{BatchSize, Normaliser};
    /// let batch = BatchSize { rewrites: 2, tokens: 10 };
    /// assert_eq!(Normaliser::PerSequence.weight(4, batch), 0.125);
    /// assert_eq!(Normaliser::PerToken.weight(4, batch), 0.1);
    /// ```
    pub fn weight(self, tokens: usize, batch: BatchSize) -> f64 {
        let rewrites = batch.rewrites.max(1) as f64;
        match self {
            Normaliser::PerSequence => 1.0 / (rewrites * tokens.max(1) as f64),
            Normaliser::PerToken => 1.0 / batch.tokens.max(1) as f64,
            Normaliser::Constant(constant) => 1.0 / (rewrites * constant),
            Normaliser::PerRewrite => 1.0 / rewrites,
        }
    }
}
