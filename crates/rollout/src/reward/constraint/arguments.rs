//! Constraints from and to the JSON of IFEval: an id and an object of arguments.

use serde_json::{Map, Value, json};

use super::characters::is_blank;
use super::{Bound, Constraint, Language, Relation};
use crate::Error;

/// The ids of all constraint types, `group:name`.
pub const IDS: [&str; 25] = [
    "keywords:existence",
    "keywords:frequency",
    "keywords:forbidden_words",
    "keywords:letter_frequency",
    "language:response_language",
    "length_constraints:number_sentences",
    "length_constraints:number_paragraphs",
    "length_constraints:number_words",
    "length_constraints:nth_paragraph_first_word",
    "detectable_content:number_placeholders",
    "detectable_content:postscript",
    "detectable_format:number_bullet_lists",
    "detectable_format:constrained_response",
    "detectable_format:number_highlighted_sections",
    "detectable_format:multiple_sections",
    "detectable_format:json_format",
    "detectable_format:title",
    "combination:two_responses",
    "combination:repeat_prompt",
    "startend:end_checker",
    "startend:quotation",
    "change_case:capital_word_frequency",
    "change_case:english_capital",
    "change_case:english_lowercase",
    "punctuation:no_comma",
];

impl Constraint {
    /// The constraint with the given id and arguments. Arguments that are null are as good as absent.
    pub fn parse(id: &str, arguments: &Map<String, Value>) -> Result<Constraint, Error> {
        let id = Constraint::known_id(id)?;
        let mut arguments = Arguments { id, present: arguments.iter().filter(|(_, value)| !value.is_null()).collect() };
        let constraint = arguments.constraint()?;
        match arguments.present.into_iter().next() {
            None => Ok(constraint),
            Some((argument, _)) => Err(Error::UnexpectedArgument { id, argument: argument.clone() }),
        }
    }

    /// The id of a type as this crate writes it, or an error that names the closest.
    pub fn known_id(id: &str) -> Result<&'static str, Error> {
        let unknown = || Error::UnknownConstraint { id: id.to_owned(), closest: closest(id) };
        IDS.iter().find(|&&known| known == id).copied().ok_or_else(unknown)
    }

    /// The id, `group:name`.
    pub fn id(&self) -> &'static str {
        match self {
            Constraint::Keywords { .. } => "keywords:existence",
            Constraint::KeywordFrequency { .. } => "keywords:frequency",
            Constraint::ForbiddenWords { .. } => "keywords:forbidden_words",
            Constraint::LetterFrequency { .. } => "keywords:letter_frequency",
            Constraint::ResponseLanguage { .. } => "language:response_language",
            Constraint::Sentences { .. } => "length_constraints:number_sentences",
            Constraint::Paragraphs { .. } => "length_constraints:number_paragraphs",
            Constraint::Words { .. } => "length_constraints:number_words",
            Constraint::NthParagraphFirstWord { .. } => "length_constraints:nth_paragraph_first_word",
            Constraint::Placeholders { .. } => "detectable_content:number_placeholders",
            Constraint::Postscript { .. } => "detectable_content:postscript",
            Constraint::Bullets { .. } => "detectable_format:number_bullet_lists",
            Constraint::ConstrainedResponse => "detectable_format:constrained_response",
            Constraint::Highlights { .. } => "detectable_format:number_highlighted_sections",
            Constraint::Sections { .. } => "detectable_format:multiple_sections",
            Constraint::Json => "detectable_format:json_format",
            Constraint::Title => "detectable_format:title",
            Constraint::TwoResponses => "combination:two_responses",
            Constraint::RepeatPrompt { .. } => "combination:repeat_prompt",
            Constraint::EndPhrase { .. } => "startend:end_checker",
            Constraint::Quotation => "startend:quotation",
            Constraint::CapitalWords { .. } => "change_case:capital_word_frequency",
            Constraint::EnglishCapitals => "change_case:english_capital",
            Constraint::EnglishLowercase => "change_case:english_lowercase",
            Constraint::NoComma => "punctuation:no_comma",
        }
    }

    /// The arguments as [`Constraint::parse`] reads them.
    pub fn arguments(&self) -> Map<String, Value> {
        let arguments = match self {
            Constraint::Keywords { keywords } => json!({ "keywords": keywords }),
            Constraint::KeywordFrequency { keyword, bound } => {
                json!({ "keyword": keyword, "frequency": bound.count, "relation": bound.relation.name() })
            }
            Constraint::ForbiddenWords { words } => json!({ "forbidden_words": words }),
            Constraint::LetterFrequency { letter, bound } => {
                json!({ "letter": letter, "let_frequency": bound.count, "let_relation": bound.relation.name() })
            }
            Constraint::ResponseLanguage { language } => json!({ "language": language.code() }),
            Constraint::Sentences { bound } => {
                json!({ "num_sentences": bound.count, "relation": bound.relation.name() })
            }
            Constraint::Paragraphs { count } => json!({ "num_paragraphs": count }),
            Constraint::Words { bound } => json!({ "num_words": bound.count, "relation": bound.relation.name() }),
            Constraint::NthParagraphFirstWord { paragraphs, nth, first_word } => {
                json!({ "num_paragraphs": paragraphs, "nth_paragraph": nth, "first_word": first_word })
            }
            Constraint::Placeholders { count } => json!({ "num_placeholders": count }),
            Constraint::Postscript { marker } => json!({ "postscript_marker": marker }),
            Constraint::Bullets { count } => json!({ "num_bullets": count }),
            Constraint::Highlights { count } => json!({ "num_highlights": count }),
            Constraint::Sections { name, count } => json!({ "section_spliter": name, "num_sections": count }),
            Constraint::RepeatPrompt { prompt } => json!({ "prompt_to_repeat": prompt }),
            Constraint::EndPhrase { phrase } => json!({ "end_phrase": phrase }),
            Constraint::CapitalWords { bound } => {
                json!({ "capital_frequency": bound.count, "capital_relation": bound.relation.name() })
            }
            Constraint::ConstrainedResponse
            | Constraint::Json
            | Constraint::Title
            | Constraint::TwoResponses
            | Constraint::Quotation
            | Constraint::EnglishCapitals
            | Constraint::EnglishLowercase
            | Constraint::NoComma => Value::Null,
        };
        if let Value::Object(arguments) = arguments { arguments } else { Map::new() }
    }
}

