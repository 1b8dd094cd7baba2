//! `demo`: the whole story, judged by its rows, and the page.

use std::process::Command;

use tempfile::TempDir;

use crate::http;
use crate::process::{Ended, Running, countersign};

#[test]
fn once_stops_every_attack_and_says_so() {
    let directory = TempDir::new().unwrap();
    let ended = Ended::run(countersign().args(["demo", "--once"]).env("TMPDIR", directory.path()));
    assert_eq!(ended.stderr, "");
    let printed = ended.printed();
    let rows: Vec<_> = printed.lines().filter(|line| line.starts_with("  ✓  ") || line.starts_with("  ✗  ")).collect();
    assert!(rows.len() >= 20, "{printed}");
    for row in &rows {
        assert!(row.starts_with("  ✓  ") && row.ends_with("  stopped"), "{row}");
    }
    let sum = format!("{0} of {0} attacks stopped; the honest client was always served", rows.len());
    assert_eq!(printed.lines().last(), Some(sum.as_str()));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "something was left behind");
}

#[test]
fn once_as_json_holds_the_same_verdict() {
    let story: serde_json::Value = serde_json::from_str(&Ended::of(["demo", "--once", "--json"]).printed()).unwrap();
    assert_eq!(story["right"], true);
    let attacks = story["attacks"].as_array().unwrap();
    assert!(attacks.len() >= 20);
    for attack in attacks {
        assert_eq!(attack["verdict"], "stopped", "{attack}");
        assert_eq!((&attack["status"], &attack["code"]), (&attack["expected_status"], &attack["expected_code"]));
    }
    assert!(story["story"].as_array().unwrap().len() > 10);
}

#[test]
fn the_page_shows_the_last_verdicts_and_commands_that_work() {
    let directory = TempDir::new().unwrap();
    let variables = [("TMPDIR", directory.path().to_str().unwrap())];
    let mut demo = Running::start(["demo", "--port", "0"], &variables, directory.path());
    let (page, _) = demo.ready();
    let before = http::get(&page, &[]);
    assert_eq!(before.status, 200);
    let policy = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'";
    assert_eq!(before.fields("Content-Security-Policy"), [policy]);
    assert_eq!(before.fields("X-Content-Type-Options"), ["nosniff"]);
    assert_eq!(before.fields("Content-Type"), ["text/html; charset=utf-8"]);
    assert!(!before.body.contains("eyJ") && !before.body.contains("<script"), "{}", before.body);
    let style = http::get(&format!("{page}/style.css"), &[]);
    assert_eq!((style.status, style.fields("Content-Type")), (200, vec!["text/css; charset=utf-8"]));
    assert_eq!(http::get(&format!("{page}/elsewhere"), &[]).status, 404);

    let call = demo.stdout_line(" call --config ");
    let output = Command::new("sh").arg("-c").arg(call).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), r#"{"item":"ink"}"#);

    let (before, after) = (verdicts(&before.body), verdicts(&http::get(&page, &[]).body));
    let new = (1..after.len()).find(|new| before.starts_with(&after[*new..])).unwrap();
    assert!(after[0].contains("<td>served</td>"), "{new} new rows: {:?}", &after[..new]);
    demo.terminate();
    let ended = demo.end();
    assert_eq!(ended.code, Some(0));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "something was left behind");
}

/// The rows of what the gateway said, newest first.
fn verdicts(page: &str) -> Vec<String> {
    let table = page.split("<h2>What the thief tried</h2>").next().unwrap();
    let body = table.split("<tbody>").nth(1).unwrap_or_default();
    body.split("</tr>").map(|row| row.trim().to_owned()).filter(|row| row.starts_with("<tr")).collect()
}
