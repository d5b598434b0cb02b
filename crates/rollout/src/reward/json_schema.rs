//! A reward for JSON that fits a schema.
//!
//! ## Subset
//! Of JSON Schema 2020-12: `type`, `enum`, `const`; `properties`, `required`, `additionalProperties`, `minProperties`,
//! `maxProperties`; `items`, `prefixItems`, `minItems`, `maxItems`, `uniqueItems`; `minLength`, `maxLength`, `pattern`;
//! `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf`; `allOf`, `anyOf`, `oneOf`, `not`; `$ref`
//! to a place in the same schema. Annotations (`title`, `description`, `format` and so on) are read over. Any other
//! keyword is an error when the schema is read, never silently ignored.

use std::collections::BTreeMap;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::constraint::json_text;
use super::verifier::Verify;
use super::{Exchange, Part, Score};
use crate::Error;

/// 1 where the whole response, in a code fence or not, is JSON that fits the schema. Parts: `json` and `schema`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct JsonSchema {
    schema: Value,
    patterns: BTreeMap<String, Regex>,
}

/// Keywords that say nothing about which documents fit, or that only hold other schemas.
const ANNOTATIONS: [&str; 13] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "format",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// How deep schemas may follow each other, so that a schema that refers to itself ends.
const MAX_DEPTH: usize = 64;

impl TryFrom<Value> for JsonSchema {
    type Error = Error;

    fn try_from(schema: Value) -> Result<JsonSchema, Error> {
        let mut compiled = JsonSchema { schema: Value::Null, patterns: BTreeMap::new() };
        compiled.inspect(&schema, &schema, "#", 0)?;
        compiled.schema = schema;
        Ok(compiled)
    }
}

impl From<JsonSchema> for Value {
    fn from(verifier: JsonSchema) -> Value {
        verifier.schema
    }
}

impl PartialEq for JsonSchema {
    fn eq(&self, other: &JsonSchema) -> bool {
        self.schema == other.schema
    }
}

impl Verify for JsonSchema {
    fn verify(&self, exchange: &Exchange<'_>) -> Result<Score, Error> {
        let document = serde_json::from_str::<Value>(json_text(exchange.response)).ok();
        let fits = document.as_ref().is_some_and(|document| self.fits(&self.schema, document, 0));
        let part = |name: &'static str, yes: bool| Part { name: name.into(), value: f64::from(u8::from(yes)) };
        let parts = vec![part("json", document.is_some()), part("schema", fits)];
        Ok(Score { value: parts[1].value, parts })
    }
}

impl JsonSchema {
    /// Whether a document fits.
    pub fn accepts(&self, document: &Value) -> bool {
        self.fits(&self.schema, document, 0)
    }

