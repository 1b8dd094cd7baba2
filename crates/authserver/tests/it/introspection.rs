//! Introspection and revocation.

use countersign_dpop::jose::{Algorithm, SoftwareKey};
use serde_json::json;

use crate::support::{API, ISSUER, NOW, Proof, SECRET, TokenRequest, World};

const INTROSPECT: &str = "https://as.example/introspect";
const REVOKE: &str = "https://as.example/revoke";

/// A question by the client `basic`.
fn ask(token: &str) -> TokenRequest {
    TokenRequest::to("/introspect").basic("basic", SECRET).set("token", token)
}

fn revoke(world: &World, client: &str, token: &str) -> TokenRequest {
    TokenRequest::to("/revoke").assertion(&world.assertion(client).text()).set("token", token)
}

async fn token_of(world: &World) -> String {
    world.send(&world.bound_request()).await.token().to_owned()
}

#[tokio::test]
async fn says_what_a_bound_token_says() {
    let world = World::new().await;
    let token = token_of(&world).await;
    let answer = world.send(&ask(&token)).await;
    assert_eq!((answer.status.as_u16(), answer.field("cache-control")), (200, Some("no-store")));
    let jti = answer.json["jti"].clone();
    assert_eq!(
        answer.json,
        json!({
            "active": true,
            "token_type": "DPoP",
            "iss": ISSUER,
            "sub": "jwt",
            "client_id": "jwt",
            "aud": API,
            "scope": "read write",
            "iat": NOW,
            "exp": NOW + 300,
            "jti": jti,
            "cnf": { "jkt": world.key.public_jwk().jkt().to_string() },
        })
    );
    let bearer = world.send(&world.request()).await;
    let answer = world.send(&ask(bearer.token())).await;
    assert_eq!((answer.json["token_type"].as_str(), answer.json.get("cnf")), (Some("Bearer"), None));
}

