//! Everything that can be wrong at the start: exit code 2, one sentence that says what to do, nothing on stdout.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use countersign_resource::es256::Engine;
use tempfile::TempDir;

use crate::process::{Ended, Running, countersign};

const GATEWAY: [(&str, &str); 5] = [
    ("--listen", "127.0.0.1:0"),
    ("--public-origin", "http://127.0.0.1:8080"),
    ("--upstream", "http://127.0.0.1:9"),
    ("--issuer", "http://127.0.0.1:9"),
    ("--audience", "http://127.0.0.1:8080"),
];

/// `gateway` with everything that is needed, `changed` in place of what is right.
pub(crate) fn gateway(changed: &[(&str, &str)]) -> Vec<String> {
    let kept = GATEWAY.iter().filter(|(flag, _)| !changed.iter().any(|(other, _)| other == flag));
    let flags = kept.chain(changed).flat_map(|(flag, value)| [(*flag).to_owned(), (*value).to_owned()]);
    std::iter::once("gateway".to_owned()).chain(flags).collect()
}

#[test]
fn every_wrong_value_of_a_gateway_is_refused_and_named() {
    let cases = [
        ("--stage", "loud", "stage: \"loud\" is not a stage; stages are observe, accept, prefer, require"),
        ("--stage", "", "stage: \"\" is not a stage"),
        ("--nonce", "maybe", "nonce: \"maybe\" is none of never, optional, required"),
        ("--window", "wide", "window: \"wide\" is none of rfc, strict, fapi2, mcp, atproto"),
        ("--algs", "HS256", "algs: \"HS256\" is not a signature algorithm that is implemented here"),
        ("--algs", "none", "algs: \"none\" is not a signature algorithm"),
        ("--replay", "disk", "replay: not a replay store of this program; there are memory"),
        ("--replay-capacity", "0", "replay_capacity: 0 is not within 1 to 4294967295"),
        ("--replay-capacity", "many", "'--replay-capacity <NUMBER>'"),
        ("--key-cache", "much", "'--key-cache <SIZE>'"),
        ("--key-cache", "256XB", "'--key-cache <SIZE>'"),
        ("--es256-engine", "fast", "\"fast\" is no ES256 engine; there are library, portable, ifma"),
        ("--es256-engine", "", "\"\" is no ES256 engine"),
        ("--es256-check-accepted", "many", "'--es256-check-accepted"),
        ("--listen", "8080", "listen: \"8080\" is no address to listen on; write one like 127.0.0.1:8080"),
        ("--admin", "here", "admin: \"here\" is no address to listen on"),
        ("--cors-origin", "app", "cors_origins: the origin \"app\" is not usable"),
        ("--cors-origin", "https://app.example/path", "cors_origins: the origin \"https://app.example/path\""),
        ("--issuer", "idp", "issuer: the issuer \"idp\" is not usable: not a usable URL"),
        ("--issuer", "http://idp.example", "plain http, which is allowed for loopback hosts only; use https"),
        ("--audience", "api", "audience: \"api\" is not usable: not a usable URL"),
        ("--audience", "http://api.example", "audience: \"http://api.example\" is not usable: plain http"),
        ("--jwks", "http://idp.example/keys", "jwks: the key set's address \"http://idp.example/keys\""),
        ("--jwks", "no-such-file.json", "no-such-file.json cannot be read: No such file or directory"),
        ("--upstream", "api", "upstream: not usable: not a URL like http://127.0.0.1:9000"),
        ("--upstream", "ftp://127.0.0.1", "upstream: not usable: a scheme other than http and https"),
        ("--public-origin", "api", "public_origin: \"api\" is not usable"),
        ("--public-origin", "https://api.example?a=b", "public_origin: \"https://api.example?a=b\" is not usable"),
        ("--log", "loud", "'--log <LEVEL>'"),
        ("--log-format", "xml", "'--log-format <FORM>'"),
    ];
    for (flag, value, says) in cases {
        Ended::of(gateway(&[(flag, value)])).is_refused(says);
    }
}

#[test]
fn an_engine_that_is_none_or_not_for_this_machine_is_refused_by_every_command_that_verifies() {
    let gateway = gateway(&[]);
    let gateway: Vec<_> = gateway.iter().map(String::as_str).collect();
    let check = ["gateway", "check", "--config", "no-such-file.toml"];
    for arguments in [&gateway[..], &check, &["up"], &["demo", "--once"], &["demo", "mcp"], &["bench", "check"]] {
        let by = |engine| Ended::run(countersign().args(arguments).env("COUNTERSIGN_ES256_ENGINE", engine));
        by("fast").is_refused("\"fast\" is no ES256 engine; there are library, portable, ifma");
        by("fast").is_refused("COUNTERSIGN_ES256_ENGINE");
        if !Engine::Ifma.is_available() {
            by("ifma").is_refused("the ES256 engine ifma needs AVX-512 IFMA, BMI2 and ADX, which this machine lacks");
        }
    }
}

