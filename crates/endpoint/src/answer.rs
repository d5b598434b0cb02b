//! One request with its repetitions.

use std::sync::Arc;

use crate::attempt::{Failure, Problem};
use crate::batch::{End, Stopped, Unfinished};
use crate::budget::Reservation;
use crate::chat::estimated_tokens;
use crate::client::Shared;
use crate::wire::Reply;
use crate::{ChatRequest, ChatResponse, Usage};

/// A request of a batch on its way.
pub(crate) struct Asked {
    pub(crate) shared: Arc<Shared>,
    pub(crate) position: usize,
    pub(crate) request: ChatRequest,
    pub(crate) stopped: Stopped,
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
                        Problem::Passing(passing) => {
                            let (cause, at) = (passing.cause, (&self.shared.address.chat, self.position));
                            self.shared.transport.wait(passing, n_failures, at, &mut self.stopped).await?;
                            self.shared.count(|statistics| *statistics.retried.entry(cause).or_default() += 1);
                        }
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
            let name = self.transport.presentable(model);
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
