//! What must not matter does not: company in a batch, sharing, micro-batches, memory, threads, interruptions.

use std::num::NonZeroUsize;

use lm::{
    AdamW, AdamWSettings, CpuEngine, Engine, EngineOptions, Finish, Group, Lora, LoraGradients, PeftDetails, Precision,
    Request, Sample, Sampling, Scores, Upstream,
};

use crate::engines::{at, differentiate, exact, group, load, options, request, score, upstream};
use crate::golden::{Golden, Ragged, TINY, adapter, ragged_difference, relative_difference};

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];

fn alone(engine: &mut CpuEngine, groups: &[Group], adapter: &Lora) -> Ragged {
    groups.iter().flat_map(|each| score(engine, std::slice::from_ref(each), Some(adapter)).token_logps).collect()
}

#[test]
fn order_and_company_do_not_change_a_bit_of_a_score() {
    for name in TINY {
        for precision in PRECISIONS {
            let mut engine = load(name, options(precision));
            let lora = adapter(name, engine.architecture(), true);
            let mut groups = Golden::read(name).groups();
            let Scores { token_logps, values } = score(&mut engine, &groups, Some(&lora));
            assert_eq!(token_logps, alone(&mut engine, &groups, &lora), "{name} {precision:?}: company");
            groups.reverse();
            groups.iter_mut().for_each(|group| group.continuations.reverse());
            let mut back = score(&mut engine, &groups, Some(&lora));
            for nested in [Some(&mut back.token_logps), back.values.as_mut()].into_iter().flatten() {
                nested.reverse();
                nested.iter_mut().for_each(|group| group.reverse());
            }
            assert_eq!(Scores { token_logps, values }, back, "{name} {precision:?}: order");
        }
    }
}

#[test]
fn where_the_prefix_ends_does_not_matter() {
    for name in TINY {
        let mut engine = exact(name);
        let lora = adapter(name, engine.architecture(), false);
        let golden = Golden::read(name);
        let shared = score(&mut engine, &golden.groups(), Some(&lora)).token_logps;
        let separate: Vec<Group> = golden.groups().iter().flat_map(unshared).collect();
        let found = score(&mut engine, &separate, Some(&lora)).token_logps.concat();
        assert_eq!(found, shared.concat(), "{name}");

        let whole = &golden.groups()[1];
        let tokens = [&whole.prefix[..], &whole.continuations[2]].concat();
        for cut in [1, 6, 13, 19] {
            let (prefix, rest) = tokens.split_at(cut);
            let logps = score(&mut engine, &[group(prefix, &[rest.to_vec()])], Some(&lora)).token_logps;
            let common = logps[0][0].len().min(8);
            let (found, expected) = (&logps[0][0][logps[0][0].len() - common..], &shared[1][2][8 - common..]);
            let off = crate::golden::difference(found, expected);
            assert!(off < 1e-5, "{name}: prefix of {cut}: off by {off}");
        }
    }
}

/// The same sequences with a prefix each.
fn unshared(group: &Group) -> Vec<Group> {
    let each = |tokens: &Vec<u32>| crate::engines::group(&group.prefix, std::slice::from_ref(tokens));
    group.continuations.iter().map(each).collect()
}

#[test]
fn gradients_do_not_depend_on_sharing_or_micro_batches() {
    for name in TINY {
        let mut engine = exact(name);
        let lora = adapter(name, engine.architecture(), false);
        let golden = Golden::read(name);
        let groups = golden.groups();
        let (_, whole) = differentiate(&mut engine, &groups, &lora, &upstream(&golden.d_logps), 1.0);

        let separate: Vec<Group> = groups.iter().flat_map(unshared).collect();
        let weights: Ragged = golden.d_logps.iter().flatten().map(|line| vec![line.clone()]).collect();
        let (_, unshared) = differentiate(&mut engine, &separate, &lora, &upstream(&weights), 1.0);
        assert!(relative_difference(&unshared, &whole) < 1e-5, "{name}: sharing");

        let mut sum = LoraGradients::zeros(lora.parameters.len());
        for (group, weights) in groups.iter().zip(&golden.d_logps) {
            let upstream = upstream(&vec![weights.clone()]);
            let (_, flat) = differentiate(&mut engine, std::slice::from_ref(group), &lora, &upstream, 1.0);
            sum.add(&LoraGradients { flat }).unwrap();
        }
        assert!(relative_difference(&sum.flat, &whole) < 1e-5, "{name}: micro-batches");
    }
}

