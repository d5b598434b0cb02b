mod families;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::*;
use crate::Generator;
use crate::chat::{Message, NextTurn, Role};
use crate::gguf::testing::{Writer, tiny_llama};
use crate::tokenizer::Framing;

fn write(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn open(writer: &Writer) -> Result<Checkpoint, Error> {
    Checkpoint::open(write(&writer.bytes()).path())
}

fn refusal(writer: &Writer) -> String {
    open(writer).unwrap_err().to_string()
}

fn layer(tensor: LayerTensor) -> TensorId {
    TensorId::Layer(0, tensor)
}

/// Everything a caller may ask of a file, whatever it holds: no panic, and all of it soon.
fn exercise(checkpoint: &Checkpoint) -> Result<(), Error> {
    for id in checkpoint.required() {
        let values = checkpoint.tensor(id)?;
        let place = checkpoint.naming.place(&checkpoint.architecture, id);
        assert!(values.is_some(), "{place:?} was there when the file was opened");
    }
    checkpoint.summary();
    checkpoint.stop_tokens();
    let tokenizer = checkpoint.tokenizer()?;
    let text = "abc <|im_end|> 123 é\n";
    let tokens = tokenizer.encode(text, Framing::Bare)?;
    assert!(tokens.iter().all(|token| (*token as usize) < tokenizer.vocabulary()));
    tokenizer.decode(&tokens);
    tokenizer.encode_markup(text)?;
    if let Some(template) = checkpoint.chat_template()? {
        template.render(&tokenizer, &[Message::new(Role::User, text)], NextTurn::Assistant)?;
    }
    Ok(())
}

#[test]
fn a_tiny_file_gives_everything() {
    let checkpoint = open(&tiny_llama()).unwrap();
    let architecture = checkpoint.architecture();
    assert_eq!((architecture.hidden, architecture.head_dim, architecture.vocabulary), (8, 4, 12));
    assert!(architecture.tied_head && checkpoint.tensor(TensorId::Head).unwrap().is_none());
    let rows = |values: Vec<f32>| values.iter().step_by(8).map(|value| value / 8.0).collect::<Vec<_>>();
    // Interleaved rotary pairs become halves, head by head.
    let query = checkpoint.tensor(layer(LayerTensor::Weight(Linear::Q))).unwrap().unwrap();
    assert_eq!(rows(query), [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
    let key = checkpoint.tensor(layer(LayerTensor::Weight(Linear::K))).unwrap().unwrap();
    assert_eq!(rows(key), [0.0, 2.0, 1.0, 3.0]);
    let value = checkpoint.tensor(layer(LayerTensor::Weight(Linear::V))).unwrap().unwrap();
    assert_eq!(rows(value), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(checkpoint.tensor(layer(LayerTensor::Bias(Linear::Q))).unwrap(), None);
    assert_eq!(checkpoint.tensor(layer(LayerTensor::QueryNorm)).unwrap(), None);
    assert_eq!(checkpoint.stop_tokens(), [1]);
    let summary = checkpoint.summary();
    assert_eq!(
        (summary.format, summary.name.as_deref(), summary.licence.as_deref()),
        ("GGUF", Some("Tiny"), Some("mit"))
    );
    assert_eq!((summary.storage["F32"].0, summary.parameters, summary.chat_template), (11, 696, true));
    exercise(&checkpoint).unwrap();
}

#[test]
fn biases_are_permuted_like_their_weights() {
    let checkpoint = open(&tiny_llama().counting("blk.0.attn_k.bias", &[4])).unwrap();
    let bias = checkpoint.tensor(layer(LayerTensor::Bias(Linear::K))).unwrap().unwrap();
    assert_eq!(bias, [0.0, 2.0, 1.0, 3.0]);
}

#[test]
fn a_folder_with_one_gguf_file_is_that_file() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Checkpoint::open(folder.path());
    assert!(open().unwrap_err().to_string().ends_with("but it holds neither"));
    std::fs::write(folder.path().join("a.gguf"), tiny_llama().bytes()).unwrap();
    assert_eq!(open().unwrap().path(), folder.path().join("a.gguf"));
    std::fs::write(folder.path().join("b.gguf"), "").unwrap();
    assert!(open().unwrap_err().to_string().ends_with("but it holds 2 GGUF files"));
}

#[test]
fn what_is_missing_wrong_or_not_understood_is_named() {
    let replaced = |key: &str, value: u32| {
        let mut bytes = tiny_llama().bytes();
        let place = bytes.windows(key.len()).position(|window| window == key.as_bytes()).unwrap() + key.len() + 4;
        bytes[place..place + 4].copy_from_slice(&value.to_le_bytes());
        Checkpoint::open(write(&bytes).path()).unwrap_err().to_string()
    };
    assert!(replaced("llama.block_count", 2).ends_with("the tensor `blk.1.attn_norm.weight` is missing"));
    assert!(
        replaced("llama.block_count", u32::MAX)
            .ends_with("the number of layers is 4294967295, but it must be from 1 to 4096")
    );
    assert!(
        replaced("llama.feed_forward_length", 15).contains("has shape [16, 8] where the architecture needs [15, 8]")
    );
    assert!(replaced("llama.attention.head_count_kv", 0).contains("the number of key/value heads is 0"));
    assert!(replaced("llama.embedding_length", 0).contains("the hidden size is 0"));
    assert!(refusal(&Writer::default()).ends_with("`general.architecture` should be there, but is missing"));
    let strange = Writer::default().text("general.architecture", "mamba");
    assert!(refusal(&strange).ends_with("uses the architecture `mamba`, which is not supported"));
    let extra = tiny_llama().counting("blk.0.attn_sinks.weight", &[2]);
    assert!(refusal(&extra).ends_with("uses the tensor `blk.0.attn_sinks.weight`, which is not supported"));
    let experts = tiny_llama().count("llama.expert_count", 8);
    assert!(refusal(&experts).contains("a mixture of experts"));
    assert!(matches!(Checkpoint::open(&PathBuf::from("/no/such/file")), Err(Error::Read { .. })));
}

/// Files cut short at every place, and files with random damage: an error or a model, never a panic, never slow.
#[test]
fn hostile_files_end_in_errors() {
    let good = tiny_llama().bytes();
    let mut generator = Generator::new(20);
    let mut draw = |below: usize| (generator.bits() % below as u64) as usize;
    let mut files: Vec<Vec<u8>> = (0..good.len()).step_by(7).map(|length| good[..length].to_vec()).collect();
    for round in 0..1500 {
        let mut bytes = good.clone();
        // Damage mostly the header; sometimes one byte, sometimes a field of plausible hostile values.
        for _ in 0..=round % 4 {
            let place = draw(if round % 5 == 0 { good.len() } else { 1500.min(good.len()) });
            match round % 3 {
                0 => bytes[place] ^= 1 << draw(8),
                1 => bytes[place] = [0, 1, 0x7F, 0x80, 0xFF][draw(5)],
                _ => {
                    let field = [u64::MAX, 1 << 63, 1 << 32, 0, (1 << 31) - 1][draw(5)].to_le_bytes();
                    let end = (place + 8).min(bytes.len());
                    bytes[place..end].copy_from_slice(&field[..end - place]);
                }
            }
        }
        files.push(bytes);
    }
    let (mut opened, mut refused) = (0, 0);
    for bytes in &files {
        let start = Instant::now();
        match Checkpoint::open(write(bytes).path()) {
            Ok(checkpoint) => {
                let _may_fail = exercise(&checkpoint);
                opened += 1;
            }
            Err(error) => {
                assert!(error.to_string().len() < 1000, "{error}");
                refused += 1;
            }
        }
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    println!("{opened} opened, {refused} refused");
    assert!(opened > 100 && refused > 300, "{opened} opened, {refused} refused");
}
