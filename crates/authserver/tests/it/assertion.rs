//! `private_key_jwt`.

use std::sync::Arc;

use countersign_dpop::jose::{Algorithm, SoftwareKey, encode_base64url};
use serde_json::json;

use crate::support::jwt::with_bad_signature;
use crate::support::{Answer, Assertion, ISSUER, NOW, TOKEN_URL, TokenRequest, World, default_config, jwks_toml};

async fn try_assertion(world: &World, text: &str) -> Answer {
    world.send(&TokenRequest::plain().assertion(text)).await
}

#[track_caller]
fn is_refused(answer: &Answer) {
    answer.refused(401, "invalid_client");
    assert_eq!(answer.field("www-authenticate"), None);
}

#[tokio::test]
async fn takes_the_issuer_as_one_string_for_audience_and_nothing_else_rows_424_425() {
    let world = World::new().await;
    let with_aud = |aud: serde_json::Value| world.assertion("jwt").claim("aud", aud).text();
    for aud in [
        json!(TOKEN_URL),
        json!("https://as.example/par"),
        json!([ISSUER]),
        json!([ISSUER, TOKEN_URL]),
        json!("https://as.example/"),
        json!("https://AS.example"),
        json!(""),
        json!(null),
        json!({ "aud": ISSUER }),
    ] {
        is_refused(&try_assertion(&world, &with_aud(aud)).await);
    }
    is_refused(&try_assertion(&world, &world.assertion("jwt").without("aud").text()).await);
    try_assertion(&world, &with_aud(json!(ISSUER))).await.granted("Bearer");
}

#[tokio::test]
async fn refuses_an_assertion_after_its_exp_row_427() {
    let world = World::new().await;
    let with_exp = |exp: serde_json::Value| world.assertion("jwt").claim("exp", exp).text();
    for exp in [json!(NOW - 300), json!(NOW - 1), json!(NOW), json!(-1), json!(i64::MIN), json!(0)] {
        is_refused(&try_assertion(&world, &with_exp(exp)).await);
    }
    for exp in [json!(NOW + 1), json!(1_800_000_000.5), json!(NOW + 600)] {
        try_assertion(&world, &with_exp(exp)).await.granted("Bearer");
    }
}

#[tokio::test]
async fn refuses_an_assertion_that_lives_too_long_or_without_end() {
    let world = World::new().await;
    let with_exp = |exp: serde_json::Value| world.assertion("jwt").claim("exp", exp).text();
    for exp in [
        json!(NOW + 601),
        json!(1_800_000_600.5),
        json!(NOW + 86_400),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!("1800000060"),
        json!(null),
        json!([NOW + 60]),
    ] {
        is_refused(&try_assertion(&world, &with_exp(exp)).await);
    }
    is_refused(&try_assertion(&world, &world.assertion("jwt").without("exp").text()).await);
}

#[tokio::test]
async fn takes_iat_and_nbf_a_little_ahead_row_430() {
    let world = World::new().await;
    for claim in ["iat", "nbf"] {
        let with = |date: serde_json::Value| world.assertion("jwt").claim(claim, date).claim("exp", NOW + 120).text();
        for ahead in [0, 8, 10, 60] {
            try_assertion(&world, &with(json!(NOW + ahead))).await.granted("Bearer");
        }
        for date in [json!(NOW + 61), json!(NOW + 3_600), json!(i64::MAX), json!("now"), json!(null), json!(true)] {
            is_refused(&try_assertion(&world, &with(date)).await);
        }
    }
    try_assertion(&world, &world.assertion("jwt").without("iat").text()).await.granted("Bearer");
}

#[tokio::test]
async fn iss_and_sub_are_both_the_client_row_428() {
    let world = World::new().await;
    for text in [
        world.assertion("jwt").without("sub").text(),
        world.assertion("jwt").without("iss").text(),
        world.assertion("jwt").claim("sub", "bound").text(),
        world.assertion("jwt").claim("iss", "bound").text(),
        world.assertion("jwt").claim("sub", json!(["jwt"])).text(),
        world.assertion("nobody").text(),
        world.assertion("").text(),
    ] {
        is_refused(&try_assertion(&world, &text).await);
    }
}

