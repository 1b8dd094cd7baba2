//! Against hyper's own client, whose windows open as its bodies are read, with a clock that jumps.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self as client, SendRequest};
use hyper::server::conn::http2 as server;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::{Instant, sleep, timeout};

use super::*;

const LIMITS: PatienceLimits = PatienceLimits { idle: Duration::from_mins(1), bytes_per_second: 100 };
const DAY: Duration = Duration::from_hours(24);

/// An answer that has these parts, and trailers, and then ends or stays open.
#[derive(Clone, Default)]
struct Script {
    parts: Vec<usize>,
    /// The length is said before.
    is_sized: bool,
    trailers: bool,
    stays_open: bool,
}

struct Played {
    parts: VecDeque<usize>,
    script: Script,
    is_dropped: Arc<AtomicBool>,
}

impl Body for Played {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(part) = self.parts.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(vec![b'x'; part].into()))));
        }
        if std::mem::take(&mut self.script.trailers) {
            let trailers = HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("1"))]);
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        if self.script.stays_open { Poll::Pending } else { Poll::Ready(None) }
    }

    fn is_end_stream(&self) -> bool {
        self.script.is_sized && self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if self.script.is_sized {
            SizeHint::with_exact(self.parts.iter().sum::<usize>() as u64)
        } else {
            SizeHint::default()
        }
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        self.is_dropped.store(true, Ordering::Relaxed);
    }
}

/// One connection to a server that plays its scripts, one for each request in turn.
struct World {
    client: SendRequest<Empty<Bytes>>,
    running: Arc<AtomicI64>,
    given_up: Arc<Mutex<Vec<OutOfPatience>>>,
    /// Of each answer, whether its body was let go.
    dropped: Vec<Arc<AtomicBool>>,
}

impl World {
    /// The client's streams begin with this window.
    async fn start(window: u32, scripts: &[Script]) -> Self {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (running, given_up) = (Arc::<AtomicI64>::default(), Arc::<Mutex<Vec<OutOfPatience>>>::default());
        let dropped: Vec<_> = scripts.iter().map(|_| Arc::<AtomicBool>::default()).collect();
        let bodies = scripts.iter().zip(&dropped).map(|(script, dropped)| Played {
            parts: script.parts.iter().copied().collect(),
            script: script.clone(),
            is_dropped: Arc::clone(dropped),
        });
        let bodies = Arc::new(Mutex::new(bodies.collect::<VecDeque<_>>()));
        let service = service_fn(move |_: Request<Incoming>| {
            let body = bodies.lock().unwrap().pop_front().unwrap();
            async move { Ok::<_, Infallible>(Response::new(PacedBody::new(body, LIMITS))) }
        });
        let reports = Arc::clone(&given_up);
        let executor = StreamExecutor::new(LIMITS, Arc::clone(&running), move |out| reports.lock().unwrap().push(out));
        tokio::spawn(
            server::Builder::new(executor).timer(TokioTimer::new()).serve_connection(TokioIo::new(far), service),
        );
        let (client, connection) = client::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(window)
            .initial_connection_window_size(1 << 24)
            .handshake(TokioIo::new(near))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self { client, running, given_up, dropped }
    }

    async fn ask(&mut self) -> Incoming {
        self.client.send_request(Request::new(Empty::new())).await.unwrap().into_body()
    }

    /// Waits until no stream runs; how long that took.
    async fn finished(&self) -> Duration {
        let begun = Instant::now();
        while self.running.load(Ordering::Relaxed) > 0 {
            sleep(Duration::from_millis(100)).await;
        }
        begun.elapsed()
    }

    fn given_up(&self) -> Vec<OutOfPatience> {
        self.given_up.lock().unwrap().clone()
    }
}

fn of(parts: &[usize]) -> Script {
    Script { parts: parts.to_vec(), ..Script::default() }
}

fn sized(parts: &[usize]) -> Script {
    Script { is_sized: true, ..of(parts) }
}

