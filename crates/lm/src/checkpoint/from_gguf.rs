//! From GGUF metadata to an [`Architecture`].

use super::rotary::{Scaling, longrope_magnitude};
use super::settings::{Sizes, positive};
use crate::error::Fault;
use crate::gguf::{Gguf, List, required};
use crate::tokenizer::ENDINGS;
use crate::{Activation, Architecture, Rotary, Token, Window};

/// Gemma 3 files say nothing of these: every sixth layer sees everything, the others turn with this base.
const GEMMA3_PATTERN: usize = 6;
const GEMMA3_LOCAL_BASE: f32 = 10_000.0;
/// Gemma 3 27B, told by its number of layers, scales queries by hidden / heads instead of the head size.
const GEMMA3_27B_LAYERS: usize = 62;

/// The keys of one family, `llama.block_count` and so on.
struct Keys<'a> {
    gguf: &'a Gguf,
    family: &'a str,
}

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.family)
    }

    fn count(&self, name: &str) -> Result<Option<usize>, Fault> {
        self.gguf.count(&self.key(name))
    }

    fn real(&self, name: &str) -> Result<Option<f32>, Fault> {
        self.gguf.real(&self.key(name))
    }

    fn needed(&self, name: &str) -> Result<usize, Fault> {
        required(self.count(name)?, &self.key(name))
    }

    /// A tensor of factors, one a rotary pair.
    fn factors(&self, tensor: &str, pairs: usize) -> Result<Option<Vec<f32>>, Fault> {
        if !self.gguf.tensors().contains_key(tensor) {
            return Ok(None);
        }
        let factors = self.gguf.read(tensor, None)?;
        if factors.len() != pairs || factors.iter().any(|factor| !(factor.is_finite() && *factor > 0.0)) {
            return Err(Fault::key(tensor, format!("{pairs} positive factors"), format!("{} numbers", factors.len())));
        }
        Ok(Some(factors))
    }
}

pub(super) fn architecture(gguf: &Gguf) -> Result<Architecture, Fault> {
    let name = required(gguf.text("general.architecture")?, "general.architecture")?;
    if !["llama", "qwen2", "qwen3", "gemma3", "phi3"].contains(&name) {
        return Err(Fault::unsupported(format!("the architecture `{name}`")));
    }
    let keys = Keys { gguf, family: name };
    refuse_what_is_not_done(&keys)?;
    let sizes = sizes(&keys)?;
    sizes.check()?;
    let gemma = name == "gemma3";
    let (rotary, context) = global_rotary(&keys, &sizes)?;
    Ok(Architecture {
        family: if gemma { "gemma3_text".to_owned() } else { name.to_owned() },
        hidden: sizes.hidden,
        layers: sizes.layers,
        heads: sizes.heads,
        kv_heads: sizes.kv_heads,
        head_dim: sizes.head_dim,
        feed_forward: sizes.feed_forward,
        vocabulary: sizes.vocabulary,
        context,
        norm_epsilon: required(keys.real("attention.layer_norm_rms_epsilon")?, "attention.layer_norm_rms_epsilon")?,
        activation: if gemma { Activation::GeluTanh } else { Activation::Silu },
        window: window(&keys, &sizes, &rotary)?,
        rotary,
        attention_scale: attention_scale(&keys, &sizes)?,
        embedding_scale: if gemma { (sizes.hidden as f32).sqrt() } else { 1.0 },
        logit_softcap: keys.real("final_logit_softcapping")?.filter(|cap| *cap > 0.0),
        query_key_norm: matches!(name, "qwen3" | "gemma3"),
        post_norms: gemma,
        tied_head: !gguf.tensors().contains_key("output.weight"),
    })
}

/// Tokens that end a text or a turn.
pub(super) fn stop_tokens(gguf: &Gguf) -> Vec<Token> {
    let keys = ["eos_token_id", "eot_token_id", "eom_token_id"].map(|name| format!("tokenizer.ggml.{name}"));
    let named = keys.iter().filter_map(|key| gguf.count(key).ok().flatten());
    let texts = gguf.texts("tokenizer.ggml.tokens").ok().flatten().unwrap_or_default();
    let endings = texts.iter().enumerate().filter(|(_, text)| ENDINGS.contains(&text.as_str()));
    named.chain(endings.map(|(index, _)| index)).filter_map(|index| Token::try_from(index).ok()).collect()
}

fn refuse_what_is_not_done(keys: &Keys) -> Result<(), Fault> {
    if keys.count("expert_count")?.unwrap_or(0) > 0 {
        return Err(Fault::unsupported("a mixture of experts"));
    }
    if keys.gguf.count("split.count")?.unwrap_or(1) > 1 {
        return Err(Fault::unsupported("a GGUF split over several files"));
    }
    if keys.real("attn_logit_softcapping")?.is_some_and(|cap| cap > 0.0) {
        return Err(Fault::unsupported("soft-capped attention"));
    }
    Ok(())
}

