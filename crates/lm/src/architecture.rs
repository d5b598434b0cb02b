//! One description for every decoder-only transformer this crate runs.
//!
//! The Llama family, Qwen2/2.5/3, Gemma 3 and Phi-3 differ in a handful of choices; each choice is a field here, and
//! the forward and backward passes read the fields. There is no file per model.

/// Everything the forward pass must know besides the weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// The family's name as its files spell it, for people: `llama`, `qwen2`, `qwen3`, `gemma3_text`, `phi3`.
    pub family: String,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Number of transformer layers.
    pub layers: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head; `heads * head_dim` need not equal `hidden`.
    pub head_dim: usize,
    /// Width of the feed-forward layer.
    pub feed_forward: usize,
    /// Number of token ids.
    pub vocabulary: usize,
    /// Longest sequence the model was made for, in tokens.
    pub context: usize,
    /// The ε inside every RMS norm.
    pub norm_epsilon: f32,
    /// The activation of the gated feed-forward layer.
    pub activation: Activation,
    /// Rotary embedding of layers that see the whole past.
    pub rotary: Rotary,
    /// Sliding-window layers (Gemma 3, some Phi-3); `None` when every layer sees the whole past.
    pub window: Option<Window>,
    /// Factor on the query-key products, usually `head_dim^-0.5`.
    pub attention_scale: f32,
    /// Gemma multiplies embeddings by `sqrt(hidden)`; 1 elsewhere.
    pub embedding_scale: f32,
    /// `cap * tanh(logit / cap)` on the output logits.
    pub logit_softcap: Option<f32>,
    /// Qwen3 and Gemma 3 normalise queries and keys per head before the rotary embedding.
    pub query_key_norm: bool,
    /// Gemma 3 also normalises the output of attention and of the feed-forward layer.
    pub post_norms: bool,
    /// The output matrix is the embedding matrix.
    pub tied_head: bool,
}

/// Activation of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x * sigmoid(x)` (SwiGLU).
    Silu,
    /// GELU in its tanh form (GeGLU).
    GeluTanh,
}

/// Rotary embedding, already resolved from whatever scaling the file names.
///
/// Pair `i` of a head is the components `(i, i + rotated/2)` ("half" convention, as transformers uses; GGUF files of
/// the llama family are permuted to it at load).
#[derive(Clone, Debug, PartialEq)]
pub struct Rotary {
    /// Angular frequency of each pair, `rotated/2` of them: `theta^(-2i/rotated)` after any frequency scaling.
    pub frequencies: Vec<f32>,
    /// Factor on cosine and sine (LongRoPE); 1 elsewhere.
    pub magnitude: f32,
}

/// Layers that only see the last `size` tokens (the current one included).
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Number of visible positions, the current one included.
    pub size: usize,
    /// For every layer, whether it is a sliding-window layer.
    pub sliding: Vec<bool>,
    /// Rotary embedding of the sliding layers (Gemma 3 uses another base there).
    pub rotary: Rotary,
}

/// The seven linear maps of a layer, by the names transformers and PEFT give them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Linear {
    /// Query projection.
    Q,
    /// Key projection.
    K,
    /// Value projection.
    V,
    /// Output projection of attention.
    O,
    /// Gate of the feed-forward layer.
    Gate,
    /// Up projection of the feed-forward layer.
    Up,
    /// Down projection of the feed-forward layer.
    Down,
}

impl Linear {
    /// All seven, in the order every table of this crate uses.
    pub const ALL: [Linear; 7] = [Linear::Q, Linear::K, Linear::V, Linear::O, Linear::Gate, Linear::Up, Linear::Down];

    /// `q_proj`, `k_proj`, …
    pub fn name(self) -> &'static str {
        match self {
            Linear::Q => "q_proj",
            Linear::K => "k_proj",
            Linear::V => "v_proj",
            Linear::O => "o_proj",
            Linear::Gate => "gate_proj",
            Linear::Up => "up_proj",
            Linear::Down => "down_proj",
        }
    }

    /// The module path inside a layer: `self_attn.q_proj`, `mlp.gate_proj`, …
    pub fn path(self) -> &'static str {
        match self {
            Linear::Q => "self_attn.q_proj",
            Linear::K => "self_attn.k_proj",
            Linear::V => "self_attn.v_proj",
            Linear::O => "self_attn.o_proj",
            Linear::Gate => "mlp.gate_proj",
            Linear::Up => "mlp.up_proj",
            Linear::Down => "mlp.down_proj",
        }
    }
}

impl Architecture {
    /// `(inputs, outputs)` of one linear map.
    pub fn dimensions(&self, linear: Linear) -> (usize, usize) {
        let (query, key) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        match linear {
            Linear::Q => (self.hidden, query),
            Linear::K | Linear::V => (self.hidden, key),
            Linear::O => (query, self.hidden),
            Linear::Gate | Linear::Up => (self.hidden, self.feed_forward),
            Linear::Down => (self.feed_forward, self.hidden),
        }
    }

    /// The rotary embedding and the window of one layer.
    pub fn layer_reach(&self, layer: usize) -> (&Rotary, Option<usize>) {
        match &self.window {
            Some(window) if window.sliding.get(layer).copied().unwrap_or(false) => (&window.rotary, Some(window.size)),
            _ => (&self.rotary, None),
        }
    }
}
