//! Evaluation on scripted arms.

use serde_json::Map;

use super::*;
use crate::data::Prompt;
use crate::prompter::{Identity, Rewrite};
use crate::rails::Guarded;
use crate::reward::{Exchange, Part, Reward, Score};
use crate::target::{Answered, Call, Response, Take, Target};

/// Writes the number of the seed's place after the prompt.
struct Numbered;

impl Prompter for Numbered {
    fn rewrite(&mut self, jobs: &[RewriteJob<'_>]) -> Result<Vec<Vec<Rewrite>>, Error> {
        let rewrite = |job: &RewriteJob<'_>, place: usize| Rewrite {
            written: None,
            guarded: Guarded {
                rewrite: format!("{} {place}", job.record.prompt.text()),
                findings: Vec::new(),
                penalty: 0.0,
                fell_back: place == 1,
            },
        };
        Ok(jobs.iter().map(|job| (0..job.seeds.len()).map(|place| rewrite(job, place)).collect()).collect())
    }
}

/// Echoes, with the seed behind it.
#[derive(Default)]
struct Echo {
    calls: Vec<Call>,
}

impl Target for Echo {
    fn name(&self) -> &str {
        "echo"
    }

    fn identity(&self) -> String {
        "echo".to_owned()
    }

    fn parameters(&self) -> String {
        String::new()
    }

    fn answer(&mut self, calls: &[Call], take: &mut Take<'_>) -> Result<(), Error> {
        self.calls.extend_from_slice(calls);
        let answer =
            |call: &Call| Response { text: call.messages[0].content.clone(), tokens: 4, prompt_tokens: 0, cut: false };
        let answered = |(call, asked)| Answered { call, response: answer(asked) };
        take(calls.iter().enumerate().map(answered).collect())
    }
}

/// The last word as a number, 0 where it is none; the prompt's own number is a part.
struct LastNumber;

impl Reward for LastNumber {
    fn score(&mut self, batch: &[Exchange<'_>]) -> Result<Vec<Score>, Error> {
        let score = |exchange: &Exchange<'_>| {
            assert!(exchange.rewrite.starts_with(exchange.prompt), "scored against x");
            let value = exchange.response.split(' ').nth(1).map_or(0.0, |word| word.parse().unwrap());
            Score { value, parts: vec![Part { name: "half".into(), value: value / 2.0 }] }
        };
        Ok(batch.iter().map(score).collect())
    }
}

fn records(n: usize) -> Vec<Record> {
    let record = |id: usize| Record { id: id.to_string(), prompt: Prompt::Text(format!("p{id}")), fields: Map::new() };
    (0..n).map(record).collect()
}

fn through(name: &str, prompter: &mut dyn Prompter, draw: Draw, n: usize) -> (Vec<EvaluatedPrompt>, Vec<Call>) {
    let mut target = Echo::default();
    let mut environment =
        Environment { target: &mut target, reward: &mut LastNumber, responses: 2, length_penalty: 0.0 };
    let mut arm = Arm { name: name.to_owned(), prompter, draw, reference: None };
    let mut heard = Vec::new();
    let told = evaluate(&mut arm, &records(n), &mut environment, 7, &mut |done| heard.push(done)).unwrap();
    assert_eq!(heard.last(), Some(&n));
    (told, target.calls)
}

fn about() -> About {
    About {
        seed: 7,
        model: "m".to_owned(),
        target: "t".to_owned(),
        reward: "r".to_owned(),
        learned: None,
        steps: 3,
        seconds: 0.0,
    }
}

#[test]
fn every_prompt_is_answered_as_often_as_its_draw_says() {
    let (told, calls) = through("ref", &mut Numbered, Draw::Rewrites(3), 40);
    assert_eq!((told.len(), calls.len()), (40, 240));
    assert!(told.iter().all(|prompt| prompt.rewrites.len() == 3 && prompt.rewrites[0].responses.len() == 2));
    assert_eq!(told[5].mean_reward(), 1.0, "the mean of 0, 1 and 2");
    let seeds: std::collections::BTreeSet<u64> = calls.iter().map(|call| call.seed).collect();
    assert_eq!(seeds.len(), 240, "no two answers share a seed");
    let (again, _) = through("ref", &mut Numbered, Draw::Rewrites(3), 40);
    assert_eq!(told, again);

    let (naive, calls) = through("naive", &mut Identity, Draw::Once { responses: 6 }, 3);
    assert_eq!((naive[0].rewrites.len(), naive[0].rewrites[0].responses.len(), calls.len()), (1, 6, 18));
    assert_eq!(naive[0].rewrites[0].rewrite, naive[0].prompt);
}

#[test]
fn the_seeds_of_a_prompt_do_not_depend_on_the_others() {
    let (_, few) = through("ref", &mut Numbered, Draw::Rewrites(2), 2);
    let (_, many) = through("ref", &mut Numbered, Draw::Rewrites(2), 50);
    assert_eq!(few, many[..few.len()]);
}

#[test]
fn the_best_is_answered_anew() {
    let (told, calls) = through("best-of-4", &mut Numbered, Draw::BestOf { n: 4, responses: 3 }, 2);
    assert_eq!(calls.len(), 2 * (4 * 2 + 3));
    for prompt in &told {
        assert_eq!(prompt.rewrites.len(), 1);
        assert!(prompt.rewrites[0].rewrite.ends_with(" 3"), "the best of 0, 1, 2, 3");
        assert_eq!(prompt.rewrites[0].responses.len(), 3);
    }
    let chosen: Vec<&Call> = calls.iter().filter(|call| call.messages[0].content.ends_with(" 3")).collect();
    let seeds: std::collections::BTreeSet<u64> = chosen.iter().map(|call| call.seed).collect();
    assert_eq!(seeds.len(), chosen.len(), "new answers, not those it was chosen by");
}

