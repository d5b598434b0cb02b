//! Every family's tiny model is written as a GGUF file, as llama.cpp's converter would, and read again.

use std::path::Path;

use super::*;
use crate::{Rotary, Window};

/// The converter's keys for everything in an architecture.
fn metadata(architecture: &Architecture, family: &str) -> Writer {
    let key = |name: &str| format!("{family}.{name}");
    let base = |rotary: &Rotary| {
        // The second frequency is base^(-2 / rotated).
        let rotated = 2 * rotary.frequencies.len();
        rotary.frequencies[1].powf(-(rotated as f32) / 2.0)
    };
    let mut writer = Writer::default()
        .text("general.architecture", family)
        .count(&key("block_count"), architecture.layers as u32)
        .count(&key("context_length"), architecture.context as u32)
        .count(&key("embedding_length"), architecture.hidden as u32)
        .count(&key("feed_forward_length"), architecture.feed_forward as u32)
        .count(&key("attention.head_count"), architecture.heads as u32)
        .count(&key("attention.head_count_kv"), architecture.kv_heads as u32)
        .count(&key("attention.key_length"), architecture.head_dim as u32)
        .count(&key("rope.dimension_count"), 2 * architecture.rotary.frequencies.len() as u32)
        .real(&key("rope.freq_base"), base(&architecture.rotary))
        .real(&key("attention.layer_norm_rms_epsilon"), architecture.norm_epsilon)
        .real(&key("attention.scale"), architecture.attention_scale);
    if let Some(cap) = architecture.logit_softcap {
        writer = writer.real(&key("final_logit_softcapping"), cap);
    }
    if let Some(Window { size, sliding, rotary }) = &architecture.window {
        let flags: Vec<Vec<u8>> = sliding.iter().map(|slides| vec![u8::from(*slides)]).collect();
        writer = writer.count(&key("attention.sliding_window"), *size as u32);
        writer = writer.list(&key("attention.sliding_window_pattern"), 7, &flags);
        writer = writer.real(&key("rope.freq_base_swa"), base(rotary));
    }
    writer
}

/// The model's tensors in the converter's form: fused for Phi-3, permuted for Llama.
fn with_tensors(mut writer: Writer, checkpoint: &Checkpoint) -> Writer {
    let architecture = checkpoint.architecture();
    let naming = Naming::gguf(architecture);
    let mut pending: BTreeMap<String, (Vec<usize>, Vec<f32>)> = BTreeMap::new();
    for id in checkpoint.required() {
        let place = naming.place(architecture, id).unwrap();
        let shape = place.file_shape(architecture, id);
        let mut values = checkpoint.tensor(id).unwrap().unwrap();
        if architecture.family == "llama" && place.restores_rotation() {
            let columns = shape.get(1).copied().unwrap_or(1);
            values.chunks_exact_mut(architecture.head_dim * columns).for_each(|head| interleave(head, columns));
        }
        // Parts of fused tensors come in the order of their rows.
        pending.entry(place.name).or_insert_with(|| (shape, Vec::new())).1.extend(values);
    }
    for (name, (shape, values)) in pending {
        let dimensions: Vec<u64> = shape.iter().rev().map(|size| *size as u64).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        writer = writer.tensor(&name, &dimensions, 0, &bytes);
    }
    writer
}

/// The converter's permutation: halves become interleaved pairs.
fn interleave(head: &mut [f32], columns: usize) {
    let halves = head.to_vec();
    let rows = halves.len() / columns;
    for row in 0..rows {
        let from = (row % 2) * rows / 2 + row / 2;
        head[row * columns..(row + 1) * columns].copy_from_slice(&halves[from * columns..(from + 1) * columns]);
    }
}

fn close(a: &Rotary, b: &Rotary) -> bool {
    let pairs = a.frequencies.iter().zip(&b.frequencies);
    a.frequencies.len() == b.frequencies.len() && pairs.clone().all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs())
}

#[test]
fn every_family_is_the_same_from_gguf() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/models");
    for (name, family) in
        [("llama", "llama"), ("qwen2", "qwen2"), ("qwen3", "qwen3"), ("gemma3", "gemma3"), ("phi3", "phi3")]
    {
        let folder = Checkpoint::open(&models.join(name)).unwrap();
        let expected = folder.architecture();
        let file = open(&with_tensors(metadata(expected, family), &folder)).unwrap();
        let found = file.architecture();
        assert!(close(&found.rotary, &expected.rotary), "{name}: {found:?}");
        if let (Some(a), Some(b)) = (&found.window, &expected.window) {
            assert!(close(&a.rotary, &b.rotary), "{name}: {found:?}");
        }
        let same_window = Option::zip(found.window.clone(), expected.window.clone())
            .map(|(found, expected)| Window { rotary: expected.rotary, ..found });
        assert_eq!(Architecture { rotary: expected.rotary.clone(), window: same_window, ..found.clone() }, *expected);
        for id in folder.required() {
            assert_eq!(file.tensor(id).unwrap(), folder.tensor(id).unwrap(), "{name}: {id:?}");
        }
    }
}

