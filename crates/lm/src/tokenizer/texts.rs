//! The bytes that every token stands for.

use ahash::AHashMap;

use crate::Token;

/// How a vocabulary writes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Every byte is a printable character of its own (GPT-2 and its descendants).
    ByteLevel,
    /// Text with `▁` for a space, and `<0x0A>` for bytes that no piece covers (SentencePiece).
    Pieces {
        /// Decoding drops the space that encoding put before the text.
        drops_first_space: bool,
    },
}

/// All tokens' bytes in one buffer.
#[derive(Debug)]
pub(super) struct TokenTexts {
    bytes: Vec<u8>,
    /// Where each token starts; one more at the end.
    starts: Vec<usize>,
    drops_first_space: bool,
}

impl TokenTexts {
    /// `written[id]` is a token as the files write it, and whether it was added as plain text.
    pub(super) fn new(written: &[Option<(String, bool)>], spelling: Spelling) -> TokenTexts {
        let alphabet: AHashMap<char, u8> = byte_alphabet().into_iter().zip(0..=255).collect();
        let mut bytes = Vec::new();
        let mut starts = vec![0];
        for entry in written {
            match (entry, spelling) {
                (None, _) => {}
                (Some((text, true)), Spelling::ByteLevel) => bytes.extend_from_slice(text.as_bytes()),
                (Some((text, false)), Spelling::ByteLevel) => push_byte_level(&mut bytes, text, &alphabet),
                (Some((text, _)), Spelling::Pieces { .. }) => push_piece(&mut bytes, text),
            }
            starts.push(bytes.len());
        }
        let drops_first_space = spelling == Spelling::Pieces { drops_first_space: true };
        TokenTexts { bytes, starts, drops_first_space }
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn drops_first_space(&self) -> bool {
        self.drops_first_space
    }

    /// The bytes of a token; `None` outside the vocabulary.
    pub(super) fn get(&self, token: Token) -> Option<&[u8]> {
        let index = token as usize;
        let (start, end) = (self.starts.get(index)?, self.starts.get(index + 1)?);
        self.bytes.get(*start..*end)
    }
}

/// A character outside the alphabet stands for itself.
fn push_byte_level(bytes: &mut Vec<u8>, text: &str, alphabet: &AHashMap<char, u8>) {
    for character in text.chars() {
        match alphabet.get(&character) {
            Some(byte) => bytes.push(*byte),
            None => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

fn push_piece(bytes: &mut Vec<u8>, text: &str) {
    match byte_piece(text) {
        Some(byte) => bytes.push(byte),
        None => bytes.extend_from_slice(text.replace('\u{2581}', " ").as_bytes()),
    }
}

/// The byte of `<0x0A>` and its like.
pub(super) fn byte_piece(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// GPT-2's characters for bytes: printable ones stand for themselves, the others follow from U+0100 on.
fn byte_alphabet() -> [char; 256] {
    let mut next = 256;
    std::array::from_fn(|byte| {
        let printable = matches!(byte, 33..=126 | 161..=172 | 174..=255);
        let code = if printable { byte as u32 } else { next };
        next += u32::from(!printable);
        char::from_u32(code).unwrap_or_default()
    })
}