#[test]
fn what_the_tape_keeps_does_not_change_gradients() {
    for name in TINY {
        let golden = Golden::read(name);
        let gradient = |tape_budget: usize| {
            let mut engine = load(name, EngineOptions { tape_budget, ..options(Precision::F32) });
            let lora = adapter(name, engine.architecture(), false);
            differentiate(&mut engine, &golden.groups(), &lora, &upstream(&golden.d_logps), 1.0)
        };
        let tokens = |group: &Group| group.prefix.len() + group.continuations.iter().map(Vec::len).sum::<usize>();
        let rows: usize = golden.groups().iter().map(tokens).sum();
        let architecture = load(name, options(Precision::F32)).architecture().clone();
        let whole = rows * lm::tape_bytes_per_token(&architecture, Precision::F32);
        let all = gradient(whole);
        for budget in [0, whole / 2, whole - 1] {
            assert_eq!(gradient(budget), all, "{name}: {budget} of {whole} bytes");
        }
    }
}

#[test]
fn threads_do_not_matter_beyond_rounding_and_repetition_not_at_all() {
    for name in ["llama", "gemma3"] {
        let golden = Golden::read(name);
        let run = |threads: usize| {
            let options = EngineOptions { threads: NonZeroUsize::new(threads), ..options(Precision::F32) };
            let mut engine = load(name, options);
            let lora = adapter(name, engine.architecture(), true);
            let d_values = golden.d_values.iter().map(|g| g.iter().map(|states| states.concat()).collect()).collect();
            let upstream = Upstream { d_token_logps: golden.d_logps.clone(), d_values: Some(d_values) };
            let first = differentiate(&mut engine, &golden.groups(), &lora, &upstream, 1.0);
            let again = differentiate(&mut engine, &golden.groups(), &lora, &upstream, 1.0);
            assert_eq!(first, again, "{name}: the second run differs");
            first
        };
        let (one, two) = (run(1), run(2));
        assert!(ragged_difference(&one.0.token_logps, &two.0.token_logps) < 1e-5, "{name}");
        assert!(relative_difference(&one.1, &two.1) < 1e-5, "{name}");
    }
}

fn samplings() -> [Sampling; 4] {
    let cut = |top_k, top_p, min_p| Sampling::Random { temperature: 0.8, top_k, top_p, min_p };
    [Sampling::Greedy, Sampling::at_temperature(1.0), Sampling::at_temperature(0.7), cut(Some(20), 0.9, 0.02)]
}

fn requests(name: &str) -> Vec<Request> {
    let prompts = Golden::read(name).sequences;
    let seeds = [[1, 2, 3].as_slice(), &[1], &[7, 8], &[9]];
    let each = prompts.iter().zip(seeds).zip(samplings()).zip([3, 12, 1, 9]);
    each.map(|(((prompt, seeds), sampling), length)| request(&prompt.tokens, seeds, sampling, length)).collect()
}

#[test]
fn a_sample_does_not_depend_on_its_company() {
    for name in TINY {
        for precision in PRECISIONS {
            let mut engine = load(name, options(precision));
            let lora = adapter(name, engine.architecture(), false);
            let requests = requests(name);
            let together = engine.generate(&requests, Some(&lora)).unwrap();
            for (request, samples) in requests.iter().zip(&together) {
                assert_eq!(samples.len(), request.seeds.len());
                for (&seed, sample) in request.seeds.iter().zip(samples) {
                    let single = Request { seeds: vec![seed], ..request.clone() };
                    let alone = engine.generate(&[single], Some(&lora)).unwrap();
                    assert_eq!(&alone[0][0], sample, "{name} {precision:?}, seed {seed}");
                    assert_eq!((sample.tokens.len(), sample.finish), (request.max_tokens, Finish::Length));
                }
            }
        }
    }
}

