//! The sizes both file formats give, checked before anything is made from them.

use crate::error::Fault;

/// Sizes of a transformer; see the fields of the same names in [`crate::Architecture`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) hidden: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    /// Components of a head that the rotary embedding turns.
    pub(super) rotated: usize,
    pub(super) feed_forward: usize,
    pub(super) vocabulary: usize,
    pub(super) context: usize,
}

impl Sizes {
    /// Refuses sizes that no model has, so that everything derived from them is small and cannot overflow.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let limits = [
            ("the hidden size", self.hidden, 1 << 20),
            ("the number of layers", self.layers, 1 << 12),
            ("the number of heads", self.heads, 1 << 12),
            ("the number of key/value heads", self.kv_heads, 1 << 12),
            ("the head size", self.head_dim, 1 << 12),
            ("the rotated part of a head", self.rotated, self.head_dim),
            ("the feed-forward size", self.feed_forward, 1 << 24),
            ("the vocabulary", self.vocabulary, 1 << 24),
            ("the context", self.context, 1 << 31),
        ];
        if let Some((what, value, limit)) = limits.into_iter().find(|(_, value, limit)| !(1..=*limit).contains(value)) {
            return Err(Fault::number(what, value as i128, format!("it must be from 1 to {limit}")));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let bound = format!("the {} key/value heads must divide it", self.kv_heads);
            return Err(Fault::number("the number of heads", self.heads as i128, bound));
        }
        if !self.rotated.is_multiple_of(2) {
            return Err(Fault::number("the rotated part of a head", self.rotated as i128, "it must be even"));
        }
        Ok(())
    }

    /// `head_dim^-0.5`.
    pub(super) fn usual_attention_scale(&self) -> f32 {
        (self.head_dim as f64).powf(-0.5) as f32
    }
}

/// A number that must be finite and above zero.
pub(super) fn positive(what: &str, value: f32) -> Result<f32, Fault> {
    let error = || Fault::key(what, "a finite number above zero", value);
    Some(value).filter(|value| value.is_finite() && *value > 0.0).ok_or_else(error)
}
