//! Many requests side by side.

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{Error, Limit};

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
    pub(crate) fn failed(error: Error) -> Unfinished {
        Unfinished::Ended(End::Failed(error))
    }
}

/// Turns true when a batch must send nothing more.
pub(crate) type Stopped = watch::Receiver<bool>;

/// Run `n` requests, so many at once. `start` begins one, or says why the batch is over. Returns why it ended early, if it did;
/// the error is that of `finished`.
pub(crate) async fn batch<T, F, E>(
    n: usize,
    concurrency: usize,
    mut start: impl FnMut(usize, Stopped) -> Result<F, End>,
    finished: &mut dyn FnMut(usize, T) -> Result<(), E>,
) -> Result<Option<End>, E>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Unfinished>> + Send + 'static,
{
    let (stop, stopped) = watch::channel(false);
    let mut waiting = 0..n;
    let mut tasks = JoinSet::new();
    let mut end = None;
    loop {
        // 1. Send as much as may be under way.
        while end.is_none() && tasks.len() < concurrency {
            let Some(position) = waiting.next() else { break };
            match start(position, stopped.clone()) {
                Ok(request) => {
                    tasks.spawn(async move { (position, request.await) });
                }
                Err(reason) => end = Some(reason),
            }
        }
        // 2. Once the batch is over, let nobody ask again.
        if end.is_some() {
            stop.send_replace(true);
        }
        // 3. Hand over what is there.
        let Some(joined) = tasks.join_next().await else { return Ok(end) };
        match joined {
            Ok((position, Ok(response))) => {
                if let Err(error) = finished(position, response) {
                    tasks.shutdown().await;
                    return Err(error);
                }
            }
            Ok((_, Err(Unfinished::Stopped))) => {}
            Ok((_, Err(Unfinished::Ended(reason)))) => end = end.or(Some(reason)),
            // Nobody aborts a task while the batch runs, so it is a bug that panicked there.
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
}
