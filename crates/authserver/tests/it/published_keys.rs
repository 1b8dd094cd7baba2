//! `private_key_jwt` with keys that the client publishes.

use countersign_authserver::fetch::{FetchError, Fetched, Reach};
use countersign_dpop::jose::{Algorithm, SoftwareKey};
use serde_json::json;

use crate::support::fetch::FakeWeb;
use crate::support::{World, jwk};

const URL: &str = "https://client.example/jwks";

fn published(config: &str) -> String {
    let start = config.find("jwks = ").unwrap();
    let end = start + config[start..].find('\n').unwrap();
    format!("{}jwks_uri = \"{URL}\"{}", &config[..start], &config[end..])
}

fn key_set(keys: &[(&str, &SoftwareKey)]) -> String {
    let with_kid = |(kid, key): &(&str, &SoftwareKey)| {
        let mut jwk = jwk(key);
        jwk["kid"] = json!(kid);
        jwk
    };
    json!({ "keys": keys.iter().map(with_kid).collect::<Vec<_>>() }).to_string()
}

#[tokio::test]
async fn fetches_once_and_keeps_for_a_while() {
    let web = FakeWeb::new();
    let world = World::fetching(web.clone(), |config| published(&config)).await;
    web.publish(URL, &key_set(&[("one", &world.client_key)]));
    for _ in 0..3 {
        world.send(&world.request()).await.granted("Bearer");
    }
    assert_eq!(web.asked(), [(URL.to_owned(), Reach::Anywhere)]);
    world.clock.advance(301);
    world.send(&world.request()).await.granted("Bearer");
    assert_eq!(web.asked().len(), 1, "asked again after five minutes");
}

#[tokio::test]
async fn fetches_once_more_for_a_key_it_does_not_know_and_not_at_every_request() {
    let web = FakeWeb::new();
    let world = World::fetching(web.clone(), |config| published(&config)).await;
    let old = SoftwareKey::generate(Algorithm::Es256).unwrap();
    web.publish(URL, &key_set(&[("old", &old)]));
    let request =
        |kid: &str| crate::support::TokenRequest::plain().assertion(&world.assertion("jwt").member("kid", kid).text());
    world.send(&request("new")).await.refused(401, "invalid_client");
    assert_eq!(web.asked().len(), 1, "what was fetched a moment ago is not fetched again");
    web.publish(URL, &key_set(&[("old", &old), ("new", &world.client_key)]));
    let late = request("new");
    world.send(&late).await.refused(401, "invalid_client");
    assert_eq!(web.asked().len(), 0, "invented kids are no load on the client");
    world.clock.advance(10);
    world.send(&late).await.granted("Bearer");
    assert_eq!(web.asked().len(), 1);
    // A key that is known and did not sign it is no reason to ask.
    world.clock.advance(10);
    world.send(&request("old")).await.refused(401, "invalid_client");
    assert_eq!(web.asked().len(), 0);
}

#[tokio::test]
async fn uses_old_keys_for_an_hour_when_the_client_is_away_and_then_says_so() {
    let web = FakeWeb::new();
    let world = World::fetching(web.clone(), |config| published(&config)).await;
    web.publish(URL, &key_set(&[("one", &world.client_key)]));
    world.send(&world.request()).await.granted("Bearer");
    web.answer(URL, Err(FetchError::TimedOut));
    world.clock.advance(3_599);
    world.send(&world.request()).await.granted("Bearer");
    world.clock.advance(1);
    let request = world.bound_request();
    world.send(&request).await.unavailable(503);
    web.publish(URL, &key_set(&[("one", &world.client_key)]));
    world.clock.advance(10);
    world.send(&request).await.granted("DPoP");
}

#[tokio::test]
async fn takes_nothing_but_a_small_key_set_as_json() {
    let web = FakeWeb::new();
    let world = World::fetching(web.clone(), |config| published(&config)).await;
    let right = key_set(&[("one", &world.client_key)]);
    let answer = |status, media_type: Option<&str>, body: &str| {
        Ok(Fetched { status, media_type: media_type.map(str::to_owned), body: body.as_bytes().to_vec() })
    };
    let json = Some("application/json");
    let long = format!("{}{}", right, " ".repeat(64 * 1024));
    let private = right.replace("\"kty\"", "\"d\":\"x\",\"kty\"");
    for wrong in [
        answer(404, json, &right),
        answer(302, json, &right),
        answer(200, Some("text/html"), &right),
        answer(200, None, &right),
        answer(200, json, ""),
        answer(200, json, "{}"),
        answer(200, json, "[]"),
        answer(200, json, &long),
        answer(200, json, &private),
        Err(FetchError::NotPublic),
        Err(FetchError::TooLong { limit: 1 }),
    ] {
        web.answer(URL, wrong.clone());
        let request = world.request();
        world.send(&request).await.unavailable(503);
        web.answer(URL, answer(200, Some("application/jwk-set+json"), &right));
        world.clock.advance(10);
        // The refusal has not spent the assertion.
        world.send(&request).await.granted("Bearer");
        world.clock.advance(3_600);
    }
}

#[tokio::test]
async fn what_the_text_alone_refuses_makes_nobody_fetch() {
    let web = FakeWeb::new();
    let world = World::fetching(web.clone(), |config| published(&config)).await;
    let plain = crate::support::TokenRequest::plain();
    for assertion in [
        world.assertion("jwt").claim("aud", "https://other.example"),
        world.assertion("jwt").claim("exp", world.now() - 1),
        world.assertion("jwt").claim("iat", world.now() + 3_600),
        world.assertion("nobody"),
    ] {
        world.send(&plain.clone().assertion(&assertion.text())).await.refused(401, "invalid_client");
    }
    world.send(&plain.set("client_id", "jwt")).await.refused(401, "invalid_client");
    assert_eq!(web.asked(), []);
}
