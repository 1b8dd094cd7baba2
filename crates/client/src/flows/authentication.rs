//! Client authentication at the authorization server.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign_dpop::jose::{ProofSigner, encode_base64url, sign_compact};
use countersign_dpop::time::Timestamp;
use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use zeroize::Zeroizing;

use crate::enrolment::Registration;
use crate::flows::TokenError;
use crate::http::{Form, percent_encode};

/// How the client proves who it is, ready to be used.
pub(crate) enum Authenticator {
    PrivateKeyJwt { signer: Arc<dyn ProofSigner>, kid: Option<String> },
    ClientSecretBasic { secret: SecretString },
    None,
}

/// How long an assertion is good for, in seconds.
const ASSERTION_LIFE: i64 = 60;

impl Authenticator {
    /// The name of the method in metadata.
    pub(crate) const fn method(&self) -> &'static str {
        match self {
            Self::PrivateKeyJwt { .. } => "private_key_jwt",
            Self::ClientSecretBasic { .. } => "client_secret_basic",
            Self::None => "none",
        }
    }

    /// Adds the authentication to a request and gives back the secret that it put in. An assertion is made anew for
    /// each attempt.
    pub(crate) async fn authenticate(
        &self,
        registration: &Registration,
        now: Timestamp,
        form: &mut Form,
        headers: &mut HeaderMap,
    ) -> Result<Zeroizing<String>, TokenError> {
        match self {
            Self::PrivateKeyJwt { signer, kid } => {
                let assertion = assertion(signer.as_ref(), kid.as_deref(), registration, now).await?;
                form.add("client_id", &registration.client_id);
                form.add("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
                form.add("client_assertion", &assertion);
                Ok(assertion)
            }
            Self::ClientSecretBasic { secret } => {
                let value = basic(&registration.client_id, secret);
                if let Ok(mut field) = HeaderValue::from_str(&format!("Basic {}", *value)) {
                    field.set_sensitive(true);
                    headers.insert(header::AUTHORIZATION, field);
                }
                Ok(value)
            }
            Self::None => {
                form.add("client_id", &registration.client_id);
                Ok(Zeroizing::default())
            }
        }
    }

    /// The secret that the client was given, if that is its way.
    pub(crate) fn secret(&self) -> &str {
        match self {
            Self::ClientSecretBasic { secret } => secret.expose_secret(),
            Self::PrivateKeyJwt { .. } | Self::None => "",
        }
    }
}

/// RFC 7523 §3. `aud` is the issuer and nothing else, so that no other server can use the assertion.
async fn assertion(
    signer: &dyn ProofSigner,
    kid: Option<&str>,
    registration: &Registration,
    now: Timestamp,
) -> Result<Zeroizing<String>, TokenError> {
    let mut jti = [0; 16];
    rand::fill(&mut jti).map_err(|_| TokenError::NoRandomness)?;
    let mut header = json!({ "typ": "JWT", "alg": signer.algorithm().name() });
    if let (Some(kid), Some(members)) = (kid, header.as_object_mut()) {
        members.insert("kid".to_owned(), kid.into());
    }
    let claims = json!({
        "iss": registration.client_id,
        "sub": registration.client_id,
        "aud": registration.issuer,
        "jti": encode_base64url(jti),
        "iat": now.seconds(),
        "exp": now.plus(ASSERTION_LIFE).seconds(),
    });
    Ok(Zeroizing::new(sign_compact(signer, &header.to_string(), &claims.to_string()).await?))
}

/// Identifier and secret are form-encoded before they are joined (RFC 6749 §2.3.1).
fn basic(client_id: &str, secret: &SecretString) -> Zeroizing<String> {
    let secret = percent_encode(secret.expose_secret());
    let pair = Zeroizing::new(format!("{}:{}", *percent_encode(client_id), *secret));
    Zeroizing::new(STANDARD.encode(pair.as_bytes()))
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method())
    }
}
