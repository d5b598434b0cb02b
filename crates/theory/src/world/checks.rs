//! Turns tables into a world, or says what is wrong with them and where.

use super::{Prompt, World, WorldTables};
use crate::error::{self, Error};

/// How far the sum of a row may be from one: printed probabilities are rounded.
const ROW_SUM_TOLERANCE: f64 = 1e-6;
/// What adding a row up can cost by itself; such a row is left as it is.
const ROUNDING: f64 = 1e-14;

pub(super) fn check(tables: WorldTables) -> Result<World, Error> {
    error::positive("lambda", tables.lambda)?;
    error::positive("beta", tables.beta)?;
    let n_prompts = tables.rho_ref.len();
    if n_prompts == 0 {
        return Err(Error::Empty { place: "rho_ref".into() });
    }
    error::same_length("pi_f", n_prompts, tables.pi_f.len())?;
    error::same_length("reward", n_prompts, tables.reward.len())?;
    if let Some(pi_sft) = &tables.pi_sft {
        error::same_length("pi_sft", n_prompts, pi_sft.len())?;
    }
    let weights = weights(tables.weights, n_prompts)?;
    let mut pi_sft = tables.pi_sft.map(Vec::into_iter);
    let mut prompts = Vec::with_capacity(n_prompts);
    for (index, ((rho_ref, pi_f), reward)) in tables.rho_ref.into_iter().zip(tables.pi_f).zip(tables.reward).enumerate()
    {
        prompts.push(prompt(index, rho_ref, pi_f, reward, pi_sft.as_mut().and_then(Iterator::next))?);
    }
    let reward_span = reward_span(tables.reward_range, &prompts)?;
    Ok(World { prompts, weights, lambda: tables.lambda, beta: tables.beta, reward_span })
}

fn prompt(
    index: usize,
    rho_ref: Vec<f64>,
    pi_f: Vec<Vec<f64>>,
    reward: Vec<f64>,
    pi_sft: Option<Vec<f64>>,
) -> Result<Prompt, Error> {
    let rho_ref = distribution(&format!("rho_ref[{index}]"), rho_ref)?;
    error::finite(&format!("reward[{index}]"), &reward)?;
    error::same_length(&format!("pi_f[{index}]"), rho_ref.len(), pi_f.len())?;
    let mut responses = Vec::with_capacity(pi_f.len());
    for (rewrite, row) in pi_f.into_iter().enumerate() {
        let place = format!("pi_f[{index}][{rewrite}]");
        error::same_length(&place, reward.len(), row.len())?;
        responses.push(distribution(&place, row)?);
    }
    let pi_sft = match pi_sft {
        Some(row) => {
            let place = format!("pi_sft[{index}]");
            error::same_length(&place, reward.len(), row.len())?;
            distribution(&place, row)?
        }
        None => responses[0].clone(),
    };
    Ok(Prompt { rho_ref, pi_f: responses, reward, pi_sft })
}

/// A row that sums to one, scaled if it does so only roughly.
fn distribution(place: &str, mut row: Vec<f64>) -> Result<Vec<f64>, Error> {
    error::not_negative(place, &row)?;
    let found: f64 = row.iter().sum();
    if (found - 1.0).abs() > ROW_SUM_TOLERANCE {
        return Err(Error::RowSum { place: place.into(), found });
    }
    if (found - 1.0).abs() > ROUNDING {
        row.iter_mut().for_each(|probability| *probability /= found);
    }
    Ok(row)
}

fn weights(weights: Option<Vec<f64>>, n_prompts: usize) -> Result<Vec<f64>, Error> {
    let Some(mut weights) = weights else { return Ok(vec![1.0 / n_prompts as f64; n_prompts]) };
    error::same_length("weights", n_prompts, weights.len())?;
    error::not_negative("weights", &weights)?;
    let total: f64 = weights.iter().sum();
    error::positive("the sum of weights", total)?;
    weights.iter_mut().for_each(|weight| *weight /= total);
    Ok(weights)
}

fn reward_span(range: Option<[f64; 2]>, prompts: &[Prompt]) -> Result<f64, Error> {
    let rewards = || prompts.iter().flat_map(|prompt| prompt.reward.iter().copied());
    let Some([low, high]) = range else {
        return Ok(rewards().fold(f64::NEG_INFINITY, f64::max) - rewards().fold(f64::INFINITY, f64::min));
    };
    error::finite("reward_range", &[low, high])?;
    error::within("reward_range[1]", low, f64::MAX, high)?;
    for (index, prompt) in prompts.iter().enumerate() {
        for (response, reward) in prompt.reward.iter().enumerate() {
            error::within(&format!("reward[{index}][{response}]"), low, high, *reward)?;
        }
    }
    Ok(high - low)
}
