//! AdamW, gradient clipping and learning-rate schedules, over one flat slice of f32.

use std::path::Path;

use crate::tensor_file::{self, Entry, TensorFile};
use crate::{Error, LoraGradients};

/// Adam with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101), with PyTorch's arithmetic:
///
/// ```text
/// θ ← θ (1 − lr · decay)
/// m ← m + (1 − β1)(g − m)        v ← β2 v + (1 − β2) g²
/// θ ← θ − lr / (1 − β1^t) · m / (√v / √(1 − β2^t) + ε)
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AdamW {
    /// The constants of the update.
    pub settings: AdamWSettings,
    steps: u64,
    first: Vec<f32>,
    second: Vec<f32>,
}

/// The constants of [`AdamW`]; the learning rate belongs to the [`Schedule`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWSettings {
    /// Decay of the gradients' running mean.
    pub beta1: f64,
    /// Decay of the squared gradients' running mean.
    pub beta2: f64,
    /// Added to the root of the corrected second moment.
    pub epsilon: f64,
    /// Share of the parameters taken off each step, times the learning rate.
    pub weight_decay: f64,
}

impl Default for AdamWSettings {
    /// PyTorch's, but for the weight decay: adapters are small and start at zero, so none.
    fn default() -> Self {
        AdamWSettings { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 }
    }
}

impl AdamW {
    /// A fresh state for `length` parameters.
    pub fn new(settings: AdamWSettings, length: usize) -> AdamW {
        AdamW { settings, steps: 0, first: vec![0.0; length], second: vec![0.0; length] }
    }

    /// Number of updates made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// One update of `parameters`; all three lengths must be that of [`AdamW::new`].
    pub fn step(&mut self, parameters: &mut [f32], gradients: &[f32], learning_rate: f64) -> Result<(), Error> {
        if parameters.len() != self.first.len() || gradients.len() != self.first.len() {
            let (state, given, slopes) = (self.first.len(), parameters.len(), gradients.len());
            let problem = format!("the optimizer was made for {state} parameters, not {given} with {slopes} gradients");
            return Err(Error::Request { problem });
        }
        self.steps += 1;
        let AdamWSettings { beta1, beta2, epsilon, weight_decay } = self.settings;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        // The constants are rounded to f32 once, where PyTorch rounds them.
        let keep = (1.0 - learning_rate * weight_decay) as f32;
        let (new_first, old_second, new_second) = ((1.0 - beta1) as f32, beta2 as f32, (1.0 - beta2) as f32);
        let step_size = (learning_rate / (1.0 - beta1.powi(steps))) as f32;
        let correction = (1.0 - beta2.powi(steps)).sqrt() as f32;
        let epsilon = epsilon as f32;

        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((parameter, &gradient), (first, second)) in parameters.iter_mut().zip(gradients).zip(moments) {
            *first += new_first * (gradient - *first);
            *second = *second * old_second + new_second * gradient * gradient;
            let scale = second.sqrt() / correction + epsilon;
            *parameter = *parameter * keep - step_size * *first / scale;
        }
        Ok(())
    }

    /// Write the state (not the settings, which belong to the run's configuration), atomically.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let shape = [self.first.len()];
        let first = Entry::f32("exp_avg", &shape, &self.first);
        let second = Entry::f32("exp_avg_sq", &shape, &self.second);
        tensor_file::write(path, &[first, second, Entry::u64("step", self.steps)])
    }

    /// Read a state of `length` parameters that [`AdamW::save`] wrote; going on from it equals never having stopped, bit
    /// for bit.
    pub fn load(path: &Path, settings: AdamWSettings, length: usize) -> Result<AdamW, Error> {
        let file = TensorFile::read(path)?;
        let tensors = file.tensors()?;
        let (first, second) = (tensors.f32("exp_avg", &[length])?, tensors.f32("exp_avg_sq", &[length])?);
        Ok(AdamW { settings, steps: tensors.u64("step")?, first, second })
    }
}

/// Scale `gradients` so that their Euclidean norm is at most `max_norm`, and return the norm they had.
///
/// The sum runs in f64 in a fixed order. A norm that is not finite leaves the gradients as they are and is
/// [`Error::NotFinite`]: the step is the caller's to skip or the run's to end.
pub fn clip_by_global_norm(gradients: &mut [f32], max_norm: f64) -> Result<f64, Error> {
    let norm = gradients.iter().map(|&gradient| f64::from(gradient) * f64::from(gradient)).sum::<f64>().sqrt();
    if !norm.is_finite() {
        return Err(Error::NotFinite { quantity: "norm of the gradients", value: norm });
    }
    // As PyTorch: the small number keeps the clipped norm from rounding above the limit.
    let factor = max_norm / (norm + 1e-6);
    if factor < 1.0 {
        gradients.iter_mut().for_each(|gradient| *gradient *= factor as f32);
    }
    Ok(norm)
}

impl LoraGradients {
    /// Nothing yet: the start of an accumulation over micro-batches.
    pub fn zeros(length: usize) -> LoraGradients {
        LoraGradients { flat: vec![0.0; length] }
    }

    /// Add a micro-batch's gradients; their loss must already be a share of the whole batch's. `other` must belong to an
    /// adapter of the same shape.
    pub fn add(&mut self, other: &LoraGradients) -> Result<(), Error> {
        if self.flat.len() != other.flat.len() {
            let problem = format!("cannot add gradients of {} and {} parameters", self.flat.len(), other.flat.len());
            return Err(Error::Request { problem });
        }
        self.flat.iter_mut().zip(&other.flat).for_each(|(sum, &more)| *sum += more);
        Ok(())
    }
}

/// The learning rate of every step: a linear rise from 0 over `warmup` steps, then `decay`; numbers as transformers'
/// `get_scheduler` gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The highest rate.
    pub peak: f64,
    /// Steps of rise; 0 starts at the peak.
    pub warmup: u64,
    /// All steps, those of the rise included.
    pub total: u64,
    /// What follows the rise.
    pub decay: Decay,
}

/// How the learning rate falls after the rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// Not at all.
    Constant,
    /// In a straight line to 0 at the end.
    Linear,
    /// Along half a cosine wave to 0 at the end.
    Cosine,
}

impl Schedule {
    /// The rate of `step`, counted from 0. The first step of a rise has rate 0, as in transformers.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * step as f64 / self.warmup as f64;
        }
        let length = self.total.saturating_sub(self.warmup).max(1);
        let progress = ((step - self.warmup) as f64 / length as f64).min(1.0);
        self.peak
            * match self.decay {
                Decay::Constant => 1.0,
                Decay::Linear => 1.0 - progress,
                Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            }
    }
}

#[cfg(test)]
mod tests;
