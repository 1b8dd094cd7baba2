//! `bench`: the rows that others read. No figure is judged here.

use crate::process::Ended;

fn rows(arguments: &[&str]) -> Vec<serde_json::Value> {
    serde_json::from_str(&Ended::of(arguments).printed()).unwrap()
}

fn names(rows: &[serde_json::Value]) -> Vec<&str> {
    rows.iter().map(|row| row["name"].as_str().unwrap()).collect()
}

fn is_positive(row: &serde_json::Value, figures: &[&str]) {
    for figure in figures {
        assert!(row[figure].as_f64().is_some_and(|figure| figure > 0.0), "{figure} of {row}");
    }
}

#[test]
fn bench_check_prints_its_rows_as_json() {
    let rows = rows(&[
        "bench",
        "check",
        "--rounds",
        "1",
        "--warm",
        "2",
        "--keys",
        "1,1500",
        "--algs",
        "ES256,Ed25519",
        "--es256-engine",
        "portable",
        "--json",
    ]);
    let names = names(&rows);
    let expected = [
        "library-verify",
        "check-warm-1-key",
        "check-warm-1500-keys",
        "check-cold",
        "check-new-client",
        "check-without-signature",
        "reject-junk",
        "reject-forged",
        "check-warm-1500-keys-2-threads",
        "library-verify-ed25519",
        "check-warm-1-key-ed25519",
        "check-warm-1500-keys-ed25519",
        "check-cold-ed25519",
        "check-new-client-ed25519",
        "library-sign",
        "make-proof",
        "library-sign-ed25519",
        "make-proof-ed25519",
    ];
    assert_eq!(names, expected);
    for row in &rows {
        is_positive(row, &["ns_median", "ratio_to_library_verify"]);
        assert!(row["engine"].is_string() && row["keys"].is_u64(), "{row}");
    }
    let row = |name: &str| &rows[names.iter().position(|known| *known == name).unwrap()];
    assert_eq!(row("check-warm-1-key")["keys"], 1);
    assert_eq!(row("check-warm-1500-keys")["keys"], 1_500);
    assert_eq!(row("library-verify")["ratio_to_library_verify"], 1.0);
    assert_eq!(row("library-verify-ed25519")["ratio_to_library_verify"], 1.0);
    assert_eq!(row("check-without-signature")["engine"], "none");
    assert_eq!(
        (&row("check-warm-1-key")["engine"], &row("check-cold")["engine"]),
        (&"portable".into(), &"library".into())
    );
    is_positive(row("check-warm-1500-keys-2-threads"), &["two_threads_by_cpu", "two_threads_by_wall"]);
    is_positive(row("make-proof-ed25519"), &["ratio_to_library_sign"]);
}

#[test]
fn bench_check_refuses_what_it_cannot_measure() {
    Ended::of(["bench", "check", "--algs", "HS256"]).is_refused("not one of ES256, Ed25519");
    Ended::of(["bench", "check", "--key-cache", "much"]).is_refused("'--key-cache <SIZE>'");
    Ended::of(["bench", "check", "--keys", "0"]).is_refused("not a number from 1 to 100000");
    Ended::of(["bench", "check", "--quick", "--rounds", "3"]).is_refused("cannot be used with");
}

#[test]
fn bench_replay_prints_its_rows_as_json() {
    let rows = rows(&["bench", "replay", "--entries", "20000", "--rounds", "2", "--json"]);
    assert_eq!(names(&rows), ["fill", "insert", "refuse-replay", "std-hash-set", "memory"]);
    for row in rows.iter().filter(|row| row["name"] != "memory") {
        is_positive(row, &["ns_median", "ratio_to_std_hash_set", "per_second_one_core", "entries"]);
    }
    let memory = rows.iter().find(|row| row["name"] == "memory").unwrap();
    is_positive(memory, &["bytes_per_entry_tables", "entries"]);
}

#[test]
fn bench_replay_says_which_server_it_does_not_reach() {
    let arguments = ["bench", "replay", "--entries", "10000", "--rounds", "1", "--redis"];
    let nowhere = |url| arguments.into_iter().chain([url]);
    Ended::of(nowhere("not a url")).is_refused("--redis: not like redis://host:6379/0");
    Ended::of(nowhere("redis://127.0.0.1:1")).is_refused("--redis: ");
}

