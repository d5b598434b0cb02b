//! Folders as transformers writes them: `config.json`, `*.safetensors`, `tokenizer.json` and their companions.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::Deserialize;

use super::config::{read_json, read_limited};
use crate::error::{Fault, Problem};
use crate::tokenizer::{Tokenizer, TokenizerSettings};
use crate::{Architecture, Error, Token};

/// The header of a safetensors file; the format's own limit.
const HEADER_LIMIT: u64 = 100_000_000;
const TOKENIZER_LIMIT: u64 = 256 << 20;
const TEMPLATE_LIMIT: u64 = 1 << 20;

/// An opened folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    shards: Vec<Shard>,
    tensors: HashMap<String, StoredTensor>,
    tokenizer_config: TokenizerConfig,
}

#[derive(Debug)]
struct Shard {
    file: Mutex<File>,
    length: u64,
}

#[derive(Debug)]
struct StoredTensor {
    shard: usize,
    shape: Vec<usize>,
    format: Format,
    start: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    F32,
    F16,
    Bf16,
}

/// What this crate reads of `tokenizer_config.json`.
#[derive(Debug, Default, Deserialize)]
struct TokenizerConfig {
    chat_template: Option<TemplateField>,
    bos_token: Option<TokenField>,
    eos_token: Option<TokenField>,
}

/// One template, or several with names.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum TemplateField {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Debug, Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

/// A special token as its text, or as an object that has it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum TokenField {
    Text(String),
    Object { content: String },
}

/// One id or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Ids {
    One(u64),
    Many(Vec<u64>),
}

#[derive(Debug, Default, Deserialize)]
struct Endings {
    eos_token_id: Option<Ids>,
}

#[derive(Debug, Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

/// The one GGUF file in a folder, or the folder itself if it has a `config.json`.
pub(super) fn model_inside(folder: &Path) -> Result<PathBuf, Error> {
    if folder.join("config.json").is_file() {
        return Ok(folder.to_path_buf());
    }
    let mut ggufs = with_extension(folder, "gguf")?;
    match (ggufs.pop(), ggufs.len()) {
        (Some(file), 0) => Ok(file),
        (None, _) => Err(folder_problem(folder, "it holds neither".to_owned())),
        (Some(_), more) => Err(folder_problem(folder, format!("it holds {} GGUF files", more + 1))),
    }
}

fn folder_problem(folder: &Path, found: String) -> Error {
    Error::Malformed { path: folder.to_path_buf(), problem: Problem::Folder { found } }
}

