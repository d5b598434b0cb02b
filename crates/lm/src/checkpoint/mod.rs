//! Model files of any supported format behind one interface: an [`Architecture`], tensors by [`TensorId`] in one
//! canonical form, the tokenizer and the chat template.

mod config;
mod folder;
mod from_config;
mod from_gguf;
mod names;
mod rotary;
mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::chat::ChatTemplate;
use crate::error::{Fault, Problem};
use crate::gguf::Gguf;
use crate::tokenizer::Tokenizer;
use crate::{Architecture, Error, Linear, Token};
use folder::Folder;
use names::{Naming, Place};

/// An opened model file or folder. Weights stay on disk until [`Checkpoint::tensor`] asks for them.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    architecture: Architecture,
    naming: Naming,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Gguf(Gguf),
    Folder(Folder),
}

/// One tensor of a decoder-only transformer, whatever its file calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TensorId {
    /// Token embeddings, vocabulary × hidden.
    Embedding,
    /// The norm before the head, hidden.
    FinalNorm,
    /// The output matrix, vocabulary × hidden; absent when it is the embedding matrix.
    Head,
    /// A tensor of one layer, counted from 0.
    Layer(usize, LayerTensor),
}

/// One tensor of a layer. Norm weights are the factors themselves: Gemma's `1 + weight` is already added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LayerTensor {
    /// A linear map, outputs × inputs.
    Weight(Linear),
    /// A linear map's bias, outputs; absent in most families.
    Bias(Linear),
    /// The norm before attention, hidden.
    AttentionNorm,
    /// The norm before the feed-forward layer, hidden.
    FeedForwardNorm,
    /// The norm of attention's output, hidden ([`Architecture::post_norms`]).
    PostAttentionNorm,
    /// The norm of the feed-forward layer's output, hidden ([`Architecture::post_norms`]).
    PostFeedForwardNorm,
    /// The norm of each query head, head_dim ([`Architecture::query_key_norm`]).
    QueryNorm,
    /// The norm of each key head, head_dim ([`Architecture::query_key_norm`]).
    KeyNorm,
}

/// What `model show` tells about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// `GGUF` or `safetensors`.
    pub format: &'static str,
    /// The model's own name, when its files have one.
    pub name: Option<String>,
    /// The licence, when the files name one.
    pub licence: Option<String>,
    /// Number of weights, counting a tied head once.
    pub parameters: u64,
    /// For every way numbers are stored (`Q4_1`, `BF16`, …): how many tensors and how many values.
    pub storage: BTreeMap<String, (u64, u64)>,
    /// Bytes of all files with weights.
    pub file_bytes: u64,
    /// Whether the files hold a chat template.
    pub chat_template: bool,
}

impl Checkpoint {
    /// Opens a `.gguf` file, a folder with `config.json` and `*.safetensors`, or a folder with exactly one GGUF file.
    ///
    /// Every tensor the architecture needs is known to be there in its right shape when this returns.
    pub fn open(path: &Path) -> Result<Checkpoint, Error> {
        let path = if path.is_dir() { folder::model_inside(path)? } else { path.to_path_buf() };
        let (architecture, source) = if path.is_dir() {
            let folder = Folder::open(&path)?;
            let config = config::Config::read(&path.join("config.json"))?;
            (
                from_config::architecture(&config).map_err(|fault| fault.at(&path.join("config.json")))?,
                Source::Folder(folder),
            )
        } else {
            let gguf = Gguf::open(&path).map_err(|fault| fault.at(&path))?;
            (from_gguf::architecture(&gguf).map_err(|fault| fault.at(&path))?, Source::Gguf(gguf))
        };
        let checkpoint = Checkpoint { naming: source.naming(&architecture), path, architecture, source };
        checkpoint.check_tensors().map_err(|fault| fault.at(&checkpoint.path))?;
        Ok(checkpoint)
    }

    /// What the forward pass must know besides the weights.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The file or folder that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The values of one tensor as f32, row-major, outputs × inputs; `None` if this model has no such tensor.
    ///
    /// Whatever the file does is undone: quantisation, fused matrices, the rotary permutation of GGUF's llama files and
    /// Gemma's norm offset.
    pub fn tensor(&self, id: TensorId) -> Result<Option<Vec<f32>>, Error> {
        let Some(place) = self.naming.place(&self.architecture, id) else { return Ok(None) };
        let Some(shape) = self.source.shape(&place.name) else { return Ok(None) };
        let expected = place.file_shape(&self.architecture, id);
        let read = || {
            check_shape(&place.name, &expected, shape)?;
            self.source.read(&place)
        };
        let mut values = read().map_err(|fault| fault.at(&self.path))?;
        place.restore(&mut values, expected.last().copied().unwrap_or(1));
        Ok(Some(values))
    }

    /// The tokenizer of the file or folder.
    pub fn tokenizer(&self) -> Result<Tokenizer, Error> {
        match &self.source {
            Source::Gguf(gguf) => Tokenizer::from_gguf(gguf, &self.architecture).map_err(|fault| fault.at(&self.path)),
            Source::Folder(folder) => folder.tokenizer(&self.architecture),
        }
    }

    /// The model's chat template; `None` for base models.
    pub fn chat_template(&self) -> Result<Option<ChatTemplate>, Error> {
        let source = match &self.source {
            Source::Gguf(gguf) => {
                gguf.text("tokenizer.chat_template").map_err(|fault| fault.at(&self.path))?.map(str::to_owned)
            }
            Source::Folder(folder) => folder.chat_template()?,
        };
        let compile = |text: String| ChatTemplate::new(text).map_err(|fault| fault.at(&self.path));
        source.map(compile).transpose()
    }

