use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

use super::{HashedRequest, MakeError, ProofMaker, ProofRequest, SentHtu, claims};
use crate::ath::Ath;
use crate::htu::{Htu, HtuError};
use crate::jose::{
    Algorithm, ProofSigner, PublicJwk, SignError, Signing, SoftwareKey, decode_base64url, encode_base64url,
};
use crate::time::Timestamp;

fn sent_htu(url: &str) -> Result<String, HtuError> {
    Ok(SentHtu::of(url)?.as_str().to_owned())
}

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

fn request(url: &str) -> ProofRequest<'_> {
    ProofRequest { method: "POST", url, token: None, nonce: None }
}

fn maker() -> ProofMaker {
    ProofMaker::new(Arc::new(SoftwareKey::generate(Algorithm::Es256).unwrap()))
}

fn part(proof: &str, place: usize) -> Value {
    let part = proof.split('.').nth(place).unwrap();
    serde_json::from_slice(&decode_base64url(part).unwrap()).unwrap()
}

#[test]
fn writes_the_header_of_rfc_9449() {
    let maker = maker();
    let header = part(&maker.make_now(&request("https://as.example/token"), NOW).unwrap(), 0);
    let jwk: Value = serde_json::from_str(&maker.signer().public_jwk().to_json()).unwrap();
    assert_eq!(header, json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk }));
}

#[test]
fn writes_the_claims_that_are_asked_for_and_no_others() {
    let maker = maker();
    let mut request = request("https://as.example/token");
    let claims = part(&maker.make_now(&request, NOW).unwrap(), 1);
    let jti = claims["jti"].as_str().unwrap();
    assert_eq!(decode_base64url(jti).unwrap().len(), 16);
    let htu = "https://as.example/token";
    assert_eq!(claims, json!({ "jti": jti, "htm": "POST", "htu": htu, "iat": 1_700_000_000 }));

    request.token = Some("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
    request.nonce = Some("a \"quoted\" nonce");
    let claims = part(&maker.make_now(&request, NOW).unwrap(), 1);
    assert_eq!(claims["ath"], "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo", "row 263");
    assert_eq!(claims["nonce"], "a \"quoted\" nonce");
    assert_ne!(claims["jti"], jti, "every proof has a jti of its own");
    assert_eq!(claims["ath"], Ath::of(request.token.unwrap()).to_string());
}

#[test]
fn sends_the_url_as_http_clients_do() {
    for (url, htu) in [
        ("https://rs.example/a/b", "https://rs.example/a/b"),
        ("https://rs.example/a/b?c=d#e", "https://rs.example/a/b"),
        ("https://rs.example/a#?b", "https://rs.example/a"),
        ("https://rs.example?c=/d", "https://rs.example/"),
        ("HTTPS://RS.Example:443/A/b/", "https://rs.example/A/b/"),
        ("https://rs.example:/a", "https://rs.example/a"),
        ("http://127.0.0.1:80", "http://127.0.0.1/"),
        ("http://127.0.0.1:443/", "http://127.0.0.1:443/"),
        ("https://[::1]:8443/a", "https://[::1]:8443/a"),
        ("https://user:p%40ss@rs.example/a@b", "https://rs.example/a@b"),
        ("https://rs.example/%7e/./a", "https://rs.example/%7e/./a"),
    ] {
        assert_eq!(sent_htu(url).as_deref(), Ok(htu), "{url}");
    }
}

#[test]
fn refuses_urls_that_cannot_be_called() {
    for (url, fault) in [
        ("", HtuError::NotAbsolute),
        ("/token", HtuError::NotAbsolute),
        ("as.example/token", HtuError::NotAbsolute),
        ("https:/as.example/token", HtuError::NotAbsolute),
        ("ftp://as.example/token", HtuError::Scheme),
        ("https://evil.example\\@as.example/token", HtuError::Character),
        ("https://as.example/to ken", HtuError::Character),
        ("https://as.example/to\nken", HtuError::Character),
        ("https://as.example:99999/", HtuError::Port),
    ] {
        assert_eq!(sent_htu(url), Err(fault), "{url}");
        assert!(matches!(maker().make_now(&request(url), NOW), Err(MakeError::Url(found)) if found == fault));
    }
}

#[test]
fn makes_the_same_proof_later_as_at_once() {
    let maker = maker();
    let request = request("https://as.example/token");
    let making = pin!(maker.make(&request, NOW));
    let Poll::Ready(proof) = making.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("a software key waits")
    };
    assert_eq!(part(&proof.unwrap(), 1)["htu"], "https://as.example/token");
}

