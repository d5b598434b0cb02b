//! Sums, multiples and conversions of whole slices.

use half::bf16;

use crate::Pool;
use crate::interleave::bf16_bits;
use crate::lanes::{Arithmetic, Kernel, dispatch};

/// Numbers that a task of a row operation handles: some microseconds of work, a fraction of the second cache.
const TASK: usize = 1 << 13;

/// Rows of `width` numbers that make a task.
pub(crate) fn rows_per_task(width: usize) -> usize {
    (TASK / width.max(1)).max(1)
}

/// The part of a slice that belongs to the task's part `index` of another, both cut into [`TASK`]s.
fn part<T>(values: &[T], index: usize) -> &[T] {
    &values[index * TASK..values.len().min((index + 1) * TASK)]
}

/// `x += y`.
///
/// # Panics
/// If the lengths differ.
pub fn add_in_place(pool: &Pool, x: &mut [f32], y: &[f32]) {
    assert_eq!(x.len(), y.len(), "a sum of slices of one length");
    pool.chunks(x, TASK, |index, x| dispatch(pool, Add { x, y: part(y, index) }));
}

/// `x *= factor`.
pub fn scale_in_place(pool: &Pool, x: &mut [f32], factor: f32) {
    pool.chunks(x, TASK, |_, x| dispatch(pool, Scale { x, factor }));
}

/// Rounds to bfloat16, to the nearest and half to even. NaN stays NaN.
///
/// # Panics
/// If the lengths differ.
pub fn to_bf16(pool: &Pool, values: &[f32], rounded: &mut [bf16]) {
    assert_eq!(values.len(), rounded.len(), "a rounded number for each number");
    pool.chunks(rounded, TASK, |index, rounded| dispatch(pool, Round { values: part(values, index), rounded }));
}

/// Replaces numbers by the bfloat16 nearest to them, half to even.
pub fn round_to_bf16(pool: &Pool, values: &mut [f32]) {
    pool.chunks(values, TASK, |_, values| dispatch(pool, RoundInPlace { values }));
}

/// Widens from bfloat16, exactly.
///
/// # Panics
/// If the lengths differ.
pub fn from_bf16(pool: &Pool, values: &[bf16], widened: &mut [f32]) {
    assert_eq!(values.len(), widened.len(), "a widened number for each number");
    pool.chunks(widened, TASK, |index, widened| dispatch(pool, Widen { values: part(values, index), widened }));
}

struct Add<'a> {
    x: &'a mut [f32],
    y: &'a [f32],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        for (x, y) in self.x.iter_mut().zip(self.y) {
            *x += y;
        }
    }
}

struct Scale<'a> {
    x: &'a mut [f32],
    factor: f32,
}

impl Kernel for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        for x in self.x {
            *x *= self.factor;
        }
    }
}

struct Round<'a> {
    values: &'a [f32],
    rounded: &'a mut [bf16],
}

impl Kernel for Round<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        for (rounded, value) in self.rounded.iter_mut().zip(self.values) {
            *rounded = bf16::from_bits(bf16_bits(*value) as u16);
        }
    }
}

struct RoundInPlace<'a> {
    values: &'a mut [f32],
}

impl Kernel for RoundInPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        for value in self.values {
            *value = f32::from_bits(bf16_bits(*value) << 16);
        }
    }
}

struct Widen<'a> {
    values: &'a [bf16],
    widened: &'a mut [f32],
}

impl Kernel for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        for (widened, value) in self.widened.iter_mut().zip(self.values) {
            *widened = f32::from_bits(u32::from(value.to_bits()) << 16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{assert_same_bits, pools, random};

    #[test]
    fn sums_and_multiples_on_every_length() {
        for pool in pools(2) {
            for length in [0, 1, 15, 16, 17, TASK - 1, 3 * TASK + 5] {
                let (x, y) = (random(1, length), random(2, length));
                let mut found = x.clone();
                add_in_place(&pool, &mut found, &y);
                let expected: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x + y).collect();
                assert_same_bits("sum", &found, &expected);
                scale_in_place(&pool, &mut found, 0.3);
                let expected: Vec<f32> = expected.iter().map(|x| x * 0.3).collect();
                assert_same_bits("multiple", &found, &expected);
            }
        }
    }

    #[test]
    fn bf16_rounds_as_the_half_crate_does_and_widens_back() {
        let mut values: Vec<f32> =
            random(3, 40_000).iter().enumerate().map(|(i, x)| x * 2.0_f32.powi(i as i32 % 250 - 125)).collect();
        values.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, 1e-45]);
        // Halfway cases, to the even neighbour both down and up.
        values.extend([f32::from_bits(0x3f80_8000), f32::from_bits(0x3f81_8000)]);
        for pool in pools(2) {
            let mut rounded = vec![bf16::ZERO; values.len()];
            to_bf16(&pool, &values, &mut rounded);
            assert!(rounded.iter().zip(&values).all(|(found, &value)| *found == bf16::from_f32(value)));
            let mut widened = vec![0.0; values.len()];
            from_bf16(&pool, &rounded, &mut widened);
            let expected: Vec<f32> = rounded.iter().map(|value| value.to_f32()).collect();
            assert_same_bits("widened", &widened, &expected);
            let mut in_place = values.clone();
            round_to_bf16(&pool, &mut in_place);
            assert_same_bits("rounded in place", &in_place, &expected);
            let mut nan = [bf16::ZERO];
            to_bf16(&pool, &[f32::from_bits(0x7f80_0001)], &mut nan);
            assert!(nan[0].is_nan(), "a NaN whose payload is cut off");
        }
    }
}
