//! A way to the server: to the master that sentinels name, to the node of a cluster that has the keys.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, RedisConnectionInfo, RedisError};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::config::{Address, Places, RedisServer};

/// For a connection with everything that belongs to it.
pub(super) const CONNECT: Duration = Duration::from_secs(2);
/// How many commands wait for their turn on the connection.
const WAITING: usize = 1_024;

/// A connection and the task that drives it, which ends with it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) connection: MultiplexedConnection,
    driver: AbortHandle,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Connects to the server, or to the node of its cluster that `moved` names.
pub(super) async fn connect(server: &RedisServer, moved: Option<&Address>) -> Result<Line, RedisError> {
    timeout(CONNECT, connect_patiently(server, moved)).await.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {} s", CONNECT.as_secs())).into())
    })
}

async fn connect_patiently(server: &RedisServer, moved: Option<&Address>) -> Result<Line, RedisError> {
    let tls = server.tls.as_ref();
    match (moved, &server.places) {
        (Some(address), _) | (None, Places::Tcp(address)) => enter_at(address, tls, &server.login).await,
        (None, Places::Unix(path)) => enter(UnixStream::connect(path).await?, &server.login).await,
        (None, Places::Sentinels { addresses, master }) => {
            let address = find_master(addresses, master, tls).await?;
            enter_at(&address, tls, &server.login).await
        }
    }
}

async fn enter_at(
    address: &Address,
    tls: Option<&Arc<ClientConfig>>,
    login: &RedisConnectionInfo,
) -> Result<Line, RedisError> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return enter(stream, login).await };
    let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
    enter(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?, login).await
}

async fn enter<S>(stream: S, login: &RedisConnectionInfo) -> Result<Line, RedisError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    // The store has a time limit of its own; a second timer for each command would cost something for nothing.
    let config = AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(WAITING);
    let (connection, driver) = MultiplexedConnection::new_with_config(login, stream, config).await?;
    Ok(Line { connection, driver: tokio::spawn(driver).abort_handle() })
}

/// Asks one sentinel after the other. They are entered without a password.
async fn find_master(
    sentinels: &[Address],
    master: &str,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<Address, RedisError> {
    let mut fault = RedisError::from((ErrorKind::Client, "no sentinel"));
    for sentinel in sentinels {
        match ask_sentinel(sentinel, master, tls).await {
            Ok(Some(address)) => return Ok(address),
            Ok(None) => fault = (ErrorKind::Client, "the sentinels know no master of that name").into(),
            Err(error) => fault = error,
        }
    }
    Err(fault)
}

async fn ask_sentinel(
    sentinel: &Address,
    master: &str,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<Option<Address>, RedisError> {
    let mut line = enter_at(sentinel, tls, &RedisConnectionInfo::default()).await?;
    let mut command = Cmd::new();
    command.arg("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let found: Option<(String, u16)> = command.query_async(&mut line.connection).await?;
    Ok(found.map(|(host, port)| Address { host, port }))
}

/// The node that the error says to go to, when it comes from a cluster.
pub(super) fn moved_to(error: &RedisError) -> Option<Address> {
    if error.code() != Some("MOVED") {
        return None;
    }
    let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
    Some(Address { host: host.trim_matches(['[', ']']).to_owned(), port: port.parse().ok()? })
}

/// An error in words for the log. Servers repeat arguments in some of their errors; only the beginning is kept.
pub(super) fn describe(error: &RedisError) -> String {
    const LONGEST: usize = 160;
    let text: String = error.to_string().chars().filter(|letter| !letter.is_control()).take(LONGEST).collect();
    if text.is_empty() { "an error without words".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_in_one_line_of_bounded_length() {
        let error = RedisError::from((ErrorKind::Client, "out of order", "a\r\n\x1b[31m".repeat(100)));
        let told = describe(&error);
        assert!(told.starts_with("out of order") && !told.contains(char::is_control), "{told}");
        assert_eq!(told.chars().count(), 160);
    }

    #[test]
    fn goes_to_the_node_that_a_cluster_names_and_nowhere_else() {
        let moved = |says: &str| {
            let error = redis::parse_redis_value(says.as_bytes()).and_then(redis::Value::extract_error).unwrap_err();
            moved_to(&error).map(|node| node.to_string())
        };
        assert_eq!(moved("-MOVED 3999 127.0.0.1:6381\r\n").as_deref(), Some("127.0.0.1:6381"));
        assert_eq!(moved("-MOVED 3999 ::1:6381\r\n").as_deref(), Some("[::1]:6381"));
        for other in ["-ASK 3999 127.0.0.1:6381\r\n", "-ERR MOVED 3999 127.0.0.1:6381\r\n", "-MOVED\r\n"] {
            assert_eq!(moved(other), None, "{other}");
        }
    }
}
