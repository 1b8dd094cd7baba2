//! Nonces at the token endpoint (RFC 9449 §8).

use crate::support::{NOW, Proof, TokenRequest, World};

async fn demanding() -> World {
    World::with(|config| format!("nonce = \"required\"\n{config}")).await
}

fn with_nonce<'a>(proof: &Proof<'a>, nonce: &str) -> Proof<'a> {
    proof.clone().claim("nonce", nonce)
}

/// The nonce that a request without one is told to use.
async fn fetch_nonce(world: &World) -> String {
    let answer = world.send(&world.bound_request()).await;
    answer.refused(400, "use_dpop_nonce");
    answer.nonce().expect("a nonce")
}

fn bound(world: &World, nonce: &str) -> TokenRequest {
    world.request().proof(&with_nonce(&world.proof(), nonce).text())
}

#[tokio::test]
async fn asks_once_and_takes_the_same_assertion_and_jti_with_it_rows_361_377() {
    let world = demanding().await;
    let (request, proof) = (world.request(), world.proof());
    let answer = world.send(&request.clone().proof(&proof.text())).await;
    answer.refused(400, "use_dpop_nonce");
    let nonce = answer.nonce().unwrap();
    let answer = world.send(&request.proof(&with_nonce(&proof, &nonce).text())).await;
    answer.granted("DPoP");
    assert_eq!(answer.nonce(), None, "a fresh one need not be renewed");
}

#[tokio::test]
async fn demands_a_nonce_of_proofs_only() {
    let world = demanding().await;
    world.send(&world.request()).await.granted("Bearer");
}

#[tokio::test]
async fn renews_an_ageing_nonce_on_any_answer_rows_369_384() {
    let world = demanding().await;
    let nonce = fetch_nonce(&world).await;
    world.clock.advance(60);
    let answer = world.send(&bound(&world, &nonce)).await;
    answer.granted("DPoP");
    let renewed = answer.nonce().expect("a renewed nonce");
    assert_ne!(renewed, nonce);
    let refused = world.send(&bound(&world, &nonce).set("scope", "admin")).await;
    refused.refused(400, "invalid_scope");
    assert!(refused.nonce().is_some());
    world.send(&bound(&world, &renewed)).await.granted("DPoP");
    world.send(&bound(&world, &nonce)).await.granted("DPoP"); // the old one stays good for its time
}

#[tokio::test]
async fn refuses_a_nonce_that_is_too_old_rows_363_370() {
    let world = demanding().await;
    let nonce = fetch_nonce(&world).await;
    world.clock.advance(120);
    world.send(&bound(&world, &nonce)).await.granted("DPoP");
    world.clock.advance(1);
    let answer = world.send(&bound(&world, &nonce)).await;
    answer.refused(400, "use_dpop_nonce");
    world.send(&bound(&world, &answer.nonce().unwrap())).await.granted("DPoP");
}

#[tokio::test]
async fn refuses_invented_nonces_rows_366_371_382_383() {
    let world = demanding().await;
    let nonce = fetch_nonce(&world).await;
    let last = if nonce.ends_with('A') { 'B' } else { 'A' };
    let changed = format!("{}{last}", &nonce[..nonce.len() - 1]);
    let foreign = fetch_nonce(&demanding().await).await;
    for wrong in ["", "x", &changed, &foreign, &nonce[1..], &"x".repeat(1_000)] {
        let answer = world.send(&bound(&world, wrong)).await;
        assert!(["use_dpop_nonce", "invalid_dpop_proof"].contains(&answer.json["error"].as_str().unwrap()), "{wrong}");
        assert!(!answer.is_granted());
    }
    world.send(&bound(&world, &changed)).await.refused(400, "use_dpop_nonce");
    world.send(&bound(&world, &foreign)).await.refused(400, "use_dpop_nonce");
    world.send(&bound(&world, &"x".repeat(65_536))).await.refused(400, "invalid_dpop_proof"); // more than any proof
}

#[tokio::test]
async fn a_nonce_excuses_no_stale_time_row_374() {
    let world = demanding().await;
    let nonce = fetch_nonce(&world).await;
    for iat in [NOW - 3_600, NOW + 3_600] {
        for proof in [world.proof(), with_nonce(&world.proof(), &nonce)] {
            let stale = proof.claim("iat", iat).text();
            world.send(&world.request().proof(&stale)).await.refused(400, "invalid_dpop_proof");
        }
    }
}

#[tokio::test]
async fn a_client_cannot_fall_back_to_proofs_without_nonce_row_373() {
    let world = demanding().await;
    let nonce = fetch_nonce(&world).await;
    world.send(&bound(&world, &nonce)).await.granted("DPoP");
    world.send(&world.bound_request()).await.refused(400, "use_dpop_nonce");
}

#[tokio::test]
async fn a_nonce_outlives_a_restart_row_372() {
    let mut world = demanding().await;
    let nonce = fetch_nonce(&world).await;
    world.restart().await;
    world.send(&bound(&world, &nonce)).await.granted("DPoP");
}

#[tokio::test]
async fn where_nonces_are_optional_they_are_checked_when_present_row_266() {
    let world = World::new().await;
    world.send(&world.bound_request()).await.granted("DPoP");
    let answer = world.send(&bound(&world, "invented")).await;
    answer.refused(400, "use_dpop_nonce");
    world.send(&bound(&world, &answer.nonce().unwrap())).await.granted("DPoP");
}

#[tokio::test]
async fn where_nonces_are_never_used_they_are_not_looked_at() {
    let world = World::with(|config| format!("nonce = \"never\"\n{config}")).await;
    world.send(&world.bound_request()).await.granted("DPoP");
    let answer = world.send(&bound(&world, "invented")).await;
    answer.granted("DPoP");
    assert_eq!(answer.nonce(), None);
}
