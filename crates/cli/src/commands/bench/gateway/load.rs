//! The load, and the upstream that it ends at: both as little work as can be, on the same thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::error::CommandError;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"ok\":true}\n";
const HEAD_END: &[u8] = b"\r\n\r\n";
/// An answer that is longer is none of ours.
const MAX_ANSWER: usize = 16 * 1_024;

/// The upstream, running, and what asks through the servers under test.
pub(super) struct Load {
    upstream: SocketAddr,
}

/// One run against one server.
pub(super) struct Run {
    seconds: f64,
    /// Of each request, in nanoseconds, shortest first.
    latencies: Vec<u64>,
    /// Answers other than 200 and 204.
    pub(super) refused: usize,
}

impl Load {
    pub(super) async fn start() -> Result<Self, CommandError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(CommandError::internal)?;
        let upstream = listener.local_addr().map_err(CommandError::internal)?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        Ok(Self { upstream })
    }

    pub(super) const fn upstream(&self) -> SocketAddr {
        self.upstream
    }

    /// Sends all of `requests` over `connections` connections, one after the other on each. Over more than one the load's
    /// core does not go to sleep: to wake it costs a server more than many a request, and only the slower servers would
    /// find it asleep, though it is no work of theirs. One at a time everybody sleeps, as they would.
    pub(super) async fn drive(
        &self,
        server: SocketAddr,
        requests: &[Bytes],
        connections: usize,
    ) -> Result<Run, CommandError> {
        let requests: Arc<[Bytes]> = requests.into();
        let next = Arc::new(AtomicUsize::new(0));
        let mut streams = Vec::with_capacity(connections);
        for _ in 0..connections {
            streams.push(connect(server).await.map_err(CommandError::internal)?);
        }
        let mut askers = JoinSet::new();
        let awake = (connections > 1).then(|| AbortOnDropHandle::new(tokio::spawn(stay_awake())));
        let begun = Instant::now();
        for stream in streams {
            askers.spawn(ask(stream, Arc::clone(&requests), Arc::clone(&next)));
        }
        let mut run = Run { seconds: 0.0, latencies: Vec::with_capacity(requests.len()), refused: 0 };
        while let Some(asked) = askers.join_next().await {
            let (latencies, refused) = asked.map_err(CommandError::internal)?.map_err(|fault| {
                CommandError::internal(format!("a connection to {server} ended before its answer: {fault}"))
            })?;
            run.latencies.extend(latencies);
            run.refused += refused;
        }
        run.seconds = begun.elapsed().as_secs_f64();
        drop(awake);
        run.latencies.sort_unstable();
        Ok(run)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and seconds in nanoseconds are far below 2^52")]
impl Run {
    pub(super) fn served(&self) -> usize {
        self.latencies.len()
    }

    pub(super) fn per_second(&self) -> f64 {
        self.served() as f64 / self.seconds
    }

    /// In microseconds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place within a list")]
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let place = (self.latencies.len().saturating_sub(1) as f64 * share) as usize;
        self.latencies.get(place).map_or(0.0, |latency| *latency as f64 / 1_000.0)
    }
}

pub(super) async fn connect(server: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Looks for what has come again and again in place of waiting for it.
async fn stay_awake() {
    loop {
        tokio::task::yield_now().await;
    }
}

/// Sends one request and reads its answer; gives the status.
pub(super) async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> std::io::Result<u16> {
    stream.write_all(request).await?;
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some((status, length)) = answer(buffer)
            && buffer.len() >= length
        {
            return Ok(status);
        }
        if buffer.len() > MAX_ANSWER {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
    }
}

async fn ask(
    mut stream: TcpStream,
    requests: Arc<[Bytes]>,
    next: Arc<AtomicUsize>,
) -> std::io::Result<(Vec<u64>, usize)> {
    let (mut latencies, mut refused, mut buffer) = (Vec::new(), 0, Vec::with_capacity(4_096));
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let begun = Instant::now();
        let status = exchange(&mut stream, request, &mut buffer).await?;
        latencies.push(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        refused += usize::from(status != 200 && status != 204);
    }
    Ok((latencies, refused))
}

/// Status and length of an answer whose head is complete.
fn answer(read: &[u8]) -> Option<(u16, usize)> {
    let end = read.windows(HEAD_END.len()).position(|part| part == HEAD_END)?;
    let head = std::str::from_utf8(&read[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Some((status, end + HEAD_END.len() + length.unwrap_or(0)))
}

/// Answers whatever comes; no request of ours has a body.
async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut read = Vec::with_capacity(4_096);
    loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
        if read.ends_with(HEAD_END) {
            read.clear();
            stream.write_all(ANSWER).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_and_length_once_the_head_is_there() {
        assert_eq!(answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n"), None);
        assert_eq!(answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"), Some((200, 40)));
        assert_eq!(answer(b"HTTP/1.1 204 No Content\r\n\r\n"), Some((204, 27)));
        assert_eq!(
            answer(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").map(|(status, _)| status),
            Some(401)
        );
    }

    #[tokio::test]
    async fn the_load_reaches_its_upstream_and_counts_every_request() {
        let load = Load::start().await.unwrap();
        let requests = vec![Bytes::from_static(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"); 40];
        let run = load.drive(load.upstream(), &requests, 4).await.unwrap();
        assert_eq!((run.served(), run.refused), (40, 0));
        assert!(run.per_second() > 0.0 && run.quantile(0.5) <= run.quantile(0.99));
    }
}
