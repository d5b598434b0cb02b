//! A folder: `config.json` up to the first zero byte, then `model.safetensors`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lm::Checkpoint;
use lm_fuzz::{read_all, scratch, write};

fuzz_target!(|bytes: &[u8]| {
    let cut = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    write("config.json", &bytes[..cut]);
    write("model.safetensors", bytes.get(cut + 1..).unwrap_or_default());
    if let Ok(checkpoint) = Checkpoint::open(scratch()) {
        read_all(&checkpoint);
    }
});
