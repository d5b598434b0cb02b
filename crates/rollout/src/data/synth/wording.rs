//! How constraints are put into words, and how words become a prompt.

mod phrases;

use crate::Error;
use crate::data::stable::Draws;
use crate::reward::Language;
use crate::reward::constraint::{Bound, Constraint, Relation};
use crate::template::Template;
use phrases::Phrases;

/// The prompt of a task with its constraints, each worded and all laid out in one of several ways.
pub(super) fn prompt(draws: &mut Draws, task: &str, constraints: &[Constraint]) -> Result<String, Error> {
    let mut sentences = Vec::new();
    for constraint in constraints {
        let phrase = draws.pick(phrases_of(constraint)).copied().unwrap_or_default();
        let values = values_of(constraint);
        let values: Vec<(&str, &str)> = values.iter().map(|(slot, value)| (*slot, value.as_str())).collect();
        sentences.push(Template::parse(phrase)?.render(&values)?);
    }
    let list = sentences.iter().map(|sentence| format!("- {sentence}")).collect::<Vec<_>>().join("\n");
    let joined = sentences.join(" ");
    let layouts = if sentences.len() > 1 { &LAYOUTS[..] } else { &LAYOUTS[..3] };
    let layout = draws.pick(layouts).copied().unwrap_or_default();
    Template::parse(layout)?.render(&[("task", task), ("joined", &joined), ("list", &list)])
}

/// The last two suit several constraints only.
const LAYOUTS: [&str; 5] = [
    "{task} {joined}",
    "{task}\n\n{joined}",
    "{joined}\n\n{task}",
    "{task}\n\nRequirements:\n{list}",
    "{task}\n\nPlease follow these rules:\n{list}",
];

/// The ways to say a constraint.
fn phrases_of(constraint: &Constraint) -> Phrases {
    let by_relation = |bound: &Bound, at_least, less_than| match bound.relation {
        Relation::AtLeast => at_least,
        Relation::LessThan => less_than,
    };
    match constraint {
        Constraint::Keywords { keywords } if keywords.len() == 1 => phrases::ONE_KEYWORD,
        Constraint::Keywords { .. } => phrases::KEYWORDS,
        Constraint::KeywordFrequency { bound, .. } => {
            by_relation(bound, phrases::KEYWORD_AT_LEAST, phrases::KEYWORD_LESS_THAN)
        }
        Constraint::ForbiddenWords { words } if words.len() == 1 => phrases::ONE_FORBIDDEN_WORD,
        Constraint::ForbiddenWords { .. } => phrases::FORBIDDEN_WORDS,
        Constraint::LetterFrequency { bound, .. } => {
            by_relation(bound, phrases::LETTER_AT_LEAST, phrases::LETTER_LESS_THAN)
        }
        Constraint::ResponseLanguage { .. } => phrases::LANGUAGE,
        Constraint::Sentences { bound } => {
            by_relation(bound, phrases::SENTENCES_AT_LEAST, phrases::SENTENCES_LESS_THAN)
        }
        Constraint::Paragraphs { .. } => phrases::PARAGRAPHS,
        Constraint::Words { bound } => by_relation(bound, phrases::WORDS_AT_LEAST, phrases::WORDS_LESS_THAN),
        Constraint::NthParagraphFirstWord { .. } => phrases::NTH_PARAGRAPH,
        Constraint::Placeholders { .. } => phrases::PLACEHOLDERS,
        Constraint::Postscript { .. } => phrases::POSTSCRIPT,
        Constraint::Bullets { .. } => phrases::BULLETS,
        Constraint::ConstrainedResponse => phrases::CONSTRAINED_RESPONSE,
        Constraint::Highlights { .. } => phrases::HIGHLIGHTS,
        Constraint::Sections { .. } => phrases::SECTIONS,
        Constraint::Json => phrases::JSON,
        Constraint::Title => phrases::TITLE,
        Constraint::TwoResponses => phrases::TWO_RESPONSES,
        Constraint::RepeatPrompt { .. } => phrases::REPEAT_PROMPT,
        Constraint::EndPhrase { .. } => phrases::END_PHRASE,
        Constraint::Quotation => phrases::QUOTATION,
        Constraint::CapitalWords { bound } => {
            by_relation(bound, phrases::CAPITAL_WORDS_AT_LEAST, phrases::CAPITAL_WORDS_LESS_THAN)
        }
        Constraint::EnglishCapitals => phrases::ENGLISH_CAPITALS,
        Constraint::EnglishLowercase => phrases::ENGLISH_LOWERCASE,
        Constraint::NoComma => phrases::NO_COMMA,
    }
}

/// What the slots of a constraint's phrases stand for.
fn values_of(constraint: &Constraint) -> Vec<(&'static str, String)> {
    match constraint {
        Constraint::Keywords { keywords: words } | Constraint::ForbiddenWords { words } => {
            vec![("words", quoted(words))]
        }
        Constraint::KeywordFrequency { keyword, bound } => {
            vec![("word", keyword.clone()), ("count", bound.count.to_string())]
        }
        Constraint::LetterFrequency { letter, bound } => {
            vec![("letter", letter.to_string()), ("count", bound.count.to_string())]
        }
        Constraint::ResponseLanguage { language } => vec![("language", name_of(*language).to_owned())],
        Constraint::Sentences { bound } | Constraint::Words { bound } | Constraint::CapitalWords { bound } => {
            vec![("count", bound.count.to_string())]
        }
        Constraint::Paragraphs { count }
        | Constraint::Placeholders { count }
        | Constraint::Bullets { count }
        | Constraint::Highlights { count } => vec![("count", count.to_string())],
        Constraint::Sections { name, count } => vec![("name", name.clone()), ("count", count.to_string())],
        Constraint::NthParagraphFirstWord { paragraphs, nth, first_word } => {
            vec![("count", paragraphs.to_string()), ("nth", nth.to_string()), ("word", first_word.clone())]
        }
        Constraint::Postscript { marker } => vec![("marker", marker.clone())],
        Constraint::RepeatPrompt { prompt } => vec![("prompt", prompt.clone())],
        Constraint::EndPhrase { phrase } => vec![("phrase", phrase.clone())],
        Constraint::ConstrainedResponse
        | Constraint::Json
        | Constraint::Title
        | Constraint::TwoResponses
        | Constraint::Quotation
        | Constraint::EnglishCapitals
        | Constraint::EnglishLowercase
        | Constraint::NoComma => Vec::new(),
    }
}

/// Words in double quotation marks: `"a"`, `"a" and "b"`.
fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" and ")
}

fn name_of(language: Language) -> &'static str {
    let names = [
        ("de", "German"),
        ("fr", "French"),
        ("es", "Spanish"),
        ("it", "Italian"),
        ("pt", "Portuguese"),
        ("ru", "Russian"),
        ("hi", "Hindi"),
        ("vi", "Vietnamese"),
        ("ko", "Korean"),
        ("fi", "Finnish"),
        ("tr", "Turkish"),
        ("ar", "Arabic"),
    ];
    names.iter().find(|(code, _)| *code == language.code()).map_or(language.code(), |(_, name)| name)
}
