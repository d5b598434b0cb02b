//! What may be spent, and what was.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{Error, Usage};

/// What may be spent at most, that before this client included. What is `None` is not limited.
///
/// Calls are counted before they are sent and never exceed their limit. Tokens and cost are known only from responses:
/// requests that are under way when a limit is reached go beyond it, as many as there are at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Budget {
    /// Calls that the endpoint may have charged: those it answered, and those whose answer was lost on the way. Refused
    /// ones (429, 500, no connection, …) are free.
    pub max_calls: Option<u64>,
    /// Tokens, read and written together.
    pub max_tokens: Option<u64>,
    /// Cost, in the currency of the prices, which must then be given.
    pub max_cost: Option<f64>,
    /// Price of a million tokens read.
    pub prompt_price: f64,
    /// Price of a million tokens written.
    pub completion_price: f64,
}

impl Budget {
    /// What this costs, in the currency of the prices.
    pub fn cost(&self, spent: &Spent) -> f64 {
        let price =
            spent.prompt_tokens as f64 * self.prompt_price + spent.completion_tokens as f64 * self.completion_price;
        price / 1e6
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = |option, expected, found: f64| Err(Error::Option { option, expected, found: found.to_string() });
        let is_amount = |number: f64| number.is_finite() && number >= 0.0;
        for (option, number) in [
            ("prompt_price", self.prompt_price),
            ("completion_price", self.completion_price),
            ("max_cost", self.max_cost.unwrap_or_default()),
        ] {
            if !is_amount(number) {
                return wrong(option, "a number that is at least 0", number);
            }
        }
        match self.max_cost {
            Some(max_cost) if self.prompt_price + self.completion_price == 0.0 => {
                wrong("max_cost", "prices of tokens beside it", max_cost)
            }
            _ => Ok(()),
        }
    }
}

/// What was spent. A run that goes on gives a new client what the old one had spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Calls that the endpoint may have charged.
    pub calls: u64,
    /// Tokens read. Where the endpoint does not say, estimated at four characters a token.
    pub prompt_tokens: u64,
    /// Tokens written, estimated likewise. Of an answer that was lost on the way, none.
    pub completion_tokens: u64,
}

impl fmt::Display for Spent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spent { calls, prompt_tokens, completion_tokens } = self;
        write!(formatter, "{calls} calls, {prompt_tokens} tokens read, {completion_tokens} tokens written")
    }
}

/// A part of the budget that was reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// So many calls.
    Calls(u64),
    /// So many tokens.
    Tokens(u64),
    /// So much money.
    Cost(f64),
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Calls(calls) => write!(formatter, "{calls} calls"),
            Limit::Tokens(tokens) => write!(formatter, "{tokens} tokens"),
            Limit::Cost(cost) => write!(formatter, "{cost} in cost"),
        }
    }
}

/// The books. What is reserved is neither spent nor free.
#[derive(Debug)]
pub(crate) struct Ledger {
    budget: Budget,
    entries: Mutex<Entries>,
}

#[derive(Debug)]
struct Entries {
    spent: Spent,
    reserved: u64,
    estimated: u64,
}

impl Ledger {
    pub(crate) fn new(budget: Budget, spent: Spent) -> Ledger {
        Ledger { budget, entries: Mutex::new(Entries { spent, reserved: 0, estimated: 0 }) }
    }

    /// Make sure of one call, or say which limit forbids it.
    pub(crate) fn reserve(self: &Arc<Ledger>) -> Result<Reservation, Limit> {
        self.with(|entries| {
            let spent = &entries.spent;
            let calls = spent.calls.saturating_add(entries.reserved);
            let tokens = spent.prompt_tokens.saturating_add(spent.completion_tokens);
            if let Some(max_calls) = self.budget.max_calls.filter(|max_calls| calls >= *max_calls) {
                return Err(Limit::Calls(max_calls));
            }
            if let Some(max_tokens) = self.budget.max_tokens.filter(|max_tokens| tokens >= *max_tokens) {
                return Err(Limit::Tokens(max_tokens));
            }
            if let Some(max_cost) = self.budget.max_cost.filter(|max_cost| self.budget.cost(spent) >= *max_cost) {
                return Err(Limit::Cost(max_cost));
            }
            entries.reserved += 1;
            Ok(Reservation { ledger: Arc::clone(self), at_risk: None })
        })
    }

