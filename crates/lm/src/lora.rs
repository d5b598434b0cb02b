//! LoRA adapters: a flat parameter vector and the table that says what lies where.
//!
//! y = W x + (alpha / rank) · B (A x), with A (rank × inputs) and B (outputs × rank), on any subset of the seven linear
//! maps; optional linear heads on the last hidden state ride in the same vector, so that the optimiser, gradient
//! clipping and checkpoints see one slice of f32.

use std::ops::Range;

use crate::random::{Generator, derive_seed};
use crate::{Architecture, Error, Linear};

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

    /// Whether an adapter of this shape belongs to models of this architecture.
    pub fn fits(&self, architecture: &Architecture) -> bool {
        *self == LoraShape::new(architecture, self.rank, self.alpha, &self.targets, self.heads)
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

    /// Whether `other` was laid out for a model of the same sizes, with the same targets and heads; rank and alpha may
    /// differ.
    fn adapts_the_same(&self, other: &LoraShape) -> bool {
        let same = LoraShape { rank: self.rank, alpha: self.alpha, ..other.clone() };
        *self == same
    }

    /// Every adapted linear map of every layer, in the order of the parameters.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = Pair> + '_ {
        (0..self.layers).flat_map(move |layer| {
            self.targets.iter().zip(&self.dimensions).filter_map(move |(&linear, &(inputs, outputs))| {
                let (a, b) = (self.a(layer, linear)?, self.b(layer, linear)?);
                Some(Pair { layer, linear, inputs, outputs, a, b })
            })
        })
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

/// One adapted linear map: its sizes, and where its A and B lie.
pub(crate) struct Pair {
    pub(crate) layer: usize,
    pub(crate) linear: Linear,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) a: Range<usize>,
    pub(crate) b: Range<usize>,
}

impl Lora {
    /// A fresh adapter that changes nothing yet: as in PEFT, A is uniform in ±1/√inputs and B is zero.
    ///
    /// A head's weights are uniform with the standard deviation 1/√(hidden + 1) that reward models start from
    /// (arXiv:2009.01325), its bias is zero. Every matrix has its own random stream, told by `seed`, layer and linear
    /// map, so adapting one map more leaves the others as they were.
    pub fn new(shape: LoraShape, seed: u64) -> Lora {
        let mut parameters = vec![0.0; shape.len()];
        let mut fill = |range: Range<usize>, stream: [u64; 2], bound: f64| {
            let mut generator = Generator::new(derive_seed(&[seed, stream[0], stream[1]]));
            parameters[range].fill_with(|| generator.symmetric(bound) as f32);
        };
        for Pair { layer, linear, inputs, a, .. } in shape.pairs() {
            fill(a, [layer as u64, linear as u64], 1.0 / (inputs as f64).sqrt());
        }
        fill(shape.head_weight(), [shape.layers as u64, 0], (3.0 / (shape.hidden as f64 + 1.0)).sqrt());
        Lora { shape, parameters, dropout: None }
    }

    /// What the adapter adds to one weight matrix: scale · B A, row-major (outputs × inputs). `None` if not adapted.
    pub fn delta(&self, layer: usize, linear: Linear) -> Option<Vec<f32>> {
        let (inputs, outputs) = self.shape.dimensions(linear)?;
        let a = &self.parameters[self.shape.a(layer, linear)?];
        let b = &self.parameters[self.shape.b(layer, linear)?];
        let mut delta = vec![0.0; outputs * inputs];
        for (a_row, b_row) in a.chunks_exact(inputs).zip(b.chunks_exact(outputs)) {
            for (delta_row, &b_value) in delta.chunks_exact_mut(inputs).zip(b_row) {
                let factor = b_value * self.shape.scale();
                delta_row.iter_mut().zip(a_row).for_each(|(delta, &a_value)| *delta += factor * a_value);
            }
        }
        Some(delta)
    }

    /// Σ weight · adapter, exactly: the products B A and the heads are added, not the factors, so the rank is the sum of
    /// the ranks: B' = [w₁ B₁, w₂ B₂, …], A' = [A₁; A₂; …].
    ///
    /// All adapters must adapt the same maps of the same model and have equally many heads.
    pub fn combine(terms: &[(f32, &Lora)]) -> Result<Lora, Error> {
        let Some((_, first)) = terms.first() else {
            return Err(Error::Request { problem: "there is no adapter to combine".to_owned() });
        };
        if terms.iter().any(|(_, lora)| !lora.shape.adapts_the_same(&first.shape)) {
            let problem = "adapters of different targets, heads or models cannot be combined".to_owned();
            return Err(Error::Request { problem });
        }
        let rank = terms.iter().map(|(_, lora)| lora.shape.rank).sum();
        let shape = LoraShape { rank, alpha: first.shape.scale() * rank as f32, ..first.shape.clone() };
        let mut parameters = vec![0.0; shape.len()];
        for pair in shape.pairs() {
            // A and the transposed B are both rank rows, so stacking ranks is appending rows.
            let (mut a_start, mut b_start) = (pair.a.start, pair.b.start);
            for (weight, lora) in terms {
                let factor = weight * (lora.shape.scale() / first.shape.scale());
                let [a, b] = [lora.shape.a(pair.layer, pair.linear), lora.shape.b(pair.layer, pair.linear)];
                let (a, b) = (&lora.parameters[a.unwrap_or(0..0)], &lora.parameters[b.unwrap_or(0..0)]);
                parameters[a_start..a_start + a.len()].copy_from_slice(a);
                let scaled = parameters[b_start..b_start + b.len()].iter_mut().zip(b);
                scaled.for_each(|(to, &from)| *to = factor * from);
                (a_start, b_start) = (a_start + a.len(), b_start + b.len());
            }
        }
        for (weight, lora) in terms {
            let from = &lora.parameters[lora.shape.head_weight().start..];
            parameters[shape.head_weight().start..].iter_mut().zip(from).for_each(|(to, &from)| *to += weight * from);
        }
        Ok(Lora { shape, parameters, dropout: None })
    }

    /// The step beyond `newer` in the direction from `older` to it: newer + alpha · (newer − older), which is APO's
    /// momentum (arXiv:2410.06293) and ExPO's extrapolation, as an exact adapter of the ranks' sum.
    pub fn extrapolate(newer: &Lora, older: &Lora, alpha: f32) -> Result<Lora, Error> {
        Lora::combine(&[(1.0 + alpha, newer), (-alpha, older)])
    }

    /// The mean of the adapters' parameters, of equal shape. It averages A and B apart, as an average over the steps of one
    /// run does, and keeps the rank; [`Lora::combine`] averages the products.
    pub fn average(adapters: &[&Lora]) -> Result<Lora, Error> {
        let Some(first) = adapters.first() else {
            return Err(Error::Request { problem: "there is no adapter to average".to_owned() });
        };
        if adapters.iter().any(|lora| lora.shape != first.shape) {
            return Err(Error::Request { problem: "adapters of different shapes cannot be averaged".to_owned() });
        }
        let mean = |index: usize| {
            let sum: f64 = adapters.iter().map(|lora| f64::from(lora.parameters[index])).sum();
            (sum / adapters.len() as f64) as f32
        };
        let parameters = (0..first.parameters.len()).map(mean).collect();
        Ok(Lora { shape: first.shape.clone(), parameters, dropout: None })
    }
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

#[cfg(test)]
pub(crate) mod tests;
