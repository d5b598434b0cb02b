//! Arguments for constraints.

use super::task::Task;
use crate::data::stable::Draws;
use crate::reward::Language;
use crate::reward::constraint::{Bound, Constraint, Relation};

/// Words to avoid that are easy to use in almost any answer, so that avoiding them is a real constraint.
const COMMON_WORDS: [&str; 24] = [
    "very",
    "really",
    "good",
    "great",
    "important",
    "also",
    "just",
    "many",
    "however",
    "always",
    "never",
    "simply",
    "thing",
    "make",
    "people",
    "well",
    "some",
    "more",
    "often",
    "best",
    "help",
    "first",
    "need",
    "even",
];
const FIRST_WORDS: [&str; 12] = [
    "today",
    "first",
    "imagine",
    "however",
    "finally",
    "sometimes",
    "most",
    "remember",
    "perhaps",
    "every",
    "before",
    "nobody",
];
const END_PHRASES: [&str; 10] = [
    "That is all there is to it.",
    "I hope this is useful.",
    "Is there anything else I can do?",
    "Thank you for reading.",
    "And that is the whole story.",
    "Let me know what you think.",
    "Now it is your turn.",
    "The rest is up to you.",
    "Take care.",
    "End of answer.",
];
const SECTION_NAMES: [&str; 6] = ["Section", "SECTION", "Part", "PART", "Chapter", "Step"];
const LANGUAGES: [&str; 12] = ["de", "fr", "es", "it", "pt", "ru", "hi", "vi", "ko", "fi", "tr", "ar"];
const LETTERS: [char; 12] = ['a', 'b', 'c', 'd', 'g', 'k', 'm', 'p', 'q', 'v', 'w', 'z'];
/// Letters rare enough that few of them is a constraint somebody can meet.
const RARE_LETTERS: [char; 6] = ['j', 'k', 'q', 'v', 'x', 'z'];

/// A constraint of the given type for a task; `None` where there is nothing to draw from.
pub(super) fn constraint(draws: &mut Draws, id: &str, task: &Task) -> Option<Constraint> {
    Some(match id {
        "keywords:existence" => Constraint::Keywords { keywords: some_of(draws, &task.keywords) },
        "keywords:frequency" => {
            let keyword = draws.pick(&task.keywords)?.clone();
            Constraint::KeywordFrequency { keyword, bound: bound(draws, &[2, 3, 4], &[2, 3]) }
        }
        "keywords:forbidden_words" => {
            let common = COMMON_WORDS.map(str::to_owned);
            let words = if draws.uniform() < 0.5 { some_of(draws, &task.keywords) } else { some_of(draws, &common) };
            Constraint::ForbiddenWords { words }
        }
        "keywords:letter_frequency" => {
            let bound = bound(draws, &[4, 6, 8, 10, 15, 20], &[2, 3, 4]);
            let letters = if bound.relation == Relation::LessThan { &RARE_LETTERS[..] } else { &LETTERS };
            Constraint::LetterFrequency { letter: *draws.pick(letters)?, bound }
        }
        "language:response_language" => {
            Constraint::ResponseLanguage { language: Language::from_code(draws.pick(&LANGUAGES)?)? }
        }
        "length_constraints:number_sentences" => {
            Constraint::Sentences { bound: bound(draws, &[3, 4, 5, 6, 8], &[3, 4, 5, 6, 8]) }
        }
        "length_constraints:number_paragraphs" => Constraint::Paragraphs { count: count(draws, &[2, 3, 4, 5]) },
        "length_constraints:number_words" => {
            Constraint::Words { bound: bound(draws, &[40, 60, 80, 100, 150, 200], &[30, 40, 50, 60, 80, 100]) }
        }
        "length_constraints:nth_paragraph_first_word" => {
            let paragraphs = count(draws, &[2, 3, 4]);
            let nth = 1 + (draws.uniform() * paragraphs as f64) as usize;
            Constraint::NthParagraphFirstWord { paragraphs, nth, first_word: (*draws.pick(&FIRST_WORDS)?).to_owned() }
        }
        "detectable_content:number_placeholders" => Constraint::Placeholders { count: count(draws, &[2, 3, 4]) },
        "detectable_content:postscript" => {
            Constraint::Postscript { marker: (*draws.pick(&["P.S.", "P.P.S"])?).to_owned() }
        }
        "detectable_format:number_bullet_lists" => Constraint::Bullets { count: count(draws, &[2, 3, 4, 5, 6]) },
        "detectable_format:constrained_response" => Constraint::ConstrainedResponse,
        "detectable_format:number_highlighted_sections" => Constraint::Highlights { count: count(draws, &[2, 3, 4]) },
        "detectable_format:multiple_sections" => {
            Constraint::Sections { name: (*draws.pick(&SECTION_NAMES)?).to_owned(), count: count(draws, &[2, 3, 4]) }
        }
        "detectable_format:json_format" => Constraint::Json,
        "detectable_format:title" => Constraint::Title,
        "combination:two_responses" => Constraint::TwoResponses,
        "combination:repeat_prompt" => Constraint::RepeatPrompt { prompt: task.text.clone() },
        "startend:end_checker" => Constraint::EndPhrase { phrase: (*draws.pick(&END_PHRASES)?).to_owned() },
        "startend:quotation" => Constraint::Quotation,
        "change_case:capital_word_frequency" => {
            Constraint::CapitalWords { bound: bound(draws, &[2, 3, 5], &[2, 3, 5]) }
        }
        "change_case:english_capital" => Constraint::EnglishCapitals,
        "change_case:english_lowercase" => Constraint::EnglishLowercase,
        "punctuation:no_comma" => Constraint::NoComma,
        _ => return None,
    })
}

fn count(draws: &mut Draws, counts: &[usize]) -> usize {
    draws.pick(counts).copied().unwrap_or(1)
}

/// Either relation, with a limit that suits it.
fn bound(draws: &mut Draws, at_least: &[usize], less_than: &[usize]) -> Bound {
    let relation = if draws.uniform() < 0.5 { Relation::AtLeast } else { Relation::LessThan };
    let limits = if relation == Relation::AtLeast { at_least } else { less_than };
    Bound { relation, count: count(draws, limits) }
}

/// One or two different ones.
fn some_of(draws: &mut Draws, words: &[String]) -> Vec<String> {
    let mut chosen: Vec<String> = Vec::new();
    for _ in 0..2 {
        chosen.extend(draws.pick(words).filter(|word| !chosen.contains(word)).cloned());
        if draws.uniform() < 0.4 {
            break;
        }
    }
    chosen
}
