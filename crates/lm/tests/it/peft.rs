//! Adapters go out to PEFT's files and come in from them.

use std::path::{Path, PathBuf};

use lm::{Activation, Architecture, Error, Generator, Linear, Lora, LoraShape, PeftDetails, Rotary};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// The tiny model of `tools/golden/peft_folder.py`.
fn architecture() -> Architecture {
    Architecture {
        family: "llama".to_owned(),
        hidden: 12,
        layers: 2,
        heads: 3,
        kv_heads: 1,
        head_dim: 6,
        feed_forward: 20,
        vocabulary: 32,
        context: 64,
        norm_epsilon: 1e-6,
        activation: Activation::Silu,
        rotary: Rotary { frequencies: vec![1.0, 0.1, 0.01], magnitude: 1.0 },
        window: None,
        attention_scale: 0.4,
        embedding_scale: 1.0,
        logit_softcap: None,
        query_key_norm: false,
        post_norms: false,
        tied_head: false,
    }
}

fn random_lora(rank: usize, alpha: f32, targets: &[Linear], heads: usize) -> Lora {
    let mut lora = Lora::new(LoraShape::new(&architecture(), rank, alpha, targets, heads), 1);
    let mut generator = Generator::new(2);
    lora.parameters.fill_with(|| generator.symmetric(1.0) as f32);
    lora
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/peft")
}

/// scale · B A of every adapted map, under PEFT's names, as the checking script expects it.
fn write_deltas(lora: &Lora, path: &Path) {
    let mut tensors = Vec::new();
    for layer in 0..2 {
        for &linear in &lora.shape.targets {
            let (inputs, outputs) = lora.shape.dimensions(linear).unwrap();
            let delta: Vec<u8> = lora.delta(layer, linear).unwrap().iter().flat_map(|v| v.to_le_bytes()).collect();
            tensors.push((format!("model.layers.{layer}.{}", linear.path()), vec![outputs, inputs], delta));
        }
    }
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn a_folder_that_peft_wrote_means_the_same_here() {
    let (lora, details) = Lora::load_peft(&testdata(), &architecture()).unwrap();
    assert_eq!(lora.shape.targets, [Linear::Q, Linear::V, Linear::Down]);
    assert_eq!((lora.shape.rank, lora.shape.alpha, lora.shape.heads), (3, 6.0, 0));
    assert_eq!(details, PeftDetails { base_model: Some("tiny-random".to_owned()), dropout: 0.05 });

    let bytes = std::fs::read(testdata().join("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    for (name, view) in expected.tensors() {
        let place = (0..2).flat_map(|layer| Linear::ALL.map(|linear| (layer, linear)));
        let mut place = place.filter(|(layer, linear)| name == format!("model.layers.{layer}.{}", linear.path()));
        let (layer, linear) = place.next().unwrap();
        let delta = lora.delta(layer, linear).unwrap();
        for (ours, theirs) in delta.iter().zip(view.data().as_chunks().0) {
            let theirs = f32::from_le_bytes(*theirs);
            assert!((ours - theirs).abs() < 1e-5, "{name}: {ours}, not {theirs}");
        }
    }
    assert_eq!(expected.len(), 6);
}

/// The folder stays in the target folder's `tmp/peft`, for `tools/golden/peft_folder.py check`.
#[test]
fn saved_adapters_come_back_bit_for_bit() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peft");
    let details = PeftDetails { base_model: Some("tiny-random".to_owned()), dropout: 0.1 };
    for (targets, heads, alpha) in [(&[Linear::K, Linear::Up][..], 0, 2.5), (&[], 1, 8.0), (&Linear::ALL, 2, 8.0)] {
        let lora = random_lora(4, alpha, targets, heads);
        let _ = std::fs::remove_dir_all(&folder);
        lora.save_peft(&folder, &architecture(), &details).unwrap();
        let (back, back_details) = Lora::load_peft(&folder, &architecture()).unwrap();
        assert_eq!((back, &back_details), (lora.clone(), &details));
        write_deltas(&lora, &folder.join("expected.safetensors"));
    }
    let config = std::fs::read_to_string(folder.join("adapter_config.json")).unwrap();
    assert!(config.contains("\"lora_alpha\": 8,"), "{config}");
}

#[test]
fn a_sequence_classifiers_score_is_a_head_without_bias() {
    let folder = tempfile::tempdir().unwrap();
    let lora = random_lora(2, 2.0, &[Linear::Q], 0);
    lora.save_peft(folder.path(), &architecture(), &PeftDetails::default()).unwrap();
    let path = folder.path().join("adapter_model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let old = SafeTensors::deserialize(&bytes).unwrap();
    let score: Vec<u8> = (0..12u8).flat_map(|value| half::bf16::from_f32(f32::from(value)).to_le_bytes()).collect();
    let score = TensorView::new(Dtype::BF16, vec![1, 12], &score).unwrap();
    let score = ("base_model.model.score.weight".to_owned(), score);
    std::fs::write(&path, safetensors::serialize(old.tensors().into_iter().chain([score]), None).unwrap()).unwrap();

    let (back, _) = Lora::load_peft(folder.path(), &architecture()).unwrap();
    assert_eq!(back.shape.heads, 1);
    let head: Vec<f32> = (0..12).map(|value| value as f32).chain([0.0]).collect();
    assert_eq!(back.parameters[back.shape.head_weight().start..], head);
}

/// Change one setting of a sound folder; what loading it says.
fn load_with(setting: &str, value: serde_json::Value) -> Result<(Lora, PeftDetails), Error> {
    let folder = tempfile::tempdir().unwrap();
    random_lora(4, 8.0, &[Linear::Q], 0).save_peft(folder.path(), &architecture(), &PeftDetails::default()).unwrap();
    let path = folder.path().join("adapter_config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config[setting] = value;
    std::fs::write(&path, config.to_string()).unwrap();
    Lora::load_peft(folder.path(), &architecture())
}

#[test]
fn settings_that_mean_other_arithmetic_are_refused() {
    for setting in ["use_rslora", "use_dora", "fan_in_fan_out", "lora_bias"] {
        let error = load_with(setting, true.into()).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { feature, .. } if feature.contains(setting)), "{error}");
        assert!(load_with(setting, false.into()).is_ok());
    }
    for (setting, value) in [
        ("bias", "all".into()),
        ("peft_type", "IA3".into()),
        ("rank_pattern", serde_json::json!({"q_proj": 8})),
        ("layers_to_transform", serde_json::json!([1])),
        ("init_lora_weights", "pissa_niter_4".into()),
    ] {
        let error = load_with(setting, value).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { feature, .. } if feature.contains(setting)), "{error}");
    }
    assert!(load_with("init_lora_weights", "gaussian".into()).is_ok());
}

