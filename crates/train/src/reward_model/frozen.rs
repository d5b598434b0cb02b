//! Heads on a frozen language model: its last hidden states are computed once, and what is left is logistic regression.
//!
//! ## Algorithm
//! For each attribute, over pairs with states h_c, h_r and handicap: minimise
//! mean −log σ(w · (h_c − h_r) / s + handicap) + (ridge / 2) |w|²,
//! where s is the standard deviation of each coordinate's difference. It is convex; full-batch AdamW from w = 0 goes down
//! it for each ridge of a grid, and the w with the lowest loss on the validation pairs is kept.

use lm::{AdamW, AdamWSettings, Engine, Lora, LoraShape};
use objective::{BradleyTerry, Sides, bradley_terry};
use rollout::model::LocalModel;

use super::{RewardPair, ends};
use crate::{Error, Outcome};

/// Strengths of regularisation that are tried.
const RIDGES: [f64; 6] = [1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0];
const UPDATES: u64 = 400;
const LEARNING_RATE: f64 = 0.01;

/// What is left of a pair when its states are known.
struct Difference {
    attribute: usize,
    handicap: f64,
    /// h_c − h_r.
    states: Vec<f32>,
}

/// Train heads, one an attribute, on pairs; `progress` is told how many pairs' states are computed.
pub fn train<E: Engine>(
    model: &LocalModel<E>,
    pairs: &[RewardPair],
    validation: &[RewardPair],
    n_attributes: usize,
    limit: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<Outcome, Error> {
    if pairs.is_empty() {
        return Err(Error::NoPrompts);
    }
    let architecture = model.engine().architecture().clone();
    let identity = identity_heads(&LoraShape::new(&architecture, 1, 1.0, &[], architecture.hidden));
    let mut done = 0;
    let mut states = |pairs: &[RewardPair]| differences(model, pairs, &identity, limit, &mut done, progress);
    let (train, tried) = (states(pairs)?, states(validation)?);

    let shape = LoraShape::new(&architecture, 1, 1.0, &[], n_attributes);
    let mut heads = Lora { parameters: vec![0.0; shape.len()], shape, dropout: None };
    let weights = heads.shape.head_weight();
    for attribute in 0..n_attributes {
        let of = |differences: &[Difference]| -> Vec<usize> {
            (0..differences.len()).filter(|&place| differences[place].attribute == attribute).collect()
        };
        let weight = fit(&train, &of(&train), &tried, &of(&tried), architecture.hidden)?;
        let start = weights.start + attribute * architecture.hidden;
        heads.parameters[start..start + architecture.hidden].copy_from_slice(&weight);
    }
    Ok(Outcome { steps: UPDATES, kept_step: UPDATES, adapter: heads })
}

/// Heads that say the hidden state itself.
fn identity_heads(shape: &LoraShape) -> Lora {
    let mut heads = Lora { parameters: vec![0.0; shape.len()], shape: shape.clone(), dropout: None };
    let start = shape.head_weight().start;
    for index in 0..shape.heads {
        heads.parameters[start + index * shape.heads + index] = 1.0;
    }
    heads
}

fn differences<E: Engine>(
    model: &LocalModel<E>,
    pairs: &[RewardPair],
    identity: &Lora,
    limit: usize,
    done: &mut usize,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Difference>, Error> {
    let mut differences = Vec::with_capacity(pairs.len());
    ends(model, identity, &pairs.iter().collect::<Vec<_>>(), limit, &mut |pair, [chosen, rejected]| {
        let &RewardPair { attribute, handicap, .. } = pair;
        let states = chosen.iter().zip(rejected).map(|(chosen, rejected)| (chosen - rejected) as f32).collect();
        differences.push(Difference { attribute, handicap, states });
        *done += 1;
        progress(*done);
        Ok(())
    })?;
    Ok(differences)
}

/// The head of one attribute, from the pairs at these places.
fn fit(
    train: &[Difference],
    places: &[usize],
    tried: &[Difference],
    tried_places: &[usize],
    hidden: usize,
) -> Result<Vec<f32>, Error> {
    let scale: Vec<f32> = (0..hidden)
        .map(|index| {
            let squares: f64 = places.iter().map(|&place| f64::from(train[place].states[index]).powi(2)).sum();
            (squares / places.len().max(1) as f64).sqrt().max(1e-12) as f32
        })
        .collect();
    let mut best: Option<(f64, Vec<f32>)> = None;
    for ridge in RIDGES {
        let mut weight = vec![0.0; hidden];
        let mut optimizer = AdamW::new(AdamWSettings::default(), hidden);
        for _ in 0..UPDATES {
            let (_, mut slopes) = loss(train, places, &weight, &scale)?;
            slopes.iter_mut().zip(&weight).for_each(|(slope, &weight)| *slope += ridge as f32 * weight);
            optimizer.step(&mut weight, &slopes, LEARNING_RATE)?;
        }
        // Without validation pairs of this attribute the strongest ridge is taken: it promises least.
        let found = if tried_places.is_empty() { -ridge } else { loss(tried, tried_places, &weight, &scale)?.0 };
        if best.as_ref().is_none_or(|(lowest, _)| found < *lowest) {
            best = Some((found, weight));
        }
    }
    let weight = best.map_or_else(|| vec![0.0; hidden], |(_, weight)| weight);
    Ok(weight.iter().zip(&scale).map(|(weight, scale)| weight / scale).collect())
}

/// The mean loss and its derivative with respect to w.
fn loss(differences: &[Difference], places: &[usize], weight: &[f32], scale: &[f32]) -> Result<(f64, Vec<f32>), Error> {
    let scaled: Vec<f32> = weight.iter().zip(scale).map(|(weight, scale)| weight / scale).collect();
    let n = places.len().max(1) as f64;
    let (mut sum, mut slopes) = (0.0, vec![0.0f32; weight.len()]);
    for &place in places {
        let Difference { handicap, states, .. } = &differences[place];
        let margin: f32 = scaled.iter().zip(states).map(|(weight, state)| weight * state).sum();
        let found = bradley_terry(Sides::new(f64::from(margin), 0.0), *handicap, BradleyTerry { center_weight: 0.0 })?;
        sum += found.loss / n;
        let slope = (found.d_rewards.chosen / n) as f32;
        slopes.iter_mut().zip(states).for_each(|(sum, state)| *sum += slope * state);
    }
    slopes.iter_mut().zip(scale).for_each(|(slope, scale)| *slope /= scale);
    Ok((sum, slopes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs whose first coordinate decides, with noise in the second.
    fn pairs(n: usize) -> Vec<Difference> {
        let noise = |place: usize| ((place * 7919 % 1000) as f32 / 500.0 - 1.0) * 30.0;
        let state = |place: usize| vec![if place.is_multiple_of(10) { -1.0 } else { 1.0 }, noise(place)];
        (0..n).map(|place| Difference { attribute: 0, handicap: 0.0, states: state(place) }).collect()
    }

    #[test]
    fn the_head_finds_what_decides_whatever_its_scale() {
        let (train, tried) = (pairs(400), pairs(100));
        let places: Vec<usize> = (0..400).collect();
        let weight = fit(&train, &places, &tried, &places[..100], 2).unwrap();
        // Nine of ten: the log-odds of the first coordinate alone are ln 9, of which a ridge takes some.
        let log_odds = f64::from(weight[0]);
        assert!(log_odds < 9f64.ln() && log_odds > 0.8 * 9f64.ln(), "{weight:?}");
        assert!(weight[1].abs() < 0.01, "{weight:?}");
    }

    #[test]
    fn slopes_are_differences() {
        let train = pairs(20);
        let places: Vec<usize> = (0..20).collect();
        let (weight, scale) = ([0.3, -0.2], [1.0, 17.0]);
        let (_, slopes) = loss(&train, &places, &weight, &scale).unwrap();
        for index in 0..2 {
            let at = |step: f32| {
                let mut moved = weight;
                moved[index] += step;
                loss(&train, &places, &moved, &scale).unwrap().0
            };
            let difference = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert!((f64::from(slopes[index]) - difference).abs() < 1e-4, "{slopes:?} {difference}");
        }
    }
}
