//! What is good for one request is taken once.

use crate::support::{Answer, NOW, TokenRequest, World};

async fn send_at_once(world: &World, requests: Vec<TokenRequest>) -> Vec<Answer> {
    let tasks: Vec<_> = requests
        .into_iter()
        .map(|request| {
            let router = world.router();
            tokio::spawn(async move {
                Answer::read(tower::ServiceExt::oneshot(router, request.to_http()).await.unwrap()).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn a_proof_is_good_once_row_326() {
    let world = World::new().await;
    let proof = world.proof().text();
    world.send(&world.request().proof(&proof)).await.granted("DPoP");
    world.send(&world.request().proof(&proof)).await.refused(400, "invalid_dpop_proof");
    // Rows 327 and 359: the identity is key and jti, not the bytes, the time or the spelling of htu.
    let same = world.proof().claim("jti", "same");
    world.send(&world.request().proof(&same.text())).await.granted("DPoP");
    let other_time = same.clone().claim("iat", NOW - 5).text();
    world.send(&world.request().proof(&other_time)).await.refused(400, "invalid_dpop_proof");
    let other_htu = same.claim("htu", "https://as.example:443/token?x").text();
    world.send(&world.request().proof(&other_htu)).await.refused(400, "invalid_dpop_proof");
}

#[tokio::test]
async fn a_replayed_proof_spends_no_assertion_and_a_replayed_assertion_no_proof() {
    let world = World::new().await;
    let (used_proof, used_assertion) = (world.proof().text(), world.assertion("jwt").text());
    let request = TokenRequest::plain();
    world.send(&request.clone().assertion(&used_assertion).proof(&used_proof)).await.granted("DPoP");
    let (proof, assertion) = (world.proof().text(), world.assertion("jwt").text());
    let replayed_proof = request.clone().assertion(&assertion).proof(&used_proof);
    world.send(&replayed_proof).await.refused(400, "invalid_dpop_proof");
    let replayed_assertion = request.clone().assertion(&used_assertion).proof(&proof);
    world.send(&replayed_assertion).await.refused(401, "invalid_client");
    world.send(&request.assertion(&assertion).proof(&proof)).await.granted("DPoP");
}

#[tokio::test]
async fn the_same_jti_of_another_key_is_another_proof_row_329() {
    let (mut world, other) = (World::new().await, World::new().await);
    let first = world.proof().claim("jti", "shared").text();
    world.send(&world.request().proof(&first)).await.granted("DPoP");
    world.key = other.key;
    let second = world.proof().claim("jti", "shared").text();
    world.send(&world.request().proof(&second)).await.granted("DPoP");
}

#[tokio::test]
async fn keeps_a_proof_in_mind_as_long_as_it_could_be_accepted_row_334() {
    let world = World::new().await;
    let proof = world.proof().claim("iat", NOW + 10).text();
    world.send(&world.request().proof(&proof)).await.granted("DPoP");
    for seconds in [1, 58, 10, 1, 1, 60, 3_600] {
        world.clock.advance(seconds);
        world.send(&world.request().proof(&proof)).await.refused(400, "invalid_dpop_proof");
    }
}

#[tokio::test]
async fn keeps_an_assertion_in_mind_as_long_as_it_could_be_accepted() {
    let world = World::new().await;
    let assertion = world.assertion("jwt").claim("exp", NOW + 600).text();
    let request = TokenRequest::plain().assertion(&assertion);
    world.send(&request).await.granted("Bearer");
    for seconds in [1, 598, 1, 60, 3_600] {
        world.clock.advance(seconds);
        world.send(&request).await.refused(401, "invalid_client");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_requests_at_once_with_one_proof_get_one_token_row_336() {
    let world = World::new().await;
    let proof = world.proof().text();
    let requests = (0..50).map(|_| world.request().proof(&proof)).collect();
    let answers = send_at_once(&world, requests).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_granted()).count(), 1);
    for answer in answers.iter().filter(|answer| !answer.is_granted()) {
        answer.refused(400, "invalid_dpop_proof");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_requests_at_once_with_one_assertion_get_one_token() {
    let world = World::new().await;
    let assertion = world.assertion("jwt").text();
    let request = TokenRequest::plain().assertion(&assertion);
    let requests = (0..50).map(|_| request.clone().proof(&world.proof().text())).collect();
    let answers = send_at_once(&world, requests).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_granted()).count(), 1);
    for answer in answers.iter().filter(|answer| !answer.is_granted()) {
        answer.refused(401, "invalid_client");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_different_requests_at_once_get_fifty_tokens() {
    let world = World::new().await;
    let answers = send_at_once(&world, (0..50).map(|_| world.bound_request()).collect()).await;
    for answer in answers {
        answer.granted("DPoP");
    }
}

#[tokio::test]
async fn a_jti_may_hold_anything_row_350() {
    let world = World::new().await;
    for jti in ["*", "a:b\nc", "%", "'; DROP TABLE used_proof; --", "x"] {
        let proof = world.proof().claim("jti", jti).text();
        world.send(&world.request().proof(&proof)).await.granted("DPoP");
        world.send(&world.request().proof(&proof)).await.refused(400, "invalid_dpop_proof");
    }
    for jti in [String::new(), "x".repeat(257)] {
        let proof = world.proof().claim("jti", jti).text();
        world.send(&world.request().proof(&proof)).await.refused(400, "invalid_dpop_proof");
    }
}

/// Clients that hang up at any moment leave the storage in order: what they sent is either spent or not, and the
/// server goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_hang_up_leave_the_storage_in_order() {
    let world = World::new().await;
    let requests: Vec<_> = (0..60).map(|_| world.bound_request()).collect();
    let tasks: Vec<_> = requests
        .iter()
        .map(|request| tokio::spawn(tower::ServiceExt::oneshot(world.router(), request.to_http())))
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        if n % 3 == 0 {
            tokio::task::yield_now().await;
        }
        task.abort();
        // Ended with a token, refused, or cut off: all the same to the storage.
        let _ = task.await;
    }
    let mut outcomes = [0, 0];
    for request in &requests {
        for outcome in &mut outcomes {
            *outcome += u32::from(world.send(request).await.is_granted());
        }
    }
    assert!(outcomes[0] <= 60 && outcomes[1] == 0, "nothing is accepted a second time: {outcomes:?}");
    world.send(&world.bound_request()).await.granted("DPoP");
}
