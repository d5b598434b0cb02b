//! Adapters as PEFT folders: `adapter_model.safetensors` and `adapter_config.json`, which peft, vLLM and llama.cpp read.
//!
//! PEFT keeps B as (outputs × rank); [`Lora`] keeps it transposed, so B is transposed on the way in and out. Heads are
//! not part of PEFT's LoRA: they go to a third file, `heads.safetensors`, with `score.weight` (heads × hidden) and
//! `score.bias` (heads), which PEFT does not look at. A `score.weight` that PEFT itself saved beside the adapter of a
//! sequence classifier is read as a head without bias.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::tensor_file::{self, Entry, TensorFile, Tensors};
use crate::{Architecture, Error, Linear, Lora, LoraShape, Problem, write_atomically};

const WEIGHTS: &str = "adapter_model.safetensors";
const CONFIG: &str = "adapter_config.json";
const HEADS: &str = "heads.safetensors";

/// Where PEFT's wrapper of a transformers model keeps the layers.
const PREFIX: &str = "base_model.model.model.";

/// What a PEFT folder says besides the parameters.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct PeftDetails {
    /// The model that the adapter belongs to, by the name or path it was trained with.
    pub base_model: Option<String>,
    /// Dropout rate of the training.
    pub dropout: f32,
}

/// The part of `adapter_config.json` that this crate writes. PEFT fills in the rest.
#[derive(Serialize)]
struct ConfigOut<'a> {
    peft_type: &'a str,
    task_type: &'a str,
    base_model_name_or_path: Option<&'a str>,
    r: usize,
    lora_alpha: serde_json::Number,
    lora_dropout: f32,
    target_modules: Vec<&'a str>,
    bias: &'a str,
    fan_in_fan_out: bool,
    inference_mode: bool,
    init_lora_weights: bool,
}

/// The part that is read: what is needed, and whatever would change the arithmetic.
#[derive(Deserialize)]
struct ConfigIn {
    peft_type: String,
    base_model_name_or_path: Option<String>,
    r: usize,
    lora_alpha: f32,
    #[serde(default)]
    lora_dropout: f32,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl Lora {
    /// Write the adapter to `folder`, which is made if need be; each file atomically, the weights last.
    ///
    /// Phi-3 keeps query, key and value in one matrix, and gate and up in another; PEFT has no name for a part of one, so
    /// adapters of those parts are [`Error::Unsupported`].
    pub fn save_peft(&self, folder: &Path, architecture: &Architecture, details: &PeftDetails) -> Result<(), Error> {
        if let Some(part) = self.shape.targets.iter().find(|&&linear| is_fused(architecture, linear)) {
            let feature = format!("an adapter of `{}`, which is part of a larger matrix in this model", part.name());
            return Err(Error::Unsupported { path: folder.to_owned(), feature });
        }
        std::fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_owned(), source })?;
        // PEFT declares a whole number; where ours is one, write it as one.
        let alpha = serde_json::Number::from_f64(f64::from(self.shape.alpha)).map(whole_if_possible);
        let alpha =
            alpha.ok_or(Error::NotFinite { quantity: "alpha of the adapter", value: f64::from(self.shape.alpha) })?;
        let config = ConfigOut {
            peft_type: "LORA",
            task_type: "CAUSAL_LM",
            base_model_name_or_path: details.base_model.as_deref(),
            r: self.shape.rank,
            lora_alpha: alpha,
            lora_dropout: details.dropout,
            target_modules: self.shape.targets.iter().map(|linear| linear.name()).collect(),
            bias: "none",
            fan_in_fan_out: false,
            inference_mode: true,
            init_lora_weights: true,
        };
        let path = folder.join(CONFIG);
        let config = serde_json::to_vec_pretty(&config)
            .map_err(|source| Error::Write { path: path.clone(), source: source.into() })?;
        write_atomically(&path, &config)?;
        if self.shape.heads > 0 {
            let weight = &self.parameters[self.shape.head_weight()];
            let weight = Entry::f32("score.weight", &[self.shape.heads, architecture.hidden], weight);
            let bias = Entry::f32("score.bias", &[self.shape.heads], &self.parameters[self.shape.head_bias()]);
            tensor_file::write(&folder.join(HEADS), &[weight, bias])?;
        }
        tensor_file::write(&folder.join(WEIGHTS), &self.entries())
    }

    fn entries(&self) -> Vec<Entry> {
        let rank = self.shape.rank;
        let pairs = self.shape.pairs().flat_map(|pair| {
            let name = |letter| key(PREFIX, pair.layer, pair.linear, letter);
            let b = transposed(&self.parameters[pair.b], rank, pair.outputs);
            let a = Entry::f32(name('A'), &[rank, pair.inputs], &self.parameters[pair.a]);
            [a, Entry::f32(name('B'), &[pair.outputs, rank], &b)]
        });
        pairs.collect()
    }

    /// Read the adapter in `folder`, made by this crate or by PEFT for a model of `architecture`.
    pub fn load_peft(folder: &Path, architecture: &Architecture) -> Result<(Lora, PeftDetails), Error> {
        let config = read_config(&folder.join(CONFIG))?;
        let file = TensorFile::read(&folder.join(WEIGHTS))?;
        let tensors = file.tensors()?;
        let found = find_pairs(&tensors, architecture, config.r)?;
        let heads = read_heads(folder, &tensors, architecture.hidden)?;

        let shape = LoraShape::new(architecture, config.r, config.lora_alpha, &found.targets, heads.count);
        let mut parameters = Vec::with_capacity(shape.len());
        for pair in shape.pairs() {
            let name = |letter| key(&found.prefix, pair.layer, pair.linear, letter);
            parameters.extend(tensors.f32(&name('A'), &[config.r, pair.inputs])?);
            let b = tensors.f32(&name('B'), &[pair.outputs, config.r])?;
            parameters.extend(transposed(&b, pair.outputs, config.r));
        }
        parameters.extend(heads.parameters);
        let details = PeftDetails { base_model: config.base_model_name_or_path, dropout: config.lora_dropout };
        Ok((Lora { shape, parameters, dropout: None }, details))
    }
}