    /// Refuses what the subset does not know, anywhere in the schema, and compiles the patterns.
    fn inspect(&mut self, root: &Value, schema: &Value, place: &str, depth: usize) -> Result<(), Error> {
        let wrong = |problem: &str| Error::Schema { place: place.to_owned(), problem: problem.to_owned() };
        if depth > MAX_DEPTH {
            return Err(wrong("nested too deep"));
        }
        let keywords = match schema {
            Value::Bool(_) => return Ok(()),
            Value::Object(keywords) => keywords,
            _ => return Err(wrong("a schema is an object, true or false")),
        };
        for (keyword, value) in keywords {
            let place = format!("{place}/{keyword}");
            let wrong = |problem: &str| Error::Schema { place: place.clone(), problem: problem.to_owned() };
            match (keyword.as_str(), value) {
                ("properties" | "$defs" | "definitions", Value::Object(schemas)) => {
                    for (name, schema) in schemas {
                        self.inspect(root, schema, &format!("{place}/{name}"), depth + 1)?;
                    }
                }
                ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(schemas)) if !schemas.is_empty() => {
                    for (index, schema) in schemas.iter().enumerate() {
                        self.inspect(root, schema, &format!("{place}/{index}"), depth + 1)?;
                    }
                }
                ("items" | "additionalProperties" | "not", schema) => self.inspect(root, schema, &place, depth + 1)?,
                ("pattern", Value::String(text)) => {
                    let source = |source| Error::Pattern { pattern: text.clone(), source: Box::new(source) };
                    self.patterns.insert(text.clone(), Regex::new(text).map_err(source)?);
                }
                ("$ref", Value::String(target)) if resolve(root, target).is_some() => {}
                ("$ref", _) => return Err(wrong("no such place in this schema")),
                ("enum", Value::Array(_)) | ("const", _) | ("uniqueItems", Value::Bool(_)) => {}
                ("type", kinds) if one_or_more(kinds).iter().all(is_kind) => {}
                ("required", Value::Array(names)) if names.iter().all(Value::is_string) => {}
                (
                    "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties",
                    Value::Number(n),
                ) if n.is_u64() => {}
                ("minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum", Value::Number(_)) => {}
                ("multipleOf", Value::Number(n)) if n.as_f64().is_some_and(|n| n > 0.0) => {}
                (annotation, _) if ANNOTATIONS.contains(&annotation) => {}
                _ => return Err(wrong("unknown keyword, or a value it cannot have")),
            }
        }
        Ok(())
    }

    fn fits(&self, schema: &Value, document: &Value, depth: usize) -> bool {
        let keywords = match schema {
            Value::Bool(everything) => return *everything,
            Value::Object(keywords) if depth <= MAX_DEPTH => keywords,
            _ => return false,
        };
        let fits = |schema: &Value, document: &Value| self.fits(schema, document, depth + 1);
        keywords.iter().all(|(keyword, value)| match (keyword.as_str(), value) {
            ("$ref", Value::String(target)) => {
                resolve(&self.schema, target).is_some_and(|schema| fits(schema, document))
            }
            ("type", kinds) => one_or_more(kinds).iter().any(|kind| is_of_kind(document, kind)),
            ("enum", Value::Array(values)) => values.iter().any(|value| equal(value, document)),
            ("const", value) => equal(value, document),
            ("allOf", Value::Array(schemas)) => schemas.iter().all(|schema| fits(schema, document)),
            ("anyOf", Value::Array(schemas)) => schemas.iter().any(|schema| fits(schema, document)),
            ("oneOf", Value::Array(schemas)) => schemas.iter().filter(|schema| fits(schema, document)).count() == 1,
            ("not", schema) => !fits(schema, document),
            (keyword, value) => match document {
                Value::Object(members) => self.object_fits(keywords, keyword, value, members, depth),
                Value::Array(items) => self.array_fits(keywords, keyword, value, items, depth),
                Value::String(text) => self.text_fits(keyword, value, text),
                Value::Number(number) => number_fits(keyword, value, number.as_f64().unwrap_or(f64::NAN)),
                Value::Null | Value::Bool(_) => true,
            },
        })
    }

    fn object_fits(
        &self,
        keywords: &Map<String, Value>,
        keyword: &str,
        value: &Value,
        members: &Map<String, Value>,
        depth: usize,
    ) -> bool {
        let listed =
            |name: &String| keywords.get("properties").is_some_and(|properties| properties.get(name).is_some());
        match (keyword, value) {
            ("required", Value::Array(names)) => {
                names.iter().all(|name| name.as_str().is_some_and(|n| members.contains_key(n)))
            }
            ("properties", Value::Object(schemas)) => schemas
                .iter()
                .all(|(name, schema)| members.get(name).is_none_or(|member| self.fits(schema, member, depth + 1))),
            ("additionalProperties", schema) => {
                members.iter().all(|(name, member)| listed(name) || self.fits(schema, member, depth + 1))
            }
            ("minProperties" | "maxProperties", limit) => size_fits(keyword, limit, members.len()),
            _ => true,
        }
    }

    fn array_fits(
        &self,
        keywords: &Map<String, Value>,
        keyword: &str,
        value: &Value,
        items: &[Value],
        depth: usize,
    ) -> bool {
        match (keyword, value) {
            ("prefixItems", Value::Array(schemas)) => {
                schemas.iter().zip(items).all(|(schema, item)| self.fits(schema, item, depth + 1))
            }
            ("items", schema) => {
                let first = keywords.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
                items.iter().skip(first).all(|item| self.fits(schema, item, depth + 1))
            }
            ("minItems" | "maxItems", limit) => size_fits(keyword, limit, items.len()),
            ("uniqueItems", Value::Bool(true)) => {
                items.iter().enumerate().all(|(index, item)| !items[..index].iter().any(|earlier| equal(earlier, item)))
            }
            _ => true,
        }
    }

    fn text_fits(&self, keyword: &str, value: &Value, text: &str) -> bool {
        match (keyword, value) {
            ("minLength" | "maxLength", limit) => size_fits(keyword, limit, text.chars().count()),
            ("pattern", Value::String(pattern)) => self.patterns.get(pattern).is_some_and(|known| known.is_match(text)),
            _ => true,
        }
    }
}

fn number_fits(keyword: &str, limit: &Value, number: f64) -> bool {
    let Some(limit) = limit.as_f64() else { return true };
    match keyword {
        "minimum" => number >= limit,
        "maximum" => number <= limit,
        "exclusiveMinimum" => number > limit,
        "exclusiveMaximum" => number < limit,
        "multipleOf" => (number / limit - (number / limit).round()).abs() < 1e-9,
        _ => true,
    }
}

fn size_fits(keyword: &str, limit: &Value, size: usize) -> bool {
    let limit = limit.as_u64().unwrap_or(u64::MAX);
    if keyword.starts_with("min") { size as u64 >= limit } else { size as u64 <= limit }
}

/// Equality of JSON, in which 1 and 1.0 are one number.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(name, value): (&String, &Value)| right.get(name).is_some_and(|other| equal(value, other));
            left.len() == right.len() && left.iter().all(same)
        }
        _ => left == right,
    }
}

/// The place a reference such as `#/$defs/item` points to.
fn resolve<'a>(root: &'a Value, target: &str) -> Option<&'a Value> {
    root.pointer(target.strip_prefix('#')?)
}

