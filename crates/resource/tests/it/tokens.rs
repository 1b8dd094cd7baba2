//! Access tokens (RFC 9068) as the layer takes and refuses them.

use std::sync::Arc;

use countersign_dpop::jose::{
    Algorithm, Algorithms, InvalidSignature, JwkSet, PublicJwk, SoftwareKey, VerificationKey, VerifyAlgorithm,
};
use countersign_resource::fetch::Offline;
use countersign_resource::{IssuerConfig, MAX_TOKEN_LENGTH};
use serde_json::{Value, json};

use crate::world::{Guarded, ISSUER, World, changed, config_for, verification_key};

async fn code(guarded: &Guarded, world: &World, token: &str) -> &'static str {
    let answer = guarded.get_dpop(token, &world.proof(token).await).await;
    let decision = answer.decision.as_ref().unwrap();
    if decision.code == "ok" {
        answer.granted();
    } else {
        answer.refused(401, Some("invalid_token"), decision.code);
    }
    decision.code
}

#[tokio::test]
async fn takes_the_forms_that_rfc_9068_and_7519_allow() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let now = world.now();
    for claims in [
        json!({ "aud": ["https://other.example", "https://rs.example"] }),
        json!({ "exp": 1_700_000_300.5 }),
        json!({ "exp": 1e300 }),
        json!({ "nbf": now, "iat": now + 10 }),
        json!({ "iat": null, "jti": null, "client_id": null, "scope": null }),
        json!({ "scope": "" }),
        json!({ "unknown": { "deep": [1, 2, { "x": null }] } }),
    ] {
        let token = world.token_claiming(claims.clone()).await;
        assert_eq!(code(&guarded, &world, &token).await, "ok", "{claims}");
    }
    for typ in ["AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        let token = world.token_of(json!({ "typ": typ, "alg": "ES256", "kid": "k1" }), world.claims()).await;
        assert_eq!(code(&guarded, &world, &token).await, "ok", "{typ}");
    }
}

#[tokio::test]
async fn refuses_claims_that_are_absent_of_another_type_or_out_of_time() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let now = world.now();
    for (claims, expected) in [
        (json!({ "exp": null }), "token_bad_claim"),
        (json!({ "exp": "1700000300" }), "token_bad_claim"),
        (json!({ "exp": [now + 300] }), "token_bad_claim"),
        (json!({ "exp": now }), "token_expired"),
        (json!({ "exp": -1 }), "token_expired"),
        (json!({ "exp": -1e300 }), "token_expired"),
        (json!({ "exp": i64::MIN }), "token_expired"),
        (json!({ "nbf": now + 11 }), "token_not_yet_valid"),
        (json!({ "iat": now + 11 }), "token_not_yet_valid"),
        (json!({ "nbf": u64::MAX }), "token_not_yet_valid"),
        (json!({ "nbf": "soon" }), "token_bad_claim"),
        (json!({ "aud": null }), "token_bad_claim"),
        (json!({ "aud": 7 }), "token_bad_claim"),
        (json!({ "aud": ["https://rs.example", 7] }), "token_bad_claim"),
        (json!({ "sub": 7 }), "token_bad_claim"),
        (json!({ "client_id": ["app"] }), "token_bad_claim"),
        (json!({ "scope": ["read"] }), "token_bad_claim"),
        (json!({ "iss": null }), "issuer_unknown"),
        (json!({ "iss": [ISSUER] }), "issuer_unknown"),
        (json!({ "iss": "https://issuer.example/" }), "issuer_unknown"),
        (json!({ "iss": "HTTPS://issuer.example" }), "issuer_unknown"),
    ] {
        let token = world.token_claiming(claims.clone()).await;
        assert_eq!(code(&guarded, &world, &token).await, expected, "{claims}");
    }
    let explicit_null = world.claims().to_string().replace("\"alice\"", "null");
    let token = world.token_of_text("{\"typ\":\"at+jwt\",\"alg\":\"ES256\",\"kid\":\"k1\"}", &explicit_null).await;
    assert_eq!(code(&guarded, &world, &token).await, "token_bad_claim");
}

#[tokio::test]
async fn refuses_what_is_not_a_strict_jws() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for bad in [
        format!("{token}."),
        signed.to_owned(),
        format!("{signed}."),
        format!("{signed}.{signature}A"),
        format!("{token}="),
        "..".to_owned(),
        "e30.e30.e30".to_owned(),
        "opaque".to_owned(),
    ] {
        let found = code(&guarded, &world, &bad).await;
        let other = ["token_bad_signature", "issuer_unknown"];
        assert!(found == "token_malformed" || other.contains(&found), "{found}");
    }
    let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k1", "crit": ["exp"], "exp": 1 });
    assert_eq!(code(&guarded, &world, &world.token_of(header, world.claims()).await).await, "token_malformed");
    for (header, claims) in [("[]", "{}"), ("{}", "[]"), ("{}", "7"), ("{}", "{\"a\":{}}x"), ("", "{}")] {
        let bad = world.token_of_text(header, claims).await;
        assert_eq!(code(&guarded, &world, &bad).await, "token_malformed", "{header} {claims}");
    }
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    assert_eq!(code(&guarded, &world, &world.token_of_text("{}", &deep).await).await, "token_malformed");
}

