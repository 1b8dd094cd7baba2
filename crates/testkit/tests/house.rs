//! The house as ARCHITECTURE.md and README.md draw it is the workspace as it is: crates, arrows and bans.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Which crates of the workspace each crate may know, by directory. ARCHITECTURE.md may say less, never more.
const ARROWS: [(&str, &[&str]); 14] = [
    ("dpop", &[]),
    ("es256", &["dpop"]),
    ("replay", &["dpop"]),
    ("resource", &["dpop", "es256"]),
    ("client", &["dpop"]),
    ("authserver", &["dpop", "es256"]),
    ("forward", &[]),
    ("mcp", &["dpop"]),
    ("gateway", &["dpop", "replay", "resource", "forward", "mcp"]),
    ("agent", &["dpop", "client", "forward", "mcp"]),
    ("diagnose", &["dpop"]),
    ("probe", &["dpop", "diagnose"]),
    (
        "testkit",
        &["dpop", "es256", "replay", "resource", "client", "authserver", "forward", "gateway", "agent", "probe"],
    ),
    (
        "cli",
        &[
            "dpop",
            "es256",
            "replay",
            "resource",
            "client",
            "authserver",
            "forward",
            "gateway",
            "agent",
            "diagnose",
            "probe",
        ],
    ),
];

/// Crates that may be in no tree: one crypto backend, aws-lc-rs.
const BANNED: [&str; 3] = ["ring", "openssl-sys", "native-tls"];

const OUTSIDE_TESTS: [DependencyKind; 2] = [DependencyKind::Normal, DependencyKind::Build];
const ANYWHERE: [DependencyKind; 3] = [DependencyKind::Normal, DependencyKind::Build, DependencyKind::Development];

#[test]
fn crates_know_only_whom_they_may() {
    let house = House::read();
    let allowed: BTreeMap<_, _> = ARROWS.into_iter().collect();
    for name in house.crates.keys() {
        let allowed = allowed.get(name.as_str()).unwrap_or_else(|| panic!("crates/{name} has no row among the arrows"));
        for known in house.knows(name, &OUTSIDE_TESTS) {
            assert!(allowed.contains(&known.as_str()), "crates/{name} may not know crates/{known}");
        }
    }
}

#[test]
fn client_and_authorization_server_never_see_each_other_even_in_tests() {
    let house = House::read();
    assert!(!house.knows("client", &ANYWHERE).contains("authserver"));
    assert!(!house.knows("authserver", &ANYWHERE).contains("client"));
}

#[test]
fn the_testkit_is_for_tests_only() {
    let house = House::read();
    for name in house.crates.keys() {
        assert!(!house.knows(name, &OUTSIDE_TESTS).contains("testkit"), "crates/{name} needs the testkit to run");
    }
}

#[test]
fn only_the_binary_reads_a_command_line() {
    for (name, package) in House::read().crates {
        let reads = package.dependencies.iter().any(|dependency| dependency.name.starts_with("clap"));
        assert_eq!(reads, name == "cli", "crates/{name} and clap");
    }
}

/// By the tree that is built here; the lock file also lists what no feature turns on. `deny.toml` bans them for every
/// platform.
#[test]
fn banned_crates_are_in_no_tree() {
    let options = ["tree", "--locked", "--workspace", "--all-features", "--prefix=none", "--format={p}"];
    let tree = Command::new(env!("CARGO")).args(options).current_dir(root()).output().expect("cargo tree");
    assert!(tree.status.success(), "cargo tree: {}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).expect("package names are text");
    let packages: BTreeSet<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(packages.contains("aws-lc-rs"), "the tree reads as expected");
    for banned in BANNED {
        assert!(!packages.contains(banned), "{banned} is in the tree");
    }
}

#[test]
fn every_crate_forbids_unsafe_code() {
    // Instructions that not every machine has cannot be called without: denied there, but for one module.
    let denies = |name: &str| name == "es256";
    for (name, package) in House::read().crates {
        for target in package.targets.iter().filter(|target| target.is_lib() || target.is_bin()) {
            let source = fs::read_to_string(&target.src_path).expect("a target's source can be read");
            let wanted = if denies(&name) { "#![deny(unsafe_code)]" } else { "#![forbid(unsafe_code)]" };
            let forbids = source.lines().any(|line| line == wanted);
            assert!(forbids, "crates/{name}: {} does not forbid unsafe code", target.src_path);
        }
    }
}

#[test]
fn unsafe_code_of_es256_is_in_one_module() {
    let sources = root().join("crates/es256/src");
    let mut files = vec![sources.clone()];
    let mut expecting = Vec::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry").path()));
        } else if fs::read_to_string(&path).expect("a source").contains("expect(unsafe_code") {
            expecting.push(path);
        }
    }
    assert_eq!(expecting, [sources.join("native.rs")]);
}

