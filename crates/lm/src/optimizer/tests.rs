use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Golden {
    trajectory: Trajectory,
    schedules: Vec<GoldenSchedule>,
}

#[derive(Deserialize)]
struct Trajectory {
    start: Vec<f32>,
    learning_rate: f64,
    settings: GoldenSettings,
    max_norm: f64,
    steps: Vec<GoldenStep>,
}

#[derive(Deserialize)]
struct GoldenSettings {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    weight_decay: f64,
}

#[derive(Deserialize)]
struct GoldenStep {
    gradient: Vec<f32>,
    norm: f64,
    parameters: Vec<f32>,
}

#[derive(Deserialize)]
struct GoldenSchedule {
    name: String,
    peak: f64,
    warmup: u64,
    total: u64,
    rates: Vec<f64>,
}

/// `testdata/golden/adamw.json`, written by `tools/golden/adamw.py`.
fn golden() -> Golden {
    serde_json::from_str(include_str!("../../testdata/golden/adamw.json")).unwrap()
}

fn settings() -> AdamWSettings {
    let GoldenSettings { beta1, beta2, epsilon, weight_decay } = golden().trajectory.settings;
    AdamWSettings { beta1, beta2, epsilon, weight_decay }
}

#[test]
fn twelve_clipped_steps_are_pytorchs() {
    let Trajectory { start, learning_rate, max_norm, steps, .. } = golden().trajectory;
    let mut parameters = start;
    let mut optimizer = AdamW::new(settings(), parameters.len());
    for (step, expected) in steps.into_iter().enumerate() {
        let mut gradient = expected.gradient;
        let norm = clip_by_global_norm(&mut gradient, max_norm).unwrap();
        assert!((norm / expected.norm - 1.0).abs() < 1e-6, "step {step}: norm {norm}, not {}", expected.norm);
        optimizer.step(&mut parameters, &gradient, learning_rate).unwrap();
        for (ours, theirs) in parameters.iter().zip(&expected.parameters) {
            assert!((ours - theirs).abs() <= 2.5e-7, "step {step}: {ours}, not {theirs}");
        }
    }
    assert_eq!(optimizer.steps(), 12);
}

#[test]
fn schedules_are_transformers() {
    for GoldenSchedule { name, peak, warmup, total, rates } in golden().schedules {
        let decay = match name.as_str() {
            "constant_with_warmup" => Decay::Constant,
            "linear" => Decay::Linear,
            "cosine" => Decay::Cosine,
            other => panic!("no such schedule: {other}"),
        };
        let schedule = Schedule { peak, warmup, total, decay };
        for (step, expected) in rates.into_iter().enumerate() {
            let rate = schedule.rate(step as u64);
            assert!((rate - expected).abs() < 1e-12, "{schedule:?}, step {step}: {rate}, not {expected}");
        }
        let end = if decay == Decay::Constant { peak } else { 0.0 };
        assert!((schedule.rate(total + 3) - end).abs() < 1e-12);
    }
}

#[test]
fn going_on_from_a_saved_state_equals_never_having_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimizer.safetensors");
    let Trajectory { start, learning_rate, steps, .. } = golden().trajectory;
    let (mut straight, mut stopped) = (start.clone(), start);
    let mut optimizer = AdamW::new(settings(), straight.len());
    for step in &steps {
        optimizer.step(&mut straight, &step.gradient, learning_rate).unwrap();
    }
    let mut before = AdamW::new(settings(), stopped.len());
    for step in &steps[..5] {
        before.step(&mut stopped, &step.gradient, learning_rate).unwrap();
    }
    before.save(&path).unwrap();
    let mut after = AdamW::load(&path, settings(), stopped.len()).unwrap();
    assert_eq!(after, before);
    for step in &steps[5..] {
        after.step(&mut stopped, &step.gradient, learning_rate).unwrap();
    }
    assert_eq!(stopped, straight);
    assert_eq!(after, optimizer);
    after.save(&path).unwrap();
    let first = std::fs::read(&path).unwrap();
    optimizer.save(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first);
}

#[test]
fn a_state_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimizer.safetensors");
    AdamW::new(AdamWSettings::default(), 3).save(&path).unwrap();
    let error = AdamW::load(&path, AdamWSettings::default(), 4).unwrap_err().to_string();
    assert!(error.ends_with("tensor `exp_avg` has shape [3], not [4]"), "{error}");

    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 7, 8, 40, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let error = AdamW::load(&path, AdamWSettings::default(), 3).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{length} bytes: {error}");
    }
    assert!(AdamW::new(AdamWSettings::default(), 3).step(&mut [0.0; 3], &[0.0; 2], 0.1).is_err());
}

#[test]
fn clipping_leaves_short_gradients_alone_and_reports_broken_ones() {
    let mut gradients = [0.3, -0.4];
    assert!((clip_by_global_norm(&mut gradients, 1.0).unwrap() - 0.5).abs() < 1e-7);
    assert_eq!(gradients, [0.3, -0.4]);

    let mut gradients = [3.0, -4.0];
    assert_eq!(clip_by_global_norm(&mut gradients, 1.0).unwrap(), 5.0);
    assert!((gradients[0] - 0.6).abs() < 1e-6 && (gradients[1] + 0.8).abs() < 1e-6);

    let mut huge = [f32::MAX; 4];
    assert!(clip_by_global_norm(&mut huge, 1.0).unwrap().is_finite(), "squares do not overflow");
    for broken in [f32::NAN, f32::INFINITY] {
        let mut gradients = [1.0, broken];
        assert!(matches!(clip_by_global_norm(&mut gradients, 1.0), Err(Error::NotFinite { .. })));
        assert_eq!(gradients[0], 1.0);
    }
}

#[test]
fn accumulated_gradients_are_their_sum() {
    let mut sum = LoraGradients::zeros(3);
    sum.add(&LoraGradients { flat: vec![1.0, 2.0, 3.0] }).unwrap();
    sum.add(&LoraGradients { flat: vec![0.5, -2.0, 1.0] }).unwrap();
    assert_eq!(sum.flat, [1.5, 0.0, 4.0]);
    assert!(sum.add(&LoraGradients { flat: vec![1.0] }).is_err());
}
