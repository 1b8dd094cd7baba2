//! `client_secret_basic`.

use http::header::AUTHORIZATION;

use crate::support::{SECRET, TokenRequest, World};

const CHALLENGE: &str = r#"Basic realm="token endpoint", charset="UTF-8""#;

#[tokio::test]
async fn authenticates_by_identifier_and_secret() {
    let world = World::new().await;
    let request = TokenRequest::plain().basic("basic", SECRET);
    world.send(&request).await.granted("Bearer");
    world.send(&request.proof(&world.proof().text())).await.granted("DPoP");
}

#[tokio::test]
async fn decodes_the_form_encoding_of_both_halves() {
    let odd = "p:a+ß %41";
    let world = World::with(|config| config.replace("\"basic\"", "\"ba sic:1\"").replace(SECRET, odd)).await;
    world.send(&TokenRequest::plain().basic("ba sic:1", odd)).await.granted("Bearer");
}

#[tokio::test]
async fn refuses_with_a_challenge_and_the_same_words_for_every_reason() {
    let world = World::new().await;
    let mut texts = Vec::new();
    for (id, secret) in [("basic", "wrong"), ("basic", ""), ("nobody", SECRET), ("", SECRET), ("jwt", SECRET)] {
        let answer = world.send(&TokenRequest::plain().basic(id, secret)).await;
        answer.refused(401, "invalid_client");
        assert_eq!(answer.field("www-authenticate"), Some(CHALLENGE));
        texts.push(answer.text);
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[tokio::test]
async fn refuses_other_schemes_and_broken_credentials() {
    let world = World::new().await;
    for field in ["Bearer abc", "DPoP abc", "Basic", "Basic ====", "Basic bm9jb2xvbg==", "basic:secret"] {
        let answer = world.send(&TokenRequest::plain().field(AUTHORIZATION, field)).await;
        answer.refused(401, "invalid_client");
        assert_eq!(answer.field("www-authenticate"), Some(CHALLENGE), "{field}");
    }
}

#[tokio::test]
async fn takes_one_method_only() {
    let world = World::new().await;
    let basic = || TokenRequest::plain().basic("basic", SECRET);
    world.send(&basic().basic("basic", SECRET)).await.refused(400, "invalid_request");
    world.send(&basic().set("client_secret", SECRET)).await.refused(400, "invalid_request");
    let assertion = world.assertion("jwt").text();
    world.send(&basic().assertion(&assertion)).await.refused(400, "invalid_request");
    world.send(&world.request().set("client_secret", SECRET)).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn takes_the_registered_method_only() {
    let world = World::new().await;
    // A secret in the form, an identifier alone, an assertion of a client that has a secret.
    let in_form = TokenRequest::plain().set("client_id", "basic").set("client_secret", SECRET);
    world.send(&in_form).await.refused(401, "invalid_client");
    for client in ["basic", "jwt", "nobody"] {
        world.send(&TokenRequest::plain().set("client_id", client)).await.refused(401, "invalid_client");
    }
    let assertion = world.assertion("basic").text();
    world.send(&TokenRequest::plain().assertion(&assertion)).await.refused(401, "invalid_client");
}

#[tokio::test]
async fn refuses_a_request_without_client_authentication_row_434() {
    let world = World::new().await;
    let answer = world.send(&TokenRequest::plain()).await;
    answer.refused(401, "invalid_client");
    assert_eq!(answer.field("www-authenticate"), None, "nobody tried the Authorization field");
    world.send(&TokenRequest::plain().proof(&world.proof().text())).await.refused(401, "invalid_client");
}

#[tokio::test]
async fn client_id_in_the_form_must_be_the_authenticated_client() {
    let world = World::new().await;
    let basic = TokenRequest::plain().basic("basic", SECRET);
    world.send(&basic.clone().set("client_id", "jwt")).await.refused(401, "invalid_client");
    world.send(&basic.set("client_id", "basic")).await.granted("Bearer");
    world.send(&world.request().set("client_id", "bound")).await.refused(401, "invalid_client");
    world.send(&world.request().set("client_id", "jwt")).await.granted("Bearer");
}
