//! Constraints on how much is written: types 6 to 9.

use std::sync::LazyLock;

use regex::Regex;

use super::Bound;
use super::characters::{count_words, is_blank, pattern, trim};
use super::sentence;

/// Three stars, with at most one white-space character eaten on either side.
static DIVIDER: LazyLock<Regex> = LazyLock::new(|| pattern(r"[\s\x1c-\x1f]?\*\*\*[\s\x1c-\x1f]?"));

/// Type 6: the number of sentences.
pub(super) fn sentences(answer: &str, bound: Bound) -> bool {
    bound.admits(sentence::count(answer))
}

/// Type 7: exactly `count` paragraphs parted by `***`; blank ends are not counted, a blank middle fails.
pub(super) fn paragraphs(answer: &str, count: usize) -> bool {
    let pieces: Vec<&str> = DIVIDER.split(answer).collect();
    let last = pieces.len() - 1;
    let blank = |index: usize| is_blank(pieces[index]);
    if (1..last).any(blank) {
        return false;
    }
    let blank_ends = usize::from(blank(0)) + usize::from(last > 0 && blank(last));
    pieces.len() - blank_ends == count
}

/// Type 8: the number of words.
pub(super) fn words(answer: &str, bound: Bound) -> bool {
    bound.admits(count_words(answer))
}

/// Type 9: exactly `paragraphs` non-blank paragraphs parted by an empty line, and paragraph `nth` (counted from 1, blank
/// ones included) begins with `first_word`.
pub(super) fn nth_paragraph_first_word(answer: &str, paragraphs: usize, nth: usize, first_word: &str) -> bool {
    let pieces: Vec<&str> = answer.split("\n\n").collect();
    let present = pieces.iter().filter(|piece| !is_blank(piece)).count();
    if nth == 0 || nth > present {
        return false;
    }
    present == paragraphs && first_word_of(pieces[nth - 1]) == first_word.to_lowercase()
}

/// The first word in lower case, without opening quotes and up to the first punctuation mark; empty if there is none.
fn first_word_of(paragraph: &str) -> String {
    let token = trim(paragraph).split(super::characters::is_space).next().unwrap_or_default();
    let token = token.trim_start_matches('\'').trim_start_matches('"');
    token.split(['.', ',', '?', '!', '\'', '"']).next().unwrap_or_default().to_lowercase()
}
