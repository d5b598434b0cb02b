//! Constraints on the answer as a whole, its beginning and its end: types 18 to 21.

use super::characters::{is_blank, trim};

/// Type 18: two different answers parted by six stars.
pub(super) fn two_responses(answer: &str) -> bool {
    let pieces: Vec<&str> = answer.split("******").collect();
    if pieces.iter().skip(1).rev().skip(1).any(|piece| is_blank(piece)) {
        return false;
    }
    let present: Vec<&str> = pieces.into_iter().filter(|piece| !is_blank(piece)).collect();
    matches!(present[..], [first, second] if trim(first) != trim(second))
}

/// Type 19: the answer begins with the given text, whatever its case.
pub(super) fn repeat_prompt(answer: &str, prompt: &str) -> bool {
    trim(answer).to_lowercase().starts_with(&trim(prompt).to_lowercase())
}

/// Type 20: the answer ends with the given phrase, whatever its case; quotation marks around the answer do not matter.
pub(super) fn end_phrase(answer: &str, phrase: &str) -> bool {
    trim(answer).trim_matches('"').to_lowercase().ends_with(&trim(phrase).to_lowercase())
}

/// Type 21: the answer stands in straight double quotation marks.
pub(super) fn quotation(answer: &str) -> bool {
    let answer = trim(answer);
    answer.len() > 1 && answer.starts_with('"') && answer.ends_with('"')
}
