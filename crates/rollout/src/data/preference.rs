//! Pairs of responses of which one was preferred.

use std::path::Path;

use serde_json::{Map, Value};

use super::dialogue;
use super::read::{Loaded, Place, ReadOptions, prompt_of, read_rows};
use super::record::{Message, Prompt, excerpt, id_of};
use crate::Error;

/// Two responses to one prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Preference {
    /// The row's `id` or `key`, or else its place.
    pub id: String,
    /// The prompt.
    pub prompt: Prompt,
    /// The response that was preferred.
    pub chosen: String,
    /// The other.
    pub rejected: String,
    /// By how much it should win, in log-odds: the row's `margin`, or 0.
    pub margin: f64,
}

/// Reads the pairs of a file in any format that prompts come in.
///
/// Each row has TRL's preference type: `prompt`, `chosen` and `rejected`, as texts or as messages; without `prompt`, both
/// responses begin with it. In CSV all three are texts. Texts that are dialogues in the manner of HH-RLHF (`Human: …`, `Assistant: …`) are read as
/// conversations.
pub fn read_preferences(path: &Path, options: &ReadOptions) -> Result<Loaded<Preference>, Error> {
    let texts = [options.prompt_field.as_str(), "chosen", "rejected"];
    // Several pairs about one prompt may share its id: only their places tell them apart.
    let preference =
        |row: Value, place: Place| Ok((place.to_string(), preference_of(row, place, &options.prompt_field)?));
    read_rows(path, (options, &texts), &preference)
}

fn preference_of(row: Value, place: Place, prompt_field: &str) -> Result<Preference, String> {
    let Value::Object(mut fields) = row else {
        return Err(format!("expected an object, found {}", excerpt(&row.to_string())));
    };
    let id = id_of(&fields).unwrap_or_else(|| place.to_string());
    let margin = margin(&fields)?;
    let mut take = |name: &str| fields.remove(name).ok_or_else(|| format!("no field `{name}`"));
    let (chosen, rejected) = (take("chosen")?, take("rejected")?);
    let (prompt, chosen, rejected) = match take(prompt_field) {
        Ok(prompt) => {
            let prompt = prompt_of(prompt).map_err(|problem| format!("field `{prompt_field}`: {problem}"))?;
            let prompt = match prompt {
                Prompt::Text(text) => dialogue::conversation(&text).map_or(Prompt::Text(text), Prompt::Messages),
                messages @ Prompt::Messages(_) => messages,
            };
            (prompt, response("chosen", chosen)?, response("rejected", rejected)?)
        }
        Err(_) => apart(whole("chosen", chosen)?, whole("rejected", rejected)?)?,
    };
    if prompt.text().trim().is_empty() {
        return Err(format!("field `{prompt_field}`: blank"));
    }
    if chosen == rejected {
        return Err("fields `chosen` and `rejected`: the same response".to_owned());
    }
    Ok(Preference { id, prompt, chosen, rejected, margin })
}

fn margin(fields: &Map<String, Value>) -> Result<f64, String> {
    match fields.get("margin") {
        None | Some(Value::Null) => Ok(0.0),
        // In CSV every cell is text.
        Some(Value::String(text)) if text.trim().is_empty() => Ok(0.0),
        Some(value) => match value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()) {
            Some(margin) if margin.is_finite() => Ok(margin),
            _ => Err(format!("field `margin`: expected a number, found {}", excerpt(&value.to_string()))),
        },
    }
}

/// A response: text, or one message.
fn response(field: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Array(_) => match messages(field, value)?.as_slice() {
            [only] => Ok(only.content.clone()),
            several => Err(format!("field `{field}`: expected one message, found {}", several.len())),
        },
        other => Err(format!("field `{field}`: expected text or a message, found {}", excerpt(&other.to_string()))),
    }
}

/// A conversation whose last turn is the response.
fn whole(field: &str, value: Value) -> Result<Vec<Message>, String> {
    match value {
        Value::String(text) => dialogue::turns(&text).ok_or_else(|| {
            format!(
                "field `{field}`: without a prompt beside it, the text must be a dialogue that begins with `Human:`"
            )
        }),
        other => messages(field, other),
    }
}

