//! Bodies: of requests on their way to a use case, and of responses that may fail in the middle.

use std::io;
use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use pagevault_registry::{RegistryError, RegistryErrorKind as Kind};
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::app::App;
use crate::errors::{Failure, Handled};
use crate::turns::Turns;

/// Chunks between the connection and a use case: enough to keep both busy.
const CHUNKS_AHEAD: usize = 4;

/// Bytes and time that the rest of a refused body may take.
const LINGER_BYTES: usize = 16 << 20;
const LINGER: Duration = Duration::from_secs(1);

/// Bytes that a stream of a response yields.
pub(crate) type Bits = stream::BoxStream<'static, Result<Bytes, RegistryError>>;

/// Sends a body to a use case that runs to its end, also when the client goes away meanwhile: then
/// it sees a broken body, never a short one.
pub(crate) async fn send<T, F, W>(body: Incoming, work: W) -> Handled<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T, RegistryError>> + Send + 'static,
    W: FnOnce(pagevault_registry::Body) -> F,
{
    let turn = body.turns.take().await;
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    let chunks = stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver: mpsc::Receiver<Chunk> = receiver?;
        match receiver.recv().await {
            Some(Chunk::Bytes(bytes)) => Some((Ok(bytes), Some(receiver))),
            Some(Chunk::Broken(error)) => Some((Err(error), None)),
            Some(Chunk::End) => None,
            None => Some((Err(broken("the client went away")), None)),
        }
    });
    let task = tokio::spawn(work(chunks.boxed()).in_current_span());
    let rest = pump(body, sender).await;
    let done = joined(task).await;
    drop(turn);
    if done.is_err() {
        linger(rest).await;
    }
    done
}

/// Runs a use case to its end, also when the client goes away meanwhile.
pub(crate) async fn to_the_end<T, F>(work: F) -> Handled<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T, RegistryError>> + Send + 'static,
{
    joined(tokio::spawn(work.in_current_span())).await
}

async fn joined<T>(task: tokio::task::JoinHandle<Result<T, RegistryError>>) -> Handled<T> {
    let done = task.await.unwrap_or_else(|e| {
        Err(RegistryError::new(Kind::Internal, format!("work was cut short: {e}")))
    });
    done.map_err(Failure::from)
}

/// What goes from a connection to a use case. The end is said, so that it cannot be mistaken.
enum Chunk {
    Bytes(Bytes),
    Broken(io::Error),
    End,
}

/// The body of a request, and what is known of it.
#[derive(Debug)]
pub(crate) struct Incoming {
    body: Body,
    expected: Option<u64>,
    turns: Turns,
    idle: Duration,
}

impl Incoming {
    pub(crate) fn new(app: &App, body: Body, headers: &HeaderMap) -> Self {
        let (turns, idle) = (app.turns.clone(), app.settings.body_timeout());
        Self { body, expected: content_length(headers), turns, idle }
    }

    /// Bytes that the client says it will send.
    pub(crate) fn length(&self) -> Option<u64> {
        self.expected
    }

    /// Another source than Content-Length says how long the body is.
    pub(crate) fn expect(&mut self, bytes: u64) {
        self.expected = Some(bytes);
    }

    /// True if nothing will come.
    pub(crate) fn is_empty(&self) -> bool {
        self.expected == Some(0) || self.body.is_end_stream()
    }

    /// Reads all of a body that has at most `max` bytes.
    pub(crate) async fn read(self, max: u64) -> Handled<Bytes> {
        if self.expected.is_some_and(|bytes| bytes > max) {
            return Err(Failure::too_large(max));
        }
        let _turn = self.turns.take().await;
        let mut all = BytesMut::new();
        let mut chunks = Chunks::of(self);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|e| {
                RegistryError::new(Kind::BodyBroken, "the body was cut short").caused_by(e)
            })?;
            all.extend_from_slice(&chunk);
            if all.len() as u64 > max {
                return Err(Failure::too_large(max));
            }
        }
        Ok(all.freeze())
    }
}

/// Content-Length, if there is one that can be read.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Bytes that must come within the body's time.
const PACE_BYTES: usize = 64 << 10;

/// The chunks of a body, which must come at a pace: one that comes a byte a minute holds a turn.
struct Chunks {
    stream: BodyDataStream,
    idle: Duration,
    /// Since bytes were enough: what came, and how long we waited for it. Time in which we did not
    /// ask is not the client's.
    bytes: usize,
    waited: Duration,
}