#[tokio::test]
async fn takes_the_algorithms_it_announces_and_not_rs256_row_429() {
    let keys: Vec<Arc<SoftwareKey>> = [Algorithm::Es256, Algorithm::Ps256, Algorithm::EdDsa, Algorithm::Ed25519]
        .map(|algorithm| Arc::new(SoftwareKey::generate(algorithm).unwrap()))
        .to_vec();
    let all: Vec<&SoftwareKey> = keys.iter().map(AsRef::as_ref).collect();
    let config = default_config(&keys[0]).replace(&jwks_toml(&[&keys[0]]), &jwks_toml(&all));
    let world = World::open(config, keys[0].clone()).await;
    for key in &keys {
        let assertion = Assertion::new(key.clone(), "jwt", NOW).text();
        try_assertion(&world, &assertion).await.granted("Bearer");
    }
    let pkcs8 = keys[1].to_pkcs8().unwrap();
    let rs256 = Arc::new(SoftwareKey::from_pkcs8(&pkcs8, Algorithm::Rs256).unwrap());
    is_refused(&try_assertion(&world, &Assertion::new(rs256, "jwt", NOW).text()).await);
    for alg in ["none", "HS256", "es256", "ES384", "RS256", "PS256", ""] {
        is_refused(&try_assertion(&world, &world.assertion("jwt").member("alg", alg).text()).await);
    }
}

#[tokio::test]
async fn refuses_a_signature_that_is_not_the_clients() {
    let world = World::new().await;
    let stranger = Arc::new(SoftwareKey::generate(Algorithm::Es256).unwrap());
    is_refused(&try_assertion(&world, &Assertion::new(stranger, "jwt", NOW).text()).await);
    let good = world.assertion("jwt").text();
    is_refused(&try_assertion(&world, &with_bad_signature(&good)).await);
    let (input, _) = good.rsplit_once('.').unwrap();
    is_refused(&try_assertion(&world, &format!("{input}.")).await);
    is_refused(&try_assertion(&world, input).await);
    // None of this has spent the assertion (row 331 for assertions).
    try_assertion(&world, &good).await.granted("Bearer");
}

#[tokio::test]
async fn picks_the_key_by_kid_when_there_is_one() {
    let world = World::with(|config| config.replacen("{ keys = [{ ", "{ keys = [{ kid = \"one\", ", 1)).await;
    let with_kid = |kid: serde_json::Value| world.assertion("jwt").member("kid", kid).text();
    try_assertion(&world, &with_kid(json!("one"))).await.granted("Bearer");
    try_assertion(&world, &world.assertion("jwt").text()).await.granted("Bearer");
    for kid in [json!("two"), json!(""), json!(1), json!(null)] {
        is_refused(&try_assertion(&world, &with_kid(kid)).await);
    }
}

#[tokio::test]
async fn takes_nothing_else_for_an_assertion_row_433() {
    let world = World::new().await;
    for typ in [json!("dpop+jwt"), json!("at+jwt"), json!("logout+jwt"), json!(""), json!(7), json!(null)] {
        is_refused(&try_assertion(&world, &world.assertion("jwt").member("typ", typ).text()).await);
    }
    for typ in ["JWT", "jwt", "client-authentication+jwt"] {
        try_assertion(&world, &world.assertion("jwt").member("typ", typ).text()).await.granted("Bearer");
    }
    let proof = world.proof().text();
    is_refused(&try_assertion(&world, &proof).await);
    let assertion = world.assertion("jwt").text();
    let as_proof = world.request().proof(&assertion);
    world.send(&as_proof).await.refused(400, "invalid_dpop_proof");
    // Neither is spent by that.
    world.send(&TokenRequest::plain().assertion(&assertion).proof(&proof)).await.granted("DPoP");
}

