//! The special tokens of a vocabulary, found in trusted text.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, MatchKind};
use tokenizers::AddedToken;

use crate::Token;
use crate::error::{Fault, Problem};

/// Texts of tokens that end a turn or a text in the families this crate reads; special whatever the files say.
pub(crate) const ENDINGS: [&str; 7] =
    ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|end|>", "<end_of_turn>"];

/// Finds special tokens.
#[derive(Debug)]
pub(super) struct SpecialTokens {
    finder: AhoCorasick,
    /// In the finder's order.
    texts: Vec<String>,
    tokens: Vec<SpecialToken>,
    /// From id to place in `tokens`.
    places: HashMap<Token, usize>,
}

#[derive(Clone, Copy, Debug)]
struct SpecialToken {
    id: Token,
    /// Swallows white space before it.
    left: bool,
    /// Swallows white space after it.
    right: bool,
}

/// A part of a text: a special token, or the text between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Special(Token),
    Text(&'a str),
}

impl SpecialTokens {
    /// Of all added tokens, those that are special and inside the vocabulary.
    pub(super) fn new(added: impl IntoIterator<Item = (Token, AddedToken)>, vocabulary: usize) -> Result<Self, Fault> {
        let is_special = |token: &AddedToken| token.special || ENDINGS.contains(&token.content.as_str());
        let mut added: Vec<(Token, AddedToken)> = added
            .into_iter()
            .filter(|(id, token)| is_special(token) && (*id as usize) < vocabulary && !token.content.is_empty())
            .collect();
        added.sort_by_key(|(id, _)| *id);
        let tokens = added.iter().map(|(id, token)| SpecialToken { id: *id, left: token.lstrip, right: token.rstrip });
        let tokens: Vec<SpecialToken> = tokens.collect();
        let places = tokens.iter().enumerate().map(|(place, token)| (token.id, place)).collect();
        let texts: Vec<String> = added.into_iter().map(|(_, token)| token.content).collect();
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&texts);
        let finder = finder.map_err(|source| Problem::Tokenizer { source: source.into() })?;
        Ok(SpecialTokens { finder, texts, tokens, places })
    }

    pub(super) fn contains(&self, token: Token) -> bool {
        self.places.contains_key(&token)
    }

    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Cuts a text at its special tokens; no piece is empty.
    pub(super) fn split<'a>(&self, text: &'a str) -> Vec<Piece<'a>> {
        let mut pieces = Vec::new();
        let mut from = 0;
        for found in self.finder.find_iter(text) {
            let token = self.tokens[found.pattern().as_usize()];
            let before = &text[from.min(found.start())..found.start()];
            let before = if token.left { before.trim_end() } else { before };
            if !before.is_empty() {
                pieces.push(Piece::Text(before));
            }
            pieces.push(Piece::Special(token.id));
            let after = &text[found.end()..];
            let swallowed = if token.right { after.len() - after.trim_start().len() } else { 0 };
            from = found.end() + swallowed;
        }
        if from < text.len() {
            pieces.push(Piece::Text(&text[from..]));
        }
        pieces
    }
}
