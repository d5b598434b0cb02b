//! Writes small GGUF files for tests.

/// A GGUF file in the making.
#[derive(Clone, Default)]
pub(crate) struct Writer {
    pairs: Vec<Vec<u8>>,
    tensors: Vec<(String, Vec<u64>, u32, Vec<u8>)>,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

impl Writer {
    /// A pair whose value is given as it stands in the file, after the number of its type.
    pub(crate) fn raw(mut self, key: &str, kind: u32, value: &[u8]) -> Writer {
        self.pairs.push([&text(key), &kind.to_le_bytes()[..], value].concat());
        self
    }

    pub(crate) fn text(self, key: &str, value: &str) -> Writer {
        self.raw(key, 8, &text(value))
    }

    pub(crate) fn count(self, key: &str, value: u32) -> Writer {
        self.raw(key, 4, &value.to_le_bytes())
    }

    pub(crate) fn real(self, key: &str, value: f32) -> Writer {
        self.raw(key, 6, &value.to_le_bytes())
    }

    pub(crate) fn flag(self, key: &str, value: bool) -> Writer {
        self.raw(key, 7, &[u8::from(value)])
    }

    /// A list: type of its items, their number, the items.
    pub(crate) fn list(self, key: &str, kind: u32, items: &[Vec<u8>]) -> Writer {
        let head = [&kind.to_le_bytes()[..], &(items.len() as u64).to_le_bytes()].concat();
        self.raw(key, 9, &[head, items.concat()].concat())
    }

    pub(crate) fn texts(self, key: &str, values: &[&str]) -> Writer {
        self.list(key, 8, &values.iter().map(|value| text(value)).collect::<Vec<_>>())
    }

    pub(crate) fn integers(self, key: &str, values: &[i32]) -> Writer {
        self.list(key, 5, &values.iter().map(|value| value.to_le_bytes().to_vec()).collect::<Vec<_>>())
    }

    pub(crate) fn reals(self, key: &str, values: &[f32]) -> Writer {
        self.list(key, 6, &values.iter().map(|value| value.to_le_bytes().to_vec()).collect::<Vec<_>>())
    }

    /// A tensor, fastest dimension first, in a type given by its number.
    pub(crate) fn tensor(mut self, name: &str, dimensions: &[u64], kind: u32, data: &[u8]) -> Writer {
        self.tensors.push((name.to_owned(), dimensions.to_vec(), kind, data.to_vec()));
        self
    }

    /// A tensor of f32 values 0, 1, 2, ….
    pub(crate) fn counting(self, name: &str, dimensions: &[u64]) -> Writer {
        let length: u64 = dimensions.iter().product();
        let data: Vec<u8> = (0..length).flat_map(|value| (value as f32).to_le_bytes()).collect();
        self.tensor(name, dimensions, 0, &data)
    }

    /// A vector of f32 values.
    pub(crate) fn reals_tensor(self, name: &str, values: &[f32]) -> Writer {
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, &[values.len() as u64], 0, &data)
    }

    /// The file, version 3, aligned to 32 bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3u32.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.pairs.len() as u64).to_le_bytes());
        file.extend(self.pairs.concat());
        let mut data = Vec::new();
        for (name, dimensions, kind, bytes) in &self.tensors {
            file.extend(text(name));
            file.extend((dimensions.len() as u32).to_le_bytes());
            dimensions.iter().for_each(|size| file.extend(size.to_le_bytes()));
            file.extend(kind.to_le_bytes());
            file.extend((data.len() as u64).to_le_bytes());
            data.extend(bytes);
            data.resize(data.len().next_multiple_of(32), 0);
        }
        file.resize(file.len().next_multiple_of(32), 0);
        [file, data].concat()
    }
}

/// A llama model of one layer, hidden size 8, two heads of 4, one key/value head; its tensors count from 0.
pub(crate) fn tiny_llama() -> Writer {
    let model = Writer::default()
        .text("general.architecture", "llama")
        .text("general.name", "Tiny")
        .text("general.license", "mit")
        .count("llama.block_count", 1)
        .count("llama.context_length", 64)
        .count("llama.embedding_length", 8)
        .count("llama.feed_forward_length", 16)
        .count("llama.attention.head_count", 2)
        .count("llama.attention.head_count_kv", 1)
        .real("llama.attention.layer_norm_rms_epsilon", 1e-5);
    let layer = |name: &str| format!("blk.0.{name}.weight");
    tokenizer(model)
        .counting("token_embd.weight", &[8, TOKENS.len() as u64])
        .counting("output_norm.weight", &[8])
        .counting(&layer("attn_norm"), &[8])
        .counting(&layer("ffn_norm"), &[8])
        .counting(&layer("attn_q"), &[8, 8])
        .counting(&layer("attn_k"), &[8, 4])
        .counting(&layer("attn_v"), &[8, 4])
        .counting(&layer("attn_output"), &[8, 8])
        .counting(&layer("ffn_gate"), &[8, 16])
        .counting(&layer("ffn_up"), &[8, 16])
        .counting(&layer("ffn_down"), &[16, 8])
}

/// The vocabulary of [`tiny_llama`]: special tokens, some letters, two merges, a space.
pub(crate) const TOKENS: [&str; 12] =
    ["<|im_start|>", "<|im_end|>", "a", "b", "c", "<", "|", ">", "ab", "abc", "Ġ", "Ċ"];

fn tokenizer(writer: Writer) -> Writer {
    writer
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.ggml.pre", "gpt-2")
        .texts("tokenizer.ggml.tokens", &TOKENS)
        .integers("tokenizer.ggml.token_type", &[3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
        .texts("tokenizer.ggml.merges", &["a b", "ab c"])
        .count("tokenizer.ggml.bos_token_id", 0)
        .count("tokenizer.ggml.eos_token_id", 1)
        .flag("tokenizer.ggml.add_bos_token", true)
        .text("tokenizer.chat_template", "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}")
}

/// Writes a file and opens it.
pub(crate) fn open(bytes: &[u8]) -> Result<super::Gguf, crate::error::Fault> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    super::Gguf::open(file.path())
}
