//! jsonwebtoken with aws-lc-rs, and by hand what it does not know of DPoP: as a careful team would write it.

#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use countersign_peers::token::Tokens;
use countersign_peers::{Request, Requests, now, print};
use jsonwebtoken::jwk::ThumbprintHash;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

const LACKS: &str = "duplicate members, private keys in jwk, size limits, nonces, epochs, quotas";

#[derive(Deserialize)]
struct Proof {
    jti: String,
    htm: String,
    htu: String,
    iat: i64,
    ath: String,
}

fn main() -> Result<(), String> {
    let requests = Requests::from_arguments()?;
    let tokens = Tokens::of(&requests.heading)?;
    let mut seen = HashSet::new();
    let each = requests.measure(|request| check(request, &mut seen, |token| tokens.jkt(token)))?;
    print("jsonwebtoken 12.0.0 + aws-lc", "verified", each, LACKS);

    let mut seen = HashSet::new();
    let mut known: HashMap<String, String> = HashMap::new();
    let cached = requests.measure(|request| {
        check(request, &mut seen, |token| match known.get(token) {
            Some(jkt) => Ok(jkt.clone()),
            None => {
                let jkt = tokens.jkt(token)?;
                known.insert(token.to_owned(), jkt.clone());
                Ok(jkt)
            }
        })
    })?;
    print("jsonwebtoken 12.0.0 + aws-lc", "cached", cached, LACKS);
    Ok(())
}

fn check(
    request: &Request,
    seen: &mut HashSet<String>,
    bound_to: impl FnOnce(&str) -> Result<String, String>,
) -> Result<(), String> {
    let header = decode_header(&request.proof).map_err(|error| error.to_string())?;
    let jwk = header.jwk.filter(|_| header.typ.as_deref() == Some("dpop+jwt")).ok_or("not a proof")?;
    let key = DecodingKey::from_jwk(&jwk).map_err(|error| error.to_string())?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    let proof = decode::<Proof>(&request.proof, &key, &validation).map_err(|error| error.to_string())?.claims;
    let jkt = bound_to(&request.token)?;
    let ath = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, request.token.as_bytes()));
    let htu = request.url.split(['?', '#']).next().unwrap_or_default();
    let right = proof.htm == request.method
        && proof.htu == htu
        && (now() - proof.iat).abs() <= 300
        && proof.ath == ath
        && jwk.thumbprint(ThumbprintHash::SHA256).map_err(|error| error.to_string())? == jkt
        && seen.insert(proof.jti);
    if right { Ok(()) } else { Err("refused".to_owned()) }
}
