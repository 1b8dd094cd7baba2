//! Rotating the keys that sign tokens, while the server serves.

use countersign_authserver::storage::KeyState;
use countersign_authserver::{AuthServer, PUBLISHED_BEFORE, RetireRefusal};
use countersign_dpop::jose::JwkSet;

use crate::support::{World, settings};

async fn kids(world: &World) -> Vec<String> {
    let json = world.get("/jwks").await.json;
    json["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn signed_by(world: &World) -> String {
    let keys = JwkSet::parse(world.get("/jwks").await.text.as_bytes()).unwrap();
    let answer = world.send(&world.bound_request()).await;
    answer.granted("DPoP").read_token(&keys).0["kid"].as_str().unwrap().to_owned()
}

/// As another process on the same data directory does it.
async fn other_process(world: &World) -> AuthServer {
    AuthServer::open(settings(&world.config, &world.dir), world.clock.shared()).await.unwrap()
}

#[tokio::test]
async fn a_new_key_is_published_before_it_signs_and_the_old_one_after() {
    let world = World::new().await;
    let old = signed_by(&world).await;
    let operator = other_process(&world).await;
    let listed = operator.keys().rotate(false).await.unwrap();
    let states: Vec<_> = listed.iter().map(|key| key.state).collect();
    assert_eq!(states, [KeyState::Active, KeyState::Next]);
    let new = listed[1].kid.clone();
    assert_eq!(operator.keys().rotate(false).await.unwrap(), listed, "one that waits is enough");

    world.clock.advance(31);
    assert_eq!(kids(&world).await, [old.clone(), new.clone()]);
    assert_eq!(signed_by(&world).await, old);
    world.clock.advance(PUBLISHED_BEFORE - 31);
    assert_eq!(signed_by(&world).await, new);
    assert_eq!(kids(&world).await, [old.clone(), new.clone()], "what the old key signed is still good");

    assert_eq!(operator.keys().retire(&new).await.unwrap(), Err(RetireRefusal::Active));
    assert_eq!(operator.keys().retire("nobody").await.unwrap(), Err(RetireRefusal::Unknown));
    assert_eq!(operator.keys().retire(&old).await.unwrap(), Ok(()));
    world.clock.advance(31);
    assert_eq!(kids(&world).await, [new]);
}

#[tokio::test]
async fn rotating_at_once_signs_at_once_here_and_soon_everywhere() {
    let world = World::new().await;
    let old = signed_by(&world).await;
    let operator = other_process(&world).await;
    let listed = operator.keys().rotate(true).await.unwrap();
    let states: Vec<_> = listed.iter().map(|key| (key.kid == old, key.state)).collect();
    assert_eq!(states, [(true, KeyState::Retiring), (false, KeyState::Active)]);
    assert_eq!(signed_by(&world).await, old, "looked at half a minute ago at most");
    world.clock.advance(31);
    assert_ne!(signed_by(&world).await, old);
}

#[tokio::test]
async fn a_token_of_a_retiring_key_is_introspected_and_of_a_forgotten_one_not() {
    let world = World::new().await;
    let token = world.send(&world.bound_request()).await.token().to_owned();
    let old = kids(&world).await.remove(0);
    let operator = other_process(&world).await;
    operator.keys().rotate(true).await.unwrap();
    let is_active = async || {
        world.clock.advance(31);
        let ask = crate::support::TokenRequest::to("/introspect");
        world.send(&ask.basic("basic", crate::support::SECRET).set("token", &token)).await.json["active"].as_bool()
    };
    assert_eq!(is_active().await, Some(true));
    operator.keys().retire(&old).await.unwrap().unwrap();
    assert_eq!(is_active().await, Some(false));
}

#[tokio::test]
async fn sixteen_servers_agree_on_the_key_that_signs() {
    let world = World::new().await;
    let operator = other_process(&world).await;
    let keeper = operator.keys();
    let rotations = (0..16).map(|_| keeper.rotate(true));
    for rotated in futures_util::future::join_all(rotations).await {
        let active = rotated.unwrap().iter().filter(|key| key.state == KeyState::Active).count();
        assert_eq!(active, 1);
    }
}
