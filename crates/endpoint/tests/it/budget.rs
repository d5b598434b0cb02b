//! No more is spent than may be.

use std::time::Duration;

use endpoint::{Budget, Client, Error, Limit, Spent};

use crate::support::{Act, Server, options, requests, run, within};

/// A mix of what happens to requests, different for each run of the test below.
fn mixed(variety: usize) -> Server {
    Server::start(move |seen| {
        let draw = (seen.position() * 31 + seen.n_before * 17 + variety * 7) % 11;
        match draw {
            0 => Act::status(429, "slow down"),
            1 => Act::status(503, ""),
            2 => Act::Cut,
            3 => Act::status(200, "{ \"choices\": [] }"),
            4..7 => Act::Late(Duration::from_millis(draw as u64 % 3)),
            _ => Act::Answer,
        }
    })
}

#[test]
fn calls_never_exceed_their_limit() {
    within(Duration::from_secs(20), || {
        for (variety, max_calls) in [0, 1, 2, 7, 16, 17, 50, 99, 100, 1000].into_iter().enumerate() {
            let server = mixed(variety);
            let mut options = options(&server);
            options.concurrency = 16;
            options.max_retries = 20;
            let budget = Budget { max_calls: Some(max_calls), ..Budget::default() };
            let client = Client::new(options, budget, Spent::default()).unwrap();
            let outcome = run(&client, &requests(100));
            assert!(server.answered() as u64 <= max_calls, "{} of {max_calls}", server.answered());
            assert_eq!(client.spent().calls, server.answered() as u64);
            match outcome.result {
                Ok(()) => assert_eq!(outcome.responses.len(), 100),
                Err(Error::BudgetSpent { limit, spent, .. }) => {
                    assert_eq!(limit, Limit::Calls(max_calls));
                    assert_eq!(spent, client.spent());
                    assert!(outcome.responses.len() as u64 <= max_calls);
                }
                Err(error) => panic!("{error:?}"),
            }
            assert_eq!(client.statistics().answered as usize, outcome.responses.len());
        }
    });
}

#[test]
fn a_budget_that_suffices_exactly_suffices() {
    let server = Server::start(|_| Act::Answer);
    let budget = Budget { max_calls: Some(30), ..Budget::default() };
    let spent = Spent { calls: 10, prompt_tokens: 100, completion_tokens: 50 };
    let client = Client::new(options(&server), budget, spent).unwrap();
    run(&client, &requests(20)).result.unwrap();
    assert_eq!(client.spent(), Spent { calls: 30, prompt_tokens: 300, completion_tokens: 150 });
    run(&client, &[]).result.unwrap();
    let error = run(&client, &requests(1)).result.unwrap_err();
    let expected = "the budget of 30 calls is spent: 30 calls, 300 tokens read, 150 tokens written, cost 0.0000";
    assert_eq!(error.to_string(), expected);
    assert_eq!(server.n_chats(), 20);
}

#[test]
fn tokens_and_cost_end_a_batch_with_what_is_under_way() {
    let limits = [
        (Budget { max_tokens: Some(150), ..Budget::default() }, Limit::Tokens(150)),
        // 15 tokens a call, at 1 each.
        (
            Budget { max_cost: Some(150.0), prompt_price: 1e6, completion_price: 1e6, ..Budget::default() },
            Limit::Cost(150.0),
        ),
    ];
    for (budget, expected) in limits {
        let server = Server::start(|_| Act::Late(Duration::from_millis(2)));
        let client = Client::new(options(&server), budget, Spent::default()).unwrap();
        let outcome = run(&client, &requests(100));
        let Err(Error::BudgetSpent { limit, spent, .. }) = outcome.result else { panic!("{:?}", outcome.result) };
        assert_eq!(limit, expected);
        // Ten calls fit; with the tenth answer up to seven others are under way.
        assert!((10..=17).contains(&spent.calls), "{spent}");
        assert_eq!(outcome.responses.len() as u64, spent.calls);
        assert_eq!(server.n_chats() as u64, spent.calls);
    }
}

#[test]
fn what_the_endpoint_does_not_count_is_estimated() {
    let server = Server::start(|_| Act::status(200, r#"{ "choices": [{ "message": { "content": "12345" } }] }"#));
    let client = Client::new(options(&server), Budget::default(), Spent::default()).unwrap();
    let outcome = run(&client, &requests(10));
    outcome.result.unwrap();
    assert_eq!(outcome.responses[&0].usage, None);
    // "request 0" has nine characters, the answer five.
    assert_eq!(client.spent(), Spent { calls: 10, prompt_tokens: 30, completion_tokens: 20 });
    assert_eq!(client.statistics().estimated, 10);
}
