//! Gradients are slopes: every tensor of an adapter against central differences of a plain forward pass in f64.

use std::ops::Range;

use lm::{
    Architecture, Checkpoint, Dropout, Engine, Generator, Group, Linear, Lora, LoraShape, ScoreOptions, Upstream,
};

use crate::engines::{differentiate, exact};
use crate::golden::{Ragged, TINY, model_folder};
use crate::reference::{Reference, log_probability};

const TEMPERATURE: f32 = 0.8;
/// Steps are along random directions of about this length per entry.
const STEP: f32 = 1e-3;

struct Case {
    groups: Vec<Group>,
    upstream: Upstream,
}

/// Two groups with random weights; `values` says which outputs of a single head count.
fn case(architecture: &Architecture, values: Values, seed: u64) -> Case {
    let mut generator = Generator::new(seed);
    let vocabulary = architecture.vocabulary as u64;
    let mut draw =
        |length: usize| -> Vec<u32> { (0..length).map(|_| (generator.bits() % vocabulary) as u32).collect() };
    let groups = vec![
        Group { prefix: draw(4), continuations: vec![draw(3), draw(7)] },
        Group { prefix: draw(9), continuations: vec![draw(2)] },
    ];
    let mut weights = |more: usize| -> Ragged {
        let lengths = groups.iter().map(|group| group.continuations.iter().map(|line| line.len() + more));
        let mut line = |length: usize| (0..length).map(|_| generator.symmetric(1.0) as f32).collect();
        lengths.map(|group| group.map(&mut line).collect()).collect()
    };
    let d_token_logps = weights(0);
    let mut d_values = weights(1);
    if values == Values::Last {
        for line in d_values.iter_mut().flatten() {
            let end = line.len() - 1;
            line[..end].fill(0.0);
        }
    }
    Case { groups, upstream: Upstream { d_token_logps, d_values: (values != Values::None).then_some(d_values) } }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    None,
    /// A value for every token, as PPO's critic has.
    All,
    /// One number a sequence, as a reward model has.
    Last,
}

/// Σ d·logp + Σ d·value in f64.
fn loss(checkpoint: &Checkpoint, lora: &Lora, case: &Case) -> f64 {
    let reference = Reference::load(checkpoint, Some(lora));
    let mut sum = 0.0;
    for (index, group) in case.groups.iter().enumerate() {
        for (line, continuation) in group.continuations.iter().enumerate() {
            let tokens = [&group.prefix[..], continuation].concat();
            let logits = reference.logits(&tokens);
            let start = group.prefix.len() - 1;
            let weights = &case.upstream.d_token_logps[index][line];
            for ((row, &token), &weight) in logits[start..].iter().zip(continuation).zip(weights) {
                sum += f64::from(weight) * log_probability(row, token, f64::from(TEMPERATURE));
            }
            let Some(d_values) = &case.upstream.d_values else { continue };
            for (state, &weight) in reference.hidden(&tokens)[start..].iter().zip(&d_values[index][line]) {
                let parameters = |range: Range<usize>| lora.parameters[range].iter().copied().map(f64::from);
                let product: f64 = parameters(lora.shape.head_weight()).zip(state).map(|(w, h)| w * h).sum();
                sum += f64::from(weight) * (product + parameters(lora.shape.head_bias()).sum::<f64>());
            }
        }
    }
    sum
}

fn random_adapter(architecture: &Architecture, targets: &[Linear], heads: usize) -> Lora {
    let mut lora = Lora::new(LoraShape::new(architecture, 3, 6.0, targets, heads), 5);
    let mut generator = Generator::new(6);
    lora.parameters.fill_with(|| generator.symmetric(0.3) as f32);
    lora
}

/// Every A, every B, the heads' weights and their biases.
fn tensors(shape: &LoraShape) -> Vec<(String, Range<usize>)> {
    let mut found = Vec::new();
    for layer in 0..shape.layers() {
        for &linear in &shape.targets {
            found.extend(shape.a(layer, linear).map(|range| (format!("layer {layer} {} A", linear.name()), range)));
            found.extend(shape.b(layer, linear).map(|range| (format!("layer {layer} {} B", linear.name()), range)));
        }
    }
    if shape.heads > 0 {
        found.extend([("head weight".to_owned(), shape.head_weight()), ("head bias".to_owned(), shape.head_bias())]);
    }
    found
}

