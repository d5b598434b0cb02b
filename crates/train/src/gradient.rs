//! From an objective's derivatives to what the engine's backward pass takes.

use lm::{Scores, Upstream};

use crate::Error;
use crate::batch::Piece;
use crate::run::{Scored, Slopes};

/// The derivatives of a micro-batch, in the shapes of its scores.
pub(crate) fn upstream(
    pieces: &[Piece],
    scores: &Scores,
    slopes: &mut dyn FnMut(Scored<'_>) -> Result<Slopes, Error>,
) -> Result<Upstream, Error> {
    let mut d_token_logps = Vec::with_capacity(pieces.len());
    let mut d_values = Vec::new();
    for (index, (piece, lines)) in pieces.iter().zip(&scores.token_logps).enumerate() {
        let (mut d_lines, mut d_values_of_piece) = (Vec::new(), Vec::new());
        for (number, (rollout, token_logps)) in piece.rollouts.clone().zip(lines).enumerate() {
            let values = scores.values.as_ref().map_or(&[][..], |values| &values[index][number]);
            let slopes = slopes(Scored { group: piece.group, rollout, token_logps, values })?;
            d_lines.push(narrowed(&slopes.token_logps));
            d_values_of_piece.push(narrowed(&slopes.values));
        }
        d_token_logps.push(d_lines);
        d_values.push(d_values_of_piece);
    }
    Ok(Upstream { d_token_logps, d_values: scores.values.as_ref().map(|_| d_values) })
}

fn narrowed(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}
