//! What a program behind the agent, whoever looks at the agent, and whoever reads what it writes, can get hold of:
//! nothing. Everything secret is a canary, and is looked for everywhere.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::played::Played;
use crate::process::{Ended, Running, countersign};

/// Goes to the page to log in, as a browser does.
const BROWSER: &str = "curl -sSL -o /dev/null";

/// A program that looks around, uses what it was given, and prints tokens that it got on some other way: those of the
/// moment, long after it was started. The agent's process is its parent.
const PROGRAM: &str = r#"
env; tr '\0' ' ' < /proc/self/cmdline; ls -l /proc/self/fd
tr '\0' '\n' < /proc/$PPID/environ; tr '\0' ' ' < /proc/$PPID/cmdline; ls -l /proc/$PPID/fd
for i in 1 2 3; do curl -sS "$COUNTERSIGN_URL/repeat"; curl -sS "$ORIGIN/stolen"; echo; curl -sS "$ORIGIN/stolen" >&2; done
"#;

#[test]
fn run_gives_a_program_nothing_that_is_secret() {
    let (played, home) = (Played::start(), TempDir::new().unwrap());
    let directory = home.path().join("agent");
    let mut command = countersign();
    command
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path().join("data"))
        .env("ORIGIN", &played.origin)
        .args(["run", "--resource", &played.mcp(), "--browser", BROWSER, "--log", "trace", "--directory"])
        .arg(&directory)
        .args(["--", "sh", "-c", PROGRAM]);
    let ended = Ended::run(&mut command);
    assert_eq!(ended.code, Some(1), "a finding: {ended:?}");
    assert!(
        ended.stdout.contains("COUNTERSIGN_URL=http://127.0.0.1:") && ended.stdout.contains("DPoP ****"),
        "{ended:?}"
    );
    assert!(played.grants() >= 4, "the token was renewed while the program ran: {}", played.grants());
    let stars = "*".repeat("canary-access-4-Zp7R2m".len());
    assert!(ended.stdout.contains(&stars) && ended.stderr.contains(&stars), "{ended:?}");
    let trace = ended.stderr.lines().filter(|line| line.contains("TRACE")).count();
    assert!(trace > 20, "the log is searched: {trace} lines");
    let journal = fs::read_to_string(directory.join("journal.jsonl")).unwrap();
    assert!(journal.contains(r#""event":"leaked""#), "{journal}");
    let secrets = played.secrets();
    assert!(secrets.len() > 20, "{secrets:?}");
    let mut places =
        vec![("output".to_owned(), ended.stdout.into_bytes()), ("log".to_owned(), ended.stderr.into_bytes())];
    places.extend(files(home.path()));
    assert!(places.len() >= 5, "the journal, the session and the key among them");
    for (place, bytes) in &places {
        for secret in secrets.iter().map(String::as_str).chain([Played::nonce()]) {
            let found = bytes.windows(secret.len()).position(|window| window == secret.as_bytes());
            let around = found.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(300)..at]));
            assert_eq!(around, None, "{secret} is in the {place}");
        }
    }
}

/// Every file below `directory`.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: &Path| (path.display().to_string(), fs::read(path).unwrap());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![read(&path)] }).collect()
}

#[test]
fn a_program_that_writes_much_is_read_while_it_runs() {
    let (played, home) = (Played::start(), TempDir::new().unwrap());
    let mut command = countersign();
    command
        .env("XDG_DATA_HOME", home.path())
        .args(["run", "--resource", &played.mcp(), "--keys", "memory", "--browser", BROWSER, "--directory"])
        .arg(home.path().join("agent"))
        .args(["--", "sh", "-c", "yes 0123456789 | head -c 1000000; yes abcdefghij | head -c 1000000 >&2"]);
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 1_000_000));
    assert!(output.stderr.len() >= 1_000_000);
}

/// A process that may not be dumped belongs to root in `/proc`, whoever it runs as. As root that says nothing: the agent
/// runs as somebody else then.
#[test]
fn nobody_can_look_into_a_running_agent() {
    let (played, home) = (Played::start(), TempDir::new().unwrap());
    let is_root = rustix::process::getuid().is_root();
    let binary = home.path().join("countersign");
    // By another process: a file that is open for writing here, in a child of another test, cannot be run.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_countersign")).arg(&binary).status();
    assert!(copied.unwrap().success());
    let mut command = Command::new(if is_root { "setpriv" } else { "env" });
    if is_root {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
    }
    command.arg(&binary).args(["agent", "--resource", &played.mcp(), "--keys", "memory", "--browser", BROWSER]);
    command.arg("--directory").arg(home.path().join("agent")).env("HOME", home.path());
    let mut agent = Running::of(command.current_dir("/"));
    agent.stderr_line("ready http://127.0.0.1:");
    let limits = fs::read_to_string(format!("/proc/{}/limits", agent.id())).unwrap();
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[..2], ["0", "0"], "no core file: {limits}");
    let status = fs::read_to_string(format!("/proc/{}/status", agent.id())).unwrap();
    let real = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap().split_whitespace().next().unwrap();
    assert_ne!(real, "0", "{status}");
    let owner = fs::metadata(format!("/proc/{}/environ", agent.id())).unwrap().uid();
    assert_eq!(owner, 0, "it is not dumpable: its files in /proc are not its user's");
    // So another process of the same user cannot read its memory.
    let mut other = Command::new(if is_root { "setpriv" } else { "env" });
    if is_root {
        other.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    }
    let read = other.args(["head", "-c", "1"]).arg(format!("/proc/{}/mem", agent.id())).stderr(Stdio::piped());
    let read = read.output().unwrap();
    assert!(!read.status.success() && String::from_utf8_lossy(&read.stderr).contains("Permission denied"), "{read:?}");
}

#[test]
fn what_is_revoked_is_told_to_the_issuer_and_signs_nothing_more() {
    let (played, home) = (Played::start(), TempDir::new().unwrap());
    let directory = home.path().join("agent");
    let variables = [("XDG_DATA_HOME", home.path().to_str().unwrap())];
    let arguments = |socket: &Path| {
        let flags = ["agent", "--resource", &played.mcp(), "--browser", BROWSER].map(str::to_owned);
        let places =
            ["--directory", directory.to_str().unwrap(), "--socket", socket.to_str().unwrap()].map(str::to_owned);
        [flags.as_slice(), places.as_slice()].concat()
    };
    let socket = directory.join("a.sock");
    let mut agent = Running::start(arguments(&socket), &variables, home.path());
    agent.stderr_line("ready unix:");
    let keys = |home: &Path| fs::read_dir(home.join("countersign/keys")).unwrap().count();
    let before = keys(home.path());
    let steer =
        |arguments: &[&str]| Ended::run(countersign().arg("agent").args(arguments).arg("--directory").arg(&directory));
    assert_eq!(
        steer(&["revoke", "--all"]).printed(),
        format!("{} revoked\n", played.origin[7..].replace([':', '.'], "-"))
    );
    let revoked = played.revoked();
    assert!(revoked.len() == 2 && revoked[0].starts_with("canary-refresh-1"), "{revoked:?}");
    assert_eq!(keys(home.path()), before - 1, "the key is gone");
    let status: serde_json::Value = serde_json::from_str(&steer(&["status", "--json"]).printed()).unwrap();
    assert_eq!(status["bindings"][0]["revoked"], true);
}