fn whole_if_possible(number: serde_json::Number) -> serde_json::Number {
    match number.as_f64() {
        Some(value) if value.fract() == 0.0 && value.abs() < 1e9 => (value as i64).into(),
        _ => number,
    }
}

fn is_fused(architecture: &Architecture, linear: Linear) -> bool {
    architecture.family.starts_with("phi3") && !matches!(linear, Linear::O | Linear::Down)
}

/// Settings of PEFT that change what the two matrices mean. Each must be absent, null, false, empty or `"none"`.
const CHANGES_THE_ARITHMETIC: [&str; 16] = [
    "alora_invocation_tokens",
    "alpha_pattern",
    "arrow_config",
    "bias",
    "fan_in_fan_out",
    "kasa_config",
    "layer_replication",
    "layers_to_transform",
    "lora_bias",
    "rank_pattern",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
    "use_rslora",
];

/// Starts that also change the frozen weights, so that the adapter alone is not the trained model.
const CHANGES_THE_WEIGHTS: [&str; 5] = ["corda", "loftq", "lora_ga", "olora", "pissa"];

fn read_config(path: &Path) -> Result<ConfigIn, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let config: ConfigIn = serde_json::from_slice(&bytes)
        .map_err(|source| Error::Malformed { path: path.to_owned(), problem: Problem::Json { source } })?;
    let unsupported = |feature: String| Err(Error::Unsupported { path: path.to_owned(), feature });
    if config.peft_type != "LORA" {
        return unsupported(format!("`peft_type` {:?}", config.peft_type));
    }
    for setting in CHANGES_THE_ARITHMETIC {
        if let Some(value) = config.rest.get(setting).filter(|value| !is_neutral(value)) {
            return unsupported(format!("`{setting}`: {value}"));
        }
    }
    let start = config.rest.get("init_lora_weights").and_then(|value| value.as_str()).unwrap_or_default();
    if CHANGES_THE_WEIGHTS.iter().any(|method| start.starts_with(method)) {
        return unsupported(format!("`init_lora_weights`: \"{start}\", which also changes the base model"));
    }
    if config.r == 0 {
        let problem = Problem::Content("`r` must be at least 1, not 0".to_owned());
        return Err(Error::Malformed { path: path.to_owned(), problem });
    }
    Ok(config)
}

