//! The forward pass as the papers write it, in f64, one token after another: slow, obvious, and independent of the
//! engine. It says whether files were read right, and it is the engine's oracle where no golden data exist.

use std::collections::HashMap;

use lm::{Activation, Architecture, Checkpoint, LayerTensor, Linear, Lora, Rotary, TensorId, Token};

/// A model with its weights in f64, and perhaps an adapter.
pub(crate) struct Reference {
    architecture: Architecture,
    tensors: HashMap<TensorId, Vec<f64>>,
    adapter: Option<Lora>,
}

impl Reference {
    pub(crate) fn load(checkpoint: &Checkpoint, adapter: Option<&Lora>) -> Reference {
        let architecture = checkpoint.architecture().clone();
        let norms = [
            LayerTensor::AttentionNorm,
            LayerTensor::FeedForwardNorm,
            LayerTensor::PostAttentionNorm,
            LayerTensor::PostFeedForwardNorm,
            LayerTensor::QueryNorm,
            LayerTensor::KeyNorm,
        ];
        let linears = Linear::ALL.into_iter().flat_map(|l| [LayerTensor::Weight(l), LayerTensor::Bias(l)]);
        let kinds: Vec<LayerTensor> = norms.into_iter().chain(linears).collect();
        let layers =
            (0..architecture.layers).flat_map(|layer| kinds.iter().map(move |&kind| TensorId::Layer(layer, kind)));
        let ids = [TensorId::Embedding, TensorId::FinalNorm, TensorId::Head].into_iter().chain(layers);
        let read = |id| Some((id, checkpoint.tensor(id).unwrap()?.into_iter().map(f64::from).collect()));
        Reference { tensors: ids.filter_map(read).collect(), architecture, adapter: adapter.cloned() }
    }

    /// The normalised hidden state after each token.
    pub(crate) fn hidden(&self, tokens: &[Token]) -> Vec<Vec<f64>> {
        let architecture = &self.architecture;
        let scale = f64::from(architecture.embedding_scale);
        let embedding = &self.tensors[&TensorId::Embedding];
        let embed = |&token: &Token| -> Vec<f64> {
            embedding[token as usize * architecture.hidden..][..architecture.hidden].iter().map(|x| x * scale).collect()
        };
        let mut stream: Vec<Vec<f64>> = tokens.iter().map(embed).collect();
        for layer in 0..architecture.layers {
            self.attention(layer, &mut stream);
            self.feed_forward(layer, &mut stream);
        }
        stream.iter().map(|state| self.norm(state, TensorId::FinalNorm)).collect()
    }

    /// The logits after each token.
    pub(crate) fn logits(&self, tokens: &[Token]) -> Vec<Vec<f64>> {
        let head = self.tensors.get(&TensorId::Head).unwrap_or(&self.tensors[&TensorId::Embedding]);
        let cap = |logit: f64| match self.architecture.logit_softcap.map(f64::from) {
            Some(cap) => cap * (logit / cap).tanh(),
            None => logit,
        };
        self.hidden(tokens).iter().map(|state| product(head, state).into_iter().map(cap).collect()).collect()
    }

    fn attention(&self, layer: usize, stream: &mut [Vec<f64>]) {
        let architecture = &self.architecture;
        let (rotary, window) = architecture.layer_reach(layer);
        let (size, shared) = (architecture.head_dim, architecture.heads / architecture.kv_heads);
        let scale = f64::from(architecture.attention_scale);
        let (mut keys, mut values): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (vec![], vec![]);
        for (position, state) in stream.iter_mut().enumerate() {
            let input = self.norm(state, TensorId::Layer(layer, LayerTensor::AttentionNorm));
            let turned = |linear, norm| {
                let mut heads = self.linear(layer, linear, &input);
                for head in heads.chunks_exact_mut(size) {
                    if architecture.query_key_norm {
                        head.copy_from_slice(&self.norm(head, TensorId::Layer(layer, norm)));
                    }
                    rotate(head, rotary, position);
                }
                heads
            };
            let query = turned(Linear::Q, LayerTensor::QueryNorm);
            keys.push(turned(Linear::K, LayerTensor::KeyNorm));
            values.push(self.linear(layer, Linear::V, &input));
            let first = window.map_or(0, |window| (position + 1).saturating_sub(window));
            let mut mixed = vec![0.0; query.len()];
            for (head, (query, mixed)) in query.chunks_exact(size).zip(mixed.chunks_exact_mut(size)).enumerate() {
                let place = head / shared * size;
                let scores = keys[first..].iter().map(|key| dot(query, &key[place..place + size]) * scale).collect();
                for (share, value) in softmax(scores).into_iter().zip(&values[first..]) {
                    mixed.iter_mut().zip(&value[place..]).for_each(|(sum, value)| *sum += share * value);
                }
            }
            let output = self.linear(layer, Linear::O, &mixed);
            self.add(state, output, TensorId::Layer(layer, LayerTensor::PostAttentionNorm));
        }
    }

