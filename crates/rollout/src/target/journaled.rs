//! A target that never answers the same call twice.

use super::{Answered, Call, Response, Take, Target};
use crate::Error;
use crate::journal::{CallKey, Journal};

/// A target behind a journal: an answer is stored before it is used, and read from there whenever it is there.
pub struct Journaled<T> {
    target: T,
    journal: Journal,
    n_answered: usize,
    n_replayed: usize,
}

impl<T: Target> Journaled<T> {
    /// `target` behind `journal`.
    pub fn new(target: T, journal: Journal) -> Journaled<T> {
        Journaled { target, journal, n_answered: 0, n_replayed: 0 }
    }

    /// Calls that the target itself answered.
    pub fn n_answered(&self) -> usize {
        self.n_answered
    }

    /// Calls that the journal answered.
    pub fn n_replayed(&self) -> usize {
        self.n_replayed
    }

    fn key(&self, call: &Call) -> CallKey {
        CallKey::of(&self.target.identity(), &call.messages, &self.target.parameters(), call.seed)
    }
}

impl<T: Target> Target for Journaled<T> {
    fn name(&self) -> &str {
        self.target.name()
    }

    fn identity(&self) -> String {
        self.target.identity()
    }

    fn parameters(&self) -> String {
        self.target.parameters()
    }

    fn answer(&mut self, calls: &[Call], take: &mut Take<'_>) -> Result<(), Error> {
        let keys: Vec<CallKey> = calls.iter().map(|call| self.key(call)).collect();
        let stored = self.journal.get(&keys)?;
        let missing: Vec<usize> = (0..calls.len()).filter(|&call| stored[call].is_none()).collect();
        self.n_replayed += calls.len() - missing.len();
        let replayed = stored.into_iter().enumerate();
        take(replayed.filter_map(|(call, response)| Some(Answered { call, response: response? })).collect())?;

        let Journaled { target, journal, n_answered, .. } = self;
        let asked: Vec<Call> = missing.iter().map(|&call| calls[call].clone()).collect();
        if asked.is_empty() {
            return Ok(());
        }
        target.answer(&asked, &mut |answered| {
            let requests: Vec<String> = answered.iter().map(|answered| request(&asked[answered.call])).collect();
            let entries: Vec<(CallKey, &str, Response)> = answered
                .iter()
                .zip(&requests)
                .map(|(answered, request)| (keys[missing[answered.call]], request.as_str(), answered.response.clone()))
                .collect();
            journal.put(&entries)?;
            *n_answered += answered.len();
            let placed = |answered: Answered| Answered { call: missing[answered.call], ..answered };
            take(answered.into_iter().map(placed).collect())
        })
    }
}

/// The call as people read it in the journal.
fn request(call: &Call) -> String {
    serde_json::json!({"messages": call.messages, "seed": call.seed}).to_string()
}
