//! The final number of a response, compared as a number.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::constraint::pattern;
use super::verifier::Verify;
use super::{Exchange, Score};
use crate::Error;

/// A decimal number of any length: sign, thousands commas, a currency sign before or after the sign, a fraction.
static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?x) ([-−]?) \$? ([-−]?) ( [0-9][0-9,]* (?: \.[0-9]+ )? | \.[0-9]+ )"));

/// The same without a sign.
static UNSIGNED: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?"));

/// 1 where the response's final number equals the record's.
///
/// The final number is the one after the last `####`, or else after the last `A:`, or else the last one. The record's
/// field holds a number, or text whose final number counts, such as a worked solution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExactNumber {
    /// The record's field with the correct answer.
    pub field: String,
}

/// A decimal number in a form that is equal exactly where the number is: no leading zeros, no trailing ones in the
/// fraction, no minus before zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(String);

impl Verify for ExactNumber {
    fn verify(&self, exchange: &Exchange<'_>) -> Result<Score, Error> {
        let expected = match exchange.record.fields.get(&self.field) {
            Some(Value::String(text)) => Number::last_of(text),
            Some(Value::Number(number)) => Number::last_of(&number.to_string()),
            _ => None,
        };
        let expected = expected.ok_or_else(|| exchange.record.wrong_field(&self.field, "text with a number"))?;
        Ok(Score::binary(Number::last_of(exchange.response) == Some(expected)))
    }
}

impl Number {
    /// The final number of a text, if it has one.
    pub fn last_of(text: &str) -> Option<Number> {
        for marker in ["####", "A:"] {
            if let Some((_, answer)) = text.rsplit_once(marker) {
                return NUMBER.captures(answer).map(|found| Number::canonical(&found));
            }
        }
        NUMBER.captures_iter(text).last().map(|found| Number::canonical(&found))
    }

    /// Every number of a text as it is written, and as a number; without signs, as a hyphen is seldom a minus in prose.
    pub fn all_in(text: &str) -> impl Iterator<Item = (&str, Number)> {
        UNSIGNED.find_iter(text).filter_map(|found| Some((found.as_str(), Number::last_of(found.as_str())?)))
    }

    fn canonical(found: &regex::Captures<'_>) -> Number {
        let digits = found[3].replace(',', "");
        let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let negative = found[1].is_empty() != found[2].is_empty();
        let minus = if negative && !(whole.is_empty() && fraction.is_empty()) { "-" } else { "" };
        Number(format!("{minus}{whole}.{fraction}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reward::fixture::{record, respond};

    #[test]
    fn numbers_are_equal_as_numbers() {
        let equal = [("18", "$18.00"), ("1,000", "1000"), ("-0", "0.0"), ("0.5", ".50"), ("-$3", "$-3"), ("−7", "-7")];
        for (left, right) in equal {
            assert_eq!(Number::last_of(left), Number::last_of(right), "{left} and {right}");
        }
        // More digits than a float holds.
        assert_ne!(Number::last_of("10000000000000000001"), Number::last_of("10000000000000000002"));
        assert_eq!(Number::last_of("none"), None);
        assert_eq!(Number::last_of(""), None);
    }

    #[test]
    fn the_final_number_follows_a_marker_or_is_the_last() {
        let cases = [
            ("2 + 3 = 5 apples", "5"),
            ("#### 3\n\nor 4", "3"),
            ("#### 3 #### 4", "4"),
            ("so 7\nA: 8 of 9", "8"),
            ("It is 12.", "12"),
            ("A: 1 #### 2", "2"),
            ("<<3*4=12>>12 eggs", "12"),
        ];
        for (text, expected) in cases {
            assert_eq!(Number::last_of(text), Number::last_of(expected), "{text}");
        }
        // A marker without a number has no answer, whatever stands before it.
        assert_eq!(Number::last_of("5 ####"), None);
    }

    #[test]
    fn the_record_says_what_is_correct() {
        let verifier = ExactNumber { field: "answer".to_owned() };
        for answer in [json!("worked out\n#### 1,234"), json!(1234), json!(1234.0)] {
            let record = record(json!({ "answer": answer }));
            assert_eq!(verifier.verify(&respond(&record, "so $1234")).unwrap().value, 1.0);
            assert_eq!(verifier.verify(&respond(&record, "so 123")).unwrap().value, 0.0);
            assert_eq!(verifier.verify(&respond(&record, "no idea")).unwrap().value, 0.0);
        }
        let record = record(json!({"answer": "unknown"}));
        let error = verifier.verify(&respond(&record, "5")).unwrap_err();
        assert_eq!(error.to_string(), "prompt `p1`, field `answer`: expected text with a number, found \"unknown\"");
    }
}
