//! Every fault, once and for ever, among many normal requests.

use std::time::{Duration, Instant};

use endpoint::{Budget, Cause, Client, Error, Spent};

use crate::support::{Act, KEY, Outcome, Server, client, options, requests, run, told, within};

const N: usize = 40;
const CONCURRENCY: usize = 8;
/// Requests whose position is a multiple of this meet the fault.
const EVERY: usize = 5;
/// Long enough for a server on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// A fault, what it is called, and whether the endpoint may charge for it.
pub(crate) struct Fault {
    pub(crate) act: Act,
    pub(crate) cause: Cause,
    is_charged: bool,
}

pub(crate) fn faults() -> Vec<Fault> {
    let fault = |act, cause, is_charged| Fault { act, cause, is_charged };
    // A server may repeat the key that it does not like.
    let status = |status| fault(Act::status(status, format!("busy, {KEY}")), Cause::Status(status), false);
    let mut faults: Vec<Fault> = [408, 409, 425, 429, 500, 502, 503, 504, 529].into_iter().map(status).collect();
    let waiting = Act::Reply(429, vec![("retry-after", "0.01".to_owned())], "{}".to_owned());
    faults.extend([
        fault(waiting, Cause::Status(429), false),
        fault(Act::Late(Duration::from_secs(30)), Cause::Timeout, true),
        fault(Act::Cut, Cause::Cut, true),
        fault(Act::Close, Cause::Cut, true),
        fault(Act::Raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"a".to_vec()), Cause::Cut, true),
        fault(Act::Raw(b"what is this?\r\n\r\n".to_vec()), Cause::Cut, true),
        fault(Act::status(200, "{ \"choices\": ["), Cause::Malformed, true),
        fault(Act::status(200, "<html>"), Cause::Malformed, true),
        fault(Act::status(200, "{ \"choices\": [{}] }"), Cause::Malformed, true),
        fault(Act::status(200, "{ \"choices\": [] }"), Cause::NoChoices, true),
        fault(Act::status(200, "{ \"error\": { \"message\": \"overloaded\" } }"), Cause::NoChoices, true),
    ]);
    faults
}

/// Run the batch against a server where the chosen requests meet the fault the first `n_times`.
fn batch(act: &Act, n_times: usize, every: usize) -> (Server, Client, Outcome) {
    let is_late = matches!(act, Act::Late(_));
    let act = act.clone();
    let server = Server::start(move |seen| {
        let meets = seen.position().is_multiple_of(every) && seen.n_before < n_times;
        if meets { act.clone() } else { Act::Late(Duration::from_millis(1)) }
    });
    let mut options = options(&server);
    options.concurrency = CONCURRENCY;
    if is_late {
        options.timeout = PATIENCE;
    }
    let client = Client::new(options, Budget::default(), Spent::default()).unwrap();
    let outcome = run(&client, &requests(N));
    (server, client, outcome)
}

/// A server learns too late that a client has given up, and takes more to be under way than are.
fn assert_few_at_once(server: &Server, cause: Cause) {
    assert!(server.most_in_flight() <= CONCURRENCY || cause == Cause::Timeout);
}

fn assert_no_key(client: &Client, outcome: &Outcome) {
    let error = outcome.result.as_ref().err().map(|error| told(error)).unwrap_or_default();
    let texts = format!("{client:?} {:?} {:?} {error}", client.statistics(), client.spent());
    assert!(!texts.contains(KEY), "{texts}");
}

fn a_passing_fault_changes_nothing(fault: Fault) {
    let Fault { act, cause, is_charged } = fault;
    let (server, client, outcome) = batch(&act, 2, EVERY);
    let n_hit = N.div_ceil(EVERY);
    outcome.result.as_ref().unwrap();
    assert_eq!(outcome.responses.len(), N);
    for (position, response) in &outcome.responses {
        assert_eq!(response.choices.len(), 1);
        assert!(response.choices[0].text.contains(&format!("request {position}\"")), "{response:?}");
    }
    let statistics = client.statistics();
    assert_eq!(server.n_chats(), N + 2 * n_hit);
    assert_eq!(statistics.attempts as usize, N + 2 * n_hit);
    assert_eq!(statistics.answered as usize, N);
    assert_eq!(statistics.retried.into_iter().collect::<Vec<_>>(), [(cause, 2 * n_hit as u64)]);
    assert_eq!(client.spent().calls as usize, N + if is_charged { 2 * n_hit } else { 0 });
    assert_eq!(client.spent().completion_tokens as usize, 5 * N);
    assert_few_at_once(&server, cause);
    assert_no_key(&client, &outcome);
}

