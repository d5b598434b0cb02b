//! What the two file formats call each tensor, and what must be undone to get its canonical form.

use std::ops::Range;

use super::{LayerTensor, TensorId};
use crate::{Architecture, Linear};

/// The names of one file format for one family.
#[derive(Clone, Debug)]
pub(super) struct Naming {
    scheme: Scheme,
    /// Phi-3 stores query, key and value as one matrix, and gate and up as another.
    fused: bool,
    /// GGUF's llama files interleave the two halves of every rotary pair.
    permuted: bool,
    /// Gemma's norms in transformers' files are offsets from one.
    norm_offset: bool,
}

#[derive(Clone, Debug)]
enum Scheme {
    Gguf,
    /// What stands before `layers.0.…`.
    Transformers(&'static str),
}

/// Where in a file a tensor is, and what was done to it there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) name: String,
    /// The rows that belong to it, if others share the file's tensor.
    pub(super) rows: Option<Range<usize>>,
    /// Rows of the file's tensor when [`Place::rows`] is given.
    file_rows: usize,
    /// Width of a head whose rotary pairs are interleaved.
    interleaved_head: Option<usize>,
    /// Added to every value.
    offset: f32,
}

impl Naming {
    pub(super) fn gguf(architecture: &Architecture) -> Naming {
        let (fused, permuted) = (architecture.family == "phi3", architecture.family == "llama");
        Naming { scheme: Scheme::Gguf, fused, permuted, norm_offset: false }
    }

    /// Looks which of the known prefixes the files use.
    pub(super) fn transformers(architecture: &Architecture, contains: impl Fn(&str) -> bool) -> Naming {
        let prefixes = ["model.", "language_model.model.", "model.language_model.", ""];
        let has_embedding = |prefix: &&&str| contains(&format!("{prefix}embed_tokens.weight"));
        let prefix = prefixes.iter().find(has_embedding).unwrap_or(&"model.");
        let fused = architecture.family == "phi3";
        let norm_offset = architecture.family == "gemma3_text";
        Naming { scheme: Scheme::Transformers(prefix), fused, permuted: false, norm_offset }
    }

    /// Where a tensor of this architecture would be; `None` if its family never has it.
    pub(super) fn place(&self, architecture: &Architecture, id: TensorId) -> Option<Place> {
        let name = match &self.scheme {
            Scheme::Gguf => self.gguf_name(architecture, id)?,
            Scheme::Transformers(prefix) => self.transformers_name(prefix, architecture, id)?,
        };
        let (rows, file_rows) = match id {
            TensorId::Layer(_, LayerTensor::Weight(linear) | LayerTensor::Bias(linear)) if self.fused => {
                fused_rows(architecture, linear)
            }
            _ => (None, 0),
        };
        let rotated = LayerTensor::is_rotated(id) && self.permuted;
        let interleaved_head = rotated.then_some(architecture.head_dim);
        let offset = if self.norm_offset && LayerTensor::is_norm(id) { 1.0 } else { 0.0 };
        Some(Place { name, rows, file_rows, interleaved_head, offset })
    }

    /// Whether a name belongs to a layer of the text model, so that it must be understood.
    pub(super) fn is_of_a_layer(&self, name: &str) -> bool {
        match &self.scheme {
            Scheme::Gguf => name.starts_with("blk."),
            Scheme::Transformers(prefix) => {
                let layer = name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with("layers."));
                layer && !name.ends_with(".rotary_emb.inv_freq")
            }
        }
    }

    fn gguf_name(&self, architecture: &Architecture, id: TensorId) -> Option<String> {
        let (layer, tensor) = match id {
            TensorId::Embedding => return Some("token_embd.weight".to_owned()),
            TensorId::FinalNorm => return Some("output_norm.weight".to_owned()),
            TensorId::Head => return (!architecture.tied_head).then(|| "output.weight".to_owned()),
            TensorId::Layer(layer, tensor) => (layer, tensor),
        };
        let linear = |linear| match linear {
            Linear::Q | Linear::K | Linear::V if self.fused => "attn_qkv",
            Linear::Gate | Linear::Up if self.fused => "ffn_up",
            Linear::Q => "attn_q",
            Linear::K => "attn_k",
            Linear::V => "attn_v",
            Linear::O => "attn_output",
            Linear::Gate => "ffn_gate",
            Linear::Up => "ffn_up",
            Linear::Down => "ffn_down",
        };
        let (stem, suffix) = match tensor {
            LayerTensor::Weight(which) => (linear(which), "weight"),
            LayerTensor::Bias(which) => (linear(which), "bias"),
            LayerTensor::AttentionNorm => ("attn_norm", "weight"),
            LayerTensor::FeedForwardNorm => ("ffn_norm", "weight"),
            LayerTensor::PostAttentionNorm => ("post_attention_norm", "weight"),
            LayerTensor::PostFeedForwardNorm => ("post_ffw_norm", "weight"),
            LayerTensor::QueryNorm => ("attn_q_norm", "weight"),
            LayerTensor::KeyNorm => ("attn_k_norm", "weight"),
        };
        has(architecture, tensor).then(|| format!("blk.{layer}.{stem}.{suffix}"))
    }

    fn transformers_name(&self, prefix: &str, architecture: &Architecture, id: TensorId) -> Option<String> {
        let (layer, tensor) = match id {
            TensorId::Embedding => return Some(format!("{prefix}embed_tokens.weight")),
            TensorId::FinalNorm => return Some(format!("{prefix}norm.weight")),
            TensorId::Head if architecture.tied_head => return None,
            TensorId::Head if prefix == "language_model.model." => return Some("language_model.lm_head.weight".into()),
            TensorId::Head => return Some("lm_head.weight".to_owned()),
            TensorId::Layer(layer, tensor) => (layer, tensor),
        };
        let linear = |linear: Linear| match linear {
            Linear::Q | Linear::K | Linear::V if self.fused => "self_attn.qkv_proj",
            Linear::Gate | Linear::Up if self.fused => "mlp.gate_up_proj",
            plain => plain.path(),
        };
        let (stem, suffix) = match tensor {
            LayerTensor::Weight(which) => (linear(which), "weight"),
            LayerTensor::Bias(which) => (linear(which), "bias"),
            LayerTensor::AttentionNorm => ("input_layernorm", "weight"),
            // With post norms, `post_attention_layernorm` is what its name says; without, it precedes the feed-forward.
            LayerTensor::FeedForwardNorm if architecture.post_norms => ("pre_feedforward_layernorm", "weight"),
            LayerTensor::FeedForwardNorm | LayerTensor::PostAttentionNorm => ("post_attention_layernorm", "weight"),
            LayerTensor::PostFeedForwardNorm => ("post_feedforward_layernorm", "weight"),
            LayerTensor::QueryNorm => ("self_attn.q_norm", "weight"),
            LayerTensor::KeyNorm => ("self_attn.k_norm", "weight"),
        };
        has(architecture, tensor).then(|| format!("{prefix}layers.{layer}.{stem}.{suffix}"))
    }
}

