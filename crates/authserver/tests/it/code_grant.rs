//! Redeeming codes. After each refusal the same code still works in a right request.

use countersign_dpop::jose::{Algorithm, SoftwareKey};

use crate::support::flow::{CALLBACK_2, VERIFIER, spa_query};
use crate::support::{Proof, TokenRequest, World, at};

/// Refuses `wrong`, and then takes the same code by `right`.
async fn refused_and_then_granted(world: &World, wrong: &TokenRequest, right: &TokenRequest, code: &str) {
    world.send(wrong).await.refused(400, code);
    let granted = world.send(right).await;
    assert_eq!(granted.status, 200, "{}", granted.text);
}

#[tokio::test]
async fn a_refused_request_leaves_the_code_as_it_was() {
    let world = World::for_people("fapi2").await;
    for (name, value, error) in [
        ("code_verifier", "", "invalid_grant"),
        ("code_verifier", "correct-horse-battery-staple-0123456789-abcdeF", "invalid_grant"), // row 412
        ("code_verifier", "short", "invalid_grant"),
        ("redirect_uri", "", "invalid_grant"),
        ("redirect_uri", CALLBACK_2, "invalid_grant"),
        ("code", "", "invalid_request"),
        ("code", "unknown", "invalid_grant"),
        ("resource", "https://other.example", "invalid_target"),
        ("client_id", "app2", "invalid_client"), // (client-id-in-token-request)
        ("grant_type", "refresh_token", "invalid_request"),
    ] {
        let code = world.code(&world.push("app"), "app").await;
        let right = world.code_request("app", &code).proof(&world.proof().text());
        let wrong = right.clone().set(name, value);
        if error == "invalid_client" {
            world.send(&wrong).await.refused(401, error);
            assert_eq!(world.send(&right).await.status, 200);
        } else {
            refused_and_then_granted(&world, &wrong, &right, error).await;
        }
    }
}

#[tokio::test]
async fn verifiers_have_43_to_128_characters_row_413() {
    let world = World::for_people("oauth21").await;
    for (length, fits) in [(42, false), (43, true), (128, true), (129, false)] {
        let verifier = "v".repeat(length);
        let push = world.push("app").set("code_challenge", &crate::support::flow::challenge(&verifier));
        let code = world.code(&push, "app").await;
        let request = world.code_request("app", &code).set("code_verifier", &verifier);
        assert_eq!(world.send(&request).await.status == 200, fits, "{length}");
    }
}

#[tokio::test]
async fn a_code_is_bound_to_its_client() {
    let world = World::for_people("fapi2").await;
    let code = world.code(&world.push("app"), "app").await;
    let right = world.code_request("app", &code).proof(&world.proof().text());
    let wrong = right.clone().assertion(&world.assertion("app2").text()).proof_instead(&world.proof().text());
    refused_and_then_granted(&world, &wrong, &right, "invalid_grant").await;
}

#[tokio::test]
async fn a_code_is_bound_to_the_key_named_at_the_pushing_endpoint_rows_388_390() {
    let world = World::for_people("fapi2").await;
    let other = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let own = world.key.public_jwk().jkt().to_string();
    let by_parameter = world.push("app").set("dpop_jkt", &own);
    let by_proof = world.push("app").proof(&world.par_proof().text());
    for push in [by_parameter, by_proof] {
        let code = world.code(&push, "app").await;
        let request = world.code_request("app", &code);
        // Without a proof (ensure-holder-of-key-required).
        world.send(&request).await.refused(400, "invalid_dpop_proof");
        let wrong = request.clone().proof(&Proof::new(&other, world.now()).text());
        let right = request.proof(&world.proof().text());
        refused_and_then_granted(&world, &wrong, &right, "invalid_grant").await;
    }
}

#[tokio::test]
async fn a_bad_proof_or_a_missing_nonce_leaves_the_code_alone_rows_377_387() {
    let world = World::for_people_with("fapi2", |config| format!("nonce = \"required\"\n{config}")).await;
    let code = world.code(&world.push("app"), "app").await;
    let request = world.code_request("app", &code);
    let asked = world.send(&request.clone().proof(&world.proof().text())).await;
    asked.refused(400, "use_dpop_nonce");
    let nonce = asked.nonce().unwrap();
    let bad = world.proof().claim("nonce", nonce.as_str()).claim("htm", "GET").text();
    world.send(&request.clone().proof(&bad)).await.refused(400, "invalid_dpop_proof");
    let right = world.proof().claim("nonce", nonce).text();
    world.send(&request.proof(&right)).await.granted_to_user("DPoP");
}

