//! `config.json` as transformers writes it, in its older and newer spellings.

use std::path::Path;

use serde::Deserialize;

use crate::Error;
use crate::error::{Fault, Problem};

/// JSON files of a model folder other than the tokenizer's are small.
const JSON_LIMIT: u64 = 16 << 20;

/// The keys this crate understands; Gemma 3's multimodal files nest them in `text_config`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Config {
    pub(super) model_type: Option<String>,
    pub(super) text_config: Option<Box<Config>>,
    pub(super) vocab_size: Option<usize>,
    pub(super) hidden_size: Option<usize>,
    pub(super) intermediate_size: Option<usize>,
    pub(super) num_hidden_layers: Option<usize>,
    pub(super) num_attention_heads: Option<usize>,
    pub(super) num_key_value_heads: Option<usize>,
    pub(super) head_dim: Option<usize>,
    pub(super) max_position_embeddings: Option<usize>,
    pub(super) original_max_position_embeddings: Option<usize>,
    pub(super) rms_norm_eps: Option<f32>,
    pub(super) hidden_act: Option<String>,
    pub(super) hidden_activation: Option<String>,
    pub(super) tie_word_embeddings: Option<bool>,
    pub(super) rope_theta: Option<f32>,
    pub(super) rope_local_base_freq: Option<f32>,
    pub(super) rope_scaling: Option<RopeParameters>,
    pub(super) rope_parameters: Option<RopeParameters>,
    pub(super) partial_rotary_factor: Option<f32>,
    pub(super) query_pre_attn_scalar: Option<f32>,
    pub(super) sliding_window: Option<usize>,
    pub(super) use_sliding_window: Option<bool>,
    pub(super) max_window_layers: Option<usize>,
    pub(super) sliding_window_pattern: Option<usize>,
    pub(super) layer_types: Option<Vec<String>>,
    pub(super) final_logit_softcapping: Option<f32>,
    pub(super) attn_logit_softcapping: Option<f32>,
    pub(super) use_bidirectional_attention: Option<bool>,
    pub(super) quantization_config: Option<serde_json::Value>,
}

/// `rope_parameters` of newer files, `rope_scaling` of older ones; Gemma 3 has one set for each kind of layer.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct RopeParameters {
    pub(super) full_attention: Option<Box<RopeParameters>>,
    pub(super) sliding_attention: Option<Box<RopeParameters>>,
    pub(super) rope_type: Option<String>,
    /// The older name of `rope_type`.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) rope_theta: Option<f32>,
    pub(super) partial_rotary_factor: Option<f32>,
    pub(super) factor: Option<f32>,
    pub(super) attention_factor: Option<f32>,
    pub(super) low_freq_factor: Option<f32>,
    pub(super) high_freq_factor: Option<f32>,
    pub(super) original_max_position_embeddings: Option<usize>,
    pub(super) short_factor: Option<Vec<f32>>,
}

impl Config {
    pub(super) fn read(path: &Path) -> Result<Config, Error> {
        read_json(path)
    }
}

/// Reads a JSON file of moderate size.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = read_limited(path, JSON_LIMIT)?;
    serde_json::from_str(&text).map_err(|source| Fault::from(Problem::Json { source }).at(path))
}

/// Reads a text file whose size is checked first.
pub(super) fn read_limited(path: &Path, limit: u64) -> Result<String, Error> {
    let read = |source| Error::Read { path: path.to_path_buf(), source };
    let bytes = std::fs::metadata(path).map_err(read)?.len();
    if bytes > limit {
        return Err(Fault::number("its length", bytes, format!("the limit is {limit} bytes")).at(path));
    }
    std::fs::read_to_string(path).map_err(read)
}
