//! Softmax over a vocabulary whose logits come in blocks.

use crate::Pool;
use crate::elementwise::rows_per_task;
use crate::exponential::{exp, tanh};
use crate::lanes::{Arithmetic, Kernel, LANES, Lanes, dispatch, larger};

/// `ln Σ exp` of the logits met so far, as a maximum and the sum of exponentials relative to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSum {
    /// The largest logit.
    pub max: f32,
    /// `Σ exp(logit − max)`.
    pub sum: f32,
}

impl LogSum {
    /// Of no logit: minus infinity.
    pub const EMPTY: LogSum = LogSum { max: f32::NEG_INFINITY, sum: 0.0 };

    /// Takes a block of logits in, on this thread. Equal blocks in equal order give equal bits.
    pub fn absorb(&mut self, pool: &Pool, logits: &[f32]) {
        dispatch(pool, Absorb { log_sum: self, logits });
    }

    /// `ln Σ exp(logit)`; minus infinity if there was none.
    pub fn value(&self) -> f32 {
        self.max + self.sum.ln()
    }
}

impl Default for LogSum {
    fn default() -> LogSum {
        LogSum::EMPTY
    }
}

/// Takes row `i` of a block of logits into `log_sums[i]`, for all rows.
///
/// # Panics
/// If the logits are no rows of equal length, one for each sum.
pub fn absorb_rows(pool: &Pool, logits: &[f32], log_sums: &mut [LogSum]) {
    let width = row_width(logits, log_sums.len());
    let rows = rows_per_task(width);
    pool.chunks(log_sums, rows, |index, log_sums| {
        for (row, log_sum) in log_sums.iter_mut().enumerate() {
            log_sum.absorb(pool, &logits[(index * rows + row) * width..][..width]);
        }
    });
}

/// `out = exp(logits − shift)` for rows of logits with a shift each: probabilities, if the shift is the log-sum.
///
/// # Panics
/// If the lengths differ, or are no rows of equal length, one for each shift.
pub fn exp_shifted(pool: &Pool, logits: &[f32], shifts: &[f32], out: &mut [f32]) {
    assert_eq!(logits.len(), out.len(), "as many results as logits");
    let width = row_width(logits, shifts.len());
    let part = rows_per_task(width) * width;
    pool.chunks(out, part.max(1), |index, out| {
        let start = index * part;
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let logits = &logits[start + row * width..][..width];
            dispatch(pool, ExpShifted { logits, shift: shifts[start / width + row], out });
        }
    });
}

/// `logits = scale · cap · tanh(logits / cap)`, or `scale · logits` without a cap. The scale is the inverse temperature.
pub fn scale_and_softcap(pool: &Pool, logits: &mut [f32], scale: f32, cap: Option<f32>) {
    const TASK: usize = 1 << 13;
    pool.chunks(logits, TASK, |_, logits| dispatch(pool, ScaleAndSoftcap { logits, scale, cap }));
}

fn row_width(logits: &[f32], rows: usize) -> usize {
    let count = logits.len();
    assert!(if rows == 0 { count == 0 } else { count.is_multiple_of(rows) }, "{count} logits are no {rows} rows");
    count / rows.max(1)
}

struct Absorb<'a> {
    log_sum: &'a mut LogSum,
    logits: &'a [f32],
}

impl Kernel for Absorb<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        let (whole, rest) = self.logits.as_chunks::<{ 4 * LANES }>();
        let mut maxima = [Lanes::splat(self.log_sum.max); 4];
        for chunk in whole {
            for (maximum, logits) in maxima.iter_mut().zip(chunk.as_chunks().0) {
                *maximum = maximum.zip(Lanes(*logits), larger);
            }
        }
        let [a, b, c, d] = maxima;
        let max = rest.iter().copied().fold(a.zip(b, larger).zip(c.zip(d, larger), larger).max(), larger);
        if max == f32::NEG_INFINITY {
            return;
        }
        let mut sums = [Lanes::ZERO; 4];
        for chunk in whole {
            for (sum, logits) in sums.iter_mut().zip(chunk.as_chunks().0) {
                *sum = sum.plus(Lanes(*logits).map(|logit| exp::<A>(logit - max)));
            }
        }
        for (sum, logits) in sums.iter_mut().zip(rest.chunks(LANES)) {
            let mut last = Lanes::splat(f32::NEG_INFINITY);
            last.0[..logits.len()].copy_from_slice(logits);
            *sum = sum.plus(last.map(|logit| exp::<A>(logit - max)));
        }
        let [a, b, c, d] = sums;
        let sum = a.plus(b).plus(c.plus(d)).sum();
        let before = self.log_sum.sum * exp::<A>(self.log_sum.max - max);
        *self.log_sum = LogSum { max, sum: before + sum };
    }
}

