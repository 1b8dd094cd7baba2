//! Answers (bad-input group L): challenges, CORS, nothing echoed.

use countersign_dpop::error::ErrorCode;
use countersign_dpop::{Challenge, Scheme};
use countersign_resource::{Cors, DpopLayer, Stage};
use serde_json::json;
use tower::Layer;

use crate::world::{Backend, Guarded, World, request};

const PAGE: &str = "https://app.example";

fn open_to_pages(world: &World) -> Guarded {
    let layer = DpopLayer::new(world.server(world.config())).with_cors(Cors::new([PAGE]).unwrap());
    Guarded(layer.layer(Backend))
}

#[tokio::test]
async fn row_449_makes_challenges_that_parse() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let answer = guarded.get_dpop(&token, "garbage").await;
    answer.refused(401, Some("invalid_dpop_proof"), "proof_malformed");
    let [challenge] = &Challenge::parse_field(answer.challenges()[0]).unwrap()[..] else { panic!("one challenge") };
    assert_eq!(challenge.scheme, Scheme::Dpop);
    assert_eq!(challenge.error, Some(ErrorCode::InvalidDpopProof));
    assert_eq!(challenge.algs, ["ES256", "Ed25519", "EdDSA", "ES384", "ES512", "PS256", "RS256"]);
    let metadata = challenge.resource_metadata.as_deref();
    assert_eq!(metadata, Some("https://rs.example/.well-known/oauth-protected-resource"));
}

#[tokio::test]
async fn row_450_challenges_for_both_schemes_where_both_are_taken() {
    let world = World::new();
    for stage in [Stage::Accept, Stage::Prefer] {
        let answer = world.guarded(world.config().with_stage(stage)).get(&[]).await;
        answer.refused(401, None, "no_credentials");
        let metadata = "resource_metadata=\"https://rs.example/.well-known/oauth-protected-resource\"";
        assert_eq!(
            answer.challenges(),
            [
                format!("DPoP algs=\"ES256 Ed25519 EdDSA ES384 ES512 PS256 RS256\", {metadata}"),
                format!("Bearer {metadata}")
            ]
        );
    }
}

#[tokio::test]
async fn tells_the_scheme_that_was_tried_what_went_wrong() {
    let world = World::new();
    let guarded = world.guarded(world.config().with_stage(Stage::Accept));
    let bearer = guarded.get_bearer("garbage").await;
    assert_eq!((bearer.status.as_u16(), bearer.challenges().len()), (401, 2));
    assert!(!bearer.challenges()[0].contains("error"), "{:?}", bearer.challenges());
    assert!(bearer.challenges()[1].starts_with("Bearer error=\"invalid_token\""), "{:?}", bearer.challenges());
    let unreadable = guarded.get_bearer("a,b").await;
    assert!(unreadable.challenges()[1].starts_with("Bearer error=\"invalid_token\""), "{:?}", unreadable.challenges());
    let dpop = guarded.get_dpop("garbage", &world.proof("garbage").await).await;
    assert!(dpop.challenges()[0].starts_with("DPoP error=\"invalid_token\""), "{:?}", dpop.challenges());
    assert!(!dpop.challenges()[1].contains("error"), "{:?}", dpop.challenges());
}

#[tokio::test]
async fn row_451_answers_a_preflight_without_credentials() {
    let world = World::new();
    let guarded = open_to_pages(&world);
    let fields = [
        ("origin", PAGE),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "dpop,authorization"),
    ];
    let answer = guarded.send(request("OPTIONS", "/a/b", &fields)).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.headers["access-control-allow-origin"], PAGE);
    assert_eq!(answer.headers["access-control-allow-methods"], "PUT");
    assert_eq!(answer.headers["access-control-allow-headers"], "Authorization, DPoP, Content-Type");
    assert_eq!(answer.headers["vary"].to_str().unwrap().split(',').next(), Some("Origin"));
    assert_eq!(answer.body, "");
}

#[tokio::test]
async fn refuses_preflights_of_other_origins_and_those_without_cors() {
    let world = World::new();
    for origin in ["https://evil.example", "null", "https://app.example.evil.example", "http://app.example"] {
        let fields = [("origin", origin), ("access-control-request-method", "GET")];
        let answer = open_to_pages(&world).send(request("OPTIONS", "/a/b", &fields)).await;
        answer.refused(401, None, "no_credentials");
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{origin}");
        assert_eq!(answer.headers["vary"], "Origin");
    }
    let fields = [("origin", PAGE), ("access-control-request-method", "GET")];
    let answer = world.guarded(world.config()).send(request("OPTIONS", "/a/b", &fields)).await;
    answer.refused(401, None, "no_credentials");
    assert!(!answer.headers.contains_key("vary"));
    let two = [fields[0], ("origin", "https://evil.example"), fields[1]];
    open_to_pages(&world).send(request("OPTIONS", "/a/b", &two)).await.refused(401, None, "no_credentials");
}

