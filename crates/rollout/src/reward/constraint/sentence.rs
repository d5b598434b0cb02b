//! How many sentences a text has.
//!
//! The published checkers cut English sentences with a trained Punkt model (Kiss and Strunk, "Unsupervised multilingual
//! sentence boundary detection", 2006). This keeps the model's rules and replaces what it learned by short lists.

use super::characters::is_space;

/// Number of sentences: a stop ends one unless it belongs to an abbreviation, an initial, a number or an ellipsis.
///
/// A line end alone does not end a sentence, so a list without full stops is one.
pub(super) fn count(text: &str) -> usize {
    let mut words = text.split(is_space).filter(|word| !word.is_empty());
    let Some(mut word) = words.next() else { return 0 };
    let mut count = 1;
    for next in words {
        count += usize::from(ends_sentence(word, next));
        word = next;
    }
    // Whatever follows the last stop, such as the stars of `**done.**`, is a sentence of its own unless it closes one.
    let remainder = stop_before_mark(word).map_or("", |stop| &word[stop + 1..]);
    count + usize::from(!remainder.trim_start_matches(['"', '\'', ')', ']', '}']).is_empty())
}

/// Abbreviations after which a sentence seldom ends, in small letters and without the last full stop.
const ABBREVIATIONS: [&str; 34] = [
    "mr", "mrs", "ms", "dr", "prof", "rev", "gov", "sen", "rep", "gen", "col", "lt", "sgt", "capt", "st", "ave", "jr",
    "sr", "co", "corp", "inc", "ltd", "bros", "vs", "jan", "feb", "aug", "sept", "oct", "nov", "dec", "fig", "dept",
    "approx",
];

/// Words that begin a sentence where they are capitalised, so that they end the one before even after an abbreviation.
const STARTERS: [&str; 30] = [
    "The", "This", "That", "These", "Those", "There", "It", "Its", "He", "She", "They", "We", "You", "His", "Her",
    "Their", "Our", "In", "On", "At", "For", "And", "But", "If", "When", "While", "However", "As", "An", "A",
];

/// Whether a sentence ends in `word`, given the word after it.
fn ends_sentence(word: &str, next: &str) -> bool {
    let stop = if word.ends_with(['.', '!', '?']) { Some(word.len() - 1) } else { stop_before_mark(word) };
    let Some(stop) = stop else { return false };
    if !word[stop..].starts_with('.') {
        return true;
    }
    let stem = word[..stop].trim_start_matches(|character: char| !character.is_alphanumeric());
    let next_is_lower = next.starts_with(char::is_lowercase);
    let next_starts = STARTERS.contains(&next.trim_end_matches(|character: char| !character.is_alphanumeric()));
    if stem.ends_with('.') {
        return next.starts_with(char::is_uppercase);
    }
    if is_number(stem) {
        return !next_is_lower;
    }
    !is_abbreviation(stem) || next_starts
}

/// The last stop in a word that has a bracket, a quotation mark, a star or the like right after it.
fn stop_before_mark(word: &str) -> Option<usize> {
    let bytes = word.as_bytes();
    let ends = |pair: &[u8]| b".!?".contains(&pair[0]) && b"?!)\";}]*:@'({[".contains(&pair[1]);
    bytes.windows(2).rposition(ends)
}

fn is_number(stem: &str) -> bool {
    stem.starts_with(|character: char| character.is_ascii_digit())
        && stem.chars().all(|character| character.is_ascii_digit() || matches!(character, '.' | ',' | '-'))
}

/// Listed ones, initials, and words with a full stop inside such as "U.S." and "e.g.".
fn is_abbreviation(stem: &str) -> bool {
    let is_initial = stem.chars().count() == 1 && stem.starts_with(char::is_uppercase);
    let is_dotted = stem.split('.').all(|part| part.chars().count() == 1) && stem.contains('.');
    is_initial || is_dotted || ABBREVIATIONS.contains(&stem.to_lowercase().as_str())
}