#[tokio::test]
async fn what_is_no_good_token_is_inactive_and_nothing_else_is_said() {
    let world = World::new().await;
    let token = token_of(&world).await;
    let foreign = crate::support::jwt::sign(
        &SoftwareKey::generate(Algorithm::Es256).unwrap(),
        &json!({ "typ": "at+jwt", "alg": "ES256", "kid": "x" }),
        &json!({ "iss": ISSUER, "sub": "jwt", "client_id": "jwt", "aud": API, "iat": NOW, "exp": NOW + 300, "jti": "x" }),
    );
    let proof = world.proof().text();
    let tampered = crate::support::jwt::with_bad_signature(&token);
    for wrong in ["x", "csat_", "csat_AAAA", "a.b.c", &foreign, &proof, &tampered, &"x".repeat(20_000)] {
        let answer = world.send(&ask(wrong)).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, r#"{"active":false}"#), "{wrong:.40}");
    }
    world.clock.advance(300);
    assert_eq!(world.send(&ask(&token)).await.text, r#"{"active":false}"#);
}

#[tokio::test]
async fn only_clients_that_authenticate_may_ask() {
    let world = World::new().await;
    let token = token_of(&world).await;
    let anonymous = TokenRequest::to("/introspect").set("token", &token);
    world.send(&anonymous).await.refused(401, "invalid_client");
    world.send(&anonymous.clone().set("client_id", "basic")).await.refused(401, "invalid_client");
    world.send(&anonymous.basic("basic", "wrong")).await.refused(401, "invalid_client");
    let without = TokenRequest::to("/introspect").basic("basic", SECRET);
    world.send(&without).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_resource_may_name_who_asks_and_others_learn_nothing() {
    let named = "introspected_by = [\"bound\"]\n";
    let world = World::with(|config| config.replacen("[[client]]", &format!("{named}\n[[client]]"), 1)).await;
    let token = token_of(&world).await;
    assert_eq!(world.send(&ask(&token)).await.text, r#"{"active":false}"#, "basic is not among them");
    let by =
        |client: &str| TokenRequest::to("/introspect").assertion(&world.assertion(client).text()).set("token", &token);
    for client in ["bound", "jwt"] {
        assert_eq!(world.send(&by(client)).await.json["active"], true, "{client} is named, or the token is its own");
    }
}

#[tokio::test]
async fn an_opaque_token_tells_nothing_and_is_introspected_like_any_other() {
    let opaque = "token_format = \"opaque\"\n";
    let world = World::with(|config| config.replacen("[[client]]", &format!("{opaque}\n[[client]]"), 1)).await;
    let (one, two) = (token_of(&world).await, token_of(&world).await);
    assert!(one != two && one.starts_with("csat_") && !one.contains('.'), "{one}");
    let answer = world.send(&ask(&one)).await;
    assert_eq!((answer.json["active"].as_bool(), answer.json["sub"].as_str()), (Some(true), Some("jwt")));
    assert_eq!(answer.json["cnf"]["jkt"], world.key.public_jwk().jkt().to_string());
    let mut changed = one.clone().into_bytes();
    let at = changed.len() / 2;
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    assert_eq!(world.send(&ask(std::str::from_utf8(&changed).unwrap())).await.text, r#"{"active":false}"#);
}

#[tokio::test]
async fn a_revoked_token_is_inactive_across_a_restart() {
    let mut world = World::new().await;
    let (token, other) = (token_of(&world).await, token_of(&world).await);
    for _ in 0..2 {
        let answer = world.send(&revoke(&world, "jwt", &token)).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""), "revoking twice is as good as once");
    }
    world.restart().await;
    assert_eq!(world.send(&ask(&token)).await.text, r#"{"active":false}"#);
    assert_eq!(world.send(&ask(&other)).await.json["active"], true);
}

#[tokio::test]
async fn a_token_of_another_client_stays_row_445() {
    let world = World::new().await;
    let token = token_of(&world).await;
    let answer = world.send(&revoke(&world, "bound", &token)).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    for nonsense in ["x", "csat_x", "a.b.c"] {
        assert_eq!(world.send(&revoke(&world, "jwt", nonsense)).await.status, 200);
    }
    assert_eq!(world.send(&ask(&token)).await.json["active"], true);
    let without = TokenRequest::to("/revoke").assertion(&world.assertion("jwt").text());
    world.send(&without).await.refused(400, "invalid_request");
    world.send(&TokenRequest::to("/revoke").set("token", &token)).await.refused(401, "invalid_client");
}

#[tokio::test]
async fn proofs_are_judged_and_not_demanded_row_446() {
    let world = World::new().await;
    let token = token_of(&world).await;
    let other = SoftwareKey::generate(Algorithm::Es256).unwrap();
    for (url, request) in [(INTROSPECT, ask(&token)), (REVOKE, revoke(&world, "jwt", "x"))] {
        let proof = Proof::new(&other, world.now()).claim("htu", url).text();
        let elsewhere = world.proof().text();
        world.send(&request.clone().proof(&elsewhere)).await.refused(400, "invalid_dpop_proof");
        world.send(&request.clone().proof("x")).await.refused(400, "invalid_dpop_proof");
        let with_proof = request.proof(&proof);
        assert_eq!(world.send(&with_proof).await.status, 200, "the key need not be the token's");
        let again = world.send(&with_proof).await;
        assert_ne!(again.status, 200, "a proof is good once");
    }
}

#[tokio::test]
async fn an_assertion_is_good_once_wherever_it_is_used() {
    let world = World::new().await;
    let request = revoke(&world, "jwt", "x");
    assert_eq!(world.send(&request).await.status, 200);
    world.send(&request).await.refused(401, "invalid_client");
    // A refusal spends nothing.
    let assertion = world.assertion("jwt").text();
    let request = TokenRequest::to("/revoke").assertion(&assertion);
    world.send(&request).await.refused(400, "invalid_request");
    assert_eq!(world.send(&request.set("token", "x")).await.status, 200);
}
