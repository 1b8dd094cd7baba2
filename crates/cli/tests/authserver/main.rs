//! `countersign authserver` as it is run, on SQLite and on Postgres: what is good once is good once for all that ask at
//! the same time, and for the process that comes after one that was killed.
//!
//! `COUNTERSIGN_KILLS=200` kills each server so often; a few times by default, for the wait.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "what the tests build themselves is right, or the test fails")]

mod at_once;
mod browser;
mod client;
mod killed;
mod server;

use std::process::ExitCode;

use countersign_testkit::service::postgres::Postgres;
use countersign_testkit::service::trial;
use libtest_mimic::{Arguments, Failed, Trial};

use self::server::Database;

fn main() -> ExitCode {
    let initdb = Postgres::program();
    let mut trials = Vec::new();
    for (name, test) in at_once::CHECKS.iter().chain(killed::CHECKS) {
        trials.push(Trial::test(format!("sqlite::{name}"), || run(Database::sqlite()?, *test)));
        let on_postgres = || run(Database::postgres()?, *test);
        trials.push(trial(format!("postgres::{name}"), &[&initdb], on_postgres));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A test on a database of its own, in which nothing has been done.
type Check = fn(Database) -> std::pin::Pin<Box<dyn Future<Output = ()>>>;

fn run(database: Database, check: Check) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(check(database));
    Ok(())
}
