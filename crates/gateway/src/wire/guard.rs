use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use countersign_forward::{OutOfPatience, Patience, PatienceLimits};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::framing::Framing;
use super::linger::Linger;

/// Given to the server in place of the byte that makes a message ambiguous: no server takes a NUL in a head or in a
/// chunk's size. The line ends make it look at once.
const POISON: &[u8] = b"\0\r\n\r\n";

/// What the guard does not wait for longer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireLimits {
    /// A whole head, from its first byte.
    pub(crate) head: Duration,
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

#[derive(Debug, Default)]
struct NotesInner {
    switched: AtomicBool,
    ambiguous: AtomicBool,
    stalled: OnceLock<OutOfPatience>,
}

impl Notes {
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

    fn is_switched(&self) -> bool {
        self.0.switched.load(Ordering::Acquire)
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

    fn poll_head_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.framing.is_in_head() {
            self.head_end = None;
            return Poll::Pending;
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
                Poll::Pending => return self.poll_head_end(cx),
            }
        }
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
        let written = self.stream()?.poll_write_vectored(cx, parts);
        self.watch_write(cx, written)
    }
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;

    /// An answer of 4 KiB to a client that takes `bytes` of it every `pause`: how long that took, and how it ended.
    async fn answer(bytes: usize, pause: Duration) -> (Duration, io::Result<()>) {
        let (mut client, server) = tokio::io::duplex(16);
        let write = PatienceLimits { idle: Duration::from_mins(1), bytes_per_second: 100 };
        let limits = WireLimits { head: Duration::from_secs(10), write, max_head: 8_192 };
        let linger = Linger { place: None, limit: Duration::from_secs(1) };
        let mut guard = WireGuard::new(server, Vec::new(), Notes::default(), limits, linger);
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
}
