//! Where keys are looked for, and what is refused there.

use std::path::Path;
use std::sync::Arc;

use countersign_resource::fetch::{Fetch, MAX_BODY_LENGTH};
use countersign_resource::{IssuerConfig, IssuerConfigError, Issuers, MAX_BACKOFF};
use serde_json::json;

use crate::web::{KEYS, Scene, Web, key_set};
use crate::world::{ISSUER, key};

#[tokio::test]
async fn finds_keys_by_the_metadata_of_rfc_8414_then_of_openid() {
    let metadata = |issuer: &str| json!({ "issuer": issuer, "jwks_uri": KEYS }).to_string();
    let oauth = "https://issuer.example/.well-known/oauth-authorization-server";
    let openid = "https://issuer.example/.well-known/openid-configuration";
    for (places, expected) in [(vec![oauth, openid], vec![oauth, KEYS]), (vec![openid], vec![oauth, openid, KEYS])] {
        let scene = Scene::of(IssuerConfig::discovered(ISSUER).unwrap());
        for place in places {
            scene.web.put(place, 200, metadata(ISSUER));
        }
        scene.send(&scene.token("k1").await).await.granted();
        assert_eq!(scene.web.asked(), expected);
    }
}

#[tokio::test]
async fn asks_at_the_right_places_for_issuers_with_a_path_or_a_slash() {
    let host = "https://issuer.example";
    for (issuer, expected) in [
        (
            "https://issuer.example/realms/a",
            vec![
                format!("{host}/.well-known/oauth-authorization-server/realms/a"),
                format!("{host}/realms/a/.well-known/openid-configuration"),
                format!("{host}/.well-known/openid-configuration/realms/a"),
            ],
        ),
        (
            "https://issuer.example/",
            vec![
                format!("{host}/.well-known/oauth-authorization-server"),
                format!("{host}/.well-known/openid-configuration"),
            ],
        ),
    ] {
        let scene = Scene::of(IssuerConfig::discovered(issuer).unwrap());
        let claims = crate::world::changed(scene.world.claims(), &json!({ "iss": issuer }));
        let token = scene.world.token_with(claims).await;
        scene.send(&token).await.refused(503, None, "issuer_unavailable");
        assert_eq!(scene.web.asked(), expected);
    }
}

#[tokio::test]
async fn refuses_metadata_of_another_issuer_and_documents_that_are_wrong() {
    let oauth = "https://issuer.example/.well-known/oauth-authorization-server";
    let page = |issuer: &str, keys: &str| json!({ "issuer": issuer, "jwks_uri": keys }).to_string();
    let cases = [
        (200, page("https://issuer.example/", KEYS), "is the metadata of another issuer"),
        (200, page("https://evil.example", KEYS), "is the metadata of another issuer"),
        (200, page(ISSUER, "http://issuer.example/keys"), "jwks_uri"),
        (200, page(ISSUER, "http://127.0.0.1/keys"), "jwks_uri"),
        (200, page(ISSUER, "https://127.0.0.1/keys"), "jwks_uri"),
        (200, page(ISSUER, "/keys"), "jwks_uri"),
        (200, json!({ "issuer": ISSUER }).to_string(), "is not issuer metadata"),
        (200, "<html>".to_owned(), "is not issuer metadata"),
        (200, format!("{{\"issuer\":\"x\",{}", &page(ISSUER, KEYS)[1..]), "is not issuer metadata"),
        (302, page(ISSUER, KEYS), "answers 404"),
        (500, page(ISSUER, KEYS), "answers 404"),
    ];
    for (status, page, reason) in cases {
        let scene = Scene::of(IssuerConfig::discovered(ISSUER).unwrap());
        scene.web.put(oauth, status, page.clone());
        scene.send(&scene.token("k1").await).await.refused(503, None, "issuer_unavailable");
        let missing = scene.missing().unwrap();
        assert!(missing.contains(reason), "{page}: {missing}");
    }
}

#[tokio::test]
async fn refuses_key_sets_that_are_wrong() {
    let scene = Scene::new();
    let token = scene.token("k1").await;
    let mut private: serde_json::Value = serde_json::from_str(&key_set(&[(&scene.world.issuer_key, "k1")])).unwrap();
    private["keys"][0]["d"] = json!("AAAA");
    let good = key_set(&[(&scene.world.issuer_key, "k1")]);
    for (status, page) in [
        (200, "{}".to_owned()),
        (200, "{\"keys\":[]}".to_owned()),
        (200, "<html>".to_owned()),
        (200, private.to_string()),
        (200, good[..good.len() - 1].to_owned()),
        (200, format!("{good}{}", " ".repeat(MAX_BODY_LENGTH))),
        (204, String::new()),
        (301, good.clone()),
        (404, good.clone()),
        (503, good.clone()),
    ] {
        scene.web.put(KEYS, status, page);
        let answer = scene.send(&token).await;
        answer.refused(503, None, "issuer_unavailable");
        assert_eq!(answer.headers["retry-after"], "5");
        assert!(!answer.body.contains("issuer.example"), "{}", answer.body);
        scene.world.clock.advance(MAX_BACKOFF);
    }
    scene.web.put(KEYS, 200, good);
    scene.send(&token).await.granted();
}

#[test]
fn reads_key_sets_from_files() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let good = write("good.json", &key_set(&[(&key(), "k1")]));
    assert!(IssuerConfig::with_key_set_file(ISSUER, &good).is_ok());
    let fault = |path: &Path| IssuerConfig::with_key_set_file(ISSUER, path).unwrap_err();
    assert!(matches!(fault(&directory.path().join("none.json")), IssuerConfigError::File { .. }));
    assert!(matches!(fault(directory.path()), IssuerConfigError::File { .. }));
    assert!(matches!(fault(&write("empty.json", "")), IssuerConfigError::KeySet { .. }));
    assert!(matches!(fault(&write("html.json", "<html>")), IssuerConfigError::KeySet { .. }));
    let huge = write("huge.json", &" ".repeat(MAX_BODY_LENGTH + 1));
    assert!(matches!(fault(&huge), IssuerConfigError::FileTooLarge { .. }));
    let private = format!("{{\"keys\":[{{\"kty\":\"oct\",\"k\":\"{}\"}}]}}", "A".repeat(43));
    let message = fault(&write("private.json", &private)).to_string();
    assert!(!message.contains("AAAA"), "{message}");
}

#[test]
fn refuses_issuers_and_addresses_that_are_not_https() {
    for bad in ["issuer", "", "http://issuer.example", "https://issuer.example?x", "https://u@issuer.example"] {
        assert!(matches!(IssuerConfig::discovered(bad), Err(IssuerConfigError::Issuer { .. })), "{bad}");
        if !bad.contains('?') {
            let fault = IssuerConfig::with_key_set_url(ISSUER, bad);
            assert!(matches!(fault, Err(IssuerConfigError::KeySetUrl { .. })), "{bad}");
        }
    }
    assert!(IssuerConfig::discovered("http://127.0.0.1:9999").is_ok());
    assert!(IssuerConfig::with_key_set_url(ISSUER, "https://issuer.example/keys?tenant=a").is_ok());
    let fetch: Arc<dyn Fetch> = Arc::new(Web::default());
    let one = || IssuerConfig::discovered(ISSUER).unwrap();
    assert!(matches!(Issuers::new(vec![], &fetch), Err(IssuerConfigError::None)));
    assert!(matches!(Issuers::new(vec![one(), one()], &fetch), Err(IssuerConfigError::Repeated { .. })));
}
