//! The forward pass of one layer over a packed batch.

use kernel::{AttentionShape, CacheNumbers, Direction, Gated, Pool, RmsNorm, RotaryTable};

use super::adapter::{Fan, Into, Maps, PackedLora, Packing};
use super::batch::{Batch, KvStore};
use super::model::Model;
use crate::{Activation, Architecture};

/// Everything a layer computes for the rows of a batch; m rows each. Backward reads it after a forward pass of the same
/// layer, or after a tape restored it.
#[derive(Default)]
pub(super) struct Activations {
    /// Residual stream at the layer's entry, between its two halves, and at its exit (m × hidden).
    pub(super) entry: Vec<f32>,
    pub(super) middle: Vec<f32>,
    pub(super) exit: Vec<f32>,
    /// Queries and keys before their norm; empty unless the architecture has one.
    pub(super) raw_queries: Vec<f32>,
    pub(super) raw_keys: Vec<f32>,
    /// After norm and rotary embedding; keys and values as the caches hold them.
    pub(super) queries: Vec<f32>,
    pub(super) keys: Vec<f32>,
    pub(super) values: Vec<f32>,
    pub(super) attended: Vec<f32>,
    /// log Σ exp of the attention scores (m × heads).
    pub(super) log_sums: Vec<f32>,
    pub(super) gate: Vec<f32>,
    pub(super) up: Vec<f32>,
    /// Outputs of attention and of the feed-forward layer before their post-norms; empty unless there are any.
    pub(super) attention_out: Vec<f32>,
    pub(super) feed_forward_out: Vec<f32>,
    /// A x of each [`Fan`].
    pub(super) u: [Vec<f32>; 4],
    /// Recomputed rather than kept: the input of the linear map at hand.
    pub(super) normed: Vec<f32>,
    pub(super) gated: Vec<f32>,
}

/// Cosines and sines for a batch's positions: of layers that see everything, and of sliding-window layers.
pub(super) struct Rotations {
    whole: RotaryTable,
    sliding: Option<RotaryTable>,
}

impl Rotations {
    fn new(pool: &Pool, architecture: &Architecture, positions: &[usize]) -> Rotations {
        let table = |rotary: &crate::Rotary| RotaryTable::new(pool, positions, &rotary.frequencies, rotary.magnitude);
        Rotations {
            whole: table(&architecture.rotary),
            sliding: architecture.window.as_ref().map(|window| table(&window.rotary)),
        }
    }

    fn of(&self, window: Option<usize>) -> &RotaryTable {
        self.sliding.as_ref().filter(|_| window.is_some()).unwrap_or(&self.whole)
    }
}

