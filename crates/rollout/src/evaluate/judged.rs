//! Arms side by side in the eyes of a judge.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::summary::{NAIVE, ORACLE, REF, TRAINED, wins};
use super::{EvaluatedPrompt, EvaluatedResponse, PROMPTS_AT_ONCE, WinRateResult};
use crate::Error;
use crate::data::Record;
use crate::judge::{CanaryResult, Pair, PairJudge, Ruling, Verdict, request};

/// What a judge of pairs says of an arm's answers beside those of others to the same prompts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgeResult {
    /// The judge's name.
    pub judge: String,
    /// The arm whose answers are compared: `trained`, or else `oracle`, or else `ref`.
    pub arm: String,
    /// How often they are the better ones: `vs_naive`, `vs_ref`.
    pub win_rate: BTreeMap<String, JudgedResult>,
    /// How the judge did on questions with a known outcome.
    pub canaries: CanaryResult,
}

/// How often an arm's answers are better than another's in the eyes of a judge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgedResult {
    /// Share of prompts won; one on which as many pairs are won as lost is a tie.
    #[serde(flatten)]
    pub rate: WinRateResult,
    /// Pairs of answers compared.
    pub n_pairs: usize,
    /// Share of pairs whose two seatings disagreed, of those with two clear replies. They are ties.
    pub flip_rate: f64,
    /// Share of questions without a clear reply. Their pairs are ties.
    pub abstention_rate: f64,
    /// Share of decided pairs that the longer answer won, where there are any: about a half where length does not matter to the
    /// judge, and neither arm is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longer_wins: Option<f64>,
}

/// Ask `judge` how the answers of the trained arm compare with those of the naive one and of the untuned prompter. The arms went
/// through `records` in this order. `None` where there is nothing to compare; `progress` hears how many prompts are done, of how
/// many.
pub fn judge_arms(
    judge: &mut PairJudge,
    records: &[Record],
    arms: &[Vec<EvaluatedPrompt>],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Option<JudgeResult>, Error> {
    let named = |wanted: &str| arms.iter().find(|prompts| prompts.first().is_some_and(|prompt| prompt.arm == wanted));
    let Some((arm, ours)) = [TRAINED, ORACLE, REF].into_iter().find_map(|arm| Some((arm, named(arm)?))) else {
        return Ok(None);
    };
    let others: Vec<_> =
        [NAIVE, REF].into_iter().filter(|other| *other != arm).filter_map(|it| Some((it, named(it)?))).collect();
    let canaries = judge.canaries()?;
    let mut win_rate = BTreeMap::new();
    let n = others.len() * records.len();
    for (done, (other, theirs)) in others.into_iter().enumerate() {
        let judged = compare(judge, records, ours, theirs, &mut |prompts| progress(done * records.len() + prompts, n))?;
        win_rate.insert(format!("vs_{other}"), judged);
    }
    Ok(Some(JudgeResult { judge: judge.name().to_owned(), arm: arm.to_owned(), win_rate, canaries }))
}

fn compare(
    judge: &mut PairJudge,
    records: &[Record],
    ours: &[EvaluatedPrompt],
    theirs: &[EvaluatedPrompt],
    progress: &mut dyn FnMut(usize),
) -> Result<JudgedResult, Error> {
    let prompts: Vec<(Cow<'_, str>, Answers<'_>)> = records
        .iter()
        .zip(ours.iter().zip(theirs))
        .map(|(record, (ours, theirs))| (request(record), answers(ours, theirs)))
        .collect();
    let mut tally = Tally::default();
    for chunk in prompts.chunks(PROMPTS_AT_ONCE) {
        let pairs: Vec<Pair<'_>> = chunk.iter().flat_map(|(request, answers)| pairs(request, answers)).collect();
        let mut ruled = judge.compare(&pairs)?.into_iter();
        for (_, answers) in chunk {
            tally.prompt(answers.iter().zip(&mut ruled));
        }
        progress(tally.net_wins.len());
    }
    tally.result()
}

/// The answers of two arms to one prompt, the first beside the first and so on.
type Answers<'a> = Vec<(&'a EvaluatedResponse, &'a EvaluatedResponse)>;

fn answers<'a>(ours: &'a EvaluatedPrompt, theirs: &'a EvaluatedPrompt) -> Answers<'a> {
    let all = |prompt: &'a EvaluatedPrompt| prompt.rewrites.iter().flat_map(|rewrite| &rewrite.responses);
    all(ours).zip(all(theirs)).collect()
}

fn pairs<'a>(request: &'a str, answers: &'a Answers<'_>) -> impl Iterator<Item = Pair<'a>> {
    answers.iter().map(move |(one, other)| Pair { request, one: &one.text, other: &other.text })
}

/// What is counted over all pairs.
#[derive(Debug, Default)]
struct Tally {
    /// Pairs won less pairs lost, for each prompt.
    net_wins: Vec<f64>,
    n_pairs: usize,
    n_clear: usize,
    n_flips: usize,
    n_asked: usize,
    n_abstained: usize,
    n_decided: usize,
    n_longer: usize,
}

impl Tally {
    fn prompt<'a>(
        &mut self,
        ruled: impl Iterator<Item = (&'a (&'a EvaluatedResponse, &'a EvaluatedResponse), Vec<Ruling>)>,
    ) {
        let mut net = 0.0;
        for ((one, other), rulings) in ruled {
            self.n_pairs += 1;
            for ruling in rulings {
                self.n_asked += ruling.n_asked;
                self.n_abstained += ruling.n_abstained;
                self.n_clear += usize::from(ruling.n_asked > 0 && ruling.n_abstained == 0);
                self.n_flips += usize::from(ruling.is_flip);
                let (winner, loser) = match ruling.verdict {
                    Verdict::Tie => continue,
                    Verdict::One => (one, other),
                    Verdict::Other => (other, one),
                };
                net += if ruling.verdict == Verdict::One { 1.0 } else { -1.0 };
                self.n_decided += usize::from(winner.tokens != loser.tokens);
                self.n_longer += usize::from(winner.tokens > loser.tokens);
            }
        }
        self.net_wins.push(net);
    }

