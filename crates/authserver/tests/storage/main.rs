//! The storage contract on every kind of storage.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "what the tests build themselves is right, or the test fails")]

mod backends;

use std::process::ExitCode;
use std::sync::{Arc, LazyLock};

use countersign_testkit::service::postgres::{Durability, Postgres};
use countersign_testkit::service::trial;
use countersign_testkit::storage_contract::{CHECKS, Check, Opener};
use libtest_mimic::{Arguments, Failed, Trial};

use self::backends::{InMemory, OnPostgres, OnSqlite};

fn main() -> ExitCode {
    let initdb = Postgres::program();
    let server = Arc::new(LazyLock::new(|| Arc::new(Postgres::start(Durability::Memory).unwrap())));
    let mut trials = Vec::new();
    for (name, check) in CHECKS {
        trials.push(Trial::test(format!("memory::{name}"), || run(*check, &InMemory::default())));
        trials.push(Trial::test(format!("sqlite::{name}"), || run(*check, &OnSqlite::new())));
        let server = server.clone();
        let on_postgres = move || run(*check, &OnPostgres::new(&server));
        trials.push(trial(format!("postgres::{name}"), &[&initdb], on_postgres));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn run(check: Check, opener: &dyn Opener) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()?;
    runtime.block_on(check(opener));
    Ok(())
}
