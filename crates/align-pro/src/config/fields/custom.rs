//! `[reward.command]` and `[reward.http]`.

use super::Absent::{Nothing, Refused, Value};
use super::Kind::{Argv, Name, Path, Whole};
use super::{COUNT, Field, POSITIVE, field};

pub(super) const COMMAND: &[Field] = &[
    field("argv", Argv, Refused, "The program and its arguments, as a list: no shell reads them."),
    field("folder", Path, Value("'.'"), "Where it runs."),
    field("timeout", POSITIVE, Value("60.0"), "Seconds that it may say nothing while it has something to answer."),
    field("max-restarts", Whole(0, 1000), Value("2"), "How often it is started anew without an answer in between."),
    field("batch", COUNT, Nothing, "The most exchanges that wait for their answers at once; a whole step without it."),
];

pub(super) const HTTP: &[Field] = &[
    field("url", Name, Refused, "Where the exchanges are posted, as in `http://localhost:8000/score`."),
    field("api-key-env", Name, Nothing, "The environment variable that holds the key; the key itself is never stored."),
    field("batch", COUNT, Value("32"), "The most exchanges in one request."),
    field("concurrency", Whole(1, 4096), Value("4"), "Requests under way at once."),
    field("timeout", POSITIVE, Value("300.0"), "Seconds that one attempt may take."),
    field("max-retries", Whole(0, 1000), Value("6"), "How often a request that failed is asked again."),
];
