//! Any bytes as a GGUF file: an error or a model whose tensors can be asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lm::Checkpoint;
use lm_fuzz::{read_all, scratch, write};

fuzz_target!(|bytes: &[u8]| {
    write("model.gguf", bytes);
    if let Ok(checkpoint) = Checkpoint::open(&scratch().join("model.gguf")) {
        read_all(&checkpoint);
    }
});
