//! The clients that ask, and the server that they ask.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use countersign_authserver::config::{AuthSetting, ClientConfig, ResourceConfig};
use countersign_authserver::{AuthServer, AuthServerConfig, BulkApprovals};
use countersign_dpop::jose::{Algorithm, SoftwareKey, sign_compact};
use countersign_dpop::time::{Clock, Timestamp};
use countersign_dpop::{ProofMaker, ProofRequest};
use http::{Request, header};
use http_body_util::Full;
use secrecy::SecretString;

use crate::commands::bench::fixture::at_once;
use crate::error::CommandError;

/// The time that it is, all the while.
pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const ISSUER: &str = "https://issuer.example";
const TOKEN_URL: &str = "https://issuer.example/token";
const RESOURCE: &str = "https://api.example";

#[derive(Debug)]
struct StandingClock(Timestamp);

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// The keys of the clients.
pub(super) struct Keys {
    pub(super) client: SoftwareKey,
    maker: ProofMaker,
}

impl Keys {
    pub(super) fn new() -> Result<Self, CommandError> {
        let client = SoftwareKey::generate(Algorithm::Es256).map_err(CommandError::internal)?;
        let proof = SoftwareKey::generate(Algorithm::Es256).map_err(CommandError::internal)?;
        Ok(Self { client, maker: ProofMaker::new(Arc::new(proof)) })
    }

    /// A server that began an hour ago, so that it asks for no nonces, and limits nobody.
    pub(super) async fn server(
        &self,
        directory: &Path,
        database: Option<SecretString>,
    ) -> Result<AuthServer, CommandError> {
        let mut config = AuthServerConfig::new(ISSUER, directory);
        config.database = database;
        config.limits.requests_per_client = Some(0);
        config.resources.push(ResourceConfig::new(RESOURCE, ["read"]));
        let mut confidential = ClientConfig::new("bench", AuthSetting::PrivateKeyJwt);
        let jwk: serde_json::Value =
            serde_json::from_str(&self.client.public_jwk().to_json()).map_err(CommandError::internal)?;
        confidential.jwks = Some(serde_json::json!({ "keys": [jwk] }));
        confidential.grants = vec!["client_credentials".into()];
        confidential.scopes = vec!["read".into()];
        let mut public = ClientConfig::new("bench-public", AuthSetting::None);
        public.grants = vec!["authorization_code".into(), "refresh_token".into()];
        public.redirect_uris = vec!["http://127.0.0.1/callback".into()];
        public.scopes = vec!["read".into()];
        config.clients.extend([confidential, public]);
        let settings = config.resolve(directory).map_err(CommandError::internal)?;
        let open = |settings, clock| AuthServer::open(settings, Arc::new(StandingClock(clock)));
        let settings = Arc::new(settings);
        drop(open(settings.clone(), NOW.plus(-3_600)).await.map_err(CommandError::configuration)?);
        open(settings, NOW).await.map_err(CommandError::configuration)
    }

    pub(super) fn bulk(&self, count: usize, tokens: usize) -> BulkApprovals {
        let (client_id, resource) = ("bench-public".to_owned(), RESOURCE.to_owned());
        BulkApprovals { client_id, resource, jkt: *self.maker.jkt(), count, tokens }
    }

    pub(super) fn assertion(&self) -> Result<String, CommandError> {
        let mut jti = [0; 16];
        aws_lc_rs::rand::fill(&mut jti).map_err(|_| CommandError::internal("no random bytes"))?;
        let claims = serde_json::json!({
            "iss": "bench", "sub": "bench", "aud": ISSUER, "jti": format!("{:032x}", u128::from_be_bytes(jti)),
            "iat": NOW.seconds(), "exp": NOW.plus(60).seconds(),
        });
        let claims = claims.to_string();
        let text = sign_compact(&self.client, r#"{"typ":"JWT","alg":"ES256"}"#, &claims);
        at_once(text)?.map_err(CommandError::internal)
    }

    pub(super) fn client_credentials(&self) -> Result<Request<Full<Bytes>>, CommandError> {
        let assertion = self.assertion()?;
        self.request(format!(
            "grant_type=client_credentials&scope=read&client_assertion={assertion}&client_assertion_type=\
             urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        ))
    }

    pub(super) fn refresh(&self, token: &str) -> Result<Request<Full<Bytes>>, CommandError> {
        self.request(format!("grant_type=refresh_token&client_id=bench-public&refresh_token={token}"))
    }

    fn request(&self, form: String) -> Result<Request<Full<Bytes>>, CommandError> {
        let request = ProofRequest { method: "POST", url: TOKEN_URL, token: None, nonce: None };
        let proof = at_once(self.maker.make(&request, NOW))?.map_err(CommandError::internal)?;
        Request::post("/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(countersign_dpop::headers::DPOP, proof)
            .body(Full::new(Bytes::from(form)))
            .map_err(CommandError::internal)
    }
}
