//! What of the user's prompt must survive a rewrite.

use std::sync::LazyLock;

use regex::Regex;

use crate::reward::constraint::pattern;
use crate::reward::{Language, Number, language_change};

/// Something of the prompt that the rewrite lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// A number, as the prompt writes it.
    Number(String),
    /// A web address.
    Url(String),
    /// Code in backticks.
    Code(String),
    /// Text in quotation marks.
    Quote(String),
    /// Negations: the prompt has some, the rewrite fewer than half as many.
    Negations {
        /// In the prompt.
        before: usize,
        /// In the rewrite.
        after: usize,
    },
    /// The language.
    Language {
        /// The prompt's.
        before: Language,
        /// The rewrite's.
        after: Language,
    },
}

static URL: LazyLock<Regex> = LazyLock::new(|| pattern(r#"https?://[^\s<>"'`)\]}]+"#));
static CODE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)```(.+?)```|`([^`\n]+)`"));
static QUOTE: LazyLock<Regex> = LazyLock::new(|| pattern(r#""([^"\n]{1,300})"|“([^”\n]{1,300})”"#));
static NEGATION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?ix) \b (?: not | no | never | none | nothing | nobody | without | avoid | neither | nor | cannot | refrain
          | exclude | omit | except | skip | [a-z]+ n['’]t ) \b",
    )
});

/// Numbers that people write as words; "one" is left out, as it is mostly a pronoun.
const NUMBER_WORDS: [(&str, &str); 11] = [
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
];

/// Everything of the prompt that the rewrite lacks; numbers may change between digits and words.
pub fn lost_intent(prompt: &str, rewrite: &str) -> Vec<Lost> {
    // An addition that leaves the prompt's own words in front loses none of them.
    if rewrite.starts_with(prompt.trim_end()) {
        return Vec::new();
    }
    let mut lost = lost_numbers(prompt, rewrite);
    let urls = URL.find_iter(prompt).map(|url| url.as_str().trim_end_matches(['.', ',', ';', ':', '!', '?']));
    lost.extend(urls.filter(|url| !rewrite.contains(url)).map(|url| Lost::Url(url.to_owned())));

    let normal_rewrite = normal(rewrite);
    let missing = |text: &str| !normal_rewrite.contains(&normal(text));
    lost.extend(captured(&CODE, prompt).filter(|text| missing(text)).map(|text| Lost::Code(text.to_owned())));
    lost.extend(captured(&QUOTE, prompt).filter(|text| missing(text)).map(|text| Lost::Quote(text.to_owned())));

    let (before, after) = (NEGATION.find_iter(prompt).count(), NEGATION.find_iter(rewrite).count());
    if after * 2 < before {
        lost.push(Lost::Negations { before, after });
    }
    lost.extend(language_change(prompt, rewrite).map(|(before, after)| Lost::Language { before, after }));
    lost
}

fn lost_numbers(prompt: &str, rewrite: &str) -> Vec<Lost> {
    let kept: Vec<Number> = numbers_in(rewrite).into_iter().map(|(_, number)| number).collect();
    let mut lost = Vec::new();
    for (written, number) in numbers_in(prompt) {
        let finding = Lost::Number(written);
        if !kept.contains(&number) && !lost.contains(&finding) {
            lost.push(finding);
        }
    }
    lost
}

/// All numbers of a text, in digits and in words, each as it is written.
fn numbers_in(text: &str) -> Vec<(String, Number)> {
    let mut numbers: Vec<(String, Number)> =
        Number::all_in(text).map(|(written, number)| (written.to_owned(), number)).collect();
    for word in text.split(|character: char| !character.is_alphabetic()).filter(|word| word.len() <= 6) {
        let digits = NUMBER_WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, digits)| digits);
        numbers.extend(digits.and_then(|digits| Number::last_of(digits)).map(|number| (word.to_owned(), number)));
    }
    numbers
}

/// What stands between the marks of each match.
fn captured<'a>(marked: &'static Regex, text: &'a str) -> impl Iterator<Item = &'a str> {
    marked
        .captures_iter(text)
        .filter_map(|found| found.iter().skip(1).flatten().next().map(|inner| inner.as_str().trim()))
}

/// Text in small letters with single spaces.
fn normal(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
