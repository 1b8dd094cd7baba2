//! One running `countersign up` for all tests that need one at the same time.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tempfile::TempDir;

use crate::process::{Ended, Running, countersign};

/// Authorization server, gateway, API and a client.
pub(crate) struct System {
    pub(crate) gateway: String,
    pub(crate) authserver: String,
    pub(crate) admin: String,
    /// The `countersign call` line that it printed.
    pub(crate) call_line: String,
    pub(crate) data: PathBuf,
    pub(crate) running: Running,
    /// Thrown away when nobody uses it any more.
    directory: Option<TempDir>,
}

static SHARED: Mutex<Weak<System>> = Mutex::new(Weak::new());

impl System {
    /// The one that others use too, started when there is none.
    pub(crate) fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let directory = TempDir::new().unwrap();
            let mut system = Self::start(&directory.path().join("data dir"), &[]);
            system.directory = Some(directory);
            let system = Arc::new(system);
            *shared = Arc::downgrade(&system);
            system
        })
    }

    /// One of its own, with its state in `data`.
    pub(crate) fn start(data: &std::path::Path, more: &[&str]) -> Self {
        let ports = ["--listen", "127.0.0.1:0", "--authserver-listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let mut arguments = vec!["up", "--data", data.to_str().unwrap()];
        arguments.extend(ports.iter().chain(more));
        let mut running = Running::start(arguments, &[], data.parent().unwrap());
        let (gateway, admin) = running.ready();
        let lines = running.stdout_lines(7);
        let value = |label: &str| {
            let line = lines.iter().find(|line| line.starts_with(label)).unwrap();
            line.strip_prefix(label).unwrap().trim().to_owned()
        };
        assert_eq!(value("gateway"), gateway);
        Self {
            authserver: value("authorization server"),
            admin: admin.unwrap(),
            call_line: lines[6].trim().to_owned(),
            data: data.to_owned(),
            gateway,
            running,
            directory: None,
        }
    }

    /// `countersign call --config …/client.toml`, to which arguments can be added.
    pub(crate) fn call(&self) -> assert_cmd::Command {
        let mut command = countersign();
        command.arg("call").arg("--config").arg(self.data.join("client.toml"));
        command
    }

    /// A GET of `path` by the client.
    pub(crate) fn get(&self, path: &str) -> Ended {
        Ended::run(self.call().args(["GET", &format!("{}{path}", self.gateway)]))
    }
}
