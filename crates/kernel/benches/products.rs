//! Rates of the matrix products, in GF/s (GOP/s for 8-bit integers), and the time of all weight products of
//! SmolLM2-135M in order. Weights are cycled through more memory than caches hold, and each figure is the best of
//! several rounds.
//!
//! `cargo bench -p kernel --bench products [-- THREADS [SECTION [PRECISION]]]` with the sections shapes, skinny and model,
//! and the precisions bf16, int8 and f32: where the processor has no instructions for one, it takes minutes.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use kernel::{Columns, Epilogue, LowRank, Pool, Precision, Rows, Weight, outer_accumulate, product};

const PRECISIONS: [Precision; 3] = [Precision::Bf16, Precision::Int8, Precision::F32];

/// More than the last-level cache, so that weights come from memory as they do in a model.
const WEIGHT_BYTES: usize = 160 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let threads = arguments.first().and_then(|threads| threads.parse().ok());
    let available = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let pool = Pool::new(threads.unwrap_or(available));
    let wants = |section: &str| arguments.get(1).is_none_or(|wanted| wanted == section);
    println!("{pool:?}");
    println!("fork and join: {:.2} us", fork(&pool) * 1e6);
    let is_wanted = |precision: &Precision| {
        let name = format!("{precision:?}").to_lowercase();
        arguments.get(2).is_none_or(|wanted| *wanted == name)
    };
    let precisions: Vec<Precision> = PRECISIONS.into_iter().filter(is_wanted).collect();
    if wants("shapes") {
        shapes(&pool, &precisions);
    }
    if wants("skinny") {
        skinny(&pool);
    }
    if wants("model") {
        model(&pool, &precisions);
    }
}

/// Seconds of the fastest of several rounds of `work(i)`, per call.
fn best(mut work: impl FnMut(usize)) -> f64 {
    let (started, mut best, mut calls) = (Instant::now(), f64::INFINITY, 0);
    while started.elapsed() < Duration::from_millis(600) || calls < 5 {
        let round = Instant::now();
        work(calls);
        best = best.min(round.elapsed().as_secs_f64());
        calls += 1;
    }
    best
}

fn fork(pool: &Pool) -> f64 {
    best(|_| (0..1000).for_each(|_| pool.run(pool.threads(), |task| _ = black_box(task)))) / 1e3
}

