//! `client_secret_post`, and `none`.

use crate::support::{SECRET, TokenRequest, World};

fn with_post(config: &str) -> String {
    config.replace("auth = \"client_secret_basic\"", "auth = \"client_secret_post\"")
}

fn post(id: &str, secret: &str) -> TokenRequest {
    TokenRequest::plain().set("client_id", id).set("client_secret", secret)
}

#[tokio::test]
async fn authenticates_by_identifier_and_secret_in_the_form() {
    let world = World::with(|config| with_post(&config)).await;
    world.send(&post("basic", SECRET)).await.granted("Bearer");
    world.send(&post("basic", SECRET).proof(&world.proof().text())).await.granted("DPoP");
}

#[tokio::test]
async fn refuses_without_a_challenge_and_in_the_same_words_for_every_reason() {
    let world = World::with(|config| with_post(&config)).await;
    let mut texts = Vec::new();
    for (id, secret) in [("basic", "wrong"), ("nobody", SECRET), ("jwt", SECRET), ("", SECRET)] {
        let answer = world.send(&post(id, secret)).await;
        answer.refused(401, "invalid_client");
        assert_eq!(answer.field("www-authenticate"), None);
        texts.push(answer.text);
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[tokio::test]
async fn the_registered_method_is_the_only_one() {
    let world = World::new().await;
    world.send(&post("basic", SECRET)).await.refused(401, "invalid_client");
    world.send(&TokenRequest::plain().set("client_id", "basic")).await.refused(401, "invalid_client");
    let world = World::with(|config| with_post(&config)).await;
    world.send(&TokenRequest::plain().basic("basic", SECRET)).await.refused(401, "invalid_client");
    world.send(&TokenRequest::plain().set("client_id", "basic")).await.refused(401, "invalid_client");
}
