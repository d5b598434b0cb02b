use super::*;
use crate::kv_cache::CacheNumbers;
use crate::test_support::{Reference, assert_close, assert_same_bits, pools, random, to_f64, visible};

/// One packed batch: segments of tokens, each optionally after an earlier one.
struct Batch {
    shape: AttentionShape,
    branches: Vec<(Range<usize>, Option<Range<usize>>)>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

impl Batch {
    /// Segments by length and by the index of their prefix.
    fn new(shape: AttentionShape, segments: &[(usize, Option<usize>)]) -> Batch {
        let mut branches: Vec<(Range<usize>, Option<Range<usize>>)> = Vec::new();
        let mut start = 0;
        for &(length, prefix) in segments {
            branches.push((start..start + length, prefix.map(|prefix| branches[prefix].0.clone())));
            start += length;
        }
        let (wide, narrow) = (start * shape.heads * shape.head_dim, start * shape.kv_heads * shape.head_dim);
        let q = random(1, wide).iter().map(|q| q * 3.0).collect();
        Batch { q, k: random(2, narrow), v: random(3, narrow), shape, branches }
    }

    fn caches(&self) -> Vec<KvCache> {
        self.caches_of(CacheNumbers::F32)
    }

    fn caches_of(&self, numbers: CacheNumbers) -> Vec<KvCache> {
        let width = self.shape.kv_heads * self.shape.head_dim;
        let fill = |(rows, _): &(Range<usize>, Option<Range<usize>>)| {
            let mut cache = KvCache::new(numbers, self.shape.kv_heads, self.shape.head_dim, 5);
            let part = |matrix: &[f32], rows: Range<usize>| matrix[rows.start * width..rows.end * width].to_vec();
            let half = rows.start + rows.len() / 3;
            for rows in [rows.start..half, half..rows.end] {
                cache.extend(&part(&self.k, rows.clone()), &part(&self.v, rows));
            }
            cache
        };
        self.branches.iter().map(fill).collect()
    }

    fn spans<'a>(&self, caches: &'a [KvCache]) -> Vec<Span<'a>> {
        let prefix_index = |prefix: &Option<Range<usize>>| {
            prefix.as_ref().and_then(|prefix| self.branches.iter().position(|(rows, _)| rows == prefix))
        };
        let span = |(index, (rows, prefix)): (usize, &(Range<usize>, Option<Range<usize>>))| Span {
            rows: rows.clone(),
            past: prefix_index(prefix).map(|index| &caches[index]),
            own: &caches[index],
            own_start: 0,
        };
        self.branches.iter().enumerate().map(span).collect()
    }

    fn run(&self, pool: &Pool, spans: &[Span<'_>]) -> (Vec<f32>, Vec<f32>) {
        let mut out = vec![f32::NAN; self.q.len()];
        let mut log_sums = vec![f32::NAN; self.q.len() / self.shape.head_dim];
        attention(pool, &self.shape, &self.q, spans, &mut out, Some(&mut log_sums));
        (out, log_sums)
    }
}

fn shape(heads: usize, kv_heads: usize, head_dim: usize, window: Option<usize>) -> AttentionShape {
    AttentionShape { heads, kv_heads, head_dim, scale: (head_dim as f32).powf(-0.5), window }
}

const SHAPES: [(usize, usize, usize); 8] =
    [(9, 3, 64), (4, 1, 256), (2, 2, 16), (1, 1, 8), (4, 2, 80), (3, 1, 96), (8, 2, 128), (5, 5, 20)];

const SEGMENTS: [&[(usize, Option<usize>)]; 5] = [
    &[(1, None)],
    &[(100, None), (49, None), (3, None)],
    &[(48, None), (17, Some(0)), (96, Some(0)), (1, Some(0))],
    &[(0, None), (20, Some(0)), (5, Some(0))],
    &[(61, None), (30, Some(0)), (2, None), (7, Some(2)), (50, Some(2)), (4, None)],
];

#[test]
fn it_agrees_with_the_definition() {
    for pool in pools(2) {
        for (heads, kv_heads, head_dim) in SHAPES {
            for window in [None, Some(1), Some(33), Some(64)] {
                for segments in SEGMENTS {
                    let batch = Batch::new(shape(heads, kv_heads, head_dim, window), segments);
                    let caches = batch.caches();
                    let (out, log_sums) = batch.run(&pool, &batch.spans(&caches));
                    let sees = visible(&batch.shape, &batch.branches);
                    let reference = Reference { shape: &batch.shape, sees: &sees };
                    let expected = reference.forward(&to_f64(&batch.q), &to_f64(&batch.k), &to_f64(&batch.v));
                    let what = format!("{pool:?} {:?} {segments:?}", batch.shape);
                    assert_close(&format!("{what} out"), &out, &expected.0, 3e-6);
                    assert_close(&format!("{what} log-sums"), &log_sums, &expected.1, 3e-6);
                }
            }
        }
    }
}

#[test]
fn one_token_at_a_time_gives_the_bits_of_a_causal_pass() {
    for pool in pools(2) {
        for (heads, kv_heads, head_dim) in SHAPES {
            for window in [None, Some(33)] {
                let segments = [(61, None), (70, Some(0)), (51, Some(0)), (52, None)];
                let batch = Batch::new(shape(heads, kv_heads, head_dim, window), &segments);
                let caches = batch.caches();
                let (out, log_sums) = batch.run(&pool, &batch.spans(&caches));
                assert_one_by_one(&pool, &batch, &caches, (&out, &log_sums));
            }
        }
    }
}