/// One pass over a batch: what does not change from layer to layer.
pub(super) struct Pass<'a> {
    pub(super) pool: &'a Pool,
    pub(super) model: &'a Model,
    pub(super) adapter: Option<&'a PackedLora<'a>>,
    pub(super) batch: &'a Batch,
    pub(super) rotations: Rotations,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        pool: &'a Pool,
        model: &'a Model,
        adapter: Option<&'a PackedLora<'a>>,
        batch: &'a Batch,
    ) -> Pass<'a> {
        let rotations = Rotations::new(pool, &model.architecture, &batch.positions);
        Pass { pool, model, adapter, batch, rotations }
    }

    /// Embeddings of the batch's tokens into `activations.entry`.
    pub(super) fn embed(&self, activations: &mut Activations) {
        let hidden = self.model.architecture.hidden;
        activations.entry.resize(self.batch.rows() * hidden, 0.0);
        self.pool.chunks(&mut activations.entry, hidden, |row, out| self.model.embed(self.batch.tokens[row], out));
    }

    /// All layers in order; the result is in `activations.entry`. `after` sees each layer's activations.
    pub(super) fn layers(
        &self,
        store: &mut KvStore,
        work: (&mut Packing, &mut Activations),
        after: impl FnMut(usize, &mut Activations),
    ) {
        self.first_layers(self.model.layers.len(), store, work, after);
    }

    /// The first `count` layers in order.
    fn first_layers(
        &self,
        count: usize,
        store: &mut KvStore,
        (packing, activations): (&mut Packing, &mut Activations),
        mut after: impl FnMut(usize, &mut Activations),
    ) {
        for index in 0..count {
            self.layer(index, store, packing, activations);
            after(index, activations);
            std::mem::swap(&mut activations.entry, &mut activations.exit);
        }
    }

    /// All layers in order; what they make of the rows `read`, (read × hidden). Whatever the last layer does after its
    /// attention, it does for these rows alone: the others leave nothing but their keys and values.
    pub(super) fn read_layers(
        &self,
        store: &mut KvStore,
        (packing, a): (&mut Packing, &mut Activations),
        read: &[usize],
    ) -> Vec<f32> {
        let hidden = self.model.architecture.hidden;
        let Some(last) = self.model.layers.len().checked_sub(1) else { return gather(&a.entry, read, hidden) };
        self.first_layers(last, store, (packing, a), |_, _| ());
        self.attend(last, store, packing, a);
        // A decoding step reads all of its rows.
        if !read.iter().copied().eq(0..self.batch.rows()) {
            a.entry = gather(&a.entry, read, hidden);
            a.attended = gather(&a.attended, read, a.attended.len() / self.batch.rows().max(1));
        }
        self.attention_out(last, packing, a);
        self.feed_forward_half(last, packing, a);
        std::mem::take(&mut a.exit)
    }

    /// exit = layer(entry).
    pub(super) fn layer(&self, index: usize, store: &mut KvStore, packing: &mut Packing, a: &mut Activations) {
        self.attention_half(index, store, packing, a);
        self.feed_forward_half(index, packing, a);
    }

    pub(super) fn maps(&self, index: usize, fan: Fan) -> Maps<'_> {
        Maps { pool: self.pool, layer: &self.model.layers[index], index, fan, adapter: self.adapter }
    }

    pub(super) fn attention_shape(&self, window: Option<usize>) -> AttentionShape {
        let architecture = &self.model.architecture;
        let Architecture { heads, kv_heads, head_dim, attention_scale, .. } = *architecture;
        AttentionShape { heads, kv_heads, head_dim, scale: attention_scale, window }
    }

    /// middle = entry + O · attention(norm(entry)), with the architecture's norms in their places.
    fn attention_half(&self, index: usize, store: &mut KvStore, packing: &mut Packing, a: &mut Activations) {
        self.attend(index, store, packing, a);
        self.attention_out(index, packing, a);
    }

    /// attended = attention(norm(entry)).
    fn attend(&self, index: usize, store: &mut KvStore, packing: &mut Packing, a: &mut Activations) {
        let (layer, architecture) = (&self.model.layers[index], &self.model.architecture);
        self.norm_input(index, a);
        let outs = &mut [&mut a.queries, &mut a.keys, &mut a.values];
        self.maps(index, Fan::Attention).forward(packing, &a.normed, &mut a.u[0], outs, Into::Overwrite);
        if let (Some(query_norm), Some(key_norm)) = (&layer.query_norm, &layer.key_norm) {
            std::mem::swap(&mut a.queries, &mut a.raw_queries);
            std::mem::swap(&mut a.keys, &mut a.raw_keys);
            self.norm(&a.raw_queries, query_norm, &mut a.queries);
            self.norm(&a.raw_keys, key_norm, &mut a.keys);
        }
        let (_, window) = architecture.layer_reach(index);
        let rotation = self.rotations.of(window);
        rotation.apply(self.pool, &mut a.queries, architecture.head_dim, Direction::Forward);
        rotation.apply(self.pool, &mut a.keys, architecture.head_dim, Direction::Forward);
        if self.model.cache_numbers() == CacheNumbers::Bf16 {
            kernel::round_to_bf16(self.pool, &mut a.keys);
            kernel::round_to_bf16(self.pool, &mut a.values);
        }
        store.extend(self.pool, index, self.batch, &a.keys, &a.values);
        let rows = self.batch.rows();
        a.attended.resize(a.queries.len(), 0.0);
        a.log_sums.resize(rows * architecture.heads, 0.0);
        let out = (&mut a.attended[..], Some(&mut a.log_sums[..]));
        store.attend(self.pool, &self.attention_shape(window), index, self.batch, &a.queries, out);
    }

    /// middle = entry + O attended.
    fn attention_out(&self, index: usize, packing: &mut Packing, a: &mut Activations) {
        let layer = &self.model.layers[index];
        let maps = self.maps(index, Fan::AttentionOut);
        a.middle.clone_from(&a.entry);
        match &layer.post_attention_norm {
            None => maps.forward(packing, &a.attended, &mut a.u[1], &mut [&mut a.middle], Into::Add),
            Some(weight) => {
                maps.forward(packing, &a.attended, &mut a.u[1], &mut [&mut a.attention_out], Into::Overwrite);
                self.norm(&a.attention_out, weight, &mut a.normed);
                kernel::add_in_place(self.pool, &mut a.middle, &a.normed);
            }
        }
    }

    /// exit = middle + Down(act(Gate n) ∘ Up n), n = norm(middle).
    fn feed_forward_half(&self, index: usize, packing: &mut Packing, a: &mut Activations) {
        let layer = &self.model.layers[index];
        self.norm(&a.middle, &layer.feed_forward_norm, &mut a.normed);
        let outs = &mut [&mut a.gate, &mut a.up];
        self.maps(index, Fan::FeedForward).forward(packing, &a.normed, &mut a.u[2], outs, Into::Overwrite);
        self.gate(a);
        let maps = self.maps(index, Fan::FeedForwardOut);
        a.exit.clone_from(&a.middle);
        match &layer.post_feed_forward_norm {
            None => maps.forward(packing, &a.gated, &mut a.u[3], &mut [&mut a.exit], Into::Add),
            Some(weight) => {
                maps.forward(packing, &a.gated, &mut a.u[3], &mut [&mut a.feed_forward_out], Into::Overwrite);
                self.norm(&a.feed_forward_out, weight, &mut a.normed);
                kernel::add_in_place(self.pool, &mut a.exit, &a.normed);
            }
        }
    }

    /// normed = norm(entry), the input of the attention fan.
    pub(super) fn norm_input(&self, index: usize, a: &mut Activations) {
        self.norm(&a.entry, &self.model.layers[index].attention_norm, &mut a.normed);
    }

    /// normed = norm(middle), the input of the feed-forward fan.
    pub(super) fn norm_middle(&self, index: usize, a: &mut Activations) {
        self.norm(&a.middle, &self.model.layers[index].feed_forward_norm, &mut a.normed);
    }

    /// gated = act(gate) ∘ up, the input of Down.
    pub(super) fn gate(&self, a: &mut Activations) {
        a.gated.resize(a.gate.len(), 0.0);
        self.gated(&a.gate, &a.up).forward(self.pool, &mut a.gated);
    }

    pub(super) fn rotation(&self, window: Option<usize>) -> &RotaryTable {
        self.rotations.of(window)
    }

    pub(super) fn gated<'b>(&self, gate: &'b [f32], up: &'b [f32]) -> Gated<'b> {
        let activation = match self.model.architecture.activation {
            Activation::Silu => kernel::Activation::Silu,
            Activation::GeluTanh => kernel::Activation::GeluTanh,
        };
        Gated { activation, gate, up }
    }

    pub(super) fn rms_norm<'b>(&self, weight: &'b [f32]) -> RmsNorm<'b> {
        RmsNorm { weight, epsilon: self.model.architecture.norm_epsilon }
    }

    fn norm(&self, input: &[f32], weight: &[f32], out: &mut Vec<f32>) {
        out.resize(input.len(), 0.0);
        self.rms_norm(weight).forward(self.pool, input, out);
    }
}

/// Some rows of a matrix, in this order.
pub(super) fn gather(matrix: &[f32], rows: &[usize], width: usize) -> Vec<f32> {
    rows.iter().flat_map(|row| &matrix[row * width..][..width]).copied().collect()
}
