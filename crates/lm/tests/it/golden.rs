//! The golden data of `tools/golden` (see its README) and how results are compared with it.

use std::path::{Path, PathBuf};

use lm::{Architecture, Group, Linear, Lora, LoraShape, Token};
use safetensors::SafeTensors;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Every architecture, as a tiny random model.
pub(crate) const TINY: [&str; 7] = ["llama", "llama3", "qwen2", "qwen3", "gemma3", "phi3", "phi3-longrope"];

/// Values over groups, continuations and tokens.
pub(crate) type Ragged = Vec<Vec<Vec<f32>>>;

pub(crate) fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

pub(crate) fn model_folder(name: &str) -> PathBuf {
    testdata().join("models").join(name)
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `golden.json` of a tiny model.
#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) sequences: Vec<ScoredSequence>,
    pub(crate) temperature: f32,
    pub(crate) heads: usize,
    groups: Vec<GoldenGroup>,
    pub(crate) base_logps: Ragged,
    pub(crate) adapter_logps: Ragged,
    pub(crate) adapter_logps_tempered: Ragged,
    pub(crate) values: Vec<Vec<Vec<Vec<f32>>>>,
    pub(crate) d_logps: Ragged,
    pub(crate) d_values: Vec<Vec<Vec<Vec<f32>>>>,
}

/// A whole sequence and the log-probability of each of its tokens but the first.
#[derive(Deserialize)]
pub(crate) struct ScoredSequence {
    pub(crate) tokens: Vec<Token>,
    pub(crate) logps: Vec<f32>,
}

#[derive(Deserialize)]
struct GoldenGroup {
    prefix: Vec<Token>,
    continuations: Vec<Vec<Token>>,
}

impl Golden {
    pub(crate) fn read(name: &str) -> Golden {
        read_json(&model_folder(name).join("golden.json"))
    }

    pub(crate) fn groups(&self) -> Vec<Group> {
        let group =
            |group: &GoldenGroup| Group { prefix: group.prefix.clone(), continuations: group.continuations.clone() };
        self.groups.iter().map(group).collect()
    }
}

/// A safetensors file of f32 tensors.
pub(crate) struct Tensors(Vec<u8>);

impl Tensors {
    pub(crate) fn read(path: &Path) -> Tensors {
        Tensors(std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    pub(crate) fn of(name: &str) -> Tensors {
        Tensors::read(&model_folder(name).join("golden.safetensors"))
    }

    pub(crate) fn get(&self, name: &str) -> Vec<f32> {
        words(SafeTensors::deserialize(&self.0).unwrap().tensor(name).unwrap().data()).map(f32::from_le_bytes).collect()
    }

    pub(crate) fn integers(&self, name: &str) -> Vec<Token> {
        words(SafeTensors::deserialize(&self.0).unwrap().tensor(name).unwrap().data()).map(u32::from_le_bytes).collect()
    }

    /// Gradients of `kind` in the layout of `shape`; the heads' only if it has heads.
    pub(crate) fn gradient(&self, kind: &str, shape: &LoraShape) -> Vec<f32> {
        let mut flat = vec![0.0; shape.len()];
        for layer in 0..shape.layers() {
            for linear in Linear::ALL {
                let (Some(a), Some(b)) = (shape.a(layer, linear), shape.b(layer, linear)) else { continue };
                let name = format!("gradient.{kind}.base_model.model.model.layers.{layer}.{}.lora_", linear.path());
                flat[a].copy_from_slice(&self.get(&format!("{name}A.weight")));
                flat[b].copy_from_slice(&transposed(&self.get(&format!("{name}B.weight")), shape.rank));
            }
        }
        if shape.heads > 0 {
            flat[shape.head_weight()].copy_from_slice(&self.get(&format!("gradient.{kind}.head.weight")));
            flat[shape.head_bias()].copy_from_slice(&self.get(&format!("gradient.{kind}.head.bias")));
        }
        flat
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    bytes.as_chunks::<4>().0.iter().copied()
}

/// PEFT's B, outputs × rank, as this crate keeps it.
pub(crate) fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns;
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

/// The committed adapter of a tiny model, with the golden heads or without any.
pub(crate) fn adapter(name: &str, architecture: &Architecture, with_heads: bool) -> Lora {
    let (lora, _) = Lora::load_peft(&model_folder(name).join("adapter"), architecture).unwrap();
    if !with_heads {
        return lora;
    }
    let heads = Golden::read(name).heads;
    let shape = LoraShape::new(architecture, lora.shape.rank, lora.shape.alpha, &Linear::ALL, heads);
    let tensors = Tensors::of(name);
    let mut parameters = lora.parameters;
    parameters.extend(tensors.get("head.weight"));
    parameters.extend(tensors.get("head.bias"));
    assert_eq!(parameters.len(), shape.len());
    Lora { shape, parameters, dropout: None }
}

/// The largest absolute difference, over equal shapes.
pub(crate) fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max)
}

/// [`difference`] over groups, continuations and tokens.
pub(crate) fn ragged_difference(found: &Ragged, expected: &Ragged) -> f32 {
    let lengths = |ragged: &Ragged| -> Vec<Vec<usize>> {
        ragged.iter().map(|group| group.iter().map(Vec::len).collect()).collect()
    };
    assert_eq!(lengths(found), lengths(expected));
    difference(&found.concat().concat(), &expected.concat().concat())
}

/// ‖found − expected‖ / ‖expected‖.
pub(crate) fn relative_difference(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let differences = &mut found.iter().zip(expected).map(|(found, expected)| f64::from(found - expected));
    norm(differences) / norm(&mut expected.iter().copied().map(f64::from)).max(1e-30)
}
