//! Keys and values of a run of tokens, laid out as attention reads them.

use std::fmt;
use std::slice::ChunksExact;

use half::bf16;

use crate::lanes::{LANES, Lanes, Narrow, lanes_for};

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
    vectors: Vectors,
}

/// How the numbers of a [`KvCache`] are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheNumbers {
    /// As they come.
    F32,
    /// Rounded to bfloat16, to the nearest and half to even: half the memory, which is what decoding waits for.
    Bf16,
}

impl KvCache {
    /// An empty cache with room for `capacity` tokens; it grows when more come.
    ///
    /// # Panics
    /// If `kv_heads` or `head_dim` is 0.
    pub fn new(numbers: CacheNumbers, kv_heads: usize, head_dim: usize, capacity: usize) -> KvCache {
        assert!(kv_heads > 0 && head_dim > 0, "a cache needs heads of some width");
        let mut cache = KvCache { kv_heads, head_dim, len: 0, vectors: Vectors::new(numbers) };
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
        self.vectors.bytes()
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
        self.vectors.grow(panels * self.key_vectors(), panels * self.value_vectors());
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
        self.vectors.reserve(panels * self.key_vectors(), panels * self.value_vectors());
    }

    /// A panel's numbers for one head: the transposed keys, `head_dim` rows of [`PANEL_VECTORS`], and the values,
    /// [`PANEL`] rows of `head_dim` padded to whole vectors, with zeros. What lies past the last token is arbitrary.
    /// `next` is the panel and head that is read after it.
    pub(crate) fn panel(&self, (panel, kv_head): Place, next: Place) -> PanelVectors<'_> {
        let (of_keys, of_values) = (self.key_vectors(), self.value_vectors());
        let index = |(panel, kv_head): Place| {
            (panel * PANEL < self.len && kv_head < self.kv_heads).then_some(panel * self.kv_heads + kv_head)
        };
        let (index, next) = (panel * self.kv_heads + kv_head, index(next));
        match &self.vectors {
            Vectors::F32 { keys, values } => PanelVectors::F32 {
                keys: Part::new(keys, index, next, of_keys),
                values: Part::new(values, index, next, of_values),
            },
            Vectors::Bf16 { keys, values } => PanelVectors::Bf16 {
                keys: Part::new(keys, index, next, of_keys),
                values: Part::new(values, index, next, of_values),
            },
        }
    }

    fn key_vectors(&self) -> usize {
        self.head_dim * PANEL_VECTORS
    }

    fn value_vectors(&self) -> usize {
        PANEL * lanes_for(self.head_dim)
    }

    fn write(&mut self, token: usize, keys: &[f32], values: &[f32]) {
        let (panel, place) = (token / PANEL, token % PANEL);
        let padded = lanes_for(self.head_dim) * LANES;
        let (key_numbers, value_numbers) = (self.key_vectors() * LANES, self.value_vectors() * LANES);
        for (head, (keys, values)) in heads(keys, self.head_dim).zip(heads(values, self.head_dim)).enumerate() {
            let index = panel * self.kv_heads + head;
            let key_places = (index * key_numbers + place..).step_by(PANEL);
            let value_places = index * value_numbers + place * padded..;
            match &mut self.vectors {
                Vectors::F32 { keys: k, values: v } => {
                    scatter(k, |lanes| &mut lanes.0, key_places.zip(keys.iter().copied()));
                    scatter(v, |lanes| &mut lanes.0, value_places.zip(values.iter().copied()));
                }
                Vectors::Bf16 { keys: k, values: v } => {
                    scatter(k, |narrow| &mut narrow.0, key_places.zip(keys.iter().map(|&key| bf16::from_f32(key))));
                    scatter(
                        v,
                        |narrow| &mut narrow.0,
                        value_places.zip(values.iter().map(|&value| bf16::from_f32(value))),
                    );
                }
            }
        }
    }
}

/// The parts of a token's numbers that belong to its heads.
fn heads(numbers: &[f32], head_dim: usize) -> ChunksExact<'_, f32> {
    numbers.chunks_exact(head_dim)
}

impl fmt::Debug for KvCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KvCache { kv_heads, head_dim, len, .. } = self;
        write!(f, "KvCache({len} tokens of {kv_heads} × {head_dim})")
    }
}

/// A panel and a key/value head.
type Place = (usize, usize);

/// The keys and values of one panel and head.
pub(crate) enum PanelVectors<'a> {
    F32 { keys: Part<'a, Lanes>, values: Part<'a, Lanes> },
    Bf16 { keys: Part<'a, Narrow>, values: Part<'a, Narrow> },
}

/// Some vectors, and those that are read after them; none if they are the last.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a, V> {
    pub(crate) vectors: &'a [V],
    pub(crate) ahead: &'a [V],
}

impl<'a, V> Part<'a, V> {
    /// The parts `index` and `next` of all, which have `width` vectors each.
    fn new(all: &'a [V], index: usize, next: Option<usize>, width: usize) -> Part<'a, V> {
        let part = |index: usize| &all[index * width..(index + 1) * width];
        Part { vectors: part(index), ahead: next.map_or(&[], part) }
    }
}

/// The keys and values of all panels, in one of two widths.
#[derive(Clone)]
enum Vectors {
    F32 { keys: Vec<Lanes>, values: Vec<Lanes> },
    Bf16 { keys: Vec<Narrow>, values: Vec<Narrow> },
}

impl Vectors {
    fn new(numbers: CacheNumbers) -> Vectors {
        match numbers {
            CacheNumbers::F32 => Vectors::F32 { keys: Vec::new(), values: Vec::new() },
            CacheNumbers::Bf16 => Vectors::Bf16 { keys: Vec::new(), values: Vec::new() },
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Vectors::F32 { keys, values } => (keys.capacity() + values.capacity()) * size_of::<Lanes>(),
            Vectors::Bf16 { keys, values } => (keys.capacity() + values.capacity()) * size_of::<Narrow>(),
        }
    }

    /// Make sure that there is room for so many vectors of keys and of values.
    fn reserve(&mut self, of_keys: usize, of_values: usize) {
        fn each<V>(vectors: &mut Vec<V>, count: usize) {
            vectors.reserve_exact(count.saturating_sub(vectors.len()));
        }
        match self {
            Vectors::F32 { keys, values } => (each(keys, of_keys), each(values, of_values)),
            Vectors::Bf16 { keys, values } => (each(keys, of_keys), each(values, of_values)),
        };
    }

    /// Make sure that there are so many vectors of keys and of values, new ones of zeros.
    fn grow(&mut self, of_keys: usize, of_values: usize) {
        fn each<V: Clone>(vectors: &mut Vec<V>, count: usize, zero: V) {
            vectors.resize(vectors.len().max(count), zero);
        }
        match self {
            Vectors::F32 { keys, values } => (each(keys, of_keys, Lanes::ZERO), each(values, of_values, Lanes::ZERO)),
            Vectors::Bf16 { keys, values } => {
                (each(keys, of_keys, Narrow::ZERO), each(values, of_values, Narrow::ZERO))
            }
        };
    }
}

/// Writes a run of numbers a fixed step apart, vector by vector.
fn scatter<V, T>(
    vectors: &mut [V],
    numbers: impl Fn(&mut V) -> &mut [T; LANES],
    places: impl Iterator<Item = (usize, T)>,
) {
    for (place, number) in places {
        numbers(&mut vectors[place / LANES])[place % LANES] = number;
    }
}
