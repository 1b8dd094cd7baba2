//! What stands beside the serving gateway: its first configuration, trying it, changing it, and reading its log.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::http::{self, Api};
use crate::process::{Ended, LIMIT, Running, countersign};

const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// A configuration whose issuer needs nobody.
fn configuration(origin: &str, upstream: &str, more: &str) -> String {
    format!(
        "listen = '127.0.0.1:0'\nadmin = '127.0.0.1:0'\npublic_origin = '{origin}'\nupstream = '{upstream}'\n\
         audience = '{origin}'\n{more}\n[[issuers]]\nissuer = 'https://idp.example.com'\njwks = '{KEYS}'\n"
    )
}

#[test]
fn init_writes_a_configuration_that_is_right_and_never_over_another() {
    let directory = TempDir::new().unwrap();
    let run = |arguments: &[&str]| Ended::run(countersign().args(arguments).current_dir(directory.path()));
    assert!(run(&["gateway", "init"]).printed().contains("gateway check --config gateway.toml"));
    let again = run(&["gateway", "init"]);
    again.is_refused("gateway.toml was not written");
    // Every commented key is right too: those of a gateway that forwards, and those of one that another proxy asks.
    write_named_files(directory.path());
    let text = fs::read_to_string(directory.path().join("gateway.toml")).unwrap();
    let helper_keys = ["mode = ", "proxy = "];
    let (own, helper): (Vec<_>, Vec<_>) =
        uncommented(&text).partition(|line| !helper_keys.iter().any(|key| line.starts_with(key)));
    assert_eq!(helper.len(), helper_keys.len(), "{helper:?}");
    let alone = own.iter().filter(|line| !line.starts_with("upstream")).cloned();
    let asked = helper.into_iter().chain(alone).take_while(|line| line != "[routes.mcp]").collect::<Vec<_>>();
    for configuration in [own, asked] {
        fs::write(directory.path().join("whole.toml"), configuration.join("\n")).unwrap();
        let tried = run(&["gateway", "check", "--config", "whole.toml", "--json"]);
        assert_eq!(tried.code, Some(1), "issuers that are not there are found: {tried:?}");
        let rows: Vec<Value> = serde_json::from_str(&tried.stdout).unwrap();
        assert_eq!((&rows[0]["what"], &rows[0]["result"]), (&"file".into(), &"good".into()), "{rows:?}");
    }
}

/// The lines of a configuration, with those that are only commented out as if they were not.
fn uncommented(text: &str) -> impl Iterator<Item = String> {
    let is_key = |line: &&str| line.starts_with('[') || (line.contains(" = ") && !line.contains(": "));
    text.lines().map(move |line| line.strip_prefix("# ").filter(is_key).unwrap_or(line).to_owned())
}

/// The files that the configuration of `gateway init` names.
fn write_named_files(directory: &Path) {
    let made = rcgen::generate_simple_self_signed(["api.example.com".to_owned()]).unwrap();
    for (name, text) in [
        ("introspection-secret", "secret".to_owned()),
        ("api-ca.pem", made.cert.pem()),
        ("gateway.pem", made.cert.pem()),
        ("gateway.key", made.signing_key.serialize_pem()),
        ("session.key", "a key of a test, thirty-two bytes.".to_owned()),
    ] {
        fs::write(directory.join(name), text).unwrap();
    }
}

#[test]
fn check_names_what_is_not_right_and_what_to_do() {
    let directory = TempDir::new().unwrap();
    let api = Api::start(0);
    let path = directory.path().join("gateway.toml");
    let check = |text: &str| {
        fs::write(&path, text).unwrap();
        Ended::run(countersign().args(["gateway", "check", "--config"]).arg(&path))
    };
    let good = check(&configuration("http://127.0.0.1:8080", &api.url, ""));
    assert_eq!(good.code, Some(0), "{good:?}");
    for line in ["ok   file ", "ok   issuer    https://idp.example.com: its tokens can be judged", "note store "] {
        assert!(good.stdout.contains(line), "{line} in {good:?}");
    }
    let more = "key_cache = '64MB'\nes256_engine = 'portable'\nes256_check_refused = 1\n";
    let keys = check(&configuration("http://127.0.0.1:8080", &api.url, more));
    let line = "portable: 64.0 MB for clients' keys and their tables; of ES256 verdicts aws-lc-rs checks 1 in 1024 accepted \
                and all refused";
    assert!(keys.stdout.contains("ok   keys ") && keys.stdout.contains(line), "{line} in {keys:?}");
    let none = check(&configuration("http://127.0.0.1:8080", &api.url, "key_cache = 0\n"));
    assert!(none.stdout.contains("library: no key is remembered; aws-lc-rs verifies every signature"), "{none:?}");
    let away = check(&configuration("http://127.0.0.1:8080", "http://127.0.0.1:9", ""));
    assert_eq!(away.code, Some(1));
    assert!(
        away.stdout.contains("bad  upstream  http://127.0.0.1:9: ") && away.stdout.contains("-> start the API"),
        "{away:?}"
    );
    check("stage = 'accept'\nlisen = 'x'\n").is_refused("line 2, column 1: ");
    check(&configuration("http://127.0.0.1:8080", &api.url, "[[routes]]\npath = 'orders'"))
        .is_refused("routes[0].path: ");
}

