//! Real servers for tests: found on the path, started on loopback, ended when dropped.
//!
//! A test that needs one is a [`libtest_mimic::Trial`] made by [`trial`]: where the program is not installed it is reported as
//! ignored, with what is missing beside its name; with `COUNTERSIGN_REQUIRE_SERVICES=1` that is a failure instead.

pub mod postgres;

use std::{
    collections::BTreeSet,
    env, fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::{Failed, Trial};

/// How long a server may take from its start to its first accepted connection.
const START: Duration = Duration::from_secs(30);
/// How often a starting server is asked whether it listens yet.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// Where Debian keeps servers that are not on everybody's path.
const MORE_PLACES: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/sbin", PACKAGES];
/// Where tests/peers/requirements.txt is installed.
const PACKAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/.venv/bin");

/// A test that needs `programs` (names of executables, or absolute paths of files such as a PKCS#11 module).
pub fn trial(
    name: impl Into<String>,
    programs: &[&str],
    test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let missing: Vec<&str> = programs.iter().copied().filter(|program| find(program).is_none()).collect();
    if missing.is_empty() {
        return Trial::test(name, test);
    }
    let reason = format!("needs {}", missing.join(", "));
    if required() {
        return Trial::test(name, move || Err(Failed::from(format!("{reason}, which is not installed"))));
    }
    Trial::test(name, || Ok(())).with_kind(reason).with_ignored_flag(true)
}

/// Whether a missing server is a failure (`COUNTERSIGN_REQUIRE_SERVICES=1`, as in CI).
#[must_use]
pub fn required() -> bool {
    env::var_os("COUNTERSIGN_REQUIRE_SERVICES").is_some_and(|value| value == "1")
}

/// The executable of that name on the path or in the system's own directories; an absolute path stands for itself.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.is_absolute() {
        return path.is_file().then(|| path.to_owned());
    }
    let places = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&places)
        .chain(MORE_PLACES.map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// A loopback address that nobody listened on a moment ago, and that was given to nobody else in this process: servers that
/// start at the same time would otherwise now and then want the same one.
///
/// # Errors
/// The system has no free port.
pub fn free_address() -> io::Result<SocketAddr> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(address.port()) {
            return Ok(address);
        }
    }
}

/// A server process with a directory of its own, killed and swept when dropped.
#[derive(Debug)]
pub struct Service {
    child: Child,
    dir: tempfile::TempDir,
}

impl Service {
    /// Starts what `command` makes of an empty directory and waits until `address` accepts a connection. Its output goes to
    /// `output.log` in the directory, and into the error when it ends early.
    ///
    /// # Errors
    /// The process could not be started, ended at once, or did not listen within 30 seconds.
    pub fn start(address: SocketAddr, command: impl FnOnce(&Path) -> io::Result<Command>) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut command = command(dir.path())?;
        let log = fs::File::create(dir.path().join("output.log"))?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let mut service = Self { child, dir };
        service.wait_until_listening(address)?;
        Ok(service)
    }

    /// Starts `countersign authserver`, which is at `program`, with this configuration and waits as [`Service::start`] does.
    ///
    /// # Errors
    /// As of [`Service::start`].
    pub fn issuer(program: &str, address: SocketAddr, config: &str) -> io::Result<Self> {
        Self::start(address, |dir| {
            let file = dir.join("authserver.toml");
            fs::write(&file, config)?;
            let mut command = Command::new(program);
            command.args(["authserver", "--config"]).arg(file);
            Ok(command)
        })
    }

    /// The server's own directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a crash would (SIGKILL), and waits until it is gone.
    ///
    /// # Errors
    /// The process could not be waited for.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop)
    }

    /// What it printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read(self.dir.path().join("output.log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    #[expect(clippy::disallowed_methods, reason = "another process starts in its own time; only asking tells")]
    fn wait_until_listening(&mut self, address: SocketAddr) -> io::Result<()> {
        let deadline = Instant::now() + START;
        while TcpStream::connect_timeout(&address, ASK_EVERY).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("ended with {status}: {}", self.output())));
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("does not listen on {address}: {}", self.output())));
            }
            thread::sleep(ASK_EVERY);
        }
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::{Service, find, free_address};
    use std::process::Command;

    #[test]
    fn finds_what_is_there_and_nothing_else() {
        assert!(find("sh").is_some());
        assert!(find("/bin/sh").is_some());
        assert!(find("countersign-no-such-program").is_none());
        assert!(find("/no/such/file").is_none());
    }

    #[test]
    fn a_server_that_ends_at_once_says_why() {
        let started = Service::start(free_address().unwrap(), |_| {
            let mut command = Command::new("sh");
            command.args(["-c", "echo out of order; exit 3"]);
            Ok(command)
        });
        let error = started.unwrap_err().to_string();
        assert!(error.contains("out of order") && error.contains('3'), "{error}");
    }
}
