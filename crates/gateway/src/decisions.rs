//! Where verdicts are written down.

use std::fmt;
use std::io::{BufWriter, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use countersign_resource::Decision;

/// Takes every verdict. Called while a request waits, so it must neither block nor take long.
pub trait DecisionSink: fmt::Debug + Send + Sync {
    /// Takes one verdict.
    fn record(&self, decision: &Decision);

    /// How many verdicts could not be written down since the start.
    fn lost(&self) -> u64 {
        0
    }
}

/// Writes nothing down.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDecisions;

impl DecisionSink for NoDecisions {
    fn record(&self, _decision: &Decision) {}
}

/// Writes one line of JSON per verdict, from a thread of its own. When the writer cannot keep up, lines are lost
/// and counted rather than requests held up.
pub struct DecisionLines {
    /// `None` only while being dropped.
    lines: Option<SyncSender<String>>,
    lost: AtomicU64,
    writer: Option<JoinHandle<()>>,
}

impl DecisionLines {
    /// How many lines wait at most.
    const QUEUE: usize = 8_192;

    /// Writes to `writer`. Dropping writes what is still waiting.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        let (lines, waiting) = sync_channel(Self::QUEUE);
        let writer = std::thread::spawn(move || write_lines(&waiting, BufWriter::new(writer)));
        Self { lines: Some(lines), lost: AtomicU64::new(0), writer: Some(writer) }
    }
}

impl DecisionSink for DecisionLines {
    fn record(&self, decision: &Decision) {
        let taken = self.lines.as_ref().is_some_and(|lines| lines.try_send(decision.to_json()).is_ok());
        if !taken {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for DecisionLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecisionLines").field("lost", &self.lost).finish_non_exhaustive()
    }
}

impl Drop for DecisionLines {
    fn drop(&mut self) {
        drop(self.lines.take());
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
        while let Some(text) = line {
            if writer.write_all(text.as_bytes()).and_then(|()| writer.write_all(b"\n")).is_err() {
                return;
            }
            line = waiting.try_recv().ok();
        }
        if writer.flush().is_err() {
            return;
        }
    }
}
