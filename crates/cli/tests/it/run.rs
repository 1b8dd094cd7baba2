//! `countersign run`: an address, no secret, and the program's own end.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::process::{Ended, Running, countersign};
use crate::system::System;

fn run(system: &System, directory: &Path, more: &[&str], command: &[&str]) -> Ended {
    let client = system.data.join("client.toml");
    Ended::run(
        countersign()
            .env("GITHUB_TOKEN", "canary-github")
            .env("OPENAI_API_KEY", "canary-openai")
            .env("MY_OWN_TOKEN", "kept")
            .args(["run", "--resource", &system.gateway, "--client", client.to_str().unwrap()])
            .args(["--directory", directory.join("agent").to_str().unwrap()])
            .args(more)
            .arg("--")
            .args(command),
    )
}

#[test]
fn run_gives_an_address_and_no_secret_and_the_programs_exit_code() {
    let (system, directory) = (System::shared(), TempDir::new().unwrap());
    let more = ["--env", "API_BASE", "--keep", "MY_OWN_TOKEN"];
    let program = "env; cat /proc/self/cmdline | tr '\\0' ' '; ls -l /proc/self/fd; exit 7";
    let ended = run(&system, directory.path(), &more, &["sh", "-c", program]);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert!(!ended.stdout.contains("canary") && ended.stdout.contains("MY_OWN_TOKEN=kept"), "{ended:?}");
    let url = ended.stdout.lines().find_map(|line| line.strip_prefix("COUNTERSIGN_URL=")).unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert!(ended.stdout.contains(&format!("API_BASE={url}")), "{ended:?}");
    assert!(!ended.stdout.contains("journal"), "no open file of the agent's: {ended:?}");
    let ended = run(&system, directory.path(), &["--socket"], &["sh", "-c", "test -S \"$COUNTERSIGN_SOCKET\""]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    run(&system, directory.path(), &[], &["/no/such/program"]).is_refused("cannot run /no/such/program");
}

#[test]
fn run_keeps_canaries_back_and_reports_them() {
    let (system, directory) = (System::shared(), TempDir::new().unwrap());
    let canaries = directory.path().join("canaries");
    fs::write(&canaries, "canary-of-a-person-0123\n").unwrap();
    let more = ["--canaries", canaries.to_str().unwrap()];
    let program = "printf 'a canary-of-a-per'; printf 'son-0123 b\\n'; printf 'eyJ0eXAiOiJkcG9wK2p3dC'; echo end >&2";
    let ended = run(&system, directory.path(), &more, &["sh", "-c", program]);
    assert_eq!(ended.code, Some(1), "a finding: {ended:?}");
    assert_eq!(ended.stdout, format!("a {} b\n{}", "*".repeat(23), "*".repeat(22)));
    assert!(ended.stderr.contains("2 times in the output of a program; it was kept back"), "{ended:?}");
    let journal = fs::read_to_string(directory.path().join("agent/journal.jsonl")).unwrap();
    assert!(journal.contains(r#""event":"leaked""#) && !journal.contains("canary-of"), "{journal}");
}

/// A program that takes its time when it is interrupted, and leaves a secret and the beginning of one as it ends.
const INTERRUPTED: &str = "import signal, sys\n\
def interrupted(*_):\n    print('interrupted', flush=True)\n    sys.stdin.readline()\n    \
sys.stdout.write('a canary-of-a-person-0123 and canary-of-a-per')\n    sys.stdout.flush()\n    sys.exit(9)\n\
signal.signal(signal.SIGINT, interrupted)\nprint('waiting', flush=True)\nwhile True: signal.pause()\n";

#[test]
fn an_interrupt_is_the_programs_to_deal_with_and_run_ends_when_it_does() {
    let (system, directory) = (System::shared(), TempDir::new().unwrap());
    let canaries = directory.path().join("canaries");
    fs::write(&canaries, "canary-of-a-person-0123\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(["run", "--resource", &system.gateway, "--client"]).arg(system.data.join("client.toml"));
    command.arg("--directory").arg(directory.path().join("agent")).arg("--canaries").arg(&canaries);
    command.args(["--", "python3", "-c", INTERRUPTED]).process_group(0);
    let mut running = Running::with_input(&mut command, Stdio::piped());
    running.stdout_line("waiting");
    running.interrupt();
    // It comes through the filter, so that the one that was interrupted too is there still.
    running.stdout_line("interrupted");
    running.say("go on");
    let ended = running.end();
    assert_eq!(ended.code, Some(9), "the program's own: {ended:?}");
    let last = format!("waiting\ninterrupted\na {} and canary-of-a-per", "*".repeat(23));
    assert_eq!(ended.stdout, last, "to the last byte");
    assert!(ended.stderr.contains("1 times in the output of a program"), "{ended:?}");
    let journal = fs::read_to_string(directory.path().join("agent/journal.jsonl")).unwrap();
    assert!(journal.contains(r#""event":"leaked""#) && journal.contains(r#""event":"stopped""#), "{journal}");
}

#[test]
fn a_request_to_end_is_passed_on_to_the_program() {
    let (system, directory) = (System::shared(), TempDir::new().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(["run", "--resource", &system.gateway, "--client"]).arg(system.data.join("client.toml"));
    command.arg("--directory").arg(directory.path().join("agent"));
    let program = INTERRUPTED.replace("SIGINT", "SIGTERM").replace("    sys.stdin.readline()\n", "");
    command.args(["--", "python3", "-c", &program]);
    let mut running = Running::of(&mut command);
    running.stdout_line("waiting");
    running.terminate();
    running.stdout_line("interrupted");
    assert_eq!(running.end().code, Some(9));
}
