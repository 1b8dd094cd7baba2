use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use crate::approval::{Ask, Decision};
use crate::control::{Address, Decided, Failed, Leak, Password, Revoke, Revoked, Status, Waiting};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 4_194_304;

/// Talks to a running agent.
#[derive(Clone, Debug)]
pub struct ControlClient {
    socket: PathBuf,
}

/// Why an agent did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No agent listens there.
    #[error("no agent answers at {}: {fault}", socket.display())]
    NoAgent {
        /// Where.
        socket: PathBuf,
        /// The system's reason.
        fault: io::Error,
    },
    /// The connection broke off, or the answer is none.
    #[error("the agent's answer cannot be read: {0}")]
    Answer(String),
    /// The agent says no.
    #[error("{error}")]
    Refused {
        /// The status of the answer.
        status: u16,
        /// What it says.
        error: String,
    },
}

impl ControlClient {
    /// The agent whose control socket is at `socket`.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// How the agent is.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn status(&self) -> Result<Status, ControlError> {
        self.ask(Method::GET, "/status", None::<&()>).await
    }

    /// The addresses of the bindings, with what is secret in them. The agent notes in its journal who asked.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn addresses(&self) -> Result<Vec<Address>, ControlError> {
        self.ask(Method::GET, "/addresses", None::<&()>).await
    }

    /// What waits for a person, as soon as it is another version than `seen`, or after some time.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn waiting(&self, seen: Option<u64>) -> Result<Waiting, ControlError> {
        let path = seen.map_or_else(|| "/approvals".to_owned(), |seen| format!("/approvals?seen={seen}"));
        self.ask(Method::GET, &path, None::<&()>).await
    }

    /// Decides.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn decide(&self, id: u64, decision: Decision) -> Result<Ask, ControlError> {
        self.ask(Method::POST, &format!("/approvals/{id}"), Some(&Decided { decision })).await
    }

    /// Locks.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn lock(&self, password: Option<Zeroizing<String>>) -> Result<(), ControlError> {
        self.ask::<serde::de::IgnoredAny>(Method::POST, "/lock", Some(&Password { password })).await.map(drop)
    }

    /// Unlocks.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn unlock(&self, password: Option<Zeroizing<String>>) -> Result<(), ControlError> {
        self.ask::<serde::de::IgnoredAny>(Method::POST, "/unlock", Some(&Password { password })).await.map(drop)
    }

    /// Revokes one binding, or all.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn revoke(&self, binding: Option<String>) -> Result<Vec<Revoked>, ControlError> {
        self.ask(Method::POST, "/revoke", Some(&Revoke { binding })).await
    }

    /// Has it written down that a secret was found in a program's output.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn leaked(&self, leak: &Leak) -> Result<(), ControlError> {
        self.ask::<serde::de::IgnoredAny>(Method::POST, "/journal", Some(leak)).await.map(drop)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, ControlError> {
        let broken = |fault: String| ControlError::Answer(fault);
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|fault| ControlError::NoAgent { socket: self.socket.clone(), fault })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|fault| broken(fault.to_string()))?;
        let connection = tokio::spawn(connection);
        let body = body.map(serde_json::to_vec).transpose().map_err(|fault| broken(fault.to_string()))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|fault| broken(fault.to_string()))?;
        let response = sender.send_request(request).await.map_err(|fault| broken(fault.to_string()))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|fault| broken(fault.to_string()))?.to_bytes();
        connection.abort();
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|fault| broken(fault.to_string()));
        }
        let error = serde_json::from_slice::<Failed>(&body).map_or_else(|_| status.to_string(), |failed| failed.error);
        Err(ControlError::Refused { status: status.as_u16(), error })
    }
}
