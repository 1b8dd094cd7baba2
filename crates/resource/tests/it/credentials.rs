//! Presenting the access token (bad-input group B).

use countersign_dpop::ProofMaker;
use countersign_resource::Route;
use countersign_resource::{DpopLayer, Stage};
use serde_json::json;
use tower::Layer;

use crate::world::{Backend, Guarded, ISSUER, World, key, request};

#[tokio::test]
async fn grants_a_bound_token_with_its_proof() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    guarded.get_dpop(&token, &world.proof(&token).await).await.granted();
    guarded.get_dpop(&token, &world.proof(&token).await).await.granted();
    assert_eq!(world.store.len(), 2);
}

#[tokio::test]
async fn row_25_refuses_a_bound_token_without_a_proof() {
    let world = World::new();
    let token = world.token().await;
    let answer = world.guarded(world.config()).get(&[("authorization", &format!("DPoP {token}"))]).await;
    answer.refused(401, Some("invalid_dpop_proof"), "proof_missing");
}

#[tokio::test]
async fn rows_26_and_29_refuse_a_bound_token_as_bearer_in_every_stage_but_observe() {
    let world = World::new();
    let token = world.token().await;
    for stage in [Stage::Accept, Stage::Prefer, Stage::Require] {
        let guarded = world.guarded(world.config().with_stage(stage));
        for scheme in ["Bearer", "BeArEr", "bearer"] {
            let answer = guarded.get(&[("authorization", &format!("{scheme} {token}"))]).await;
            answer.refused(401, Some("invalid_token"), "bound_as_bearer");
            for challenge in answer.challenges() {
                assert!(challenge.contains("error=\"invalid_token\""), "{stage}: {challenge}");
            }
        }
    }
}

#[tokio::test]
async fn row_27_refuses_a_bound_token_as_bearer_with_a_good_proof_and_spends_nothing() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let proof = world.proof(&token).await;
    let answer = guarded.get(&[("authorization", &format!("Bearer {token}")), ("dpop", &proof)]).await;
    answer.refused(401, Some("invalid_token"), "bound_as_bearer");
    guarded.get_dpop(&token, &proof).await.granted();
}

#[tokio::test]
async fn row_28_takes_the_scheme_in_any_letter_case() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    for scheme in ["dpop", "DPOP", "dPOP"] {
        let proof = world.proof(&token).await;
        guarded.get(&[("authorization", &format!("{scheme} {token}")), ("dpop", &proof)]).await.granted();
    }
}

#[tokio::test]
async fn row_30_refuses_an_unbound_token_under_dpop() {
    let world = World::new();
    let token = world.token_claiming(json!({ "cnf": null })).await;
    let answer = world.guarded(world.config()).get_dpop(&token, &world.proof(&token).await).await;
    answer.refused(401, Some("invalid_token"), "token_not_bound");
}

#[tokio::test]
async fn rows_31_and_32_refuse_two_authorization_fields() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let proof = world.proof(&token).await;
    for (first, second) in [("DPoP", "Bearer"), ("Bearer", "DPoP"), ("DPoP", "DPoP")] {
        let (first, second) = (format!("{first} {token}"), format!("{second} {token}"));
        let fields = [("authorization", first.as_str()), ("authorization", &second), ("dpop", &proof)];
        guarded.get(&fields).await.refused(400, Some("invalid_request"), "authorization_repeated");
    }
}

#[tokio::test]
async fn row_36_refuses_a_token_in_the_query() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    for name in ["access_token", "%61ccess_token", "access%5Ftoken", "access%5ftoken"] {
        let proof = world.proof(&token).await;
        let (authorization, target) = (format!("DPoP {token}"), format!("/a/b?x=1&{name}={token}"));
        let both = request("GET", &target, &[("authorization", &authorization), ("dpop", &proof)]);
        guarded.send(both).await.refused(400, Some("invalid_request"), "token_outside_header");
        let alone = request("GET", &target, &[]);
        guarded.send(alone).await.refused(400, Some("invalid_request"), "token_outside_header");
        guarded.get_dpop(&token, &proof).await.granted();
    }
}

#[tokio::test]
async fn leaves_other_parameters_of_the_query_alone() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    for query in ["access_tokens=1", "x=access_token", "access_toke=", "x%26access_token=1", "%", "access_token%", "?"]
    {
        let proof = world.proof(&token).await;
        let fields = [("authorization", &*format!("DPoP {token}")), ("dpop", &*proof)];
        guarded.send(request("GET", &format!("/a/b?{query}"), &fields)).await.granted();
    }
}

#[tokio::test]
async fn row_37_challenges_a_request_without_credentials() {
    let world = World::new();
    let answer = world.guarded(world.config()).get(&[]).await;
    answer.refused(401, None, "no_credentials");
    assert_eq!(
        answer.challenges(),
        ["DPoP algs=\"ES256 Ed25519 EdDSA ES384 ES512 PS256 RS256\", \
          resource_metadata=\"https://rs.example/.well-known/oauth-protected-resource\""]
    );
    assert!(answer.nonces().is_empty());
}

