use super::*;
use crate::{Activation, Rotary};

/// Sizes that all differ, so that a transposed or swapped matrix cannot go unnoticed.
pub(crate) fn architecture() -> Architecture {
    Architecture {
        family: "llama".to_owned(),
        hidden: 12,
        layers: 2,
        heads: 3,
        kv_heads: 1,
        head_dim: 6,
        feed_forward: 20,
        vocabulary: 32,
        context: 64,
        norm_epsilon: 1e-5,
        activation: Activation::Silu,
        rotary: Rotary { frequencies: vec![1.0, 0.1, 0.01], magnitude: 1.0 },
        window: None,
        attention_scale: 0.4,
        embedding_scale: 1.0,
        logit_softcap: None,
        query_key_norm: false,
        post_norms: false,
        tied_head: true,
    }
}

/// An adapter with no zero in it.
pub(crate) fn random_lora(rank: usize, alpha: f32, targets: &[Linear], heads: usize, seed: u64) -> Lora {
    let mut lora = Lora::new(LoraShape::new(&architecture(), rank, alpha, targets, heads), seed);
    let mut generator = Generator::new(seed + 100);
    lora.parameters.fill_with(|| generator.symmetric(1.0) as f32);
    lora
}

fn close(ours: &[f32], expected: &[f32]) {
    assert_eq!(ours.len(), expected.len());
    for (ours, expected) in ours.iter().zip(expected) {
        assert!((ours - expected).abs() < 1e-5, "{ours}, not {expected}");
    }
}

#[test]
fn the_layout_covers_the_parameters_without_gap_or_overlap() {
    let shape = LoraShape::new(&architecture(), 4, 8.0, &Linear::ALL, 3);
    let mut ranges: Vec<Range<usize>> = shape.pairs().flat_map(|pair| [pair.a, pair.b]).collect();
    ranges.extend([shape.head_weight(), shape.head_bias()]);
    let end = ranges.iter().fold(0, |end, range| {
        assert_eq!(range.start, end);
        range.end
    });
    assert_eq!(end, shape.len());
    assert_eq!(shape.a(2, Linear::Q), None);
    assert_eq!(LoraShape::new(&architecture(), 4, 8.0, &[Linear::V], 0).a(0, Linear::Q), None);
}

#[test]
fn a_layout_fits_the_sizes_it_was_made_for() {
    let shape = LoraShape::new(&architecture(), 4, 8.0, &[Linear::Q, Linear::Down], 1);
    assert!(shape.fits(&architecture()));
    assert!(!shape.fits(&Architecture { layers: 3, ..architecture() }));
    assert!(!shape.fits(&Architecture { feed_forward: 24, ..architecture() }));
}

#[test]
fn a_fresh_adapter_is_pefts_start() {
    let shape = LoraShape::new(&architecture(), 4, 8.0, &[Linear::Q, Linear::Down], 1);
    let lora = Lora::new(shape.clone(), 7);
    for pair in shape.pairs() {
        let bound = 1.0 / (pair.inputs as f32).sqrt();
        let a = &lora.parameters[pair.a];
        assert!(a.iter().all(|value| value.abs() <= bound));
        let spread = (a.iter().map(|value| value * value).sum::<f32>() / a.len() as f32).sqrt();
        assert!((spread * 3f32.sqrt() / bound - 1.0).abs() < 0.25, "{:?}: spread {spread}", pair.linear);
        assert!(lora.parameters[pair.b].iter().all(|&value| value == 0.0));
    }
    assert!(
        lora.parameters[shape.head_weight()].iter().all(|value| value.abs() <= (3f32 / 13.0).sqrt() && *value != 0.0)
    );
    assert_eq!(lora.parameters[shape.head_bias()], [0.0]);
}

