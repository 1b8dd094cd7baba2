use aws_lc_rs::{hmac, rand};
use countersign_dpop::Ath;
use countersign_dpop::jose::encode_base64url;
use countersign_dpop::time::Timestamp;

use super::attack::Attack;
use super::input::{BatteryInput, Session};
use crate::forge::{ForgeError, JwsForge, ProofClaims, random_jti};

/// A request to be made: by which session, with which fault.
pub(super) struct Plan<'a> {
    pub(super) attack: Option<Attack>,
    pub(super) session: &'a Session,
    pub(super) jti: String,
    pub(super) now: Timestamp,
}

impl<'a> Plan<'a> {
    /// A right request.
    pub(super) fn right(session: &'a Session, now: Timestamp) -> Result<Self, ForgeError> {
        Ok(Self { attack: None, session, jti: random_jti()?, now })
    }

    /// A request with the fault of `attack`.
    pub(super) fn faulty(attack: Attack, session: &'a Session, now: Timestamp) -> Result<Self, ForgeError> {
        Ok(Self { attack: Some(attack), ..Self::right(session, now)? })
    }

    /// The value of `Authorization`.
    pub(super) fn authorization(&self) -> String {
        let scheme = if self.attack == Some(Attack::TokenAsBearer) { "Bearer" } else { "DPoP" };
        format!("{scheme} {}", self.session.token)
    }

    /// The values of the `DPoP` fields.
    pub(super) async fn proofs(&self, input: &BatteryInput, nonce: Option<&str>) -> Result<Vec<String>, ForgeError> {
        if matches!(self.attack, Some(Attack::TokenAsBearer | Attack::NoProof)) {
            return Ok(Vec::new());
        }
        let mut proofs = vec![self.proof(input, nonce).await?];
        if self.attack == Some(Attack::TwoFields) {
            proofs.push(Plan::right(self.session, self.now)?.proof(input, nonce).await?);
        }
        Ok(proofs)
    }

    async fn proof(&self, input: &BatteryInput, nonce: Option<&str>) -> Result<String, ForgeError> {
        let key = self.session.key.as_ref();
        let claims = ProofClaims {
            jti: &self.jti,
            method: input.method.as_str(),
            url: &input.url,
            iat: self.now,
            token: Some(&self.session.token),
            nonce,
        };
        let mut forge = JwsForge::proof_for(key, &claims)?;
        self.spoil(&mut forge, input)?;
        if self.attack == Some(Attack::AlgNone) {
            return forge.with_signature(b"");
        }
        if self.attack == Some(Attack::AlgHs256) {
            return forge.with_signature(&hmac_with_public_key(&forge)?);
        }
        let mut signature = key.sign(forge.signing_input()?.as_bytes()).await?;
        if self.attack == Some(Attack::TamperedSignature)
            && let Some(byte) = signature.first_mut()
        {
            *byte ^= 1;
        }
        forge.with_signature(&signature)
    }

    /// Puts the fault in, before the proof is signed.
    fn spoil(&self, forge: &mut JwsForge, input: &BatteryInput) -> Result<(), ForgeError> {
        let (header, claims) = (&mut forge.header, &mut forge.claims);
        match self.attack {
            Some(Attack::OtherMethod) => claims.set_text("htm", other_method(&input.method)),
            Some(Attack::OtherPath) => claims.set_text("htu", &other_path(&input.url)),
            Some(Attack::OtherHost) => claims.set_text("htu", &other_host(&input.url)),
            Some(Attack::OtherAth) => claims.set_text("ath", &Ath::of("another token").to_string()),
            Some(Attack::NoAth) => drop(claims.remove("ath")),
            Some(Attack::Stale) => claims.set("iat", self.now.plus(-3_600).to_string()),
            Some(Attack::Future) => claims.set("iat", self.now.plus(3_600).to_string()),
            Some(Attack::IatLowest) => claims.set("iat", i64::MIN.to_string()),
            Some(Attack::IatHuge) => claims.set("iat", "1e400"),
            Some(Attack::IatWraps) => claims.set("iat", "18446744073709551616"),
            Some(Attack::AlgNone) => header.set_text("alg", "none"),
            Some(Attack::AlgHs256) => header.set_text("alg", "HS256"),
            Some(Attack::PrivateKey) => {
                if let Some(jwk) = forge.jwk_mut() {
                    jwk.set_text("d", &random_text(32)?);
                }
            }
            Some(Attack::InventedNonce) => claims.set_text("nonce", &random_text(48)?),
            Some(
                Attack::TokenAsBearer
                | Attack::NoProof
                | Attack::OwnKey
                | Attack::CapturedProof
                | Attack::TwiceAtOnce
                | Attack::TwoFields
                | Attack::TamperedSignature
                | Attack::ForeignAudience
                | Attack::ExpiredToken
                | Attack::OtherIssuer
                | Attack::RefusedSpendsNothing,
            )
            | None => {}
        }
        Ok(())
    }
}

fn hmac_with_public_key(forge: &JwsForge) -> Result<Vec<u8>, ForgeError> {
    let secret = forge.header.get("jwk").unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    Ok(hmac::sign(&key, forge.signing_input()?.as_bytes()).as_ref().to_vec())
}

fn other_method(method: &http::Method) -> &'static str {
    if method == http::Method::DELETE { "GET" } else { "DELETE" }
}

fn other_path(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    format!("{}/elsewhere", path.trim_end_matches('/'))
}

fn other_host(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", ""));
    let path = rest.find('/').map_or("/", |start| &rest[start..]);
    format!("{scheme}://thief.example{}", path.split(['?', '#']).next().unwrap_or(path))
}

/// `bytes` random bytes in base64url.
fn random_text(bytes: usize) -> Result<String, ForgeError> {
    let mut random = vec![0; bytes];
    rand::fill(&mut random)?;
    Ok(encode_base64url(random))
}
