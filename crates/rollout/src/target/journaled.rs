//! A target that never answers the same call twice.

use super::{Call, Response, Target};
use crate::Error;
use crate::journal::{CallKey, Journal};

/// Calls handed to the target together, and stored together when they are answered: what a kill can lose.
const CALLS_AT_ONCE: usize = 128;

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

    fn respond(&mut self, calls: &[Call]) -> Result<Vec<Response>, Error> {
        let keys: Vec<CallKey> = calls.iter().map(|call| self.key(call)).collect();
        let mut responses = self.journal.get(&keys)?;
        let missing: Vec<usize> = (0..calls.len()).filter(|&index| responses[index].is_none()).collect();
        self.n_replayed += calls.len() - missing.len();
        for chunk in missing.chunks(CALLS_AT_ONCE) {
            let asked: Vec<Call> = chunk.iter().map(|&index| calls[index].clone()).collect();
            let answers = self.target.respond(&asked)?;
            let requests: Vec<String> = asked.iter().map(request).collect();
            let entries: Vec<(CallKey, &str, Response)> = chunk
                .iter()
                .zip(&requests)
                .zip(&answers)
                .map(|((&index, request), answer)| (keys[index], request.as_str(), answer.clone()))
                .collect();
            self.journal.put(&entries)?;
            self.n_answered += answers.len();
            for (&index, answer) in chunk.iter().zip(answers) {
                responses[index] = Some(answer);
            }
        }
        Ok(responses.into_iter().flatten().collect())
    }
}

/// The call as people read it in the journal.
fn request(call: &Call) -> String {
    serde_json::json!({"messages": call.messages, "seed": call.seed}).to_string()
}
