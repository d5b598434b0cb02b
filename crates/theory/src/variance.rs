//! The variance of a reward, split by where it comes from.
//!
//! ## Objective
//! Var r = Var_x E[r|x] + E_x Var_{x'} R(x,x') + E_x E_{x'} Var_y(r | x,x')
//!
//! The law of total variance. Training mainly shrinks the second and third part, which a single figure hides.
//!
//! ## Choices
//! Population variances (divided by n), so that the parts add up to the pooled variance exactly. From samples every
//! prompt weighs the same, and so does every rewrite of a prompt and every response of a rewrite. The sampled parts are
//! biased: with M responses a rewrite and K rewrites a prompt, `between_rewrites` also holds 1/M of the noise within,
//! and `between_prompts` 1/K of the spread between; [`sample_variance_parts_unbiased`] takes both out again.

use crate::divergence::expectation;
use crate::error::Error;
use crate::world::World;

/// The three parts of a reward's variance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct VarianceParts {
    /// Var_x E[r|x].
    pub between_prompts: f64,
    /// E_x Var_{x'} R(x,x').
    pub between_rewrites: f64,
    /// E_x E_{x'} Var_y(r | x,x').
    pub within: f64,
}

impl VarianceParts {
    /// The pooled variance.
    pub fn total(&self) -> f64 {
        self.between_prompts + self.between_rewrites + self.within
    }
}

/// The exact parts for a prompter over a world: `rho` holds a distribution over rewrites per prompt.
///
/// # Errors
/// A prompter that does not fit the world.
///
/// ```
/// use theory::{World, WorldTables, variance_parts};
/// let world = World::new(WorldTables {
///     rho_ref: vec![vec![0.5, 0.5]],
///     pi_f: vec![vec![vec![1.0, 0.0], vec![0.0, 1.0]]],
///     reward: vec![vec![0.0, 1.0]],
///     lambda: 1.0,
///     beta: 1.0,
///     ..WorldTables::default()
/// })?;
/// let parts = variance_parts(&world, &[vec![0.5, 0.5]])?;
/// assert_eq!((parts.between_prompts, parts.between_rewrites, parts.within), (0.0, 0.25, 0.0));
/// # Ok::<(), theory::Error>(())
/// ```
pub fn variance_parts(world: &World, rho: &[Vec<f64>]) -> Result<VarianceParts, Error> {
    crate::error::same_length("rho", world.prompts.len(), rho.len())?;
    let mut means = Vec::with_capacity(rho.len());
    let mut parts = VarianceParts::default();
    for (index, ((prompt, rho), weight)) in world.prompts.iter().zip(rho).zip(&world.weights).enumerate() {
        crate::error::same_length(&format!("rho[{index}]"), prompt.rho_ref.len(), rho.len())?;
        let value = prompt.value();
        let noise: Vec<f64> = prompt.pi_f.iter().map(|responses| variance(responses, &prompt.reward)).collect();
        parts.between_rewrites += weight * variance(rho, &value);
        parts.within += weight * expectation(rho, &noise);
        means.push(expectation(rho, &value));
    }
    parts.between_prompts = variance(&world.weights, &means);
    Ok(parts)
}

/// The parts of sampled rewards, `rewards[prompt][rewrite][response]`; they add up to the pooled variance exactly.
///
/// # Errors
/// Prompts without rewrites, rewrites without responses, rewards that are not finite.
///
/// ```
/// let parts = theory::sample_variance_parts(&[vec![vec![0.0, 2.0]], vec![vec![3.0, 3.0]]])?;
/// assert_eq!((parts.between_prompts, parts.between_rewrites, parts.within), (1.0, 0.0, 0.5));
/// # Ok::<(), theory::Error>(())
/// ```
pub fn sample_variance_parts(rewards: &[Vec<Vec<f64>>]) -> Result<VarianceParts, Error> {
    check(rewards)?;
    let values: Vec<Vec<f64>> = rewards.iter().map(|rewrites| each(rewrites, |responses| mean(responses))).collect();
    let noise: Vec<f64> = each(rewards, |rewrites| mean(&each(rewrites, |responses| spread(responses))));
    Ok(VarianceParts {
        between_prompts: spread(&each(&values, |values| mean(values))),
        between_rewrites: mean(&each(&values, |values| spread(values))),
        within: mean(&noise),
    })
}

/// Unbiased parts of sampled rewards; a part can come out negative where it is small.
///
/// Each level's sample variance is corrected for the noise that leaks in from the level below: the analysis-of-variance
/// estimator of a nested random-effects design.
///
/// # Errors
/// As [`sample_variance_parts`], and fewer than two prompts, rewrites of a prompt or responses of a rewrite.
///
/// ```
/// let rewards = [vec![vec![0.0, 1.0], vec![1.0, 1.0]], vec![vec![1.0, 0.0], vec![0.0, 0.0]]];
/// let parts = theory::sample_variance_parts_unbiased(&rewards)?;
/// assert_eq!(parts.within, 0.25);
/// # Ok::<(), theory::Error>(())
/// ```
pub fn sample_variance_parts_unbiased(rewards: &[Vec<Vec<f64>>]) -> Result<VarianceParts, Error> {
    check(rewards)?;
    crate::error::at_least("the spread between prompts", 2, rewards.len())?;
    let (mut within, mut between, mut means, mut leak) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for rewrites in rewards {
        crate::error::at_least("the spread between rewrites", 2, rewrites.len())?;
        for responses in rewrites {
            crate::error::at_least("the spread within a rewrite", 2, responses.len())?;
        }
        let values = each(rewrites, |responses| mean(responses));
        within.push(mean(&each(rewrites, |responses| sample_spread(responses))));
        let noise_of_values = mean(&each(rewrites, |responses| sample_spread(responses) / responses.len() as f64));
        between.push(sample_spread(&values) - noise_of_values);
        leak.push(sample_spread(&values) / values.len() as f64);
        means.push(mean(&values));
    }
    Ok(VarianceParts {
        between_prompts: sample_spread(&means) - mean(&leak),
        between_rewrites: mean(&between),
        within: mean(&within),
    })
}

fn check(rewards: &[Vec<Vec<f64>>]) -> Result<(), Error> {
    if rewards.is_empty() {
        return Err(Error::Empty { place: "rewards".into() });
    }
    for (prompt, rewrites) in rewards.iter().enumerate() {
        if rewrites.is_empty() {
            return Err(Error::Empty { place: format!("rewards[{prompt}]") });
        }
        for (rewrite, responses) in rewrites.iter().enumerate() {
            crate::error::finite(&format!("rewards[{prompt}][{rewrite}]"), responses)?;
        }
    }
    Ok(())
}

fn each<T>(items: &[T], figure: impl Fn(&T) -> f64) -> Vec<f64> {
    items.iter().map(figure).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Σ (v − mean)² / n.
fn spread(values: &[f64]) -> f64 {
    let centre = mean(values);
    values.iter().map(|value| (value - centre) * (value - centre)).sum::<f64>() / values.len() as f64
}

/// Σ (v − mean)² / (n − 1).
fn sample_spread(values: &[f64]) -> f64 {
    spread(values) * values.len() as f64 / (values.len() as f64 - 1.0)
}

fn variance(distribution: &[f64], value: &[f64]) -> f64 {
    let centre = expectation(distribution, value);
    distribution.iter().zip(value).map(|(p, v)| p * (v - centre) * (v - centre)).sum()
}
