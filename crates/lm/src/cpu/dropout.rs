//! Dropout on LoRA inputs that forward, recomputed forward and backward agree on.

use crate::{Dropout, Generator, Linear};

/// out = input ∘ mask / (1 − rate), the mask a hash of (seed, layer, linear, row, column).
pub(super) fn apply(dropout: Dropout, layer: usize, linear: Linear, input: &[f32], columns: usize, out: &mut Vec<f32>) {
    let keep = 1.0 - dropout.rate;
    let threshold = (f64::from(keep) * 2f64.powi(32)) as u64;
    let place = (layer as u64) * 8 + linear as u64;
    let stream = mix(dropout.seed ^ mix(place));
    out.clear();
    out.extend(input.chunks(columns).enumerate().flat_map(|(row, values)| {
        let row_stream = mix(stream ^ row as u64);
        values.iter().enumerate().map(move |(column, &value)| {
            let kept = mix(row_stream ^ column as u64) >> 32 < threshold;
            if kept { value / keep } else { 0.0 }
        })
    }));
}

/// A hash: the first bits of the stream that `value` seeds.
fn mix(value: u64) -> u64 {
    Generator::new(value).bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_mean_and_the_asked_share() {
        let (input, mut out) = (vec![1.0; 200_000], Vec::new());
        apply(Dropout { rate: 0.2, seed: 3 }, 1, Linear::Up, &input, 100, &mut out);
        let dropped = out.iter().filter(|value| **value == 0.0).count() as f64 / 200_000.0;
        assert!((dropped - 0.2).abs() < 0.005, "{dropped}");
        assert!((out.iter().map(|value| f64::from(*value)).sum::<f64>() / 200_000.0 - 1.0).abs() < 0.01);
    }

    #[test]
    fn differs_by_seed_layer_and_linear_and_repeats_otherwise() {
        let draw = |seed, layer, linear| {
            let mut out = Vec::new();
            apply(Dropout { rate: 0.5, seed }, layer, linear, &[1.0; 256], 16, &mut out);
            out
        };
        let base = draw(1, 2, Linear::Q);
        assert_eq!(base, draw(1, 2, Linear::Q));
        assert!(
            [draw(2, 2, Linear::Q), draw(1, 3, Linear::Q), draw(1, 2, Linear::K)].iter().all(|other| *other != base)
        );
    }
}