    pub(crate) fn spent(&self) -> Spent {
        self.with(|entries| entries.spent)
    }

    pub(crate) fn cost(&self) -> f64 {
        self.budget.cost(&self.spent())
    }

    /// Calls whose tokens were estimated.
    pub(crate) fn estimated(&self) -> u64 {
        self.with(|entries| entries.estimated)
    }

    fn with<T>(&self, use_them: impl FnOnce(&mut Entries) -> T) -> T {
        use_them(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The right to one call. Dropped while the call is under way it is spent, since the endpoint may charge it; otherwise it is
/// free again.
#[derive(Debug)]
pub(crate) struct Reservation {
    ledger: Arc<Ledger>,
    at_risk: Option<AtRisk>,
}

/// What a call costs if nothing more is learned about it.
#[derive(Debug)]
struct AtRisk {
    usage: Usage,
    is_estimate: bool,
}

impl Reservation {
    /// The call is sent; it may cost so much, even if its answer is lost.
    pub(crate) fn send(&mut self, estimate: Usage) {
        self.at_risk = Some(AtRisk { usage: estimate, is_estimate: true });
    }

    /// The call was not charged. The right to it remains.
    pub(crate) fn refused(&mut self) {
        self.at_risk = None;
    }

    /// The call was answered, and the endpoint said what it takes.
    pub(crate) fn answered(mut self, usage: Usage) {
        self.at_risk = Some(AtRisk { usage, is_estimate: false });
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let at_risk = self.at_risk.take();
        self.ledger.with(|entries| {
            entries.reserved -= 1;
            if let Some(AtRisk { usage, is_estimate }) = at_risk {
                let spent = &mut entries.spent;
                spent.calls = spent.calls.saturating_add(1);
                spent.prompt_tokens = spent.prompt_tokens.saturating_add(usage.prompt_tokens);
                spent.completion_tokens = spent.completion_tokens.saturating_add(usage.completion_tokens);
                entries.estimated += u64::from(is_estimate);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_counts_until_it_is_known() {
        let budget = Budget { max_calls: Some(2), ..Budget::default() };
        let ledger = Arc::new(Ledger::new(budget, Spent::default()));
        let mut first = ledger.reserve().unwrap();
        let second = ledger.reserve().unwrap();
        assert_eq!(ledger.reserve().unwrap_err(), Limit::Calls(2));
        drop(second);
        let mut second = ledger.reserve().unwrap();
        let usage = Usage { prompt_tokens: 3, completion_tokens: 0 };
        first.send(usage);
        first.refused();
        second.send(usage);
        drop(second);
        first.send(usage);
        first.answered(Usage { prompt_tokens: 5, completion_tokens: 7 });
        assert_eq!(ledger.spent(), Spent { calls: 2, prompt_tokens: 8, completion_tokens: 7 });
        assert_eq!(ledger.estimated(), 1);
        assert_eq!(ledger.reserve().unwrap_err(), Limit::Calls(2));
    }

    #[test]
    fn cost_follows_the_prices() {
        let spent = Spent { calls: 1, prompt_tokens: 1_000_000, completion_tokens: 500_000 };
        let budget = Budget { max_cost: Some(4.0), prompt_price: 2.0, completion_price: 4.0, ..Budget::default() };
        budget.check().unwrap();
        assert_eq!(budget.cost(&spent), 4.0);
        assert_eq!(Arc::new(Ledger::new(budget, spent)).reserve().unwrap_err(), Limit::Cost(4.0));
        assert!(Budget { max_cost: Some(1.0), ..Budget::default() }.check().is_err());
        assert!(Budget { prompt_price: f64::NAN, ..Budget::default() }.check().is_err());
    }
}
