//! One request with its repetitions.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::address::shown;
use crate::attempt::{Failure, Passing, Problem};
use crate::budget::Reservation;
use crate::chat::estimated_tokens;
use crate::client::Shared;
use crate::retry::LONGEST_WAIT;
use crate::wire::Reply;
use crate::{ChatRequest, ChatResponse, Error, Limit, Usage};

/// Why a batch ends early.
#[derive(Debug)]
pub(crate) enum End {
    /// A request failed.
    Failed(Error),
    /// Another call was needed, and the budget has none.
    Spent(Limit),
}

/// A request without a response: it may end the batch, or have been stopped because the batch ends.
#[derive(Debug)]
pub(crate) enum Unfinished {
    Ended(End),
    Stopped,
}

impl Unfinished {
    fn failed(error: Error) -> Unfinished {
        Unfinished::Ended(End::Failed(error))
    }
}

/// A request of a batch on its way.
pub(crate) struct Asked {
    pub(crate) shared: Arc<Shared>,
    pub(crate) position: usize,
    pub(crate) request: ChatRequest,
    /// Turns true when the batch must send nothing more.
    pub(crate) stopped: watch::Receiver<bool>,
}

impl Asked {
    /// Ask until all choices are there. Choices that are there when another call fails for good are lost: a response is
    /// whole, or there is none.
    pub(crate) async fn answer(mut self, reservation: Reservation) -> Result<ChatResponse, Unfinished> {
        let mut reserved = Some(reservation);
        let mut response: Option<ChatResponse> = None;
        let mut n_failures = 0;
        loop {
            let mut reservation = match reserved.take() {
                Some(reservation) => reservation,
                None => self.shared.ledger.reserve().map_err(|limit| Unfinished::Ended(End::Spent(limit)))?,
            };
            let n_drawn = response.as_ref().map_or(0, |response| response.choices.len() as u32);
            let estimate = Usage { prompt_tokens: self.request.estimated_tokens(), completion_tokens: 0 };
            reservation.send(estimate);
            self.shared.count(|statistics| {
                statistics.attempts += 1;
                statistics.follow_ups += u64::from(n_drawn > 0 && n_failures == 0);
            });
            match self.shared.ask(self.position, &self.request, n_drawn).await {
                Ok(reply) => {
                    n_failures = 0;
                    account(reservation, estimate, &reply);
                    let whole = self.shared.gather(response, reply, self.request.n);
                    if whole.choices.len() >= self.request.n as usize {
                        return Ok(whole);
                    }
                    response = Some(whole);
                }
                Err(Failure { is_free, problem }) => {
                    if is_free {
                        reservation.refused();
                    }
                    match problem {
                        Problem::Final(error) => return Err(Unfinished::failed(error)),
                        Problem::Passing(passing) => self.wait(passing, n_failures).await?,
                    }
                    n_failures += 1;
                    // A right to a call that was not used goes to the repetition.
                    reserved = is_free.then_some(reservation);
                }
            }
            if *self.stopped.borrow() {
                return Err(Unfinished::Stopped);
            }
        }
    }

    /// Wait before a repetition, unless there must not be one.
    async fn wait(&mut self, passing: Passing, n_failures: u32) -> Result<(), Unfinished> {
        let (options, url) = (&self.shared.options, &self.shared.address.chat);
        if n_failures >= options.max_retries {
            let attempts = n_failures.saturating_add(1);
            return Err(Unfinished::failed(passing.into_error(url, Some(self.position), attempts)));
        }
        if let Some(asked) = passing.wait.filter(|asked| *asked > LONGEST_WAIT) {
            let Passing { message, .. } = passing;
            let error = Error::WaitTooLong { url: shown(url), asked, longest: LONGEST_WAIT, message };
            return Err(Unfinished::failed(error));
        }
        let delay = self.shared.jitter.delay(options.first_delay, options.longest_delay, n_failures);
        let delay = passing.wait.unwrap_or(Duration::ZERO).saturating_add(delay);
        let is_stopped = tokio::time::timeout(delay, self.stopped.wait_for(|stopped| *stopped)).await.is_ok();
        if is_stopped {
            return Err(Unfinished::Stopped);
        }
        self.shared.count(|statistics| *statistics.retried.entry(passing.cause).or_default() += 1);
        Ok(())
    }
}

/// Enter a call into the books.
fn account(mut reservation: Reservation, estimate: Usage, reply: &Reply) {
    match reply.usage {
        Some(usage) => reservation.answered(usage),
        None => {
            let completion_tokens = reply.choices.iter().map(|choice| estimated_tokens(&choice.text)).sum();
            reservation.send(Usage { completion_tokens, ..estimate });
        }
    }
}

impl Shared {
    /// Put a further reply to what is there.
    fn gather(&self, response: Option<ChatResponse>, reply: Reply, n: u32) -> ChatResponse {
        if let Some(model) = reply.model.as_ref().filter(|model| **model != self.options.model) {
            let name = self.options.presentable(model);
            self.count(|statistics| statistics.count_model(name));
        }
        let mut whole = match response {
            Some(mut response) => {
                response.choices.extend(reply.choices);
                response.usage = response.usage.zip(reply.usage).map(|(before, now)| Usage {
                    prompt_tokens: before.prompt_tokens.saturating_add(now.prompt_tokens),
                    completion_tokens: before.completion_tokens.saturating_add(now.completion_tokens),
                });
                response
            }
            None => {
                let model = reply.model.unwrap_or_else(|| self.options.model.clone());
                ChatResponse { choices: reply.choices, usage: reply.usage, model }
            }
        };
        whole.choices.truncate(n as usize);
        whole
    }
}