#[test]
fn initial_values_depend_on_the_seed_and_the_place_only() {
    let of = |targets: &[Linear], seed| Lora::new(LoraShape::new(&architecture(), 4, 8.0, targets, 0), seed);
    let (few, all) = (of(&[Linear::Gate], 7), of(&Linear::ALL, 7));
    let gate = |lora: &Lora, layer| lora.parameters[lora.shape.a(layer, Linear::Gate).unwrap()].to_vec();
    assert_eq!(gate(&few, 1), gate(&all, 1));
    assert_ne!(gate(&few, 0), gate(&few, 1));
    assert_ne!(gate(&few, 0), gate(&of(&[Linear::Gate], 8), 0));
    // Written down when the initialisation was made. A change here changes every run that was ever seeded.
    assert_eq!(gate(&few, 0)[..3], PINNED);
}

const PINNED: [f32; 3] = [-0.25541475, 0.02989725, -0.2311625];

#[test]
fn delta_is_the_scaled_product() {
    let lora = random_lora(3, 6.0, &Linear::ALL, 0, 1);
    for pair in lora.shape.pairs() {
        let (a, b) = (&lora.parameters[pair.a], &lora.parameters[pair.b]);
        let delta = lora.delta(pair.layer, pair.linear).unwrap();
        for output in 0..pair.outputs {
            for input in 0..pair.inputs {
                let product = (0..3).map(|r| b[r * pair.outputs + output] * a[r * pair.inputs + input]).sum::<f32>();
                assert!((delta[output * pair.inputs + input] - 2.0 * product).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn extrapolation_equals_the_dense_one() {
    let (newer, older) = (random_lora(3, 6.0, &Linear::ALL, 2, 1), random_lora(3, 6.0, &Linear::ALL, 2, 2));
    let beyond = Lora::extrapolate(&newer, &older, 0.3).unwrap();
    assert_eq!(beyond.shape.rank, 6);
    let dense = |newer: &[f32], older: &[f32]| -> Vec<f32> {
        newer.iter().zip(older).map(|(newer, older)| newer + 0.3 * (newer - older)).collect()
    };
    for pair in newer.shape.pairs() {
        let of = |lora: &Lora| lora.delta(pair.layer, pair.linear).unwrap();
        close(&of(&beyond), &dense(&of(&newer), &of(&older)));
    }
    let heads = |lora: &Lora| lora.parameters[lora.shape.head_weight().start..].to_vec();
    close(&heads(&beyond), &dense(&heads(&newer), &heads(&older)));
}

#[test]
fn combining_weighs_adapters_of_different_rank_and_scale() {
    let (one, two) = (random_lora(3, 6.0, &[Linear::O], 0, 1), random_lora(5, 1.0, &[Linear::O], 0, 2));
    let sum = Lora::combine(&[(0.5, &one), (2.0, &two)]).unwrap();
    let [sum, one, two] = [&sum, &one, &two].map(|lora| lora.delta(1, Linear::O).unwrap());
    close(&sum, &one.iter().zip(&two).map(|(one, two)| 0.5 * one + 2.0 * two).collect::<Vec<_>>());
}

#[test]
fn adapters_that_do_not_match_are_refused() {
    let one = random_lora(3, 6.0, &[Linear::O], 0, 1);
    assert!(Lora::combine(&[(1.0, &one), (1.0, &random_lora(3, 6.0, &[Linear::Q], 0, 1))]).is_err());
    assert!(Lora::combine(&[(1.0, &one), (1.0, &random_lora(3, 6.0, &[Linear::O], 1, 1))]).is_err());
    assert!(Lora::combine(&[]).is_err());
    assert!(Lora::average(&[&one, &random_lora(2, 6.0, &[Linear::O], 0, 1)]).is_err());
    assert!(Lora::average(&[]).is_err());
}

#[test]
fn the_average_is_parameter_by_parameter() {
    let (one, two) = (random_lora(3, 6.0, &[Linear::O], 1, 1), random_lora(3, 6.0, &[Linear::O], 1, 2));
    let mean = Lora::average(&[&one, &two]).unwrap();
    let expected: Vec<f32> = one.parameters.iter().zip(&two.parameters).map(|(one, two)| (one + two) / 2.0).collect();
    close(&mean.parameters, &expected);
    assert_eq!(Lora::average(&[&one, &one]).unwrap(), one);
}
