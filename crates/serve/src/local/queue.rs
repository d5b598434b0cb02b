//! Who waits for the engine.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Answer;
use crate::wire::{ChatRequest, Refusal};

/// A request, and where its answer goes.
pub(crate) struct Job {
    pub(crate) request: ChatRequest,
    pub(crate) reply: oneshot::Sender<Result<Answer, Refusal>>,
}

impl Job {
    /// Hand over the answer. Whoever asked may be gone.
    pub(crate) fn answer(self, answer: Result<Answer, Refusal>) {
        drop(self.reply.send(answer));
    }
}

/// Why a job was not taken in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

/// Jobs in the order they came, up to a limit.
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    max_waiting: usize,
}

struct State {
    waiting: VecDeque<Job>,
    is_closed: bool,
}

/// Closes the queue when it goes, also by a panic.
pub(crate) struct Closing<'a>(&'a Queue);

impl Queue {
    pub(crate) fn new(max_waiting: usize) -> Queue {
        let state = State { waiting: VecDeque::new(), is_closed: false };
        Queue { state: Mutex::new(state), changed: Condvar::new(), max_waiting }
    }

    /// Wait in line. Those who went away make room first.
    pub(crate) fn push(&self, job: Job) -> Result<(), Refused> {
        let mut state = self.lock();
        state.waiting.retain(|job| !job.reply.is_closed());
        if state.is_closed {
            return Err(Refused::Closed);
        }
        if state.waiting.len() >= self.max_waiting {
            return Err(Refused::Full);
        }
        state.waiting.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    /// What waits, of those who are still there: as many as make `most` sequences together, and one at least. Blocks
    /// while nobody waits; `None` once the queue is closed.
    pub(crate) fn take(&self, most: usize) -> Option<Vec<Job>> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            state.waiting.retain(|job| !job.reply.is_closed());
            if !state.waiting.is_empty() {
                break;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut n_sequences = 0;
        let fits = |job: &&Job| {
            n_sequences += job.request.n;
            n_sequences <= most
        };
        let n = state.waiting.iter().take_while(fits).count().max(1);
        Some(state.waiting.drain(..n).collect())
    }

    /// Let nobody in any more, and send away who waits.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.changed.notify_all();
        waiting.into_iter().for_each(|job| job.answer(Err(Refusal::stopping())));
    }

    pub(crate) fn close_at_the_end(&self) -> Closing<'_> {
        Closing(self)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock can leave it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Reply = oneshot::Receiver<Result<Answer, Refusal>>;

    fn job(n: usize) -> (Job, Reply) {
        let body = format!(r#"{{ "model": "m", "messages": [{{ "role": "user", "content": "x" }}], "n": {n} }}"#);
        let (reply, answer) = oneshot::channel();
        (Job { request: ChatRequest::read(body.as_bytes(), 0).unwrap(), reply }, answer)
    }

    fn push(queue: &Queue, n: usize) -> Result<Reply, Refused> {
        let (job, answer) = job(n);
        queue.push(job).map(|()| answer)
    }

    #[test]
    fn as_many_as_fit_are_taken_in_order() {
        let queue = Queue::new(8);
        let _answers = [3, 2, 4, 1].map(|n| push(&queue, n).unwrap());
        let take = |most| queue.take(most).unwrap().iter().map(|job| job.request.n).collect::<Vec<_>>();
        assert_eq!(take(5), [3, 2]);
        assert_eq!(take(2), [4]);
        assert_eq!(take(9), [1]);
    }

    #[test]
    fn who_went_away_is_skipped_and_makes_room() {
        let queue = Queue::new(2);
        let (first, second) = (push(&queue, 1).unwrap(), push(&queue, 2).unwrap());
        assert_eq!(push(&queue, 3).unwrap_err(), Refused::Full);
        drop(first);
        let third = push(&queue, 3).unwrap();
        drop(second);
        assert_eq!(queue.take(64).unwrap().len(), 1);
        drop(third);
    }

    #[test]
    fn closing_answers_who_waits_and_lets_nobody_in() {
        let queue = Queue::new(2);
        let mut waiting = push(&queue, 1).unwrap();
        drop(queue.close_at_the_end());
        assert!(waiting.try_recv().unwrap().is_err());
        assert_eq!(push(&queue, 1).unwrap_err(), Refused::Closed);
        assert!(queue.take(1).is_none());
    }
}