#[test]
fn one_response_tells_nothing_of_its_chance() {
    let mut arm = through("ref", &mut Numbered, Draw::Rewrites(2), 10).0;
    arm.iter_mut().flat_map(|prompt| &mut prompt.rewrites).for_each(|rewrite| rewrite.responses.truncate(1));
    let evaluation = summarise(&[arm], &[], about()).unwrap();
    let ArmResult { variance, variance_parts: parts, .. } = &evaluation.arms["ref"];
    assert_eq!(parts.within, None);
    assert!((parts.between_prompts + parts.between_rewrites - variance).abs() < 1e-12);
}

#[test]
fn arms_are_compared_prompt_by_prompt() {
    let arms = [
        through("naive", &mut Identity, Draw::Once { responses: 4 }, 10).0,
        through("ref", &mut Numbered, Draw::Rewrites(2), 10).0,
        through("trained", &mut Numbered, Draw::Rewrites(3), 10).0,
    ];
    let evaluation = summarise(&arms, &[], about()).unwrap();
    assert_eq!(evaluation.arms["naive"].mean_reward, 0.0);
    assert_eq!(evaluation.arms["trained"].mean_reward, 1.0);
    assert_eq!(evaluation.gain["vs_ref"], Gain { mean: 0.5, interval: [0.5, 0.5], significant: true });
    assert_eq!(evaluation.win_rate["vs_naive"].mean, 1.0);
    assert!(!evaluation.gain.contains_key("vs_trained"));
    let parts = &evaluation.arms["trained"].variance_parts;
    assert!((parts.between_rewrites - 2.0 / 3.0).abs() < 1e-12, "the variance of 0, 1 and 2");
    assert_eq!((parts.between_prompts, parts.within), (0.0, Some(0.0)));
    assert!((evaluation.arms["ref"].rails["fell-back"] - 0.5).abs() < 1e-12);
    assert_eq!(evaluation.parts["half"]["trained"], PartMean { mean: 0.5, n_prompts: 10 });

    let written = serde_json::to_string(&evaluation).unwrap();
    assert_eq!(serde_json::from_str::<Evaluation>(&written).unwrap(), evaluation);
}

#[test]
fn one_prompt_has_no_interval_and_no_gain() {
    let arms = [
        through("ref", &mut Numbered, Draw::Rewrites(2), 1).0,
        through("trained", &mut Numbered, Draw::Rewrites(3), 1).0,
    ];
    let evaluation = summarise(&arms, &[], about()).unwrap();
    assert_eq!(evaluation.arms["trained"].interval, [1.0, 1.0]);
    assert!(evaluation.gain.is_empty());
}

/// An arm whose prompts have these rewards.
fn rewarded(arm: &str, rewards: &[f64]) -> Vec<EvaluatedPrompt> {
    let (mut told, _) = through(arm, &mut Identity, Draw::Once { responses: 1 }, rewards.len());
    for (prompt, reward) in told.iter_mut().zip(rewards) {
        prompt.rewrites[0].responses[0].reward = *reward;
    }
    told
}

#[test]
fn the_share_of_the_oracle_s_gain_is_told_where_there_is_one() {
    let naive: Vec<f64> = (0..40).map(|k| f64::from(k % 5) / 10.0).collect();
    let plus = |gain: f64| naive.iter().enumerate().map(|(k, r)| r + gain + (k % 3) as f64 / 100.0).collect::<Vec<_>>();
    let share = |oracle: &[f64]| {
        let arms = [rewarded("naive", &naive), rewarded("trained", &plus(0.1)), rewarded("oracle", oracle)];
        summarise(&arms, &[], about()).unwrap()
    };
    let told = share(&plus(0.39));
    let found = told.oracle_share.unwrap();
    assert!((found.mean - 0.109_75 / 0.399_75).abs() < 1e-9, "{found:?}");
    assert!(found.interval[0] < found.mean && found.mean < found.interval[1]);
    assert!(told.gain["vs_oracle"].mean < 0.0 && told.gain["vs_naive"].mean > 0.0);
    assert_eq!(share(&naive).oracle_share, None, "an oracle that wins nothing has no share to give");
    let alone = summarise(&[rewarded("naive", &naive), rewarded("oracle", &plus(0.2))], &[], about()).unwrap();
    assert_eq!(alone.gain.keys().collect::<Vec<_>>(), ["vs_naive"], "without a prompter the oracle is compared");
}

#[test]
fn a_handful_of_prompts_proves_nothing() {
    let compared = |naive: &[f64], trained: &[f64]| {
        summarise(&[rewarded("naive", naive), rewarded("trained", trained)], &[], about()).unwrap().gain["vs_naive"]
    };
    let two = compared(&[0.0, 0.5], &[0.0, 1.0]);
    assert!(!two.significant && two.interval[0] < 0.0 && two.interval[1] > 0.5, "{two:?}");
    // Alike, so that the interval has no width, and still too few.
    assert!(!compared(&[0.0; 5], &[1.0; 5]).significant);
    assert!(compared(&[0.0; 6], &[1.0; 6]).significant);
    assert!(compared(&[0.0; 30], &[1.0; 30]).significant);
}