impl Chunks {
    fn of(body: Incoming) -> Self {
        Self {
            stream: body.body.into_data_stream(),
            idle: body.idle,
            bytes: 0,
            waited: Duration::ZERO,
        }
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let asked = Instant::now();
        let left = self.idle.saturating_sub(self.waited);
        match tokio::time::timeout(left, self.stream.next()).await {
            Ok(chunk) => {
                self.waited += asked.elapsed();
                self.bytes += chunk.as_ref().and_then(|c| c.as_ref().ok()).map_or(0, Bytes::len);
                if self.bytes >= PACE_BYTES {
                    (self.bytes, self.waited) = (0, Duration::ZERO);
                }
                chunk.map(|c| c.map_err(io::Error::other))
            }
            Err(_) => {
                let error = io::Error::new(io::ErrorKind::TimedOut, "too little came for too long");
                Some(Err(error))
            }
        }
    }
}

/// Passes a body on until it ends, breaks, or is not wanted any more; then what is left of it.
async fn pump(body: Incoming, to: mpsc::Sender<Chunk>) -> Option<BodyDataStream> {
    let expected = body.expected;
    let mut chunks = Chunks::of(body);
    let mut received = 0u64;
    loop {
        let chunk = tokio::select! {
            chunk = chunks.next() => chunk,
            // It has failed, and a client that sends nothing would not be told before its time.
            () = to.closed() => return Some(chunks.stream),
        };
        let message = match chunk {
            Some(Ok(bytes)) => {
                received = received.saturating_add(bytes.len() as u64);
                match expected.is_some_and(|expected| received > expected) {
                    true => Chunk::Broken(broken("the body is longer than was said")),
                    false => Chunk::Bytes(bytes),
                }
            }
            Some(Err(error)) => Chunk::Broken(error),
            None if expected.is_some_and(|expected| received < expected) => {
                Chunk::Broken(broken("the body is shorter than was said"))
            }
            None => Chunk::End,
        };
        let last = !matches!(message, Chunk::Bytes(_));
        if last {
            let _ = to.send(message).await;
            return None;
        }
        if to.send(message).await.is_err() {
            return Some(chunks.stream);
        }
    }
}

/// Reads a little of what a refused client still sends: a connection that is closed over unread
/// bytes is reset, and with it goes the response that tells why.
async fn linger(rest: Option<BodyDataStream>) {
    let Some(mut chunks) = rest else { return };
    let mut left = LINGER_BYTES;
    let reading = async {
        while let Some(Ok(chunk)) = chunks.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                return;
            }
        }
    };
    // Whether it ended or not, the response goes out now.
    let _ = tokio::time::timeout(LINGER, reading).await;
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, what)
}

