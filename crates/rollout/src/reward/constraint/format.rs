//! Constraints on visible structure: types 10 to 17.

use std::sync::LazyLock;

use regex::Regex;
use serde::de::IgnoredAny;

use super::characters::{is_blank, is_space, pattern, trim};

static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| pattern(r"\[.*?\]"));
static POST_POSTSCRIPT: LazyLock<Regex> = LazyLock::new(|| pattern(r"p\.[\s\x1c-\x1f]?p\.[\s\x1c-\x1f]?s"));
static POSTSCRIPT: LazyLock<Regex> = LazyLock::new(|| pattern(r"p\.[\s\x1c-\x1f]?s\."));
/// A line that begins with one star. The white space before it may span lines, and the character after it may be a
/// line end, so that a lone star takes the next line with it.
static STAR_BULLET: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^[\s\x1c-\x1f]*\*[^*].*$"));
static DASH_BULLET: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^[\s\x1c-\x1f]*-.*$"));
static SINGLE_STARS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\*([^\n*]*)\*"));
static DOUBLE_STARS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\*\*([^\n*]*)\*\*"));
static TITLE: LazyLock<Regex> = LazyLock::new(|| pattern(r"<<.+>>"));
/// What follows a section's name: at most one white-space character, then a number.
static SECTION_NUMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[\s\x1c-\x1f]?\d+[\s\x1c-\x1f]?"));

/// Type 10: at least `count` shortest stretches `[…]` on one line.
pub(super) fn placeholders(answer: &str, count: usize) -> bool {
    PLACEHOLDER.find_iter(answer).count() >= count
}

/// Type 11: the postscript marker, anywhere and whatever its case.
pub(super) fn postscript(answer: &str, marker: &str) -> bool {
    let answer = answer.to_lowercase();
    match trim(marker) {
        "P.P.S" => POST_POSTSCRIPT.is_match(&answer),
        "P.S." => POSTSCRIPT.is_match(&answer),
        other => answer.contains(&other.to_lowercase()),
    }
}

/// Type 12: exactly `count` lines that begin with one star or with a dash.
pub(super) fn bullets(answer: &str, count: usize) -> bool {
    STAR_BULLET.find_iter(answer).count() + DASH_BULLET.find_iter(answer).count() == count
}

/// Type 13: one of three fixed sentences.
pub(super) fn constrained_response(answer: &str) -> bool {
    ["My answer is yes.", "My answer is no.", "My answer is maybe."].iter().any(|choice| answer.contains(choice))
}

/// Type 14: at least `count` stretches between single or between double stars on one line, scanned apart.
pub(super) fn highlights(answer: &str, count: usize) -> bool {
    let filled = |stars: &Regex| stars.captures_iter(answer).filter(|found| !is_blank(&found[1])).count();
    filled(&SINGLE_STARS) + filled(&DOUBLE_STARS) >= count
}

/// Type 15: at least `count` times the section's name followed by a number.
pub(super) fn sections(answer: &str, name: &str, count: usize) -> bool {
    let name = trim(name);
    let mut rest = answer;
    let mut found = 0;
    while let Some(at) = rest.find(name) {
        let after = &rest[at + name.len()..];
        if let Some(number) = SECTION_NUMBER.find(after) {
            found += 1;
            rest = &after[number.end()..];
        } else {
            let mut characters = rest[at..].chars();
            if characters.next().is_none() {
                break;
            }
            rest = characters.as_str();
        }
    }
    found >= count
}

/// Type 16: the whole answer is JSON, in a code fence or not. The parser is strict: no NaN, no infinities.
pub(super) fn json(answer: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(json_text(answer)).is_ok()
}

/// The answer without the code fence around it.
pub(crate) fn json_text(answer: &str) -> &str {
    let mut text = trim(answer);
    for opening in ["```json", "```Json", "```JSON", "```"] {
        text = text.strip_prefix(opening).unwrap_or(text);
    }
    trim(text.strip_suffix("```").unwrap_or(text))
}

/// Type 17: a title in double angle brackets that is not blank.
pub(super) fn title(answer: &str) -> bool {
    let inner = |title: &str| title.trim_start_matches('<').trim_end_matches('>').chars().all(is_space);
    TITLE.find_iter(answer).any(|title| !inner(title.as_str()))
}
