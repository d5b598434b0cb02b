//! Keys and values of a run of tokens, laid out as attention reads them.

use std::fmt;

use crate::lanes::{Lanes, flat_mut, lanes_for};

/// Keys in a panel: three vectors of scores.
pub(crate) const PANEL: usize = 48;
/// Vectors that hold one number per key of a panel.
pub(crate) const PANEL_VECTORS: usize = lanes_of_panel();

const fn lanes_of_panel() -> usize {
    PANEL / crate::lanes::LANES
}

/// The keys and values of one run of tokens (a *segment*) in one layer.
///
/// Tokens lie in panels of 48. For each panel and key/value head the keys are transposed, `head_dim × 48`, and the
/// values are `48 × head_dim` with each row padded to whole vectors, so both are read front to back.
#[derive(Clone)]
pub struct KvCache {
    kv_heads: usize,
    head_dim: usize,
    len: usize,
    keys: Vec<Lanes>,
    values: Vec<Lanes>,
}

impl KvCache {
    /// An empty cache with room for `capacity` tokens; it grows when more come.
    ///
    /// # Panics
    /// If `kv_heads` or `head_dim` is 0.
    pub fn new(kv_heads: usize, head_dim: usize, capacity: usize) -> KvCache {
        assert!(kv_heads > 0 && head_dim > 0, "a cache needs heads of some width");
        let mut cache = KvCache { kv_heads, head_dim, len: 0, keys: Vec::new(), values: Vec::new() };
        cache.reset(capacity);
        cache
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of key/value heads.
    pub fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    /// Width of a head.
    pub fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// Bytes of memory held, room for more tokens included.
    pub fn bytes(&self) -> usize {
        (self.keys.capacity() + self.values.capacity()) * size_of::<Lanes>()
    }

    /// Appends tokens: `keys` and `values` are `n × (kv_heads · head_dim)`, row-major.
    ///
    /// # Panics
    /// If the lengths differ or are no multiple of `kv_heads · head_dim`.
    pub fn extend(&mut self, keys: &[f32], values: &[f32]) {
        let width = self.kv_heads * self.head_dim;
        assert_eq!(keys.len(), values.len(), "as many keys as values");
        assert!(keys.len().is_multiple_of(width), "{} numbers are no rows of {width}", keys.len());
        let len = self.len + keys.len() / width;
        let panels = len.div_ceil(PANEL) * self.kv_heads;
        self.keys.resize(self.keys.len().max(panels * self.key_vectors()), Lanes::ZERO);
        self.values.resize(self.values.len().max(panels * self.value_vectors()), Lanes::ZERO);
        for (token, (keys, values)) in (self.len..len).zip(keys.chunks_exact(width).zip(values.chunks_exact(width))) {
            self.write(token, keys, values);
        }
        self.len = len;
    }

    /// Forgets all tokens from number `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Forgets all tokens and keeps the memory.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Forgets all tokens and makes sure that there is room for `capacity`.
    pub fn reset(&mut self, capacity: usize) {
        self.len = 0;
        let panels = capacity.div_ceil(PANEL) * self.kv_heads;
        let (keys, values) = (panels * self.key_vectors(), panels * self.value_vectors());
        self.keys.reserve_exact(keys.saturating_sub(self.keys.len()));
        self.values.reserve_exact(values.saturating_sub(self.values.len()));
    }

    /// The transposed keys of a panel: `head_dim` rows of [`PANEL_VECTORS`]. What lies past the last token is arbitrary.
    pub(crate) fn panel_keys(&self, panel: usize, kv_head: usize) -> &[Lanes] {
        let size = self.key_vectors();
        &self.keys[(panel * self.kv_heads + kv_head) * size..][..size]
    }

    /// The values of a panel: [`PANEL`] rows of `head_dim` padded to whole vectors, with zeros. What lies past the last
    /// token is arbitrary.
    pub(crate) fn panel_values(&self, panel: usize, kv_head: usize) -> &[Lanes] {
        let size = self.value_vectors();
        &self.values[(panel * self.kv_heads + kv_head) * size..][..size]
    }

    fn key_vectors(&self) -> usize {
        self.head_dim * PANEL_VECTORS
    }

    fn value_vectors(&self) -> usize {
        PANEL * lanes_for(self.head_dim)
    }

    fn write(&mut self, token: usize, keys: &[f32], values: &[f32]) {
        let (panel, place) = (token / PANEL, token % PANEL);
        let padded = flat_width(self.head_dim);
        let (key_vectors, value_vectors) = (self.key_vectors(), self.value_vectors());
        let heads = keys.chunks_exact(self.head_dim).zip(values.chunks_exact(self.head_dim)).enumerate();
        for (head, (keys, values)) in heads {
            let index = panel * self.kv_heads + head;
            let panel_keys = flat_mut(&mut self.keys[index * key_vectors..][..key_vectors]);
            for (slot, &key) in panel_keys[place..].iter_mut().step_by(PANEL).zip(keys) {
                *slot = key;
            }
            let panel_values = flat_mut(&mut self.values[index * value_vectors..][..value_vectors]);
            panel_values[place * padded..][..values.len()].copy_from_slice(values);
        }
    }
}

/// `head_dim` rounded up to whole vectors.
fn flat_width(head_dim: usize) -> usize {
    lanes_for(head_dim) * crate::lanes::LANES
}

impl fmt::Debug for KvCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KvCache { kv_heads, head_dim, len, .. } = self;
        write!(f, "KvCache({len} tokens of {kv_heads} × {head_dim})")
    }
}
