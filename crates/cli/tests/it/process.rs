//! Starting the binary: commands that end by themselves, and servers that are waited for by what they print.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// The longest that anything may take. Generous: the machine may be busy.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);
const BINARY: &str = env!("CARGO_BIN_EXE_countersign");

/// A command that ends by itself, without any variable that the binary reads.
pub(crate) fn countersign() -> assert_cmd::Command {
    let mut command = assert_cmd::Command::from_std(bare());
    command.timeout(LIMIT).write_stdin("");
    command
}

fn bare() -> Command {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("COUNTERSIGN_")) {
        command.env_remove(name);
    }
    command
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Runs `countersign` with `arguments`.
    pub(crate) fn of<I: IntoIterator<Item: AsRef<OsStr>>>(arguments: I) -> Self {
        Self::run(countersign().args(arguments))
    }

    /// Runs `command`. Whatever it is: no terminal looks on, so there is no escape sequence; and no JWT in sight.
    pub(crate) fn run(command: &mut assert_cmd::Command) -> Self {
        let output = command.output().unwrap();
        let ended = Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        ended.is_clean();
        ended
    }

    pub(crate) fn is_clean(&self) {
        for text in [&self.stdout, &self.stderr] {
            assert!(!text.contains('\x1b'), "an escape sequence: {text}");
            assert!(!text.contains("eyJ"), "a token or proof: {text}");
            assert!(!text.contains("panicked"), "{text}");
        }
    }

    /// Asserts that the command was refused as wrong: exit code 2, nothing on stdout, and `says` on stderr.
    #[track_caller]
    pub(crate) fn is_refused(&self, says: &str) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert!(self.stderr.contains(says), "expected {says:?}, found {}", self.stderr);
        assert!(!self.stderr.contains("ready http"), "{self:?}");
    }

    /// Asserts exit code 0 and gives back what was printed.
    #[track_caller]
    pub(crate) fn printed(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }
}

enum Line {
    Out(String),
    Err(String),
}

/// A server that is running. It is killed when dropped.
pub(crate) struct Running {
    child: Child,
    /// Behind a lock only so that tests can share what is running.
    lines: Mutex<Receiver<Line>>,
    stdout: Vec<String>,
    stderr: Vec<String>,
}

impl Running {
    /// Starts `countersign` with `arguments` and `variables`, in `directory`.
    pub(crate) fn start<I: IntoIterator<Item: AsRef<OsStr>>>(
        arguments: I,
        variables: &[(&str, &str)],
        directory: &Path,
    ) -> Self {
        let mut command = bare();
        Self::of(command.args(arguments).envs(variables.iter().copied()).current_dir(directory))
    }

    /// Starts a command of any kind.
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::with_input(command, Stdio::null())
    }

    /// The same with something to read.
    pub(crate) fn with_input(command: &mut Command, input: Stdio) -> Self {
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        pass_on(child.stdout.take().unwrap(), sender.clone(), Line::Out);
        pass_on(child.stderr.take().unwrap(), sender, Line::Err);
        Self { child, lines: Mutex::new(lines), stdout: Vec::new(), stderr: Vec::new() }
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the line `ready` and reads from it where the server is, and its admin address.
    pub(crate) fn ready(&mut self) -> (String, Option<String>) {
        let line = self.stderr_line("ready ");
        let mut words = line.split(' ').skip(1);
        let url = words.next().unwrap().to_owned();
        assert!(url.starts_with("http://") && !url.ends_with(":0"), "{line}");
        let admin = words.next().map(|word| {
            assert_eq!(word, "admin");
            words.next().unwrap().to_owned()
        });
        (url, admin)
    }

    /// The first line on stderr that holds `text`.
    pub(crate) fn stderr_line_with(&mut self, text: &str) -> String {
        let limit = Instant::now() + LIMIT;
        loop {
            if let Some(line) = self.stderr.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            assert!(self.listen(limit), "no line with {text:?} on stderr: {:?} {:?}", self.stdout, self.stderr);
        }
    }

    /// Waits for a line on stderr that starts so.
    pub(crate) fn stderr_line(&mut self, start: &str) -> String {
        let limit = Instant::now() + LIMIT;
        loop {
            if let Some(line) = self.stderr.iter().find(|line| line.starts_with(start)) {
                return line.clone();
            }
            assert!(self.listen(limit), "no line {start:?} on stderr: {:?} {:?}", self.stdout, self.stderr);
        }
    }

    /// Waits until stdout has `count` lines, and gives them back.
    pub(crate) fn stdout_lines(&mut self, count: usize) -> Vec<String> {
        let limit = Instant::now() + LIMIT;
        while self.stdout.len() < count {
            assert!(self.listen(limit), "not {count} lines on stdout: {:?} {:?}", self.stdout, self.stderr);
        }
        self.stdout.clone()
    }

    /// Waits for a line on stdout that holds `text`, and gives it back.
    pub(crate) fn stdout_line(&mut self, text: &str) -> String {
        let limit = Instant::now() + LIMIT;
        loop {
            if let Some(line) = self.stdout.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            assert!(self.listen(limit), "no line with {text:?} on stdout: {:?} {:?}", self.stdout, self.stderr);
        }
    }

    /// Lets time pass while the server runs on; panics when it ends.
    pub(crate) fn runs_on_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.listen(until);
            assert!(self.child.try_wait().unwrap().is_none(), "it ended: {:?}", self.stderr);
        }
    }

    /// Writes a line to a process that was started with a pipe to read from.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Sends SIGINT to it and to all that it has started, as a terminal does. It has to lead a process group.
    pub(crate) fn interrupt(&self) {
        let group = format!("-{}", self.child.id());
        assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
    }

    /// Sends SIGHUP.
    pub(crate) fn hang_up(&self) {
        let killed = Command::new("kill").arg("-HUP").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let killed = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        let limit = Instant::now() + LIMIT;
        while self.listen(limit) {}
        assert!(Instant::now() < limit, "it does not end: {:?}", self.stderr);
        let code = self.child.wait().unwrap().code();
        let ended = Ended { code, stdout: self.stdout.join("\n"), stderr: self.stderr.join("\n") };
        ended.is_clean();
        ended
    }

    /// Takes the next line; false when there is none until `limit`, or when both streams are at their end.
    fn listen(&mut self, limit: Instant) -> bool {
        let lines = self.lines.get_mut().unwrap();
        match lines.recv_timeout(limit.saturating_duration_since(Instant::now())) {
            Ok(Line::Out(line)) => self.stdout.push(line),
            Ok(Line::Err(line)) => self.stderr.push(line),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
        }
        true
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already is all the better.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pass_on(stream: impl Read + Send + 'static, lines: Sender<Line>, kind: fn(String) -> Line) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            if lines.send(kind(line)).is_err() {
                return;
            }
        }
    });
}
