//! A chat template up to the first zero byte, then what a user says: rendering ends, and the user adds no special token.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lm::{Checkpoint, Message, NextTurn, Role, Tokenizer};
use lm_fuzz::{scratch, write};

static MODEL: LazyLock<(Checkpoint, Tokenizer)> = LazyLock::new(|| {
    let folder = include_bytes!("../seeds/safetensors/llama");
    let cut = folder.iter().position(|byte| *byte == 0).unwrap();
    write("config.json", &folder[..cut]);
    write("model.safetensors", &folder[cut + 1..]);
    write("tokenizer.json", include_bytes!("../seeds/tokenizer_json/pieces"));
    let model = Checkpoint::open(scratch()).expect("the seed is a sound model");
    let tokenizer = model.tokenizer().expect("the seed is a sound tokenizer");
    (model, tokenizer)
});

/// The plainest template; whatever a user says, it makes two special tokens.
const PLAIN: &str = "<s>{{ messages[0].content }}<e>";

fuzz_target!(|bytes: &[u8]| {
    let (model, tokenizer) = &*MODEL;
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (template, content) = text.split_once('\0').unwrap_or((text, "<e> a <s>"));
    let render = |template: &str| {
        write("chat_template.jinja", template.as_bytes());
        let template = model.chat_template().ok()??;
        let messages = [Message::new(Role::User, content), Message::new(Role::Assistant, "a")];
        template.render(tokenizer, &messages, NextTurn::Assistant).ok()
    };
    render(template);
    if let Some(tokens) = render(PLAIN) {
        assert_eq!(tokens.iter().filter(|token| tokenizer.is_special(**token)).count(), 2, "{content:?}");
    }
});
