//! Text as it is generated, token by token.

use super::Tokenizer;
use crate::Token;

/// Turns tokens into text as they come; a character whose bytes are spread over tokens is held back until it is whole.
///
/// One stream a sample; it holds a few bytes.
#[derive(Clone, Debug, Default)]
pub struct TextStream {
    /// The start of a character whose rest is still to come.
    pending: Vec<u8>,
    started: bool,
}

impl TextStream {
    /// A stream at the start of a text.
    pub fn new() -> TextStream {
        TextStream::default()
    }

    /// The text that `token` completes; empty for special tokens and inside a character.
    pub fn push(&mut self, tokenizer: &Tokenizer, token: Token) -> String {
        if tokenizer.is_special(token) {
            return String::new();
        }
        let mut bytes = tokenizer.texts.get(token).unwrap_or_default();
        if !self.started && tokenizer.texts.drops_first_space() {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        self.started = true;
        self.pending.extend_from_slice(bytes);
        let whole = self.pending.len() - unfinished(&self.pending);
        let text = String::from_utf8_lossy(&self.pending[..whole]).into_owned();
        self.pending.drain(..whole);
        text
    }

    /// What is left at the end of the text: a replacement character if a character was never finished.
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }
}

/// Number of bytes at the end that may be the start of a character, 0 to 3.
fn unfinished(bytes: &[u8]) -> usize {
    let last_three = bytes.iter().rev().take(3);
    let Some(back) = last_three.clone().position(|byte| byte & 0xC0 != 0x80) else { return 0 };
    let length = match bytes[bytes.len() - 1 - back] {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 1,
    };
    if back + 1 < length { back + 1 } else { 0 }
}
