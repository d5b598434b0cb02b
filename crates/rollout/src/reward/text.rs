//! Rewards for what a response says: exact matches, patterns, texts that must occur.

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::verifier::Verify;
use super::{Exchange, Part, Score};
use crate::Error;
use crate::data::Record;

/// Whether capitals matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LetterCase {
    /// They do.
    #[default]
    Sensitive,
    /// They do not.
    Insensitive,
}

/// Texts to look for: the same for every prompt, or the record's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// These texts.
    Texts(Vec<String>),
    /// The record's field: a text or a list of texts.
    Field(String),
}

/// 1 where the response equals the record's answer, or one of several, without white space at the ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExactMatch {
    /// The record's field: a text, or a list of texts any of which will do.
    pub field: String,
    /// Whether capitals matter.
    #[serde(default)]
    pub letter_case: LetterCase,
    /// Compare only what follows the last occurrence of this text, to the end of its line and without a final full
    /// stop, as benchmarks that end in "the answer is …" do. A response without it is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// 1 where a regular expression matches anywhere in the response.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Matches {
    #[serde(serialize_with = "as_text", deserialize_with = "compiled")]
    pattern: Regex,
}

/// The share of the wanted texts that occur in the response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Contains {
    /// What must occur.
    pub wanted: Wanted,
    /// Whether capitals matter.
    #[serde(default)]
    pub letter_case: LetterCase,
}

impl Verify for ExactMatch {
    fn verify(&self, exchange: &Exchange<'_>) -> Result<Score, Error> {
        let accepted = texts_of(exchange.record, &self.field)?;
        let Some(answer) = self.answer(exchange.response) else { return Ok(Score::binary(false)) };
        let answer = self.letter_case.fold(answer);
        Ok(Score::binary(accepted.iter().any(|text| self.letter_case.fold(text.trim()) == answer)))
    }
}

impl ExactMatch {
    fn answer<'a>(&self, response: &'a str) -> Option<&'a str> {
        let Some(after) = &self.after else { return Some(response.trim()) };
        let (_, answer) = response.rsplit_once(after.as_str())?;
        let line = answer.lines().next().unwrap_or_default().trim();
        Some(line.strip_suffix('.').unwrap_or(line).trim())
    }
}

impl Matches {
    /// The verifier of a pattern in the syntax of the `regex` crate, which takes linear time.
    pub fn new(pattern: &str) -> Result<Matches, Error> {
        let wrong = |source| Error::Pattern { pattern: pattern.to_owned(), source: Box::new(source) };
        Ok(Matches { pattern: Regex::new(pattern).map_err(wrong)? })
    }
}

impl PartialEq for Matches {
    fn eq(&self, other: &Matches) -> bool {
        self.pattern.as_str() == other.pattern.as_str()
    }
}

impl Verify for Matches {
    fn verify(&self, exchange: &Exchange<'_>) -> Result<Score, Error> {
        Ok(Score::binary(self.pattern.is_match(exchange.response)))
    }
}

impl Verify for Contains {
    fn verify(&self, exchange: &Exchange<'_>) -> Result<Score, Error> {
        let wanted = match &self.wanted {
            Wanted::Texts(texts) => texts.iter().map(String::as_str).collect(),
            Wanted::Field(field) => texts_of(exchange.record, field)?,
        };
        let response = self.letter_case.fold(exchange.response);
        let found = |text: &&str| Part {
            name: format!("contains {text}").into(),
            value: f64::from(u8::from(response.contains(&self.letter_case.fold(text)))),
        };
        let parts: Vec<Part> = wanted.iter().map(found).collect();
        // Nothing wanted, nothing missing.
        let value =
            if parts.is_empty() { 1.0 } else { parts.iter().map(|part| part.value).sum::<f64>() / parts.len() as f64 };
        Ok(Score { value, parts })
    }
}

