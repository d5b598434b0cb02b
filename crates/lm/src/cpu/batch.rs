//! Packed batches: many token runs side by side, no padding.

use std::ops::Range;

use kernel::{AttentionShape, CacheNumbers, KvCache, Pool, Span};

use super::model::Model;
use crate::{Architecture, Token};

/// A packed batch of runs; run `i` occupies consecutive rows.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) tokens: Vec<Token>,
    /// Position of each row in its own sequence (the shared prefix included).
    pub(super) positions: Vec<usize>,
    pub(super) runs: Vec<Run>,
}

/// New tokens of one segment.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) rows: Range<usize>,
    /// The segment these tokens are appended to.
    pub(super) segment: usize,
    /// The segment that every one of them sees whole: the shared prefix.
    pub(super) prefix: Option<usize>,
}

impl Batch {
    /// Append `tokens` to `segment`, of which `held` tokens are cached already, after `prefix` = (segment, length).
    pub(super) fn push(
        &mut self,
        segment: usize,
        held: usize,
        prefix: Option<(usize, usize)>,
        tokens: &[Token],
    ) -> Range<usize> {
        let start = self.tokens.len();
        let first = held + prefix.map_or(0, |(_, length)| length);
        self.tokens.extend_from_slice(tokens);
        self.positions.extend(first..first + tokens.len());
        let rows = start..self.tokens.len();
        self.runs.push(Run { rows: rows.clone(), segment, prefix: prefix.map(|(segment, _)| segment) });
        rows
    }

    pub(super) fn rows(&self) -> usize {
        self.tokens.len()
    }
}

/// Keys and values of all segments of a batch.
pub(super) struct KvStore {
    segments: Vec<Option<Vec<KvCache>>>,
    /// Caches of a segment: one per layer (generation), or one for the layer at hand (scoring).
    layers: usize,
    /// Whether a segment's one cache serves every layer in turn.
    passing: bool,
    numbers: CacheNumbers,
    kv_heads: usize,
    head_dim: usize,
    spare: Vec<Vec<KvCache>>,
}

impl KvStore {
    /// A store that keeps every layer's keys and values.
    pub(super) fn new(model: &Model) -> KvStore {
        let Architecture { layers, kv_heads, head_dim, .. } = model.architecture;
        let numbers = model.cache_numbers();
        KvStore { segments: Vec::new(), layers, passing: false, numbers, kv_heads, head_dim, spare: Vec::new() }
    }

    /// A store that forgets a layer's keys and values when the next layer's come.
    pub(super) fn passing(model: &Model) -> KvStore {
        KvStore { layers: 1, passing: true, ..KvStore::new(model) }
    }

    /// Open a segment that can hold `capacity` tokens; its number.
    pub(super) fn open(&mut self, capacity: usize) -> usize {
        let caches = match self.spare.pop() {
            Some(mut caches) => {
                caches.iter_mut().for_each(|cache| cache.reset(capacity));
                caches
            }
            None => {
                let cache = |_| KvCache::new(self.numbers, self.kv_heads, self.head_dim, capacity);
                (0..self.layers).map(cache).collect()
            }
        };
        match self.segments.iter().position(Option::is_none) {
            Some(free) => {
                self.segments[free] = Some(caches);
                free
            }
            None => {
                self.segments.push(Some(caches));
                self.segments.len() - 1
            }
        }
    }

    /// Give a segment's memory to the next one.
    pub(super) fn close(&mut self, segment: usize) {
        self.spare.extend(self.segments[segment].take());
    }

    fn cache(&self, segment: usize, layer: usize) -> Option<&KvCache> {
        self.segments[segment].as_ref().map(|caches| &caches[layer % self.layers])
    }

    /// Store the new keys and values of a layer, (rows × kv_heads·head_dim). A segment has one run of the batch.
    pub(super) fn extend(&mut self, pool: &Pool, layer: usize, batch: &Batch, keys: &[f32], values: &[f32]) {
        let width = self.kv_heads * self.head_dim;
        let (layers, passing) = (self.layers, self.passing);
        let mut rows: Vec<Option<&Range<usize>>> = vec![None; self.segments.len()];
        batch.runs.iter().for_each(|run| rows[run.segment] = Some(&run.rows));
        pool.chunks(&mut self.segments, 1, |index, segment| {
            let caches = segment.iter_mut().flatten();
            for (caches, rows) in caches.zip(rows[index]) {
                let cache = &mut caches[layer % layers];
                if passing {
                    cache.clear();
                }
                let range = rows.start * width..rows.end * width;
                cache.extend(&keys[range.clone()], &values[range]);
            }
        });
    }

    /// Attention of the batch's rows over what the store holds of `layer`, the new rows included.
    pub(super) fn attend(
        &self,
        pool: &Pool,
        shape: &AttentionShape,
        layer: usize,
        batch: &Batch,
        queries: &[f32],
        (out, log_sums): (&mut [f32], Option<&mut [f32]>),
    ) {
        let spans: Vec<Span<'_>> = batch
            .runs
            .iter()
            .filter_map(|run| {
                let own = self.cache(run.segment, layer)?;
                let past = run.prefix.and_then(|prefix| self.cache(prefix, layer));
                Some(Span { rows: run.rows.clone(), past, own, own_start: own.len() - run.rows.len() })
            })
            .collect();
        kernel::attention(pool, shape, queries, &spans, out, log_sums);
    }
}
