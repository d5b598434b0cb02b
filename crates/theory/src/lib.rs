//! Closed forms, bounds, estimators, intervals and the exact finite world.
//!
//! What a trained prompter can reach and how sure a measurement of it is, as arithmetic on tables and samples. No I/O,
//! no clock, no threads and no randomness of its own: whatever resamples takes a seed. Everything is `f64` and works in
//! log space.
//!
//! ## Layout
//! - [`closed_form`](mod@closed_form): the optimal prompter, log Z and the value of a KL-regularised problem; [`rlhf`] the same for responses
//! - [`divergence`], [`bound`], [`variance`]: distances, the suboptimality bound and its sharper forms, the three parts
//!   of a reward's variance
//! - [`fixed_point`](mod@fixed_point): where each training method ends on a world
//! - [`estimate`]: the same figures from samples, when nothing can be enumerated
//! - [`interval`]: confidence intervals and tests for comparisons paired by prompt
//! - [`owa`](mod@owa): ordered weighted averages, for fairness between rewards or groups
//! - [`world`]: prompts × rewrites × responses with everything enumerated: start reading here
//!
//! Equation numbers refer to the repository's notes on the method; each file repeats the equations it implements.

pub mod world;

pub mod bound;
pub mod closed_form;
pub mod divergence;
mod error;
pub mod estimate;
pub mod fixed_point;
pub mod interval;
pub mod owa;
pub mod rlhf;
mod stream;
pub mod variance;

pub use bound::{Bound, suboptimality_bound};
pub use closed_form::{Tilted, regularised_value, tilt};
pub use error::Error;
pub use estimate::{
    BoundEstimate, BoundSamples, Halves, RewardCells, RewardLaw, TiltedEstimate, best_of_curve, estimate_bound,
    estimate_kl, estimate_tilted, estimate_total_variation, mean_over_prompts, split_total_variation, tilted_worth,
};
pub use fixed_point::{
    Family, FixedPoint, FlowEnd, LabelLoss, Method, Objective, PromptEnd, Rewrites, exact_loss, fixed_point,
    gradient_flow,
};
pub use interval::{
    Bootstrap, Estimate, Interval, PairedSequence, Verdict, WinRate, bca_bootstrap, bernstein_interval, distribution,
    paired_bootstrap, sign_test, student_interval, studentised_bootstrap, win_rate,
};
pub use rlhf::rlhf_optimum;
pub use stream::Stream;
pub use variance::{VarianceParts, sample_variance_parts, sample_variance_parts_unbiased, variance_parts};
pub use world::{Means, Prompt, PromptSolution, Solution, World, WorldTables};
