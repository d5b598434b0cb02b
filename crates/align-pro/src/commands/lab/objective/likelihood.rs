//! SFT, on whole rewrites or token by token.

use objective::{BatchSize, Normaliser, sft, sft_masked};

use super::batch::{Batch, same_length, same_rows};
use super::options::Options;
use super::problem::Problem;
use super::report::{Column, Evaluation};

pub(super) fn evaluate(batch: &Batch<'_>, options: &Options<'_>) -> Result<Evaluation, Problem> {
    match (batch.has("token_logps"), batch.has("policy_chosen_logps")) {
        (true, true) => Err(Problem::Both { one: "token_logps", other: "policy_chosen_logps" }),
        (true, false) => by_token(batch, options),
        (false, true) => whole(batch, options),
        (false, false) => Err(batch.missing("token_logps", " or `policy_chosen_logps`")),
    }
}

fn whole(batch: &Batch<'_>, options: &Options<'_>) -> Result<Evaluation, Problem> {
    let logps = batch.needed_vector("policy_chosen_logps", "")?;
    let lengths = match options.switch("average", false)? {
        true => batch.needed_vector("chosen_lengths", " to average over")?,
        false => vec![1.0; logps.len()],
    };
    same_length(("chosen_lengths", &lengths), ("policy_chosen_logps", &logps))?;
    if let Some(entry) = lengths.iter().position(|length| *length < 1.0) {
        let (field, expected) = ("chosen_lengths", "a length of at least 1");
        return Err(Problem::Entry { field, entry, expected, found: lengths[entry] });
    }
    let weight = 1.0 / logps.len() as f64;
    let found: Vec<(f64, f64)> = logps.iter().map(|logp| sft(*logp)).collect();
    let losses = found.iter().zip(&lengths).map(|((loss, _), length)| loss / length).collect();
    let slopes = found.iter().zip(&lengths).map(|((_, slope), length)| weight * slope / length).collect();
    let mut evaluation = Evaluation::new(batch.method, losses);
    evaluation.gradient.insert("policy_chosen_logps", Column::Vector(slopes));
    Ok(evaluation)
}

fn by_token(batch: &Batch<'_>, options: &Options<'_>) -> Result<Evaluation, Problem> {
    let rows = batch.needed_rows("token_logps", "")?;
    let masks = batch.rows("mask")?.unwrap_or_else(|| rows.iter().map(|row| vec![1.0; row.len()]).collect());
    same_rows(("mask", &masks), ("token_logps", &rows))?;
    let default = if options.switch("average", false)? { Normaliser::PerSequence } else { Normaliser::PerRewrite };
    let normaliser = options.normaliser(default)?;
    normaliser.check()?;

    let masks: Vec<Vec<bool>> = masks.iter().map(|row| row.iter().map(|counts| *counts != 0.0).collect()).collect();
    let size = BatchSize::of(masks.iter().map(|mask| mask.iter().filter(|counts| **counts).count()));
    let (mut losses, mut gradients) = (vec![], vec![]);
    for (row, mask) in rows.iter().zip(&masks) {
        let mut gradient = vec![0.0; row.len()];
        let (loss, counted) = sft_masked(row, mask, &mut gradient)?;
        let weight = normaliser.weight(counted, size);
        losses.push(loss * weight * rows.len() as f64);
        gradient.iter_mut().for_each(|slope| *slope *= weight);
        gradients.push(gradient);
    }
    let mut evaluation = Evaluation::new(batch.method, losses);
    evaluation.gradient.insert("token_logps", Column::Rows(gradients));
    evaluation.metrics.insert("rewrites/mean_length", size.tokens as f64 / size.rewrites as f64);
    Ok(evaluation)
}
