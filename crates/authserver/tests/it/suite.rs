//! What the OpenID Foundation's FAPI 2.0 suite does and no other test here: see `docs/openid-suite.md`, which these tests
//! also keep true.

use std::collections::BTreeSet;
use std::path::Path;

use countersign_dpop::jose::{Algorithm, SoftwareKey};
use serde_json::{Value, json};

use crate::support::flow::{CALLBACK, VERIFIER, authorize_path, challenge};
use crate::support::jwt::sign;
use crate::support::{ISSUER, Proof, TokenRequest, World};

const PAGE: &str = include_str!("../../../../docs/openid-suite.md");

#[tokio::test]
async fn the_metadata_under_fapi2_has_what_the_suite_reads() {
    let world = World::for_people("fapi2").await;
    let metadata = world.get("/.well-known/oauth-authorization-server").await.json;
    assert_eq!(metadata["issuer"], ISSUER);
    assert_eq!(metadata["require_pushed_authorization_requests"], true);
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    assert_eq!(metadata["response_types_supported"], json!(["code"]));
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(metadata["token_endpoint_auth_methods_supported"], json!(["private_key_jwt"]));
    for algorithms in ["token_endpoint_auth_signing_alg_values_supported", "dpop_signing_alg_values_supported"] {
        let listed: Vec<&str> =
            metadata[algorithms].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert!(listed.contains(&"ES256") && listed.contains(&"PS256") && !listed.contains(&"RS256"), "{listed:?}");
        assert!(!listed.contains(&"none"));
    }
    for endpoint in ["authorization_endpoint", "token_endpoint", "pushed_authorization_request_endpoint", "jwks_uri"] {
        assert!(metadata[endpoint].as_str().unwrap().starts_with(ISSUER), "{endpoint}");
    }
    let grants = metadata["grant_types_supported"].as_array().unwrap();
    assert!(grants.contains(&json!("authorization_code")) && !grants.contains(&json!("implicit")), "{grants:?}");
}

#[tokio::test]
async fn two_clients_go_the_whole_way_with_their_own_keys() {
    let world = World::for_people("fapi2").await;
    let second = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let by = |key: &SoftwareKey, endpoint: &str| {
        Proof::new(key, world.now()).claim("htu", format!("{ISSUER}{endpoint}")).text()
    };
    for (client, key) in [("app", &world.key), ("app2", &second)] {
        let code = world.code(&world.push(client).proof(&by(key, "/par")), client).await;
        let token = world.send(&world.code_request(client, &code).proof(&by(key, "/token"))).await;
        let claims = token.granted_to_user("DPoP");
        assert_eq!(claims["client_id"], client);
        assert_eq!(claims["cnf"]["jkt"], key.public_jwk().jkt().to_string());
    }
}

#[tokio::test]
async fn proofs_are_taken_at_par_and_token_as_the_suite_dates_them() {
    let world = World::for_people("fapi2").await;
    for claims in [
        json!({ "nbf": world.now(), "exp": world.now() + 300 }),
        json!({ "iat": world.now() - 10 }),
        json!({ "iat": world.now() + 8 }),
    ] {
        let dated = |proof: Proof<'_>| {
            let claims = claims.as_object().unwrap().clone();
            claims.into_iter().fold(proof, |proof, (name, value)| proof.claim(&name, value)).text()
        };
        let code = world.code(&world.push("app").proof(&dated(world.par_proof())), "app").await;
        let request = world.code_request("app", &code).proof(&dated(world.proof()));
        world.send(&request).await.granted_to_user("DPoP");
    }
}

#[tokio::test]
async fn a_client_that_signs_is_refused_without_its_assertion() {
    let world = World::for_people("fapi2").await;
    let code = world.code(&world.push("app"), "app").await;
    let request = world.code_request("app", &code).proof(&world.proof().text());
    let without = request.clone().without("client_assertion").without("client_assertion_type").set("client_id", "app");
    world.send(&without).await.refused(401, "invalid_client");
    world.send(&request).await.granted_to_user("DPoP");
    let own = TokenRequest::plain().set("client_id", "jwt").proof(&world.proof().text());
    world.send(&own).await.refused(401, "invalid_client");
}

