//! Access tokens by jsonwebtoken: RFC 9068 as far as it goes by itself, `cnf.jkt` beside it.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

use crate::Heading;

/// Verifies tokens of one issuer.
pub struct Tokens {
    key: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
struct Claims {
    cnf: Confirmation,
}

#[derive(Deserialize)]
struct Confirmation {
    jkt: String,
}

impl Tokens {
    /// For the issuer of a file.
    pub fn of(heading: &Heading) -> Result<Self, String> {
        let jwk: Jwk = serde_json::from_value(heading.issuer_key.clone()).map_err(|error| error.to_string())?;
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[&heading.issuer]);
        validation.set_audience(&[&heading.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Ok(Self { key: DecodingKey::from_jwk(&jwk).map_err(|error| error.to_string())?, validation })
    }

    /// The thumbprint that `token` is bound to.
    pub fn jkt(&self, token: &str) -> Result<String, String> {
        let data = decode::<Claims>(token, &self.key, &self.validation).map_err(|error| error.to_string())?;
        if data.header.typ.as_deref() != Some("at+jwt") {
            return Err("not an access token".to_owned());
        }
        Ok(data.claims.cnf.jkt)
    }
}
