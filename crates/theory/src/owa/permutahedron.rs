//! Projection on the permutahedron by isotonic regression.
//!
//! ## Objective
//! - (1) Proj(q) = argmin over p in C(w) of |p − q|². With q sorted downwards into s, and v the best non-increasing fit
//!   of s − w, it is s − v, sorted back.
//! - (2) The fit is found by pooling adjacent violators: constant on blocks, each the mean of its block.
//! - (3) d Proj / d q = I − averaging over the blocks.
//!
//! Lim and Wright (2016); Blondel, Teboul, Berthet and Djolonga, "Fast differentiable sorting and ranking" (2020).
//! O(m log m).

use super::OwaWeights;
use crate::error::{self, Error};

/// A point of C(w) nearest to another one, and how it moves with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// The nearest point.
    pub point: Vec<f64>,
    /// The block each coordinate was pooled into.
    blocks: Vec<usize>,
}

/// The nearest point of C(w) (1).
///
/// # Errors
/// As many coordinates as weights are needed, all finite.
///
/// ```
/// use theory::owa::{OwaWeights, permutahedron::project};
/// let simplex = OwaWeights::new(vec![1.0, 0.0, 0.0])?;
/// let nearest = project(&[0.3, 0.2, -1.0], &simplex)?.point;
/// assert!((nearest[0] - 0.55).abs() < 1e-15 && (nearest[1] - 0.45).abs() < 1e-15 && nearest[2] == 0.0);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn project(point: &[f64], weights: &OwaWeights) -> Result<Projection, Error> {
    error::finite("point", point)?;
    error::same_length("point", weights.count(), point.len())?;
    let mut order: Vec<usize> = (0..point.len()).collect();
    order.sort_by(|one, other| point[*other].total_cmp(&point[*one]));
    let excess: Vec<f64> = order.iter().zip(weights.as_slice()).map(|(k, weight)| point[*k] - weight).collect();
    let mut projection = Projection { point: point.to_vec(), blocks: vec![0; point.len()] };
    let mut next = 0;
    for (block, pool) in pools(&excess).into_iter().enumerate() {
        for k in &order[next..next + pool.count] {
            projection.point[*k] -= pool.mean(); // (1)
            projection.blocks[*k] = block;
        }
        next += pool.count;
    }
    Ok(projection)
}

impl Projection {
    /// The derivative of the projection along a direction (3).
    ///
    /// ```
    /// use theory::owa::{OwaWeights, permutahedron::project};
    /// let weights = OwaWeights::new(vec![0.5, 0.3, 0.2])?;
    /// let projection = project(&[0.6, 0.5, 0.1], &weights)?; // the first two are pooled, the third is stuck
    /// assert_eq!(projection.derivative(&[1.0, 0.0, 1.0]), [0.5, -0.5, 0.0]);
    /// # Ok::<(), theory::Error>(())
    /// ```
    pub fn derivative(&self, direction: &[f64]) -> Vec<f64> {
        let n_blocks = self.blocks.iter().max().map_or(0, |last| last + 1);
        let mut pools = vec![Pool::default(); n_blocks];
        for (block, d) in self.blocks.iter().zip(direction) {
            pools[*block] = pools[*block].with(Pool { sum: *d, count: 1 });
        }
        direction.iter().zip(&self.blocks).map(|(d, block)| d - pools[*block].mean()).collect()
    }
}

/// The non-increasing sequence nearest to the given one (2).
///
/// ```
/// use theory::owa::permutahedron::decreasing_fit;
/// assert_eq!(decreasing_fit(&[4.0, 5.0, 1.0, 3.0, 2.0]), [4.5, 4.5, 2.0, 2.0, 2.0]);
/// ```
pub fn decreasing_fit(values: &[f64]) -> Vec<f64> {
    pools(values).into_iter().flat_map(|pool| std::iter::repeat_n(pool.mean(), pool.count)).collect()
}

/// Neighbours that share one value of the fit.
#[derive(Clone, Copy, Default)]
struct Pool {
    sum: f64,
    count: usize,
}

impl Pool {
    fn mean(self) -> f64 {
        self.sum / self.count as f64
    }

    fn with(self, other: Pool) -> Pool {
        Pool { sum: self.sum + other.sum, count: self.count + other.count }
    }
}

fn pools(values: &[f64]) -> Vec<Pool> {
    let mut pools: Vec<Pool> = Vec::with_capacity(values.len());
    for value in values {
        let mut last = Pool { sum: *value, count: 1 };
        while let Some(before) = pools.pop_if(|before| before.mean() < last.mean()) {
            last = before.with(last); // a violation: pool both
        }
        pools.push(last);
    }
    pools
}