    /// Tokens that end a text: the end-of-sequence tokens of all the model's files, and end-of-turn tokens.
    pub fn stop_tokens(&self) -> Vec<Token> {
        let mut tokens = match &self.source {
            Source::Gguf(gguf) => from_gguf::stop_tokens(gguf),
            Source::Folder(folder) => folder.stop_tokens(),
        };
        tokens.retain(|token| (*token as usize) < self.architecture.vocabulary);
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }

    /// What the file or folder holds, for people.
    pub fn summary(&self) -> Summary {
        let mut storage = BTreeMap::new();
        let mut parameters = 0;
        for (kind, elements) in self.source.contents() {
            let entry: &mut (u64, u64) = storage.entry(kind).or_default();
            *entry = (entry.0 + 1, entry.1 + elements as u64);
            parameters += elements as u64;
        }
        let (format, name, licence, file_bytes, chat_template) = match &self.source {
            Source::Gguf(gguf) => {
                let text = |key| gguf.text(key).ok().flatten().map(str::to_owned);
                let template = gguf.contains_key("tokenizer.chat_template");
                ("GGUF", text("general.name"), text("general.license"), gguf.file_bytes(), template)
            }
            Source::Folder(folder) => {
                let template = folder.chat_template().is_ok_and(|template| template.is_some());
                ("safetensors", folder.name(), folder.licence(), folder.file_bytes(), template)
            }
        };
        Summary { format, name, licence, parameters, storage, file_bytes, chat_template }
    }

    /// Every tensor this model must have, whatever the file says about it.
    fn required(&self) -> impl Iterator<Item = TensorId> {
        let architecture = &self.architecture;
        let mut layer = vec![LayerTensor::AttentionNorm, LayerTensor::FeedForwardNorm];
        layer.extend(Linear::ALL.map(LayerTensor::Weight));
        layer.extend(Linear::ALL.map(LayerTensor::Bias).into_iter().filter(|bias| self.has_bias(*bias)));
        if architecture.query_key_norm {
            layer.extend([LayerTensor::QueryNorm, LayerTensor::KeyNorm]);
        }
        if architecture.post_norms {
            layer.extend([LayerTensor::PostAttentionNorm, LayerTensor::PostFeedForwardNorm]);
        }
        let head = (!architecture.tied_head).then_some(TensorId::Head);
        let layers = (0..architecture.layers)
            .flat_map(move |index| layer.clone().into_iter().map(move |tensor| TensorId::Layer(index, tensor)));
        [TensorId::Embedding, TensorId::FinalNorm].into_iter().chain(head).chain(layers)
    }

    /// A bias is needed in every layer if the first has it, and by Qwen2 for queries, keys and values.
    fn has_bias(&self, bias: LayerTensor) -> bool {
        let qwen2 = self.architecture.family == "qwen2";
        let always = qwen2 && matches!(bias, LayerTensor::Bias(Linear::Q | Linear::K | Linear::V));
        let place = self.naming.place(&self.architecture, TensorId::Layer(0, bias));
        always || place.is_some_and(|place| self.source.shape(&place.name).is_some())
    }

    fn check_tensors(&self) -> Result<(), Fault> {
        let mut known = std::collections::HashSet::new();
        for id in self.required() {
            let place = self.naming.place(&self.architecture, id);
            let place = place.ok_or_else(|| Fault::unsupported(format!("{id:?} in this family")))?;
            let missing = || Problem::MissingTensor { name: place.name.clone() };
            let shape = self.source.shape(&place.name).ok_or_else(missing)?;
            check_shape(&place.name, &place.file_shape(&self.architecture, id), shape)?;
            known.insert(place.name);
        }
        let stranger = self.source.names().find(|name| self.naming.is_of_a_layer(name) && !known.contains(*name));
        match stranger {
            Some(name) => Err(Fault::unsupported(format!("the tensor `{name}`"))),
            None => Ok(()),
        }
    }
}

impl Source {
    fn naming(&self, architecture: &Architecture) -> Naming {
        match self {
            Source::Gguf(_) => Naming::gguf(architecture),
            Source::Folder(folder) => Naming::transformers(architecture, |name| folder.shape(name).is_some()),
        }
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        match self {
            Source::Gguf(gguf) => gguf.tensors().get(name).map(|info| info.shape.as_slice()),
            Source::Folder(folder) => folder.shape(name),
        }
    }

    fn read(&self, place: &Place) -> Result<Vec<f32>, Fault> {
        match self {
            Source::Gguf(gguf) => gguf.read(&place.name, place.rows.clone()),
            Source::Folder(folder) => folder.read(&place.name, place.rows.clone()),
        }
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Source::Gguf(gguf) => Box::new(gguf.tensors().keys().map(String::as_str)),
            Source::Folder(folder) => Box::new(folder.names()),
        }
    }

    /// How every tensor is stored and how many values it has.
    fn contents(&self) -> Vec<(String, usize)> {
        match self {
            Source::Gguf(gguf) => {
                gguf.tensors().values().map(|info| (info.quantisation.to_string(), info.elements())).collect()
            }
            Source::Folder(folder) => folder.contents(),
        }
    }
}

fn check_shape(name: &str, expected: &[usize], found: &[usize]) -> Result<(), Fault> {
    if expected == found {
        return Ok(());
    }
    let (name, expected, found) = (name.to_owned(), expected.to_vec(), found.to_vec());
    Err(Problem::Shape { name, expected, found }.into())
}

#[cfg(test)]
mod tests;
