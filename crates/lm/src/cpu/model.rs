//! Frozen weights, packed once for the kernels.

use kernel::{CacheNumbers, Pool, Precision, RmsNorm, Weight};

use crate::{Architecture, Checkpoint, Error, LayerTensor, Linear, Problem, TensorId, Token};

/// Vocabulary rows in one block of a [`Table`]: the unit in which the head streams over the vocabulary. Fixed, because
/// log-sums are merged block by block and their bits must not depend on the batch.
pub(super) const VOCABULARY_BLOCK: usize = 1536;

/// All weights of one model in one precision.
pub(super) struct Model {
    pub(super) architecture: Architecture,
    pub(super) precision: Precision,
    pub(super) layers: Vec<Layer>,
    final_norm: Vec<f32>,
    pub(super) head: Table,
    /// `None` when the head's table is the embedding too.
    embedding: Option<Table>,
}

/// One transformer layer.
pub(super) struct Layer {
    linears: Vec<LinearMap>,
    pub(super) attention_norm: Vec<f32>,
    pub(super) feed_forward_norm: Vec<f32>,
    pub(super) post_attention_norm: Option<Vec<f32>>,
    pub(super) post_feed_forward_norm: Option<Vec<f32>>,
    pub(super) query_norm: Option<Vec<f32>>,
    pub(super) key_norm: Option<Vec<f32>>,
}

/// y = W x + b.
pub(super) struct LinearMap {
    pub(super) forward: Weight,
    /// W packed the other way round, for input gradients; built when the first tape is asked for.
    pub(super) transposed: Option<Weight>,
    pub(super) bias: Option<Vec<f32>>,
}

/// A (vocabulary × hidden) matrix in blocks of [`VOCABULARY_BLOCK`] rows.
pub(super) struct Table {
    pub(super) blocks: Vec<Weight>,
    /// Per block (hidden × rows), for the expected embedding; built with the other transposed weights.
    pub(super) transposed: Vec<Weight>,
}

impl Model {
    /// Read every tensor of `checkpoint` and pack it; `progress` hears (layers done, layers in all).
    pub(super) fn load(
        pool: &Pool,
        checkpoint: &Checkpoint,
        precision: Precision,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Model, Error> {
        let architecture = checkpoint.architecture().clone();
        let (hidden, vocabulary) = (architecture.hidden, architecture.vocabulary);
        let required = |id: TensorId| required(checkpoint, id);
        let embedding = Table::pack(pool, &required(TensorId::Embedding)?, vocabulary, hidden, precision);
        let (head, embedding) = if architecture.tied_head {
            (embedding, None)
        } else {
            (Table::pack(pool, &required(TensorId::Head)?, vocabulary, hidden, precision), Some(embedding))
        };
        let mut layers = Vec::with_capacity(architecture.layers);
        for index in 0..architecture.layers {
            progress(index, architecture.layers);
            layers.push(Layer::load(pool, checkpoint, index, precision)?);
        }
        progress(architecture.layers, architecture.layers);
        let final_norm = required(TensorId::FinalNorm)?;
        Ok(Model { architecture, precision, layers, final_norm, head, embedding })
    }

    /// How keys and values are cached, in sampling and in scoring alike, so that both see the same ones: as f32 where
    /// products are f32, as bf16 elsewhere.
    pub(super) fn cache_numbers(&self) -> CacheNumbers {
        match self.precision {
            Precision::F32 => CacheNumbers::F32,
            Precision::Bf16 | Precision::Int8 => CacheNumbers::Bf16,
        }
    }

    /// The norm before the head.
    pub(super) fn last_norm(&self) -> RmsNorm<'_> {
        RmsNorm { weight: &self.final_norm, epsilon: self.architecture.norm_epsilon }
    }

    /// Write the (scaled) embedding of one token.
    pub(super) fn embed(&self, token: Token, out: &mut [f32]) {
        self.embedding.as_ref().unwrap_or(&self.head).row(token as usize, out);
        if self.architecture.embedding_scale != 1.0 {
            for value in out {
                *value *= self.architecture.embedding_scale;
            }
        }
    }

