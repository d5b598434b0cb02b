//! Constraints on words and letters: types 1 to 4, and the comma.

use super::Bound;
use super::characters::{is_word_boundary, trim};

/// Type 1: every keyword occurs as a substring, whatever its case.
pub(super) fn exist(answer: &str, keywords: &[String]) -> bool {
    let answer = answer.to_lowercase();
    keywords.iter().all(|keyword| answer.contains(&keyword.to_lowercase()))
}

/// Type 2: how often the keyword occurs as a substring, whatever its case, left to right and without overlaps.
pub(super) fn frequency(answer: &str, keyword: &str, bound: Bound) -> bool {
    bound.admits(answer.to_lowercase().matches(&trim(keyword).to_lowercase()).count())
}

/// Type 3: none of the words occurs between word boundaries, whatever its case.
pub(super) fn forbidden(answer: &str, words: &[String]) -> bool {
    let answer = answer.to_lowercase();
    !words.iter().any(|word| contains_word(&answer, &word.to_lowercase()))
}

/// Type 4: how often the character occurs, whatever its case.
///
/// The published checkers replace a character outside a-z by a random letter; this counts the character itself.
pub(super) fn letter_frequency(answer: &str, letter: char, bound: Bound) -> bool {
    let letter = letter.to_lowercase().to_string();
    bound.admits(answer.to_lowercase().matches(&letter).count())
}

/// Type 25: no ASCII comma.
pub(super) fn no_comma(answer: &str) -> bool {
    !answer.contains(',')
}

fn contains_word(text: &str, word: &str) -> bool {
    let first = word.chars().next().map_or(1, char::len_utf8);
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find(word)) {
        let (start, end) = (from + found, from + found + word.len());
        if is_word_boundary(text, start) && is_word_boundary(text, end) {
            return true;
        }
        from = start + first;
    }
    false
}
