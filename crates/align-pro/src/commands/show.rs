//! `model show`: what a model is and what it needs.

use std::collections::BTreeMap;

use indicatif::HumanBytes;
use lm::{Architecture, Checkpoint, Linear, LoraShape, Precision, Summary, tape_bytes_per_token};
use serde::Serialize;

use super::Session;
use crate::arguments::Show;
use crate::models;
use crate::output::Output;

/// The training step that [`Memory::training_step`] is for.
const STEP_SEQUENCES: u64 = 8;
const STEP_TOKENS: u64 = 256;
const STEP_RANK: usize = 16;

#[derive(Serialize)]
struct Report {
    path: String,
    name: Option<String>,
    format: &'static str,
    licence: Option<String>,
    chat_template: bool,
    parameters: u64,
    file_bytes: u64,
    /// For every way numbers are stored: tensors and values.
    quantisation: BTreeMap<String, Storage>,
    architecture: Sizes,
    memory: Memory,
}

#[derive(Serialize)]
struct Storage {
    tensors: u64,
    values: u64,
}

#[derive(Serialize)]
struct Sizes {
    family: String,
    layers: usize,
    hidden: usize,
    feed_forward: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    vocabulary: usize,
    context: usize,
    sliding_window: Option<usize>,
    tied_head: bool,
}

/// Estimates, in bytes.
#[derive(Serialize)]
struct Memory {
    weights_f32: u64,
    weights_bf16: u64,
    weights_int8: u64,
    /// Keys and values of one token, where weights are f32.
    cache_per_token_f32: u64,
    /// The same beside narrower weights.
    cache_per_token_bf16: u64,
    /// A LoRA step of rank 16 on all linear maps over 8 sequences of 256 tokens, bf16 weights included.
    training_step: u64,
}

pub(super) fn run(arguments: &Show, session: &Session, output: &mut Output) -> anyhow::Result<()> {
    let report = report(&models::open(&arguments.model, session)?);
    if arguments.json {
        return output.json_document(&report);
    }
    print(&report, output)
}

fn report(checkpoint: &Checkpoint) -> Report {
    let Summary { format, name, licence, parameters, storage, file_bytes, chat_template } = checkpoint.summary();
    let architecture = checkpoint.architecture();
    let quantisation =
        storage.into_iter().map(|(kind, (tensors, values))| (kind, Storage { tensors, values })).collect();
    Report {
        path: checkpoint.path().display().to_string(),
        name,
        format,
        licence,
        chat_template,
        parameters,
        file_bytes,
        quantisation,
        architecture: sizes(architecture),
        memory: memory(architecture, parameters),
    }
}

fn sizes(architecture: &Architecture) -> Sizes {
    Sizes {
        family: architecture.family.clone(),
        layers: architecture.layers,
        hidden: architecture.hidden,
        feed_forward: architecture.feed_forward,
        heads: architecture.heads,
        kv_heads: architecture.kv_heads,
        head_dim: architecture.head_dim,
        vocabulary: architecture.vocabulary,
        context: architecture.context,
        sliding_window: architecture.window.as_ref().map(|window| window.size),
        tied_head: architecture.tied_head,
    }
}

/// What the engine keeps: the weights, packed both ways while training; the tape; the values and gradients of the layer
/// at hand; and four numbers (value, gradient, two moments) for every parameter of the adapter.
fn memory(architecture: &Architecture, parameters: u64) -> Memory {
    const F32: u64 = 4;
    let [layers, hidden, feed_forward] =
        [architecture.layers, architecture.hidden, architecture.feed_forward].map(|size| size as u64);
    let [query, key] = [architecture.heads, architecture.kv_heads].map(|heads| (heads * architecture.head_dim) as u64);
    let tokens = STEP_SEQUENCES * STEP_TOKENS;
    let tape = tape_bytes_per_token(architecture, Precision::Bf16) as u64;
    let one_layer = 2 * (3 * hidden + 2 * query + 2 * key + 3 * feed_forward) * F32;
    let adapter = LoraShape::new(architecture, STEP_RANK, 2.0 * STEP_RANK as f32, &Linear::ALL, 0).len() as u64;
    Memory {
        weights_f32: parameters * F32,
        weights_bf16: parameters * 2,
        // A scale of two bytes for 32 inputs.
        weights_int8: parameters + parameters / 16,
        cache_per_token_f32: 2 * layers * key * F32,
        cache_per_token_bf16: 2 * layers * key * 2,
        training_step: parameters * 4 + tokens * (tape + one_layer) + adapter * 4 * F32,
    }
}

fn print(report: &Report, output: &mut Output) -> anyhow::Result<()> {
    let mut row = |title: &str, value: String| output.line(&format!("{title:<14}{value}"));
    let Sizes { family, layers, hidden, feed_forward, heads, kv_heads, head_dim, vocabulary, context, .. } =
        &report.architecture;
    row("name", report.name.clone().unwrap_or_else(|| "not given".to_owned()))?;
    row("path", report.path.clone())?;
    row("format", format!("{}, {}", report.format, HumanBytes(report.file_bytes)))?;
    row("licence", report.licence.clone().unwrap_or_else(|| "not given in the files".to_owned()))?;
    row("chat template", if report.chat_template { "yes" } else { "no" }.to_owned())?;
    row("architecture", format!("{family}, {layers} layers, {} parameters", millions(report.parameters)))?;
    row("", format!("hidden {hidden}, feed-forward {feed_forward}"))?;
    row("", format!("{heads} heads of {head_dim}, {kv_heads} of them for keys and values"))?;
    let tied = if report.architecture.tied_head { "tied" } else { "separate" };
    row("", format!("{vocabulary} token ids, {tied} output matrix"))?;
    let window =
        report.architecture.sliding_window.map(|size| format!(", sliding window of {size}")).unwrap_or_default();
    row("context", format!("{context} tokens{window}"))?;
    let storage = report.quantisation.iter().map(|(kind, storage)| {
        let share = 100.0 * storage.values as f64 / report.parameters.max(1) as f64;
        format!("{kind} {share:.1} % ({} tensors)", storage.tensors)
    });
    row("quantisation", storage.collect::<Vec<_>>().join(", "))?;
    let &Memory { weights_f32, weights_bf16, weights_int8, training_step, .. } = &report.memory;
    let cache = [report.memory.cache_per_token_f32, report.memory.cache_per_token_bf16].map(HumanBytes);
    let [f32, bf16, int8] = [weights_f32, weights_bf16, weights_int8].map(HumanBytes);
    row("memory", format!("weights {f32} (f32), {bf16} (bf16), {int8} (int8)"))?;
    row("", format!("{} (f32), {} (else) for each token of every running sample", cache[0], cache[1]))?;
    let step = format!("LoRA step of {STEP_SEQUENCES} × {STEP_TOKENS} tokens, rank {STEP_RANK}, bf16");
    row("", format!("about {} for a {step}", HumanBytes(training_step)))
}

fn millions(parameters: u64) -> String {
    format!("{:.1} million", parameters as f64 / 1e6)
}
