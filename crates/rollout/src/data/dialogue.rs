//! Dialogues that are one text, as Anthropic's HH-RLHF and its descendants write them.

use super::record::Message;

/// What a turn begins with, and whose it is.
const SPEAKERS: [(&str, &str); 2] = [("Human:", "user"), ("Assistant:", "assistant")];

/// The turns of a text that begins with `Human:` and whose later turns each begin a paragraph with `Human:` or
/// `Assistant:`. `None` for any other text. An assistant's turn that is empty and the last is left out: it is yet to come.
pub(super) fn turns(text: &str) -> Option<Vec<Message>> {
    let mut rest = text.trim_start();
    if !rest.starts_with(SPEAKERS[0].0) {
        return None;
    }
    let mut messages: Vec<Message> = Vec::new();
    while let Some((speaker, role)) = SPEAKERS.iter().find(|(speaker, _)| rest.starts_with(speaker)) {
        let said = &rest[speaker.len()..];
        let end = SPEAKERS.iter().filter_map(|(speaker, _)| said.find(&format!("\n\n{speaker}"))).min();
        let (content, after) = said.split_at(end.unwrap_or(said.len()));
        messages.push(Message { role: (*role).to_owned(), content: content.trim().to_owned() });
        rest = after.trim_start();
    }
    if messages.last().is_some_and(|last| last.role == "assistant" && last.content.is_empty()) {
        messages.pop();
    }
    Some(messages)
}

/// The turns of such a text that ends with the user's.
pub(crate) fn conversation(text: &str) -> Option<Vec<Message>> {
    turns(text).filter(|turns| turns.last().is_some_and(|last| last.role == "user"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<Vec<(String, String)>> {
        Some(turns(text)?.into_iter().map(|message| (message.role, message.content)).collect())
    }

    fn turn(role: &str, content: &str) -> (String, String) {
        (role.to_owned(), content.to_owned())
    }

    #[test]
    fn turns_are_paragraphs_with_a_speaker() {
        let text = "\n\nHuman: Why?\n\nAssistant: Because:\n\nof this.\n\nHuman: Human: no?\n\nAssistant:";
        let expected = [turn("user", "Why?"), turn("assistant", "Because:\n\nof this."), turn("user", "Human: no?")];
        assert_eq!(told(text).unwrap(), expected);
        assert_eq!(told("Human: hi").unwrap(), [turn("user", "hi")]);
        assert_eq!(told("Human:\n\nAssistant: ha").unwrap(), [turn("user", ""), turn("assistant", "ha")]);
    }

    #[test]
    fn other_texts_are_not_dialogues() {
        for text in ["Why?", "", "Assistant: hello\n\nHuman: hi", "The Human: a study"] {
            assert_eq!(told(text), None, "{text}");
        }
    }
}