#[tokio::test]
async fn row_38_treats_a_proof_alone_as_no_credentials() {
    let world = World::new();
    let token = world.token().await;
    let answer = world.guarded(world.config()).get(&[("dpop", &world.proof(&token).await)]).await;
    answer.refused(401, None, "no_credentials");
}

#[tokio::test]
async fn treats_another_scheme_as_no_credentials() {
    let world = World::new();
    let answer = world.guarded(world.config()).get(&[("authorization", "Basic YTpi")]).await;
    answer.refused(401, None, "no_credentials");
}

#[tokio::test]
async fn rows_39_to_43_refuse_a_token_that_is_no_token68() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let proof = world.proof(&token).await;
    for value in
        ["DPoP", "DPoP ", &format!("DPoP {token},"), &format!("DPoP {{{token}"), &format!("DPoP {token}, realm=\"x\"")]
    {
        let answer = guarded.get(&[("authorization", value), ("dpop", &proof)]).await;
        answer.refused(401, Some("invalid_token"), "token_not_text");
    }
}

#[tokio::test]
async fn row_41_takes_several_blanks_after_the_scheme() {
    let world = World::new();
    let token = world.token().await;
    let fields = [("authorization", &*format!("DPoP   {token}")), ("dpop", &*world.proof(&token).await)];
    world.guarded(world.config()).get(&fields).await.granted();
}

#[tokio::test]
async fn row_46_refuses_an_expired_token() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    world.clock.advance(299);
    guarded.get_dpop(&token, &world.proof(&token).await).await.granted();
    world.clock.advance(1);
    let answer = guarded.get_dpop(&token, &world.proof(&token).await).await;
    answer.refused(401, Some("invalid_token"), "token_expired");
}

#[tokio::test]
async fn row_47_refuses_a_token_for_another_audience() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    for audience in
        [json!("https://other.example"), json!([]), json!(["https://rs.example/"]), json!("https://RS.example")]
    {
        let token = world.token_claiming(json!({ "aud": audience })).await;
        let answer = guarded.get_dpop(&token, &world.proof(&token).await).await;
        answer.refused(401, Some("invalid_token"), "audience_mismatch");
    }
}

#[tokio::test]
async fn row_48_refuses_a_token_of_another_issuer_whose_kid_collides() {
    let mut world = World::new();
    let guarded = world.guarded(world.config());
    world.issuer_key = key();
    let foreign = world.token_claiming(json!({ "iss": "https://foreign.example" })).await;
    let answer = guarded.get_dpop(&foreign, &world.proof(&foreign).await).await;
    answer.refused(401, Some("invalid_token"), "issuer_unknown");
    let forged = world.token().await;
    for _ in 0..2 {
        let answer = guarded.get_dpop(&forged, &world.proof(&forged).await).await;
        answer.refused(401, Some("invalid_token"), "token_bad_signature");
    }
    assert_eq!(world.store.len(), 0);
}

#[tokio::test]
async fn row_49_refuses_a_token_without_a_signature() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    for algorithm in ["none", "None", "HS256", "es256", "ES256K"] {
        let header = json!({ "typ": "at+jwt", "alg": algorithm, "kid": "k1" });
        let signed = world.token_of(header, world.claims()).await;
        let bare = format!("{}.", signed.rsplit_once('.').unwrap().0);
        for token in [signed, bare] {
            let answer = guarded.get_dpop(&token, &world.proof(&token).await).await;
            answer.refused(401, Some("invalid_token"), "token_alg_not_accepted");
        }
    }
}

#[tokio::test]
async fn rows_51_to_55_refuse_a_malformed_cnf() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let jkt = world.client.jkt().to_string();
    let bad = [
        "null".to_owned(),
        format!("[{{\"jkt\":\"{jkt}\"}}]"),
        "{\"jkt\":7}".to_owned(),
        "{\"jkt\":\"\"}".to_owned(),
        "{\"jkt\":null}".to_owned(),
        format!("{{\"jkt\":\"{jkt}=\"}}"),
        format!("\"{jkt}\""),
        "{}".to_owned(),
    ];
    for cnf in bad {
        let claims = world.claims().to_string().replace(&format!("{{\"jkt\":\"{jkt}\"}}"), &cnf);
        let token = world.token_of_text("{\"typ\":\"at+jwt\",\"alg\":\"ES256\",\"kid\":\"k1\"}", &claims).await;
        for answer in [guarded.get_dpop(&token, &world.proof(&token).await).await, guarded.get_bearer(&token).await] {
            answer.refused(401, Some("invalid_token"), "token_bad_claim");
        }
    }
}