/// A proxy for `count` connections that changes what it passes on to `target`.
fn proxy(target: &str, change: fn(String) -> String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let target = target.strip_prefix("http://").unwrap().to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(client.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
            let Ok(mut server) = TcpStream::connect(&target) else { return };
            let head = change(head).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
            if server.write_all(head.as_bytes()).is_ok() {
                let mut answer = Vec::new();
                let _ = server.read_to_end(&mut answer);
                let mut client = client;
                let _ = client.write_all(&answer);
            }
        }
    });
    url
}

#[test]
fn check_through_says_what_a_proxy_on_the_way_changes() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("gateway.toml");
    let port = http::free_port();
    // The origin is that of the proxy, so each one has a gateway of its own; the plain one is asked directly.
    for (change, told) in [
        (None, "arrive as they were sent"),
        (Some((|head: String| head) as fn(String) -> String), "arrive as they were sent"),
        (Some(|head: String| head.replacen("GET /", "GET /inner/", 1)), "the gateway takes it for another URL"),
        (Some(|head: String| head.replacen(" /api/", " /", 1)), "the gateway takes it for http://127.0.0.1:"),
        (Some(|head: String| head.replacen("GET ", "POST ", 1)), "GET arrives as POST"),
        (Some(|head: String| head.replace("dpop: ", "x-dpop: ")), "the field DPoP does not arrive"),
        (
            Some(|head: String| head.replace("authorization: ", "x-authorization: ")),
            "the field Authorization does not arrive",
        ),
        (Some(|head: String| head.replace("host: 127", "host: 128")), "another host arrives than was asked for"),
    ] {
        let listen = format!("127.0.0.1:{port}");
        let inner = format!("http://{listen}");
        let origin = change.map_or_else(|| inner.clone(), |change| proxy(&inner, change));
        let text = configuration(&origin, "http://127.0.0.1:9", "")
            .replace("127.0.0.1:0'\nadmin", &format!("{listen}'\nadmin"));
        fs::write(&path, text).unwrap();
        let arguments = ["gateway", "--config", path.to_str().unwrap()];
        let mut running = Running::start(arguments, &[], directory.path());
        running.ready();
        let through = format!("{origin}/api/orders");
        let command = ["gateway", "check", "--config", path.to_str().unwrap(), "--json", "--through", &through];
        let ended = Ended::run(countersign().args(command));
        let rows: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap_or_else(|fault| panic!("{fault}: {ended:?}"));
        let row = rows.iter().find(|row| row["what"] == "through").unwrap();
        assert!(row["said"].as_str().unwrap().contains(told), "expected {told:?}, found {row}");
        let good = told.contains("as they were sent");
        assert_eq!(row["result"], if good { "good" } else { "bad" }, "{row}");
        assert_eq!(row.get("todo").is_some(), !good);
        running.terminate();
        running.end();
    }
}

