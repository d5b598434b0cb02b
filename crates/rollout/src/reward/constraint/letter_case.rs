//! Constraints on capital and small letters: types 22 to 24.

use super::Bound;
use super::token;
use crate::reward::language::passes_for_english;

/// Type 22: the number of words in capitals.
pub(super) fn capital_words(answer: &str, bound: Bound) -> bool {
    bound.admits(token::count_upper(answer))
}

/// Type 23: English in capital letters.
pub(super) fn english_capitals(answer: &str) -> bool {
    is_upper(answer) && passes_for_english(&answer.to_lowercase())
}

/// Type 24: English in small letters.
pub(super) fn english_lowercase(answer: &str) -> bool {
    is_lower(answer) && passes_for_english(answer)
}

/// Whether text has a cased letter, and none that is small or a titlecase digraph.
pub(super) fn is_upper(text: &str) -> bool {
    text.chars().any(char::is_uppercase) && !text.chars().any(|c| c.is_lowercase() || is_titlecase(c))
}

/// Whether text has a cased letter, and none that is a capital or a titlecase digraph.
pub(super) fn is_lower(text: &str) -> bool {
    text.chars().any(char::is_lowercase) && !text.chars().any(|c| c.is_uppercase() || is_titlecase(c))
}

/// The 31 characters of category Lt: digraphs such as U+01C5 and Greek capitals with iota.
fn is_titlecase(character: char) -> bool {
    matches!(character, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ' | '\u{1f88}'..='\u{1f8f}' | '\u{1f98}'..='\u{1f9f}' | '\u{1fa8}'..='\u{1faf}' | 'ᾼ' | 'ῌ' | 'ῼ')
}
