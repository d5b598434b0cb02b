//! From `config.json` to an [`Architecture`].

use super::config::{Config, RopeParameters};
use super::rotary::{Scaling, longrope_magnitude};
use super::settings::{Sizes, positive};
use crate::error::Fault;
use crate::{Activation, Architecture, Rotary, Window};

/// Gemma 3's defaults, as transformers has them.
const GEMMA3_GLOBAL_BASE: f32 = 1_000_000.0;
const GEMMA3_PATTERN: usize = 6;
const USUAL_BASE: f32 = 10_000.0;

pub(super) fn architecture(config: &Config) -> Result<Architecture, Fault> {
    let model_type = needed(config.model_type.clone(), "model_type")?;
    if let (Some(text), "gemma3") = (&config.text_config, model_type.as_str()) {
        let mut text = (**text).clone();
        text.model_type = Some("gemma3_text".to_owned());
        text.tie_word_embeddings = text.tie_word_embeddings.or(config.tie_word_embeddings);
        return architecture(&text);
    }
    let family = model_type.as_str();
    if !["llama", "qwen2", "qwen3", "gemma3_text", "phi3"].contains(&family) {
        return Err(Fault::unsupported(format!("the model type `{family}`")));
    }
    refuse_what_is_not_done(config)?;
    let gemma = family == "gemma3_text";
    let (global, local) = rope_parameters(config, gemma);
    let sizes = sizes(config, &global, gemma)?;
    sizes.check()?;
    let (rotary, context) = rotary(&global, config, &sizes)?;
    Ok(Architecture {
        family: family.to_owned(),
        hidden: sizes.hidden,
        layers: sizes.layers,
        heads: sizes.heads,
        kv_heads: sizes.kv_heads,
        head_dim: sizes.head_dim,
        feed_forward: sizes.feed_forward,
        vocabulary: sizes.vocabulary,
        context,
        norm_epsilon: config.rms_norm_eps.unwrap_or(1e-6),
        activation: activation(config, gemma)?,
        window: window(config, &sizes, &rotary, &local)?,
        rotary,
        attention_scale: attention_scale(config, &sizes, gemma)?,
        embedding_scale: if gemma { (sizes.hidden as f32).sqrt() } else { 1.0 },
        logit_softcap: config.final_logit_softcapping,
        query_key_norm: matches!(family, "qwen3" | "gemma3_text"),
        post_norms: gemma,
        tied_head: config.tie_word_embeddings.unwrap_or(gemma),
    })
}

fn needed<T>(value: Option<T>, key: &str) -> Result<T, Fault> {
    value.ok_or_else(|| Fault::key(key, "there", "missing"))
}

fn refuse_what_is_not_done(config: &Config) -> Result<(), Fault> {
    if config.attn_logit_softcapping.is_some() {
        return Err(Fault::unsupported("soft-capped attention"));
    }
    if config.use_bidirectional_attention == Some(true) {
        return Err(Fault::unsupported("bidirectional attention"));
    }
    if config.quantization_config.as_ref().is_some_and(|value| !value.is_null()) {
        return Err(Fault::unsupported("quantised safetensors (`quantization_config`)"));
    }
    Ok(())
}

/// The rotary settings of layers that see everything and of sliding ones, with older spellings filled in.
fn rope_parameters(config: &Config, gemma: bool) -> (RopeParameters, RopeParameters) {
    let given = config.rope_parameters.clone().unwrap_or_default();
    let nested = given.full_attention.is_some() || given.sliding_attention.is_some();
    let (mut global, mut local) = match nested {
        true => (given.full_attention.map(|set| *set), given.sliding_attention.map(|set| *set)),
        false => (Some(given), None),
    };
    if let Some(scaling) = &config.rope_scaling {
        let theta = global.as_ref().and_then(|set| set.rope_theta);
        global = Some(RopeParameters { rope_theta: scaling.rope_theta.or(theta), ..scaling.clone() });
    }
    let mut global = global.take().unwrap_or_default();
    let mut local = local.take().unwrap_or_default();
    let default_base = if gemma { GEMMA3_GLOBAL_BASE } else { USUAL_BASE };
    global.rope_theta = global.rope_theta.or(config.rope_theta).or(Some(default_base));
    global.partial_rotary_factor = global.partial_rotary_factor.or(config.partial_rotary_factor);
    local.rope_theta = local.rope_theta.or(config.rope_local_base_freq).or(Some(USUAL_BASE));
    (global, local)
}

fn sizes(config: &Config, rope: &RopeParameters, gemma: bool) -> Result<Sizes, Fault> {
    let hidden = needed(config.hidden_size, "hidden_size")?;
    let heads = needed(config.num_attention_heads, "num_attention_heads")?;
    let divided = hidden.checked_div(heads).unwrap_or(0);
    let head_dim = config.head_dim.unwrap_or(if gemma { 256 } else { divided });
    let share = rope.partial_rotary_factor.unwrap_or(1.0);
    if !(share > 0.0 && share <= 1.0) {
        return Err(Fault::key("partial_rotary_factor", "above 0 and at most 1", share));
    }
    Ok(Sizes {
        hidden,
        layers: needed(config.num_hidden_layers, "num_hidden_layers")?,
        heads,
        kv_heads: config.num_key_value_heads.unwrap_or(heads),
        head_dim,
        rotated: (head_dim as f64 * f64::from(share)) as usize,
        feed_forward: needed(config.intermediate_size, "intermediate_size")?,
        vocabulary: needed(config.vocab_size, "vocab_size")?,
        context: needed(config.max_position_embeddings, "max_position_embeddings")?,
    })
}