struct ExpShifted<'a> {
    logits: &'a [f32],
    shift: f32,
    out: &'a mut [f32],
}

impl Kernel for ExpShifted<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        for (out, logit) in self.out.iter_mut().zip(self.logits) {
            *out = exp::<A>(logit - self.shift);
        }
    }
}

struct ScaleAndSoftcap<'a> {
    logits: &'a mut [f32],
    scale: f32,
    cap: Option<f32>,
}

impl Kernel for ScaleAndSoftcap<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        match self.cap {
            Some(cap) => {
                for logit in self.logits {
                    *logit = self.scale * (cap * tanh::<A>(*logit / cap));
                }
            }
            None => {
                for logit in self.logits {
                    *logit *= self.scale;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{assert_close, assert_same_bits, pools, random, to_f64};

    fn logits(count: usize) -> Vec<f32> {
        random(7, count).iter().map(|x| x * 20.0).collect()
    }

    fn reference(logits: &[f32]) -> f64 {
        to_f64(logits).iter().map(|logit| logit.exp()).sum::<f64>().ln()
    }

    #[test]
    fn the_log_sum_of_blocks_is_that_of_the_whole() {
        for pool in pools(1) {
            for count in [1, 15, 16, 63, 64, 65, 127, 1000, 49_152] {
                let logits = logits(count);
                for block in [1, 64, 100, 8192] {
                    let mut log_sum = LogSum::EMPTY;
                    logits.chunks(block).for_each(|block| log_sum.absorb(&pool, block));
                    assert_close("log-sum", &[log_sum.value()], &[reference(&logits)], 1e-6);
                    assert_eq!(log_sum.max, logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
                }
            }
        }
    }

    #[test]
    fn nothing_and_impossible_logits_weigh_nothing() {
        for pool in pools(1) {
            let mut log_sum = LogSum::default();
            log_sum.absorb(&pool, &[]);
            log_sum.absorb(&pool, &[f32::NEG_INFINITY; 70]);
            assert_eq!(log_sum.value(), f32::NEG_INFINITY);
            log_sum.absorb(&pool, &[f32::NEG_INFINITY, 3.0]);
            log_sum.absorb(&pool, &[f32::NEG_INFINITY; 3]);
            assert_eq!(log_sum, LogSum { max: 3.0, sum: 1.0 });
        }
    }

    #[test]
    fn rows_do_not_depend_on_their_company() {
        for pool in pools(2) {
            let logits = logits(37 * 700);
            let mut all = vec![LogSum::EMPTY; 37];
            absorb_rows(&pool, &logits, &mut all);
            let mut probabilities = vec![f32::NAN; logits.len()];
            let shifts: Vec<f32> = all.iter().map(LogSum::value).collect();
            exp_shifted(&pool, &logits, &shifts, &mut probabilities);
            for (row, logits) in logits.chunks(700).enumerate() {
                let mut alone = LogSum::EMPTY;
                alone.absorb(&pool, logits);
                assert_eq!(alone, all[row]);
                let found = &probabilities[row * 700..][..700];
                assert_close("probability sum", &[found.iter().sum()], &[1.0], 1e-5);
                let log_sum = reference(logits);
                let expected: Vec<f64> = logits.iter().map(|&logit| (f64::from(logit) - log_sum).exp()).collect();
                assert_close("probabilities", found, &expected, 1e-5);
                let mut single = vec![0.0; 700];
                exp_shifted(&pool, logits, &shifts[row..][..1], &mut single);
                assert_same_bits("probabilities", found, &single);
            }
        }
    }

    #[test]
    fn soft_capping_is_a_scaled_tanh() {
        for pool in pools(2) {
            let logits: Vec<f32> = [0.0, 1e-6, -1e-3, 500.0, -3000.0].into_iter().chain(logits(20_000)).collect();
            let mut capped = logits.clone();
            scale_and_softcap(&pool, &mut capped, 2.0, Some(30.0));
            let expected: Vec<f64> = logits.iter().map(|&x| 2.0 * 30.0 * (f64::from(x) / 30.0).tanh()).collect();
            for (index, (found, expected)) in capped.iter().zip(&expected).enumerate() {
                let error = (f64::from(*found) - expected).abs();
                assert!(error <= 5e-7 * expected.abs(), "{index}: {found} instead of {expected}");
            }
            let mut scaled = logits.clone();
            scale_and_softcap(&pool, &mut scaled, 0.5, None);
            assert_same_bits("scaled", &scaled, &logits.iter().map(|x| x * 0.5).collect::<Vec<_>>());
        }
    }
}
