//! What the stores of all tests log, which run at once: each has a server of its own, by whose address lines are found.

use std::io;
use std::sync::{Mutex, PoisonError};

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Takes down everything from now on.
pub(crate) fn keep() {
    tracing_subscriber::fmt().with_ansi(false).with_writer(|| Keeper).init();
}

/// The lines about `server` that have `part`.
pub(crate) fn lines(server: &str, part: &str) -> Vec<String> {
    let kept = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&kept);
    text.lines().filter(|line| line.contains(server) && line.contains(part)).map(ToOwned::to_owned).collect()
}

struct Keeper;

impl io::Write for Keeper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
