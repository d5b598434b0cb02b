//! Rewards that ask somebody: nobody is asked about the same exchange twice.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Exchange, Reward, Score};
use crate::Error;
use crate::data::Message;
use crate::journal::{CallKey, Journal};
use crate::target::Response;

/// Whether a number can be a score: squares of sums of scores must be finite.
pub(super) fn is_score(number: f64) -> bool {
    number.abs() <= 1e9
}

/// A score, and which exchange it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The exchange's place in the batch.
    pub exchange: usize,
    /// The score.
    pub score: Score,
}

/// Takes scores as soon as they are there: what was given, and perhaps paid, must be stored before anything else can go wrong.
pub type TakeScores<'a> = dyn FnMut(Vec<Scored>) -> Result<(), Error> + 'a;

/// Scores exchanges by asking somebody who may want money for it, and may not say the same twice.
pub trait Scorer {
    /// What tells it from all others, for the journal.
    fn identity(&self) -> String;

    /// That it can be asked at all, as far as that shows without asking.
    fn ready(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Score every exchange once, in any order. Each score is handed to `take` as soon as it is there; an error of `take` ends
    /// the batch.
    fn score_each(&mut self, batch: &[Exchange<'_>], take: &mut TakeScores<'_>) -> Result<(), Error>;
}

/// A reward behind a journal: a score is stored before it is used, and read from there whenever it is there. Equal exchanges
/// have one score, in one batch too, so that a run that goes on finds what an uninterrupted one has seen.
pub struct Journaled<S> {
    scorer: S,
    journal: Journal,
}

impl<S: Scorer> Journaled<S> {
    /// `scorer` behind `journal`.
    pub fn new(scorer: S, journal: Journal) -> Journaled<S> {
        Journaled { scorer, journal }
    }
}

impl<S: Scorer> Reward for Journaled<S> {
    fn ready(&mut self) -> Result<(), Error> {
        self.scorer.ready()
    }

    fn score(&mut self, batch: &[Exchange<'_>]) -> Result<Vec<Score>, Error> {
        let Journaled { scorer, journal } = self;
        let identity = scorer.identity();
        let keys: Vec<CallKey> = batch.iter().map(|exchange| key(&identity, exchange)).collect();
        let mut scores = BTreeMap::new();
        for (key, stored) in keys.iter().zip(journal.get(&keys)?) {
            if let Some(stored) = stored {
                scores.insert(*key, read(&stored.text, journal)?);
            }
        }
        let mut seen = BTreeSet::new();
        let is_new = |&place: &usize| !scores.contains_key(&keys[place]) && seen.insert(keys[place]);
        let missing: Vec<usize> = (0..batch.len()).filter(is_new).collect();
        if !missing.is_empty() {
            let asked: Vec<Exchange<'_>> = missing.iter().map(|&place| batch[place]).collect();
            scorer.score_each(&asked, &mut |scored| {
                let scored: Vec<(CallKey, Scored)> =
                    scored.into_iter().map(|scored| (keys[missing[scored.exchange]], scored)).collect();
                store(&scored, &asked, journal)?;
                scores.extend(scored.into_iter().map(|(key, scored)| (key, scored.score)));
                Ok(())
            })?;
        }
        keys.iter().map(|key| scores.get(key).cloned()).collect::<Option<_>>().ok_or(Error::Unscored)
    }
}

/// What a score depends on: who gives it, x, x', y, and the row of the prompt.
fn key(identity: &str, exchange: &Exchange<'_>) -> CallKey {
    let part = |name: &str, text: &str| Message { role: name.to_owned(), content: text.to_owned() };
    let row = Value::Object(exchange.record.to_row()).to_string();
    let parts = [
        part("prompt", exchange.prompt),
        part("rewrite", exchange.rewrite),
        part("response", exchange.response),
        part("record", &row),
    ];
    CallKey::of(identity, &parts, "score", 0)
}

fn store(scored: &[(CallKey, Scored)], asked: &[Exchange<'_>], journal: &mut Journal) -> Result<(), Error> {
    let shown = |scored: &Scored| {
        let Exchange { prompt, rewrite, response, record } = asked[scored.exchange];
        json!({"id": record.id, "prompt": prompt, "rewrite": rewrite, "response": response}).to_string()
    };
    let requests: Vec<String> = scored.iter().map(|(_, scored)| shown(scored)).collect();
    let entry = |((key, scored), request): (&(CallKey, Scored), _)| {
        let text = json!(scored.score).to_string();
        (*key, request, Response { text, tokens: 0, prompt_tokens: 0, cut: false })
    };
    journal.put(&scored.iter().zip(requests.iter().map(String::as_str)).map(entry).collect::<Vec<_>>())
}

fn read(text: &str, journal: &Journal) -> Result<Score, Error> {
    serde_json::from_str(text).map_err(|source| Error::StoredScore { path: journal.path().to_owned(), source })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reward::Part;
    use crate::reward::fixture::{record, respond};

    /// Gives another score each time it is asked, last exchange first, and fails once it has given `most`.
    struct Moody {
        name: &'static str,
        n_asked: usize,
        most: usize,
    }

    impl Moody {
        fn new(name: &'static str) -> Moody {
            Moody { name, n_asked: 0, most: usize::MAX }
        }
    }

    impl Scorer for Moody {
        fn identity(&self) -> String {
            self.name.to_owned()
        }

        fn score_each(&mut self, batch: &[Exchange<'_>], take: &mut TakeScores<'_>) -> Result<(), Error> {
            for exchange in (0..batch.len()).rev() {
                if self.n_asked >= self.most {
                    return Err(Error::Unanswered);
                }
                self.n_asked += 1;
                let value = 1.0 / (self.n_asked as f64 + 0.1);
                let parts = vec![Part { name: "mood".into(), value: -value }];
                take(vec![Scored { exchange, score: Score { value, parts } }])?;
            }
            Ok(())
        }
    }

    #[test]
    fn a_score_is_given_once_and_found_again_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal-moody.sqlite");
        let open = |scorer: Moody| Journaled::new(scorer, Journal::open(&path).unwrap());
        let (one, other) = (record(json!({"answer": 1})), record(json!({"answer": 2})));
        let batch = [respond(&one, "a"), respond(&one, "b"), respond(&one, "a"), respond(&other, "a")];
        let mut first = open(Moody::new("a"));
        let scores = first.score(&batch).unwrap();
        assert_eq!(first.scorer.n_asked, 3, "the same exchange is asked about once");
        assert_eq!(scores[0], scores[2]);
        assert!(scores[0] != scores[1] && scores[0] != scores[3] && scores[0].parts[0].value == -scores[0].value);
        drop(first);
        let mut again = open(Moody::new("a"));
        assert_eq!(again.score(&batch).unwrap(), scores);
        assert_eq!(again.scorer.n_asked, 0);
        // Everything that a score may depend on tells it from others.
        let base = batch[0];
        let others =
            [Exchange { prompt: "z", ..base }, Exchange { rewrite: "z", ..base }, Exchange { response: "z", ..base }];
        again.score(&others).unwrap();
        assert_eq!(again.scorer.n_asked, 3);
        let mut another = open(Moody::new("b"));
        another.score(&batch[..1]).unwrap();
        assert_eq!(another.scorer.n_asked, 1);
    }

    #[test]
    fn what_was_given_before_a_failure_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal-moody.sqlite");
        let record = record(json!({}));
        let batch = ["a", "b", "c"].map(|response| respond(&record, response));
        let mut failing = Journaled::new(Moody { most: 2, ..Moody::new("a") }, Journal::open(&path).unwrap());
        failing.score(&batch).unwrap_err();
        let mut again = Journaled::new(Moody::new("a"), Journal::open(&path).unwrap());
        again.score(&batch).unwrap();
        assert_eq!(again.scorer.n_asked, 1);
    }

    #[test]
    fn a_scorer_that_forgets_and_a_journal_that_holds_something_else_are_told() {
        struct Forgetful;
        impl Scorer for Forgetful {
            fn identity(&self) -> String {
                "forgetful".to_owned()
            }
            fn score_each(&mut self, _: &[Exchange<'_>], _: &mut TakeScores<'_>) -> Result<(), Error> {
                Ok(())
            }
        }
        let record = record(json!({}));
        let exchange = respond(&record, "a");
        let mut journal = Journal::in_memory().unwrap();
        let response = Response { text: "hello".to_owned(), tokens: 0, prompt_tokens: 0, cut: false };
        journal.put(&[(key("forgetful", &exchange), "", response)]).unwrap();
        let mut reward = Journaled::new(Forgetful, journal);
        assert!(matches!(reward.score(&[exchange]), Err(Error::StoredScore { .. })));
        assert!(matches!(reward.score(&[respond(&record, "b")]), Err(Error::Unscored)));
        assert_eq!(reward.score(&[]).unwrap(), []);
    }
}
