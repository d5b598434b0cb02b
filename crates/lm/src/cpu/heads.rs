//! Linear heads on the final hidden state: value functions and reward models.
//!
//! v = W h + b for the state that predicts each token of a continuation, and for its last token's own state.

use super::tape::States;
use crate::Lora;

/// The states a continuation's values are read at: those that predict its tokens, then its last token's own.
fn state_path<'a>(states: &'a States, group: usize, continuation: usize) -> impl Iterator<Item = usize> + 'a {
    let predicting = states.places[group][continuation].iter().map(|&(state, _)| state);
    predicting.chain([states.last[group][continuation]])
}

/// [group][continuation][token and one more, heads side by side]
pub(super) fn values(lora: &Lora, states: &States, normed: &[f32]) -> Vec<Vec<Vec<f32>>> {
    let (weight, bias) = (&lora.parameters[lora.shape.head_weight()], &lora.parameters[lora.shape.head_bias()]);
    let hidden = weight.len() / lora.shape.heads;
    let at = |state: usize| {
        let h = &normed[state * hidden..][..hidden];
        let output = move |(w, b): (&[f32], &f32)| b + w.iter().zip(h).map(|(w, h)| w * h).sum::<f32>();
        weight.chunks(hidden).zip(bias).map(output)
    };
    let line = |group: usize, continuation: usize| state_path(states, group, continuation).flat_map(at).collect();
    (0..states.places.len())
        .map(|group| (0..states.places[group].len()).map(|index| line(group, index)).collect())
        .collect()
}

/// d_normed += Wᵀ d_values; the heads' own gradients join `flat`.
pub(super) fn backward(
    lora: &Lora,
    states: &States,
    normed: &[f32],
    d_values: &[Vec<Vec<f32>>],
    d_normed: &mut [f32],
    flat: &mut [f32],
) {
    let heads = lora.shape.heads;
    let (weight, bias) = (lora.shape.head_weight(), lora.shape.head_bias());
    let hidden = weight.len() / heads.max(1);
    for (group, lines) in d_values.iter().enumerate() {
        for (continuation, line) in lines.iter().enumerate() {
            for (state, d_value) in state_path(states, group, continuation).zip(line.chunks(heads)) {
                let range = state * hidden..(state + 1) * hidden;
                for (head, &d) in d_value.iter().enumerate() {
                    let place = weight.start + head * hidden;
                    for (index, (h, out)) in normed[range.clone()].iter().zip(&mut d_normed[range.clone()]).enumerate()
                    {
                        flat[place + index] += d * h;
                        *out += d * lora.parameters[place + index];
                    }
                    flat[bias.start + head] += d;
                }
            }
        }
    }
}
