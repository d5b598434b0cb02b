//! The golden data of `tools/golden` (see its README) and how results are compared with it.

use std::path::{Path, PathBuf};

use lm::{Architecture, Group, Lora, Token};
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
    groups: Vec<GoldenGroup>,
    pub(crate) adapter_logps: Ragged,
    pub(crate) adapter_logps_tempered: Ragged,
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
}

fn words(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    bytes.as_chunks::<4>().0.iter().copied()
}

/// The committed adapter of a tiny model.
pub(crate) fn adapter(name: &str, architecture: &Architecture) -> Lora {
    Lora::load_peft(&model_folder(name).join("adapter"), architecture).unwrap().0
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