impl Relation {
    /// The relation in IFEval's words.
    pub fn name(self) -> &'static str {
        match self {
            Relation::LessThan => "less than",
            Relation::AtLeast => "at least",
        }
    }
}

/// The arguments not yet read.
struct Arguments<'a> {
    id: &'static str,
    present: Vec<(&'a String, &'a Value)>,
}

impl Arguments<'_> {
    fn constraint(&mut self) -> Result<Constraint, Error> {
        Ok(match self.id {
            "keywords:existence" => Constraint::Keywords { keywords: self.texts("keywords")? },
            "keywords:frequency" => Constraint::KeywordFrequency {
                keyword: self.text("keyword")?,
                bound: self.bound("relation", "frequency")?,
            },
            "keywords:forbidden_words" => Constraint::ForbiddenWords { words: self.texts("forbidden_words")? },
            "keywords:letter_frequency" => Constraint::LetterFrequency {
                letter: self.letter("letter")?,
                bound: self.bound("let_relation", "let_frequency")?,
            },
            "language:response_language" => Constraint::ResponseLanguage { language: self.language("language")? },
            "length_constraints:number_sentences" => {
                Constraint::Sentences { bound: self.bound("relation", "num_sentences")? }
            }
            "length_constraints:number_paragraphs" => Constraint::Paragraphs { count: self.count("num_paragraphs")? },
            "length_constraints:number_words" => Constraint::Words { bound: self.bound("relation", "num_words")? },
            "length_constraints:nth_paragraph_first_word" => Constraint::NthParagraphFirstWord {
                paragraphs: self.count("num_paragraphs")?,
                nth: self.position("nth_paragraph")?,
                first_word: self.text("first_word")?,
            },
            "detectable_content:number_placeholders" => {
                Constraint::Placeholders { count: self.count("num_placeholders")? }
            }
            "detectable_content:postscript" => Constraint::Postscript { marker: self.text("postscript_marker")? },
            "detectable_format:number_bullet_lists" => Constraint::Bullets { count: self.count("num_bullets")? },
            "detectable_format:constrained_response" => Constraint::ConstrainedResponse,
            "detectable_format:number_highlighted_sections" => {
                Constraint::Highlights { count: self.count("num_highlights")? }
            }
            "detectable_format:multiple_sections" => {
                Constraint::Sections { name: self.text("section_spliter")?, count: self.count("num_sections")? }
            }
            "detectable_format:json_format" => Constraint::Json,
            "detectable_format:title" => Constraint::Title,
            "combination:two_responses" => Constraint::TwoResponses,
            "combination:repeat_prompt" => Constraint::RepeatPrompt { prompt: self.text("prompt_to_repeat")? },
            "startend:end_checker" => Constraint::EndPhrase { phrase: self.text("end_phrase")? },
            "startend:quotation" => Constraint::Quotation,
            "change_case:capital_word_frequency" => {
                Constraint::CapitalWords { bound: self.bound("capital_relation", "capital_frequency")? }
            }
            "change_case:english_capital" => Constraint::EnglishCapitals,
            "change_case:english_lowercase" => Constraint::EnglishLowercase,
            "punctuation:no_comma" => Constraint::NoComma,
            unlisted => return Err(Error::UnknownConstraint { id: unlisted.to_owned(), closest: closest(unlisted) }),
        })
    }

    /// Takes an argument and converts it.
    fn take<T>(
        &mut self,
        argument: &'static str,
        expected: &'static str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, Error> {
        let id = self.id;
        let position = self.present.iter().position(|(name, _)| *name == argument);
        let (_, value) = self.present.remove(position.ok_or(Error::MissingArgument { id, argument })?);
        convert(value).ok_or_else(|| Error::WrongArgument { id, argument, expected, found: value.to_string() })
    }

    fn text(&mut self, argument: &'static str) -> Result<String, Error> {
        self.take(argument, "text that is not blank", not_blank)
    }

    fn texts(&mut self, argument: &'static str) -> Result<Vec<String>, Error> {
        self.take(argument, "a list of texts, none blank", |value| value.as_array()?.iter().map(not_blank).collect())
    }

    fn letter(&mut self, argument: &'static str) -> Result<char, Error> {
        self.take(argument, "one character", |value| {
            let mut characters = value.as_str()?.chars();
            characters.next().filter(|_| characters.next().is_none())
        })
    }

    fn language(&mut self, argument: &'static str) -> Result<Language, Error> {
        let expected = "an ISO 639-1 code of a language that can be detected";
        self.take(argument, expected, |value| Language::from_code(value.as_str()?))
    }

    fn count(&mut self, argument: &'static str) -> Result<usize, Error> {
        self.take(argument, "a whole number, 0 or more", whole_number)
    }

    fn position(&mut self, argument: &'static str) -> Result<usize, Error> {
        self.take(argument, "a whole number, 1 or more", |value| whole_number(value).filter(|&number| number > 0))
    }

    fn bound(&mut self, relation: &'static str, count: &'static str) -> Result<Bound, Error> {
        let relation = self.take(relation, "`less than` or `at least`", |value| match value.as_str()? {
            "less than" => Some(Relation::LessThan),
            "at least" => Some(Relation::AtLeast),
            _ => None,
        })?;
        Ok(Bound { relation, count: self.count(count)? })
    }
}

fn not_blank(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !is_blank(text)).map(str::to_owned)
}

/// A whole number, which some tools write as 3.0.
fn whole_number(value: &Value) -> Option<usize> {
    let whole = |number: &f64| number.fract() == 0.0 && (0.0..1e15).contains(number);
    value.as_u64().and_then(|number| usize::try_from(number).ok()).or(value.as_f64().filter(whole).map(|n| n as usize))
}

/// The known id that shares most pairs of neighbouring characters with `id`.
fn closest(id: &str) -> &'static str {
    let pairs = |text: &str| text.chars().zip(text.chars().skip(1)).collect::<std::collections::BTreeSet<_>>();
    let wanted = pairs(id);
    let likeness = |known: &&&str| {
        let known = pairs(known);
        let shared = known.intersection(&wanted).count() as f64;
        (1e6 * 2.0 * shared / (known.len() + wanted.len()) as f64) as u64
    };
    IDS.iter().max_by_key(likeness).copied().unwrap_or(IDS[0])
}