/// The slope along a random direction within `range` by central differences, and what `gradient` says it is.
fn slopes(lora: &Lora, range: &Range<usize>, gradient: &[f32], loss: &mut dyn FnMut(&Lora) -> f64) -> (f64, f64) {
    let mut generator = Generator::new(range.start as u64);
    let (mut ahead, mut behind) = (lora.clone(), lora.clone());
    let mut predicted = 0.0;
    for index in range.clone() {
        let step = generator.symmetric(f64::from(STEP)) as f32;
        ahead.parameters[index] += step;
        behind.parameters[index] -= step;
        // The step that was made, after rounding.
        predicted += f64::from(ahead.parameters[index] - behind.parameters[index]) * f64::from(gradient[index]);
    }
    (loss(&ahead) - loss(&behind), predicted)
}

fn check(name: &str, values: Values, targets: &[Linear]) {
    let checkpoint = Checkpoint::open(&model_folder(name)).unwrap();
    let mut engine = exact(name);
    let case = case(checkpoint.architecture(), values, 11);
    let lora = random_adapter(checkpoint.architecture(), targets, usize::from(values != Values::None));
    let (_, gradient) = differentiate(&mut engine, &case.groups, &lora, &case.upstream, TEMPERATURE);
    assert_eq!(gradient.len(), lora.parameters.len());
    for (place, range) in tensors(&lora.shape) {
        let (found, predicted) = slopes(&lora, &range, &gradient, &mut |lora| loss(&checkpoint, lora, &case));
        let size: f64 = gradient[range].iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt() * f64::from(STEP);
        let off = (found - predicted).abs() / size;
        assert!(off < 2e-3, "{name}, {place}: the loss moves by {found}, the gradient says {predicted} ({off})");
    }
}

#[test]
fn every_target_of_every_architecture() {
    for name in TINY {
        check(name, Values::None, &Linear::ALL);
    }
}

#[test]
fn value_and_scalar_heads() {
    for name in ["llama", "gemma3"] {
        check(name, Values::All, &Linear::ALL);
        check(name, Values::Last, &Linear::ALL);
    }
}

#[test]
fn each_target_alone() {
    for linear in Linear::ALL {
        check("qwen3", Values::Last, &[linear]);
    }
}

#[test]
fn heads_alone() {
    check("llama", Values::All, &[]);
}

/// The engine's own forward pass decides which entries are dropped, so it is also the loss here.
#[test]
fn dropout_drops_the_same_entries_in_both_directions() {
    for rows in [0, 1 << 30] {
        let options = lm::EngineOptions { tape_budget: rows, ..crate::engines::options(lm::Precision::F32) };
        let mut engine = crate::engines::load("llama", options);
        let architecture = engine.architecture().clone();
        let case = case(&architecture, Values::None, 12);
        let mut lora = random_adapter(&architecture, &Linear::ALL, 0);
        let without = differentiate(&mut engine, &case.groups, &lora, &case.upstream, 1.0).1;
        lora.dropout = Some(Dropout { rate: 0.3, seed: 4 });
        let gradient = differentiate(&mut engine, &case.groups, &lora, &case.upstream, 1.0).1;
        assert_ne!(gradient, without);
        let mut loss = |lora: &Lora| -> f64 {
            let (scores, _) = engine.score_with_tape(&case.groups, lora, &ScoreOptions::default()).unwrap();
            let pairs =
                scores.token_logps.concat().concat().into_iter().zip(case.upstream.d_token_logps.concat().concat());
            pairs.map(|(logp, weight)| f64::from(logp) * f64::from(weight)).sum()
        };
        for (place, range) in tensors(&lora.shape) {
            let (found, predicted) = slopes(&lora, &range, &gradient, &mut loss);
            let size: f64 = gradient[range].iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt() * f64::from(STEP);
            assert!((found - predicted).abs() / size < 0.05, "{place}: {found} against {predicted}");
        }
    }
}
