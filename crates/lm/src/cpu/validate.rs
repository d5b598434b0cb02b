//! Requests are checked before any work starts, so that errors name what is wrong and nothing is half done.

use kernel::Precision;

use super::tape::Tape;
use crate::{Architecture, Error, Group, Lora, Request, ScoreOptions, Token, Upstream};

fn invalid(problem: String) -> Error {
    Error::Request { problem }
}

fn tokens(architecture: &Architecture, what: &str, tokens: &[Token]) -> Result<(), Error> {
    match tokens.iter().find(|&&token| token as usize >= architecture.vocabulary) {
        None => Ok(()),
        Some(token) => {
            Err(invalid(format!("{what} has token id {token}, the vocabulary ends at {}", architecture.vocabulary - 1)))
        }
    }
}

fn prompt(architecture: &Architecture, what: &str, prompt: &[Token], more: usize) -> Result<(), Error> {
    tokens(architecture, what, prompt)?;
    let (length, context) = (prompt.len() + more, architecture.context);
    if prompt.is_empty() {
        return Err(invalid(format!("{what} is empty; it needs at least one token")));
    }
    if length > context {
        return Err(invalid(format!("{what} needs {length} tokens, the model's context has {context}")));
    }
    Ok(())
}

pub(super) fn groups(architecture: &Architecture, groups: &[Group]) -> Result<(), Error> {
    for (index, group) in groups.iter().enumerate() {
        let longest = group.continuations.iter().map(Vec::len).max().unwrap_or(0);
        prompt(architecture, &format!("group {index}"), &group.prefix, longest)?;
        for continuation in &group.continuations {
            tokens(architecture, &format!("group {index}"), continuation)?;
        }
    }
    Ok(())
}

pub(super) fn requests(architecture: &Architecture, requests: &[Request], has_tokenizer: bool) -> Result<(), Error> {
    for (index, request) in requests.iter().enumerate() {
        let longest = request.tails.iter().map(Vec::len).max().unwrap_or(0);
        prompt(architecture, &format!("request {index}"), &request.prompt, longest + 1)?;
        for tail in &request.tails {
            tokens(architecture, &format!("request {index}"), tail)?;
        }
        if !request.tails.is_empty() && request.tails.len() != request.seeds.len() {
            let (tails, seeds) = (request.tails.len(), request.seeds.len());
            return Err(invalid(format!("request {index} has {tails} tails for {seeds} seeds")));
        }
        if request.max_tokens == 0 {
            return Err(invalid(format!("request {index} asks for 0 tokens; `max_tokens` must be at least 1")));
        }
        request.sampling.check()?;
        if !request.stop_strings.is_empty() && !has_tokenizer {
            return Err(invalid(format!("request {index} has stop strings, and the engine was given no tokenizer")));
        }
    }
    Ok(())
}

pub(super) fn adapter(
    architecture: &Architecture,
    adapter: Option<&Lora>,
    options: &ScoreOptions,
) -> Result<(), Error> {
    if !(options.temperature > 0.0 && options.temperature.is_finite()) {
        return Err(invalid(format!("`temperature` is {}, it must be greater than 0", options.temperature)));
    }
    let Some(lora) = adapter else { return Ok(()) };
    if !lora.shape.fits(architecture) {
        return Err(invalid("the adapter was made for a model of another shape".to_string()));
    }
    if lora.parameters.len() != lora.shape.len() {
        return Err(invalid(format!(
            "the adapter has {} parameters, its shape asks for {}",
            lora.parameters.len(),
            lora.shape.len()
        )));
    }
    Ok(())
}

pub(super) fn trainable(precision: Precision) -> Result<(), Error> {
    match precision {
        Precision::F32 | Precision::Bf16 => Ok(()),
        Precision::Int8 => {
            Err(invalid("gradients need precision bf16 or f32; this model was loaded as int8".to_string()))
        }
    }
}

/// The upstream gradient must have the tape's shape.
pub(super) fn upstream(tape: &Tape, adapter: &Lora, upstream: &Upstream) -> Result<(), Error> {
    if adapter.shape != tape.shape {
        return Err(invalid("the adapter's shape is not the one the tape was made with".to_string()));
    }
    let lengths: Vec<Vec<usize>> = tape.chunks.iter().flat_map(|chunk| chunk.states.lengths()).collect();
    let shape_of = |values: &[Vec<Vec<f32>>]| {
        values.iter().map(|group| group.iter().map(Vec::len).collect()).collect::<Vec<Vec<usize>>>()
    };
    if shape_of(&upstream.d_token_logps) != lengths {
        return Err(invalid("`d_token_logps` does not have the shape of the scored tokens".to_string()));
    }
    if let Some(d_values) = &upstream.d_values {
        let heads = adapter.shape.heads;
        let expected: Vec<Vec<usize>> =
            lengths.iter().map(|group| group.iter().map(|length| (length + 1) * heads).collect()).collect();
        if heads == 0 || shape_of(d_values) != expected {
            return Err(invalid(format!("`d_values` must hold {heads} heads × (tokens + 1) values a continuation")));
        }
    }
    Ok(())
}
