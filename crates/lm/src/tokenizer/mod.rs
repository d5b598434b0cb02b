//! From text to tokens and back.
//!
//! The model's own tokenizer runs in the `tokenizers` crate, but never recognises special tokens: those are found here,
//! in text that is trusted to contain them ([`Tokenizer::encode_markup`]). Text from a user goes through
//! [`Tokenizer::encode`], where no input can produce one.

mod from_gguf;
mod from_json;
mod scores;
mod special;
mod stream;
mod texts;

use std::borrow::Cow;

use crate::{Error, Token};
pub(crate) use from_json::TokenizerSettings;
pub(crate) use special::ENDINGS;
use special::{Piece, SpecialTokens};
pub use stream::TextStream;
use texts::TokenTexts;

/// A model's tokenizer.
#[derive(Debug)]
pub struct Tokenizer {
    /// Set to treat special tokens as ordinary text.
    inner: tokenizers::Tokenizer,
    specials: SpecialTokens,
    texts: TokenTexts,
    /// What the model expects before and after a text that stands alone.
    frame: Frame,
    /// A space goes before a text that starts with a word (SentencePiece's dummy prefix, put at the very start only).
    space_at_start: bool,
    bos: Option<Token>,
    eos: Option<Token>,
    unknown: Option<Token>,
}

/// Tokens around a text that stands alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Frame {
    before: Vec<Token>,
    after: Vec<Token>,
}

/// Whether a text gets the special tokens that the model expects around a text that stands alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The text alone.
    Bare,
    /// With what the model's tokenizer adds by default, such as a beginning-of-sequence token.
    Framed,
}

impl Tokenizer {
    /// Tokens of a text that may come from anyone: whatever it spells, none of its tokens is special.
    pub fn encode(&self, text: &str, framing: Framing) -> Result<Vec<Token>, Error> {
        let mut tokens = match framing {
            Framing::Bare => Vec::new(),
            Framing::Framed => self.frame.before.clone(),
        };
        self.encode_run(text, Place::Start, &mut tokens)?;
        if framing == Framing::Framed {
            tokens.extend(&self.frame.after);
        }
        Ok(tokens)
    }

    /// Tokens of a text whose special tokens are meant, such as a prompt that a developer wrote in the model's markup.
    pub fn encode_markup(&self, text: &str) -> Result<Vec<Token>, Error> {
        self.encode_masked(text, Cow::Borrowed)
    }

    /// As [`Tokenizer::encode_markup`]; `unmask` restores each run of text between special tokens before it is encoded.
    pub(crate) fn encode_masked<'a>(
        &self,
        text: &'a str,
        unmask: impl Fn(&'a str) -> Cow<'a, str>,
    ) -> Result<Vec<Token>, Error> {
        let mut tokens = Vec::new();
        let mut place = Place::Start;
        for piece in self.specials.split(text) {
            match piece {
                Piece::Special(token) => tokens.push(token),
                Piece::Text(run) => self.encode_run(&unmask(run), place, &mut tokens)?,
            }
            place = Place::Later;
        }
        Ok(tokens)
    }

    /// The text of some tokens, special ones left out; bytes that are not UTF-8 become replacement characters.
    ///
    /// Equal to what [`TextStream`] gives for the same tokens.
    pub fn decode(&self, tokens: &[Token]) -> String {
        let mut stream = TextStream::new();
        let mut text: String = tokens.iter().map(|token| stream.push(self, *token)).collect();
        text.push_str(&stream.finish());
        text
    }

    /// One token for people to see: its text, special or not; `None` outside the vocabulary.
    pub fn token_text(&self, token: Token) -> Option<String> {
        self.texts.get(token).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Whether a token is one that text cannot produce.
    pub fn is_special(&self, token: Token) -> bool {
        self.specials.contains(token)
    }

    /// The token with exactly this text in the files, special or not.
    pub fn token(&self, text: &str) -> Option<Token> {
        self.inner.token_to_id(text).filter(|token| (*token as usize) < self.vocabulary())
    }

    /// Number of token ids the model has; some may have no text.
    pub fn vocabulary(&self) -> usize {
        self.texts.len()
    }

    /// The beginning-of-sequence token.
    pub fn bos(&self) -> Option<Token> {
        self.bos
    }

    /// The end-of-sequence token.
    pub fn eos(&self) -> Option<Token> {
        self.eos
    }

    /// The texts of all special tokens.
    pub(crate) fn special_texts(&self) -> &[String] {
        self.specials.texts()
    }

    /// Encodes a run of text that holds no special token, whatever it looks like.
    fn encode_run(&self, text: &str, place: Place, tokens: &mut Vec<Token>) -> Result<(), Error> {
        if text.is_empty() {
            return Ok(());
        }
        if self.space_at_start && place == Place::Start && !text.starts_with([' ', '\u{2581}']) {
            return self.encode_halves(&format!(" {text}"), tokens);
        }
        self.encode_halves(text, tokens)
    }

    /// Encodes a text; if a special token comes out nevertheless (a vocabulary whose merges can spell one), encodes its
    /// halves apart.
    fn encode_halves(&self, text: &str, tokens: &mut Vec<Token>) -> Result<(), Error> {
        let error = |source| Error::Tokenize { bytes: text.len(), source };
        let encoding = self.inner.encode_fast(text, false).map_err(error)?;
        let forbidden = |token: &Token| *token as usize >= self.vocabulary() || self.is_special(*token);
        if !encoding.get_ids().iter().any(|token| forbidden(token) && Some(*token) != self.unknown) {
            tokens.extend(encoding.get_ids());
            return Ok(());
        }
        let middle = text.ceil_char_boundary(text.len().div_ceil(2));
        let middle = if middle == text.len() { text.floor_char_boundary(text.len() / 2) } else { middle };
        if middle == 0 {
            return Err(error("a single character encodes as a special token".into()));
        }
        self.encode_halves(&text[..middle], tokens)?;
        self.encode_halves(&text[middle..], tokens)
    }
}

/// Where in a text a run stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Later,
}

#[cfg(test)]
mod tests;