#[tokio::test]
async fn row_452_shows_pages_the_nonce_and_the_challenge() {
    let world = World::new();
    let guarded = open_to_pages(&world);
    let token = world.token().await;
    let refused = guarded.get(&[("origin", PAGE)]).await;
    refused.refused(401, None, "no_credentials");
    let proof = world.proof(&token).await;
    let fields = [("origin", PAGE), ("authorization", &*format!("DPoP {token}")), ("dpop", &*proof)];
    let granted = guarded.get(&fields).await;
    granted.granted();
    for answer in [refused, granted] {
        assert_eq!(answer.headers["access-control-allow-origin"], PAGE);
        assert_eq!(answer.headers["access-control-expose-headers"], "DPoP-Nonce, WWW-Authenticate");
    }
}

#[tokio::test]
async fn row_454_judges_options_that_is_no_preflight() {
    let world = World::new();
    let token = world.token().await;
    let proof = world.proof_claiming(&token, json!({ "htm": "OPTIONS" })).await;
    let fields = [("authorization", &*format!("DPoP {token}")), ("dpop", &*proof), ("origin", PAGE)];
    open_to_pages(&world).send(request("OPTIONS", "/a/b", &fields)).await.granted();
}

#[tokio::test]
async fn row_455_answers_head_with_the_fields_of_get() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let (head, get) = (guarded.send(request("HEAD", "/a/b", &[])).await, guarded.get(&[]).await);
    head.refused(401, None, "no_credentials");
    assert_eq!(head.headers, get.headers);
}

#[tokio::test]
async fn rows_457_and_458_echo_nothing() {
    let world = World::new();
    let guarded = world.guarded(world.config().with_stage(Stage::Accept));
    let token = world.token().await;
    let planted = "zq\"zq\\zq\r\nX-Split: 1\u{1f511}";
    let proofs = [
        json!({ "htu": format!("https://rs.example/{planted}") }),
        json!({ "htu": planted }),
        json!({ "jti": planted, "htm": planted }),
        json!({ "nonce": planted }),
        json!({ "ath": planted }),
    ];
    let mut answers = Vec::new();
    for claims in proofs {
        answers.push(guarded.get_dpop(&token, &world.proof_claiming(&token, claims).await).await);
    }
    for header in [json!({ "typ": planted }), json!({ "alg": planted }), json!({ "crit": [planted] })] {
        answers.push(guarded.get_dpop(&token, &world.proof_of(header, &token, json!({})).await).await);
    }
    for claims in [
        json!({ "iss": planted }),
        json!({ "aud": planted }),
        json!({ "cnf": { planted: planted } }),
        json!({ "exp": planted }),
    ] {
        let bad = world.token_claiming(claims).await;
        answers.push(guarded.get_bearer(&bad).await);
        answers.push(guarded.get_dpop(&bad, &world.proof(&bad).await).await);
    }
    let header = json!({ "typ": planted, "alg": planted, "kid": planted });
    answers.push(guarded.get_bearer(&world.token_of(header, world.claims()).await).await);
    for answer in answers {
        assert!(answer.status.is_client_error(), "{:?}", answer.decision);
        assert!(!answer.body.contains("zq") && !answer.headers.contains_key("x-split"));
        for challenge in answer.challenges() {
            assert!(!challenge.contains("zq") && challenge.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            let parsed = Challenge::parse_field(challenge).unwrap();
            let description = parsed.iter().filter_map(|parsed| parsed.error_description.as_deref());
            assert!(description.flat_map(str::chars).all(|letter| letter != '"' && letter != '\\'));
        }
        let line = answer.decision.unwrap().to_json();
        assert!(!line.contains('\n') && !line.contains('\r'));
    }
}

#[test]
fn takes_origins_only_for_cors() {
    for bad in ["https://app.example/path", "app.example", "*", "null", "http://app.example", "https://a b"] {
        assert!(Cors::new([bad]).is_err(), "{bad}");
    }
    assert!(Cors::new(["https://app.example", "https://app.example:8443", "http://localhost:3000"]).is_ok());
}