/// Files with an extension, sorted by name.
fn with_extension(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Error> {
    let read = |source| Error::Read { path: folder.to_path_buf(), source };
    let entries = std::fs::read_dir(folder).map_err(read)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(read)?;
    let matches = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    let mut paths: Vec<PathBuf> = paths.into_iter().filter(matches).collect();
    paths.sort();
    Ok(paths)
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Folder, Error> {
        let mut folder = Folder {
            path: path.to_path_buf(),
            shards: Vec::new(),
            tensors: HashMap::new(),
            tokenizer_config: read_optional(&path.join("tokenizer_config.json"))?.unwrap_or_default(),
        };
        for file in weight_files(path)? {
            folder.add_shard(&file).map_err(|fault| fault.at(&file))?;
        }
        Ok(folder)
    }

    fn add_shard(&mut self, path: &Path) -> Result<(), Fault> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let header = read_header(&mut file, length)?;
        // Parsing makes shapes, types and offsets agree and leaves no gaps between tensors.
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|source| Problem::Json { source })?;
        let data_start = 8 + header.len() as u64;
        for (name, info) in metadata.tensors() {
            let format = match info.dtype {
                Dtype::F32 => Format::F32,
                Dtype::F16 => Format::F16,
                Dtype::BF16 => Format::Bf16,
                other => return Err(Fault::unsupported(format!("the tensor type {other:?} (`{name}`)"))),
            };
            let (from, to) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
            let available = length - data_start;
            if to > available {
                let what = format!("the tensor `{name}`");
                return Err(
                    Problem::Truncated { what, needed: to - from, available: available.saturating_sub(from) }.into()
                );
            }
            let stored =
                StoredTensor { shard: self.shards.len(), shape: info.shape.clone(), format, start: data_start + from };
            if self.tensors.insert(name.clone(), stored).is_some() {
                return Err(Problem::Duplicate { what: "the tensor", name }.into());
            }
        }
        self.shards.push(Shard { file: Mutex::new(file), length });
        Ok(())
    }

    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// How every tensor is stored and how many values it has.
    pub(super) fn contents(&self) -> Vec<(String, usize)> {
        let name = |format| match format {
            Format::F32 => "F32",
            Format::F16 => "F16",
            Format::Bf16 => "BF16",
        };
        let tensors = self.tensors.values();
        tensors.map(|tensor| (name(tensor.format).to_owned(), tensor.shape.iter().product())).collect()
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.length).sum()
    }

    /// The values of a tensor, or of a range of its rows, as f32.
    pub(super) fn read(&self, name: &str, rows: Option<Range<usize>>) -> Result<Vec<f32>, Fault> {
        let missing = || Problem::MissingTensor { name: name.to_owned() };
        let tensor = self.tensors.get(name).ok_or_else(missing)?;
        let (first, rest) = tensor.shape.split_first().map_or((1, &[][..]), |(first, rest)| (*first, rest));
        let rows = rows.unwrap_or(0..first);
        if rows.start > rows.end || rows.end > first {
            return Err(Fault::number(format!("a row of `{name}`"), rows.end as i128, format!("it has {first}")));
        }
        let row_values: usize = rest.iter().product();
        let width = if tensor.format == Format::F32 { 4 } else { 2 };
        let mut bytes = vec![0; rows.len() * row_values * width];
        {
            let mut file = self.shards[tensor.shard].file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(tensor.start + (rows.start * row_values * width) as u64))?;
            file.read_exact(&mut bytes)?;
        }
        Ok(match tensor.format {
            Format::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Format::F16 => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            Format::Bf16 => bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        })
    }

    pub(super) fn tokenizer(&self, architecture: &Architecture) -> Result<Tokenizer, Error> {
        let path = self.path.join("tokenizer.json");
        let json = read_limited(&path, TOKENIZER_LIMIT)?;
        let text = |field: &Option<TokenField>| match field {
            Some(TokenField::Text(text) | TokenField::Object { content: text }) => Some(text.clone()),
            None => None,
        };
        let settings = TokenizerSettings {
            bos: text(&self.tokenizer_config.bos_token),
            eos: text(&self.tokenizer_config.eos_token),
            vocabulary: architecture.vocabulary,
        };
        Tokenizer::from_json(&json, &settings).map_err(|fault| fault.at(&path))
    }

    /// The template in its own file, or the one in `tokenizer_config.json`.
    pub(super) fn chat_template(&self) -> Result<Option<String>, Error> {
        let path = self.path.join("chat_template.jinja");
        if path.is_file() {
            return read_limited(&path, TEMPLATE_LIMIT).map(Some);
        }
        Ok(match &self.tokenizer_config.chat_template {
            None => None,
            Some(TemplateField::One(template)) => Some(template.clone()),
            Some(TemplateField::Named(list)) => {
                list.iter().find(|entry| entry.name == "default").map(|entry| entry.template.clone())
            }
        })
    }

    /// End tokens of `config.json` and `generation_config.json`; unreadable files name none.
    pub(super) fn stop_tokens(&self) -> Vec<Token> {
        let mut ids = Vec::new();
        for name in ["config.json", "generation_config.json"] {
            let endings = read_optional::<Endings>(&self.path.join(name)).ok().flatten().unwrap_or_default();
            match endings.eos_token_id {
                Some(Ids::One(id)) => ids.push(id),
                Some(Ids::Many(many)) => ids.extend(many),
                None => {}
            }
        }
        ids.into_iter().filter_map(|id| Token::try_from(id).ok()).collect()
    }

    /// The folder's name.
    pub(super) fn name(&self) -> Option<String> {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned())
    }

    /// The `license:` line at the top of `README.md`, where model cards have it.
    pub(super) fn licence(&self) -> Option<String> {
        let card = read_limited(&self.path.join("README.md"), TEMPLATE_LIMIT).ok()?;
        let mut lines = card.lines();
        lines.next().filter(|line| line.trim() == "---")?;
        let header = lines.take_while(|line| line.trim() != "---");
        header.filter_map(|line| line.strip_prefix("license:")).map(|licence| licence.trim().to_owned()).next()
    }
}

/// `model.safetensors`, or the files its index names, or all there are.
fn weight_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let (single, index) = (folder.join("model.safetensors"), folder.join("model.safetensors.index.json"));
    if single.is_file() {
        return Ok(vec![single]);
    }
    if !index.is_file() {
        let files = with_extension(folder, "safetensors")?;
        return if files.is_empty() {
            Err(folder_problem(folder, "it has no *.safetensors".to_owned()))
        } else {
            Ok(files)
        };
    }
    let map: Index = read_json(&index)?;
    let names: BTreeSet<&String> = map.weight_map.values().collect();
    // A name with a separator could lead out of the folder.
    let leads_out = |name: &&&String| Path::new(name.as_str()).file_name().is_none_or(|file| file != name.as_str());
    if let Some(name) = names.iter().find(leads_out) {
        return Err(Fault::key("weight_map", "file names in the same folder", format!("`{name}`")).at(&index));
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// A JSON file that may be absent.
fn read_optional<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    if path.is_file() { read_json(path).map(Some) } else { Ok(None) }
}

/// The header of a safetensors file, checked against the file before it is allocated.
fn read_header(file: &mut File, length: u64) -> Result<Vec<u8>, Fault> {
    let short = |what: &str, needed, available| Problem::Truncated { what: what.to_owned(), needed, available };
    if length < 8 {
        return Err(short("the header's length", 8, length).into());
    }
    let mut field = [0; 8];
    file.read_exact(&mut field)?;
    let header = u64::from_le_bytes(field);
    if header > length - 8 {
        return Err(short("the header", header, length - 8).into());
    }
    if header > HEADER_LIMIT {
        return Err(Fault::number("the header's length", header, format!("the limit is {HEADER_LIMIT}")));
    }
    let mut bytes = vec![0; header as usize];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}