fn sizes(keys: &Keys) -> Result<Sizes, Fault> {
    let (hidden, heads) = (keys.needed("embedding_length")?, keys.needed("attention.head_count")?);
    let head_dim = match keys.count("attention.key_length")? {
        Some(length) => length,
        None => hidden.checked_div(heads).unwrap_or(0),
    };
    if keys.count("attention.value_length")?.is_some_and(|length| length != head_dim) {
        return Err(Fault::unsupported("heads whose values and keys have different sizes"));
    }
    let rotated = keys.count("rope.dimension_count")?.unwrap_or(head_dim);
    if keys.family == "llama" && rotated != head_dim {
        return Err(Fault::unsupported("a partial rotary embedding in a llama file"));
    }
    let embedding = keys.gguf.tensors().get("token_embd.weight").map(|info| info.shape[0]);
    Ok(Sizes {
        hidden,
        layers: keys.needed("block_count")?,
        heads,
        kv_heads: keys.count("attention.head_count_kv")?.unwrap_or(heads),
        head_dim,
        rotated,
        feed_forward: keys.needed("feed_forward_length")?,
        vocabulary: required(embedding, "token_embd.weight")?,
        context: keys.needed("context_length")?,
    })
}

/// The rotary embedding of layers that see everything, and the context it is good for.
fn global_rotary(keys: &Keys, sizes: &Sizes) -> Result<(Rotary, usize), Fault> {
    let base = positive("rope.freq_base", keys.real("rope.freq_base")?.unwrap_or(10_000.0))?;
    let pairs = sizes.rotated / 2;
    if let Some(short) = keys.factors("rope_factors_short.weight", pairs)? {
        let original = keys.count("rope.scaling.original_context_length")?.unwrap_or(sizes.context).max(2);
        let factor = sizes.context as f64 / original as f64;
        let usual = longrope_magnitude(factor, original as f64);
        let magnitude = keys.real("rope.scaling.attn_factor")?.unwrap_or(usual);
        return Ok((Scaling::Factors(short).rotary(base, pairs, magnitude), original.min(sizes.context)));
    }
    let scaling = match keys.factors("rope_freqs.weight", pairs)? {
        Some(factors) => Scaling::Factors(factors),
        None => linear_scaling(keys)?,
    };
    Ok((scaling.rotary(base, pairs, 1.0), sizes.context))
}

fn linear_scaling(keys: &Keys) -> Result<Scaling, Fault> {
    let factor = keys.real("rope.scaling.factor")?.or(keys.real("rope.scale_linear")?);
    let kind = keys.gguf.text(&keys.key("rope.scaling.type"))?;
    match (kind, factor) {
        (Some("none"), _) | (None | Some("linear"), None) => Ok(Scaling::None),
        (None | Some("linear"), Some(factor)) => Ok(Scaling::Linear(positive("rope.scaling.factor", factor)?)),
        (Some(other), _) => Err(Fault::unsupported(format!("rotary scaling of type `{other}`"))),
    }
}

fn attention_scale(keys: &Keys, sizes: &Sizes) -> Result<f32, Fault> {
    if keys.family == "gemma3" && sizes.layers == GEMMA3_27B_LAYERS {
        return Ok(((sizes.hidden / sizes.heads) as f64).powf(-0.5) as f32);
    }
    match keys.real("attention.scale")? {
        Some(scale) if scale != 0.0 => positive("attention.scale", scale),
        _ => Ok(sizes.usual_attention_scale()),
    }
}

fn window(keys: &Keys, sizes: &Sizes, global: &Rotary) -> Result<Option<Window>, Fault> {
    let Some(size) = keys.count("attention.sliding_window")?.filter(|size| *size > 0) else { return Ok(None) };
    match keys.family {
        "gemma3" => {
            let base = keys.real("rope.freq_base_swa")?.unwrap_or(GEMMA3_LOCAL_BASE);
            let rotary = Scaling::None.rotary(positive("rope.freq_base_swa", base)?, sizes.rotated / 2, 1.0);
            Ok(Some(Window { size, sliding: gemma3_pattern(keys, sizes.layers)?, rotary }))
        }
        "phi3" => Ok(Some(Window { size, sliding: vec![true; sizes.layers], rotary: global.clone() })),
        _ if size >= sizes.context => Ok(None),
        family => Err(Fault::unsupported(format!("a sliding window in a {family} file"))),
    }
}

/// For every layer whether it slides: from the file if it says so, else all but every sixth.
fn gemma3_pattern(keys: &Keys, layers: usize) -> Result<Vec<bool>, Fault> {
    let key = keys.key("attention.sliding_window_pattern");
    if let Ok(Some(list)) = keys.gguf.list(&key) {
        return match list {
            List::Bools(sliding) if sliding.len() == layers => Ok(sliding.clone()),
            _ => Err(Fault::key(&key, format!("{layers} flags"), "another list")),
        };
    }
    let every = keys.gguf.count(&key)?.unwrap_or(GEMMA3_PATTERN).max(1);
    Ok((1..=layers).map(|layer| !layer.is_multiple_of(every)).collect())
}
