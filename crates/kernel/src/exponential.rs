//! Exponential, sigmoid and tanh without a branch or a table, so that loops over them become vector code.

use crate::Pool;
use crate::lanes::{Arithmetic, Kernel, LANES, dispatch};

/// Below, the result is under the smallest normal number: zero.
const LOWEST: f32 = -87.336_5;
/// Above, the result is over the largest finite number.
const HIGHEST: f32 = 88.722_83;
/// ln 2 in two parts; the product of the first, which has few digits, with a small integer is exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// 1.5 · 2²³: adding it rounds to an integer, which then stands in the lowest bits.
const ROUND: f32 = 12_582_912.0;

/// eˣ within 1.5 units in the last place; 0 where that is below the normal numbers.
///
/// x = n ln 2 + r with |r| ≤ ln 2 / 2, and eˣ = 2ⁿ eʳ; the polynomial for eʳ is that of Cephes' `expf`.
#[inline(always)]
pub(crate) fn exp<A: Arithmetic>(x: f32) -> f32 {
    let shifted = A::multiply_add(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = A::multiply_add(n, -LN_2_LOW, A::multiply_add(n, -LN_2_HIGH, x));
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = A::multiply_add(p, r, coefficient);
    }
    let exp_r = A::multiply_add(p, r * r, r) + 1.0;
    // Adding n to the exponent multiplies by 2ⁿ.
    let exp_x = f32::from_bits(exp_r.to_bits().wrapping_add(shifted.to_bits() << 23));
    let exp_x = if x < LOWEST { 0.0 } else { exp_x };
    if x > HIGHEST { f32::INFINITY } else { exp_x }
}

/// e^(logit · inverse_temperature − log_sum), to the same bits on every machine, for sampling adds it up: a seed then has one
/// text.
pub fn probability(logit: f32, inverse_temperature: f32, log_sum: f32) -> f32 {
    exp_anywhere(logit * inverse_temperature - log_sum)
}

/// The sum of the [`probability`] of each logit, in one order on every machine.
pub fn probability_mass(pool: &Pool, logits: &[f32], inverse_temperature: f32, log_sum: f32) -> f32 {
    dispatch(pool, Mass { logits, inverse_temperature, log_sum })
}

struct Mass<'a> {
    logits: &'a [f32],
    inverse_temperature: f32,
    log_sum: f32,
}

impl Kernel for Mass<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<A: Arithmetic>(self) -> f32 {
        let mut sums = [0.0; LANES];
        let (whole, rest) = self.logits.as_chunks::<LANES>();
        for logits in whole {
            for (sum, logit) in sums.iter_mut().zip(logits) {
                *sum += exp_anywhere(logit * self.inverse_temperature - self.log_sum);
            }
        }
        let mut rest_sum = 0.0;
        for logit in rest {
            rest_sum += exp_anywhere(logit * self.inverse_temperature - self.log_sum);
        }
        let mut sum = 0.0;
        for part in sums {
            sum += part;
        }
        sum + rest_sum
    }
}

/// eˣ for x at most 88, within 2e-7 of it; 0 below −87. Never fused, so that all machines agree.
#[inline(always)]
fn exp_anywhere(x: f32) -> f32 {
    // 127 more makes the integer a biased exponent.
    const BIASED: f32 = ROUND + 127.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let shifted = x * std::f32::consts::LOG2_E + BIASED;
    let power = shifted - BIASED;
    let rest = x - power * LN_2_HIGH - power * LN_2_LOW;
    // Cephes' polynomial for e^rest on ±ln 2 / 2.
    let mut polynomial = 1.987_569_1e-4_f32;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        polynomial = polynomial * rest + coefficient;
    }
    let result = (polynomial * rest * rest + rest + 1.0) * f32::from_bits(shifted.to_bits() << 23);
    if x < -87.0 { 0.0 } else { result }
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid<A: Arithmetic>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<A>(-x))
}

/// tanh x: an odd polynomial near zero (that of Cephes' `tanhf`), 1 − 2 / (e²ˣ + 1) elsewhere.
#[inline(always)]
pub(crate) fn tanh<A: Arithmetic>(x: f32) -> f32 {
    let square = x * x;
    let mut p = -5.704_988_7e-3;
    for coefficient in [2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1] {
        p = A::multiply_add(p, square, coefficient);
    }
    let near = A::multiply_add(p * square, x, x);
    let far = (1.0 - 2.0 / (exp::<A>(2.0 * x.abs()) + 1.0)).copysign(x);
    if x.abs() < 0.625 { near } else { far }
}

#[cfg(test)]
mod tests;