/// A signer that does not say that it takes no time.
#[derive(Debug)]
struct Another {
    key: SoftwareKey,
    is_slow: bool,
}

impl ProofSigner for Another {
    fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }
    fn public_jwk(&self) -> &PublicJwk {
        self.key.public_jwk()
    }
    fn sign<'a>(&'a self, message: &'a [u8]) -> Signing<'a> {
        if self.is_slow { Box::pin(pending()) } else { self.key.sign(message) }
    }
}

#[test]
fn says_when_a_signer_takes_its_time() {
    let made = |is_slow| {
        let key = SoftwareKey::generate(Algorithm::Es256).unwrap();
        ProofMaker::new(Arc::new(Another { key, is_slow })).make_now(&request("https://as.example/token"), NOW)
    };
    assert_eq!(part(&made(false).unwrap(), 1)["htm"], "POST");
    assert!(matches!(made(true), Err(MakeError::Sign(SignError::KeyUnavailable(_)))));
}

#[test]
fn shows_nothing_secret() {
    let request = ProofRequest {
        method: "GET",
        url: "https://u:canary@rs.example/",
        token: Some("canary"),
        nonce: Some("canary"),
    };
    assert_eq!(format!("{request:?}"), r#"ProofRequest { method: "GET", .. }"#);
    let ath = Ath::of("canary");
    let hashed =
        HashedRequest { method: "GET", url: "https://u:canary@rs.example/", ath: Some(&ath), nonce: Some("canary") };
    assert_eq!(format!("{hashed:?} {ath:?}"), r#"HashedRequest { method: "GET", .. } Ath(e100…)"#);
    assert!(!format!("{:?}", maker()).contains("canary"));
}

/// The claims as a serializer writes them.
#[derive(Serialize)]
struct SerializedClaims<'a> {
    jti: String,
    htm: &'a str,
    htu: &'a str,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

proptest! {
    #[test]
    fn claims_are_written_as_a_serializer_writes_them(
        (method, url, jti) in (".*", "https?://[a-z0-9.:-]{1,9}(/.{0,9}){0,3}", any::<[u8; 16]>()),
        (token, nonce) in (prop::option::of(".*"), prop::option::of(".*")),
        iat: i64,
    ) {
        let Ok(htu) = SentHtu::of(&url) else { return Ok(()) };
        let (token, nonce) = (token.as_deref(), nonce.as_deref());
        let hashed = token.map(Ath::of);
        let request = HashedRequest { method: &method, url: "", ath: hashed.as_ref(), nonce };
        let serialized = SerializedClaims {
            jti: encode_base64url(jti),
            htm: &method,
            htu: htu.as_str(),
            iat,
            ath: token.map(|token| Ath::of(token).to_string()),
            nonce,
        };
        let written = claims(&request, &htu, &jti, Timestamp::from_seconds(iat));
        prop_assert_eq!(written, serde_json::to_vec(&serialized).ok());
    }

    #[test]
    fn never_panics(url in "(https?://)?[a-zA-Z0-9.:@/?#\\\\ \\[\\]%-]{0,30}") {
        let _ = sent_htu(&url);
    }

    #[test]
    fn sends_what_is_equal_to_what_was_asked(host in "[a-zA-Z][a-zA-Z0-9.]{0,10}", port in 1_u16.., path in "(/[a-zA-Z0-9~._%-]{0,6}){0,3}") {
        let url = format!("HTTPS://{host}:{port}{path}");
        match (sent_htu(&url), Htu::parse(&url)) {
            (Ok(sent), Ok(asked)) => prop_assert_eq!(Htu::parse(&sent), Ok(asked)),
            (sent, asked) => prop_assert_eq!(sent.err(), asked.err()),
        }
    }
}
