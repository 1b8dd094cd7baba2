//! Refreshing. After each refusal the same refresh token still works in a right request.

use countersign_dpop::jose::{Algorithm, SoftwareKey};

use crate::support::flow::spa_query;
use crate::support::{Answer, Proof, TokenRequest, World, at};

const DAY: i64 = 86_400;

async fn first_tokens(world: &World, client: &str) -> Answer {
    let code = if client == "spa" {
        world.approve(&spa_query(&[])).await.parameter("code").unwrap()
    } else {
        world.code(&world.push(client), client).await
    };
    let answer = world.send(&world.code_request(client, &code).proof(&world.proof().text())).await;
    answer.granted_to_user("DPoP");
    answer
}

fn by(key: &SoftwareKey, world: &World) -> String {
    Proof::new(key, world.now()).text()
}

#[tokio::test]
async fn a_confidential_client_refreshes_by_any_key_and_without_rotation_row_398() {
    let world = World::for_people("fapi2").await;
    let token = first_tokens(&world, "app").await.refresh_token();
    let other = SoftwareKey::generate(Algorithm::Es256).unwrap();
    for key in [&other, &world.key, &other] {
        world.clock.set(at(world.now() + 400));
        let answer = world.send(&world.refresh_request("app", &token).proof(&by(key, &world))).await;
        let claims = answer.granted_to_user("DPoP");
        assert_eq!(claims["cnf"]["jkt"], key.public_jwk().jkt().to_string(), "bound to the new key");
        assert_eq!(answer.refresh_token(), token, "the same");
    }
}

#[tokio::test]
async fn a_refused_refresh_leaves_the_token_as_it_was_rows_399_402_403() {
    let world = World::for_people("fapi2").await;
    let token = first_tokens(&world, "app").await.refresh_token();
    let request = || world.refresh_request("app", &token);
    let proof = || world.proof().text();
    world.send(&request()).await.refused(400, "invalid_dpop_proof");
    let bad = world.proof().claim("htu", "https://as.example/other").text();
    world.send(&request().proof(&bad)).await.refused(400, "invalid_dpop_proof");
    let other = world.refresh_request("app2", &token).proof(&proof());
    world.send(&other).await.refused(400, "invalid_grant");
    let unauthenticated = TokenRequest::to("/token")
        .set("grant_type", "refresh_token")
        .set("refresh_token", &token)
        .set("client_id", "app")
        .proof(&proof());
    world.send(&unauthenticated).await.refused(401, "invalid_client");
    world.send(&request().set("scope", "write").proof(&proof())).await.refused(400, "invalid_scope");
    world.send(&request().set("resource", "urn:x").proof(&proof())).await.refused(400, "invalid_target");
    world.send(&request().set("refresh_token", "unknown").proof(&proof())).await.refused(400, "invalid_grant");
    // The very proof and assertion of a refused request.
    let (assertion, good) = (world.assertion("app").text(), proof());
    let wrong = request().assertion(&assertion).proof(&good).set("scope", "write");
    world.send(&wrong).await.refused(400, "invalid_scope");
    world.send(&request().assertion(&assertion).proof(&good)).await.granted_to_user("DPoP");
}

#[tokio::test]
async fn an_option_binds_the_token_of_a_confidential_client_to_its_key() {
    let option = |config: String| {
        config.replace("authorization_details_types", "refresh_bound_to_key = true\nauthorization_details_types")
    };
    let world = World::for_people_with("fapi2", option).await;
    let token = first_tokens(&world, "app").await.refresh_token();
    let other = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let request = world.refresh_request("app", &token);
    world.send(&request.clone().proof(&by(&other, &world))).await.refused(400, "invalid_grant");
    world.send(&request.proof(&world.proof().text())).await.granted_to_user("DPoP");
}

#[tokio::test]
async fn a_public_client_refreshes_by_its_key_only_row_396() {
    let world = World::for_people("oauth21").await;
    let token = first_tokens(&world, "spa").await.refresh_token();
    let other = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let request = world.refresh_request("spa", &token);
    world.send(&request.clone().proof(&by(&other, &world))).await.refused(400, "invalid_grant");
    world.send(&request).await.refused(400, "invalid_dpop_proof");
    let next = world.send(&request.proof(&world.proof().text())).await;
    next.granted_to_user("DPoP");
    assert_ne!(next.refresh_token(), token, "a public client's token rotates");
}

#[tokio::test]
async fn a_token_of_bearer_days_is_bound_by_the_first_proof_row_400() {
    let world = World::for_people("oauth21").await;
    let code = world.approve(&spa_query(&[])).await.parameter("code").unwrap();
    let bearer = world.send(&world.code_request("spa", &code)).await;
    bearer.granted_to_user("Bearer");
    let request = world.refresh_request("spa", &bearer.refresh_token());
    let bound = world.send(&request.proof(&world.proof().text())).await;
    bound.granted_to_user("DPoP");
    let unbound = world.refresh_request("spa", &bound.refresh_token());
    world.send(&unbound).await.refused(400, "invalid_dpop_proof");
}

