//! Small safetensors files that this crate writes itself: adapters and optimiser states.
//!
//! They are read whole; model weights, which are large, have their own reader.

use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::{Error, Problem, write_atomically};

/// A tensor to be written: name, shape, little-endian bytes.
pub(crate) struct Entry {
    pub(crate) name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Entry {
    /// An f32 tensor.
    pub(crate) fn f32(name: impl Into<String>, shape: &[usize], values: &[f32]) -> Entry {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Entry { name: name.into(), dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }

    /// A single u64.
    pub(crate) fn u64(name: impl Into<String>, value: u64) -> Entry {
        Entry { name: name.into(), dtype: Dtype::U64, shape: vec![1], bytes: value.to_le_bytes().to_vec() }
    }
}

/// Write `entries` to `path`, atomically; equal entries give equal bytes.
pub(crate) fn write(path: &Path, entries: &[Entry]) -> Result<(), Error> {
    let damaged = |source| malformed(path, source);
    let views: Vec<(&str, TensorView)> = entries
        .iter()
        .map(|entry| Ok((entry.name.as_str(), TensorView::new(entry.dtype, entry.shape.clone(), &entry.bytes)?)))
        .collect::<Result<_, _>>()
        .map_err(damaged)?;
    // Other readers want to know the framework whose layout the file follows. One key, so that its order cannot vary.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(damaged)?;
    write_atomically(path, &bytes)
}

/// The bytes of a file, with the path for messages.
pub(crate) struct TensorFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl TensorFile {
    pub(crate) fn read(path: &Path) -> Result<TensorFile, Error> {
        let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Ok(TensorFile { path: path.to_owned(), bytes })
    }

    /// Check the header against the length of the file, and give access to the tensors.
    pub(crate) fn tensors(&self) -> Result<Tensors<'_>, Error> {
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|source| malformed(&self.path, source))?;
        Ok(Tensors { path: &self.path, tensors })
    }
}

/// The tensors of a file.
pub(crate) struct Tensors<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
}

impl Tensors<'_> {
    /// All names, sorted.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names = self.tensors.names();
        names.sort_unstable();
        names
    }

    pub(crate) fn shape(&self, name: &str) -> Result<Vec<usize>, Error> {
        Ok(self.view(name)?.shape().to_vec())
    }

    pub(crate) fn expect_shape(&self, name: &str, shape: &[usize]) -> Result<(), Error> {
        let found = self.shape(name)?;
        if found == shape {
            return Ok(());
        }
        Err(self.malformed(format!("tensor `{name}` has shape {found:?}, not {shape:?}")))
    }

    /// A tensor of `shape`, row-major, as f32 whatever floating type it is stored in.
    pub(crate) fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        self.expect_shape(name, shape)?;
        let view = self.view(name)?;
        match view.dtype() {
            Dtype::F32 => Ok(view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()),
            Dtype::F16 => Ok(halves(&view).map(|bytes| half::f16::from_le_bytes(bytes).to_f32()).collect()),
            Dtype::BF16 => Ok(halves(&view).map(|bytes| half::bf16::from_le_bytes(bytes).to_f32()).collect()),
            other => Err(self.malformed(format!("tensor `{name}` holds {other}, not F32, F16 or BF16"))),
        }
    }

    pub(crate) fn u64(&self, name: &str) -> Result<u64, Error> {
        let view = self.view(name)?;
        match view.data().try_into() {
            Ok(bytes) if view.dtype() == Dtype::U64 => Ok(u64::from_le_bytes(bytes)),
            _ => Err(self.malformed(format!("tensor `{name}` is not a single U64"))),
        }
    }

    pub(crate) fn malformed(&self, problem: String) -> Error {
        Error::Malformed { path: self.path.to_owned(), problem: Problem::Content(problem) }
    }

    pub(crate) fn unsupported(&self, feature: String) -> Error {
        Error::Unsupported { path: self.path.to_owned(), feature }
    }

    fn view(&self, name: &str) -> Result<TensorView<'_>, Error> {
        self.tensors.tensor(name).map_err(|_| self.malformed(format!("tensor `{name}` is missing")))
    }
}

fn halves<'a>(view: &TensorView<'a>) -> impl Iterator<Item = [u8; 2]> + use<'a> {
    view.data().as_chunks().0.iter().copied()
}

fn malformed(path: &Path, source: safetensors::SafeTensorError) -> Error {
    Error::Malformed { path: path.to_owned(), problem: Problem::Safetensors { source } }
}
