//! What the system gives this process, as Linux tells it. Zero elsewhere.

use std::fs;

/// Resident memory now, in bytes.
pub(super) fn now() -> u64 {
    status("VmRSS:")
}

/// The most resident memory since the start or since [`forget_peak`], in bytes.
pub(super) fn peak() -> u64 {
    status("VmHWM:")
}

/// Lets the peak begin anew at what is resident now; where that is not allowed the old peak stays, which errs on the
/// side of too much.
pub(super) fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1_024
}