fn a_lasting_fault_is_one_error(fault: Fault) {
    // Only request 0 meets it.
    let (server, client, outcome) = batch(&fault.act, usize::MAX, N);
    match &outcome.result {
        Err(Error::Unanswered { request: Some(0), attempts: 4, cause, .. }) => assert_eq!(*cause, fault.cause),
        other => panic!("{other:?}"),
    }
    assert_eq!(server.seen().iter().filter(|seen| seen.position() == 0).count(), 4);
    // Whoever was answered was handed over, and nobody was asked twice.
    let answered: Vec<usize> = outcome.responses.keys().copied().collect();
    let mut asked: Vec<usize> = server.seen().iter().map(|seen| seen.position()).filter(|at| *at != 0).collect();
    asked.sort_unstable();
    assert_eq!(answered, asked);
    assert_few_at_once(&server, fault.cause);
    assert_no_key(&client, &outcome);
}

#[test]
fn faults_that_pass_change_nothing() {
    check_all(a_passing_fault_changes_nothing);
}

#[test]
fn faults_that_last_are_one_error() {
    check_all(a_lasting_fault_is_one_error);
}

/// Those that wait beside those that work.
pub(crate) fn check_all(check: fn(Fault)) {
    let (late, others): (Vec<_>, Vec<_>) = faults().into_iter().partition(|fault| fault.cause == Cause::Timeout);
    within(Duration::from_secs(60), move || {
        let late = std::thread::spawn(move || late.into_iter().for_each(check));
        others.into_iter().for_each(check);
        if let Err(panic) = late.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn where_nobody_listens_there_is_no_connection() {
    let server = Server::start(|_| Act::Answer);
    let options = options(&server);
    drop(server);
    std::thread::sleep(Duration::from_millis(50));
    let client = Client::new(options, Budget::default(), Spent::default()).unwrap();
    let outcome = run(&client, &requests(1));
    let error = outcome.result.unwrap_err();
    assert!(matches!(error, Error::Unanswered { cause: Cause::Connect, attempts: 4, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("running"));
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(client.spent(), Spent::default());
}

#[test]
fn what_the_server_asks_to_wait_is_waited() {
    let server = Server::start(|seen| match seen.n_before {
        0 => Act::Reply(429, vec![("retry-after", "0.2".to_owned())], String::new()),
        _ => Act::Answer,
    });
    run(&client(&server), &requests(1)).result.unwrap();
    let [first, second] = &server.seen()[..] else { panic!("two attempts") };
    let waited = second.at - first.at;
    assert!((Duration::from_millis(200)..Duration::from_secs(5)).contains(&waited), "{waited:?}");
}

#[test]
fn nobody_waits_for_hours() {
    for wait in ["3600", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let server =
            Server::start(move |_| Act::Reply(429, vec![("retry-after", wait.to_owned())], "tomorrow".to_owned()));
        let begun = Instant::now();
        let error = run(&client(&server), &requests(20)).result.unwrap_err();
        assert!(matches!(error, Error::WaitTooLong { .. }), "{error:?}");
        assert!(error.to_string().ends_with("more than the 120 s that are waited at most: tomorrow"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

/// The end of a batch cuts waits short: nobody stays for a repetition that will not be.
#[test]
fn the_end_wakes_those_who_wait() {
    let server = Server::start(|seen| match seen.position() {
        0 => Act::Reply(503, vec![("retry-after", "100".to_owned())], String::new()),
        9 => Act::status(400, "no"),
        _ => Act::Late(Duration::from_millis(5)),
    });
    let begun = Instant::now();
    let error = run(&client(&server), &requests(20)).result.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 400, request: Some(9), .. }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}