fn wait_for(mut is_there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_there() {
        assert!(began.elapsed() < LIMIT, "it did not happen in time");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn a_changed_file_is_taken_and_a_bad_one_leaves_the_old_in_force() {
    let directory = TempDir::new().unwrap();
    let api = Api::start(0);
    api.let_go(1_000);
    let path = directory.path().join("gateway.toml");
    let origin = "http://127.0.0.1:8080";
    fs::write(&path, configuration(origin, &api.url, "stage = 'require'")).unwrap();
    let notified = directory.path().join("notify");
    let systemd = UnixDatagram::bind(&notified).unwrap();
    let told = || {
        let mut text = [0; 256];
        let length = systemd.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let variables = [("NOTIFY_SOCKET", notified.to_str().unwrap())];
    let mut gateway = Running::start(["gateway", "--config", path.to_str().unwrap()], &variables, directory.path());
    let (url, admin) = gateway.ready();
    let admin = admin.unwrap();
    assert_eq!(told(), "READY=1");
    let status = || http::get(&format!("{url}/"), &[("Host", "127.0.0.1:8080")]).status;
    assert_eq!(status(), 401);

    // By itself.
    fs::write(&path, configuration(origin, &api.url, "stage = 'observe'\n[log]\nlevel = 'debug'")).unwrap();
    wait_for(|| status() == 200);
    assert!(told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(told(), "READY=1");
    // A level changed by the reload: what one client does to its connection is told at `debug` only.
    let mut client = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nthis is no frame of HTTP/2").unwrap();
    gateway.stderr_line_with("a connection ended early");

    // What is not right is told with its line and counted.
    fs::write(&path, configuration(origin, &api.url, "stage = 'observe'\nlisen = 'x'")).unwrap();
    gateway.hang_up();
    let line = gateway.stderr_line_with("the new configuration was refused");
    assert!(line.contains("line 7, column 1") && line.contains("lisen"), "{line}");
    assert_eq!(status(), 200);
    let metrics = http::get(&format!("{admin}/metrics"), &[]).body;
    assert!(metrics.contains("countersign_config_stale 1\n"), "{metrics}");
    fs::write(&path, configuration(origin, &api.url, "stage = 'loud'")).unwrap();
    gateway.hang_up();
    let line = gateway.stderr_line_with("is not a stage");
    assert!(line.contains("line 6: stage: "), "{line}");
    assert_eq!(status(), 200);

    fs::write(&path, configuration(origin, &api.url, "stage = 'require'")).unwrap();
    gateway.hang_up();
    wait_for(|| status() == 401);
    gateway.terminate();
    assert_eq!(gateway.end().code, Some(0));
}

fn decision(client: &str, outcome: &str, code: &str, scheme: &str, bound: bool, time: i64) -> String {
    serde_json::json!({
        "version": 1, "time": time, "outcome": outcome, "code": code, "checks": [], "stage": "observe", "scheme": scheme,
        "bound": bound, "client": client, "issuer": "https://idp.example.com", "offset": 3,
    })
    .to_string()
}

#[test]
fn report_and_simulate_say_who_would_break() {
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("decisions");
    let lines = [
        decision("moved", "granted", "ok", "dpop", true, 2_000_000_000),
        decision("late", "granted", "ok", "bearer", false, 2_000_000_000),
        decision("gone", "granted", "ok", "bearer", false, 1_000_000_000),
        "no decision".to_owned(),
        "x".repeat(200_000),
    ];
    fs::write(&log, lines.join("\n")).unwrap();
    fs::write(directory.path().join("gateway.toml"), "[log]\ndecisions = 'decisions'\n").unwrap();
    let run = |arguments: &[&str]| Ended::run(countersign().args(arguments).current_dir(directory.path()));

    let report = run(&["gateway", "report", "--config", "gateway.toml", "--since", "2027-01-01", "--json"]);
    let report: Value = serde_json::from_str(&report.printed()).unwrap();
    assert_eq!((&report["requests"], &report["skipped"]), (&2.into(), &2.into()));
    assert_eq!(report["clients"][0]["client"], "late", "the one that would break first");
    assert_eq!(
        (&report["clients"][1]["percent_bound"], &report["clients"][0]["last_bearer"]),
        (&100.0.into(), &2_000_000_000.into())
    );
    let ready: Vec<_> =
        report["stages"].as_array().unwrap().iter().map(|stage| stage["ready"].as_bool().unwrap()).collect();
    assert_eq!(ready, [true, true, false]);

    let shown = run(&["gateway", "report", "--decisions", "decisions"]).stdout;
    for part in
        ["late of https://idp.example.com", "+3..+3 s", "last Bearer use 2033-05-18 03:33 UTC", "accept   ready"]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(shown.contains("require  2 requests of 2 clients would break"), "{shown}");

    let simulated = run(&["gateway", "simulate", "--decisions", "decisions", "--stage", "require", "--json"]);
    assert_eq!(simulated.code, Some(1));
    let simulated: Value = serde_json::from_str(&simulated.stdout).unwrap();
    assert_eq!(simulated["breaks"], 2);
    assert_eq!(simulated["clients"][0]["codes"][0]["code"], "bearer_not_accepted");
    let simulated = run(&["gateway", "simulate", "--decisions", "decisions", "--stage", "accept"]);
    assert_eq!((simulated.code, simulated.stdout.as_str()), (Some(0), "nobody would break at accept: 3 requests\n"));

    run(&["gateway", "report"]).is_refused("no decision log is named");
    run(&["gateway", "report", "--decisions", "nowhere"]).is_refused("cannot read the decision log nowhere");
    run(&["gateway", "report", "--decisions", "decisions", "--since", "soon"]).is_refused("--since soon is neither");
}
