//! What the binary says of itself.

use crate::process::Ended;

/// Every command, found by following the help from the top.
fn commands(path: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let arguments = path.iter().map(String::as_str).chain(["--help"]);
    let help = Ended::of(arguments).printed();
    let listed = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let listed = listed.lines().take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        let below: Vec<_> = path.iter().cloned().chain([name.to_owned()]).collect();
        commands(&below, found);
    }
    found.push((path.to_vec(), help));
}

#[test]
fn the_help_of_every_command_has_an_example_and_fits_the_screen() {
    let mut found = Vec::new();
    commands(&[], &mut found);
    for name in ["authserver", "bench", "call", "demo", "gateway", "key", "up"] {
        assert!(found.iter().any(|(path, _)| path == &[name]), "{name}");
    }
    assert!(found.len() >= 16, "{found:?}");
    for (path, help) in &found {
        assert!(help.contains("Usage: countersign"), "{path:?}: {help}");
        let example = if path.is_empty() { "Start with:" } else { "Example" };
        assert!(help.contains(example) && help.contains("  countersign "), "{path:?} shows no example: {help}");
        if let Some(line) = help.lines().find(|line| line.chars().count() > 120) {
            panic!("{path:?}: {line}");
        }
    }
}

#[test]
fn alone_it_shows_its_help_and_exits_with_2() {
    let ended = Ended::of::<[&str; 0]>([]);
    ended.is_refused("Usage: countersign <COMMAND>");
    for path in [&["bench"][..], &["key"]] {
        Ended::of(path).is_refused("Usage: countersign ");
    }
}

#[test]
fn it_says_its_version() {
    let version = format!("countersign {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(Ended::of(["--version"]).printed(), version);
    assert_eq!(Ended::of(["-V"]).printed(), version);
}
