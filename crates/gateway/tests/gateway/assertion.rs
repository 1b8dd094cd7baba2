//! The assertion that tells the upstream who asks.

use std::sync::Arc;

use countersign_dpop::jose::{Algorithm, JwkSet, SoftwareKey, decode_base64url};
use countersign_gateway::{AssertionSettings, Gateway, GatewayError, NoDecisions, Settings};
use serde_json::Value;

use crate::world::{ORIGIN, World};

fn asserting(settings: &mut Settings) {
    settings.assertion = Some(AssertionSettings::default());
}

/// The field with the assertion that the upstream got, after a good request.
async fn assertion(world: &World) -> String {
    let mut client = world.connect().await;
    let request = world.request("GET", "/").await;
    client
        .send(&request.replace("DPoP: ", "Countersign-Assertion: forged\r\nCountersign_Assertion: x\r\nDPoP: "))
        .await;
    let mut upstream = world.accept().await;
    let received = upstream.read_message().await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.read_message().await;
    let told: Vec<_> = received.fields.iter().filter(|line| line.to_lowercase().starts_with("countersign")).collect();
    let [only] = told.as_slice() else { panic!("{told:?}") };
    only.split_once(": ").unwrap().1.to_owned()
}

fn part(jwt: &str, place: usize) -> Value {
    serde_json::from_slice(&decode_base64url(jwt.split('.').nth(place).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn an_assertion_stands_in_place_of_the_plain_fields_and_its_key_is_published() {
    let world = World::start_with(asserting).await;
    let jwt = assertion(&world).await;
    let claims = part(&jwt, 1);
    assert_eq!(claims["iss"], ORIGIN);
    assert_eq!(claims["aud"], format!("http://{}", world.upstream.local_addr().unwrap()));
    assert_eq!(
        (&claims["sub"], &claims["client_id"], &claims["scope"]),
        (&"al\u{ef}ce".into(), &"client-1".into(), &"read write".into())
    );
    assert_eq!(claims["cnf"]["jkt"], world.jkt().to_string());
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
    let mut admin = world.connect_admin().await;
    admin.send("GET /jwks.json HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let keys = admin.read_message().await;
    let set = JwkSet::parse(keys.body.as_bytes()).unwrap();
    let header = part(&jwt, 0);
    assert_eq!(header["typ"], "countersign-assertion+jwt");
    assert_eq!(header["kid"].as_str(), set.keys()[0].kid.as_deref());
    let jwk: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&keys.body).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&jwk.keys[0]).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    rules.set_audience(&[claims["aud"].as_str().unwrap()]);
    rules.validate_exp = false;
    jsonwebtoken::decode::<Value>(&jwt, &key, &rules).expect("another library takes it");
}

#[tokio::test]
async fn a_key_from_a_file_is_the_same_at_every_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key.pem");
    let key = rcgen::KeyPair::generate().unwrap();
    std::fs::write(&file, key.serialize_pem()).unwrap();
    let settings = AssertionSettings { audience: Some("https://api.internal".to_owned()), key: Some(file.clone()) };
    let mut kids = Vec::new();
    for _ in 0..2 {
        let settings = settings.clone();
        let world = World::start_with(|all| all.assertion = Some(settings)).await;
        let jwt = assertion(&world).await;
        assert_eq!(part(&jwt, 1)["aud"], "https://api.internal");
        kids.push(part(&jwt, 0)["kid"].clone());
    }
    assert_eq!(kids[0], kids[1]);
    let read = SoftwareKey::from_text(&std::fs::read(&file).unwrap(), Some(Algorithm::Es256)).unwrap();
    assert_eq!(kids[0], read.public_jwk().jkt().to_string());
    std::fs::write(&file, "canary-5711").unwrap();
    let mut broken = World::settings_for_tests().await;
    broken.assertion = Some(settings);
    let clock = countersign_testkit::FakeClock::default().shared();
    let Err(fault) = Gateway::bind(broken, clock, Arc::new(NoDecisions)).await else { panic!("it starts") };
    assert!(matches!(fault, GatewayError::AssertionKey(_)), "{fault}");
    assert!(!fault.to_string().contains("5711"), "{fault}");
}
