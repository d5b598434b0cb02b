//! The engine gives what transformers and PEFT give, for every architecture.

use lm::{Engine, Precision, Token, Upstream};

use crate::engines::{at, differentiate, exact, group, load, options, score, upstream, zeros};
use crate::golden::{Golden, Ragged, TINY, Tensors, adapter, difference, ragged_difference, relative_difference};

/// Head outputs side by side, as [`lm::Scores::values`] has them.
fn flat_values(values: &[Vec<Vec<Vec<f32>>>]) -> Ragged {
    values.iter().map(|group| group.iter().map(|states| states.concat()).collect()).collect()
}

#[test]
fn whole_distributions_agree() {
    for name in TINY {
        let (mut engine, tensors, mut worst) = (exact(name), Tensors::of(name), 0f32);
        let vocabulary = engine.architecture().vocabulary;
        let every_token: Vec<Vec<Token>> = (0..vocabulary as Token).map(|token| vec![token]).collect();
        for (index, sequence) in Golden::read(name).sequences.iter().enumerate() {
            let logits = tensors.get(&format!("logits.{index}"));
            let last = &logits[logits.len() - vocabulary..];
            let scores = score(&mut engine, &[group(&sequence.tokens, &every_token)], None);
            let logps = scores.token_logps[0].concat();
            // A log-probability is a logit but for one constant.
            let constant = last[0] - logps[0];
            let found: Vec<f32> = logps.iter().map(|logp| logp + constant).collect();
            let off = difference(&found, last);
            assert!(off < 1e-4, "{name}, sequence {index}: logits are off by {off}");
            worst = worst.max(off);
        }
        println!("{name} f32: logits off by at most {worst:.1e}");
    }
}

#[test]
fn log_probabilities_agree_with_and_without_adapter_and_temperature() {
    for name in TINY {
        let (mut engine, golden) = (exact(name), Golden::read(name));
        let lora = adapter(name, engine.architecture(), false);
        let cases = [
            (None, 1.0, &golden.base_logps),
            (Some(&lora), 1.0, &golden.adapter_logps),
            (Some(&lora), golden.temperature, &golden.adapter_logps_tempered),
        ];
        for (adapter, temperature, expected) in cases {
            let scores = engine.score(&golden.groups(), adapter, &at(temperature)).unwrap();
            let off = ragged_difference(&scores.token_logps, expected);
            println!("{name} f32, temperature {temperature}: log-probabilities off by at most {off:.1e}");
            assert!(off < 1e-4, "{name}, adapter {}, temperature {temperature}: off by {off}", adapter.is_some());
            assert_eq!(scores.values, None);
        }
        for sequence in &golden.sequences {
            let (first, rest) = sequence.tokens.split_at(1);
            let scores = score(&mut engine, &[group(first, &[rest.to_vec()])], None);
            assert!(difference(&scores.token_logps[0][0], &sequence.logps) < 1e-4, "{name}");
        }
    }
}

#[test]
fn gradients_of_log_probabilities_agree() {
    for name in TINY {
        let (mut engine, golden, tensors) = (exact(name), Golden::read(name), Tensors::of(name));
        let lora = adapter(name, engine.architecture(), false);
        for (kind, temperature) in [("logps", 1.0), ("tempered", golden.temperature)] {
            let upstream = upstream(&golden.d_logps);
            let (_, found) = differentiate(&mut engine, &golden.groups(), &lora, &upstream, temperature);
            let expected = tensors.gradient(kind, &lora.shape);
            println!("{name} f32, {kind}: gradients off by {:.1e} relative", relative_difference(&found, &expected));
            for (place, range) in named_ranges(&lora.shape) {
                let off = relative_difference(&found[range.clone()], &expected[range]);
                assert!(off < 1e-4, "{name}, {kind}, {place}: relative difference {off}");
            }
        }
    }
}

#[test]
fn heads_and_their_gradients_agree() {
    for name in TINY {
        let (mut engine, golden, tensors) = (exact(name), Golden::read(name), Tensors::of(name));
        let lora = adapter(name, engine.architecture(), true);
        let expected_values = flat_values(&golden.values);
        let scores = score(&mut engine, &golden.groups(), Some(&lora));
        let off = ragged_difference(&scores.values.unwrap(), &expected_values);
        assert!(off < 1e-4, "{name}: values are off by {off}");

        let d_values = Some(flat_values(&golden.d_values));
        let values_only = Upstream { d_token_logps: zeros(&golden.d_logps), d_values: d_values.clone() };
        let (_, found) = differentiate(&mut engine, &golden.groups(), &lora, &values_only, 1.0);
        let of_values = tensors.gradient("values", &lora.shape);
        assert!(relative_difference(&found, &of_values) < 1e-4, "{name}: values");

        let both = Upstream { d_token_logps: golden.d_logps.clone(), d_values };
        let (_, found) = differentiate(&mut engine, &golden.groups(), &lora, &both, 1.0);
        let of_logps = tensors.gradient("logps", &lora.shape);
        let sum: Vec<f32> = of_values.iter().zip(of_logps).map(|(value, logp)| value + logp).collect();
        assert!(relative_difference(&found, &sum) < 1e-4, "{name}: both");
    }
}

#[test]
fn coarser_precisions_stay_near() {
    for name in TINY {
        let golden = Golden::read(name);
        for (precision, bound) in [(Precision::Bf16, 0.06), (Precision::Int8, 0.25)] {
            let mut engine = load(name, options(precision));
            let lora = adapter(name, engine.architecture(), false);
            let logps = score(&mut engine, &golden.groups(), Some(&lora)).token_logps.concat().concat();
            let expected = golden.adapter_logps.concat().concat();
            let pairs = logps.iter().zip(&expected);
            let mean = pairs.map(|(found, expected)| (found - expected).abs()).sum::<f32>() / expected.len() as f32;
            println!("{name} {precision:?}: mean |difference of log-probabilities| {mean}");
            assert!(mean < bound, "{name}, {precision:?}: mean difference {mean}");
        }
        let mut engine = load(name, options(Precision::Bf16));
        let lora = adapter(name, engine.architecture(), false);
        let (_, found) = differentiate(&mut engine, &golden.groups(), &lora, &upstream(&golden.d_logps), 1.0);
        let off = relative_difference(&found, &Tensors::of(name).gradient("logps", &lora.shape));
        println!("{name} bf16: relative difference of gradients {off}");
        assert!(off < 0.06, "{name}: gradients in bf16 are off by {off}");
    }
}

/// Every A and B with a name for messages.
fn named_ranges(shape: &lm::LoraShape) -> Vec<(String, std::ops::Range<usize>)> {
    let of_layer = |layer: usize| {
        shape.targets.iter().flat_map(move |&linear| {
            let a = shape.a(layer, linear).map(|range| (format!("layer {layer} {} A", linear.name()), range));
            let b = shape.b(layer, linear).map(|range| (format!("layer {layer} {} B", linear.name()), range));
            [a, b].into_iter().flatten()
        })
    };
    (0..shape.layers()).flat_map(of_layer).collect()
}