    /// Make sure that the transposed weights which gradients need exist.
    pub(super) fn prepare_backward(&mut self, pool: &Pool) {
        let precision = self.precision;
        for linear in self.layers.iter_mut().flat_map(|layer| &mut layer.linears) {
            if linear.transposed.is_none() {
                linear.transposed = Some(transpose(pool, &linear.forward, precision));
            }
        }
        if self.head.transposed.is_empty() {
            self.head.transposed = self.head.blocks.iter().map(|block| transpose(pool, block, precision)).collect();
        }
    }

    /// Bytes of packed weights.
    pub(super) fn bytes(&self) -> usize {
        let linears = self.layers.iter().flat_map(|layer| &layer.linears);
        let linears = linears.map(|map| map.forward.bytes() + map.transposed.as_ref().map_or(0, Weight::bytes));
        linears.sum::<usize>() + self.head.bytes() + self.embedding.as_ref().map_or(0, Table::bytes)
    }
}

impl Layer {
    fn load(pool: &Pool, checkpoint: &Checkpoint, index: usize, precision: Precision) -> Result<Layer, Error> {
        let architecture = checkpoint.architecture();
        let optional = |tensor| checkpoint.tensor(TensorId::Layer(index, tensor));
        let required = |tensor| required(checkpoint, TensorId::Layer(index, tensor));
        let when = |wanted: bool, tensor| if wanted { required(tensor).map(Some) } else { Ok(None) };
        let mut linears = Vec::with_capacity(Linear::ALL.len());
        for linear in Linear::ALL {
            let (inputs, outputs) = architecture.dimensions(linear);
            let source = required(LayerTensor::Weight(linear))?;
            let forward = Weight::pack(pool, &source, outputs, inputs, precision);
            linears.push(LinearMap { forward, transposed: None, bias: optional(LayerTensor::Bias(linear))? });
        }
        Ok(Layer {
            linears,
            attention_norm: required(LayerTensor::AttentionNorm)?,
            feed_forward_norm: required(LayerTensor::FeedForwardNorm)?,
            post_attention_norm: when(architecture.post_norms, LayerTensor::PostAttentionNorm)?,
            post_feed_forward_norm: when(architecture.post_norms, LayerTensor::PostFeedForwardNorm)?,
            query_norm: when(architecture.query_key_norm, LayerTensor::QueryNorm)?,
            key_norm: when(architecture.query_key_norm, LayerTensor::KeyNorm)?,
        })
    }

    pub(super) fn linear(&self, linear: Linear) -> &LinearMap {
        &self.linears[linear as usize]
    }
}

impl Table {
    fn pack(pool: &Pool, source: &[f32], rows: usize, columns: usize, precision: Precision) -> Table {
        let pack = |block: &[f32]| Weight::pack(pool, block, block.len() / columns, columns, precision);
        debug_assert_eq!(source.len(), rows * columns);
        Table { blocks: source.chunks(VOCABULARY_BLOCK * columns).map(pack).collect(), transposed: Vec::new() }
    }

    /// Write one row.
    pub(super) fn row(&self, index: usize, out: &mut [f32]) {
        self.blocks[index / VOCABULARY_BLOCK].row(index % VOCABULARY_BLOCK, out);
    }

    fn bytes(&self) -> usize {
        self.blocks.iter().chain(&self.transposed).map(Weight::bytes).sum()
    }
}

/// A tensor that the architecture cannot do without.
fn required(checkpoint: &Checkpoint, id: TensorId) -> Result<Vec<f32>, Error> {
    checkpoint.tensor(id)?.ok_or_else(|| Error::Malformed {
        path: checkpoint.path().to_path_buf(),
        problem: Problem::MissingTensor { name: format!("{id:?}") },
    })
}

fn transpose(pool: &Pool, weight: &Weight, precision: Precision) -> Weight {
    let (outputs, inputs) = (weight.outputs(), weight.inputs());
    let mut source = vec![0.0; outputs * inputs];
    for (index, row) in source.chunks_mut(inputs).enumerate() {
        weight.row(index, row);
    }
    // The rows of W become the inputs of Wᵀ.
    Weight::pack_transposed(pool, &source, inputs, outputs, precision)
}