fn is_reset(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).unwrap().to_string();
    cause == "stream error received: stream no longer needed"
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_window_stays_shut_is_reset_and_its_body_let_go() {
    for window in [0, 1, 99, 100] {
        for script in [sized(&[100, 1]), of(&[100, 1]), sized(&[101]), Script { trailers: true, ..of(&[101]) }] {
            let mut world = World::start(window, &[script]).await;
            let mut body = world.ask().await;
            let took = world.finished().await.as_secs();
            assert!((60..=62).contains(&took), "{window}: {took} s");
            assert_eq!(world.given_up(), [OutOfPatience::Idle], "{window}");
            assert!(world.dropped[0].load(Ordering::Relaxed), "{window}");
            let error = loop {
                match body.frame().await {
                    Some(Ok(_)) => (),
                    Some(Err(error)) => break error,
                    None => panic!("{window}: ended as if it were whole"),
                }
            };
            assert!(is_reset(&error), "{error:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn other_streams_of_the_connection_go_on() {
    let mut world = World::start(65_535, &[sized(&[1 << 20]), of(&[1; 1_000]), sized(&[1 << 20])]).await;
    let mut untaken = world.ask().await;
    let mut other = world.ask().await;
    for _ in 0..1_000 {
        sleep(Duration::from_millis(100)).await;
        other.frame().await.unwrap().unwrap();
    }
    assert!(other.frame().await.is_none());
    assert_eq!(world.given_up(), [OutOfPatience::Idle]);
    let whole = world.ask().await.collect().await.unwrap().to_bytes();
    assert_eq!(whole.len(), 1 << 20, "the connection is as good as before");
    while let Some(Ok(_)) = untaken.frame().await {}
}

#[tokio::test(start_paused = true)]
async fn byte_after_byte_is_too_slow() {
    let mut world = World::start(1, &[sized(&[10_000])]).await;
    let mut body = world.ask().await;
    let begun = Instant::now();
    let mut took = 0;
    while let Some(Ok(_)) = body.frame().await {
        took += 1;
        sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(world.given_up(), [OutOfPatience::Slow]);
    assert!(took < 15 && begun.elapsed() < Duration::from_secs(75), "{took} {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_that_keeps_to_the_rate_gets_all_of_it() {
    let mut world = World::start(1_000, &[sized(&[100_000])]).await;
    let mut body = world.ask().await;
    let (begun, mut took) = (Instant::now(), 0);
    while let Some(frame) = body.frame().await {
        took += frame.unwrap().into_data().unwrap().len();
        sleep(Duration::from_secs(4)).await;
    }
    assert_eq!((took, world.given_up()), (100_000, vec![]));
    assert!(begun.elapsed() > Duration::from_mins(5), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_for_long_is_waited_for() {
    let open = Script { stays_open: true, ..of(&[]) };
    for (window, script) in [(0, open.clone()), (65_535, open), (10, Script { stays_open: true, ..of(&[10]) })] {
        let mut world = World::start(window, &[script]).await;
        let mut body = world.ask().await;
        let silent = timeout(DAY, async { while body.frame().await.is_some() {} }).await;
        assert!(silent.is_err() && world.given_up().is_empty(), "{window}");
        assert_eq!(world.running.load(Ordering::Relaxed), 1, "{window}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_fits_into_the_window_to_the_byte_is_sent_whole() {
    for script in [sized(&[1_000]), of(&[1_000]), of(&[999, 0, 1, 0]), Script { trailers: true, ..of(&[500, 500]) }] {
        let mut world = World::start(1_000, std::slice::from_ref(&script)).await;
        let body = world.ask().await;
        assert!(world.finished().await < Duration::from_secs(1), "nothing was read yet");
        let whole = body.collect().await.unwrap();
        assert_eq!(whole.trailers().is_some(), script.trailers);
        assert_eq!((whole.to_bytes().len(), world.given_up()), (1_000, vec![]));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_short_or_empty_passes_as_it_is() {
    for parts in [&[][..], &[0], &[1], &[2], &[1, 1]] {
        for script in [sized(parts), of(parts)] {
            let mut world = World::start(65_535, &[script]).await;
            let whole = world.ask().await.collect().await.unwrap().to_bytes();
            assert_eq!(whole.len(), parts.iter().sum::<usize>(), "{parts:?}");
        }
    }
}
