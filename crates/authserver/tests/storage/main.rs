//! The storage contract on every kind of storage.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "what the tests build themselves is right, or the test fails")]

mod backends;
mod crash;
mod upkeep;

use std::process::ExitCode;
use std::sync::{Arc, LazyLock};

use countersign_testkit::service::postgres::{Durability, Postgres};
use countersign_testkit::service::trial;
use countersign_testkit::storage_contract::{CHECKS, Check, Opener};
use libtest_mimic::{Arguments, Failed, Trial};

use self::backends::{InMemory, OnPostgres, OnSqlite};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, first, place] = arguments.as_slice()
        && first == crash::VICTIM
    {
        crash::be_victim(place);
        return ExitCode::SUCCESS;
    }
    libtest_mimic::run(&Arguments::from_args(), trials()).exit_code()
}

fn trials() -> Vec<Trial> {
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
    let sqlite = |name, test: fn() -> Result<(), Failed>| Trial::test(format!("sqlite::{name}"), test);
    trials.push(sqlite("a_killed_process_loses_nothing", crash::on_sqlite));
    trials.push(sqlite("a_backup_restores", || block_on(upkeep::a_backup_of_a_running_sqlite_restores())));
    let own = |name, test: fn() -> Result<(), Failed>| trial(format!("postgres::{name}"), &[&initdb], test);
    trials.push(own("a_killed_process_loses_nothing", crash::on_postgres));
    trials.push(own("heals_when_it_comes_back", || block_on(upkeep::heals_when_postgres_comes_back())));
    let on_shared = server.clone();
    let newer = move || block_on(upkeep::refuses_a_newer_schema(&on_shared));
    trials.push(trial("postgres::refuses_a_newer_schema", &[&initdb], newer));
    let refused = move || block_on(upkeep::is_told_apart_from_a_refusal(&server));
    trials.push(trial("postgres::is_told_apart_from_a_refusal", &[&initdb], refused));
    trials
}

fn run(check: Check, opener: &dyn Opener) -> Result<(), Failed> {
    block_on(check(opener))
}

fn block_on(test: impl Future<Output = ()>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()?;
    runtime.block_on(test);
    Ok(())
}