fn numbers(count: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn packed(pool: &Pool, precision: Precision, rows: usize, inputs: usize) -> Rows {
    let mut packed = Rows::new(precision);
    packed.pack(pool, &numbers(rows * inputs), rows, inputs);
    packed
}

fn shapes(pool: &Pool, precisions: &[Precision]) {
    println!("\nrows,outputs,inputs     {}", precisions.iter().map(|name| format!("{name:>8?}")).collect::<String>());
    let shapes = [
        [2048, 1536, 576],
        [2048, 576, 1536],
        [2048, 576, 576],
        [2048, 192, 576],
        [512, 1536, 576],
        [128, 1536, 576],
        [32, 1536, 576],
        [8, 1536, 576],
        [1, 1536, 576],
        [256, 49152, 576],
        [32, 49152, 576],
        [1, 49152, 576],
    ];
    for [rows, outputs, inputs] in shapes {
        let source = numbers(outputs * inputs);
        let rate = |&precision: &Precision| {
            let first = Weight::pack(pool, &source, outputs, inputs, precision);
            let copies = (WEIGHT_BYTES / first.bytes()).clamp(1, 200);
            let more = (1..copies).map(|_| Weight::pack(pool, &source, outputs, inputs, precision));
            let weights: Vec<Weight> = std::iter::once(first).chain(more).collect();
            let x = packed(pool, precision, rows, inputs);
            let mut out = vec![0.0; rows * outputs];
            // All weights in each round, so that short products are not lost in the clock's resolution.
            let calls = if rows <= 32 { copies } else { 1 };
            let mut next = 0;
            let seconds = best(|_| {
                for _ in 0..calls {
                    product(pool, &x, &weights[next % copies], &Epilogue::default(), &mut out);
                    next += 1;
                }
            });
            format!("{:8.0}", 2e-9 * (rows * outputs * inputs * calls) as f64 / seconds)
        };
        println!("{:22} {}", format!("{rows},{outputs},{inputs}"), precisions.iter().map(rate).collect::<String>());
    }
}

fn skinny(pool: &Pool) {
    println!("\nLoRA products, f32        GF/s");
    for [rows, outputs, inputs] in
        [[2048, 16, 576], [2048, 48, 576], [2048, 16, 1536], [2048, 576, 16], [2048, 1536, 16], [32, 16, 576]]
    {
        let weight = Weight::pack(pool, &numbers(outputs * inputs), outputs, inputs, Precision::F32);
        let x = packed(pool, Precision::F32, rows, inputs);
        let mut out = vec![0.0; rows * outputs];
        let seconds = best(|_| product(pool, &x, &weight, &Epilogue::default(), &mut out));
        let rate = 2e-9 * (rows * outputs * inputs) as f64 / seconds;
        println!("x Wt   {:18} {rate:6.0}", format!("{rows},{outputs},{inputs}"));
    }
    for [rows, rank, width] in [[2048, 16, 576], [2048, 48, 576], [2048, 16, 1536], [2048, 32, 1536]] {
        let (u, x) = (numbers(rows * rank), numbers(rows * width));
        let mut out = vec![0.0; rank * width];
        let (u, x) = (Columns::all(&u, rank), Columns::all(&x, width));
        let seconds = best(|_| outer_accumulate(pool, u, x, 1.0, &mut out));
        let rate = 2e-9 * (rows * rank * width) as f64 / seconds;
        println!("ut x   {:18} {rate:6.0}", format!("{rows},{rank},{width}"));
    }
    println!("\nfrozen product and epilogue, ms: plain, + low rank 16, packing of its rows");
    for (precision, [rows, outputs, inputs]) in [
        (Precision::Bf16, [2048, 1536, 576]),
        (Precision::Bf16, [2048, 576, 1536]),
        (Precision::Bf16, [32, 1536, 576]),
        (Precision::Int8, [32, 1536, 576]),
        (Precision::Int8, [1, 1536, 576]),
    ] {
        let weight = Weight::pack(pool, &numbers(outputs * inputs), outputs, inputs, precision);
        let b = Weight::pack(pool, &numbers(outputs * 16), outputs, 16, Precision::F32);
        let (source, u) = (numbers(rows * inputs), numbers(rows * 16));
        let mut x = packed(pool, precision, rows, inputs);
        let mut out = vec![0.0; rows * outputs];
        let low_rank =
            Epilogue { low_rank: Some(LowRank { u: Columns::all(&u, 16), b: (&b).into() }), ..Epilogue::default() };
        let plain = best(|_| product(pool, &x, &weight, &Epilogue::default(), &mut out));
        let fused = best(|_| product(pool, &x, &weight, &low_rank, &mut out));
        let packing = best(|_| x.pack(pool, &source, rows, inputs));
        let shape = format!("{precision:?} {rows},{outputs},{inputs}");
        println!("{shape:22} {:8.4} {:8.4} {:8.4}", plain * 1e3, fused * 1e3, packing * 1e3);
    }
}

/// The weights of a layer of SmolLM2-135M (outputs, inputs), by the activations that they share.
const LAYER: [&[[usize; 2]]; 4] =
    [&[[576, 576], [192, 576], [192, 576]], &[[576, 576]], &[[1536, 576], [1536, 576]], &[[576, 1536]]];
const LAYERS: usize = 30;
const HEAD: [usize; 2] = [49152, 576];

/// Milliseconds for all weight products of one pass in order, every weight distinct, and for packing the activations
/// before them: sums of each step's best over several passes, so that other programs disturb the figure less.
fn pass(pool: &Pool, precision: Precision, rows: usize, groups: &[Vec<Weight>]) -> [f64; 2] {
    let x = numbers(rows * 1536);
    let mut out = vec![0.0; rows * HEAD[0]];
    let mut packed = Rows::new(precision);
    let mut steps: Vec<[f64; 2]> = Vec::new();
    best(|call| {
        let mut step = 0;
        for group in groups {
            let started = Instant::now();
            packed.pack(pool, &x[..rows * group[0].inputs()], rows, group[0].inputs());
            let mut packing = started.elapsed().as_secs_f64();
            for weight in group {
                let started = Instant::now();
                product(pool, &packed, weight, &Epilogue::default(), &mut out[..rows * weight.outputs()]);
                let times = [started.elapsed().as_secs_f64(), std::mem::take(&mut packing)];
                if call == 0 {
                    steps.push(times);
                }
                steps[step] = [0, 1].map(|part| steps[step][part].min(times[part]));
                step += 1;
            }
        }
    });
    [0, 1].map(|part| 1e3 * steps.iter().map(|times| times[part]).sum::<f64>())
}

fn model(pool: &Pool, precisions: &[Precision]) {
    println!("\nall weight products of SmolLM2-135M (and packing of activations), ms: batch 1, 8, 32, 128, 2048");
    for &precision in precisions {
        let pack = |&[outputs, inputs]: &[usize; 2]| {
            Weight::pack(pool, &numbers(outputs * inputs), outputs, inputs, precision)
        };
        let layers = (0..LAYERS).flat_map(|_| LAYER);
        let groups: Vec<Vec<Weight>> =
            layers.chain([&[HEAD][..]]).map(|group| group.iter().map(pack).collect()).collect();
        let times = [1, 8, 32, 128, 2048].map(|rows| {
            let [products, packing] = pass(pool, precision, rows, &groups);
            format!("{:14}", format!("{products:.2} ({packing:.2})"))
        });
        println!("{:6} {}", format!("{precision:?}"), times.join(" "));
    }
}