#[tokio::test]
async fn row_524_bounds_the_size_of_a_token() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let large = world.token_claiming(json!({ "scope": "s ".repeat(2_000) })).await;
    assert!(large.len() < MAX_TOKEN_LENGTH);
    assert_eq!(code(&guarded, &world, &large).await, "ok");
    let too_large = world.token_claiming(json!({ "scope": "s ".repeat(100_000) })).await;
    assert_eq!(code(&guarded, &world, &too_large).await, "token_malformed");
}

#[tokio::test]
async fn notices_every_changed_character_of_a_token() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    assert_eq!(code(&guarded, &world, &token).await, "ok");
    for at in (0..token.len()).step_by(17) {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(bytes).unwrap();
        assert_ne!(code(&guarded, &world, &tampered).await, "ok", "at {at}");
    }
}

#[tokio::test]
async fn takes_only_the_algorithms_of_the_issuer() {
    let mut world = World::new();
    let rs256 = Arc::new(SoftwareKey::generate(Algorithm::Rs256).unwrap());
    let keys = JwkSet::from_keys(vec![verification_key(&world.issuer_key, "k1"), verification_key(&rs256, "k1")]);
    let issuer = |algorithms| {
        let all = Algorithms::all().narrowed_to(algorithms).unwrap();
        IssuerConfig::with_key_set(ISSUER, keys.clone()).unwrap().with_algorithms(all)
    };
    let both = world.guarded(config_for(vec![issuer(&[Algorithm::Es256, Algorithm::Rs256])], Offline));
    let only_es256 = world.guarded(config_for(vec![issuer(&[Algorithm::Es256])], Offline));
    let es256_token = world.token().await;
    world.issuer_key = rs256;
    let rs256_token = world.token_of(json!({ "typ": "at+jwt", "alg": "RS256", "kid": "k1" }), world.claims()).await;
    assert_eq!(code(&both, &world, &es256_token).await, "ok");
    assert_eq!(code(&both, &world, &rs256_token).await, "ok");
    assert_eq!(code(&only_es256, &world, &es256_token).await, "ok");
    assert_eq!(code(&only_es256, &world, &rs256_token).await, "token_alg_not_accepted");
}