#[tokio::test]
async fn refuses_critical_extensions() {
    let world = World::new().await;
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!(null), json!("exp")] {
        is_refused(&try_assertion(&world, &world.assertion("jwt").member("crit", crit).text()).await);
    }
}

#[tokio::test]
async fn refuses_json_that_two_readers_could_read_in_two_ways() {
    let world = World::new().await;
    let sign = |header: &str, claims: &str| {
        let input = format!("{}.{}", encode_base64url(header), encode_base64url(claims));
        let signature = encode_base64url(world.client_key.sign_now(input.as_bytes()).unwrap());
        format!("{input}.{signature}")
    };
    let header = r#"{"alg":"ES256"}"#;
    let claims =
        |more: &str| format!(r#"{{"iss":"jwt","sub":"jwt","aud":"{ISSUER}","jti":"j","exp":{}{more}}}"#, NOW + 60);
    for (header, claims) in [
        (r#"{"alg":"none","alg":"ES256"}"#, claims("")),
        (header, claims(r#","sub":"jwt""#)),
        (header, claims(r#","\u0061ud":"x""#)),
        (header, claims(r#","a":{"b":1,"b":2}"#)),
        (header, claims(",")),
        (header, claims("") + "x"),
        (header, "[]".to_owned()),
        (header, String::new()),
        ("null", claims("")),
    ] {
        is_refused(&try_assertion(&world, &sign(header, &claims)).await);
    }
    try_assertion(&world, &sign(header, &claims(r#","extra":{"a":[1,2]}"#))).await.granted("Bearer");
}

#[tokio::test]
async fn jti_is_there_and_of_bearable_length() {
    let world = World::new().await;
    let with_jti = |jti: serde_json::Value| world.assertion("jwt").claim("jti", jti).text();
    for jti in [json!(""), json!("x".repeat(257)), json!(7), json!(null)] {
        is_refused(&try_assertion(&world, &with_jti(jti)).await);
    }
    is_refused(&try_assertion(&world, &world.assertion("jwt").without("jti").text()).await);
    for jti in ["x".repeat(256), "x".to_owned(), "*:\n".to_owned()] {
        try_assertion(&world, &with_jti(json!(jti))).await.granted("Bearer");
        is_refused(&try_assertion(&world, &with_jti(json!(jti))).await);
    }
}

#[tokio::test]
async fn refuses_what_is_too_long_or_no_jws() {
    let world = World::new().await;
    let long = world.assertion("jwt").claim("padding", "x".repeat(8_192)).text();
    for text in [long.as_str(), "a", "a.b", "a.b.c", "a.b.c.d", "..", "ey=.ey=.ey="] {
        is_refused(&try_assertion(&world, text).await);
    }
}

#[tokio::test]
async fn an_assertion_is_good_once_row_432() {
    let world = World::new().await;
    let assertion = world.assertion("jwt").claim("jti", "once");
    try_assertion(&world, &assertion.text()).await.granted("Bearer");
    is_refused(&try_assertion(&world, &assertion.text()).await);
    // The same jti under another signature and time is the same assertion; of another client it is another.
    is_refused(&try_assertion(&world, &assertion.claim("exp", NOW + 90).text()).await);
    let others = world.assertion("bound").claim("jti", "once").text();
    let request = TokenRequest::plain().assertion(&others).proof(&world.proof().text());
    world.send(&request).await.granted("DPoP");
}

#[tokio::test]
async fn assertion_and_type_belong_together() {
    let world = World::new().await;
    world.send(&world.request().without("client_assertion")).await.refused(400, "invalid_request");
    world.send(&world.request().without("client_assertion_type")).await.refused(400, "invalid_request");
    let saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer";
    is_refused(&world.send(&world.request().set("client_assertion_type", saml)).await);
}
