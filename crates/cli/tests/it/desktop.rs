//! MCP clients: a desktop one, which starts the command of its configuration and speaks over standard input and output,
//! and one by the official SDK, over the agent's socket.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::played::Played;
use crate::process::{Ended, LIMIT, Running, countersign};

#[expect(dead_code, unreachable_pub, reason = "a program of its own, with a main")]
#[path = "../../../../examples/agent/rmcp_client.rs"]
mod rmcp_client;

/// A server as such a client starts it.
struct Server {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Server {
    /// Runs the command of an entry of `mcpServers`, with the binary on the path, in a home without a browser but one
    /// that goes where it is sent.
    fn start(entry: &Value, home: &Path) -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_countersign")).parent().unwrap();
        let opener = home.join("xdg-open");
        fs::write(&opener, "#!/bin/sh\ncurl -sSL -o /dev/null \"$1\"\n").unwrap();
        fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}:/usr/local/bin:/usr/bin:/bin", binary.display(), home.display());
        let arguments = entry["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
        let mut child = Command::new(entry["command"].as_str().unwrap())
            .args(arguments)
            .env("PATH", path)
            .env("HOME", home)
            .env("XDG_DATA_HOME", home.join("data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { input: child.stdin.take(), child, lines }
    }

    fn tell(&mut self, message: &Value) {
        writeln!(self.input.as_mut().unwrap(), "{message}").unwrap();
    }

    /// A request, and the result of its answer.
    fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.tell(&json!({ "jsonrpc": "2.0", "id": method, "method": method, "params": parameters }));
        let answer: Value = serde_json::from_str(&self.lines.recv_timeout(LIMIT).unwrap()).unwrap();
        assert_eq!(answer["id"], method, "{answer}");
        answer["result"].clone()
    }

    /// Lists the tools and calls one, as any client begins.
    fn use_it(mut self) -> (Vec<String>, String) {
        let client = json!({ "name": "desktop", "version": "1" });
        let begun = self
            .ask("initialize", &json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client }));
        assert_eq!(begun["serverInfo"]["name"], "played", "{begun}");
        self.tell(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        let tools = self.ask("tools/list", &json!({}));
        let names = tools["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned());
        let names = names.collect();
        let called = self.ask("tools/call", &json!({ "name": "read_ledger", "arguments": {} }));
        // The end of its input is the end of the server.
        self.input = None;
        assert!(self.child.wait().unwrap().success());
        (names, called["content"][0]["text"].as_str().unwrap().to_owned())
    }
}

/// The example's entry, for another server.
fn example(url: &str) -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/agent/mcp-desktop.json");
    let text = fs::read_to_string(file).unwrap().replace("https://mcp.example.com/mcp", url);
    serde_json::from_str::<Value>(&text).unwrap()["mcpServers"]["ledger"].clone()
}

#[test]
fn the_configuration_of_the_example_starts_a_server_that_works() {
    let (played, home) = (Played::start(), TempDir::new().unwrap());
    let entry = example(&played.mcp());
    assert!(entry["args"].to_string().contains(&played.mcp()), "{entry}");
    let (tools, said) = Server::start(&entry, home.path()).use_it();
    assert_eq!((tools, said.as_str()), (vec!["read_ledger".to_owned(), "write_ledger".to_owned()], "line 1"));
    assert_eq!(played.calls(), ["read_ledger"]);
}

#[test]
fn a_printed_configuration_starts_a_server_that_works() {
    let (played, home) = (Played::start(), TempDir::new().unwrap());
    let printed =
        Ended::run(countersign().args(["mcp", &played.mcp(), "--tool", "read_ledger", "--print-config", "x"]));
    let printed: Value = serde_json::from_str(&printed.printed()).unwrap();
    let entry = &printed["mcpServers"]["x"];
    assert!(
        Path::new(entry["command"].as_str().unwrap()).is_absolute(),
        "desktop clients have a path of their own: {entry}"
    );
    let (_, said) = Server::start(entry, home.path()).use_it();
    assert_eq!(said, "line 1");
    // The second start needs no login: the session was kept.
    let grants = played.grants();
    let (_, said) = Server::start(entry, home.path()).use_it();
    assert_eq!(said, "line 1");
    assert!(played.grants() > grants && played.logins() == 1, "renewed, not logged in to again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_by_the_official_sdk_needs_nothing_but_the_socket() {
    let (played, home) = (Played::start(), TempDir::new().unwrap());
    let socket = home.path().join("agent/a.sock");
    let arguments = ["agent", "--resource", &played.mcp(), "--keys", "memory", "--browser", "curl -sSL -o /dev/null"];
    let directory = home.path().join("agent");
    let places = ["--directory", directory.to_str().unwrap(), "--socket", socket.to_str().unwrap()];
    let mut agent = Running::start([&arguments[..], &places].concat(), &[], home.path());
    agent.stderr_line("ready unix:");
    let (tools, said) = rmcp_client::list_and_call(socket.to_str().unwrap(), "read_ledger".to_owned()).await.unwrap();
    assert_eq!(tools, ["read_ledger", "write_ledger"]);
    assert!(said.contains("line 1"), "{said}");
}
