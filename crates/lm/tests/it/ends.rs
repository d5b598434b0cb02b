//! Reading the ends of continuations alone says what reading every token says there, and has the same gradients.

use lm::{Engine, Generator, Group, Linear, Lora, LoraShape, Reads, ScoreOptions, Upstream};

use crate::engines::exact;

const ENDS: ScoreOptions = ScoreOptions { temperature: 1.0, reads: Reads::Ends };
const HEADS: usize = 2;

#[test]
fn ends_are_the_last_of_all_values() {
    for name in ["llama", "gemma3"] {
        let mut engine = exact(name);
        let architecture = engine.architecture().clone();
        let mut generator = Generator::new(5);
        let vocabulary = architecture.vocabulary as u64;
        let mut draw =
            |length: usize| -> Vec<u32> { (0..length).map(|_| (generator.bits() % vocabulary) as u32).collect() };
        let groups = [
            Group { prefix: draw(4), continuations: vec![draw(3), Vec::new(), draw(7)] },
            Group { prefix: draw(9), continuations: vec![draw(2)] },
        ];
        let mut lora = Lora::new(LoraShape::new(&architecture, 2, 4.0, &Linear::ALL, HEADS), 3);
        lora.parameters.iter_mut().for_each(|parameter| *parameter += generator.symmetric(0.05) as f32);

        let (all, all_tape) = engine.score_with_tape(&groups, &lora, &ScoreOptions::default()).unwrap();
        let (ends, ends_tape) = engine.score_with_tape(&groups, &lora, &ENDS).unwrap();
        assert_eq!(ends, engine.score(&groups, Some(&lora), &ENDS).unwrap());
        assert!(ends.token_logps.iter().flatten().all(Vec::is_empty));
        let (all, ends) = (all.values.unwrap(), ends.values.unwrap());
        for (all, end) in all.iter().flatten().zip(ends.iter().flatten()) {
            assert_eq!(&all[all.len() - HEADS..], end.as_slice(), "{name}");
        }

        let weight = |index: usize| 0.3 * (index as f32 + 1.0);
        let d_ends: Vec<Vec<Vec<f32>>> =
            ends.iter().map(|group| group.iter().map(|line| (0..line.len()).map(weight).collect()).collect()).collect();
        let behind = |all: &Vec<f32>, end: &Vec<f32>| [vec![0.0; all.len() - HEADS], end.clone()].concat();
        let d_all = all
            .iter()
            .zip(&d_ends)
            .map(|(all, ends)| all.iter().zip(ends).map(|(all, end)| behind(all, end)).collect())
            .collect();
        let lines = |length: &dyn Fn(&Vec<u32>) -> usize| -> Vec<Vec<Vec<f32>>> {
            let line = |tokens: &Vec<u32>| vec![0.0; length(tokens)];
            groups.iter().map(|group| group.continuations.iter().map(line).collect()).collect()
        };
        let of_all = Upstream { d_token_logps: lines(&Vec::len), d_values: Some(d_all) };
        let of_ends = Upstream { d_token_logps: lines(&|_| 0), d_values: Some(d_ends) };
        let expected = engine.backward(all_tape, &lora, &of_all).unwrap().flat;
        let found = engine.backward(ends_tape, &lora, &of_ends).unwrap().flat;
        let size = expected.iter().fold(0.0f32, |size, slope| size.max(slope.abs()));
        let off = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(size > 0.0 && off <= 1e-5 * size, "{name}: {off} of {size}");
    }
}
