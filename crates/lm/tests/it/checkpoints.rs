//! Model files of every architecture are read right: a plain forward pass over their tensors gives what transformers
//! gives.

use lm::{Checkpoint, Error, Lora};

use crate::golden::{Golden, TINY, Tensors, adapter, difference, model_folder, ragged_difference};
use crate::reference::{Reference, log_probability};

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(&model_folder(name)).unwrap()
}

fn narrow(rows: Vec<Vec<f64>>) -> Vec<f32> {
    rows.concat().into_iter().map(|value| value as f32).collect()
}

#[test]
fn every_architecture_gives_the_logits_of_transformers() {
    for name in TINY {
        let reference = Reference::load(&open(name), None);
        let tensors = Tensors::of(name);
        for (index, sequence) in Golden::read(name).sequences.iter().enumerate() {
            let logits = reference.logits(&sequence.tokens);
            let rows = sequence.tokens[1..].iter().zip(&logits);
            let logps: Vec<f32> = rows.map(|(&token, row)| log_probability(row, token, 1.0) as f32).collect();
            assert!(difference(&logps, &sequence.logps) < 1e-5, "{name}, sequence {index}");
            let off = difference(&narrow(logits), &tensors.get(&format!("logits.{index}")));
            assert!(off < 1e-5, "{name}, sequence {index}: logits are off by {off}");
        }
    }
}

#[test]
fn every_adapter_gives_the_log_probabilities_of_peft() {
    for name in TINY {
        let checkpoint = open(name);
        let golden = Golden::read(name);
        let lora = adapter(name, checkpoint.architecture(), false);
        let reference = Reference::load(&checkpoint, Some(&lora));
        let score = |prefix: &[u32], continuation: &[u32], temperature: f32| -> Vec<f32> {
            let logits = reference.logits(&[prefix, continuation].concat());
            let rows = continuation.iter().zip(&logits[prefix.len() - 1..]);
            rows.map(|(&token, row)| log_probability(row, token, f64::from(temperature)) as f32).collect()
        };
        for (temperature, expected) in
            [(1.0, &golden.adapter_logps), (golden.temperature, &golden.adapter_logps_tempered)]
        {
            let groups = golden.groups();
            let of_group = |group: &lm::Group| -> Vec<Vec<f32>> {
                group.continuations.iter().map(|tokens| score(&group.prefix, tokens, temperature)).collect()
            };
            let off = ragged_difference(&groups.iter().map(of_group).collect(), expected);
            assert!(off < 1e-5, "{name} at temperature {temperature}: off by {off}");
        }
    }
}

#[test]
fn both_spellings_of_a_configuration_mean_the_same() {
    for name in TINY {
        let hub = tempfile::tempdir().unwrap();
        std::fs::copy(model_folder(name).join("model.safetensors"), hub.path().join("model.safetensors")).unwrap();
        std::fs::copy(model_folder(name).join("config-hub.json"), hub.path().join("config.json")).unwrap();
        assert_eq!(Checkpoint::open(hub.path()).unwrap().architecture(), open(name).architecture(), "{name}");
    }
}

#[test]
fn a_gguf_file_with_every_simple_tensor_type_gives_the_logits_of_its_rounded_weights() {
    let checkpoint = Checkpoint::open(&model_folder("llama").join("model.gguf")).unwrap();
    let golden = Tensors::read(&model_folder("llama").join("golden-gguf.safetensors"));
    let logits = Reference::load(&checkpoint, None).logits(&golden.integers("tokens"));
    let off = difference(&narrow(logits), &golden.get("logits"));
    assert!(off < 1e-5, "logits are off by {off}");
}

/// PEFT puts one A on query, key and value together there; nothing here could train or save such an adapter.
#[test]
fn an_adapter_on_phi3s_fused_matrices_is_refused_by_name() {
    for name in ["phi3", "phi3-longrope"] {
        let error = Lora::load_peft(&model_folder(name).join("adapter-fused"), open(name).architecture()).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains("gate_up_proj"), "{error}");
    }
}