#[tokio::test]
async fn finds_the_key_of_a_token_without_kid_and_tries_eight_at_most() {
    let world = World::new();
    let others = |count| (0..count).map(|_| crate::world::key()).collect::<Vec<_>>();
    let keys = |others: &[Arc<SoftwareKey>]| {
        let mut keys: Vec<VerificationKey> = others.iter().map(|key| verification_key(key, "x")).collect();
        keys.push(verification_key(&world.issuer_key, "k1"));
        IssuerConfig::with_key_set(ISSUER, JwkSet::from_keys(keys)).unwrap()
    };
    let token = world.token_of(json!({ "typ": "at+jwt", "alg": "ES256" }), world.claims()).await;
    for (count, expected) in [(0, "ok"), (7, "ok"), (8, "token_bad_signature")] {
        let guarded = world.guarded(config_for(vec![keys(&others(count))], Offline));
        assert_eq!(code(&guarded, &world, &token).await, expected, "{count} other keys");
    }
    let unknown = world.token_of(json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k2" }), world.claims()).await;
    assert_eq!(code(&world.guarded(world.config()), &world, &unknown).await, "issuer_key_unknown");
}

#[tokio::test]
async fn takes_older_forms_only_where_they_are_allowed_and_never_id_tokens() {
    let world = World::new();
    let issuer = world.issuer().with_typ("JWT").with_typ("");
    let guarded = world.guarded(config_for(vec![issuer], Offline));
    for typ in [json!("JWT"), json!("jwt"), json!(null), json!("at+jwt")] {
        let header = changed(json!({ "alg": "ES256", "kid": "k1" }), &json!({ "typ": typ }));
        let token = world.token_of(header, world.claims()).await;
        assert_eq!(code(&guarded, &world, &token).await, "ok", "{typ}");
    }
    let header = || json!({ "alg": "ES256", "kid": "k1", "typ": "JWT" });
    for sign in
        [json!({ "nonce": "n" }), json!({ "at_hash": "h" }), json!({ "typ": "Refresh" }), json!({ "typ": "ID" })]
    {
        let token = world.token_of(header(), changed(world.claims(), &sign)).await;
        assert_eq!(code(&guarded, &world, &token).await, "token_typ_mismatch", "{sign}");
    }
    let keycloak = changed(world.claims(), &json!({ "typ": "DPoP", "client_id": null, "azp": "kc" }));
    let token = world.token_of(header(), keycloak).await;
    let answer = guarded.get_dpop(&token, &world.proof(&token).await).await;
    answer.granted();
    assert_eq!(answer.decision.unwrap().client.as_deref(), Some("kc"));
}

#[tokio::test]
async fn takes_the_audiences_of_the_issuer_instead_of_the_resources() {
    let world = World::new();
    let issuer = world.issuer().with_audience("api://default");
    let guarded = world.guarded(config_for(vec![issuer], Offline));
    let own = world.token().await;
    assert_eq!(code(&guarded, &world, &own).await, "audience_mismatch");
    let other = world.token_claiming(json!({ "aud": "api://default" })).await;
    assert_eq!(code(&guarded, &world, &other).await, "ok");
}

#[tokio::test]
async fn tells_several_issuers_apart() {
    let mut world = World::new();
    let second_key = crate::world::key();
    let second = IssuerConfig::with_key_set(
        "https://second.example",
        JwkSet::from_keys(vec![verification_key(&second_key, "k1")]),
    );
    let guarded = world.guarded(config_for(vec![world.issuer(), second.unwrap()], Offline));
    let first_token = world.token().await;
    let crossed = world.token_claiming(json!({ "iss": "https://second.example" })).await;
    world.issuer_key = second_key;
    let second_token = world.token_claiming(json!({ "iss": "https://second.example" })).await;
    assert_eq!(code(&guarded, &world, &first_token).await, "ok");
    assert_eq!(code(&guarded, &world, &second_token).await, "ok");
    assert_eq!(code(&guarded, &world, &crossed).await, "token_bad_signature");
}

#[tokio::test]
async fn gives_the_application_what_the_token_says() {
    #[derive(serde::Deserialize)]
    struct Roles {
        roles: Vec<String>,
    }
    let world = World::new();
    let server = world.server(world.config());
    let token = world.token_claiming(json!({ "scope": " read  write ", "roles": ["admin"] })).await;
    let authorization = format!("DPoP {token}");
    let request = crate::world::get(&[("authorization", &authorization), ("dpop", &world.proof(&token).await)]);
    let facts = countersign_resource::RequestFacts {
        method: "GET",
        path_and_query: "/a/b",
        headers: request.headers(),
        authority: Some("rs.example"),
    };
    let verdict = server.judge(&facts).await;
    let countersign_resource::Outcome::Granted(access) = verdict.outcome else { panic!("{verdict:?}") };
    assert_eq!((access.issuer(), access.subject(), access.client_id()), (ISSUER, Some("alice"), Some("app")));
    assert_eq!(access.scopes().collect::<Vec<_>>(), ["read", "write"]);
    assert!(access.has_scope("read") && !access.has_scope("") && !access.has_scope("rea"));
    assert_eq!(access.jkt(), Some(world.client.jkt()));
    assert_eq!(access.expires().seconds(), world.now() + 300);
    assert_eq!(access.claims::<Roles>().unwrap().roles, ["admin"]);
    assert!(access.claims::<Vec<Value>>().is_err());
}

/// Counts what it verifies.
#[derive(Debug, Default)]
struct Counting(std::sync::atomic::AtomicUsize);

impl VerifyAlgorithm for Counting {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Es256
    }

    fn verify(&self, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Algorithms::all().verify(Algorithm::Es256, key, message, signature)
    }
}

#[tokio::test]
async fn verifies_each_token_once_the_forged_ones_too() {
    let mut world = World::new();
    let counting = Arc::new(Counting::default());
    let algorithms = Algorithms::from_implementations(vec![counting.clone()]);
    let guarded = world.guarded(config_for(vec![world.issuer().with_algorithms(algorithms)], Offline));
    let verified = || counting.0.swap(0, std::sync::atomic::Ordering::SeqCst);
    let token = world.token().await;
    for expected in [1, 0, 0] {
        assert_eq!((code(&guarded, &world, &token).await, verified()), ("ok", expected));
    }
    world.issuer_key = crate::world::key();
    let forged = world.token().await;
    for expected in [1, 0, 0] {
        assert_eq!((code(&guarded, &world, &forged).await, verified()), ("token_bad_signature", expected));
    }
    // Neither time nor audience is remembered with the token.
    world.clock.advance(300);
    assert_eq!((code(&guarded, &world, &token).await, verified()), ("token_expired", 0));
}