fn one_or_more(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

fn is_kind(kind: &Value) -> bool {
    let known = ["null", "boolean", "object", "array", "string", "number", "integer"];
    kind.as_str().is_some_and(|kind| known.contains(&kind))
}

fn is_of_kind(document: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap_or_default() {
        "null" => document.is_null(),
        "boolean" => document.is_boolean(),
        "object" => document.is_object(),
        "array" => document.is_array(),
        "string" => document.is_string(),
        "number" => document.is_number(),
        "integer" => document.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reward::fixture::{record, respond};

    fn check(schema: Value, fit: &[Value], unfit: &[Value]) {
        let schema = JsonSchema::try_from(schema).unwrap();
        for document in fit {
            assert!(schema.accepts(document), "{document} fits {schema:?}");
        }
        for document in unfit {
            assert!(!schema.accepts(document), "{document} does not fit {schema:?}");
        }
    }

    #[test]
    fn kinds_values_and_combinations() {
        check(json!({"type": ["integer", "null"]}), &[json!(3), json!(3.0), json!(null)], &[json!(3.5), json!("3")]);
        check(json!({"enum": [1, "a", [2]]}), &[json!(1.0), json!("a"), json!([2.0])], &[json!(2), json!("A")]);
        check(json!({"const": {"a": 1}}), &[json!({"a": 1.0})], &[json!({"a": 1, "b": 2})]);
        let small = json!({"maximum": 3});
        let large = json!({"minimum": 2});
        check(json!({"allOf": [small, large]}), &[json!(2), json!("x")], &[json!(1), json!(4)]);
        check(json!({"anyOf": [{"const": 1}, {"const": 2}]}), &[json!(1), json!(2)], &[json!(3)]);
        check(json!({"oneOf": [{"maximum": 3}, {"minimum": 2}]}), &[json!(1), json!(4)], &[json!(2)]);
        check(json!({"not": {"type": "null"}}), &[json!(1)], &[json!(null)]);
        check(json!(false), &[], &[json!(1)]);
    }

    #[test]
    fn objects_arrays_texts_and_numbers() {
        let schema = json!({
            "type": "object", "title": "a person", "required": ["name"], "additionalProperties": false, "maxProperties": 2,
            "properties": {"name": {"type": "string", "minLength": 2, "maxLength": 3}, "age": {"exclusiveMinimum": 0}},
        });
        let unfit =
            [json!({}), json!({"name": "A"}), json!({"name": "Abcd"}), json!({"name": "Al", "x": 1}), json!([])];
        check(schema, &[json!({"name": "Al"}), json!({"name": "Éva", "age": 1})], &unfit);
        let schema = json!({
            "type": "array", "prefixItems": [{"type": "string"}], "items": {"multipleOf": 0.1}, "uniqueItems": true,
            "minItems": 2, "maxItems": 3,
        });
        let unfit = [json!(["a"]), json!([1, 2]), json!(["a", 0.25]), json!(["a", 1, 1.0]), json!(["a", 1, 2, 3])];
        check(schema, &[json!(["a", 0.3]), json!(["a", 1, 2])], &unfit);
        check(json!({"pattern": "^a+$"}), &[json!("aa"), json!(5)], &[json!("ab")]);
        let schema = json!({"additionalProperties": {"exclusiveMaximum": 2}, "minProperties": 1});
        check(schema, &[json!({"a": 1})], &[json!({"a": 2}), json!({})]);
    }

    #[test]
    fn references_may_be_recursive() {
        let tree = json!({"$ref": "#/$defs/node", "$defs": {"node": {
            "type": "object", "properties": {"child": {"$ref": "#/$defs/node"}}, "additionalProperties": false,
        }}});
        check(tree, &[json!({"child": {"child": {}}})], &[json!({"child": {"kid": {}}})]);
        // A schema that is only itself fits nothing, and says so in finite time.
        check(json!({"$ref": "#"}), &[], &[json!(1)]);
    }

    #[test]
    fn unknown_keywords_are_refused_with_their_place() {
        let message = |schema: Value| JsonSchema::try_from(schema).unwrap_err().to_string();
        let schema = json!({"properties": {"a": {"contains": {}}}});
        assert_eq!(
            message(schema),
            "JSON schema, `#/properties/a/contains`: unknown keyword, or a value it cannot have"
        );
        assert_eq!(message(json!({"$ref": "#/$defs/x"})), "JSON schema, `#/$ref`: no such place in this schema");
        assert_eq!(message(json!([])), "JSON schema, `#`: a schema is an object, true or false");
        assert_eq!(message(json!({"pattern": "("})), "cannot use the pattern `(`");
    }

    #[test]
    fn a_response_is_scored_by_its_document() {
        let record = record(json!({}));
        let verifier = JsonSchema::try_from(json!({"type": "object"})).unwrap();
        let score = |response: &str| verifier.verify(&respond(&record, response)).unwrap();
        assert_eq!(score("```json\n{}\n```").value, 1.0);
        assert_eq!(score("Here it is: {}").value, 0.0);
        let parts = |response: &str| score(response).parts.iter().map(|part| part.value).collect::<Vec<_>>();
        assert_eq!((parts("[]"), parts("{"), parts("{}")), (vec![1.0, 0.0], vec![0.0, 0.0], vec![1.0, 1.0]));
    }
}
