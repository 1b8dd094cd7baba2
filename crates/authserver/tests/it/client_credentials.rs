//! `client_credentials`, granted and refused.

use countersign_dpop::jose::JwkSet;

use crate::support::{API, ISSUER, NOW, TokenRequest, World};

#[tokio::test]
async fn binds_the_token_to_the_key_of_the_proof_row_437() {
    let world = World::new().await;
    let answer = world.send(&world.bound_request()).await;
    answer.granted("DPoP");
    assert_eq!(answer.nonce(), None);
    let keys = JwkSet::parse(world.get("/jwks").await.text.as_bytes()).unwrap();
    let (header, claims) = answer.read_token(&keys);
    assert_eq!((header["typ"].as_str(), header["alg"].as_str()), (Some("at+jwt"), Some("ES256")));
    assert_eq!(claims["cnf"]["jkt"], world.key.public_jwk().jkt().to_string());
    assert_eq!((claims["iss"].as_str(), claims["aud"].as_str()), (Some(ISSUER), Some(API)));
    assert_eq!((claims["sub"].as_str(), claims["client_id"].as_str()), (Some("jwt"), Some("jwt")));
    assert_eq!((claims["iat"].as_i64(), claims["exp"].as_i64()), (Some(NOW), Some(NOW + 300)));
    assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
    assert_eq!((claims["scope"].as_str(), answer.json["scope"].as_str()), (Some("read write"), Some("read write")));
}

#[tokio::test]
async fn issues_a_bearer_token_without_a_proof() {
    let world = World::new().await;
    let answer = world.send(&world.request()).await;
    answer.granted("Bearer");
    assert_eq!(answer.claims().get("cnf"), None);
}

#[tokio::test]
async fn gives_every_token_an_identifier_of_its_own() {
    let world = World::new().await;
    let (first, second) = (world.send(&world.request()).await, world.send(&world.request()).await);
    assert_ne!(first.claims()["jti"], second.claims()["jti"]);
}

#[tokio::test]
async fn never_issues_an_unbound_token_to_a_client_that_gets_bound_ones_only() {
    let world = World::new().await;
    let assertion = world.assertion("bound").text();
    let request = TokenRequest::plain().assertion(&assertion);
    world.send(&request).await.refused(400, "invalid_dpop_proof");
    // The refusal has not spent the assertion.
    world.send(&request.proof(&world.proof().text())).await.granted("DPoP");
}

#[tokio::test]
async fn grants_what_is_asked_for_and_nothing_beyond_what_client_and_resource_share() {
    let world = World::new().await;
    let ask = |scope: &str| world.request().set("scope", scope);
    let answer = world.send(&ask("write")).await;
    answer.granted("Bearer");
    assert_eq!((answer.json["scope"].as_str(), answer.claims()["scope"].as_str()), (Some("write"), Some("write")));
    // `admin` is the resource's and not the client's; `other` is nobody's.
    for scope in ["admin", "read admin", "other", "read  write", "re\"ad", "read\nwrite"] {
        world.send(&ask(scope)).await.refused(400, "invalid_scope");
    }
    let whole = world.send(&ask("")).await;
    assert_eq!(whole.json["scope"], "read write", "a scope without value counts as absent");
}

#[tokio::test]
async fn issues_for_a_registered_resource_only() {
    let world = World::new().await;
    world.send(&world.request().set("resource", API)).await.granted("Bearer");
    for resource in ["https://other.example", "https://api.example/", "https://API.example", "x"] {
        world.send(&world.request().set("resource", resource)).await.refused(400, "invalid_target");
    }
    let several = world.request().add("resource", API).add("resource", API);
    world.send(&several).await.refused(400, "invalid_target");
}

#[tokio::test]
async fn wants_the_resource_named_when_there_are_several() {
    let second = "[[resource]]\nidentifier = \"urn:second\"\nscopes = [\"write\"]\n";
    let world = World::with(|config| config + second).await;
    world.send(&world.request()).await.refused(400, "invalid_target");
    let answer = world.send(&world.request().set("resource", "urn:second")).await;
    answer.granted("Bearer");
    assert_eq!(
        (answer.claims()["aud"].as_str(), answer.claims()["scope"].as_str()),
        (Some("urn:second"), Some("write"))
    );
    let other_scope = world.request().set("resource", "urn:second").set("scope", "read");
    world.send(&other_scope).await.refused(400, "invalid_scope");
}

#[tokio::test]
async fn leaves_scope_out_where_there_is_none() {
    let world = World::with(|config| config.replace("scopes = [\"read\", \"write\"]", "scopes = []")).await;
    let answer = world.send(&world.request()).await;
    answer.granted("Bearer");
    assert_eq!((answer.json.get("scope"), answer.claims().get("scope")), (None, None));
    world.send(&world.request().set("scope", "read")).await.refused(400, "invalid_scope");
}

#[tokio::test]
async fn offers_no_other_grant() {
    let world = World::new().await;
    for grant in ["password", "implicit", "Client_Credentials", "client_credentials "] {
        world.send(&world.request().set("grant_type", grant)).await.refused(400, "unsupported_grant_type");
    }
    world.send(&world.request().without("grant_type")).await.refused(400, "invalid_request");
    world.send(&TokenRequest::to("/token")).await.refused(400, "invalid_request");
}
