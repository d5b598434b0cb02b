//! One prompt and everything that came with it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Error;

/// A prompt with its id and the other fields of its row, which rewards may read.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Unique within its set; the row's `id` or `key`, or else its line number.
    pub id: String,
    /// The prompt.
    pub prompt: Prompt,
    /// Every other field of the row, as it was.
    pub fields: Map<String, Value>,
}

/// A prompt in one of the two forms of TRL's prompt-only type.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// Standard: text.
    Text(String),
    /// Conversational: messages, the last of which is the user's and is the one to rewrite.
    Messages(Vec<Message>),
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks: `system`, `user`, `assistant` or another role of the model's template.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Record {
    /// The record as a row that reads back as the same record.
    pub fn to_row(&self) -> Map<String, Value> {
        let prompt = match &self.prompt {
            Prompt::Text(text) => json!(text),
            Prompt::Messages(messages) => json!(messages),
        };
        let own = [("id".to_owned(), json!(self.id)), ("prompt".to_owned(), prompt.clone())];
        let fields = self.fields.iter().map(|(name, value)| (name.clone(), value.clone()));
        let mut row: Map<String, Value> = own.into_iter().chain(fields).collect();
        // A field of the row may have one of these names and not be what was read: an `id` that is a list, a `prompt`
        // beside the field that holds the prompt.
        row.insert("prompt".to_owned(), prompt);
        if id_of(&row).as_ref() != Some(&self.id) {
            row.insert("id".to_owned(), json!(self.id));
        }
        row
    }

    /// The error that a field is not what was expected, showing what is there.
    pub(crate) fn wrong_field(&self, field: &str, expected: &'static str) -> Error {
        let found = self.fields.get(field).map_or("nothing".to_owned(), |value| excerpt(&value.to_string()));
        Error::Field { record: self.id.clone(), field: field.to_owned(), expected, found }
    }
}

/// The id that a row gives itself.
pub(super) fn id_of(fields: &Map<String, Value>) -> Option<String> {
    ["id", "key"].iter().find_map(|name| match fields.get(*name) {
        Some(Value::String(id)) if !id.is_empty() => Some(id.clone()),
        Some(Value::Number(id)) => Some(id.to_string()),
        _ => None,
    })
}

/// At most 60 characters of a text that goes into a message.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Prompt {
    /// The text to rewrite: the whole prompt, or the last message.
    pub fn text(&self) -> &str {
        match self {
            Prompt::Text(text) => text,
            Prompt::Messages(messages) => messages.last().map_or("", |message| &message.content),
        }
    }

    /// The conversation in which `rewrite` stands for the text to rewrite.
    pub fn with_text(&self, rewrite: &str) -> Vec<Message> {
        let Prompt::Messages(messages) = self else {
            return vec![Message { role: "user".to_owned(), content: rewrite.to_owned() }];
        };
        let mut messages = messages.clone();
        if let Some(last) = messages.last_mut() {
            rewrite.clone_into(&mut last.content);
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_back_whatever_their_fields_are_called() {
        let record = |id: &str, fields: Value| {
            let Value::Object(fields) = fields else { panic!("not an object") };
            Record { id: id.to_owned(), prompt: Prompt::Text("x".to_owned()), fields }
        };
        let row = |id: &str, fields: Value| Value::Object(record(id, fields).to_row());
        assert_eq!(row("7", json!({"id": 7, "n": 1})), json!({"id": 7, "prompt": "x", "n": 1}));
        assert_eq!(row("line 2", json!({"id": [{}]})), json!({"id": "line 2", "prompt": "x"}));
        assert_eq!(row("k", json!({"key": "k", "prompt": 3})), json!({"id": "k", "key": "k", "prompt": "x"}));
    }

    #[test]
    fn the_last_message_is_the_one_to_rewrite() {
        let message = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
        let text = Prompt::Text("x".to_owned());
        assert_eq!((text.text(), text.with_text("y")), ("x", vec![message("user", "y")]));
        let conversation = Prompt::Messages(vec![message("system", "s"), message("user", "x")]);
        assert_eq!(conversation.text(), "x");
        assert_eq!(conversation.with_text("y"), [message("system", "s"), message("user", "y")]);
    }
}
