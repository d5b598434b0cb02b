//! Verifiable constraints: the 25 instruction types of IFEval (arXiv 2311.07911), each a pure function of the answer.
//!
//! ## Verdicts
//! *Strict*: the answer is not blank and the check holds. *Loose*: so does the check on any of eight variants of the
//! answer: whole, without its first line, without its last, without both, and the same four without stars.
//!
//! ## Choices
//! - Keywords and markers are literal text, never patterns.
//! - A missing argument or one out of range is an error; the published checkers draw a random one.
//! - A letter outside a-z is counted as it stands; the published checkers replace it by a random letter.
//! - Sentences end where a plain rule says so, not a trained model; languages are told by a deterministic detector.
//! - JSON is strict: NaN and infinities are refused.
//!
//! ## Checked against
//! The published verdicts on the answers of nine models, and hand-made corner cases (`tests/it/ifeval.rs`).

mod arguments;
mod characters;
mod format;
mod frame;
mod keywords;
mod length;
mod letter_case;
mod sentence;
#[cfg(test)]
mod tests;
mod token;
mod variants;

pub use arguments::IDS;
pub(crate) use characters::pattern;
pub(crate) use format::json_text;
pub use variants::{Variants, Verdict};

use super::language::{Language, detect};
use characters::is_blank;

/// One verifiable constraint with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub enum Constraint {
    /// Every keyword occurs as a substring, whatever its case.
    Keywords {
        /// The keywords, none blank.
        keywords: Vec<String>,
    },
    /// A keyword occurs as a substring so many times.
    KeywordFrequency {
        /// The keyword, not blank.
        keyword: String,
        /// How often.
        bound: Bound,
    },
    /// None of the words occurs as a word.
    ForbiddenWords {
        /// The words, none blank.
        words: Vec<String>,
    },
    /// A character occurs so many times, whatever its case.
    LetterFrequency {
        /// The character.
        letter: char,
        /// How often.
        bound: Bound,
    },
    /// The answer is in a language.
    ResponseLanguage {
        /// The language.
        language: Language,
    },
    /// So many sentences.
    Sentences {
        /// How many.
        bound: Bound,
    },
    /// Exactly so many paragraphs, parted by `***`.
    Paragraphs {
        /// How many.
        count: usize,
    },
    /// So many words.
    Words {
        /// How many.
        bound: Bound,
    },
    /// Exactly so many paragraphs, parted by empty lines, one of which begins with a given word.
    NthParagraphFirstWord {
        /// How many paragraphs.
        paragraphs: usize,
        /// Which one, counted from 1.
        nth: usize,
        /// Its first word.
        first_word: String,
    },
    /// At least so many placeholders in square brackets.
    Placeholders {
        /// How many.
        count: usize,
    },
    /// A postscript, known by its marker.
    Postscript {
        /// The marker, such as `P.S.`.
        marker: String,
    },
    /// Exactly so many bullet points in Markdown.
    Bullets {
        /// How many.
        count: usize,
    },
    /// One of three fixed sentences occurs.
    ConstrainedResponse,
    /// At least so many sections highlighted by stars.
    Highlights {
        /// How many.
        count: usize,
    },
    /// At least so many numbered sections.
    Sections {
        /// The word before the number.
        name: String,
        /// How many.
        count: usize,
    },
    /// The whole answer is JSON.
    Json,
    /// A title in double angle brackets.
    Title,
    /// Two different answers, parted by six stars.
    TwoResponses,
    /// The answer begins by repeating a text.
    RepeatPrompt {
        /// The text.
        prompt: String,
    },
    /// The answer ends with a phrase.
    EndPhrase {
        /// The phrase.
        phrase: String,
    },
    /// The answer stands in double quotation marks.
    Quotation,
    /// So many words in capitals.
    CapitalWords {
        /// How many.
        bound: Bound,
    },
    /// English, all in capitals.
    EnglishCapitals,
    /// English, all in small letters.
    EnglishLowercase,
    /// No commas.
    NoComma,
}

/// A count compared with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// How they are compared.
    pub relation: Relation,
    /// The limit.
    pub count: usize,
}

/// How a count is compared with its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Below the limit.
    LessThan,
    /// The limit or above.
    AtLeast,
}

impl Bound {
    /// Whether `actual` keeps the bound.
    pub fn admits(self, actual: usize) -> bool {
        match self.relation {
            Relation::LessThan => actual < self.count,
            Relation::AtLeast => actual >= self.count,
        }
    }
}

impl Constraint {
    /// Whether the answer as it stands, blank or not, meets the constraint.
    pub fn holds(&self, answer: &str) -> bool {
        match self {
            Constraint::Keywords { keywords } => keywords::exist(answer, keywords),
            Constraint::KeywordFrequency { keyword, bound } => keywords::frequency(answer, keyword, *bound),
            Constraint::ForbiddenWords { words } => keywords::forbidden(answer, words),
            Constraint::LetterFrequency { letter, bound } => keywords::letter_frequency(answer, *letter, *bound),
            Constraint::ResponseLanguage { language } => detect(answer).is_none_or(|found| found == *language),
            Constraint::Sentences { bound } => length::sentences(answer, *bound),
            Constraint::Paragraphs { count } => length::paragraphs(answer, *count),
            Constraint::Words { bound } => length::words(answer, *bound),
            Constraint::NthParagraphFirstWord { paragraphs, nth, first_word } => {
                length::nth_paragraph_first_word(answer, *paragraphs, *nth, first_word)
            }
            Constraint::Placeholders { count } => format::placeholders(answer, *count),
            Constraint::Postscript { marker } => format::postscript(answer, marker),
            Constraint::Bullets { count } => format::bullets(answer, *count),
            Constraint::ConstrainedResponse => format::constrained_response(answer),
            Constraint::Highlights { count } => format::highlights(answer, *count),
            Constraint::Sections { name, count } => format::sections(answer, name, *count),
            Constraint::Json => format::json(answer),
            Constraint::Title => format::title(answer),
            Constraint::TwoResponses => frame::two_responses(answer),
            Constraint::RepeatPrompt { prompt } => frame::repeat_prompt(answer, prompt),
            Constraint::EndPhrase { phrase } => frame::end_phrase(answer, phrase),
            Constraint::Quotation => frame::quotation(answer),
            Constraint::CapitalWords { bound } => letter_case::capital_words(answer, *bound),
            Constraint::EnglishCapitals => letter_case::english_capitals(answer),
            Constraint::EnglishLowercase => letter_case::english_lowercase(answer),
            Constraint::NoComma => keywords::no_comma(answer),
        }
    }

    /// The strict verdict: the answer is not blank and meets the constraint.
    pub fn strict(&self, answer: &str) -> bool {
        !is_blank(answer) && self.holds(answer)
    }
}
