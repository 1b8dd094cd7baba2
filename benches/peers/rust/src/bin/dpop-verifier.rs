//! dpop-verifier: the proof alone, then with the token verified by jsonwebtoken.

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use countersign_peers::token::Tokens;
use countersign_peers::{Request, Requests, print};
use dpop_verifier::{DpopError, DpopVerifier, ReplayContext, ReplayStore};

const LACKS: &str = "duplicate members, crit, size limits, epochs, quotas";

#[derive(Default)]
struct Seen(HashSet<[u8; 32]>);

#[async_trait]
impl ReplayStore for Seen {
    async fn insert_once(&mut self, jti: [u8; 32], _: ReplayContext<'_>) -> Result<bool, DpopError> {
        Ok(self.0.insert(jti))
    }
}

fn main() -> Result<(), String> {
    let requests = Requests::from_arguments()?;
    let tokens = Tokens::of(&requests.heading)?;
    let verifier = DpopVerifier::new().with_max_age_seconds(300).with_future_skew_seconds(300);
    let mut seen = Seen::default();
    let alone = requests.measure(|request| check(&verifier, &mut seen, request).map(|_| ()))?;
    print("dpop-verifier 4.4.0", "not looked at", alone, &format!("the token and its binding, {LACKS}"));

    let mut seen = Seen::default();
    let with_token = requests.measure(|request| {
        let jkt = check(&verifier, &mut seen, request)?;
        if tokens.jkt(&request.token)? == jkt { Ok(()) } else { Err("another key".to_owned()) }
    })?;
    print("dpop-verifier 4.4.0 + jsonwebtoken", "verified", with_token, LACKS);
    Ok(())
}

/// The thumbprint of the proof's key.
fn check(verifier: &DpopVerifier, seen: &mut Seen, request: &Request) -> Result<String, String> {
    let checking = verifier.verify(seen, &request.proof, &request.url, &request.method, Some(&request.token));
    match pin!(checking).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(verdict) => verdict.map(|proof| proof.jkt).map_err(|error| error.to_string()),
        Poll::Pending => Err("it waits".to_owned()),
    }
}
