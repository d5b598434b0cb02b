//! LoRA adapters: a flat parameter vector and the table that says what lies where.
//!
//! y = W x + (alpha / rank) · B (A x), with A (rank × inputs) and B (outputs × rank), on any subset of the seven linear
//! maps; optional linear heads on the last hidden state ride in the same vector, so that the optimiser, gradient
//! clipping and checkpoints see one slice of f32.

use std::ops::Range;

use crate::{Architecture, Linear};

/// What an adapter adapts; equal for all adapters that may be averaged, compared or optimised together.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraShape {
    /// Rank r of every pair.
    pub rank: usize,
    /// The product B A is scaled by `alpha / rank`.
    pub alpha: f32,
    /// The adapted linear maps, in the order of [`Linear::ALL`], without repetition.
    pub targets: Vec<Linear>,
    /// Number of outputs of the linear head on the final (normalised) hidden state; 0 for none.
    pub heads: usize,
    /// (inputs, outputs) of the targets, in the order of `targets`.
    dimensions: Vec<(usize, usize)>,
    layers: usize,
    hidden: usize,
}

impl LoraShape {
    /// Lay out an adapter for `architecture`.
    pub fn new(architecture: &Architecture, rank: usize, alpha: f32, targets: &[Linear], heads: usize) -> LoraShape {
        let targets: Vec<Linear> = Linear::ALL.into_iter().filter(|linear| targets.contains(linear)).collect();
        let dimensions = targets.iter().map(|&linear| architecture.dimensions(linear)).collect();
        LoraShape { rank, alpha, targets, heads, dimensions, layers: architecture.layers, hidden: architecture.hidden }
    }

    /// Factor on B A.
    pub fn scale(&self) -> f32 {
        self.alpha / self.rank as f32
    }

    /// Number of layers of the model it was laid out for.
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// Length of the parameter vector.
    pub fn len(&self) -> usize {
        self.layer_len() * self.layers + self.heads * (self.hidden + 1)
    }

    /// Whether there is nothing to train.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// (inputs, outputs) of an adapted linear map.
    pub fn dimensions(&self, linear: Linear) -> Option<(usize, usize)> {
        let index = self.targets.iter().position(|&target| target == linear)?;
        self.dimensions.get(index).copied()
    }

    /// Where A of a layer's linear map lies: row-major (rank × inputs), as PEFT stores it. `None` if not adapted.
    pub fn a(&self, layer: usize, linear: Linear) -> Option<Range<usize>> {
        let (start, inputs, _) = self.pair(layer, linear)?;
        Some(start..start + self.rank * inputs)
    }

    /// Where B of a layer's linear map lies: TRANSPOSED to row-major (rank × outputs), the layout the kernels want.
    pub fn b(&self, layer: usize, linear: Linear) -> Option<Range<usize>> {
        let (start, inputs, outputs) = self.pair(layer, linear)?;
        let start = start + self.rank * inputs;
        Some(start..start + self.rank * outputs)
    }

    /// Where the heads' weights lie: row-major (heads × hidden).
    pub fn head_weight(&self) -> Range<usize> {
        let start = self.layer_len() * self.layers;
        start..start + self.heads * self.hidden
    }

    /// Where the heads' biases lie.
    pub fn head_bias(&self) -> Range<usize> {
        let start = self.head_weight().end;
        start..start + self.heads
    }

    fn layer_len(&self) -> usize {
        self.dimensions.iter().map(|(inputs, outputs)| self.rank * (inputs + outputs)).sum()
    }

    fn pair(&self, layer: usize, linear: Linear) -> Option<(usize, usize, usize)> {
        let index = self.targets.iter().position(|&target| target == linear)?;
        let before: usize =
            self.dimensions[..index].iter().map(|(inputs, outputs)| self.rank * (inputs + outputs)).sum();
        let (inputs, outputs) = self.dimensions[index];
        (layer < self.layers).then_some((layer * self.layer_len() + before, inputs, outputs))
    }
}

/// One adapter: a shape and its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Lora {
    /// What lies where in `parameters`.
    pub shape: LoraShape,
    /// All A, B and head parameters, f32.
    pub parameters: Vec<f32>,
    /// Dropout on the adapter's input while training: `None` outside training.
    pub dropout: Option<Dropout>,
}

/// Dropout of LoRA inputs, decided by a hash of (seed, layer, linear, row, column) so that forward and recomputed
/// forward drop the same entries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Share of the entries dropped, in [0, 1).
    pub rate: f32,
    /// Changes every step.
    pub seed: u64,
}

/// d loss / d parameters of a [`Lora`], same layout.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraGradients {
    /// Same length and order as [`Lora::parameters`].
    pub flat: Vec<f32>,
}
