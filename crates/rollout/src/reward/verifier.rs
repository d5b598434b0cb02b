//! Rewards that need no model.

use serde::{Deserialize, Serialize};

use super::{Constraints, Contains, ExactMatch, ExactNumber, Exchange, JsonSchema, Length, Matches, Reward, Score};
use crate::Error;

/// A reward that is a pure function of one exchange.
pub trait Verify {
    /// The score of one exchange, between 0 and 1.
    fn verify(&self, exchange: &Exchange<'_>) -> Result<Score, Error>;
}

impl<V: Verify> Reward for V {
    fn score(&mut self, batch: &[Exchange<'_>]) -> Result<Vec<Score>, Error> {
        batch.iter().map(|exchange| self.verify(exchange)).collect()
    }
}

/// Every verifier, as a configuration names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Verifier {
    /// The constraints of the prompt's record.
    Constraints(Constraints),
    /// The final number of the response.
    ExactNumber(ExactNumber),
    /// The text of the response.
    ExactMatch(ExactMatch),
    /// A regular expression.
    Regex(Matches),
    /// Texts that must occur.
    Contains(Contains),
    /// A JSON document with a schema.
    JsonSchema(JsonSchema),
    /// The length of the response.
    Length(Length),
}

impl Verifier {
    /// Its name in configurations and events.
    pub fn name(&self) -> &'static str {
        match self {
            Verifier::Constraints(_) => "constraints",
            Verifier::ExactNumber(_) => "exact-number",
            Verifier::ExactMatch(_) => "exact-match",
            Verifier::Regex(_) => "regex",
            Verifier::Contains(_) => "contains",
            Verifier::JsonSchema(_) => "json-schema",
            Verifier::Length(_) => "length",
        }
    }
}

impl Verify for Verifier {
    fn verify(&self, exchange: &Exchange<'_>) -> Result<Score, Error> {
        match self {
            Verifier::Constraints(verifier) => verifier.verify(exchange),
            Verifier::ExactNumber(verifier) => verifier.verify(exchange),
            Verifier::ExactMatch(verifier) => verifier.verify(exchange),
            Verifier::Regex(verifier) => verifier.verify(exchange),
            Verifier::Contains(verifier) => verifier.verify(exchange),
            Verifier::JsonSchema(verifier) => verifier.verify(exchange),
            Verifier::Length(verifier) => verifier.verify(exchange),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reward::fixture::{record, respond};

    #[test]
    fn a_configuration_names_one_verifier_and_its_options() {
        let record = record(json!({"answer": "#### 18"}));
        let verifier: Verifier = serde_json::from_value(json!({"exact-number": {"field": "answer"}})).unwrap();
        assert_eq!(verifier.verify(&respond(&record, "It is 18.")).unwrap(), Score::binary(true));
        let mut reward: Box<dyn Reward> = Box::new(verifier);
        let scores = reward.score(&[respond(&record, "18"), respond(&record, "81")]).unwrap();
        assert_eq!(scores.iter().map(|score| score.value).collect::<Vec<_>>(), [1.0, 0.0]);
        for wrong in [json!({"exact-number": {"feild": "a"}}), json!({"sentiment": {}}), json!({"regex": {}})] {
            assert!(serde_json::from_value::<Verifier>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