#[test]
fn damaged_folders_are_clear_errors() {
    let message = |setting, value: serde_json::Value| load_with(setting, value).unwrap_err().to_string();
    assert!(message("r", 0.into()).ends_with("`r` must be at least 1, not 0"));
    assert!(message("r", 5.into()).contains("has shape [4, 12], not [5, 12]"));
    assert!(message("r", u64::MAX.into()).contains("has shape [4, 12], not"));
    assert!(message("r", "many".into()).contains("adapter_config.json"));

    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Lora::load_peft(folder.path(), &architecture()), Err(Error::Read { .. })));
    random_lora(4, 8.0, &Linear::ALL, 1).save_peft(folder.path(), &architecture(), &PeftDetails::default()).unwrap();

    let shallow = Architecture { layers: 1, ..architecture() };
    let error = Lora::load_peft(folder.path(), &shallow).unwrap_err().to_string();
    assert!(error.ends_with("is for layer 1, of 1 layers"), "{error}");
    let deep = Architecture { layers: 3, ..architecture() };
    let error = Lora::load_peft(folder.path(), &deep).unwrap_err().to_string();
    assert!(error.ends_with("layers.2.self_attn.q_proj.lora_A.weight` is missing"), "{error}");
    let wide = Architecture { hidden: 18, ..architecture() };
    assert!(matches!(Lora::load_peft(folder.path(), &wide), Err(Error::Malformed { .. })));

    for file in ["adapter_model.safetensors", "heads.safetensors", "adapter_config.json"] {
        let path = folder.path().join(file);
        let bytes = std::fs::read(&path).unwrap();
        for length in [0, 7, 9, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let error = Lora::load_peft(folder.path(), &architecture()).unwrap_err();
            assert!(
                matches!(&error, Error::Malformed { path, .. } if path.ends_with(file)),
                "{file}, {length}: {error}"
            );
        }
        std::fs::write(&path, bytes).unwrap();
    }
    Lora::load_peft(folder.path(), &architecture()).unwrap();
}

#[test]
fn tensors_that_mean_something_else_are_named() {
    let folder = tempfile::tempdir().unwrap();
    random_lora(4, 8.0, &[Linear::Q], 0).save_peft(folder.path(), &architecture(), &PeftDetails::default()).unwrap();
    let path = folder.path().join("adapter_model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for (name, fault) in [
        ("base_model.model.lm_head.lora_A.weight", "which is not supported"),
        ("base_model.model.model.layers.0.self_attn.qkv_proj.lora_A.weight", "which is not supported"),
        ("base_model.model.model.layers.00.self_attn.q_proj.lora_A.weight", "which is not supported"),
        ("other.layers.0.self_attn.q_proj.lora_A.weight", "tensors of several models"),
    ] {
        let old = SafeTensors::deserialize(&bytes).unwrap();
        let extra = (name.to_owned(), TensorView::new(Dtype::F32, vec![4, 12], &[0; 192]).unwrap());
        std::fs::write(&path, safetensors::serialize(old.tensors().into_iter().chain([extra]), None).unwrap()).unwrap();
        let error = Lora::load_peft(folder.path(), &architecture()).unwrap_err().to_string();
        assert!(error.contains(fault), "{error}");
    }
}

#[test]
fn parts_of_phi3s_fused_matrices_cannot_leave() {
    let folder = tempfile::tempdir().unwrap();
    let phi = Architecture { family: "phi3".to_owned(), ..architecture() };
    let save = |targets: &[Linear]| {
        let lora = random_lora(4, 8.0, targets, 0);
        lora.save_peft(folder.path(), &phi, &PeftDetails::default())
    };
    assert!(matches!(save(&[Linear::Q, Linear::O]), Err(Error::Unsupported { .. })));
    save(&[Linear::O, Linear::Down]).unwrap();
}
