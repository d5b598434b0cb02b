//! Minimising a smooth convex function over a convex set.
//!
//! ## Objective
//! x_{t+1} = Proj(y_t − ∇f(y_t)/L), y from x by momentum that starts afresh whenever it points uphill.
//! Nesterov (1983); Beck and Teboulle, "FISTA" (2009); O'Donoghue and Candès, "Adaptive restart" (2015).

use crate::error::Error;

/// Most steps taken.
const MAX_STEPS: usize = 200_000;

/// Minimises a function with `lipschitz`-continuous gradient from `start` (inside the set), until `done` or until the
/// steps vanish.
pub(super) fn minimise(
    start: Vec<f64>,
    lipschitz: f64,
    gradient: impl Fn(&[f64]) -> Result<Vec<f64>, Error>,
    project: impl Fn(&[f64]) -> Result<Vec<f64>, Error>,
    done: impl Fn(&[f64]) -> Result<bool, Error>,
) -> Result<Vec<f64>, Error> {
    let mut x = start;
    let mut ahead = x.clone(); // y
    let mut pace = 1.0f64;
    for _ in 0..MAX_STEPS {
        let slope = gradient(&ahead)?;
        let target: Vec<f64> = ahead.iter().zip(&slope).map(|(y, g)| y - g / lipschitz).collect();
        let next = project(&target)?;
        let moved: Vec<f64> = next.iter().zip(&x).map(|(next, x)| next - x).collect();
        let uphill: f64 = ahead.iter().zip(&next).zip(&moved).map(|((y, next), step)| (y - next) * step).sum();
        pace = if uphill > 0.0 { 1.0 } else { pace };
        let next_pace = 0.5 * (1.0 + (1.0 + 4.0 * pace * pace).sqrt());
        let momentum = if uphill > 0.0 { 0.0 } else { (pace - 1.0) / next_pace };
        ahead = next.iter().zip(&moved).map(|(next, step)| next + momentum * step).collect();
        let still = moved.iter().all(|step| step.abs() <= 1e-16) && momentum == 0.0;
        (x, pace) = (next, next_pace);
        if still || done(&x)? {
            break;
        }
    }
    Ok(x)
}
