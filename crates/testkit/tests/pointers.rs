//! Every row of the corpus that is judged elsewhere says where, and there it is.
#![expect(clippy::unwrap_used, reason = "a file that is not there fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

use countersign_probe::corpus::{Line, NotHere, parse_lines};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn rows() -> Vec<NotHere> {
    let files = fs::read_dir(root().join("vectors/bad-inputs")).unwrap().map(|entry| entry.unwrap().path());
    let lines = files.flat_map(|file| parse_lines(&fs::read_to_string(file).unwrap()).unwrap());
    let elsewhere = lines.filter_map(|line| match line {
        Line::NotHere(row) => Some(row),
        Line::Case(_) => None,
    });
    elsewhere.collect()
}

/// What is wrong with a pointer; `None` when it leads somewhere.
fn fault(row: u16, pointer: &str) -> Option<String> {
    let (file, test) = pointer.split_once("::").map_or((pointer, None), |(file, test)| (file, Some(test)));
    let Ok(text) = fs::read_to_string(root().join(file)) else { return Some("no such file".to_owned()) };
    let found = match test {
        Some(test) => text.contains(&format!("fn {test}(")),
        None if Path::new(file).extension().is_some_and(|extension| extension == "jsonl") => {
            let numbers = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            numbers.into_iter().any(|line| line["row"] == row)
        }
        None => true,
    };
    (!found).then(|| format!("{file} has none"))
}

#[test]
fn every_row_that_is_judged_elsewhere_is_judged_there() {
    let rows = rows();
    assert!(rows.len() > 80, "{}", rows.len());
    let mut faults = Vec::new();
    for row in rows {
        assert!(!row.judged_by.is_empty(), "row {}", row.row);
        for pointer in &row.judged_by {
            faults.extend(fault(row.row, pointer).map(|fault| format!("row {}: {pointer}: {fault}", row.row)));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_pointer_to_nothing_is_found() {
    assert!(fault(1, "crates/testkit/tests/pointers.rs::no_such_test").is_some());
    assert!(fault(1, "crates/testkit/tests/nowhere.rs").is_some());
    assert!(fault(9_999, "vectors/authserver.jsonl").is_some());
    assert!(fault(1, "crates/testkit/tests/pointers.rs::a_pointer_to_nothing_is_found").is_none());
}
