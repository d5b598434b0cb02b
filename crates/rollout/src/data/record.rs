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
        let own = [("id".to_owned(), json!(self.id)), ("prompt".to_owned(), prompt)];
        own.into_iter().chain(self.fields.iter().map(|(name, value)| (name.clone(), value.clone()))).collect()
    }

    /// The error that a field is not what was expected, showing what is there.
    pub(crate) fn wrong_field(&self, field: &str, expected: &'static str) -> Error {
        let found = self.fields.get(field).map_or("nothing".to_owned(), |value| excerpt(&value.to_string()));
        Error::Field { record: self.id.clone(), field: field.to_owned(), expected, found }
    }
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
    fn the_last_message_is_the_one_to_rewrite() {
        let message = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
        let text = Prompt::Text("x".to_owned());
        assert_eq!((text.text(), text.with_text("y")), ("x", vec![message("user", "y")]));
        let conversation = Prompt::Messages(vec![message("system", "s"), message("user", "x")]);
        assert_eq!(conversation.text(), "x");
        assert_eq!(conversation.with_text("y"), [message("system", "s"), message("user", "y")]);
    }
}
