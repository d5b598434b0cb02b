//! A reward for staying within a length.

use serde::{Deserialize, Serialize};

use super::verifier::Verify;
use super::{Exchange, Part, Score};
use crate::Error;

/// 1 within the limits, and outside them the ratio of the length to the limit or of the limit to the length, whichever
/// is below 1: a response twice too long has 0.5, an empty one that should have words 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Length {
    /// What is counted.
    pub unit: LengthUnit,
    /// The least that will do.
    #[serde(default)]
    pub at_least: usize,
    /// The most that will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<usize>,
}

/// What the length of a text is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LengthUnit {
    /// Unicode characters.
    Characters,
    /// Stretches between white space.
    Words,
    /// Lines that are not blank.
    Lines,
}

impl LengthUnit {
    /// The length of a text.
    pub fn count(self, text: &str) -> usize {
        match self {
            LengthUnit::Characters => text.chars().count(),
            LengthUnit::Words => text.split_whitespace().count(),
            LengthUnit::Lines => text.lines().filter(|line| !line.trim().is_empty()).count(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            LengthUnit::Characters => "characters",
            LengthUnit::Words => "words",
            LengthUnit::Lines => "lines",
        }
    }
}

impl Verify for Length {
    fn verify(&self, exchange: &Exchange<'_>) -> Result<Score, Error> {
        let length = self.unit.count(exchange.response);
        let value = match self.at_most {
            Some(most) if length > most => most as f64 / length as f64,
            _ if length < self.at_least => length as f64 / self.at_least as f64,
            _ => 1.0,
        };
        Ok(Score { value, parts: vec![Part { name: self.unit.name().into(), value: length as f64 }] })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reward::fixture::{record, respond};

    #[test]
    fn outside_the_limits_the_ratio_counts() {
        let record = record(json!({}));
        let verifier = Length { unit: LengthUnit::Words, at_least: 2, at_most: Some(4) };
        for (response, expected) in [("", 0.0), ("a", 0.5), ("a b", 1.0), (" a\tb c\nd", 1.0), ("a b c d e f g h", 0.5)]
        {
            assert_eq!(verifier.verify(&respond(&record, response)).unwrap().value, expected, "{response:?}");
        }
        let unlimited = Length { unit: LengthUnit::Words, at_least: 0, at_most: None };
        assert_eq!(unlimited.verify(&respond(&record, "")).unwrap().value, 1.0);
        let counts = [LengthUnit::Characters, LengthUnit::Words, LengthUnit::Lines].map(|unit| unit.count("é b\n\nc"));
        assert_eq!(counts, [6, 3, 2]);
    }
}