/// Stretched rotary embeddings, which GGUF stores as tensors of factors.
#[test]
fn rotary_factors_are_read_from_tensors() {
    let base = |pair: usize| 10_000f32.powf(-(pair as f32) / 2.0);
    let stretched = open(&tiny_llama().reals_tensor("rope_freqs.weight", &[1.0, 4.0])).unwrap();
    let frequencies = &stretched.architecture().rotary.frequencies;
    assert!((frequencies[0] - 1.0).abs() < 1e-6 && (frequencies[1] - base(1) / 4.0).abs() < 1e-8);
    assert!(refusal(&tiny_llama().reals_tensor("rope_freqs.weight", &[1.0])).contains("2 positive factors"));
    assert!(refusal(&tiny_llama().reals_tensor("rope_freqs.weight", &[1.0, f32::NAN])).contains("2 positive factors"));

    let long = tiny_llama()
        .reals_tensor("rope_factors_short.weight", &[1.0, 2.0])
        .count("llama.rope.scaling.original_context_length", 16);
    let architecture = open(&long).unwrap().architecture().clone();
    assert_eq!(architecture.context, 16);
    assert!((architecture.rotary.frequencies[1] - base(1) / 2.0).abs() < 1e-8);
    let magnitude = (1.0 + 4f64.ln() / 16f64.ln()).sqrt() as f32;
    assert!((architecture.rotary.magnitude - magnitude).abs() < 1e-6);

    let linear = tiny_llama().text("llama.rope.scaling.type", "linear").real("llama.rope.scaling.factor", 8.0);
    assert!((open(&linear).unwrap().architecture().rotary.frequencies[0] - 0.125).abs() < 1e-7);
    let yarn = tiny_llama().text("llama.rope.scaling.type", "yarn").real("llama.rope.scaling.factor", 8.0);
    assert!(refusal(&yarn).contains("rotary scaling of type `yarn`"));
}

/// What `config.json` may ask for that is not done, or must not be believed.
#[test]
fn configurations_that_cannot_be_run_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/models/llama");
    std::fs::copy(source.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(source.join("config.json")).unwrap()).unwrap();
    let refusal = |key: &str, value: serde_json::Value| {
        let mut config = config.clone();
        config[key] = value;
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        Checkpoint::open(folder.path()).unwrap_err().to_string()
    };
    use serde_json::json;
    assert!(refusal("model_type", json!("mamba")).ends_with("uses the model type `mamba`, which is not supported"));
    assert!(refusal("hidden_act", json!("relu")).contains("the activation `relu`"));
    assert!(refusal("rope_scaling", json!({"rope_type": "yarn", "factor": 2.0})).contains("type `yarn`"));
    assert!(refusal("rope_parameters", json!({"rope_type": "linear"})).contains("`factor` should be there"));
    assert!(refusal("quantization_config", json!({"bits": 4})).contains("quantised safetensors"));
    assert!(refusal("num_hidden_layers", json!(3)).contains("layers.2.input_layernorm.weight` is missing"));
    assert!(refusal("num_hidden_layers", json!(1)).contains("layers.1."));
    assert!(refusal("hidden_size", json!(-1)).contains("JSON cannot be understood"));
    assert!(refusal("hidden_size", serde_json::Value::Null).contains("`hidden_size` should be there, but is missing"));
    assert!(refusal("num_key_value_heads", json!(3)).contains("the 3 key/value heads must divide it"));
    assert!(refusal("num_attention_heads", json!(0)).contains("the number of heads is 0"));
    assert!(refusal("vocab_size", json!(1u64 << 60)).contains("the vocabulary is"));
    assert!(refusal("intermediate_size", json!(7)).contains("where the architecture needs [7, 32]"));
}

/// Folders whose weights are cut short, or whose index leads elsewhere.
#[test]
fn damaged_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/models/llama");
    std::fs::copy(source.join("config.json"), folder.path().join("config.json")).unwrap();
    let weights = std::fs::read(source.join("model.safetensors")).unwrap();
    let refusal = |bytes: &[u8]| {
        std::fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
        Checkpoint::open(folder.path()).unwrap_err().to_string()
    };
    assert!(refusal(&weights[..4]).contains("the header's length needs 8 bytes"));
    assert!(refusal(&weights[..100]).contains("the header needs"));
    assert!(refusal(&weights[..weights.len() - 1]).contains("has only"));
    assert!(refusal(&[&u64::MAX.to_le_bytes()[..], &weights[8..]].concat()).contains("the header needs"));
    assert!(refusal(&[&2u64.to_le_bytes()[..], b"{}"].concat()).contains("is missing"));
    assert!(refusal(&[&3u64.to_le_bytes()[..], b"{]}"].concat()).contains("JSON"));

    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    assert!(Checkpoint::open(folder.path()).unwrap_err().to_string().contains("it has no *.safetensors"));
    let index = r#"{"weight_map": {"a": "../model.safetensors"}}"#;
    std::fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    assert!(Checkpoint::open(folder.path()).unwrap_err().to_string().contains("file names in the same folder"));
}

/// Shards named by an index are one model.
#[test]
fn shards_are_one_model() {
    use safetensors::SafeTensors;
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/models/llama");
    std::fs::copy(source.join("config.json"), folder.path().join("config.json")).unwrap();
    let file = std::fs::read(source.join("model.safetensors")).unwrap();
    let all = SafeTensors::deserialize(&file).unwrap();
    let mut map = serde_json::Map::new();
    for (shard, part) in all.tensors().chunks(5).enumerate() {
        let name = format!("model-{shard}.safetensors");
        part.iter().for_each(|(tensor, _)| drop(map.insert(tensor.clone(), name.clone().into())));
        std::fs::write(folder.path().join(name), safetensors::serialize(part.to_vec(), None).unwrap()).unwrap();
    }
    let index = serde_json::json!({"metadata": {}, "weight_map": map}).to_string();
    std::fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    let (whole, sharded) = (Checkpoint::open(&source).unwrap(), Checkpoint::open(folder.path()).unwrap());
    for id in whole.required() {
        assert_eq!(whole.tensor(id).unwrap(), sharded.tensor(id).unwrap(), "{id:?}");
    }
    assert_eq!(whole.summary().parameters, sharded.summary().parameters);
}