fn is_neutral(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text == "none",
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// Which maps the tensors of a folder adapt.
struct Found {
    /// What all names start with, up to `layers.`.
    prefix: String,
    targets: Vec<Linear>,
}

fn find_pairs(tensors: &Tensors, architecture: &Architecture, rank: usize) -> Result<Found, Error> {
    let mut prefixes = BTreeSet::new();
    let mut targets = BTreeSet::new();
    for name in tensors.names().into_iter().filter(|name| !is_head(name)) {
        let Some(place) = Place::parse(name) else {
            return Err(tensors.unsupported(format!("the tensor `{name}`")));
        };
        if place.layer >= architecture.layers {
            let problem = format!("tensor `{name}` is for layer {}, of {} layers", place.layer, architecture.layers);
            return Err(tensors.malformed(problem));
        }
        let (inputs, outputs) = architecture.dimensions(place.linear);
        // Shapes are checked here, all of them, so that sizes computed from the rank are bounded by the file's length.
        let shape = if place.letter == 'A' { [rank, inputs] } else { [outputs, rank] };
        tensors.expect_shape(name, &shape)?;
        prefixes.insert(place.prefix);
        targets.insert(place.linear);
    }
    if prefixes.len() > 1 {
        return Err(tensors.malformed(format!("tensors of several models: {prefixes:?}")));
    }
    let prefix = prefixes.into_iter().next().unwrap_or_default().to_owned();
    Ok(Found { prefix, targets: targets.into_iter().collect() })
}

/// What the name of an adapter's tensor says.
struct Place<'a> {
    prefix: &'a str,
    layer: usize,
    linear: Linear,
    letter: char,
}

impl Place<'_> {
    fn parse(name: &str) -> Option<Place<'_>> {
        let (prefix, rest) = name.split_at(name.find("layers.")?);
        let (layer, rest) = rest.strip_prefix("layers.")?.split_once('.')?;
        let (path, letter) = rest.strip_suffix(".weight")?.rsplit_once(".lora_")?;
        let linear = Linear::ALL.into_iter().find(|linear| linear.path() == path)?;
        let letter = match letter {
            "A" => 'A',
            "B" => 'B',
            _ => return None,
        };
        // Only the usual spelling of the number, so that no two names mean one place.
        let number = layer.parse().ok().filter(|number: &usize| number.to_string() == layer)?;
        Some(Place { prefix, layer: number, linear, letter })
    }
}

fn key(prefix: &str, layer: usize, linear: Linear, letter: char) -> String {
    format!("{prefix}layers.{layer}.{}.lora_{letter}.weight", linear.path())
}

/// The heads of a folder, weights before biases, as [`Lora`] keeps them.
#[derive(Default)]
struct Heads {
    count: usize,
    parameters: Vec<f32>,
}

fn is_head(name: &str) -> bool {
    name == "score.weight" || name.ends_with(".score.weight")
}

fn read_heads(folder: &Path, adapter: &Tensors, hidden: usize) -> Result<Heads, Error> {
    let path = folder.join(HEADS);
    if path.exists() {
        let file = TensorFile::read(&path)?;
        let tensors = file.tensors()?;
        let mut heads = head_weight(&tensors, "score.weight", hidden)?;
        heads.parameters.extend(tensors.f32("score.bias", &[heads.count])?);
        return Ok(heads);
    }
    let Some(name) = adapter.names().into_iter().find(|name| is_head(name)) else { return Ok(Heads::default()) };
    let mut heads = head_weight(adapter, name, hidden)?;
    heads.parameters.resize(heads.parameters.len() + heads.count, 0.0);
    Ok(heads)
}

fn head_weight(tensors: &Tensors, name: &str, hidden: usize) -> Result<Heads, Error> {
    let count = tensors.shape(name)?.first().copied().unwrap_or(0);
    Ok(Heads { count, parameters: tensors.f32(name, &[count, hidden])? })
}

/// The transpose of a row-major matrix.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}