/// More samples than an engine decodes side by side, ending at different times, and the same prompt twice.
#[test]
fn places_are_taken_over_without_a_trace() {
    let mut engine = exact("llama");
    let prompt = [5, 9, 200, 31];
    let many: Vec<u64> = (0..150).collect();
    let mut crowd = request(&prompt, &many, Sampling::at_temperature(1.0), 10);
    crowd.stop_tokens = (100..140).collect();
    let samples = engine.generate(&[crowd.clone(), crowd.clone()], None).unwrap();
    assert_eq!(samples[0], samples[1]);
    assert!(samples[0].iter().any(|sample| sample.finish == Finish::StopToken && sample.tokens.len() < 10));
    for &seed in many.iter().step_by(13) {
        let alone = engine.generate(&[Request { seeds: vec![seed], ..crowd.clone() }], None).unwrap();
        assert_eq!(alone[0][0], samples[0][seed as usize], "seed {seed}");
        let ends = alone[0][0].tokens.iter().position(|token| crowd.stop_tokens.contains(token));
        assert!(ends.is_none_or(|place| place + 1 == alone[0][0].tokens.len()));
    }
}

/// What a sample reads after the shared prompt counts as prompt, and nobody else's tail matters.
#[test]
fn tails_are_read_like_prompts() {
    for name in TINY {
        for precision in PRECISIONS {
            let mut engine = load(name, options(precision));
            let lora = adapter(name, engine.architecture(), false);
            let (prompt, tails) = ([5, 9, 20, 31, 7], [vec![8], vec![], vec![3, 4, 5, 6], vec![8]]);
            let seeds = [1, 2, 3, 4];
            let shared =
                Request { tails: tails.to_vec(), ..request(&prompt, &seeds, Sampling::at_temperature(0.9), 9) };
            let together = engine.generate(std::slice::from_ref(&shared), Some(&lora)).unwrap().remove(0);
            for ((tail, seed), sample) in tails.iter().zip(seeds).zip(&together) {
                let single = Request { tails: vec![tail.clone()], seeds: vec![seed], ..shared.clone() };
                assert_eq!(&engine.generate(&[single], Some(&lora)).unwrap()[0][0], sample, "{name} {precision:?}");

                let scores = engine.score(
                    &[group(&[&prompt[..], tail].concat(), std::slice::from_ref(&sample.tokens))],
                    Some(&lora),
                    &at(1.0),
                );
                let scored = &scores.unwrap().token_logps[0][0];
                let furthest = scored.iter().zip(&sample.plain_token_logps).map(|(one, other)| (one - other).abs());
                // The same numbers, summed with the border between the segments elsewhere.
                let tolerance = if precision == Precision::F32 { 1e-5 } else { 0.1 };
                assert!(furthest.fold(0.0, f32::max) < tolerance, "{name} {precision:?}");
            }
        }
    }
}

#[test]
fn sampling_and_scoring_agree_to_the_bit() {
    for name in TINY {
        for precision in PRECISIONS {
            let mut engine = load(name, options(precision));
            let lora = adapter(name, engine.architecture(), false);
            for adapter in [None, Some(&lora)] {
                let requests = requests(name);
                let samples = engine.generate(&requests, adapter).unwrap();
                for (request, samples) in requests.iter().zip(&samples) {
                    let tokens: Vec<Vec<u32>> = samples.iter().map(|sample| sample.tokens.clone()).collect();
                    let groups = [group(&request.prompt, &tokens)];
                    let plain: Vec<Vec<f32>> = samples.iter().map(|sample| sample.plain_token_logps.clone()).collect();
                    let scored = engine.score(&groups, adapter, &at(1.0)).unwrap().token_logps;
                    assert_eq!(scored[0], plain, "{name} {precision:?} {:?}", request.sampling);
                    check_tempered(&mut engine, request, &groups, samples, adapter);
                }
            }
        }
    }
}

