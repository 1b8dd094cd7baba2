//! The machine that was measured, and what ran on it.

use std::fs;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use countersign_dpop::time::{Clock, SystemClock};
use countersign_resource::es256::Engine;
use serde::Serialize;

/// What a reader needs to know of a machine to judge figures from it.
#[derive(Clone, Debug, Serialize)]
pub(in super::super) struct Machine {
    /// The processor's own name.
    pub(super) cpu: String,
    /// Cores that this process may use.
    pub(super) cores: usize,
    /// System and its release.
    pub(super) system: String,
    /// The engine that verifies the signatures of known keys.
    pub(super) engine: &'static str,
    /// Of this program.
    pub(super) version: &'static str,
    /// How this program was built.
    pub(super) build: &'static str,
    /// When measuring began.
    pub(super) date: String,
    /// Processes that wanted to run when measuring began, on average over a minute.
    pub(super) load: Option<f64>,
}

impl Machine {
    /// This machine, now, where `engine` verifies.
    pub(in super::super) fn here(engine: Engine) -> Self {
        let seconds = u64::try_from(SystemClock.now().seconds()).unwrap_or(0);
        Self {
            cpu: cpu(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            system: system(),
            engine: engine.name(),
            version: env!("CARGO_PKG_VERSION"),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            date: httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds)),
            load: load(),
        }
    }

    /// True for a build whose figures mean nothing.
    pub(in super::super) fn is_debug_build(&self) -> bool {
        self.build == "debug"
    }
}

fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned())
}

fn system() -> String {
    let read = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    let (name, release) = (read("ostype"), read("osrelease"));
    if name.is_empty() { std::env::consts::OS.to_owned() } else { format!("{} {}", name.trim(), release.trim()) }
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}