#[test]
fn architecture_draws_the_workspace_as_it_is() {
    let house = House::read();
    let drawn = crate_table("ARCHITECTURE.md");
    assert!(drawn.keys().eq(house.crates.keys()), "ARCHITECTURE.md lists {:?}", drawn.keys());
    for (name, row) in &drawn {
        let [package, _, knows] = row.as_slice() else {
            panic!("the row of {name} in ARCHITECTURE.md has the wrong number of columns");
        };
        assert_eq!(quoted(package), [house.crates[name].name.to_string()], "the package in crates/{name}");
        let known = house.knows(name, &OUTSIDE_TESTS);
        let quoted: BTreeSet<_> = quoted(knows).into_iter().collect();
        if knows.starts_with("all") {
            assert!(known.is_disjoint(&quoted), "crates/{name} knows {known:?}, by ARCHITECTURE.md {knows}");
        } else {
            assert_eq!(known, quoted, "whom crates/{name} knows, by ARCHITECTURE.md");
        }
    }
}

#[test]
fn readme_lists_the_workspace_as_it_is() {
    let listed: BTreeSet<_> = crate_table("README.md").into_keys().collect();
    let packages = House::read().crates.into_values().map(|package| package.name.to_string()).collect();
    assert_eq!(listed, packages, "the crates that README.md lists");
}

/// The workspace's packages by the name of their directory under `crates`.
struct House {
    crates: BTreeMap<String, Package>,
}

impl House {
    fn read() -> Self {
        let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec();
        let named = |package: Package| {
            let directory = package.manifest_path.parent().and_then(|path| path.file_name());
            (directory.expect("a package has a directory").to_owned(), package)
        };
        Self { crates: metadata.expect("cargo metadata").packages.into_iter().map(named).collect() }
    }

    /// The directories of the crates that `name` needs for `kinds`, optional ones included, itself excluded.
    fn knows(&self, name: &str, kinds: &[DependencyKind]) -> BTreeSet<String> {
        let wanted = self.crates[name].dependencies.iter().filter(|dependency| kinds.contains(&dependency.kind));
        let packages: BTreeSet<_> = wanted.map(|dependency| dependency.name.as_str()).collect();
        let known = self.crates.iter().filter(|(_, package)| packages.contains(package.name.as_str()));
        known.map(|(directory, _)| directory.clone()).filter(|directory| directory != name).collect()
    }
}

/// The rows of the table whose first column is `crate`: the other columns by the first, whose quotes are taken off.
#[test]
fn every_place_that_the_pages_name_is_there() {
    for page in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"] {
        let text = read(page);
        let places = text.lines().flat_map(quoted).filter(|place| place.starts_with("crates/"));
        for place in places {
            assert!(root().join(&place).exists(), "{page} names {place}, which is not there");
        }
    }
}

fn crate_table(file: &str) -> BTreeMap<String, Vec<String>> {
    let text = read(file);
    let rows = text.lines().skip_while(|line| !line.starts_with("| crate |")).skip(2);
    let table: BTreeMap<_, _> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|row| {
            let mut cells = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
            (quoted(&cells.next().unwrap_or_default()).concat(), cells.collect())
        })
        .collect();
    assert!(!table.is_empty(), "{file} has no table of crates");
    table
}

/// What stands in back-quotes.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
