//! What choosing among rewrites is worth when their values are known through noisy rewards only.
//!
//! ## Objective
//! With two independent estimates of the value of each of N rewrites, the mean rewards of two halves of its responses,
//! one half chooses and the other tells what was chosen:
//! - (1) best of n: the mean of the other half's value over all n-subsets of the rewrites, at the subset's best by the
//!   first half; a block of rewrites that the first half finds equal shares its chance
//! - (2) tilted: Σ w v / Σ w with w = exp(u/λ), u the first half's value and v the other's
//!
//! Both are taken both ways round and averaged.
//!
//! ## Symbols
//! u, v `halves`; n; λ `strength`.
//!
//! ## Choices
//! A choice made by noisy rewards and judged by the same rewards looks better than it is. Judged by others it is exactly
//! what that choice is worth, which is at most what a choice by the true values is worth. So (1) and (2) err downwards
//! for the best of n and for J(ρ*), where [`estimate_tilted`](super::estimate_tilted) errs upwards: the truth lies between.
//!
//! ## Checked against
//! Enumeration of all subsets, and simulation of both directions of error, in `tests/it/estimate.rs`.

use crate::error::{self, Error};
use objective::logspace::log_sum_exp;

/// Two independent estimates of the value of each rewrite.
#[derive(Clone, Copy, Debug)]
pub struct Halves<'a> {
    /// By the first half of the responses.
    pub one: &'a [f64],
    /// By the second.
    pub other: &'a [f64],
}

/// The worth of the best of n rewrites (1), for n from 1 to N.
///
/// # Errors
/// No rewrites, halves of different lengths, values that are not finite.
///
/// ```
/// use theory::{Halves, best_of_curve};
/// let value = [0.0, 1.0, 2.0];
/// let curve = best_of_curve(Halves { one: &value, other: &value })?;
/// // One of three, the better of two (1, 2 and 2), and the best.
/// assert_eq!(curve, [1.0, 5.0 / 3.0, 2.0]);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn best_of_curve(halves: Halves<'_>) -> Result<Vec<f64>, Error> {
    check(halves)?;
    let both = [(halves.one, halves.other), (halves.other, halves.one)].map(|(choice, value)| curve(choice, value));
    Ok(both[0].iter().zip(&both[1]).map(|(one, other)| (one + other) / 2.0).collect())
}

/// The worth of tilting the rewrites by exp(value / strength) (2).
///
/// # Errors
/// As [`best_of_curve`], and a strength that is not above 0.
///
/// ```
/// use theory::{Halves, tilted_worth};
/// // The second half does not confirm what the first one saw, nor the other way round.
/// let worth = tilted_worth(Halves { one: &[0.0, 1.0], other: &[1.0, 0.0] }, 0.1)?;
/// assert!(worth < 0.001);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn tilted_worth(halves: Halves<'_>, strength: f64) -> Result<f64, Error> {
    check(halves)?;
    error::positive("strength", strength)?;
    let tilted = |choice: &[f64], value: &[f64]| {
        let log_total = log_sum_exp(choice.iter().map(|u| u / strength));
        choice.iter().zip(value).map(|(u, v)| (u / strength - log_total).exp() * v).sum::<f64>()
    };
    Ok((tilted(halves.one, halves.other) + tilted(halves.other, halves.one)) / 2.0)
}

fn check(halves: Halves<'_>) -> Result<(), Error> {
    error::at_least("a choice among rewrites", 1, halves.one.len())?;
    error::same_length("the second half", halves.one.len(), halves.other.len())?;
    error::finite("the first half", halves.one)?;
    error::finite("the second half", halves.other)
}

fn curve(choice: &[f64], value: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..choice.len()).collect();
    order.sort_by(|&one, &other| choice[one].total_cmp(&choice[other]));
    let blocks: Vec<&[usize]> = order.chunk_by(|&one, &other| choice[one] == choice[other]).collect();
    let worth = |n: usize| {
        let (mut below, mut worth) = (0, 0.0);
        for block in &blocks {
            let upto = below + block.len();
            // The chance that the best of the subset lies in this block.
            let chance = share_within(upto, n, choice.len()) - share_within(below, n, choice.len());
            let mean = block.iter().map(|&index| value[index]).sum::<f64>() / block.len() as f64;
            worth += chance * mean;
            below = upto;
        }
        worth
    };
    (1..=choice.len()).map(worth).collect()
}

/// The share of n-subsets of `all` things that lie within the first `within` of them: C(within, n) / C(all, n).
fn share_within(within: usize, n: usize, all: usize) -> f64 {
    (0..n).map(|taken| within.saturating_sub(taken) as f64 / (all - taken) as f64).product()
}
