//! The battery over real HTTP against a gateway in its first second, which demands nonces, and without one.
#![expect(clippy::unwrap_used, reason = "a world that cannot be made fails the test")]

use std::sync::Arc;

use countersign_dpop::PublicOrigin;
use countersign_dpop::jose::{Algorithm, JwkSet, ProofSigner, SoftwareKey, VerificationKey, encode_base64url};
use countersign_dpop::time::Timestamp;
use countersign_forward::Upstream;
use countersign_gateway::{Gateway, NoDecisions, Settings};
use countersign_probe::battery::{AttackRow, Battery, BatteryInput, HttpCarrier, Loot, Session, Verdict};
use countersign_probe::forge::{JwsForge, TokenClaims};
use countersign_resource::IssuerConfig;
use countersign_testkit::FakeClock;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const ISSUER: &str = "https://as.example";
const NOW: Timestamp = Timestamp::from_seconds(1_750_000_000);

#[tokio::test]
async fn every_attack_over_http_is_stopped_as_expected() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let issuer = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let other_issuer = SoftwareKey::generate(Algorithm::Es256).unwrap();
    serve(listener, &origin, &issuer, upstream().await).await;

    let honest = session(&issuer, &origin, NOW);
    let loot = Loot { token: honest.token.clone(), captured: None };
    let input = BatteryInput::new(Method::GET, format!("{origin}/a?b=c"), loot, FakeClock::at(NOW).shared())
        .unwrap()
        .with_honest_session(honest)
        .with_foreign_audience(session(&issuer, "https://elsewhere.example", NOW))
        .with_expired_token(session(&issuer, &origin, NOW.plus(-3_600)))
        .with_other_issuer(session(&other_issuer, &origin, NOW));
    let carrier = HttpCarrier::new().unwrap();
    let rows = Battery::new(&input, &carrier).unwrap().run().await;
    let wrong: Vec<&AttackRow> = rows.iter().filter(|row| !row.is_right()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn where_nobody_listens_nothing_is_called_stopped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let loot = Loot { token: "token-canary".to_owned(), captured: None };
    let url = format!("{origin}/?secret=query-canary");
    let input = BatteryInput::new(Method::GET, url, loot, FakeClock::at(NOW).shared()).unwrap();
    let carrier = HttpCarrier::new().unwrap();
    let rows = Battery::new(&input, &carrier).unwrap().run().await;
    assert!(rows.iter().all(|row| matches!(row.verdict, Verdict::Inconclusive | Verdict::NotTried)), "{rows:#?}");
    assert!(rows[0].note.as_deref().unwrap().starts_with("no answer: "), "{:?}", rows[0]);
    assert!(!format!("{rows:?}").contains("canary"));
}

async fn serve(listener: TcpListener, origin: &str, issuer: &SoftwareKey, upstream: Upstream) {
    let key = VerificationKey { kid: Some("k".to_owned()), alg: None, key: issuer.public_jwk().clone() };
    let issuer = IssuerConfig::with_key_set(ISSUER, JwkSet::from_keys(vec![key])).unwrap();
    let address = listener.local_addr().unwrap();
    let settings = Settings::new(address, PublicOrigin::parse(origin).unwrap(), upstream, vec![issuer], origin);
    let clock = FakeClock::at(NOW).shared();
    let gateway = Gateway::on_listener(listener, settings, clock, Arc::new(NoDecisions)).await.unwrap();
    tokio::spawn(gateway.serve(std::future::pending()));
}

/// An API that answers every request on a connection of its own.
async fn upstream() -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4_096];
            if stream.read(&mut head).await.is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await;
            }
        }
    });
    format!("http://{address}").parse().unwrap()
}

fn session(issuer: &SoftwareKey, audience: &str, iat: Timestamp) -> Session {
    let key: Arc<dyn ProofSigner> = Arc::new(SoftwareKey::generate(Algorithm::Es256).unwrap());
    let jkt = key.public_jwk().jkt().to_string();
    let claims = TokenClaims {
        issuer: ISSUER,
        audience,
        client: "c",
        scope: "read",
        jti: &encode_base64url("j"),
        iat,
        jkt: &jkt,
    };
    let forge = JwsForge::access_token("ES256", "k", &claims);
    let signature = issuer.sign_now(forge.signing_input().unwrap().as_bytes()).unwrap();
    Session { token: forge.with_signature(&signature).unwrap(), key }
}
