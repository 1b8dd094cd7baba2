//! Lines written by a thread of their own, so that no request waits for a disk.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// About as many bytes are written at once.
const BATCH: usize = 64 * 1_024;
/// So long the writer waits for others to go with a line. To wake it for every single one, and have each written by
/// itself, costs more than what the line tells of.
const GATHERING: Duration = Duration::from_millis(5);

/// Writes lines from a thread of its own. When the writer cannot keep up, lines are lost and counted rather than
/// requests held up.
pub struct Lines {
    /// `None` only while being dropped.
    queue: Option<SyncSender<String>>,
    lost: Arc<AtomicU64>,
    writer: Option<JoinHandle<()>>,
}

impl Lines {
    /// How many lines wait at most.
    const QUEUE: usize = 8_192;

    /// Writes to `writer`. Dropping writes what is still waiting.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        let (queue, waiting) = sync_channel(Self::QUEUE);
        let lost = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&lost);
        let writer = std::thread::spawn(move || write_lines(&waiting, writer, &counted));
        Self { queue: Some(queue), lost, writer: Some(writer) }
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
            // There is nothing more to gather.
            writer.thread().unpark();
            // A thread that failed has nothing more to write.
            let _ = writer.join();
        }
    }
}

/// Writes whatever comes within a moment at once, and ends when nobody can send any more. What a writer does not take is
/// lost and counted; the next lines are tried again, because a disk has room again and a journal comes back.
fn write_lines(waiting: &Receiver<String>, mut writer: impl Write, lost: &AtomicU64) {
    let (mut is_torn, mut is_behind) = (false, false);
    while let Ok(first) = waiting.recv() {
        if !is_behind {
            std::thread::park_timeout(GATHERING);
        }
        let mut batch = Batch::beginning(is_torn);
        let mut line = Some(first);
        while let Some(text) = line {
            batch.push(&text);
            line = if batch.text.len() < BATCH { waiting.try_recv().ok() } else { None };
        }
        is_behind = batch.text.len() >= BATCH;
        is_torn = writer.write_all(batch.text.as_bytes()).and_then(|()| writer.flush()).is_err();
        if is_torn {
            lost.fetch_add(batch.lines, Ordering::Relaxed);
        }
    }
}

/// Lines that are written together.
struct Batch {
    text: String,
    lines: u64,
}

impl Batch {
    /// Behind half a line, on a line of its own.
    fn beginning(is_torn: bool) -> Self {
        Self { text: if is_torn { "\n".to_owned() } else { String::new() }, lines: 0 }
    }

    fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
        self.lines += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;

    /// A disk that is full for the first writes, and takes half of each.
    #[derive(Clone)]
    struct Disk {
        fails: Arc<AtomicU64>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let is_full = self.fails.load(Ordering::Relaxed) > 0;
            if is_full && bytes.len() < 4 {
                self.fails.fetch_sub(1, Ordering::Relaxed);
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = if is_full { bytes.len() - 3 } else { bytes.len() };
            self.written.lock().unwrap().extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_writer_that_fails_for_a_while_loses_those_lines_only_and_they_are_counted() {
        let disk = Disk { fails: Arc::new(AtomicU64::new(1)), written: Arc::default() };
        let lines = Lines::new(disk.clone());
        lines.write("first".to_owned());
        while disk.fails.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
        lines.write("second".to_owned());
        lines.write("third".to_owned());
        let lost = Arc::clone(&lines.lost);
        drop(lines);
        assert_eq!(lost.load(Ordering::Relaxed), 1);
        let written = String::from_utf8(disk.written.lock().unwrap().clone()).unwrap();
        assert_eq!(written, "fir\nsecond\nthird\n", "whole lines stand by themselves");
    }
}