#[tokio::test]
async fn a_code_dies_of_age_rows_406() {
    for (profile, life) in [("fapi2", 60), ("oauth21", 120), ("mcp", 120)] {
        let world = World::for_people(profile).await;
        let codes = [world.code(&world.push("app"), "app").await, world.code(&world.push("app"), "app").await];
        world.clock.set(at(world.now() + life));
        let in_time = world.code_request("app", &codes[0]).proof(&world.proof().text());
        assert_eq!(world.send(&in_time).await.status, 200, "{profile}");
        world.clock.set(at(world.now() + 1));
        let late = world.code_request("app", &codes[1]).proof(&world.proof().text());
        world.send(&late).await.refused(400, "invalid_grant");
    }
}

#[tokio::test]
async fn a_code_used_again_ends_what_was_issued_by_it_row_405() {
    let world = World::for_people("fapi2").await;
    let code = world.code(&world.push("app"), "app").await;
    let request = || world.code_request("app", &code).proof(&world.proof().text());
    let first = world.send(&request()).await;
    let refresh_token = first.refresh_token();
    // Who lacks the verifier or is another client is no reason to end anything.
    world.send(&request().set("code_verifier", &VERIFIER.replace('c', "k"))).await.refused(400, "invalid_grant");
    let other = request().assertion(&world.assertion("app2").text());
    world.send(&other).await.refused(400, "invalid_grant");
    let refresh = || world.refresh_request("app", &refresh_token).proof(&world.proof().text());
    assert_eq!(world.send(&refresh()).await.status, 200);

    world.clock.set(at(world.now() + 1));
    world.send(&request()).await.refused(400, "invalid_grant");
    world.send(&refresh()).await.refused(400, "invalid_grant");
    world.send(&request()).await.refused(400, "invalid_grant");
    let introspection =
        TokenRequest::to("/introspect").assertion(&world.assertion("app").text()).set("token", first.token());
    assert_eq!(world.send(&introspection).await.json["active"], false, "the access token too");
}

#[tokio::test]
async fn of_many_redemptions_at_once_exactly_one_succeeds_row_408() {
    let world = World::for_people("fapi2").await;
    let code = world.code(&world.push("app"), "app").await;
    let requests: Vec<_> = (0..32).map(|_| world.code_request("app", &code).proof(&world.proof().text())).collect();
    let answers = futures_util::future::join_all(requests.iter().map(|request| world.send(request))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.refused(400, "invalid_grant");
    }
}

#[tokio::test]
async fn a_public_client_redeems_by_its_name_and_a_bound_key() {
    let world = World::for_people("mcp").await;
    let own = world.key.public_jwk().jkt().to_string();
    let answer = world.approve(&spa_query(&[("dpop_jkt", &own)])).await;
    let request = world.code_request("spa", &answer.parameter("code").unwrap());
    world.send(&request).await.refused(400, "invalid_dpop_proof");
    let claims = world.send(&request.proof(&world.proof().text())).await.granted_to_user("DPoP");
    assert_eq!(claims["scope"], "read write");
}

#[tokio::test]
async fn the_redirect_uri_may_be_left_out_where_the_profile_allows() {
    let world = World::for_people("oauth21").await;
    let code = world.code(&world.push("app").without("redirect_uri"), "app").await;
    let request = world.code_request("app", &code).without("redirect_uri");
    world.send(&request).await.granted_to_user("Bearer");
}

#[tokio::test]
async fn a_client_that_is_not_registered_for_codes_gets_none() {
    let world = World::for_people("oauth21").await;
    let request = world.request().set("grant_type", "authorization_code").set("code", "x");
    world.send(&request).await.refused(400, "unauthorized_client");
    let refresh = world.request().set("grant_type", "refresh_token").set("refresh_token", "x");
    world.send(&refresh).await.refused(400, "unauthorized_client");
    let push = world.push("app").assertion(&world.assertion("jwt").text()).set("client_id", "jwt");
    world.send(&push).await.refused(400, "invalid_request"); // no redirect URI is its own
}
