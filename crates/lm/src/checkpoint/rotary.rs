//! Rotary frequencies from a base and a file's way of stretching them.

use std::f32::consts::PI;

use crate::Rotary;

/// How a model stretches its rotary embedding beyond the context it was first trained on.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scaling {
    None,
    /// All frequencies are divided by one factor.
    Linear(f32),
    /// Llama 3: low frequencies are divided, high ones kept, those between blended.
    Llama3 {
        factor: f32,
        low: f32,
        high: f32,
        original_context: f32,
    },
    /// Each frequency is divided by its own factor (LongRoPE, and Llama 3 as GGUF stores it).
    Factors(Vec<f32>),
}

impl Scaling {
    /// The rotary embedding of `pairs` pairs over `base`; extra factors are ignored, missing ones are 1.
    pub(super) fn rotary(&self, base: f32, pairs: usize, magnitude: f32) -> Rotary {
        let frequency = |pair: usize| {
            let power = f64::from(base).powf(f64::from((2 * pair) as f32 / (2 * pairs) as f32)) as f32;
            match self {
                Scaling::None => 1.0 / power,
                Scaling::Linear(factor) => 1.0 / power / factor,
                Scaling::Factors(factors) => 1.0 / (factors.get(pair).copied().unwrap_or(1.0) * power),
                Scaling::Llama3 { factor, low, high, original_context } => {
                    llama3(1.0 / power, *factor, *low, *high, *original_context)
                }
            }
        };
        Rotary { frequencies: (0..pairs).map(frequency).collect(), magnitude }
    }
}

/// Wavelengths are measured against the original context: `high` and `low` turns of it bound the blended range.
fn llama3(frequency: f32, factor: f32, low: f32, high: f32, original_context: f32) -> f32 {
    let wavelength = 2.0 * PI / frequency;
    if wavelength > original_context / low {
        frequency / factor
    } else if wavelength < original_context / high {
        frequency
    } else {
        let smooth = (original_context / wavelength - low) / (high - low);
        (1.0 - smooth) * frequency / factor + smooth * frequency
    }
}

/// LongRoPE's factor on cosine and sine for a context stretched `factor` times from `original_context` tokens.
pub(super) fn longrope_magnitude(factor: f64, original_context: f64) -> f32 {
    if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / original_context.ln()).sqrt() as f32 }
}
