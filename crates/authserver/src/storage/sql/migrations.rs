//! The schema's versions. Every change ever released stands here, in order; a released one never changes again.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};

/// Version, name and statements of each change.
pub(super) type Migrations = &'static [(i64, &'static str, &'static str)];

/// One list for each database: the versions are the same, the statements differ in types of columns only.
macro_rules! migrations {
    ($($version:literal $name:literal $file:literal),* $(,)?) => {
        pub(super) const SQLITE: Migrations =
            &[$(($version, $name, include_str!(concat!("../../../migrations/sqlite/", $file)))),*];
        pub(super) const POSTGRES: Migrations =
            &[$(($version, $name, include_str!(concat!("../../../migrations/postgres/", $file)))),*];
    };
}

migrations! {
    1 "proofs assertions keys" "0001_proofs_assertions_keys.sql",
    2 "entries" "0002_entries.sql",
}

/// Why the schema is not up to date.
pub(super) enum MigrationFault {
    /// A newer version of this program has been here.
    NewerSchema {
        found: i64,
        known: i64,
    },
    Failed {
        reason: String,
    },
}

/// Brings the schema up to date.
pub(super) async fn run<C: Migrate>(connection: &mut C, migrations: Migrations) -> Result<(), MigrationFault> {
    let known = migrations.iter().map(|(version, ..)| *version).max().unwrap_or_default();
    let list = migrations.iter().map(|(version, name, sql)| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    match Migrator::with_migrations(list.collect()).run_direct(None, connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => {
            let applied = connection.list_applied_migrations(TABLE).await.unwrap_or_default();
            let found = applied.iter().map(|migration| migration.version).max().unwrap_or(found);
            Err(MigrationFault::NewerSchema { found, known })
        }
        Err(fault) => Err(MigrationFault::Failed { reason: fault.to_string() }),
    }
}

/// Where the versions that have been reached are written down.
const TABLE: &str = "_sqlx_migrations";
