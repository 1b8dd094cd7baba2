//! Signed request objects at the pushing endpoint: what the message signing plan of the OpenID Foundation's FAPI 2.0 suite
//! demands.

use countersign_dpop::jose::{Algorithm, SoftwareKey};
use serde_json::{Value, json};

use crate::support::flow::{CALLBACK, VERIFIER, challenge};
use crate::support::jwt::{sign, with_bad_signature};
use crate::support::{ISSUER, TokenRequest, World};

fn header(algorithm: &str) -> Value {
    json!({ "alg": algorithm, "typ": "oauth-authz-req+jwt" })
}

fn claims(world: &World) -> Value {
    json!({
        "iss": "app", "aud": ISSUER, "nbf": world.now(), "exp": world.now() + 300, "client_id": "app",
        "response_type": "code", "redirect_uri": CALLBACK, "scope": "read", "state": "inside",
        "code_challenge": challenge(VERIFIER), "code_challenge_method": "S256",
    })
}

fn push(world: &World, object: &str) -> TokenRequest {
    TokenRequest::to("/par").assertion(&world.assertion("app").text()).set("client_id", "app").set("request", object)
}

fn signed(world: &World, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims(world);
    change(&mut claims);
    sign(&world.client_key, &header("ES256"), &claims)
}

#[tokio::test]
async fn a_signed_request_is_the_whole_request() {
    let world = World::for_people("fapi2").await;
    let own = world.key.public_jwk().jkt().to_string();
    for change in [
        json!({}),
        json!({ "aud": [ISSUER] }),
        json!({ "aud": ["https://other.example", ISSUER] }),
        json!({ "nbf": world.now() + 8 }),
        json!({ "nbf": world.now() - 3_000, "exp": world.now() + 600 }),
        json!({ "nbf": f64::from(i32::MAX) - 347_483_646.5, "unknown": { "a": [1] } }),
        json!({ "dpop_jkt": own, "resource": ["https://api.example"] }),
        json!({ "authorization_details": [{ "type": "payment" }] }),
    ] {
        let object = signed(&world, |claims| {
            claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        });
        // What stands outside does not count (state-inside-and-outside, state-only-outside).
        let push = push(&world, &object).set("state", "outside").set("scope", "admin");
        let answer = world.send(&push).await;
        assert_eq!(answer.status, 201, "{change}: {}", answer.text);
    }
    let object = signed(&world, |_| ());
    let request_uri = world.pushed(&push(&world, &object).set("state", "outside")).await;
    let answer = world.approve(&crate::support::flow::authorize_path("app", &request_uri)).await;
    assert_eq!(answer.parameter("state").as_deref(), Some("inside"));
}

#[tokio::test]
async fn a_request_object_is_refused_for_what_is_wrong_with_it_and_spends_nothing() {
    let world = World::for_people("fapi2").await;
    let other = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let rsa = SoftwareKey::generate(Algorithm::Rs256).unwrap();
    let unsigned = sign(&other, &header("none"), &claims(&world));
    let unsigned = format!("{}.", unsigned.rsplit_once('.').unwrap().0);
    let crit = json!({ "alg": "ES256", "crit": ["x"], "x": 1 });
    let with = |name: &str, value: Value| signed(&world, |claims| claims[name] = value.clone());
    let without = |name: &str| {
        signed(&world, |claims| {
            claims.as_object_mut().unwrap().remove(name);
        })
    };
    let now = world.now();
    let objects = [
        unsigned,
        sign(&rsa, &header("RS256"), &claims(&world)),
        sign(&other, &header("ES256"), &claims(&world)), // another client's key
        with_bad_signature(&signed(&world, |_| ())),
        sign(&world.client_key, &json!({ "alg": "ES256", "typ": "dpop+jwt" }), &claims(&world)),
        sign(&world.client_key, &crit, &claims(&world)),
        with("iss", json!("app2")),
        with("client_id", json!("app2")),
        with("sub", json!("app")),
        with("aud", json!("https://as.example/par")),
        with("aud", json!(["https://other.example"])),
        without("aud"),
        without("exp"),
        without("nbf"),
        with("exp", json!("soon")),
        with("exp", json!(now)),
        with("exp", json!(now + 3_601)),
        with("nbf", json!(now + 61)),
        signed(&world, |claims| {
            claims["nbf"] = json!(now - 3_601);
            claims["exp"] = json!(now + 1);
        }),
        with("request_uri", json!("urn:x")),
        with("request", json!("a.b.c")),
        with("scope", json!(["read"])),
        "a.b.c".to_owned(),
        "x".repeat(40_000),
    ];
    for object in objects {
        let right = push(&world, &signed(&world, |_| ()));
        world.send(&right.clone().set("request", &object)).await.refused(400, "invalid_request_object");
        assert_eq!(world.send(&right).await.status, 201, "the same assertion");
    }
    // Good as an object, and refused for what it asks.
    for (name, value, code) in [
        ("redirect_uri", json!("https://evil.example/"), "invalid_request"),
        ("response_type", json!("code id_token"), "unsupported_response_type"),
        ("code_challenge_method", json!("plain"), "invalid_request"),
        ("scope", json!("admin"), "invalid_scope"),
    ] {
        world.send(&push(&world, &with(name, value))).await.refused(400, code);
    }
}

#[tokio::test]
async fn a_client_that_must_sign_is_refused_without_a_signature() {
    let option = |config: String| {
        config
            .replace("authorization_details_types", "require_signed_request_object = true\nauthorization_details_types")
    };
    let world = World::for_people_with("oauth21", option).await;
    world.send(&world.push("app")).await.refused(400, "invalid_request_object");
    assert_eq!(world.send(&push(&world, &signed(&world, |_| ()))).await.status, 201);
    let challenge = challenge(VERIFIER);
    let direct =
        format!("/authorize?client_id=app&response_type=code&code_challenge={challenge}&code_challenge_method=S256");
    world.get(&direct).await.sent_back_with("invalid_request");
}

#[tokio::test]
async fn a_client_without_keys_cannot_sign() {
    let world = World::for_people("oauth21").await;
    let object = signed(&world, |claims| {
        claims["iss"] = json!("spa");
        claims["client_id"] = json!("spa");
    });
    let push = TokenRequest::to("/par").set("client_id", "spa").set("request", &object);
    world.send(&push).await.refused(400, "invalid_request_object");
}
