//! Functions that stay accurate and finite in log space.
//!
//! Every objective calls these instead of composing `ln`, `exp` and `sigmoid`, so that a log-ratio of ±10⁴ costs
//! nothing but a saturated value.

/// σ(z) = 1 / (1 + e⁻ᶻ), without overflow on either side.
///
/// ```
/// assert_eq!(objective::logspace::sigmoid(0.0), 0.5);
/// assert_eq!(objective::logspace::sigmoid(-1e4), 0.0);
/// ```
pub fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        let e = z.exp();
        e / (1.0 + e)
    }
}

/// log σ(z), exact to rounding for every finite z; never `sigmoid(z).ln()`, which is −∞ below −745.
///
/// ```
/// assert_eq!(objective::logspace::log_sigmoid(-1e4), -1e4);
/// ```
pub fn log_sigmoid(z: f64) -> f64 {
    z.min(0.0) - (-z.abs()).exp().ln_1p()
}

/// log Σ eᶻ over a sequence that can be walked twice; −∞ for an empty one.
///
/// ```
/// let total = objective::logspace::log_sum_exp([1000.0, 1000.0].into_iter());
/// assert!((total - (1000.0 + 2f64.ln())).abs() < 1e-12);
/// ```
pub fn log_sum_exp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + terms.map(|z| (z - largest).exp()).sum::<f64>().ln()
}

/// Log-ratio above which [`ratio`] goes on along its tangent: e⁶⁰ ≈ 10²⁶ leaves room in f32 for an advantage of 10⁴
/// and for the sum over a rewrite.
pub const LOG_RATIO_LIMIT: f64 = 60.0;

/// A probability ratio eˣ and its derivative in x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// eˣ, or its tangent above [`LOG_RATIO_LIMIT`].
    pub value: f64,
    /// d value / d x.
    pub slope: f64,
}

/// eˣ continued by its tangent above [`LOG_RATIO_LIMIT`].
///
/// Such a ratio means that sampler and policy have parted company; what matters is that the loss stays finite, keeps
/// its sign and pulls back. The function is continuously differentiable, so the derivative is exact everywhere.
pub fn ratio(log_ratio: f64) -> Ratio {
    let slope = log_ratio.min(LOG_RATIO_LIMIT).exp();
    Ratio { value: slope * (1.0 + (log_ratio - LOG_RATIO_LIMIT).max(0.0)), slope }
}