#[test]
fn a_plain_http_origin_is_for_gateways_that_listen_on_loopback() {
    let plain = ("--public-origin", "http://api.example");
    Ended::of(gateway(&[plain, ("--listen", "0.0.0.0:0")])).is_refused("public_origin: \"http://api.example\" is not");
    let directory = TempDir::new().unwrap();
    let mut gateway = Running::start(gateway(&[plain]), &[], directory.path());
    gateway.ready();
    gateway.terminate();
    let ended = gateway.end();
    assert!(ended.stderr.contains("warning: http://api.example is plain http"), "{ended:?}");
    assert_eq!(ended.code, Some(0));
}

#[test]
fn everything_that_is_missing_is_said_at_once() {
    let ended = Ended::of(["gateway"]);
    for key in ["public_origin: missing", "upstream: missing", "issuer: missing", "audience: missing"] {
        ended.is_refused(key);
    }
}

#[test]
fn unknown_flags_commands_and_values_are_refused() {
    let unknown: [&[&str]; 9] = [
        &["gateway", "--frob"],
        &["authserver", "--frob"],
        &["call", "--frob"],
        &["demo", "--frob"],
        &["up", "--frob"],
        &["key", "list", "--frob"],
        &["bench", "check", "--frob"],
        &["frob"],
        &["key", "frob"],
    ];
    for arguments in unknown {
        Ended::of(arguments).is_refused("frob");
    }
    let wrong: [(&[&str], &str); 8] = [
        (&["demo", "--port", "65536"], "'--port <N>'"),
        (&["demo", "--once", "--port", "0"], "cannot be used with"),
        (&["bench", "check", "--rounds", "0"], "'--rounds <ROUNDS>'"),
        (&["up", "--listen", "0.0.0.0:0"], "it listens on loopback only; for more use gateway and authserver"),
        (&["up", "--authserver-listen", "0.0.0.0:0"], "it listens on loopback only"),
        (&["up", "--listen", "here"], "an address is written 127.0.0.1:8080"),
        (&["authserver"], "--config <FILE>"),
        (&["authserver", "--config", "a.toml", "--listen", "here"], "'--listen <ADDR>'"),
    ];
    for (arguments, says) in wrong {
        Ended::of(arguments).is_refused(says);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_what_to_do() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(path("folder")).unwrap();
    fs::write(path("bytes"), [0xff, 0xfe, 0x00]).unwrap();
    fs::write(path("large"), vec![b'#'; 1024 * 1024 + 1]).unwrap();
    let cases = [
        ("absent", "hint: check the path"),
        ("folder", "hint: name a file in it"),
        ("bytes", "hint: it has to be UTF-8 text"),
        ("large", "is larger than 1048576 bytes"),
    ];
    for (name, says) in cases {
        let file = path(name);
        for arguments in
            [gateway(&[("--config", &file)]), vec!["authserver".to_owned(), "--config".to_owned(), file.clone()]]
        {
            let ended = Ended::of(arguments);
            ended.is_refused(says);
            ended.is_refused(&format!("the configuration {file}"));
        }
        if name != "absent" {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let ended = Ended::of(["call", "--config", &file, "GET", "http://127.0.0.1:9/"]);
        ended.is_refused(says);
        ended.is_refused(&format!("the client's configuration {file}"));
    }
}

#[test]
fn a_fault_in_a_file_is_told_with_its_line() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("gateway.toml");
    let cases = [
        ("stage = 'observe'\nlisen = 'x'\n", "line 2, column 1: ", "unknown field `lisen`, expected one of `"),
        ("\n\nstage = 5\n", "line 3, column 9: stage: ", "invalid type: integer, expected a string"),
        ("stage = 'x\n", "line 1, column ", "invalid literal string"),
        ("stage\n", "line 1, column ", "expected `=`"),
        ("cors_origins = 'x'\n", "line 1, column 16: cors_origins: ", "invalid type: string, expected a sequence"),
        ("[limits]\nhead_bytes = -1\n", "line 2, column 14: limits.head_bytes: ", "invalid value: integer"),
        ("[limits]\nidle = 1\n", "line 2, column 1: ", "unknown field `idle`"),
        ("[[issuers]]\njwks = 'x'\n", "line 1, column 1: ", "missing field `issuer`"),
    ];
    for (text, place, says) in cases {
        fs::write(&file, text).unwrap();
        let ended = Ended::of(gateway(&[("--config", file.to_str().unwrap())]));
        ended.is_refused(place);
        ended.is_refused(says);
        ended.is_refused(file.to_str().unwrap());
        ended.is_refused("hint: nothing was started; mend that line and try again");
    }
}

#[test]
fn a_wrong_value_in_a_file_is_refused_like_one_of_a_flag() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("gateway.toml");
    fs::write(&file, "window = 'wide'\n").unwrap();
    Ended::of(gateway(&[("--config", file.to_str().unwrap())])).is_refused("window: \"wide\" is none of rfc");
    Ended::run(countersign().args(gateway(&[])).env("COUNTERSIGN_WINDOW", "wide"))
        .is_refused("window: \"wide\" is none of rfc");
}