impl LetterCase {
    fn fold(self, text: &str) -> String {
        match self {
            LetterCase::Sensitive => text.to_owned(),
            LetterCase::Insensitive => text.to_lowercase(),
        }
    }
}

fn texts_of<'a>(record: &'a Record, field: &str) -> Result<Vec<&'a str>, Error> {
    let texts = match record.fields.get(field) {
        Some(Value::String(text)) => Some(vec![text.as_str()]),
        Some(Value::Array(texts)) => texts.iter().map(Value::as_str).collect(),
        _ => None,
    };
    texts.ok_or_else(|| record.wrong_field(field, "a text or a list of texts"))
}

fn compiled<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Regex, D::Error> {
    let pattern = String::deserialize(deserializer)?;
    Regex::new(&pattern).map_err(serde::de::Error::custom)
}

fn as_text<S: serde::Serializer>(pattern: &Regex, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(pattern.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reward::fixture::{record, respond};

    fn value(verifier: &dyn Verify, fields: Value, response: &str) -> f64 {
        let record = record(fields);
        verifier.verify(&respond(&record, response)).unwrap().value
    }

    #[test]
    fn exact_matches_ignore_outer_space_and_on_request_case() {
        let mut verifier = ExactMatch { field: "answer".to_owned(), letter_case: LetterCase::Sensitive, after: None };
        let answers = json!({"answer": ["Paris", "Paris, France"]});
        assert_eq!(value(&verifier, answers.clone(), " Paris\n"), 1.0);
        assert_eq!(value(&verifier, answers.clone(), "paris"), 0.0);
        assert_eq!(value(&verifier, answers.clone(), "Paris, France"), 1.0);
        verifier.letter_case = LetterCase::Insensitive;
        assert_eq!(value(&verifier, answers, "PARIS"), 1.0);
        assert_eq!(value(&verifier, json!({"answer": "x"}), "Paris"), 0.0);
    }

    #[test]
    fn exact_matches_may_begin_after_a_phrase() {
        let after = Some("the answer is ".to_owned());
        let verifier = ExactMatch { field: "answer".to_owned(), letter_case: LetterCase::Sensitive, after };
        let answer = json!({"answer": "(B)"});
        assert_eq!(value(&verifier, answer.clone(), "First the answer is (A). No, the answer is (B).\nDone."), 1.0);
        assert_eq!(value(&verifier, answer.clone(), "the answer is (B). Surely."), 0.0);
        assert_eq!(value(&verifier, answer, "(B)"), 0.0);
    }

    #[test]
    fn contained_texts_count_one_by_one() {
        let mut verifier = Contains { wanted: Wanted::Field("facts".to_owned()), letter_case: LetterCase::Sensitive };
        assert_eq!(value(&verifier, json!({"facts": ["red", "Blue"]}), "red and blue"), 0.5);
        verifier.letter_case = LetterCase::Insensitive;
        assert_eq!(value(&verifier, json!({"facts": ["red", "Blue"]}), "RED and blue"), 1.0);
        verifier.wanted = Wanted::Texts(vec!["green".to_owned()]);
        assert_eq!(value(&verifier, json!({}), "red"), 0.0);
        verifier.wanted = Wanted::Texts(Vec::new());
        assert_eq!(value(&verifier, json!({}), "red"), 1.0);
        verifier.wanted = Wanted::Field("facts".to_owned());
        let record = record(json!({"facts": [1]}));
        let error = verifier.verify(&respond(&record, "1")).unwrap_err();
        assert_eq!(error.to_string(), "prompt `p1`, field `facts`: expected a text or a list of texts, found [1]");
    }

    #[test]
    fn patterns_match_anywhere() {
        let verifier = Matches::new(r"(?m)^\d+\.$").unwrap();
        assert_eq!(value(&verifier, json!({}), "a\n12.\nb"), 1.0);
        assert_eq!(value(&verifier, json!({}), "a 12."), 0.0);
        assert_eq!(Matches::new("(").unwrap_err().to_string(), "cannot use the pattern `(`");
    }
}
