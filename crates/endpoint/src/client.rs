//! The batch, and what a caller calls.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::address::Address;
use crate::answer::Asked;
use crate::attempt::{Failure, Problem};
use crate::batch::{End, batch};
use crate::budget::Ledger;
use crate::network::Network;
use crate::transport::Transport;
use crate::{Budget, ChatRequest, ChatResponse, EndpointOptions, Error, Limit, Spent, Statistics};

/// How long the list of models may take, where it is only asked for to explain an error.
const PATIENCE_FOR_HINTS: Duration = Duration::from_secs(5);

/// A client of one endpoint. It keeps connections between batches, and has a thread of its own that serves the network, so
/// that a caller who takes long over one response does not hold up the others.
pub struct Client {
    shared: Arc<Shared>,
    // Last, so that it goes after everything that uses it.
    network: Network,
}

/// What all requests need.
pub(crate) struct Shared {
    pub(crate) options: EndpointOptions,
    pub(crate) address: Address,
    pub(crate) transport: Transport,
    pub(crate) ledger: Arc<Ledger>,
    statistics: Mutex<Statistics>,
}

impl Client {
    /// A client that has not connected yet. `spent` is what was spent of the budget before, for example by a run that goes on.
    ///
    /// # Errors
    /// Where options or budget cannot be used, or the system lacks what an HTTP client needs.
    pub fn new(options: EndpointOptions, budget: Budget, spent: Spent) -> Result<Client, Error> {
        options.check()?;
        budget.check()?;
        let address = Address::of(&options.base_url)?;
        let transport = Transport::new(options.manners(), &address.chat)?;
        let ledger = Arc::new(Ledger::new(budget, spent));
        let shared = Shared { options, address, transport, ledger, statistics: Mutex::default() };
        Ok(Client { shared: Arc::new(shared), network: Network::start()? })
    }

    /// Ask all requests, up to the limit at once, and hand each response with its request's position to `finished` as soon as it is
    /// there, in the order of arrival, on the caller's thread. Every position is handed over once at most, and all are where the
    /// result is `Ok`.
    ///
    /// A batch that cannot go on sends nothing more, not even repetitions, but waits for what is under way and hands that over
    /// too, since it is paid. An error of `finished` ends it at once: nothing more is handed over, and calls under way are
    /// given up and counted as spent.
    ///
    /// # Errors
    /// The first one of any request, [`Error::BudgetSpent`] where the budget did not suffice, or that of `finished`.
    pub fn chat<E: From<Error>>(
        &self,
        requests: &[ChatRequest],
        finished: &mut dyn FnMut(usize, ChatResponse) -> Result<(), E>,
    ) -> Result<(), E> {
        for (position, request) in requests.iter().enumerate() {
            request.check(position)?;
        }
        let shared = &self.shared;
        let start = |position: usize, stopped| {
            let reservation = shared.ledger.reserve().map_err(End::Spent)?;
            let request = requests[position].clone();
            Ok(Asked { shared: Arc::clone(shared), position, request, stopped }.answer(reservation))
        };
        let mut counted = |position, response| {
            shared.count(|statistics| statistics.answered += 1);
            finished(position, response)
        };
        let batch = batch(requests.len(), shared.options.concurrency, start, &mut counted);
        match self.network.block_on(batch)?? {
            None => Ok(()),
            Some(End::Failed(error)) => Err(self.explained(error).into()),
            Some(End::Spent(limit)) => Err(self.budget_spent(limit).into()),
        }
    }

    /// The names of the models that the endpoint offers. Asked once, without repetitions.
    ///
    /// # Errors
    /// Where it does not answer, or not with such a list.
    pub fn models(&self) -> Result<Vec<String>, Error> {
        let models = self.network.block_on(self.shared.list_models(self.shared.options.timeout))?;
        models.map_err(|Failure { problem, .. }| match problem {
            Problem::Final(error) => error,
            Problem::Passing(passing) => passing.into_error(&self.shared.address.models, None, 1),
        })
    }

    /// What was spent, what was spent before this client included.
    pub fn spent(&self) -> Spent {
        self.shared.ledger.spent()
    }

    /// What happened so far.
    pub fn statistics(&self) -> Statistics {
        let mut statistics = self.shared.count(|statistics| statistics.clone());
        statistics.estimated = self.shared.ledger.estimated();
        statistics
    }

    fn budget_spent(&self, limit: Limit) -> Error {
        let ledger = &self.shared.ledger;
        Error::BudgetSpent { limit, spent: ledger.spent(), cost: ledger.cost() }
    }

    /// A refusal that the list of models explains becomes that explanation.
    fn explained(&self, error: Error) -> Error {
        let Error::Refused { url, status, message, .. } = &error else { return error };
        let may_be_the_model = *status == 404 || (*status == 400 && message.to_lowercase().contains("model"));
        if !may_be_the_model {
            return error;
        }
        let options = &self.shared.options;
        let patience = PATIENCE_FOR_HINTS.min(options.timeout);
        match self.network.block_on(self.shared.list_models(patience)) {
            Ok(Ok(known)) if !known.is_empty() && !known.contains(&options.model) => {
                let known = known.iter().map(|name| self.shared.transport.presentable(name)).collect();
                let (url, message) = (url.clone(), message.clone());
                Error::UnknownModel { url, model: options.model.clone(), known, message }
            }
            _ => error,
        }
    }
}

impl Shared {
    pub(crate) fn count<T>(&self, change: impl FnOnce(&mut Statistics) -> T) -> T {
        change(&mut self.statistics.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { options, ledger, .. } = &*self.shared;
        formatter.debug_struct("Client").field("options", options).field("ledger", ledger).finish_non_exhaustive()
    }
}
