//! A Postgres server in a directory of its own.

use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Sender};

use tempfile::TempDir;

use super::{find, free_address};

/// A running Postgres; it ends when this is dropped.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    directory: TempDir,
    account: Option<Account>,
    port: u16,
    durability: Durability,
    server: Option<Child>,
    databases: AtomicU32,
}

/// Whether writes reach the disk before they are answered. Processes may be killed either way; only a machine that
/// loses its power tells the difference.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Durability {
    /// As in production: for measuring.
    Disk,
    /// For tests.
    Memory,
}

/// Whom to run as: Postgres refuses to run as root.
#[derive(Clone, Debug)]
struct Account {
    user: u32,
    group: u32,
}

const PASSWORD: &str = "canary-postgres-5f1c";

impl Postgres {
    /// The program that makes clusters: what [`super::trial`] has to look for.
    #[must_use]
    pub fn program() -> String {
        let places = ["15", "16", "17", "18"].map(|version| format!("/usr/lib/postgresql/{version}/bin/initdb"));
        let mut found = places.into_iter().filter(|place| Path::new(place).is_file());
        found.next().unwrap_or_else(|| "initdb".to_owned())
    }

    /// Makes a cluster and starts a server.
    ///
    /// # Errors
    /// What went wrong, with what the programs said.
    pub fn start(durability: Durability) -> io::Result<Self> {
        let initdb = find(&Self::program()).ok_or_else(|| io::Error::other("initdb is not installed"))?;
        let programs = initdb.parent().unwrap_or(Path::new("/")).to_owned();
        let directory = tempfile::Builder::new().prefix("countersign-postgres-").tempdir()?;
        let account = other_account(directory.path())?;
        if let Some(account) = &account {
            chown(directory.path(), Some(account.user), Some(account.group))?;
        }
        let mut postgres = Self {
            programs,
            directory,
            account,
            port: free_address()?.port(),
            durability,
            server: None,
            databases: AtomicU32::new(0),
        };
        postgres.make_cluster()?;
        postgres.resume()?;
        Ok(postgres)
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Errors
    /// What went wrong, with what the program said.
    pub fn make_database(&self) -> io::Result<String> {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut command = Command::new(self.programs.join("createdb"));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER, &name]).env("PGPASSWORD", PASSWORD);
        run(&mut command)?;
        Ok(format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{name}", self.port))
    }

    /// Runs statements in a database by its URL and returns what `psql` prints, without decoration.
    ///
    /// # Errors
    /// What went wrong, with what the program said.
    pub fn run_sql(&self, url: &str, sql: &str) -> io::Result<String> {
        let mut command = Command::new(self.programs.join("psql"));
        command.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
            url,
        ]);
        run(&mut command)
    }

    /// Ends the server as a crash does. The data stay.
    pub fn crash(&mut self) {
        if let Some(mut server) = self.server.take() {
            // The postmaster's SIGQUIT: all processes end at once, without a checkpoint.
            let told = Command::new("kill").args(["-QUIT", &server.id().to_string()]).status();
            if !told.is_ok_and(|status| status.success()) {
                let _ = server.kill();
            }
            let _ = server.wait();
        }
    }

    /// Starts the server again on the same port and data.
    ///
    /// # Errors
    /// What went wrong, with what the server said.
    pub fn resume(&mut self) -> io::Result<()> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.cluster());
        for setting in [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "max_connections=60".to_owned(),
            "shared_buffers=64MB".to_owned(),
            format!("fsync={}", if self.durability == Durability::Disk { "on" } else { "off" }),
        ] {
            command.arg("-c").arg(setting);
        }
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let (sender, started) = mpsc::channel();
        // The server ends with the thread that started it, so that thread stays, and reads what the server says.
        std::thread::spawn(move || watch(&mut command, &sender));
        let told = started.recv().map_err(|_| io::Error::other("postgres said nothing"))?;
        self.server = Some(told?);
        Ok(())
    }

    fn make_cluster(&self) -> io::Result<()> {
        let password = self.directory.path().join("password");
        std::fs::write(&password, PASSWORD)?;
        let mut command = self.command("initdb");
        command.args([
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
            "--no-instructions",
        ]);
        command.arg("--pwfile").arg(password).arg("-D").arg(self.cluster());
        run(&mut command).map(|_| ())
    }

    fn cluster(&self) -> PathBuf {
        self.directory.path().join("cluster")
    }

    /// A program of the server, under the account it has to have; it ends when the test does.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "QUIT"]);
        if let Some(account) = &self.account {
            command.arg(format!("--reuid={}", account.user)).arg(format!("--regid={}", account.group));
            command.arg("--clear-groups");
        }
        command.arg(self.programs.join(name)).current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.crash();
    }
}

const USER: &str = "countersign";

/// For root, the account `postgres`, or else `nobody`.
fn other_account(own: &Path) -> io::Result<Option<Account>> {
    if own.metadata()?.uid() != 0 {
        return Ok(None);
    }
    let id = |what: &str, name: &str| run(Command::new("id").args([what, name]));
    for name in ["postgres", "nobody"] {
        if let (Ok(user), Ok(group)) = (id("-u", name), id("-g", name))
            && let (Ok(user), Ok(group)) = (user.trim().parse(), group.trim().parse())
        {
            return Ok(Some(Account { user, group }));
        }
    }
    Err(io::Error::other("there is no account to run Postgres as"))
}

fn run(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let (program, said) = (command.get_program().to_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
    Err(io::Error::other(format!("{}: {}: {said}", program.display(), output.status)))
}

/// Starts the server, hands it over once it is ready, and reads its log until it ends.
fn watch(command: &mut Command, started: &Sender<io::Result<Child>>) {
    let spawned = command.spawn().and_then(|mut server| {
        let log = server.stderr.take().ok_or_else(|| io::Error::other("postgres has no log"))?;
        Ok((server, BufReader::new(log).lines()))
    });
    let (mut server, mut lines) = match spawned {
        Ok(spawned) => spawned,
        Err(fault) => return drop(started.send(Err(fault))),
    };
    let mut said = String::new();
    for line in lines.by_ref().map_while(Result::ok) {
        if line.contains("ready to accept connections") {
            let _ = started.send(Ok(server));
            return lines.for_each(drop);
        }
        said.push_str(&line);
        said.push('\n');
    }
    let _ = server.wait();
    let _ = started.send(Err(io::Error::other(format!("postgres did not start:\n{said}"))));
}