/// A tape of recorded samples is the tape of scoring them anew: whole, in parts, in another order, of other adapters and texts.
#[test]
fn recorded_samples_give_the_same_scores_and_gradients() {
    for name in TINY {
        for precision in [Precision::F32, Precision::Bf16] {
            let (mut recording, mut fresh) = (load(name, options(precision)), load(name, options(precision)));
            let lora = adapter(name, fresh.architecture(), false);
            let mut requests = requests(name);
            requests[1].seeds = (0..70).collect();
            requests[1].stop_tokens = (0..60).collect();
            let samples = recording.generate_recorded(&requests, &lora).unwrap();
            assert_eq!(samples, fresh.generate(&requests, Some(&lora)).unwrap());
            let tokens = |samples: &Vec<Sample>| samples.iter().map(|sample| sample.tokens.clone()).collect::<Vec<_>>();
            let sampled: Vec<Group> =
                requests.iter().zip(&samples).map(|(request, each)| group(&request.prompt, &tokens(each))).collect();
            let part = [group(&sampled[2].prefix, &[]), group(&sampled[1].prefix, &sampled[1].continuations[3..7])];
            let mut backwards = sampled.clone();
            backwards.reverse();
            backwards.iter_mut().for_each(|group| group.continuations.reverse());
            let mut foreign = sampled.clone();
            foreign[0].continuations[0].push(3);
            let other = Lora { parameters: lora.parameters.iter().map(|value| value * 0.5).collect(), ..lora.clone() };
            let cases = [
                (&sampled, &lora),
                (&part.to_vec(), &lora),
                (&backwards, &lora),
                (&sampled, &other),
                (&foreign, &lora),
                (&sampled, &lora),
            ];
            for (case, (groups, lora)) in cases.into_iter().enumerate() {
                let weigh = |line: &Vec<u32>| (0..line.len()).map(|place| 0.3 - 0.2 * place as f32).collect();
                let weigh = |group: &Group| group.continuations.iter().map(weigh).collect();
                let upstream = upstream(&groups.iter().map(weigh).collect());
                let expected = differentiate(&mut fresh, groups, lora, &upstream, 0.7);
                let found = differentiate(&mut recording, groups, lora, &upstream, 0.7);
                assert_eq!(found, expected, "{name} {precision:?}: case {case}");
            }
        }
    }
}

/// Where nothing is cut off, the distribution drawn from is the tempered softmax itself.
fn check_tempered(
    engine: &mut CpuEngine,
    request: &Request,
    groups: &[Group],
    samples: &[Sample],
    adapter: Option<&Lora>,
) {
    let Sampling::Random { temperature, top_k: None, top_p: 1.0, .. } = request.sampling else { return };
    let drawn: Vec<Vec<f32>> = samples.iter().map(|sample| sample.token_logps.clone()).collect();
    assert_eq!(engine.score(groups, adapter, &at(temperature)).unwrap().token_logps[0], drawn);
}

#[test]
fn greedy_takes_the_most_likely_token() {
    let mut engine = exact("llama");
    let sample = engine.generate(&[request(&[4, 8], &[0], Sampling::Greedy, 6)], None).unwrap().remove(0).remove(0);
    let every_token: Vec<Vec<u32>> = (0..engine.architecture().vocabulary as u32).map(|token| vec![token]).collect();
    for (index, &token) in sample.tokens.iter().enumerate() {
        let prefix = [&[4, 8], &sample.tokens[..index]].concat();
        let logps = score(&mut engine, &[group(&prefix, &every_token)], None).token_logps[0].concat();
        assert!(logps.iter().all(|logp| *logp <= logps[token as usize]), "token {index}");
    }
}

#[test]
fn an_interrupted_run_goes_on_as_if_nothing_had_happened() {
    let mut engine = exact("llama");
    let golden = Golden::read("llama");
    let start = adapter("llama", engine.architecture(), true);
    let mut step = |lora: &mut Lora, optimizer: &mut AdamW| {
        let (_, gradient) = differentiate(&mut engine, &golden.groups(), lora, &upstream(&golden.d_logps), 1.0);
        optimizer.step(&mut lora.parameters, &gradient, 1e-2).unwrap();
    };
    let settings = AdamWSettings { weight_decay: 0.01, ..AdamWSettings::default() };
    let (mut straight, mut optimizer) = (start.clone(), AdamW::new(settings, start.parameters.len()));
    for _ in 0..4 {
        step(&mut straight, &mut optimizer);
    }

    let (mut halted, mut optimizer) = (start.clone(), AdamW::new(settings, start.parameters.len()));
    for _ in 0..2 {
        step(&mut halted, &mut optimizer);
    }
    let folder = tempfile::tempdir().unwrap();
    let architecture = lm::Checkpoint::open(&crate::golden::model_folder("llama")).unwrap().architecture().clone();
    halted.save_peft(folder.path(), &architecture, &PeftDetails::default()).unwrap();
    optimizer.save(&folder.path().join("optimizer.safetensors")).unwrap();
    let (mut resumed, _) = Lora::load_peft(folder.path(), &architecture).unwrap();
    let path = folder.path().join("optimizer.safetensors");
    let mut optimizer = AdamW::load(&path, settings, resumed.parameters.len()).unwrap();
    for _ in 0..2 {
        step(&mut resumed, &mut optimizer);
    }
    assert_eq!(resumed, straight);
    assert_ne!(straight, start);
}