#[tokio::test]
async fn row_56_refuses_a_jkt_in_other_letter_case_and_another_key() {
    let mut world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let jkt = world.client.jkt().to_string();
    let at = jkt.char_indices().find(|(at, letter)| *at < 40 && letter.is_ascii_lowercase()).unwrap().0;
    let other_case = format!("{}{}{}", &jkt[..at], jkt[at..=at].to_ascii_uppercase(), &jkt[at + 1..]);
    let changed = world.token_claiming(json!({ "cnf": { "jkt": other_case } })).await;
    let answer = guarded.get_dpop(&changed, &world.proof(&changed).await).await;
    answer.refused(401, Some("invalid_token"), "jkt_mismatch");

    world.client = ProofMaker::new(key());
    let answer = guarded.get_dpop(&token, &world.proof(&token).await).await;
    answer.refused(401, Some("invalid_token"), "jkt_mismatch");
    assert_eq!(world.store.len(), 0);
}

#[tokio::test]
async fn row_59_refuses_a_claim_that_stands_twice() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let jkt = format!("\"jkt\":\"{}\"", world.client.jkt());
    let claims = world.claims().to_string();
    for claims in [
        claims.replace(&jkt, &format!("\"jkt\":\"{}\",{jkt}", "A".repeat(43))),
        claims.replacen('{', "{\"sub\":\"mallory\",", 1),
    ] {
        let token = world.token_of_text("{\"typ\":\"at+jwt\",\"alg\":\"ES256\",\"kid\":\"k1\"}", &claims).await;
        let answer = guarded.get_dpop(&token, &world.proof(&token).await).await;
        answer.refused(401, Some("invalid_token"), "token_malformed");
    }
}

#[tokio::test]
async fn refuses_a_token_bound_by_a_second_method_that_cannot_be_confirmed() {
    let world = World::new();
    let guarded = world.guarded(world.config().with_stage(Stage::Accept));
    let both = json!({ "jkt": world.client.jkt().to_string(), "x5t#S256": "A".repeat(43) });
    let token = world.token_claiming(json!({ "cnf": both })).await;
    let answer = guarded.get_dpop(&token, &world.proof(&token).await).await;
    answer.refused(401, Some("invalid_token"), "cnf_method_not_supported");
    assert!(!answer.challenges()[0].contains("x5t"));
    let certificate_only = world.token_claiming(json!({ "cnf": { "x5t#S256": "A".repeat(43) } })).await;
    guarded.get_bearer(&certificate_only).await.refused(401, Some("invalid_token"), "bound_as_bearer");
}

#[tokio::test]
async fn row_62_refuses_other_tokens_of_the_issuer() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    for typ in [json!("JWT"), json!("dpop+jwt"), json!("at+jwt+x"), json!("at+jw"), json!(7), json!(null)] {
        let header = crate::world::changed(json!({ "alg": "ES256", "kid": "k1" }), &json!({ "typ": typ }));
        let token = world.token_of(header, world.claims()).await;
        let answer = guarded.get_dpop(&token, &world.proof(&token).await).await;
        answer.refused(401, Some("invalid_token"), "token_typ_mismatch");
    }
}

#[tokio::test]
async fn row_63_refuses_the_proof_as_token() {
    let world = World::new();
    let guarded = world.guarded(world.config().with_stage(Stage::Accept));
    let claims = json!({ "iss": ISSUER, "aud": "https://rs.example", "exp": world.now() + 300 });
    let proof = world.proof_claiming("none", claims).await;
    let answer = guarded.get_dpop(&proof, &world.proof(&proof).await).await;
    answer.refused(401, Some("invalid_token"), "token_typ_mismatch");
    let without_iss = world.proof("none").await;
    let answer = guarded.get_dpop(&without_iss, &world.proof(&without_iss).await).await;
    answer.refused(401, Some("invalid_token"), "issuer_unknown");
}

#[tokio::test]
async fn row_64_refuses_the_token_as_proof() {
    let world = World::new();
    let token = world.token().await;
    let answer = world.guarded(world.config()).get_dpop(&token, &token).await;
    answer.refused(401, Some("invalid_dpop_proof"), "proof_typ_mismatch");
}

#[tokio::test]
async fn row_65_refuses_a_token_without_the_scope_and_spends_nothing() {
    let world = World::new();
    let server = world.server(world.config());
    let route = |scopes: [&str; 2]| Route::new(Stage::Require).with_label("things").with_scopes(scopes);
    let with = |scopes| Guarded(DpopLayer::new(server.clone()).with_route(route(scopes)).layer(Backend));
    let token = world.token().await;
    let proof = world.proof(&token).await;
    let answer = with(["read", "admin"]).get_dpop(&token, &proof).await;
    answer.refused(403, Some("insufficient_scope"), "insufficient_scope");
    assert!(answer.challenges()[0].contains("scope=\"read admin\""), "{:?}", answer.challenges());
    assert_eq!(answer.decision.unwrap().route.as_deref(), Some("things"));
    with(["write", "read"]).get_dpop(&token, &proof).await.granted();
}
