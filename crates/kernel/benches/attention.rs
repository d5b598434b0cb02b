//! Rates of attention and of the operations on rows, with the heads and widths of SmolLM2-135M (and of Gemma 3 270M).
//! Each figure is the best of many rounds; the flops counted are those of the keys that are seen.
//!
//! `cargo bench -p kernel --bench attention [-- THREADS [SECTION]]` with the sections training, decode and rows.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::num::NonZeroUsize;
use std::ops::Range;
use std::time::{Duration, Instant};

use half::bf16;
use kernel::{
    Activation, AttentionGradients, AttentionShape, AttentionTape, Branch, CacheNumbers, Direction, Gated, KvCache,
    LogSum, Pool, RmsNorm, RotaryTable, Span, Update, absorb_rows, add_in_place, attention, attention_backward,
    exp_shifted, to_bf16,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let threads = arguments.first().and_then(|threads| threads.parse().ok());
    let available = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let pool = Pool::new(threads.unwrap_or(available));
    let wants = |section: &str| arguments.get(1).is_none_or(|wanted| wanted == section);
    println!("{pool:?}");
    if wants("training") {
        training(&pool);
    }
    if wants("decode") {
        decode(&pool);
    }
    if wants("rows") {
        rows(&pool);
    }
}

/// Seconds of the fastest of several rounds.
fn best(mut work: impl FnMut()) -> f64 {
    let (started, mut best, mut calls) = (Instant::now(), f64::INFINITY, 0);
    while started.elapsed() < Duration::from_millis(600) || calls < 5 {
        let round = Instant::now();
        work();
        best = best.min(round.elapsed().as_secs_f64());
        calls += 1;
    }
    best
}

fn numbers(count: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn smollm2() -> AttentionShape {
    AttentionShape { heads: 9, kv_heads: 3, head_dim: 64, scale: 0.125, window: None }
}

fn gemma3() -> AttentionShape {
    AttentionShape { heads: 4, kv_heads: 1, head_dim: 256, scale: 0.0625, window: Some(512) }
}

/// A packed batch of segments, each optionally after an earlier one.
struct Batch {
    shape: AttentionShape,
    branches: Vec<Branch>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    /// Pairs of a query and a key that it sees.
    pairs: usize,
}

impl Batch {
    fn new(shape: AttentionShape, segments: &[(usize, Option<usize>)]) -> Batch {
        let (mut branches, mut rows, mut pairs): (Vec<Branch>, usize, usize) = (Vec::new(), 0, 0);
        for &(length, prefix) in segments {
            let prefix = prefix.map(|prefix| branches[prefix].rows.clone());
            pairs += length * (length + 1) / 2 + length * prefix.as_ref().map_or(0, Range::len);
            branches.push(Branch { rows: rows..rows + length, prefix });
            rows += length;
        }
        let (wide, narrow) = (rows * shape.heads * shape.head_dim, rows * shape.kv_heads * shape.head_dim);
        Batch { q: numbers(wide), k: numbers(narrow), v: numbers(narrow), shape, branches, pairs }
    }

    fn caches(&self) -> Vec<KvCache> {
        let width = self.shape.kv_heads * self.shape.head_dim;
        let fill = |branch: &Branch| {
            let mut cache =
                KvCache::new(CacheNumbers::F32, self.shape.kv_heads, self.shape.head_dim, branch.rows.len());
            let part = branch.rows.start * width..branch.rows.end * width;
            cache.extend(&self.k[part.clone()], &self.v[part]);
            cache
        };
        self.branches.iter().map(fill).collect()
    }

    fn past<'a>(&self, branch: &Branch, caches: &'a [KvCache]) -> Option<&'a KvCache> {
        let prefix = branch.prefix.as_ref()?;
        self.branches.iter().zip(caches).find(|(branch, _)| branch.rows == *prefix).map(|(_, cache)| cache)
    }

    /// The last token of every branch that nobody continues, a row each.
    fn last_tokens<'a>(&self, caches: &'a [KvCache]) -> Vec<Span<'a>> {
        let is_prefix = |rows| self.branches.iter().any(|other| other.prefix.as_ref() == Some(rows));
        let leaves = self.branches.iter().zip(caches).filter(|(branch, _)| !is_prefix(&branch.rows)).enumerate();
        let span = |(row, (branch, own)): (usize, (&Branch, &'a KvCache))| {
            let past = self.past(branch, caches);
            Span { rows: row..row + 1, past, own, own_start: own.len() - 1 }
        };
        leaves.map(span).collect()
    }

    /// Billions of floating-point operations of two products over all pairs.
    fn gigaflops(&self) -> f64 {
        4e-9 * (self.pairs * self.shape.heads * self.shape.head_dim) as f64
    }
}

fn training(pool: &Pool) {
    println!("\ntraining                            forward ms  GF/s   backward ms  GF/s   caches ms");
    let own: Vec<_> = (0..8).map(|_| (256, None)).collect();
    let mut grouped = Vec::new();
    for prompt in 0..4 {
        grouped.push((128, None));
        grouped.extend((0..8).map(|_| (64, Some(prompt * 9))));
    }
    train(pool, "SmolLM2, 8 x 256", &Batch::new(smollm2(), &own));
    train(pool, "SmolLM2, 4 x (128 + 8 x 64)", &Batch::new(smollm2(), &grouped));
    train(pool, "Gemma 3, 8 x 256", &Batch::new(gemma3(), &own));
}

