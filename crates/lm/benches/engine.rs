//! Times whole calls of the engine on a real model, one JSON line a workload on standard output.
//!
//! ```text
//! cargo bench -p lm --bench engine -- --model FILE [--workload prefill,decode-1,decode-8,decode-32,score,train,group]
//!                                     [--precision bf16|int8|f32] [--threads N] [--repeat R]
//! ```
//!
//! Prompts are random token ids, 128 a prompt where the workload says nothing else; `decode-B` times 64 new tokens and
//! subtracts the same call with one; `train` is forward, backward and AdamW over 8 × 256 tokens with LoRA of rank 16 on
//! all linear maps; `group` samples 4 prompts × 8 rewrites × 64 tokens, scores them with and without the adapter,
//! and updates it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    reason = "a benchmark prints and stops at errors"
)]

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use lm::{
    AdamW, AdamWSettings, Checkpoint, CpuEngine, Engine, EngineOptions, Group, Linear, Lora, LoraShape, Precision,
    Request, Sampling, ScoreOptions, Scores, Token, Upstream,
};

struct Arguments {
    model: PathBuf,
    workloads: Vec<String>,
    options: EngineOptions,
    repeat: usize,
}

fn main() {
    let Some(arguments) = arguments() else {
        return eprintln!("usage: --model FILE [--workload …] [--precision …]");
    };
    let checkpoint = Checkpoint::open(&arguments.model).expect("a model file");
    let mut engine = CpuEngine::load(&checkpoint, arguments.options, &mut |_, _| {}).expect("a loadable model");
    for workload in &arguments.workloads {
        let tokens = run(&mut engine, workload).0;
        let mut seconds: Vec<f64> = (0..arguments.repeat).map(|_| run(&mut engine, workload).1).collect();
        seconds.sort_by(f64::total_cmp);
        let median = seconds[seconds.len() / 2];
        println!(
            "{}",
            serde_json::json!({
                "workload": workload,
                "precision": format!("{:?}", engine.precision()).to_lowercase(),
                "seconds": median,
                "fastest": seconds[0],
                "tokens_per_second": tokens / median,
                "peak_memory_gb": peak_memory_gb(),
            })
        );
    }
}

fn arguments() -> Option<Arguments> {
    let all = "prefill,decode-1,decode-8,decode-32,score,train,group";
    let mut arguments = Arguments {
        model: PathBuf::new(),
        workloads: all.split(',').map(str::to_owned).collect(),
        options: EngineOptions::default(),
        repeat: 5,
    };
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--model" => arguments.model = value.into(),
            "--workload" => arguments.workloads = value.split(',').map(str::to_owned).collect(),
            "--threads" => arguments.options.threads = NonZeroUsize::new(value.parse().ok()?),
            "--repeat" => arguments.repeat = value.parse().ok()?,
            "--precision" => {
                arguments.options.precision = match value.as_str() {
                    "f32" => Precision::F32,
                    "bf16" => Precision::Bf16,
                    "int8" => Precision::Int8,
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
    (!arguments.model.as_os_str().is_empty() && arguments.repeat > 0).then_some(arguments)
}

/// (tokens worked on, seconds)
fn run(engine: &mut CpuEngine, workload: &str) -> (f64, f64) {
    match workload {
        "prefill" => timed(2048.0, || drop(generate(engine, 8, 256, 1, None))),
        "score" => timed(2048.0, || drop(score(engine, &groups(8, 128, 1, 128)))),
        "train" => {
            let mut lora = adapter(engine);
            let mut optimiser = AdamW::new(AdamWSettings::default(), lora.parameters.len());
            timed(2048.0, || update(engine, &mut lora, &mut optimiser, &groups(8, 1, 1, 255)))
        }
        "group" => {
            let mut lora = adapter(engine);
            let mut optimiser = AdamW::new(AdamWSettings::default(), lora.parameters.len());
            timed(4.0 * 8.0 * 64.0, || group_step(engine, &mut lora, &mut optimiser))
        }
        decode => {
            let batch: usize = decode.trim_start_matches("decode-").parse().expect("decode-B");
            let (_, prefill) = timed(0.0, || drop(generate(engine, batch, 128, 1, None)));
            let (_, whole) = timed(0.0, || drop(generate(engine, batch, 128, 64, None)));
            ((batch * 63) as f64, whole - prefill)
        }
    }
}

fn timed(tokens: f64, work: impl FnOnce()) -> (f64, f64) {
    let start = Instant::now();
    work();
    (tokens, start.elapsed().as_secs_f64())
}

fn tokens(count: usize, seed: usize) -> Vec<Token> {
    let mut generator = lm::Generator::new(seed as u64);
    (0..count).map(|_| 1000 + (generator.uniform() * 29_000.0) as Token).collect()
}

fn generate(
    engine: &mut CpuEngine,
    prompts: usize,
    length: usize,
    new: usize,
    group: Option<(&Lora, usize)>,
) -> Vec<Group> {
    let samples = group.map_or(1, |(_, samples)| samples);
    let request = |index: usize| Request {
        prompt: tokens(length, index),
        tails: Vec::new(),
        seeds: (0..samples as u64).collect(),
        sampling: Sampling::at_temperature(1.0),
        max_tokens: new,
        stop_tokens: Vec::new(),
        stop_strings: Vec::new(),
    };
    let requests: Vec<Request> = (0..prompts).map(request).collect();
    let samples = match group {
        None => engine.generate(&requests, None),
        Some((lora, _)) => engine.generate_recorded(&requests, lora),
    };
    let samples = samples.expect("samples");
    let continuations = samples.into_iter().map(|samples| samples.into_iter().map(|sample| sample.tokens).collect());
    requests
        .into_iter()
        .zip(continuations)
        .map(|(request, continuations)| Group { prefix: request.prompt, continuations })
        .collect()
}

fn groups(count: usize, prefix: usize, continuations: usize, length: usize) -> Vec<Group> {
    let group = |index| Group {
        prefix: tokens(prefix, index),
        continuations: (0..continuations).map(|each| tokens(length, 1000 + index * continuations + each)).collect(),
    };
    (0..count).map(group).collect()
}

fn adapter(engine: &CpuEngine) -> Lora {
    Lora::new(LoraShape::new(engine.architecture(), 16, 32.0, &Linear::ALL, 0), 1)
}

fn score(engine: &mut CpuEngine, groups: &[Group]) -> Scores {
    engine.score(groups, None, &ScoreOptions::default()).expect("scores")
}

/// One step on the mean log-probability.
fn update(engine: &mut CpuEngine, lora: &mut Lora, optimiser: &mut AdamW, groups: &[Group]) {
    let (scores, tape) = engine.score_with_tape(groups, lora, &ScoreOptions::default()).expect("scores");
    let count: usize = scores.token_logps.iter().flatten().map(Vec::len).sum();
    let weigh = |line: &Vec<f32>| vec![-1.0 / count as f32; line.len()];
    let d_token_logps = scores.token_logps.iter().map(|group| group.iter().map(weigh).collect()).collect();
    let gradients = engine.backward(tape, lora, &Upstream { d_token_logps, d_values: None }).expect("gradients");
    optimiser.step(&mut lora.parameters, &gradients.flat, 1e-5).expect("finite gradients");
}

fn group_step(engine: &mut CpuEngine, lora: &mut Lora, optimiser: &mut AdamW) {
    let groups = generate(engine, 4, 128, 64, Some((lora, 8)));
    score(engine, &groups);
    update(engine, lora, optimiser, &groups);
}

/// The process's largest resident set so far.
fn peak_memory_gb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1e6)
}
