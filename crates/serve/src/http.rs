//! Connections, bodies, and how they end. What is answered is the business of others.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::wire::Refusal;

/// Bytes a body may have.
pub(crate) const LONGEST_BODY: usize = 8 << 20;
/// Bytes of a body that is too long that are read and thrown away, so that its sender gets to read why: one that is still
/// writing when the connection closes sees nothing but that.
const PATIENCE_WITH_BODIES: usize = 64 << 20;
/// How long the head of a request, and then its body, may take to arrive.
const SLOWEST_REQUEST: Duration = Duration::from_secs(30);
const MOST_CONNECTIONS: usize = 1024;
/// How often it is asked whether to stop.
const TICK: Duration = Duration::from_millis(25);
/// How long clients get to take their answers once all of them are there.
const PATIENCE_AT_THE_END: Duration = Duration::from_secs(5);

/// Serve everyone who connects until `is_over`.
pub(crate) async fn accept<R, F>(
    listener: TcpListener,
    respond: R,
    connections: &GracefulShutdown,
    is_over: &dyn Fn() -> bool,
) where
    R: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    while !is_over() {
        let Ok(Ok(place)) = timeout(TICK, Arc::clone(&places).acquire_owned()).await else { continue };
        let stream = match timeout(TICK, listener.accept()).await {
            Ok(Ok((stream, _))) => stream,
            // Too many open files, or a client that is gone already.
            Ok(Err(_)) => {
                sleep(TICK).await;
                continue;
            }
            Err(_elapsed) => continue,
        };
        let respond = respond.clone();
        let service = service_fn(move |request| {
            let response = respond(request);
            async move { Ok::<_, Infallible>(response.await) }
        });
        let mut protocol = http1::Builder::new();
        protocol.timer(TokioTimer::new()).header_read_timeout(SLOWEST_REQUEST);
        let connection = connections.watch(protocol.serve_connection(TokioIo::new(stream), service));
        // `finish` waits for it, and the runtime takes it down at the latest.
        tokio::spawn(async move {
            // A client that goes away in the middle is nobody's failure.
            let _ = connection.await;
            drop(place);
        });
    }
}

/// Let every connection finish the request it is at, as long as answers come, and a little longer.
pub(crate) async fn finish(connections: GracefulShutdown, no_more_answers: &dyn Fn() -> bool) {
    let mut finished = pin!(connections.shutdown());
    let mut last_answer = None;
    while timeout(TICK, &mut finished).await.is_err() {
        if no_more_answers() && last_answer.get_or_insert_with(Instant::now).elapsed() > PATIENCE_AT_THE_END {
            return;
        }
    }
}

/// A request's whole body.
pub(crate) async fn body(body: Incoming) -> Result<Vec<u8>, Refusal> {
    timeout(SLOWEST_REQUEST, read(body)).await.unwrap_or_else(|_elapsed| Err(Refusal::slow_body()))
}

async fn read(mut body: Incoming) -> Result<Vec<u8>, Refusal> {
    let (mut read, mut length) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_gone| Refusal::cut_body())?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length <= LONGEST_BODY {
            read.extend_from_slice(&data);
        } else if length <= PATIENCE_WITH_BODIES {
            read = Vec::new();
        } else {
            break;
        }
    }
    if length > LONGEST_BODY { Err(Refusal::long_body(LONGEST_BODY)) } else { Ok(read) }
}