#[tokio::test]
async fn client_and_request_uri_are_all_that_the_browser_brings() {
    let world = World::for_people("fapi2").await;
    let request_uri = world.pushed(&world.push("app")).await;
    let page = authorize_path("app", &request_uri);
    assert_eq!(page.matches('=').count(), 2, "{page}");
    assert!(world.approve(&page).await.parameter("code").is_some());
}

#[tokio::test]
async fn a_state_beside_a_signed_request_does_not_come_back() {
    let world = World::for_people("fapi2").await;
    let claims = json!({
        "iss": "app", "aud": ISSUER, "nbf": world.now(), "exp": world.now() + 300, "client_id": "app",
        "response_type": "code", "redirect_uri": CALLBACK, "scope": "read",
        "code_challenge": challenge(VERIFIER), "code_challenge_method": "S256",
    });
    let object = sign(&world.client_key, &json!({ "alg": "ES256", "typ": "oauth-authz-req+jwt" }), &claims);
    let push = TokenRequest::to("/par").assertion(&world.assertion("app").text()).set("client_id", "app");
    let request_uri = world.pushed(&push.set("request", &object).set("state", "outside")).await;
    let answer = world.approve(&format!("{}&state=outside", authorize_path("app", &request_uri))).await;
    assert!(answer.parameter("code").is_some());
    assert_eq!(answer.parameter("state"), None);
}

#[tokio::test]
async fn what_is_secret_is_long_enough() {
    let world = World::for_people("fapi2").await;
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let request_uri = world.pushed(&world.push("app")).await;
        let random = request_uri.rsplit(':').next().unwrap().to_owned();
        let code = world.approve(&authorize_path("app", &request_uri)).await.parameter("code").unwrap();
        let token = world.send(&world.code_request("app", &code).proof(&world.proof().text())).await;
        let jti = token.granted_to_user("DPoP")["jti"].as_str().unwrap().to_owned();
        for (text, characters) in [(random, 43), (code, 43), (token.refresh_token(), 43), (jti, 22)] {
            assert!(text.len() >= characters, "{text}");
            assert!(seen.insert(text), "drawn twice");
        }
    }
}

/// The rows of a table of the page, by the heading that it stands under.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let section = PAGE.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("|---")).skip(1);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn the_page_of_the_suite_has_every_module() {
    for (heading, modules) in [("The 50 modules", 50), ("The 14 modules", 14), ("The 16 modules", 16)] {
        let rows = table(heading);
        let named: BTreeSet<&str> = rows.iter().map(|row| row[0]).collect();
        assert_eq!((rows.len(), named.len()), (modules, modules), "{heading}");
        for row in &rows {
            let shown = row.last().unwrap();
            assert!(shown.contains("::") || shown.contains("row ") || shown.contains("table below"), "{row:?}");
        }
    }
}

#[test]
fn the_page_of_the_suite_names_tests_and_rows_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = PAGE.split('`').skip(1).step_by(2).filter_map(|name| name.split_once("::"));
    let mut checked = 0;
    for (file, test) in names {
        let source = std::fs::read_to_string(root.join(format!("tests/it/{file}.rs"))).unwrap();
        assert!(source.contains(&format!("fn {test}()")), "{file}::{test}");
        checked += 1;
    }
    assert!(checked > 60, "{checked}");
    let mut rows = BTreeSet::new();
    for file in std::fs::read_dir(root.join("../../vectors/bad-inputs")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        rows.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["row"].as_u64().unwrap()));
    }
    for (_, rest) in PAGE.match_indices("row ").map(|(at, _)| PAGE.split_at(at + 4)) {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let Ok(number) = digits.parse() else { continue };
        assert!(rows.contains(&number), "row {number}");
    }
}