/// Whether models of this architecture can have such a tensor.
fn has(architecture: &Architecture, tensor: LayerTensor) -> bool {
    match tensor {
        LayerTensor::QueryNorm | LayerTensor::KeyNorm => architecture.query_key_norm,
        LayerTensor::PostAttentionNorm | LayerTensor::PostFeedForwardNorm => architecture.post_norms,
        _ => true,
    }
}

/// The rows of one linear map in its fused matrix, and all the rows of that matrix.
fn fused_rows(architecture: &Architecture, linear: Linear) -> (Option<Range<usize>>, usize) {
    let (query, key) = (architecture.dimensions(Linear::Q).1, architecture.dimensions(Linear::K).1);
    let (attention, width) = (query + 2 * key, architecture.feed_forward);
    match linear {
        Linear::Q => (Some(0..query), attention),
        Linear::K => (Some(query..query + key), attention),
        Linear::V => (Some(query + key..attention), attention),
        Linear::Gate => (Some(0..width), 2 * width),
        Linear::Up => (Some(width..2 * width), 2 * width),
        Linear::O | Linear::Down => (None, 0),
    }
}

impl LayerTensor {
    fn is_rotated(id: TensorId) -> bool {
        matches!(
            id,
            TensorId::Layer(_, LayerTensor::Weight(Linear::Q | Linear::K) | LayerTensor::Bias(Linear::Q | Linear::K))
        )
    }

    fn is_norm(id: TensorId) -> bool {
        match id {
            TensorId::FinalNorm => true,
            TensorId::Embedding | TensorId::Head => false,
            TensorId::Layer(_, tensor) => !matches!(tensor, LayerTensor::Weight(_) | LayerTensor::Bias(_)),
        }
    }
}

impl Place {
    /// The shape that the file's tensor must have.
    pub(super) fn file_shape(&self, architecture: &Architecture, id: TensorId) -> Vec<usize> {
        let hidden = architecture.hidden;
        let mut shape = match id {
            TensorId::Embedding | TensorId::Head => vec![architecture.vocabulary, hidden],
            TensorId::FinalNorm => vec![hidden],
            TensorId::Layer(_, LayerTensor::Weight(linear)) => {
                let (inputs, outputs) = architecture.dimensions(linear);
                vec![outputs, inputs]
            }
            TensorId::Layer(_, LayerTensor::Bias(linear)) => vec![architecture.dimensions(linear).1],
            TensorId::Layer(_, LayerTensor::QueryNorm | LayerTensor::KeyNorm) => vec![architecture.head_dim],
            TensorId::Layer(_, _) => vec![hidden],
        };
        if self.rows.is_some() {
            shape[0] = self.file_rows;
        }
        shape
    }

    /// Whether the file's rows are interleaved.
    #[cfg(test)]
    pub(super) fn restores_rotation(&self) -> bool {
        self.interleaved_head.is_some()
    }

    /// Undoes what the file did to values read from it; `columns` values a row (of a matrix).
    pub(super) fn restore(&self, values: &mut [f32], columns: usize) {
        if let Some(head_dim) = self.interleaved_head {
            // A bias has one value a row.
            let columns = if self.name.ends_with(".bias") { 1 } else { columns };
            values.chunks_exact_mut(head_dim * columns).for_each(|head| separate_pairs(head, columns));
        }
        if self.offset != 0.0 {
            values.iter_mut().for_each(|value| *value += self.offset);
        }
    }
}

/// Rows 0, 2, 4, … of a head first, then rows 1, 3, 5, …: from interleaved pairs to halves.
fn separate_pairs(head: &mut [f32], columns: usize) {
    let interleaved = head.to_vec();
    let rows = interleaved.chunks_exact(columns);
    let ordered = rows.clone().step_by(2).chain(rows.skip(1).step_by(2));
    head.chunks_exact_mut(columns).zip(ordered).for_each(|(target, source)| target.copy_from_slice(source));
}
