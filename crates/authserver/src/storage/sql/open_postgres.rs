//! Opening a Postgres database that several processes may share, and bringing its schema up to date.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgPool};
use tokio::task::JoinSet;

use super::migrations::{self, MigrationFault};
use crate::storage::{StorageError, StorageOpenError};

/// Where a Postgres database is and how to sign in there; shows neither its password nor its parameters.
#[derive(Clone)]
pub struct PostgresAddress {
    options: PgConnectOptions,
}

/// Why a text is no address of a Postgres database. Carries nothing of it: it may hold a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PostgresAddressError {
    /// Not a URL of this scheme.
    #[error("write postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    Scheme,
    /// A URL, but not one that says where a database is.
    #[error("not a Postgres URL; write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %xx for odd characters")]
    Malformed,
}

impl PostgresAddress {
    /// Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…&sslrootcert=…`.
    ///
    /// Without `sslmode` the certificate of a server on another machine is checked (`verify-full`); a server on a
    /// loopback address or a Unix socket is talked to in plain text.
    ///
    /// # Errors
    /// See [`PostgresAddressError`].
    pub fn parse(url: &SecretString) -> Result<Self, PostgresAddressError> {
        let url = url.expose_secret().trim();
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(PostgresAddressError::Scheme);
        }
        let options = PgConnectOptions::from_str(url).map_err(|_| PostgresAddressError::Malformed)?;
        let says_how = ["sslmode=", "ssl-mode="].iter().any(|parameter| url.contains(parameter));
        let options = if says_how { options } else { default_tls(options) };
        let options = options.application_name("countersign").options([
            // A process that hangs must not keep the others waiting for ever.
            ("lock_timeout", "3000"),
            ("statement_timeout", "5000"),
            ("idle_in_transaction_session_timeout", "5000"),
        ]);
        Ok(Self { options: options.disable_statement_logging() })
    }

    /// Makes a schema in which tables can be, for measuring two sets of them beside each other.
    ///
    /// # Errors
    /// See [`StorageOpenError`].
    #[doc(hidden)]
    pub async fn make_schema(&self, name: &'static str) -> Result<(), StorageOpenError> {
        let fault = |fault: sqlx::Error| refused_or_away(self.to_string(), fault);
        let mut connection = self.options.connect().await.map_err(fault)?;
        let sql = sqlx::AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS \"{name}\""));
        sqlx::query(sql).execute(&mut connection).await.map_err(fault)?;
        connection.close().await.map_err(fault)
    }
}

impl std::fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (host, port) = (self.options.get_host(), self.options.get_port());
        write!(f, "Postgres at {host}:{port}/{}", self.options.get_database().unwrap_or_default())
    }
}

impl std::fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Connects and brings the schema up to date; of processes that do so at the same time one does.
pub(super) async fn open(address: &PostgresAddress) -> Result<PgPool, StorageOpenError> {
    let fault = |fault: sqlx::Error| refused_or_away(address.to_string(), fault);
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(address.options.clone())
        .await
        .map_err(fault)?;
    let mut connection = pool.acquire().await.map_err(fault)?;
    let migrated = migrations::run(&mut *connection, migrations::POSTGRES).await;
    migrated.map_err(|fault| match fault {
        MigrationFault::NewerSchema { found, known } => {
            StorageOpenError::NewerSchema { database: address.to_string(), found, known }
        }
        MigrationFault::Failed { reason } => {
            StorageOpenError::Postgres { address: address.to_string(), fault: StorageError::Unavailable { reason } }
        }
    })?;
    drop(connection);
    connect_all(&pool).await;
    Ok(pool)
}

/// Makes every connection, so that no request has to wait for one: on a busy machine that takes Postgres seconds. Those
/// that cannot be made now are made when they are needed.
async fn connect_all(pool: &PgPool) {
    let made = (0..CONNECTIONS).map(|_| {
        let pool = pool.clone();
        async move { pool.acquire().await }
    });
    // All are held until the last one is there, or each would be the same one.
    drop(made.collect::<JoinSet<_>>().join_all().await);
}

/// Class 28, authorization; class 3D, no such database; 42501, no right to (Postgres manual, appendix A).
fn refused_or_away(address: String, fault: sqlx::Error) -> StorageOpenError {
    let code = fault.as_database_error().and_then(DatabaseError::code).unwrap_or_default();
    let is_refusal = code.starts_with("28") || code.starts_with("3D") || code == "42501";
    if is_refusal || matches!(fault, sqlx::Error::Configuration(_)) {
        let reason = fault.as_database_error().map_or_else(|| fault.to_string(), |said| said.message().to_owned());
        StorageOpenError::PostgresRefused { address, reason }
    } else {
        StorageOpenError::Postgres { address, fault: fault.into() }
    }
}

/// One for the writer, the rest for those who read.
pub(super) const CONNECTIONS: u32 = 5;
/// How long to wait for a connection, a new one included: about as long as a server needs to start again.
const PATIENCE: Duration = Duration::from_secs(3);

fn default_tls(options: PgConnectOptions) -> PgConnectOptions {
    let host = options.get_host();
    let is_near = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback());
    options.ssl_mode(if is_near { PgSslMode::Disable } else { PgSslMode::VerifyFull })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<PostgresAddress, PostgresAddressError> {
        PostgresAddress::parse(&SecretString::from(url))
    }

    #[test]
    fn checks_the_certificate_of_a_server_elsewhere_unless_told_otherwise() {
        let mode = |url| format!("{:?}", parse(url).unwrap().options.get_ssl_mode());
        assert_eq!(mode("postgres://u:p@db.example/as"), "VerifyFull");
        assert_eq!(mode("postgres://u:p@10.0.0.1/as"), "VerifyFull");
        assert_eq!(mode("postgres://u:p@127.0.0.1:5433/as"), "Disable");
        assert_eq!(mode("postgres://u:p@[::1]/as"), "Disable");
        assert_eq!(mode("postgres://u:p@localhost/as"), "Disable");
        assert_eq!(mode("postgres://u:p@db.example/as?sslmode=require"), "Require");
        assert_eq!(mode("postgres://u:p@localhost/as?sslmode=verify-full"), "VerifyFull");
    }

    #[test]
    fn refuses_what_is_no_address_without_repeating_it() {
        assert_eq!(parse("mysql://u:canary@h/d").unwrap_err(), PostgresAddressError::Scheme);
        assert_eq!(parse("postgres://u:canary@h:port/d").unwrap_err(), PostgresAddressError::Malformed);
        let shown =
            format!("{:?} {}", parse("postgres://u:canary@h/d").unwrap(), parse("postgres://u:canary@h/d").unwrap());
        assert!(shown.contains("h:5432/d") && !shown.contains("canary"), "{shown}");
    }
}