#[test]
fn narrow_caches_give_the_bits_of_wide_ones_that_hold_the_same_numbers() {
    let rounded = |numbers: &[f32]| -> Vec<f32> { numbers.iter().map(|&x| half::bf16::from_f32(x).to_f32()).collect() };
    for pool in pools(2) {
        for (heads, kv_heads, head_dim) in SHAPES {
            let segments = [(61, None), (70, Some(0)), (2, Some(0)), (52, None)];
            let mut batch = Batch::new(shape(heads, kv_heads, head_dim, Some(90)), &segments);
            let narrow = batch.caches_of(CacheNumbers::Bf16);
            let bytes = |caches: &[KvCache]| caches.iter().map(KvCache::bytes).sum::<usize>();
            (batch.k, batch.v) = (rounded(&batch.k), rounded(&batch.v));
            let wide = batch.caches();
            assert_eq!(2 * bytes(&narrow), bytes(&wide));
            let (out, log_sums) = batch.run(&pool, &batch.spans(&wide));
            let found = batch.run(&pool, &batch.spans(&narrow));
            assert_same_bits("out", &found.0, &out);
            assert_same_bits("log-sums", &found.1, &log_sums);
            // Few rows take another way than many.
            assert_one_by_one(&pool, &batch, &narrow, (&out, &log_sums));
        }
    }
}

/// Every token alone, with caches that end at it, gives the rows of `expected`.
fn assert_one_by_one(pool: &Pool, batch: &Batch, caches: &[KvCache], expected: (&[f32], &[f32])) {
    let (width, heads) = (batch.shape.heads * batch.shape.head_dim, batch.shape.heads);
    for (span, (rows, _)) in batch.spans(caches).into_iter().zip(&batch.branches) {
        for (index, row) in rows.clone().enumerate() {
            let mut own = span.own.clone();
            own.truncate(index + 1);
            let single = Span { rows: 0..1, own: &own, own_start: index, ..span.clone() };
            let (mut out, mut log_sums) = (vec![f32::NAN; width], vec![f32::NAN; heads]);
            let q = &batch.q[row * width..][..width];
            attention(pool, &batch.shape, q, &[single], &mut out, Some(&mut log_sums));
            let what = format!("{pool:?} {:?} row {row}", batch.shape);
            assert_same_bits(&what, &out, &expected.0[row * width..][..width]);
            assert_same_bits(&what, &log_sums, &expected.1[row * heads..][..heads]);
        }
    }
}

#[test]
fn rows_that_share_a_past_are_read_together_without_changing_a_bit() {
    for pool in pools(1) {
        let segments: Vec<_> = [(100, None)].into_iter().chain((0..8).map(|i| (40 + i, Some(0)))).collect();
        let batch = Batch::new(shape(9, 3, 64, None), &segments);
        let caches = batch.caches();
        let expected = batch.run(&pool, &batch.spans(&caches));
        // The last token of every branch, side by side.
        let width = batch.shape.heads * batch.shape.head_dim;
        let all = batch.spans(&caches);
        let rows: Vec<usize> = all[1..].iter().map(|span| span.rows.end - 1).collect();
        let q: Vec<f32> = rows.iter().flat_map(|&row| &batch.q[row * width..][..width]).copied().collect();
        let spans: Vec<Span<'_>> = (all[1..].iter().enumerate())
            .map(|(i, span)| Span { rows: i..i + 1, own_start: span.own.len() - 1, ..span.clone() })
            .collect();
        let mut out = vec![f32::NAN; q.len()];
        attention(&pool, &batch.shape, &q, &spans, &mut out, None);
        for (i, row) in rows.into_iter().enumerate() {
            assert_same_bits("row", &out[i * width..][..width], &expected.0[row * width..][..width]);
        }
    }
}

#[test]
fn rows_of_no_span_are_left_alone() {
    let batch = Batch::new(shape(2, 1, 8, None), &[(3, None), (4, None)]);
    let caches = batch.caches();
    for pool in pools(1) {
        let (out, log_sums) = batch.run(&pool, &batch.spans(&caches)[1..]);
        assert!(
            out[..3 * 16].iter().all(|value| value.is_nan()) && out[3 * 16..].iter().all(|value| value.is_finite())
        );
        assert!(log_sums[..6].iter().all(|value| value.is_nan()));
    }
}

#[test]
fn a_cache_that_was_truncated_and_refilled_is_as_new() {
    let batch = Batch::new(shape(3, 3, 16, None), &[(130, None)]);
    let caches = batch.caches();
    for pool in pools(1) {
        let expected = batch.run(&pool, &batch.spans(&caches));
        let mut reused = caches[0].clone();
        let bytes = reused.bytes();
        let width = 3 * 16;
        for keep in [0, 1, 60, 97, 130] {
            let junk = vec![f32::NAN; 130 * width];
            reused.truncate(keep);
            reused.extend(&junk, &junk);
            reused.truncate(keep);
            reused.extend(&batch.k[keep * width..], &batch.v[keep * width..]);
            assert_eq!(reused.len(), 130);
            let found = batch.run(&pool, &batch.spans(std::slice::from_ref(&reused)));
            assert_same_bits("out", &found.0, &expected.0);
        }
        reused.reset(130);
        assert!(reused.is_empty() && reused.bytes() >= bytes);
    }
}

#[test]
fn a_query_without_its_own_key_is_refused() {
    let batch = Batch::new(shape(1, 1, 8, None), &[(3, None)]);
    let mut caches = batch.caches();
    caches[0].truncate(2);
    let outcome = std::panic::catch_unwind(|| batch.run(&pools(1)[0], &batch.spans(&caches)));
    let message = *outcome.unwrap_err().downcast::<&str>().unwrap();
    assert!(message.contains("own key is in the cache"), "{message}");
}
