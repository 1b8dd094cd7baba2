use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use countersign_forward::{OutOfPatience, Patience, PatienceLimits};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::framing::Framing;
use super::linger::Linger;

/// Given to the server in place of the byte that makes a message ambiguous: no server takes a NUL in a head or in a
/// chunk's size. The line ends make it look at once.
const POISON: &[u8] = b"\0\r\n\r\n";

/// So many bytes are copied into one piece before they are written: a head with the short body that most answers have.
/// To the system one piece is less work than a list of two.
const SMALL: usize = 1_024;

/// What the guard does not wait for longer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireLimits {
    /// A whole head, from its first byte.
    pub(crate) head: Duration,
    /// A next request, once the one before is answered.
    pub(crate) idle: Duration,
    /// The client to take some of the answer.
    pub(crate) write: PatienceLimits,
    /// The longest head in bytes.
    pub(crate) max_head: usize,
}

/// A client's connection as the server gets to see it.
#[derive(Debug)]
pub(crate) struct WireGuard<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> {
    /// `None` only while being dropped.
    stream: Option<S>,
    /// Read already, not yet given on.
    ahead: Ahead,
    framing: Framing,
    notes: Notes,
    limits: WireLimits,
    head_end: Option<Pin<Box<Sleep>>>,
    idle: Idle,
    write_patience: Patience,
    linger: Option<Linger>,
}

#[derive(Debug)]
enum Ahead {
    Nothing,
    Bytes { bytes: Vec<u8>, given: usize },
    Poison { given: usize },
}

/// What guard and server tell each other about one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(Arc<NotesInner>);

/// An answer is on its way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Busy(Notes);

/// For how long nothing is under way.
#[derive(Debug, Default)]
struct Idle {
    since: Option<Instant>,
    /// One for the whole life of a connection: it ends too early for all but the first time, and is set anew then. To
    /// set one for every request would cost more than all else that is done here.
    end: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, Default)]
struct NotesInner {
    switched: AtomicBool,
    busy: AtomicBool,
    ambiguous: AtomicBool,
    stalled: OnceLock<OutOfPatience>,
}

