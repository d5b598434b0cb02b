//! Any bytes as the `tokenizer.json` of a sound model.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lm::Checkpoint;
use lm_fuzz::{scratch, use_tokenizer, write};

static MODEL: LazyLock<Checkpoint> = LazyLock::new(|| {
    let folder = include_bytes!("../seeds/safetensors/llama");
    let cut = folder.iter().position(|byte| *byte == 0).unwrap();
    write("config.json", &folder[..cut]);
    write("model.safetensors", &folder[cut + 1..]);
    Checkpoint::open(scratch()).expect("the seed is a sound model")
});

fuzz_target!(|bytes: &[u8]| {
    let model = &*MODEL;
    write("tokenizer.json", bytes);
    if let Ok(tokenizer) = model.tokenizer() {
        use_tokenizer(&tokenizer);
    }
});
