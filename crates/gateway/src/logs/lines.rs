//! Lines written by a thread of their own, so that no request waits for a disk.

use std::fmt;
use std::io::{BufWriter, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Writes lines from a thread of its own. When the writer cannot keep up, lines are lost and counted rather than
/// requests held up.
pub struct Lines {
    /// `None` only while being dropped.
    queue: Option<SyncSender<String>>,
    lost: AtomicU64,
    writer: Option<JoinHandle<()>>,
}

impl Lines {
    /// How many lines wait at most.
    const QUEUE: usize = 8_192;

    /// Writes to `writer`. Dropping writes what is still waiting.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        let (queue, waiting) = sync_channel(Self::QUEUE);
        let writer = std::thread::spawn(move || write_lines(&waiting, BufWriter::new(writer)));
        Self { queue: Some(queue), lost: AtomicU64::new(0), writer: Some(writer) }
    }

    /// Takes one line, without a line break at its end.
    pub fn write(&self, line: String) {
        let taken = self.queue.as_ref().is_some_and(|queue| queue.try_send(line).is_ok());
        if !taken {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines were lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("lost", &self.lost).finish_non_exhaustive()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            // A thread that failed has nothing more to write.
            let _ = writer.join();
        }
    }
}

/// Writes line after line, and flushes whenever none waits. Ends when nobody can send any more, or when the writer
/// fails; lines count as lost from then on.
fn write_lines(waiting: &Receiver<String>, mut writer: impl Write) {
    while let Ok(first) = waiting.recv() {
        let mut line = Some(first);
        while let Some(mut text) = line {
            text.push('\n');
            if writer.write_all(text.as_bytes()).is_err() {
                return;
            }
            line = waiting.try_recv().ok();
        }
        if writer.flush().is_err() {
            return;
        }
    }
}
