//! Presenting the access token (bad-input group B).

use crate::world::World;

#[tokio::test]
async fn grants_a_bound_token_with_its_proof() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    guarded.get_dpop(&token, &world.proof(&token).await).await.granted();
    guarded.get_dpop(&token, &world.proof(&token).await).await.granted();
}

#[tokio::test]
async fn row_25_refuses_a_bound_token_without_a_proof() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let answer = guarded.get(&[("authorization", &format!("DPoP {token}"))]).await;
    answer.refused(401, Some("invalid_dpop_proof"), "proof_missing");
}
