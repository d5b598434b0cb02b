//! Rewrites that give the answer away.

use std::sync::LazyLock;

use regex::Regex;

use crate::reward::Number;
use crate::reward::constraint::pattern;

/// How a rewrite gives the answer away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leak {
    /// It has the correct answer, which the prompt has not.
    Answer(String),
    /// It announces an answer as no prompt does.
    Announcement(String),
}

/// An announcement with something after it; a bare "Answer:" at the end only asks for one.
static ANNOUNCEMENT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?ix) \b (?: the \ (?: (?: final | correct | right ) \ )? (?: answer | solution | result ) \ (?: is | would\ be )
          | (?: final\ | correct\ )? answer \s* : ) \s* [^\s.:?] [^\n]{0,40} | \#\#\#\# \s* -? \$? [0-9] [0-9,.]*",
    )
});

/// Looks for the correct answer, where one is known, and for announcements of one. What the prompt has itself is no leak.
///
/// An answer that is a number, or a worked solution that ends in one after `####`, is compared as a number.
pub fn find_leak(prompt: &str, rewrite: &str, answer: Option<&str>) -> Option<Leak> {
    if let Some(answer) = answer.map(str::trim).filter(|answer| is_given_away(prompt, rewrite, answer)) {
        return Some(Leak::Answer(answer.to_owned()));
    }
    let found = ANNOUNCEMENT.find(rewrite)?.as_str();
    (!ANNOUNCEMENT.is_match(prompt)).then(|| Leak::Announcement(found.trim().to_owned()))
}

fn is_given_away(prompt: &str, rewrite: &str, answer: &str) -> bool {
    let is_number = answer.contains("####") || answer.chars().all(|c| c.is_ascii_digit() || "$,.-− ".contains(c));
    if let Some(number) = Number::last_of(answer).filter(|_| is_number) {
        return Number::all_in(rewrite).any(|(_, found)| found == number)
            && !Number::all_in(prompt).any(|(_, found)| found == number);
    }
    // A letter or two would be found in anything.
    let wanted = answer.to_lowercase();
    wanted.chars().count() > 2
        && has_word(&rewrite.to_lowercase(), &wanted)
        && !has_word(&prompt.to_lowercase(), &wanted)
}

/// Whether `word` stands in the text with no letter or digit next to it.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
        let after = text[at + word.len()..].chars().next().is_some_and(char::is_alphanumeric);
        !before && !after
    })
}
