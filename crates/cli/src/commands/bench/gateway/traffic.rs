//! What is asked: requests with tokens and fresh proofs, and the issuer that the servers are to trust.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use countersign_dpop::jose::{Algorithm, SoftwareKey, sign_compact};
use countersign_dpop::time::{Clock, SystemClock};
use countersign_dpop::{ProofMaker, ProofRequest};
use tempfile::TempDir;

use super::super::fixture::at_once;
use crate::error::CommandError;

pub(super) const ISSUER: &str = "https://issuer.example";
pub(super) const RESOURCE: &str = "https://api.example";
pub(super) const HOST: &str = "api.example";
const PATH: &str = "/orders/17?view=full";
/// Longer than any run.
const TOKEN_LIVES: i64 = 24 * 3_600;

pub(super) struct Traffic {
    /// Holds the issuer's keys and the servers' configurations.
    directory: TempDir,
    clients: Vec<Client>,
}

struct Client {
    maker: ProofMaker,
    token: String,
}

impl Traffic {
    /// An issuer, and `keys` clients of its with a key and a token each.
    pub(super) fn new(keys: u32) -> Result<Self, CommandError> {
        let issuer = SoftwareKey::generate(Algorithm::Es256).map_err(CommandError::internal)?;
        let directory = tempfile::tempdir().map_err(CommandError::internal)?;
        let published = format!("{{\"keys\":[{}]}}", issuer.public_jwk().to_json());
        std::fs::write(directory.path().join("keys.json"), published).map_err(CommandError::internal)?;
        let clients = (0..keys).map(|number| Client::new(&issuer, number)).collect::<Result<_, _>>()?;
        Ok(Self { directory, clients })
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A file beside the issuer's keys, which are in `keys.json`.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, CommandError> {
        let path = self.file(name);
        std::fs::write(&path, text).map_err(CommandError::internal)?;
        Ok(path)
    }

    /// `number` requests, the clients taking turns, with proofs made now.
    pub(super) async fn requests(&self, number: usize) -> Result<Vec<Bytes>, CommandError> {
        let mut requests = Vec::with_capacity(number);
        for client in self.clients.iter().cycle().take(number) {
            requests.push(client.request().await?);
        }
        Ok(requests)
    }
}

impl Client {
    fn new(issuer: &SoftwareKey, number: u32) -> Result<Self, CommandError> {
        let key = SoftwareKey::generate(Algorithm::Es256).map_err(CommandError::internal)?;
        let maker = ProofMaker::new(Arc::new(key));
        let now = SystemClock.now();
        let claims = serde_json::json!({
            "iss": ISSUER, "aud": RESOURCE, "sub": format!("user-{number}"), "client_id": format!("client-{number}"),
            "scope": "orders:read orders:write", "jti": format!("token-{number}"),
            "iat": now.seconds(), "exp": now.plus(TOKEN_LIVES).seconds(), "cnf": { "jkt": maker.jkt().to_string() },
        });
        let claims = claims.to_string();
        let token = sign_compact(issuer, r#"{"typ":"at+jwt","alg":"ES256"}"#, &claims);
        let token = at_once(token)?.map_err(CommandError::internal)?;
        Ok(Self { maker, token })
    }

    async fn request(&self) -> Result<Bytes, CommandError> {
        let url = format!("{RESOURCE}{PATH}");
        let request = ProofRequest { method: "GET", url: &url, token: Some(&self.token), nonce: None };
        let proof = self.maker.make(&request, SystemClock.now()).await.map_err(CommandError::internal)?;
        let text = format!(
            "GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: bench\r\nAccept: application/json\r\n\
Authorization: DPoP {}\r\nDPoP: {proof}\r\n\r\n",
            self.token
        );
        Ok(Bytes::from(text))
    }
}