#[test]
fn a_wrong_value_in_a_file_is_told_with_its_line_and_one_that_a_flag_says_is_not() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("gateway.toml");
    let text = "listen = '127.0.0.1:0'\npublic_origin = 'http://127.0.0.1:8080'\naudience = 'http://127.0.0.1:8080'\n\
                upstream = 'http://127.0.0.1:9'\nstage = 'loud'\n[[issuers]]\nissuer = 'http://127.0.0.1:9'\n\
                algs = 'HS256'\n[limits]\nhead_bytes = 1\n[[routes]]\npath = '/a'\n[[routes]]\npath = 'b'\n";
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let ended = Ended::of(["gateway", "--config", file]);
    let tried = Ended::of(["gateway", "check", "--config", file]);
    for (line, said, shown) in [
        (5, "stage: \"loud\" is not a stage", "stage = …"),
        (8, "issuers[0].algs: \"HS256\" is not a signature algorithm", "algs = …"),
        (10, "limits.head_bytes: 1 is not within", "head_bytes = …"),
        (14, "routes[1].path: \"b\" is no path", "path = …"),
    ] {
        for ended in [&ended, &tried] {
            ended.is_refused(&format!("line {line}: {said}"));
            ended.is_refused(&format!("\n{line:>5} | {shown}\n"));
        }
    }
    // What a flag says is not the file's fault, also where the file says something.
    let by_flag = Ended::of(["gateway", "--config", file, "--stage", "quiet"]);
    by_flag.is_refused("\nstage: \"quiet\" is not a stage");
    by_flag.is_refused("line 10: limits.head_bytes: 1 is not within");
    fs::write(file, text.replace("upstream = 'http://", "upstream = 'http://u:canary@")).unwrap();
    let secret = Ended::of(["gateway", "--config", file]);
    secret.is_refused("line 4: upstream: not usable: user information in the URL");
    secret.is_refused("\n    4 | upstream = …\n");
    assert!(!secret.stderr.contains("canary"), "{secret:?}");
}

#[test]
fn a_port_in_use_is_refused_for_every_listener() {
    let directory = TempDir::new().unwrap();
    let mut first = Running::start(gateway(&[("--admin", "127.0.0.1:0")]), &[], directory.path());
    let (url, admin) = first.ready();
    let taken = url.strip_prefix("http://").unwrap();
    let admin = admin.unwrap();
    let admin = admin.strip_prefix("http://").unwrap();
    let says = format!("cannot listen on {taken}: Address already in use");
    let data = directory.path().join("data");
    let data = data.to_str().unwrap();

    Ended::of(gateway(&[("--listen", taken)])).is_refused(&says);
    let ended = Ended::of(gateway(&[("--admin", admin)]));
    ended.is_refused(&format!("cannot listen on {admin}: Address already in use"));
    ended.is_refused("hint: another program has this port; choose another one, or port 0");
    Ended::of(["up", "--data", data, "--listen", taken, "--authserver-listen", "127.0.0.1:0"]).is_refused(&says);
    Ended::of(["up", "--data", data, "--listen", "127.0.0.1:0", "--authserver-listen", taken]).is_refused(&says);
    Ended::of(["demo", "--port", taken.rsplit(':').next().unwrap()]).is_refused(&says);
    let config = directory.path().join("authserver.toml");
    let config = config.to_str().unwrap();
    Ended::of(["authserver", "init", "--config", config]).printed();
    Ended::of(["authserver", "--config", config, "--listen", taken]).is_refused(&says);
    Ended::of(["authserver", "--config", config, "--listen", "127.0.0.1:0", "--admin", taken]).is_refused(&says);

    first.terminate();
    assert_eq!(first.end().code, Some(0));
}