/// The rotary embedding and the context it is good for.
fn rotary(rope: &RopeParameters, config: &Config, sizes: &Sizes) -> Result<(Rotary, usize), Fault> {
    let base = positive("rope_theta", rope.rope_theta.unwrap_or(USUAL_BASE))?;
    let kind = rope.rope_type.as_deref().or(rope.kind.as_deref()).unwrap_or("default");
    let factor = || positive("factor", needed(rope.factor, "factor")?);
    let original = config.original_max_position_embeddings.or(rope.original_max_position_embeddings);
    let pairs = sizes.rotated / 2;
    let scaling = match kind {
        "default" => Scaling::None,
        "linear" => Scaling::Linear(factor()?),
        "llama3" => Scaling::Llama3 {
            factor: factor()?,
            low: positive("low_freq_factor", needed(rope.low_freq_factor, "low_freq_factor")?)?,
            high: positive("high_freq_factor", needed(rope.high_freq_factor, "high_freq_factor")?)?,
            original_context: original.unwrap_or(sizes.context) as f32,
        },
        // Phi-3's first files call LongRoPE "su", and some "yarn".
        "longrope" | "su" => return longrope(rope, original, base, sizes),
        "yarn" if config.model_type.as_deref() == Some("phi3") => return longrope(rope, original, base, sizes),
        other => return Err(Fault::unsupported(format!("rotary scaling of type `{other}`"))),
    };
    Ok((scaling.rotary(base, pairs, 1.0), sizes.context))
}

/// Only the short factors are used, so the context is the one the model was first trained on.
fn longrope(
    rope: &RopeParameters,
    original: Option<usize>,
    base: f32,
    sizes: &Sizes,
) -> Result<(Rotary, usize), Fault> {
    let original = original.unwrap_or(sizes.context).max(2);
    let short = needed(rope.short_factor.clone(), "short_factor")?;
    let pairs = sizes.rotated / 2;
    if short.len() != pairs || short.iter().any(|factor| !(factor.is_finite() && *factor > 0.0)) {
        return Err(Fault::key(
            "short_factor",
            format!("{pairs} positive factors"),
            format!("{} numbers", short.len()),
        ));
    }
    let stretch = rope.factor.map_or(sizes.context as f64 / original as f64, f64::from);
    let magnitude = rope.attention_factor.unwrap_or_else(|| longrope_magnitude(stretch, original as f64));
    let rotary = Scaling::Factors(short).rotary(base, pairs, positive("attention_factor", magnitude)?);
    Ok((rotary, original.min(sizes.context)))
}

fn activation(config: &Config, gemma: bool) -> Result<Activation, Fault> {
    let usual = if gemma { "gelu_pytorch_tanh" } else { "silu" };
    // Gemma's files have both keys, and transformers reads the second.
    let name = if gemma { config.hidden_activation.as_deref() } else { config.hidden_act.as_deref() };
    match name.unwrap_or(usual) {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu_pytorch_tanh" | "gelu_new" => Ok(Activation::GeluTanh),
        other => Err(Fault::unsupported(format!("the activation `{other}`"))),
    }
}

fn attention_scale(config: &Config, sizes: &Sizes, gemma: bool) -> Result<f32, Fault> {
    match (gemma, config.query_pre_attn_scalar) {
        (true, scalar) => {
            let scalar = positive("query_pre_attn_scalar", scalar.unwrap_or(256.0))?;
            Ok(f64::from(scalar).powf(-0.5) as f32)
        }
        (false, _) => Ok(sizes.usual_attention_scale()),
    }
}

/// Which layers slide: as the file lists them, or by its family's older rule.
fn window(config: &Config, sizes: &Sizes, global: &Rotary, local: &RopeParameters) -> Result<Option<Window>, Fault> {
    let family = config.model_type.as_deref().unwrap_or_default();
    let qwen = matches!(family, "qwen2" | "qwen3");
    let off = qwen && config.use_sliding_window != Some(true);
    let Some(size) = config.sliding_window.filter(|size| *size > 0 && !off && family != "llama") else {
        return Ok(None);
    };
    let pattern = config.sliding_window_pattern.unwrap_or(GEMMA3_PATTERN).max(1);
    let from = config.max_window_layers.unwrap_or(sizes.layers);
    let sliding: Vec<bool> = match &config.layer_types {
        Some(types) if family != "phi3" => types.iter().map(|kind| kind == "sliding_attention").collect(),
        _ if family == "gemma3_text" => (1..=sizes.layers).map(|layer| !layer.is_multiple_of(pattern)).collect(),
        _ if qwen => (0..sizes.layers).map(|layer| layer >= from).collect(),
        _ => vec![true; sizes.layers],
    };
    if sliding.len() != sizes.layers {
        return Err(Fault::key("layer_types", format!("{} layers", sizes.layers), format!("{}", sliding.len())));
    }
    let rotary = if family == "gemma3_text" { rotary(local, config, sizes)?.0 } else { global.clone() };
    Ok(Some(Window { size, sliding, rotary }))
}
