//! The agent as people start it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Ended, Running, countersign};
use crate::system::System;

struct Served {
    running: Running,
    directory: PathBuf,
    socket: PathBuf,
}

impl Served {
    fn start(system: &System, directory: &Path, more: &[&str]) -> Self {
        let directory = directory.join("agent");
        let socket = directory.join("a.sock");
        let client = system.data.join("client.toml");
        let mut arguments = vec!["agent", "--resource", &system.gateway, "--client", client.to_str().unwrap()];
        arguments.extend(["--directory", directory.to_str().unwrap(), "--socket", socket.to_str().unwrap()]);
        arguments.extend(more);
        let mut running = Running::start(arguments, &[], Path::new("/"));
        assert_eq!(running.stderr_line("ready "), format!("ready unix:{}", socket.display()));
        Self { running, directory, socket }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n").unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    }

    fn steer(&self, arguments: &[&str]) -> Ended {
        Ended::run(countersign().arg("agent").args(arguments).arg("--directory").arg(&self.directory))
    }
}

#[test]
fn a_program_gets_an_address_and_a_person_sees_and_steers() {
    let (system, directory) = (System::shared(), TempDir::new().unwrap());
    let agent = Served::start(&system, directory.path(), &[]);
    let said = agent.get("/orders");
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.contains("tea"), "{said}");
    let seen = agent.get("/whoami");
    assert!(seen.contains(r#""token_seen":false"#), "{seen}");

    let status: Value = serde_json::from_str(&agent.steer(&["status", "--json"]).printed()).unwrap();
    assert_eq!((&status["locked"], &status["bindings"][0]["approval"]), (&false.into(), &"never".into()));
    let head = status["journal_head"].as_str().unwrap();
    let tail = agent.steer(&["journal", "tail"]).printed();
    assert!(tail.contains("signed") && tail.contains("GET /orders") && tail.contains("answered"), "{tail}");
    let report: Value = serde_json::from_str(&agent.steer(&["journal", "report", "--json"]).printed()).unwrap();
    assert_eq!((&report["rows"][0]["tool"], &report["rows"][0]["signed"]), (&"GET".into(), &2.into()));
    assert!(agent.steer(&["journal", "verify", "--head", head]).printed().starts_with("whole: 6 lines"));

    agent.steer(&["lock"]).printed();
    assert!(agent.get("/orders").contains(r#""code":"A06""#));
    agent.steer(&["lock"]).is_refused("locked already");
    agent.steer(&["unlock"]).printed();
    assert!(agent.get("/orders").starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(agent.steer(&["approve", "7"]).code, Some(1), "nothing waits under this number");
    agent.steer(&["revoke", "nobody"]).is_refused("no binding of this name");

    agent.running.terminate();
    let Served { running, directory, .. } = agent;
    assert_eq!(running.end().code, Some(0));
    // An edited line is found.
    let journal = directory.join("journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap().replacen("/orders", "/ordurs", 1);
    fs::write(&journal, text).unwrap();
    let broken = Ended::run(countersign().args(["agent", "journal", "verify", "--journal"]).arg(&journal));
    assert_eq!(broken.code, Some(1));
    assert!(broken.stdout.starts_with("broken:"), "{broken:?}");
}

#[test]
fn a_port_is_where_it_was_after_a_restart_and_its_path_is_shown_on_a_terminal_only() {
    let (system, directory) = (System::shared(), TempDir::new().unwrap());
    let (client, directory) = (system.data.join("client.toml"), directory.path().join("agent"));
    let arguments = ["agent", "--resource", &system.gateway, "--client", client.to_str().unwrap(), "--directory"];
    let start = || {
        let mut running =
            Running::start(arguments.into_iter().chain([directory.to_str().unwrap()]), &[], Path::new("/"));
        let url = running.stderr_line("ready ").strip_prefix("ready ").unwrap().to_owned();
        (running, url)
    };
    let (running, first) = start();
    running.terminate();
    assert_eq!(running.end().code, Some(0));
    let (_running, second) = start();
    assert_eq!(first, second);

    let (address, path) = first.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let status =
        |more: &[&str]| Ended::run(countersign().args(["agent", "status", "--directory"]).arg(&directory).args(more));
    let json: Value = serde_json::from_str(&status(&["--json"]).printed()).unwrap();
    assert_eq!(json["bindings"][0]["address"], address);
    let shown = status(&[]).printed();
    assert!(shown.contains(&format!("at http://{address}/… (the path is secret: --reveal shows it)")), "{shown}");
    assert!(!shown.contains(path) && !json.to_string().contains(path));
    status(&["--reveal"]).is_refused("the path of a port is shown on a terminal only");
    // `script` gives it a terminal.
    let line =
        format!("{} agent status --reveal --directory '{}'", env!("CARGO_BIN_EXE_countersign"), directory.display());
    let revealed = std::process::Command::new("script").args(["-qec", &line, "/dev/null"]).output().unwrap();
    assert!(String::from_utf8_lossy(&revealed.stdout).contains(&format!("at {first}")), "{revealed:?}");
    let journal = fs::read_to_string(directory.join("journal.jsonl")).unwrap();
    assert_eq!((journal.matches(r#""event":"revealed""#).count(), journal.contains(path)), (1, false), "{journal}");
}

#[test]
fn a_killed_agent_starts_again_where_it_was() {
    let (system, directory) = (System::shared(), TempDir::new().unwrap());
    let agent = Served::start(&system, directory.path(), &[]);
    assert!(agent.get("/orders").starts_with("HTTP/1.1 200 OK\r\n"));
    let journal = agent.directory.join("journal.jsonl");
    drop(agent);
    let lines = |text: &str| text.lines().filter(|line| line.contains(r#""event":"signed""#)).count();
    assert_eq!(lines(&fs::read_to_string(&journal).unwrap()), 1, "what was signed was written before");
    // As if it had been killed in the middle of a line.
    fs::OpenOptions::new().append(true).open(&journal).unwrap().write_all(b"{\"seq\":4,\"time\":1").unwrap();
    let agent = Served::start(&system, directory.path(), &[]);
    assert!(agent.get("/orders").starts_with("HTTP/1.1 200 OK\r\n"), "the same socket again");
    let text = fs::read_to_string(&journal).unwrap();
    assert_eq!((lines(&text), text.matches(r#""event":"mended""#).count()), (2, 1), "{text}");
    assert!(agent.steer(&["journal", "verify"]).printed().starts_with("whole:"));
}

/// The disk is full as far as this process is concerned: its files may grow to eight blocks of 512 bytes.
#[test]
fn an_agent_whose_journal_has_no_room_signs_nothing_and_says_so() {
    let (system, directory) = (System::shared(), TempDir::new().unwrap());
    let (socket, client) = (directory.path().join("agent/a.sock"), system.data.join("client.toml"));
    let mut command = std::process::Command::new("sh");
    // What would end a process that goes over the limit is ignored, so that writing fails as on a full disk.
    command.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_countersign"), "agent"]);
    command.args(["--resource", &system.gateway, "--client"]).arg(client).arg("--directory");
    command.arg(directory.path().join("agent")).arg("--socket").arg(&socket);
    let mut running = Running::of(command.current_dir("/"));
    running.stderr_line("ready unix:");
    let agent = Served { running, directory: directory.path().join("agent"), socket };
    let mut said = String::new();
    let signed = (0..50).take_while(|_| {
        said = agent.get("/orders");
        said.starts_with("HTTP/1.1 200 OK\r\n")
    });
    let signed = signed.count();
    assert!((1..50).contains(&signed) && said.starts_with("HTTP/1.1 503"), "{signed}: {said}");
    assert!(said.contains(r#""code":"A07""#) && said.contains("make room on the disk of the journal"), "{said}");
    assert!(agent.get("/orders").starts_with("HTTP/1.1 503"), "and it stays so");
    let mut agent = agent;
    agent.running.stderr_line_with("nothing is signed while the journal cannot be written");
    let journal = fs::read_to_string(agent.directory.join("journal.jsonl")).unwrap();
    assert_eq!(journal.matches(r#""event":"signed""#).count(), signed, "what was signed is recorded, and nothing else");
    let whole = Ended::run(
        countersign().args(["agent", "journal", "verify", "--journal"]).arg(agent.directory.join("journal.jsonl")),
    );
    assert!(whole.printed().starts_with("whole:"));
}

#[test]
fn a_person_is_asked_and_answers() {
    let (system, directory) = (System::shared(), TempDir::new().unwrap());
    let agent = Served::start(&system, directory.path(), &["--approval", "per-call", "--reason", "a test"]);
    for (answer, expected) in [(&["--for", "60"][..], "HTTP/1.1 200"), (&[], "HTTP/1.1 200")] {
        let socket = agent.socket.clone();
        // A program of its own: one that this test's process starts could not be approved by it.
        let mut asking = std::process::Command::new("python3");
        asking.arg("-c").arg(ASK).arg(&socket).stdout(std::process::Stdio::piped());
        let child = asking.spawn().unwrap();
        if !answer.is_empty() {
            let mut seen = Value::Null;
            for _ in 0..200 {
                seen = serde_json::from_str(&agent.steer(&["approve", "--list", "--json"]).printed()).unwrap();
                if !seen.as_array().unwrap().is_empty() {
                    break;
                }
            }
            assert_eq!((&seen[0]["path"], &seen[0]["reason"]), (&"/orders".into(), &"a test".into()), "{seen}");
            assert!(seen[0]["process"][0]["exe"].as_str().unwrap().contains("python"), "{seen}");
            let id = seen[0]["id"].to_string();
            agent.steer(&[&["approve", &id], answer].concat()).printed();
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.starts_with(expected), "{said}");
    }
    let journal = fs::read_to_string(agent.directory.join("journal.jsonl")).unwrap();
    assert_eq!(journal.matches(r#""event":"asked""#).count(), 1, "the second was covered: {journal}");
    assert_eq!(journal.matches(r#""event":"approved""#).count(), 1);
}

/// A program that asks, and prints what it gets.
const ASK: &str = "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
s.sendall(b'GET /orders HTTP/1.1\\r\\nHost: api\\r\\nConnection: close\\r\\n\\r\\n')\nd = b''\n\
while True:\n    b = s.recv(65536)\n    if not b: break\n    d += b\nprint(d.decode())\n";

#[test]
fn a_configuration_serves_bindings_and_its_faults_have_a_line() {
    let (system, directory) = (System::shared(), TempDir::new().unwrap());
    let file = directory.path().join("agent.toml");
    let client = system.data.join("client.toml");
    let text = format!(
        "directory = \"state\"\n[[binding]]\nname = \"reader\"\nresource = \"{}\"\nclient = \"{}\"\n[binding.policy]\n\
         methods = [\"GET\"]\npaths = [\"/orders\"]\n",
        system.gateway,
        client.display()
    );
    fs::write(&file, &text).unwrap();
    let mut running = Running::start(["agent", "--config", file.to_str().unwrap()], &[], Path::new("/"));
    running.stderr_line("ready ");
    let socket = directory.path().join("state/reader.sock");
    let served = Served { running, directory: directory.path().join("state"), socket };
    assert!(served.get("/orders").starts_with("HTTP/1.1 200 OK\r\n"));
    let refused = served.get("/whoami");
    assert!(refused.starts_with("HTTP/1.1 403") && refused.contains(r#""code":"A02""#), "{refused}");

    fs::write(&file, text.replace("methods", "methos")).unwrap();
    let wrong = Ended::of(["agent", "--config", file.to_str().unwrap()]);
    wrong.is_refused("line 7: unknown field `methos`");
    fs::write(
        &file,
        format!(
            "{text}\n[[binding]]\nname = \"other\"\nresource = \"{}\"\nclient = \"{}\"\n",
            system.gateway,
            client.display()
        ),
    )
    .unwrap();
    let shared = Ended::of([
        "agent",
        "--config",
        file.to_str().unwrap(),
        "--directory",
        directory.path().join("b").to_str().unwrap(),
    ]);
    assert_eq!(shared.code, Some(2));
    assert!(shared.stderr.contains("have the same key"), "{shared:?}");
    Ended::of(["agent"]).is_refused("nothing to sign for");
}

#[test]
fn mcp_answers_on_standard_output_and_prints_a_configuration() {
    let (system, directory) = (System::shared(), TempDir::new().unwrap());
    let client = system.data.join("client.toml");
    let message = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#;
    let mut command = countersign();
    command.args(["mcp", &system.gateway, "--client", client.to_str().unwrap(), "--directory"]);
    command.arg(directory.path().join("agent")).write_stdin(format!("{message}\n\n"));
    let answer: Value = serde_json::from_str(&Ended::run(&mut command).printed()).unwrap();
    // What is behind this gateway is no MCP server, and the client is told so in its own protocol.
    assert_eq!((&answer["id"], &answer["error"]["data"]["status"]), (&7.into(), &404.into()), "{answer}");
    let printed =
        Ended::of(["mcp", "https://mcp.example.com/mcp", "--tool", "x", "--print-config", "ledger"]).printed();
    let printed: Value = serde_json::from_str(&printed).unwrap();
    let arguments = &printed["mcpServers"]["ledger"]["args"];
    assert_eq!(arguments, &serde_json::json!(["mcp", "https://mcp.example.com/mcp", "--tool", "x"]));
}

#[test]
fn demo_mcp_is_right_in_every_row() {
    let ended = Ended::of(["demo", "mcp", "--json"]);
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    let wrong: Vec<_> = told["rows"].as_array().unwrap().iter().filter(|row| row["right"] != true).collect();
    assert!(wrong.is_empty() && ended.code == Some(0), "{wrong:?}");
    assert!(told["rows"].as_array().unwrap().len() >= 20, "{told}");
}