fn messages(field: &str, value: Value) -> Result<Vec<Message>, String> {
    serde_json::from_value(value).map_err(|error| format!("field `{field}`: {error}"))
}

/// Prompt and responses of two conversations that differ in their last turn alone.
fn apart(chosen: Vec<Message>, rejected: Vec<Message>) -> Result<(Prompt, String, String), String> {
    let ([prompt @ .., chosen], [other @ .., rejected]) = (chosen.as_slice(), rejected.as_slice()) else {
        return Err("fields `chosen` and `rejected`: no messages".to_owned());
    };
    if prompt != other || prompt.last().is_none_or(|last| last.role != "user") {
        let problem = "must be one conversation up to the user's last turn, and differ in the answer to it";
        return Err(format!("fields `chosen` and `rejected`: {problem}"));
    }
    Ok((Prompt::Messages(prompt.to_vec()), chosen.content.clone(), rejected.content.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(row: Value) -> Result<Preference, String> {
        preference_of(row, Place::Line(3), "prompt")
    }

    fn message(role: &str, content: &str) -> Message {
        Message { role: role.to_owned(), content: content.to_owned() }
    }

    #[test]
    fn a_pair_comes_in_every_form_of_the_preference_type() {
        let texts = read(json!({"prompt": "Why?", "chosen": "a", "rejected": "b", "margin": 0.5})).unwrap();
        assert_eq!((texts.id.as_str(), texts.chosen.as_str(), texts.margin), ("line 3", "a", 0.5));
        let user = json!({"role": "user", "content": "Why?"});
        let says = |text: &str| json!({"role": "assistant", "content": text});
        let explicit = json!({"prompt": [user], "chosen": [says("a")], "rejected": [says("b")]});
        let implicit = json!({"chosen": [user, says("a")], "rejected": [user, says("b")]});
        let dialogue = json!({
            "chosen": "\n\nHuman: Why?\n\nAssistant: a", "rejected": "\n\nHuman: Why?\n\nAssistant: b",
        });
        let beside = json!({"prompt": "Human: Why?", "chosen": "a", "rejected": "b"});
        for row in [explicit, implicit, dialogue, beside] {
            let pair = read(row.clone()).unwrap();
            assert_eq!(pair.prompt, Prompt::Messages(vec![message("user", "Why?")]), "{row}");
            assert_eq!((pair.chosen.as_str(), pair.rejected.as_str()), ("a", "b"), "{row}");
        }
    }

    #[test]
    fn cells_of_a_table_are_texts_and_pairs_may_share_an_id() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.csv");
        let table = "id,prompt,chosen,rejected,margin\n1,Count.,\"[1, 2]\",{},0.5\n1,Count.,b,c,\n";
        std::fs::write(&path, table).unwrap();
        let pairs = read_preferences(&path, &ReadOptions::default()).unwrap().records;
        let told: Vec<(&str, &str, f64)> =
            pairs.iter().map(|pair| (pair.chosen.as_str(), pair.rejected.as_str(), pair.margin)).collect();
        assert_eq!(told, [("[1, 2]", "{}", 0.5), ("b", "c", 0.0)]);
    }

    #[test]
    fn what_is_no_pair_is_told() {
        let problem = |row: Value| read(row).unwrap_err();
        assert_eq!(problem(json!({"prompt": "x", "rejected": "b"})), "no field `chosen`");
        let same = json!({"prompt": "x", "chosen": "b", "rejected": "b"});
        assert_eq!(problem(same), "fields `chosen` and `rejected`: the same response");
        let text = problem(json!({"chosen": "a", "rejected": "b"}));
        assert!(text.contains("without a prompt beside it"), "{text}");
        assert!(problem(json!({"prompt": "x", "chosen": 3, "rejected": "b"})).contains("expected text"));
        assert!(problem(json!({"prompt": "x", "chosen": "a", "rejected": "b", "margin": "wide"})).contains("`margin`"));
        let other = json!({"chosen": "Human: a\n\nAssistant: b", "rejected": "Human: c\n\nAssistant: d"});
        assert!(problem(other).contains("one conversation"));
        assert_eq!(problem(json!([1])), "expected an object, found [1]");
    }
}
