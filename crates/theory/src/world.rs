//! The finite world: prompts × rewrites × responses, small enough that every expectation is a sum.
//!
//! Everything the trainer estimates on a real model can be computed exactly here, so a world is the reference that
//! estimators, losses and bounds are tested against. Rewrite 0 of every prompt is the naive prompt itself.
//!
//! ## Symbols
//! ρ_ref `rho_ref`; π_F `pi_f`; r `reward`; π_sft `pi_sft`; λ `lambda`; β `beta`; E_x `weights`; r_max `reward_span`.

mod checks;
mod solution;

pub use solution::{Means, PromptSolution, Solution};

use crate::divergence::expectation;
use crate::error::Error;

/// A world as its author writes it down, unchecked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorldTables {
    /// ρ_ref: per prompt a distribution over rewrites.
    pub rho_ref: Vec<Vec<f64>>,
    /// π_F: per prompt and rewrite a distribution over responses.
    pub pi_f: Vec<Vec<Vec<f64>>>,
    /// r: per prompt a reward per response.
    pub reward: Vec<Vec<f64>>,
    /// λ, the KL strength of the prompter, above 0.
    pub lambda: f64,
    /// β, the KL strength of the RLHF optimum, above 0.
    pub beta: f64,
    /// Weights of the prompts, scaled to sum to one; equal when absent.
    pub weights: Option<Vec<f64>>,
    /// π_sft: per prompt a distribution over responses; the target on the naive prompt, π_F at rewrite 0, when absent.
    pub pi_sft: Option<Vec<Vec<f64>>>,
    /// [a, b] with a ≤ r ≤ b; smallest and largest reward of the world when absent.
    pub reward_range: Option<[f64; 2]>,
}

/// A checked world: every row is a distribution, every number finite.
///
/// ```
/// use theory::{World, WorldTables};
/// let world = World::new(WorldTables {
///     rho_ref: vec![vec![0.5, 0.5]],
///     pi_f: vec![vec![vec![0.8, 0.2], vec![0.3, 0.7]]],
///     reward: vec![vec![0.0, 1.0]],
///     lambda: 0.5,
///     beta: 0.5,
///     ..WorldTables::default()
/// })?;
/// assert_eq!(world.prompts[0].value(), [0.2, 0.7]);
/// let solution = world.solve()?;
/// assert!(solution.mean.gap <= solution.mean.bound);
/// # Ok::<(), theory::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// The prompts.
    pub prompts: Vec<Prompt>,
    /// E_x: one weight a prompt, summing to one.
    pub weights: Vec<f64>,
    /// λ.
    pub lambda: f64,
    /// β.
    pub beta: f64,
    /// b − a: the r_max of every bound.
    pub reward_span: f64,
}

/// One prompt of a world.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// ρ_ref(·|x), shape (rewrites).
    pub rho_ref: Vec<f64>,
    /// π_F(·|x'), shape (rewrites, responses).
    pub pi_f: Vec<Vec<f64>>,
    /// r(x, ·), shape (responses).
    pub reward: Vec<f64>,
    /// π_sft(·|x), shape (responses).
    pub pi_sft: Vec<f64>,
}

impl World {
    /// Checks the tables and scales rows and weights that sum to one only roughly.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place: empty or ragged tables, numbers that are not finite, negative
    /// probabilities, rows that do not sum to one, strengths that are not above 0, rewards outside `reward_range`.
    pub fn new(tables: WorldTables) -> Result<Self, Error> {
        checks::check(tables)
    }

    /// Everything exact about this world: the optimal prompter, the RLHF optimum, the gap between them and its bounds.
    ///
    /// # Errors
    /// None for a world made by [`World::new`].
    pub fn solve(&self) -> Result<Solution, Error> {
        solution::solve(self)
    }

    /// E_x of one figure a prompt.
    pub fn mean(&self, per_prompt: impl IntoIterator<Item = f64>) -> f64 {
        self.weights.iter().zip(per_prompt).map(|(weight, figure)| weight * figure).sum()
    }
}

impl Prompt {
    /// R(x, x') = E_{y~π_F(·|x')} r(x, y), one a rewrite.
    pub fn value(&self) -> Vec<f64> {
        self.pi_f.iter().map(|responses| expectation(responses, &self.reward)).collect()
    }

    /// π_ρ(y|x) = Σ_{x'} ρ(x'|x) π_F(y|x'): the policy over responses that a prompter induces.
    pub fn induced(&self, rho: &[f64]) -> Vec<f64> {
        let mut induced = vec![0.0; self.reward.len()];
        for (mass, responses) in rho.iter().zip(&self.pi_f) {
            for (sum, probability) in induced.iter_mut().zip(responses) {
                *sum += mass * probability;
            }
        }
        induced
    }
}
