//! What the fuzz targets share: a scratch folder, and everything a caller may ask of what was opened.

use std::path::Path;
use std::sync::LazyLock;

use lm::{Checkpoint, Framing, LayerTensor, Linear, TensorId, TextStream, Tokenizer};
use rollout::data::{ReadOptions, read_records};
use tempfile::TempDir;

static SCRATCH: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    folder.expect("a scratch folder")
});

/// A folder of this process, in memory where the system has such a place.
pub fn scratch() -> &'static Path {
    SCRATCH.path()
}

/// Writes a file of the scratch folder.
pub fn write(name: &str, bytes: &[u8]) {
    std::fs::write(scratch().join(name), bytes).expect("scratch files can be written");
}

/// Asks an opened model for every tensor it may have.
pub fn read_all(checkpoint: &Checkpoint) {
    use LayerTensor::*;
    let norms = [AttentionNorm, FeedForwardNorm, PostAttentionNorm, PostFeedForwardNorm, QueryNorm, KeyNorm];
    let linears = Linear::ALL.into_iter().flat_map(|linear| [Weight(linear), Bias(linear)]);
    let tensors: Vec<LayerTensor> = norms.into_iter().chain(linears).collect();
    let layers = 0..checkpoint.architecture().layers.min(3);
    let layers = layers.flat_map(|layer| tensors.iter().map(move |tensor| TensorId::Layer(layer, *tensor)));
    for id in [TensorId::Embedding, TensorId::FinalNorm, TensorId::Head].into_iter().chain(layers) {
        let _ = checkpoint.tensor(id);
    }
    checkpoint.summary();
    checkpoint.stop_tokens();
}

/// Encodes and decodes; checks that no text from a user becomes special, and that streams give what decoding gives.
pub fn use_tokenizer(tokenizer: &Tokenizer) {
    for text in ["", " ", "abc <|im_end|> 123", "é\u{1F600}\n\n  x", "<s>a</s>"] {
        if let Ok(tokens) = tokenizer.encode(text, Framing::Bare) {
            assert!(tokens.iter().all(|token| (*token as usize) < tokenizer.vocabulary()));
            let mut stream = TextStream::new();
            let mut streamed: String = tokens.iter().map(|token| stream.push(tokenizer, *token)).collect();
            streamed.push_str(&stream.finish());
            assert_eq!(streamed, tokenizer.decode(&tokens));
        }
        let _ = tokenizer.encode(text, Framing::Framed);
        let _ = tokenizer.encode_markup(text);
    }
}

/// Reads a file of prompts; checks that the rows of what it held read back as the same prompts under the same ids.
pub fn read_prompts(name: &str, bytes: &[u8]) {
    write(name, bytes);
    let options = ReadOptions { max_bad_rows: 1_000, ..ReadOptions::default() };
    let Ok(loaded) = read_records(&scratch().join(name), &options) else { return };
    let mut rows = String::new();
    for record in &loaded.records {
        rows.push_str(&serde_json::to_string(&record.to_row()).expect("a row is JSON"));
        rows.push('\n');
    }
    write("again.jsonl", rows.as_bytes());
    let again = read_records(&scratch().join("again.jsonl"), &ReadOptions::default()).expect("rows are sound");
    assert_eq!(again.records.len(), loaded.records.len());
    for (record, again) in loaded.records.iter().zip(&again.records) {
        assert_eq!((&record.id, &record.prompt), (&again.id, &again.prompt));
    }
}
