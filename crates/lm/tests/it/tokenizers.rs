//! Tokenizers and chat templates give the ids of the reference tokenizers.

use lm::{Checkpoint, Framing, Message, NextTurn, Role, Token};
use serde::Deserialize;

use crate::golden::{model_folder, read_json, testdata};
use crate::real_models::model;

#[derive(Deserialize)]
struct Golden {
    texts: Vec<Encoded>,
    #[serde(default)]
    conversations: Vec<Conversation>,
}

#[derive(Deserialize)]
struct Encoded {
    text: String,
    ids: Vec<Token>,
}

#[derive(Deserialize)]
struct Conversation {
    messages: Vec<SaidBy>,
    ids: Vec<Token>,
}

#[derive(Deserialize)]
struct SaidBy {
    role: String,
    content: String,
}

impl SaidBy {
    fn message(&self) -> Message {
        let role = match self.role.as_str() {
            "system" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            other => panic!("role {other}"),
        };
        Message::new(role, self.content.clone())
    }
}

/// Every text gives its ids, and the ids give back the text.
fn check_texts(checkpoint: &Checkpoint, golden: &Golden, lossy: &[&str]) {
    let tokenizer = checkpoint.tokenizer().unwrap();
    assert!(golden.texts.len() > 50);
    for Encoded { text, ids } in &golden.texts {
        assert_eq!(&tokenizer.encode(text, Framing::Bare).unwrap(), ids, "{text:?}");
        if !lossy.contains(&text.as_str()) {
            assert_eq!(&tokenizer.decode(ids), text);
        }
    }
}

#[test]
fn a_tiny_tokenizer_is_the_same_from_json_and_from_gguf() {
    let golden: Golden = read_json(&model_folder("llama").join("golden-tokenizer.json"));
    for path in [model_folder("llama"), model_folder("llama").join("model.gguf")] {
        check_texts(&Checkpoint::open(&path).unwrap(), &golden, &[]);
    }
}

#[test]
fn smollm2_gives_the_ids_of_the_tokenizers_library() {
    let Some(path) = model("smollm2-135m-instruct") else { return };
    let golden: Golden = read_json(&testdata().join("smollm2/tokenizer.json"));
    let checkpoint = Checkpoint::open(&path).unwrap();
    check_texts(&checkpoint, &golden, &[]);
    let (tokenizer, template) = (checkpoint.tokenizer().unwrap(), checkpoint.chat_template().unwrap().unwrap());
    for Conversation { messages, ids } in &golden.conversations {
        let messages: Vec<Message> = messages.iter().map(SaidBy::message).collect();
        assert_eq!(&template.render(&tokenizer, &messages, NextTurn::Assistant).unwrap(), ids, "{messages:?}");
    }
}

#[test]
fn gemma3_gives_the_ids_of_sentencepiece() {
    let Some(path) = model("gemma3-270m") else { return };
    let golden: Golden = read_json(&testdata().join("gemma3-270m/tokenizer.json"));
    // A text with U+2581 comes back with spaces, from sentencepiece too.
    check_texts(&Checkpoint::open(&path).unwrap(), &golden, &["▁under▁scores"]);
}
