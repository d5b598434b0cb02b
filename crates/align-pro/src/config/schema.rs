//! The table of fields as a JSON Schema, for editors that complete and check TOML.

use std::ops::Bound;

use serde_json::{Map, Value, json};

use super::fields::{Absent, Field, Kind, ROOT};

/// The JSON Schema of a configuration.
pub(crate) fn schema() -> Value {
    let mut document = of_kind(&ROOT);
    document["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    document["title"] = json!("A run of align-pro");
    document
}

fn of_field(field: &Field) -> Value {
    let mut schema = of_kind(&field.kind);
    let about = match field.absent {
        Absent::Rule(rule) => format!("{} Default: {rule}.", field.about),
        Absent::Refused | Absent::Nothing | Absent::Value(_) => field.about.to_owned(),
    };
    schema["description"] = Value::String(about);
    if let Absent::Value(text) = field.absent
        && let Some(value) = text.parse::<toml::Value>().ok().and_then(|value| serde_json::to_value(value).ok())
    {
        schema["default"] = value;
    }
    schema
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Name | Kind::Path | Kind::Model => json!({"type": "string", "minLength": 1}),
        Kind::Whole(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Number(low, high) => of_number(*low, *high),
        Kind::Choice(names) => json!({"type": "string", "enum": names}),
        Kind::List(least, kind) => {
            json!({"type": "array", "items": of_kind(kind), "minItems": least, "uniqueItems": true})
        }
        Kind::Table(fields) => {
            let mut schema = of_table(fields);
            let refused = fields.iter().filter(|field| matches!(field.absent, Absent::Refused));
            schema["required"] = refused.map(|field| field.name).collect();
            schema
        }
        Kind::OneOf(fields) => {
            let mut schema = of_table(fields);
            schema["minProperties"] = json!(1);
            schema["maxProperties"] = json!(1);
            schema
        }
        Kind::SomeOf(fields) => {
            let mut schema = of_table(fields);
            schema["minProperties"] = json!(1);
            schema
        }
        Kind::Argv => json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
        Kind::Json => json!({}),
    }
}

fn of_table(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|field| (field.name.to_owned(), of_field(field))).collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn of_number(low: Bound<f64>, high: Bound<f64>) -> Value {
    let mut schema = json!({"type": "number"});
    match low {
        Bound::Included(least) => schema["minimum"] = json!(least),
        Bound::Excluded(limit) => schema["exclusiveMinimum"] = json!(limit),
        Bound::Unbounded => (),
    }
    match high {
        Bound::Included(most) => schema["maximum"] = json!(most),
        Bound::Excluded(limit) => schema["exclusiveMaximum"] = json!(limit),
        Bound::Unbounded => (),
    }
    schema
}