impl Notes {
    /// Says that a request is being answered.
    pub(crate) fn busy(&self) -> Busy {
        self.0.busy.store(true, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Says that the connection changes protocol with the next byte that the client sends.
    pub(crate) fn switch(&self) {
        self.0.switched.store(true, Ordering::Release);
    }

    /// True when a message was found that can be read in two ways.
    pub(crate) fn is_ambiguous(&self) -> bool {
        self.0.ambiguous.load(Ordering::Relaxed)
    }

    /// Why the client was given up while it was to take an answer, if it was.
    pub(crate) fn stalled(&self) -> Option<OutOfPatience> {
        self.0.stalled.get().copied()
    }

    fn is_busy(&self) -> bool {
        self.0.busy.load(Ordering::Relaxed)
    }

    fn is_switched(&self) -> bool {
        self.0.switched.load(Ordering::Acquire)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.busy.store(false, Ordering::Relaxed);
    }
}

impl Idle {
    fn poll_end(&mut self, cx: &mut Context<'_>, limit: Duration) -> Poll<()> {
        let due = *self.since.get_or_insert_with(Instant::now) + limit;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep_until(due)));
        while end.as_mut().poll(cx).is_ready() {
            if end.deadline() >= due {
                return Poll::Ready(());
            }
            end.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> WireGuard<S> {
    /// Guards `stream`, from which `ahead` was read already.
    pub(crate) fn new(stream: S, ahead: Vec<u8>, notes: Notes, limits: WireLimits, linger: Linger) -> Self {
        Self {
            stream: Some(stream),
            ahead: Ahead::Bytes { bytes: ahead, given: 0 },
            framing: Framing::new(limits.max_head),
            notes,
            limits,
            head_end: None,
            idle: Idle::default(),
            write_patience: Patience::new(limits.write),
            linger: Some(linger),
        }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut S>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Gives on what was read before. False when there is nothing.
    fn give_ahead(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        match &mut self.ahead {
            Ahead::Nothing => false,
            Ahead::Bytes { bytes, given } => {
                let rest = &bytes[*given..];
                let part = &rest[..rest.len().min(buffer.remaining())];
                buffer.put_slice(part);
                *given += part.len();
                let some = !part.is_empty();
                if *given == bytes.len() {
                    self.ahead = Ahead::Nothing;
                }
                some
            }
            // Behind the poison the connection reads as ended.
            Ahead::Poison { given } => {
                let rest = &POISON[*given..];
                let part = &rest[..rest.len().min(buffer.remaining())];
                buffer.put_slice(part);
                *given += part.len();
                true
            }
        }
    }

    /// Reads along with what was put into `buffer` behind `start`.
    fn inspect(&mut self, buffer: &mut ReadBuf<'_>, start: usize) {
        if self.notes.is_switched() {
            self.framing.go_blind();
        }
        if let Err(fault) = self.framing.read(&buffer.filled()[start..]) {
            tracing::info!(kind = ?fault.kind, "a request that two servers could read differently was refused");
            self.notes.0.ambiguous.store(true, Ordering::Relaxed);
            buffer.set_filled(start + fault.at);
            self.ahead = Ahead::Poison { given: 0 };
            self.give_ahead(buffer);
        }
    }

    /// Waits for a client that sends nothing.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.framing.is_in_head() {
            self.head_end = None;
            let is_idle = self.framing.is_between() && !self.notes.is_busy() && !self.notes.is_switched();
            if !is_idle {
                return Poll::Pending;
            }
            return self.idle.poll_end(cx, self.limits.idle).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        let limit = self.limits.head;
        let end = self.head_end.get_or_insert_with(|| Box::pin(sleep(limit)));
        end.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Counts while the client takes nothing.
    fn watch_write(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.write_patience.moved(*written.as_ref().unwrap_or(&0));
            return Poll::Ready(written);
        }
        self.write_patience.poll_wait(cx).map(|out| {
            self.notes.0.stalled.get_or_init(|| out);
            Err(io::ErrorKind::TimedOut.into())
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> AsyncRead for WireGuard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = buffer.filled().len();
        let poisoned = matches!(self.ahead, Ahead::Poison { .. });
        if !self.give_ahead(buffer) {
            match self.stream()?.poll_read(cx, buffer)? {
                Poll::Ready(()) => (),
                Poll::Pending => return self.poll_silence(cx),
            }
        }
        self.idle.since = None;
        if !poisoned {
            self.inspect(buffer, start);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> AsyncWrite for WireGuard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write(cx, bytes);
        self.watch_write(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream()?.poll_flush(cx);
        self.watch_write(cx, flushed.map_ok(|()| 0)).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let written = if length <= SMALL {
            let mut room = [0; SMALL];
            let together = join(&mut room, parts);
            self.stream()?.poll_write(cx, together)
        } else {
            self.stream()?.poll_write_vectored(cx, parts)
        };
        self.watch_write(cx, written)
    }
}

/// Copies `parts`, which fit, into `room`; gives what was filled.
fn join<'r>(room: &'r mut [u8; SMALL], parts: &[IoSlice<'_>]) -> &'r [u8] {
    let mut end = 0;
    for part in parts {
        room[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    }
    &room[..end]
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Drop for WireGuard<S> {
    fn drop(&mut self) {
        let owes = self.framing.is_owed_more() || matches!(self.ahead, Ahead::Poison { .. });
        if let (true, Some(stream), Some(linger)) = (owes, self.stream.take(), self.linger.take()) {
            linger.end(stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::timeout;

    use super::*;

    const LIMITS: WireLimits = WireLimits {
        head: Duration::from_secs(10),
        idle: Duration::from_mins(1),
        write: PatienceLimits { idle: Duration::from_mins(1), bytes_per_second: 100 },
        max_head: 8_192,
    };

    fn guard(server: DuplexStream, notes: &Notes) -> WireGuard<DuplexStream> {
        let linger = Linger { place: None, limit: Duration::from_secs(1) };
        WireGuard::new(server, Vec::new(), notes.clone(), LIMITS, linger)
    }

    /// An answer of 4 KiB to a client that takes `bytes` of it every `pause`: how long that took, and how it ended.
    async fn answer(bytes: usize, pause: Duration) -> (Duration, io::Result<()>) {
        let (mut client, server) = tokio::io::duplex(16);
        let mut guard = guard(server, &Notes::default());
        let taking = tokio::spawn(async move {
            let mut part = vec![0; bytes];
            while client.read_exact(&mut part).await.is_ok() {
                sleep(pause).await;
            }
        });
        let begun = Instant::now();
        let written = guard.write_all(&[b'x'; 4_096]).await;
        taking.abort();
        (begun.elapsed(), written)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_an_answer_byte_by_byte_is_given_up() {
        let (took, written) = answer(1, Duration::from_secs(25)).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(took < Duration::from_secs(62), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_that_keeps_to_the_rate_gets_its_whole_answer() {
        let (took, written) = answer(512, Duration::from_secs(5)).await;
        assert!(written.is_ok() && took > Duration::from_secs(30), "{took:?} {written:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up_after_the_idle_time() {
        let (took, written) = answer(1, Duration::from_hours(1)).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(took.as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_on_which_nothing_is_under_way_is_given_up_after_the_idle_time() {
        let (mut client, server) = tokio::io::duplex(64);
        let notes = Notes::default();
        let (mut guard, mut read) = (guard(server, &notes), [0; 64]);
        // Each request gives the whole time again.
        for _ in 0..3 {
            client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            assert!(guard.read(&mut read).await.unwrap() > 0);
            assert!(timeout(Duration::from_secs(50), guard.read(&mut read)).await.is_err());
        }
        let begun = Instant::now();
        assert_eq!(guard.read(&mut read).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_may_take_longer_than_the_idle_time_and_so_may_another_protocol() {
        let (mut client, server) = tokio::io::duplex(64);
        let notes = Notes::default();
        let (mut guard, mut read) = (guard(server, &notes), [0; 64]);
        let busy = notes.busy();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(guard.read(&mut read).await.unwrap() > 0);
        assert!(timeout(Duration::from_hours(1), guard.read(&mut read)).await.is_err());
        notes.switch();
        drop(busy);
        assert!(timeout(Duration::from_hours(1), guard.read(&mut read)).await.is_err());
    }
}
