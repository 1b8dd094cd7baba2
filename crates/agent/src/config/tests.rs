use super::*;

const WHOLE: &str = r#"
directory = "state"
approval_wait = 30
idle_lock = 900
notify = ["notify-send", "Countersign", "{text}"]

[[binding]]
name = "reader"
resource = "https://mcp.example.com/mcp"
client = "reader.toml"
scope = "read"
reason = "month end"
lifetime = 28800
[binding.policy]
methods = ["POST"]
paths = ["/mcp"]
mcp_methods = ["initialize", "tools/list", "tools/call"]
tools = ["read_ledger"]
read_only_tools = ["read_ledger"]
per_minute = 60
approval = "per-write"

[[binding]]
name = "port"
resource = "http://127.0.0.1:9/"
listen = "127.0.0.1:0"
client_id = "cli"
issuer = "https://idp.example.com"
"#;

#[test]
fn reads_everything() {
    let config = AgentConfig::parse(WHOLE, Path::new("/etc/c")).expect("good");
    assert_eq!(config.directory.as_deref(), Some(Path::new("/etc/c/state")));
    assert_eq!((config.settings.approval_wait.as_secs(), config.settings.idle_lock), (30, Some(900)));
    let [reader, port] = config.bindings.as_slice() else { panic!("{config:?}") };
    assert_eq!(reader.client.as_deref(), Some(Path::new("/etc/c/reader.toml")));
    assert_eq!((reader.listen.as_ref(), reader.lifetime), (None, Some(28_800)));
    assert_eq!(reader.policy.approval, ApprovalMode::PerWrite);
    assert_eq!(reader.policy.tools.as_deref(), Some(["read_ledger".to_owned()].as_slice()));
    assert_eq!((port.client_id.as_deref(), port.issuer.as_deref()), (Some("cli"), Some("https://idp.example.com")));
    assert_eq!((reader.client_id.as_deref(), reader.issuer.as_deref()), (None, None));
    assert_eq!(port.listen, Some(Listen::Port("127.0.0.1:0".parse().expect("an address"))));
}

#[test]
fn names_the_line_of_what_is_wrong() {
    for (good, bad, line, what) in [
        ("approval_wait = 30", "approval_wait = 0", 3, "approval_wait: from 1 to 3600 seconds"),
        ("idle_lock = 900", "idle_lok = 900", 4, "unknown field `idle_lok`"),
        ("name = \"reader\"", "name = \"../x\"", 8, "name: a name is 1 to 64"),
        ("name = \"port\"", "name = \"reader\"", 24, "two bindings named reader"),
        ("https://mcp", "http://mcp", 9, "resource: plain http"),
        ("\"POST\"", "\"P OST\"", 15, "\"P OST\" is no method"),
        ("[\"/mcp\"]", "[\"mcp\"]", 16, "\"mcp\" is no path"),
        ("per-write", "sometimes", 21, "an approval mode is never"),
        ("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:80\"", 26, "listen: not a loopback address"),
        ("listen = \"127", "socket = \"s\"\nlisten = \"127", 27, "a socket or a port, not both"),
        ("client_id", "client = \"f\"\nclient_id", 28, "the client of a file, or logs in as client_id, not both"),
    ] {
        assert!(WHOLE.contains(good), "{good}");
        let fault = AgentConfig::parse(&WHOLE.replacen(good, bad, 1), Path::new(".")).expect_err(bad);
        assert_eq!(fault.line, Some(line), "{bad}: {fault}");
        assert!(fault.what.contains(what), "{bad}: {fault}");
    }
    assert!(AgentConfig::parse("", Path::new(".")).expect_err("nothing").what.contains("no [[binding]]"));
}