/// Makes a body of a stream. Its first part is awaited: damage that shows at once is an error of
/// the request. Damage further on ends the connection short of its Content-Length.
pub(crate) async fn outgoing(mut bits: Bits) -> Handled<Body> {
    match bits.next().await {
        None => Ok(Body::empty()),
        Some(Err(error)) => Err(error.into()),
        Some(Ok(first)) => {
            let rest = bits.inspect_err(|error| {
                tracing::error!(error.kind = ?error.kind(), "response cut short: {error}");
            });
            Ok(Body::from_stream(stream::iter([Ok(first)]).chain(rest)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    const IDLE: Duration = Duration::from_secs(5);

    fn incoming(parts: Vec<io::Result<&'static str>>, length: Option<&str>) -> Incoming {
        let body = Body::from_stream(stream::iter(parts));
        let mut headers = HeaderMap::new();
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, length.parse().unwrap());
        }
        of(body, &headers, IDLE)
    }

    fn of(body: Body, headers: &HeaderMap, idle: Duration) -> Incoming {
        let turns = Turns::new(1, &Metrics::default());
        Incoming { body, expected: content_length(headers), turns, idle }
    }

    /// What a use case sees of a body: its bytes, and whether it ended well.
    async fn seen(body: Incoming) -> (Vec<u8>, bool) {
        let collect = |mut body: pagevault_registry::Body| async move {
            let mut bytes = Vec::new();
            while let Some(chunk) = body.next().await {
                match chunk {
                    Ok(chunk) => bytes.extend_from_slice(&chunk),
                    Err(_) => return Ok((bytes, false)),
                }
            }
            Ok((bytes, true))
        };
        send(body, collect).await.unwrap()
    }

    #[tokio::test]
    async fn only_a_whole_body_ends_well() {
        assert_eq!(seen(incoming(vec![Ok("ab"), Ok("c")], None)).await, (b"abc".to_vec(), true));
        assert_eq!(seen(incoming(vec![Ok("ab")], Some("2"))).await, (b"ab".to_vec(), true));
        assert!(!seen(incoming(vec![Ok("ab")], Some("3"))).await.1);
        assert!(!seen(incoming(vec![Ok("ab")], Some("1"))).await.1);
        assert!(!seen(incoming(vec![Ok("ab"), Err(broken("x"))], None)).await.1);
    }

    #[tokio::test]
    async fn a_client_that_goes_away_leaves_a_broken_body() {
        let (told, tell) = tokio::sync::oneshot::channel();
        let endless =
            Body::from_stream(stream::iter([Ok::<_, io::Error>("ab")]).chain(stream::pending()));
        let body = of(endless, &HeaderMap::new(), IDLE);
        let request = tokio::spawn(send(body, move |mut body| async move {
            assert_eq!(body.next().await.unwrap().unwrap(), "ab");
            let _ = told.send(body.next().await.unwrap().is_err());
            Ok(())
        }));
        tokio::time::sleep(Duration::from_millis(20)).await;
        request.abort();
        assert!(tell.await.unwrap());
    }

    #[tokio::test]
    async fn a_client_that_is_silent_is_told_of_a_failure() {
        let silent = Body::from_stream(stream::pending::<io::Result<Bytes>>());
        let body = of(silent, &HeaderMap::new(), Duration::from_secs(3600));
        let failing = |_| async { Err::<(), _>(RegistryError::new(Kind::UploadUnknown, "none")) };
        let told = tokio::time::timeout(Duration::from_secs(30), send(body, failing)).await;
        assert!(told.expect("it waits for the client").is_err());
    }

    #[tokio::test]
    async fn a_body_that_drips_is_broken_and_one_that_flows_is_not() {
        let idle = Duration::from_millis(200);
        let drip = |bytes: usize| {
            let chunks = stream::unfold(0, move |n| async move {
                tokio::time::sleep(Duration::from_millis(30)).await;
                (n < 20).then(|| (Ok::<_, io::Error>(Bytes::from(vec![0; bytes])), n + 1))
            });
            of(Body::from_stream(chunks), &HeaderMap::new(), idle)
        };
        assert!(!seen(drip(1)).await.1);
        assert_eq!(seen(drip(PACE_BYTES)).await, (vec![0; 20 * PACE_BYTES], true));
    }

    #[tokio::test]
    async fn bodies_wait_for_their_turn() {
        let turns = Turns::new(1, &Metrics::default());
        let body = || {
            let body = Body::from("abc");
            Incoming { body, expected: None, turns: turns.clone(), idle: IDLE }
        };
        let turn = turns.take().await;
        let waiting = tokio::spawn(body().read(3));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());
        drop(turn);
        assert_eq!(waiting.await.unwrap().unwrap(), "abc");
        assert_eq!(seen(body()).await, (b"abc".to_vec(), true));
    }

    #[tokio::test]
    async fn bounded_bodies() {
        let read = |parts, length, max| incoming(parts, length).read(max);
        assert_eq!(read(vec![Ok("abc")], None, 3).await.unwrap(), "abc");
        assert!(read(vec![Ok("abcd")], None, 3).await.is_err());
        assert!(read(vec![], Some("4"), 3).await.is_err());
        assert!(read(vec![Ok("a"), Err(broken("x"))], None, 3).await.is_err());
    }

    #[tokio::test]
    async fn damage_at_once_is_an_error_of_the_request() {
        let damaged = || Err(RegistryError::new(Kind::Damaged, "bad block"));
        assert!(outgoing(stream::iter([damaged()]).boxed()).await.is_err());
        let late = stream::iter([Ok(Bytes::from_static(b"a")), damaged()]).boxed();
        let mut parts = outgoing(late).await.unwrap().into_data_stream();
        assert_eq!(parts.next().await.unwrap().unwrap(), "a");
        assert!(parts.next().await.unwrap().is_err());
    }
}
