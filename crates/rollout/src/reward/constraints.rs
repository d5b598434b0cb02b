//! The reward of a prompt with verifiable constraints.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::constraint::{Constraint, Variants, Verdict};
use super::verifier::Verify;
use super::{Exchange, Part, Score};
use crate::Error;
use crate::data::Record;

/// Judges the response by the constraints in the record's `instruction_id_list` and `kwargs`, as IFEval writes them.
///
/// Parts: one by the id of each constraint, in the record's order, and `all-met`. A prompt without constraints is an
/// error, as nothing could be learned from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Constraints {
    /// Which verdict counts.
    pub strictness: Strictness,
    /// How the verdicts on several constraints become one number.
    pub merge: Merge,
}

/// Which verdict on a constraint counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strictness {
    /// The answer as it stands.
    #[default]
    Strict,
    /// The best of the answer and its variants without first line, last line and stars.
    Loose,
    /// Half a point for each.
    Mean,
}

/// How the verdicts on several constraints become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Merge {
    /// The share of constraints met.
    #[default]
    Share,
    /// 1 where all are met, else 0.
    All,
}

impl Verify for Constraints {
    fn verify(&self, exchange: &Exchange<'_>) -> Result<Score, Error> {
        let constraints = Constraint::of_record(exchange.record)?;
        let variants = Variants::of(exchange.response);
        let verdicts: Vec<Verdict> = constraints.iter().map(|constraint| variants.judge(constraint)).collect();
        let met: Vec<f64> = verdicts.iter().map(|verdict| self.points(*verdict)).collect();
        let all = Verdict {
            strict: verdicts.iter().all(|verdict| verdict.strict),
            loose: verdicts.iter().all(|verdict| verdict.loose),
        };
        let value = match self.merge {
            Merge::Share => met.iter().sum::<f64>() / met.len() as f64,
            Merge::All => self.points(all),
        };
        let part = |name: &'static str, value| Part { name: name.into(), value };
        let mut parts: Vec<Part> = constraints.iter().zip(met).map(|(c, value)| part(c.id(), value)).collect();
        parts.push(part("all-met", self.points(all)));
        Ok(Score { value, parts })
    }
}

impl Constraints {
    fn points(self, verdict: Verdict) -> f64 {
        let (strict, loose) = (f64::from(u8::from(verdict.strict)), f64::from(u8::from(verdict.loose)));
        match self.strictness {
            Strictness::Strict => strict,
            Strictness::Loose => loose,
            Strictness::Mean => (strict + loose) / 2.0,
        }
    }
}

impl Constraint {
    /// The constraints of a record, at least one.
    pub fn of_record(record: &Record) -> Result<Vec<Constraint>, Error> {
        let list = |field: &str, expected: &'static str| match record.fields.get(field).and_then(Value::as_array) {
            Some(list) if !list.is_empty() => Ok(list),
            _ => Err(record.wrong_field(field, expected)),
        };
        let expected_ids = "a list of constraint ids, at least one";
        let expected_arguments = "a list of objects, one for each constraint";
        let ids = list("instruction_id_list", expected_ids)?;
        let arguments = list("kwargs", expected_arguments)?;
        if ids.len() != arguments.len() {
            let (n_ids, n_arguments) = (ids.len(), arguments.len());
            return Err(Error::UnpairedArguments { record: record.id.clone(), n_ids, n_arguments });
        }
        let none = Map::new();
        let parse = |(index, (id, arguments)): (usize, (&Value, &Value))| {
            let id = id.as_str().ok_or_else(|| record.wrong_field("instruction_id_list", expected_ids))?;
            let arguments = match arguments {
                Value::Object(arguments) => arguments,
                Value::Null => &none,
                _ => return Err(record.wrong_field("kwargs", expected_arguments)),
            };
            let at = |source| Error::Constraint { record: record.id.clone(), position: index + 1, source };
            Constraint::parse(id, arguments).map_err(|error| at(Box::new(error)))
        };
        ids.iter().zip(arguments).enumerate().map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reward::fixture::{record, respond};

    fn two_constraints() -> Record {
        record(json!({
            "instruction_id_list": ["punctuation:no_comma", "startend:quotation"],
            "kwargs": [{}, null],
        }))
    }

    fn value(strictness: Strictness, merge: Merge, response: &str) -> f64 {
        Constraints { strictness, merge }.verify(&respond(&two_constraints(), response)).unwrap().value
    }

    #[test]
    fn the_score_is_the_share_of_constraints_met_or_all_of_them() {
        assert_eq!(value(Strictness::Strict, Merge::Share, "\"a\""), 1.0);
        assert_eq!(value(Strictness::Strict, Merge::Share, "\"a, b\""), 0.5);
        assert_eq!(value(Strictness::Strict, Merge::All, "\"a, b\""), 0.0);
        assert_eq!(value(Strictness::Strict, Merge::All, "\"a\""), 1.0);
        assert_eq!(value(Strictness::Strict, Merge::Share, ""), 0.0);
        // Strictly one of two holds, loosely both do.
        assert_eq!(value(Strictness::Strict, Merge::Share, "Sure:\n\"a\""), 0.5);
        assert_eq!(value(Strictness::Loose, Merge::Share, "Sure:\n\"a\""), 1.0);
        assert_eq!(value(Strictness::Mean, Merge::Share, "Sure:\n\"a\""), 0.75);
        assert_eq!(value(Strictness::Mean, Merge::All, "Sure:\n\"a\""), 0.5);
    }

    #[test]
    fn the_parts_name_each_constraint() {
        let record = two_constraints();
        let score = Constraints::default().verify(&respond(&record, "\"a, b\"")).unwrap();
        let parts: Vec<(&str, f64)> = score.parts.iter().map(|part| (&*part.name, part.value)).collect();
        assert_eq!(parts, [("punctuation:no_comma", 0.0), ("startend:quotation", 1.0), ("all-met", 0.0)]);
    }

    #[test]
    fn unusable_records_are_named() {
        let message = |fields| {
            let record = record(fields);
            Constraint::of_record(&record).unwrap_err().to_string()
        };
        assert_eq!(
            message(json!({})),
            "prompt `p1`, field `instruction_id_list`: expected a list of constraint ids, at least one, found nothing"
        );
        assert_eq!(
            message(json!({"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}, {}]})),
            "prompt `p1` has 1 constraint ids but 2 sets of arguments"
        );
        let message = message(json!({"instruction_id_list": ["punctuation:no_comma", "x"], "kwargs": [{}, {}]}));
        assert_eq!(message, "prompt `p1`, constraint 2");
    }
}