fn train(pool: &Pool, name: &str, batch: &Batch) {
    let caches = batch.caches();
    let span = |(branch, own): (&Branch, _)| Span {
        rows: branch.rows.clone(),
        past: batch.past(branch, &caches),
        own,
        own_start: 0,
    };
    let spans: Vec<Span<'_>> = batch.branches.iter().zip(&caches).map(|(branch, own)| span((branch, own))).collect();
    let mut out = vec![0.0; batch.q.len()];
    let mut log_sums = vec![0.0; batch.q.len() / batch.shape.head_dim];
    let forward = best(|| attention(pool, &batch.shape, &batch.q, &spans, &mut out, Some(&mut log_sums)));
    let d_out = numbers(out.len());
    let (mut q, mut k, mut v) = (out.clone(), batch.k.clone(), batch.v.clone());
    let tape = AttentionTape { q: &batch.q, k: &batch.k, v: &batch.v, out: &out, log_sums: &log_sums };
    let backward = best(|| {
        let gradients = AttentionGradients { q: &mut q, k: &mut k, v: &mut v };
        attention_backward(pool, &batch.shape, &batch.branches, tape, &d_out, gradients);
    });
    let fill = best(|| drop(batch.caches()));
    let flops = batch.gigaflops();
    println!(
        "{name:34} {:11.2} {:5.0} {:13.2} {:5.0} {:11.2}",
        forward * 1e3,
        flops / forward,
        backward * 1e3,
        2.5 * flops / backward,
        fill * 1e3
    );
}

fn decode(pool: &Pool) {
    println!("\ndecode, one token a row              us     GF/s");
    for (rows, tokens) in [(1, 160), (1, 2000), (8, 160), (32, 160)] {
        let segments: Vec<_> = (0..rows).map(|_| (tokens, None)).collect();
        decode_one(pool, &format!("SmolLM2, {rows} x {tokens}"), &Batch::new(smollm2(), &segments));
    }
    let mut grouped = Vec::new();
    for prompt in 0..4 {
        grouped.push((128, None));
        grouped.extend((0..8).map(|_| (32, Some(prompt * 9))));
    }
    decode_one(pool, "SmolLM2, 4 x (128 + 8 x 32)", &Batch::new(smollm2(), &grouped));
    decode_one(pool, "Gemma 3, 32 x 160", &Batch::new(gemma3(), &[(160, None); 32]));
}

fn decode_one(pool: &Pool, name: &str, batch: &Batch) {
    const LAYERS: usize = 30;
    let layers: Vec<_> = (0..LAYERS).map(|_| batch.caches()).collect();
    let layers: Vec<_> = layers.iter().map(|caches| batch.last_tokens(caches)).collect();
    let (rows, width) = (layers[0].len(), batch.shape.heads * batch.shape.head_dim);
    let (q, mut out) = (numbers(rows * width), vec![0.0; rows * width]);
    let seconds = best(|| layers.iter().for_each(|spans| attention(pool, &batch.shape, &q, spans, &mut out, None)));
    let seen: usize = layers[0].iter().map(|span| span.own.len() + span.past.map_or(0, KvCache::len)).sum();
    let (seconds, flops) = (seconds / LAYERS as f64, 4e-9 * (seen * width) as f64);
    println!("{name:30} {:9.1} {:7.0}", seconds * 1e6, flops / seconds);
}

fn rows(pool: &Pool) {
    println!("\nrows                                 us");
    let time = |name: &str, seconds: f64| println!("{name:30} {:9.1}", seconds * 1e6);
    for count in [1, 32, 2048] {
        let (x, weight, mut y) = (numbers(count * 576), numbers(576), vec![0.0; count * 576]);
        let norm = RmsNorm { weight: &weight, epsilon: 1e-5 };
        time(&format!("norm, {count} x 576"), best(|| norm.forward(pool, &x, &mut y)));
        time(&format!("norm backward, {count} x 576"), best(|| norm.backward(pool, &x, &x, &mut y, Update::Overwrite)));
        time(&format!("add, {count} x 576"), best(|| add_in_place(pool, &mut y, &x)));
        let positions: Vec<usize> = (0..count).collect();
        let table = || RotaryTable::new(pool, &positions, &numbers(32), 1.0);
        time(&format!("rotary table, {count} x 32"), best(|| drop(table())));
        let table = table();
        time(&format!("rotary, {count} x 9 x 64"), best(|| table.apply(pool, &mut y, 64, Direction::Forward)));
        let (gate, up, mut out, mut d_up) =
            (numbers(count * 1536), numbers(count * 1536), numbers(count * 1536), numbers(count * 1536));
        for activation in [Activation::Silu, Activation::GeluTanh] {
            let gated = Gated { activation, gate: &gate, up: &up };
            time(&format!("{activation:?}, {count} x 1536"), best(|| gated.forward(pool, &mut out)));
            time(
                &format!("{activation:?} backward, {count} x 1536"),
                best(|| gated.backward(pool, &up, &mut out, &mut d_up)),
            );
        }
        let mut rounded = vec![bf16::ZERO; gate.len()];
        time(&format!("to bf16, {count} x 1536"), best(|| to_bf16(pool, &gate, &mut rounded)));
    }
    for count in [1, 32, 128] {
        let (logits, mut out) = (numbers(count * 49_152), vec![0.0; count * 49_152]);
        let mut sums = vec![LogSum::EMPTY; count];
        time(&format!("log-sum, {count} x 49152"), best(|| absorb_rows(pool, &logits, &mut sums)));
        time(&format!("exp, {count} x 49152"), best(|| exp_shifted(pool, &logits, &vec![1.0; count], &mut out)));
    }
}
