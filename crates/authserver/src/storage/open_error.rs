//! Why a storage cannot be opened.

use std::io;
use std::path::PathBuf;

use super::StorageError;

/// The storage cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StorageOpenError {
    /// The data directory or a file in it cannot be made.
    #[error("{} cannot be used: {fault}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        fault: io::Error,
    },
    /// A newer version of this program has been here.
    #[error(
        "{database} has schema {found}, this program knows schemas up to {known}; use the newer program, or a backup from \
         before it ran"
    )]
    NewerSchema {
        /// The database.
        database: String,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// The database is there and does not do what it should.
    #[error("{} cannot be used: {fault}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What it said.
        fault: StorageError,
    },
    /// The Postgres server is there and will not have us: a wrong password, no such database.
    #[error("{address} refuses: {reason}")]
    PostgresRefused {
        /// The database, without its password.
        address: String,
        /// What it said.
        reason: String,
    },
    /// The Postgres database cannot be reached or does not do what it should.
    #[error("{address} cannot be used: {fault}")]
    Postgres {
        /// The database, without its password.
        address: String,
        /// What it said.
        fault: StorageError,
    },
}
