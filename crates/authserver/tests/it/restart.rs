//! What survives the end of a process, and what a clock that goes back cannot bring back.

use countersign_dpop::jose::JwkSet;

use crate::support::{NOW, TokenRequest, World, at};

#[tokio::test]
async fn keys_tokens_proofs_and_assertions_survive_a_restart_row_341() {
    let mut world = World::new().await;
    let (proof, assertion) = (world.proof().text(), world.assertion("jwt").text());
    let answer = world.send(&TokenRequest::plain().assertion(&assertion).proof(&proof)).await;
    answer.granted("DPoP");
    let before = world.get("/jwks").await.text;
    for _ in 0..2 {
        world.restart().await;
        let keys = world.get("/jwks").await.text;
        assert_eq!(keys, before);
        answer.read_token(&JwkSet::parse(keys.as_bytes()).unwrap());
        world.send(&world.request().proof(&proof)).await.refused(400, "invalid_dpop_proof");
        let replayed = TokenRequest::plain().assertion(&assertion);
        world.send(&replayed).await.refused(401, "invalid_client");
        world.send(&world.bound_request()).await.granted("DPoP");
    }
}

#[tokio::test]
async fn a_new_database_asks_for_a_nonce_until_its_floor_is_past() {
    let world = World::new().await;
    world.clock.set(at(NOW - 600));
    let early = world.request();
    let answer = world.send(&early.clone().proof(&world.proof().text())).await;
    answer.refused(400, "use_dpop_nonce");
    let with_nonce = world.proof().claim("nonce", answer.nonce().unwrap()).text();
    world.send(&early.proof(&with_nonce)).await.granted("DPoP");
    world.clock.advance(10);
    world.send(&world.bound_request()).await.refused(400, "use_dpop_nonce");
    world.clock.advance(1);
    world.send(&world.bound_request()).await.granted("DPoP");
}

#[tokio::test]
async fn where_nonces_are_never_asked_for_early_proofs_are_refused() {
    let world = World::with(|config| format!("nonce = \"never\"\n{config}")).await;
    world.clock.set(at(NOW - 600));
    let answer = world.send(&world.bound_request()).await;
    answer.refused(400, "invalid_dpop_proof");
    assert_eq!(answer.nonce(), None);
    world.clock.advance(11);
    world.send(&world.bound_request()).await.granted("DPoP");
}

/// The clock runs an hour ahead, everything is swept, then it is set right: what was accepted before must not be
/// accepted again.
#[tokio::test]
async fn a_clock_set_back_brings_nothing_back_row_344() {
    for restarted in [false, true] {
        let mut world = World::new().await;
        let (proof, assertion) = (world.proof().text(), world.assertion("jwt").text());
        world.send(&TokenRequest::plain().assertion(&assertion).proof(&proof)).await.granted("DPoP");
        world.clock.advance(3_600);
        world.restart().await; // sweeps
        world.send(&world.bound_request()).await.granted("DPoP");
        world.clock.set(at(NOW + 1));
        if restarted {
            world.restart().await;
        }
        world.send(&world.request().proof(&proof)).await.refused(400, "use_dpop_nonce");
        let replayed = TokenRequest::plain().assertion(&assertion);
        world.send(&replayed).await.refused(401, "invalid_client");
        // The honest client is asked for a nonce and goes on; its assertion ends after the forgotten one.
        let answer = world.send(&world.bound_request()).await;
        answer.refused(400, "use_dpop_nonce");
        let with_nonce = world.proof().claim("nonce", answer.nonce().unwrap()).text();
        world.send(&world.request().proof(&with_nonce)).await.granted("DPoP");
    }
}

#[tokio::test]
async fn a_clock_that_stutters_is_no_new_epoch() {
    let world = World::new().await;
    world.send(&world.bound_request()).await.granted("DPoP");
    world.clock.advance(-1);
    world.send(&world.bound_request()).await.granted("DPoP");
    world.clock.advance(-1);
    world.send(&world.bound_request()).await.refused(400, "use_dpop_nonce");
}

#[tokio::test]
async fn a_wider_window_after_a_restart_begins_a_new_epoch() {
    let mut world = World::new().await;
    let proof = world.proof().text();
    world.send(&world.request().proof(&proof)).await.granted("DPoP");
    world.config = format!("profile = \"mcp\"\n{}", world.config);
    world.clock.advance(200);
    world.restart().await;
    world.send(&world.request().proof(&proof)).await.refused(400, "use_dpop_nonce");
}
