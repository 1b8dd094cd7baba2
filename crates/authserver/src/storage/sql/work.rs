//! One SQL for two databases: statements with `$1` parameters that SQLite and Postgres both understand, run in a
//! transaction or beside one. What differs (types of columns, locks) is in the migrations and in `memory_row.rs`.

use countersign_dpop::time::Timestamp;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Decode, PgPool, Postgres, Row as _, Sqlite, SqlitePool, Transaction, Type};

/// Where connections come from.
#[derive(Clone, Debug)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A transaction that writes. It is rolled back unless [`Work::commit`] is called.
pub(super) enum Work {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// Runs one statement on whichever database this is.
macro_rules! statement {
    ($self:ident, $sql:ident, $values:ident, |$connection:ident| $place:expr, $method:ident, $read:expr) => {
        match $self {
            Self::Sqlite($connection) => {
                let answer = bind_sqlite($sql, $values).$method($place).await?;
                Ok($read(answer))
            }
            Self::Postgres($connection) => {
                let answer = bind_postgres($sql, $values).$method($place).await?;
                Ok($read(answer))
            }
        }
    };
}

impl Pool {
    /// The one row that there is at most.
    pub(super) async fn fetch_optional(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, sqlx::Error> {
        statement!(self, sql, values, |pool| pool, fetch_optional, |row: Option<_>| row.map(Row::from))
    }

    /// The one row that there is.
    pub(super) async fn fetch_one(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Row, sqlx::Error> {
        self.fetch_optional(sql, values).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// All rows.
    pub(super) async fn fetch_all(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, sqlx::Error> {
        statement!(self, sql, values, |pool| pool, fetch_all, all)
    }

    /// Begins a transaction that writes; in SQLite it is the only one at a time from here on.
    pub(super) async fn begin(&self) -> Result<Work, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(pool) => Work::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Work::Postgres(pool.begin().await?),
        })
    }
}

impl Work {
    /// Runs a statement and says how many rows it changed.
    pub(super) async fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, sqlx::Error> {
        statement!(self, sql, values, |work| &mut **work, execute, |done: _| Affected::of(&done))
    }

    /// The one row that there is at most.
    pub(super) async fn fetch_optional(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, sqlx::Error> {
        statement!(self, sql, values, |work| &mut **work, fetch_optional, |row: Option<_>| row.map(Row::from))
    }

    /// The one row that there is.
    pub(super) async fn fetch_one(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Row, sqlx::Error> {
        self.fetch_optional(sql, values).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// All rows.
    pub(super) async fn fetch_all(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, sqlx::Error> {
        statement!(self, sql, values, |work| &mut **work, fetch_all, all)
    }

    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(work) => work.commit().await,
            Self::Postgres(work) => work.commit().await,
        }
    }
}

/// A parameter of a statement. Truth values are kept as the numbers 0 and 1, times as seconds.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Number(Option<i64>),
    Text(Option<&'a str>),
    Bytes(Option<&'a [u8]>),
}

/// A row of an answer; columns are counted from 0.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    pub(super) fn number(&self, column: usize) -> Result<i64, sqlx::Error> {
        self.get(column)
    }

    pub(super) fn optional_number(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
        self.get(column)
    }

    pub(super) fn time(&self, column: usize) -> Result<Timestamp, sqlx::Error> {
        self.number(column).map(Timestamp::from_seconds)
    }

    pub(super) fn text(&self, column: usize) -> Result<String, sqlx::Error> {
        self.get(column)
    }

    pub(super) fn optional_text(&self, column: usize) -> Result<Option<String>, sqlx::Error> {
        self.get(column)
    }

    pub(super) fn bytes(&self, column: usize) -> Result<Vec<u8>, sqlx::Error> {
        self.get(column)
    }

    /// Bytes of a fixed length, for instance a hash.
    pub(super) fn array<const N: usize>(&self, column: usize) -> Result<[u8; N], sqlx::Error> {
        let bytes = self.bytes(column)?;
        bytes.try_into().map_err(|_| sqlx::Error::Protocol(format!("column {column} does not hold {N} bytes")))
    }

    fn get<T>(&self, column: usize) -> Result<T, sqlx::Error>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self::Sqlite(row)
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self::Postgres(row)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Self::Number(Some(i64::from(truth)))
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(time: Timestamp) -> Self {
        Self::Number(Some(time.seconds()))
    }
}

impl From<Option<Timestamp>> for Value<'_> {
    fn from(time: Option<Timestamp>) -> Self {
        Self::Number(time.map(Timestamp::seconds))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Some(bytes))
    }
}

impl<'a> From<Option<&'a [u8]>> for Value<'a> {
    fn from(bytes: Option<&'a [u8]>) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Bytes(Some(bytes))
    }
}

fn bind_sqlite(sql: &'static str, values: &[Value<'_>]) -> Query<'static, Sqlite, SqliteArguments> {
    values.iter().fold(sqlx::query(sql), |query, value| match *value {
        Value::Number(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
        Value::Bytes(bytes) => query.bind(bytes),
    })
}

fn bind_postgres(sql: &'static str, values: &[Value<'_>]) -> Query<'static, Postgres, PgArguments> {
    values.iter().fold(sqlx::query(sql), |query, value| match *value {
        Value::Number(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
        Value::Bytes(bytes) => query.bind(bytes),
    })
}

fn all<R: Into<Row>>(rows: Vec<R>) -> Vec<Row> {
    rows.into_iter().map(Into::into).collect()
}

/// How many rows a statement changed.
trait Affected {
    fn of(&self) -> u64;
}

impl Affected for sqlx::sqlite::SqliteQueryResult {
    fn of(&self) -> u64 {
        self.rows_affected()
    }
}

impl Affected for sqlx::postgres::PgQueryResult {
    fn of(&self) -> u64 {
        self.rows_affected()
    }
}