    fn feed_forward(&self, layer: usize, stream: &mut [Vec<f64>]) {
        for state in stream {
            let input = self.norm(state, TensorId::Layer(layer, LayerTensor::FeedForwardNorm));
            let gate = self.linear(layer, Linear::Gate, &input);
            let up = self.linear(layer, Linear::Up, &input);
            let gated: Vec<f64> = gate.iter().zip(up).map(|(gate, up)| self.activate(*gate) * up).collect();
            let output = self.linear(layer, Linear::Down, &gated);
            self.add(state, output, TensorId::Layer(layer, LayerTensor::PostFeedForwardNorm));
        }
    }

    fn add(&self, state: &mut [f64], output: Vec<f64>, post_norm: TensorId) {
        let output = if self.architecture.post_norms { self.norm(&output, post_norm) } else { output };
        state.iter_mut().zip(output).for_each(|(state, output)| *state += output);
    }

    fn activate(&self, x: f64) -> f64 {
        match self.architecture.activation {
            Activation::Silu => x / (1.0 + (-x).exp()),
            Activation::GeluTanh => {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
            }
        }
    }

    fn norm(&self, state: &[f64], id: TensorId) -> Vec<f64> {
        let mean_square = dot(state, state) / state.len() as f64;
        let scale = (mean_square + f64::from(self.architecture.norm_epsilon)).sqrt().recip();
        state.iter().zip(&self.tensors[&id]).map(|(x, weight)| x * scale * weight).collect()
    }

    fn linear(&self, layer: usize, linear: Linear, input: &[f64]) -> Vec<f64> {
        let mut output = product(&self.tensors[&TensorId::Layer(layer, LayerTensor::Weight(linear))], input);
        if let Some(bias) = self.tensors.get(&TensorId::Layer(layer, LayerTensor::Bias(linear))) {
            output.iter_mut().zip(bias).for_each(|(output, bias)| *output += bias);
        }
        let Some(lora) = &self.adapter else { return output };
        let (Some(a), Some(b)) = (lora.shape.a(layer, linear), lora.shape.b(layer, linear)) else { return output };
        let (a, b) = (&lora.parameters[a], &lora.parameters[b]);
        for (a, b) in a.chunks_exact(input.len()).zip(b.chunks_exact(output.len())) {
            let inner: f64 = a.iter().zip(input).map(|(a, x)| f64::from(*a) * x).sum();
            let step = inner * f64::from(lora.shape.scale());
            output.iter_mut().zip(b).for_each(|(output, b)| *output += f64::from(*b) * step);
        }
        output
    }
}

/// Turns the pairs `(i, i + rotated/2)`; components beyond the rotated ones stay.
fn rotate(head: &mut [f64], rotary: &Rotary, position: usize) {
    let half = rotary.frequencies.len();
    for (pair, frequency) in rotary.frequencies.iter().enumerate() {
        let (sine, cosine) = (position as f64 * f64::from(*frequency)).sin_cos();
        let (sine, cosine) = (sine * f64::from(rotary.magnitude), cosine * f64::from(rotary.magnitude));
        let (x, y) = (head[pair], head[pair + half]);
        (head[pair], head[pair + half]) = (x * cosine - y * sine, y * cosine + x * sine);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn product(matrix: &[f64], input: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(input.len()).map(|row| dot(row, input)).collect()
}

fn softmax(scores: Vec<f64>) -> Vec<f64> {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// log p of `token` under the softmax of `logits / temperature`.
pub(crate) fn log_probability(logits: &[f64], token: Token, temperature: f64) -> f64 {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| ((logit - top) / temperature).exp()).sum();
    (logits[token as usize] - top) / temperature - sum.ln()
}