#[tokio::test]
async fn the_old_token_is_good_for_a_lost_answer_until_its_successor_is_used() {
    let world = World::for_people("mcp").await;
    let zero = first_tokens(&world, "spa").await.refresh_token();
    let refresh =
        async |token: &str| world.send(&world.refresh_request("spa", token).proof(&world.proof().text())).await;
    let lost = refresh(&zero).await.refresh_token();
    let one = refresh(&zero).await.refresh_token();
    assert_ne!(lost, one);
    let two = refresh(&one).await.refresh_token();
    let three = refresh(&two).await.refresh_token();
    // Far behind: somebody else holds it.
    refresh(&zero).await.refused(400, "invalid_grant");
    refresh(&three).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn the_old_token_after_its_successor_was_used_ends_the_grant() {
    let world = World::for_people("mcp").await;
    for stolen in ["old", "replaced"] {
        let zero = first_tokens(&world, "spa").await.refresh_token();
        let refresh =
            async |token: &str| world.send(&world.refresh_request("spa", token).proof(&world.proof().text())).await;
        let replaced = refresh(&zero).await.refresh_token();
        let one = refresh(&zero).await.refresh_token();
        let two = if stolen == "old" { refresh(&one).await.refresh_token() } else { one };
        refresh(if stolen == "old" { &zero } else { &replaced }).await.refused(400, "invalid_grant");
        refresh(&two).await.refused(400, "invalid_grant");
    }
}

#[tokio::test]
async fn of_many_refreshes_at_once_one_proof_counts_once_and_one_successor_lives() {
    let world = World::for_people("mcp").await;
    let token = first_tokens(&world, "spa").await.refresh_token();
    let same = world.refresh_request("spa", &token).proof(&world.proof().text());
    let answers = futures_util::future::join_all((0..50).map(|_| world.send(&same))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);

    let world = World::for_people("mcp").await;
    let token = first_tokens(&world, "spa").await.refresh_token();
    let requests: Vec<_> = (0..8).map(|_| world.refresh_request("spa", &token).proof(&world.proof().text())).collect();
    let answers = futures_util::future::join_all(requests.iter().map(|request| world.send(request))).await;
    let successors: Vec<String> =
        answers.iter().filter(|answer| answer.status == 200).map(Answer::refresh_token).collect();
    assert!(!successors.is_empty());
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.unavailable(503);
    }
    let mut live = 0;
    for successor in &successors {
        let used = world.send(&world.refresh_request("spa", successor).proof(&world.proof().text())).await;
        live += u32::from(used.status == 200);
    }
    assert!(live <= 1, "{live} of {} successors", successors.len());
}

#[tokio::test]
async fn a_token_that_does_not_rotate_serves_many_at_once() {
    let world = World::for_people("fapi2").await;
    let token = first_tokens(&world, "app").await.refresh_token();
    let requests: Vec<_> = (0..20).map(|_| world.refresh_request("app", &token).proof(&world.proof().text())).collect();
    let answers = futures_util::future::join_all(requests.iter().map(|request| world.send(request))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn a_token_lives_a_day_unused_and_a_week_in_all() {
    for (profile, client) in [("fapi2", "app"), ("mcp", "spa")] {
        let world = World::for_people(profile).await;
        let mut token = first_tokens(&world, client).await.refresh_token();
        let idle = first_tokens(&world, client).await.refresh_token();
        let end = world.now() + 7 * DAY;
        while world.now() + DAY < end {
            world.clock.set(at(world.now() + DAY));
            let request = world.refresh_request(client, &token).proof(&world.proof().text());
            token = world.send(&request).await.refresh_token();
        }
        let unused = world.refresh_request(client, &idle).proof(&world.proof().text());
        world.send(&unused).await.refused(400, "invalid_grant");
        world.clock.set(at(end));
        let last = world.send(&world.refresh_request(client, &token).proof(&world.proof().text())).await;
        assert_eq!(last.status, 200, "{profile}: {}", last.text);
        world.clock.set(at(end + 1));
        let late = world.refresh_request(client, &last.refresh_token()).proof(&world.proof().text());
        world.send(&late).await.refused(400, "invalid_grant");
    }
}

#[tokio::test]
async fn scope_is_narrowed_for_a_token_and_not_for_the_grant() {
    let world = World::for_people("oauth21").await;
    let token = first_tokens(&world, "spa").await;
    let narrow = world.refresh_request("spa", &token.refresh_token()).set("scope", "read");
    let narrow = world.send(&narrow.proof(&world.proof().text())).await;
    assert_eq!(narrow.claims()["scope"], "read");
    let whole = world.refresh_request("spa", &narrow.refresh_token()).proof(&world.proof().text());
    assert_eq!(world.send(&whole).await.claims()["scope"], "read write");
}

#[tokio::test]
async fn revoking_any_token_ends_the_whole_family_and_nobody_elses_row_445() {
    let world = World::for_people("fapi2").await;
    for by_refresh_token in [true, false] {
        let tokens = first_tokens(&world, "app").await;
        let token = if by_refresh_token { tokens.refresh_token() } else { tokens.token().to_owned() };
        let request = |path, client: &str| TokenRequest::to(path).assertion(&world.assertion(client).text());
        let refresh = || world.refresh_request("app", &tokens.refresh_token()).proof(&world.proof().text());
        let active = async || {
            let answer = world.send(&request("/introspect", "app").set("token", tokens.token())).await;
            answer.json["active"] == true
        };
        assert_eq!(world.send(&request("/revoke", "app2").set("token", &token)).await.status, 200);
        assert!(active().await && world.send(&refresh()).await.status == 200, "another client's");
        assert_eq!(world.send(&request("/revoke", "app").set("token", &token)).await.status, 200);
        assert!(!active().await);
        world.send(&refresh()).await.refused(400, "invalid_grant");
    }
}