    fn result(&self) -> Result<JudgedResult, Error> {
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        Ok(JudgedResult {
            rate: wins(&self.net_wins, &vec![0.0; self.net_wins.len()])?,
            n_pairs: self.n_pairs,
            flip_rate: share(self.n_flips, self.n_clear),
            abstention_rate: share(self.n_abstained, self.n_asked),
            longer_wins: (self.n_decided > 0).then(|| share(self.n_longer, self.n_decided)),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::data::Prompt;
    use crate::evaluate::EvaluatedRewrite;
    use crate::judge::testing::{Scripted, sensible};

    fn records(n: usize) -> Vec<Record> {
        let record =
            |id: usize| Record { id: id.to_string(), prompt: Prompt::Text(format!("p{id}")), fields: Map::new() };
        (0..n).map(record).collect()
    }

    /// An arm that answers every prompt by these, one response to each of two rewrites.
    fn arm(name: &str, answers: &[[&str; 2]]) -> Vec<EvaluatedPrompt> {
        let response = |text: &str| EvaluatedResponse {
            text: text.to_owned(),
            tokens: text.split_whitespace().count(),
            cut: false,
            reward: 0.0,
            parts: Vec::new(),
        };
        let rewrite = |text: &&str| EvaluatedRewrite {
            written: None,
            rewrite: "never shown".to_owned(),
            tokens: 0,
            findings: Vec::new(),
            fell_back: false,
            kl: None,
            responses: vec![response(text)],
        };
        let prompt = |(id, answers): (usize, &[&str; 2])| EvaluatedPrompt {
            arm: name.to_owned(),
            id: id.to_string(),
            prompt: format!("p{id}"),
            rewrites: answers.iter().map(rewrite).collect(),
        };
        answers.iter().enumerate().map(prompt).collect()
    }

    fn judge(say: impl Fn(&[(String, String)]) -> String + 'static) -> PairJudge {
        PairJudge::new(Box::new(Scripted::new(say)), "length", 1)
    }

    /// `trained` wins the first prompt, loses the second, draws the third and, one pair each, the fourth.
    fn arms() -> Vec<Vec<EvaluatedPrompt>> {
        vec![
            arm("naive", &[["a", "a"], ["a b c", "a b c"], ["a", "a"], ["a b", "a"]]),
            arm("ref", &[["a b c d", "a b c d"]; 4]),
            arm("trained", &[["a b", "a b"], ["a b", "a b"], ["a", "a"], ["a", "a b"]]),
        ]
    }

    #[test]
    fn prompts_are_won_by_most_of_their_pairs() {
        let mut heard = Vec::new();
        let result = judge_arms(&mut judge(sensible), &records(4), &arms(), &mut |done, n| heard.push((done, n)));
        let result = result.unwrap().unwrap();
        assert_eq!((result.judge.as_str(), result.arm.as_str(), heard), ("scripted", "trained", vec![(4, 8), (8, 8)]));
        assert!(result.canaries.is_sound());
        let naive = result.win_rate["vs_naive"];
        assert_eq!((naive.rate.mean, naive.rate.ties, naive.n_pairs), (0.5, 0.5, 8));
        assert_eq!((naive.flip_rate, naive.abstention_rate, naive.longer_wins), (0.0, 0.0, Some(1.0)));
        assert_eq!(result.win_rate["vs_ref"].rate.mean, 0.0);
        let written = serde_json::to_value(&result).unwrap();
        assert_eq!(written["win_rate"]["vs_naive"]["mean"], 0.5);
        assert_eq!(serde_json::from_value::<JudgeResult>(written).unwrap(), result);
    }

    #[test]
    fn a_judge_that_always_says_a_finds_nobody_better() {
        let mut judge = judge(|_| "Verdict: A".to_owned());
        let result = judge_arms(&mut judge, &records(4), &arms(), &mut |_, _| ()).unwrap().unwrap();
        for judged in result.win_rate.values() {
            assert_eq!((judged.flip_rate, judged.rate.mean, judged.rate.ties), (1.0, 0.5, 1.0));
            assert_eq!((judged.longer_wins, judged.rate.p_value), (None, 1.0));
            let [low, high] = judged.rate.interval;
            assert!(low < 0.4 && high > 0.6, "nothing but ties is not certainty");
        }
        assert_eq!((result.canaries.passed, result.canaries.n), (8, 16));
    }

    #[test]
    fn a_judge_that_says_nothing_abstains() {
        let mut judge = judge(|_| "I would rather not.".to_owned());
        let result = judge_arms(&mut judge, &records(4), &arms(), &mut |_, _| ()).unwrap().unwrap();
        let judged = result.win_rate["vs_ref"];
        assert_eq!((judged.flip_rate, judged.abstention_rate, judged.rate.ties), (0.0, 1.0, 1.0));
    }

    #[test]
    fn without_a_trained_arm_the_untuned_prompter_is_compared_and_alone_nobody_is() {
        let mut judge = judge(sensible);
        let two = judge_arms(&mut judge, &records(4), &arms()[..2], &mut |_, _| ()).unwrap().unwrap();
        assert_eq!((two.arm.as_str(), two.win_rate["vs_naive"].rate.mean), ("ref", 1.0));
        assert_eq!(judge_arms(&mut judge, &records(4), &arms()[..1], &mut |_, _| ()).unwrap(), None);
    }
}
