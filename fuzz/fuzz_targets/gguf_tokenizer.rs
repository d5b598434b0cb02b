//! The metadata of a GGUF file that is otherwise sound: one byte that counts pairs, then the pairs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lm::Checkpoint;
use lm_fuzz::{scratch, use_tokenizer, write};

/// A model of one layer without a tokenizer: its header's pairs and all that follows them.
const MODEL: &[u8] = include_bytes!("../seeds/bare.gguf");
/// Magic number, version, number of tensors, number of pairs.
const HEADER: usize = 24;
/// Where the bare file's list of tensors ends, and where their data begins.
const LIST_END: usize = 994;
const DATA: usize = 1024;

/// The bare model with more pairs put before its own; its tensors start at the next multiple of 32 bytes.
fn with_pairs(count: u8, pairs: &[u8]) -> Vec<u8> {
    let own = u64::from_le_bytes(MODEL[16..HEADER].try_into().unwrap());
    let mut file = MODEL[..16].to_vec();
    file.extend((own + u64::from(count)).to_le_bytes());
    file.extend(pairs);
    file.extend(&MODEL[HEADER..LIST_END]);
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend(&MODEL[DATA..]);
    file
}

fuzz_target!(|bytes: &[u8]| {
    let Some((count, pairs)) = bytes.split_first() else { return };
    write("tokenizer.gguf", &with_pairs(*count, pairs));
    if let Ok(checkpoint) = Checkpoint::open(&scratch().join("tokenizer.gguf")) {
        checkpoint.stop_tokens();
        if let Ok(tokenizer) = checkpoint.tokenizer() {
            use_tokenizer(&tokenizer);
        }
    }
});