#[test]
fn bench_writes_a_page_that_stands_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.html");
    let path_text = path.to_str().unwrap();
    Ended::of(["bench", "replay", "--entries", "10000", "--rounds", "1", "--report", path_text]).printed();
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("std-hash-set"), "{page}");
    for reference in ["<script", "src=", "url(", "@import", "http:"] {
        assert!(!page.contains(reference), "{reference} in {page}");
    }
    let nowhere = directory.path().join("none").join("report.html");
    let arguments = ["bench", "replay", "--report", nowhere.to_str().unwrap()];
    Ended::of(arguments).is_refused("the report cannot be written to ");
}

#[test]
fn bench_help_says_what_each_row_is() {
    let check = Ended::of(["bench", "check", "--help"]).printed();
    let replay = Ended::of(["bench", "replay", "--help"]).printed();
    for (help, row) in [(&check, "check-cold"), (&check, "reject-forged"), (&check, "make-proof"), (&replay, "memory")]
    {
        assert!(help.contains(&format!("\n  {row} ")), "{row} in {help}");
    }
}

#[test]
fn bench_authserver_prints_its_rows_as_json() {
    let rows = rows(&["bench", "authserver", "--rounds", "1", "--grants", "1200", "--json"]);
    let expected = [
        "cryptography-of-a-token",
        "durable-write-sqlite",
        "token-sqlite",
        "refresh-sqlite-1000-grants",
        "refresh-sqlite-1200-grants",
    ];
    assert_eq!(names(&rows), expected);
    for row in &rows {
        is_positive(row, &["us_cpu_median", "ratio_to_cryptography", "per_second_one_core", "us_wall_median"]);
    }
}

#[test]
fn bench_agent_prints_its_rows_as_json() {
    let rows = rows(&["bench", "agent", "--rounds", "3", "--bindings", "10", "--json"]);
    let names = names(&rows);
    let expected = [
        "library-sign",
        "forward",
        "forward-sign",
        "agent",
        "rest",
        "direct",
        "forward-busy",
        "forward-sign-busy",
        "agent-busy",
        "rest-busy",
        "bindings-idle",
        "bindings-used",
    ];
    assert_eq!(names, expected);
    let row = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
    for name in ["library-sign", "forward", "forward-sign", "agent", "forward-sign-busy"] {
        is_positive(row(name), &["us_cpu_median"]);
    }
    let agent = row("agent");
    is_positive(agent, &["us_p50", "us_p99"]);
    assert!(agent["added_us_p50"].is_f64() && agent["added_us_p99"].is_f64(), "{agent}");
    is_positive(row("agent-busy"), &["us_cpu_median", "per_second_one_core"]);
    is_positive(row("bindings-idle"), &["kib_per_binding"]);
}

#[test]
fn bench_gateway_prints_its_rows_as_json() {
    let rows = rows(&[
        "bench",
        "gateway",
        "--rounds",
        "1",
        "--requests",
        "500",
        "--idle-connections",
        "100",
        "--replay-entries",
        "20000",
        "--json",
    ]);
    let ours = ["direct", "gateway", "gateway-decision-log", "gateway-library"];
    let memory = ["idle-connections", "replay-entries"];
    let is_installed = std::path::Path::new("/usr/sbin/nginx").exists();
    let nginx: &[&str] = if is_installed { &["nginx", "nginx-auth-request"] } else { &[] };
    assert_eq!(names(&rows), [&ours, nginx, &memory].concat());
    for row in rows.iter().filter(|row| !memory.contains(&row["name"].as_str().unwrap())) {
        is_positive(row, &["requests_per_second", "p50_us", "p99_us"]);
        if row["name"] != "direct" {
            is_positive(row, &["cpu_us_per_request"]);
            assert_eq!(row["cpu_ratio_to_nginx_auth_request"].is_f64(), is_installed, "{row}");
        }
    }
    for row in rows.iter().filter(|row| memory.contains(&row["name"].as_str().unwrap())) {
        is_positive(row, &["count", "bytes_before", "bytes"]);
    }
}
