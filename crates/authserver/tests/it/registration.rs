//! Clients that are not of the configuration: registered by themselves, by the operator, or by a document of their own.

use axum::body::Body;
use countersign_authserver::AddClientError;
use countersign_authserver::config::{AuthSetting, ClientConfig};
use countersign_authserver::fetch::{FetchError, Reach};
use http::{Request, header};
use serde_json::{Value, json};

use crate::support::fetch::FakeWeb;
use crate::support::{Answer, Assertion, SECRET, TokenRequest, World, jwk};

const TOKEN: &str = "canary-initial-access-token";
const DOCUMENT: &str = "https://app.example/client.json";
const REGISTRATION: &str = "[registration]\ninitial_access_token = \"canary-initial-access-token\"\n\
                            scopes = [\"read\"]\ngrants = [\"client_credentials\"]\n";
const DOCUMENTS: &str = "[client_metadata_documents]\nscopes = [\"read\"]\ngrants = [\"client_credentials\"]\n";

async fn world() -> World {
    World::with(|config| config + REGISTRATION).await
}

async fn register(world: &World, token: Option<&str>, metadata: &Value) -> Answer {
    let mut request = Request::post("/register").header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    world.send_raw(request.body(Body::from(metadata.to_string())).unwrap()).await
}

fn metadata() -> Value {
    json!({ "client_name": "Reports", "grant_types": ["client_credentials"], "scope": "read write",
            "token_endpoint_auth_method": "client_secret_basic", "software_id": "ignored" })
}

#[tokio::test]
async fn a_client_registers_and_gets_tokens() {
    let mut world = world().await;
    let answer = register(&world, Some(TOKEN), &metadata()).await;
    assert_eq!((answer.status.as_u16(), answer.field("cache-control")), (201, Some("no-store")), "{}", answer.text);
    let text = |name: &str| answer.json[name].as_str().unwrap().to_owned();
    let (id, secret) = (text("client_id"), text("client_secret"));
    assert_eq!((id.len(), secret.len(), text("scope").as_str()), (22, 43, "read"), "no more than strangers may have");
    assert_eq!(answer.json["client_secret_expires_at"], 0);
    let request = || TokenRequest::plain().basic(&id, &secret);
    assert_eq!(world.send(&request()).await.granted("Bearer").json["scope"], "read");
    world.restart().await;
    world.send(&request()).await.granted("Bearer");
    world.send(&TokenRequest::plain().basic(&id, SECRET)).await.refused(401, "invalid_client");
    let metadata = world.get("/.well-known/oauth-authorization-server").await.json;
    assert_eq!(metadata["registration_endpoint"], "https://as.example/register");
    assert_eq!(metadata.get("client_id_metadata_document_supported"), None);
}

#[tokio::test]
async fn is_off_unless_configured_and_closed_without_the_token() {
    let off = World::new().await;
    assert_eq!(register(&off, Some(TOKEN), &metadata()).await.status, 404);
    assert_eq!(off.get("/.well-known/oauth-authorization-server").await.json.get("registration_endpoint"), None);
    let world = world().await;
    let missing = register(&world, None, &metadata()).await;
    assert_eq!(
        (missing.status.as_u16(), missing.field("www-authenticate")),
        (401, Some(r#"Bearer realm="registration""#))
    );
    for wrong in ["", "wrong", "canary-initial-access-tokeN"] {
        let answer = register(&world, Some(wrong), &metadata()).await;
        assert_eq!(answer.status, 401);
        assert!(!answer.text.contains("canary") && answer.headers.contains_key("www-authenticate"));
    }
    assert_eq!(world.server.clients().list().await.unwrap().len(), 3);
}

#[tokio::test]
async fn refuses_what_does_not_describe_a_client() {
    let world = world().await;
    let with = |name: &str, value: Value| {
        let mut metadata = metadata();
        metadata[name] = value;
        metadata
    };
    let private = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "d": "canary", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] });
    for wrong in [
        json!([]),
        json!("text"),
        with("grant_types", json!(["password"])),
        with("grant_types", json!("client_credentials")),
        with("grant_types", json!([])),
        with("scope", json!("two  blanks")),
        with("scope", json!(["read"])),
        with("token_endpoint_auth_method", json!("tls_client_auth")),
        with("token_endpoint_auth_method", json!("private_key_jwt")),
        with("token_endpoint_auth_method", json!("none")),
        with("dpop_bound_access_tokens", json!("yes")),
        with("jwks", private),
    ] {
        register(&world, Some(TOKEN), &wrong).await.refused(400, "invalid_client_metadata");
    }
    let with_uri = |uri: &str| {
        let mut metadata = with("token_endpoint_auth_method", json!("private_key_jwt"));
        metadata["jwks_uri"] = json!(uri);
        metadata
    };
    for inside in ["http://127.0.0.1/jwks", "https://10.0.0.1/jwks", "https://localhost/jwks", "https://[::1]/", "x"] {
        register(&world, Some(TOKEN), &with_uri(inside)).await.refused(400, "invalid_client_metadata");
    }
    assert_eq!(register(&world, Some(TOKEN), &with_uri("https://client.example/jwks")).await.status, 201);
    for (content_type, body) in
        [("text/plain", "{}"), ("application/json", "{"), ("application/json", r#"{"a":1,"a":2}"#)]
    {
        let request = Request::post("/register")
            .header(header::CONTENT_TYPE, content_type)
            .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"));
        let answer = world.send_raw(request.body(Body::from(body)).unwrap()).await;
        answer.refused(400, "invalid_client_metadata");
    }
    let long = with("client_name", json!("x".repeat(70_000)));
    register(&world, Some(TOKEN), &long).await.refused(400, "invalid_client_metadata");
}

#[tokio::test]
async fn the_keys_of_a_stranger_are_fetched_from_public_addresses_only() {
    let web = FakeWeb::new();
    let world = World::fetching(web.clone(), |config| config + REGISTRATION).await;
    let uri = "https://client.example/jwks";
    web.publish(uri, &json!({ "keys": [jwk(&world.client_key)] }).to_string());
    let mut metadata = metadata();
    metadata["token_endpoint_auth_method"] = json!("private_key_jwt");
    metadata["jwks_uri"] = json!(uri);
    let answer = register(&world, Some(TOKEN), &metadata).await;
    assert_eq!((answer.status.as_u16(), answer.json.get("client_secret")), (201, None));
    let id = answer.json["client_id"].as_str().unwrap();
    for _ in 0..2 {
        let assertion = Assertion::new(world.client_key.clone(), id, world.now()).text();
        world.send(&TokenRequest::plain().assertion(&assertion)).await.granted("Bearer");
    }
    assert_eq!(web.asked(), [(uri.to_owned(), Reach::Public)], "fetched once");
}

#[tokio::test]
async fn the_operator_adds_lists_switches_off_and_removes() {
    let world = World::new().await;
    let clients = world.server.clients();
    let written = || ClientConfig {
        grants: vec!["client_credentials".to_owned()],
        scopes: vec!["read".to_owned()],
        ..ClientConfig::new("added", AuthSetting::ClientSecretPost)
    };
    let added = clients.add(written(), Some("Added".to_owned())).await.unwrap();
    assert!(!format!("{added:?}").contains(secrecy::ExposeSecret::expose_secret(added.secret.as_ref().unwrap())));
    let secret = secrecy::ExposeSecret::expose_secret(&added.secret.unwrap()).to_owned();
    assert!(matches!(clients.add(written(), None).await, Err(AddClientError::Taken)));
    let taken = ClientConfig { client_id: "jwt".to_owned(), ..written() };
    assert!(matches!(clients.add(taken, None).await, Err(AddClientError::Taken)));
    let wrong = ClientConfig { scopes: vec!["nobodys".to_owned()], ..written() };
    assert!(matches!(clients.add(wrong, None).await, Err(AddClientError::Wrong(_))));

    let ask = || TokenRequest::plain().set("client_id", "added").set("client_secret", &secret);
    world.send(&ask()).await.granted("Bearer");
    assert!(clients.set_disabled("added", true).await.unwrap());
    world.send(&ask()).await.refused(401, "invalid_client");
    let listed = clients.list().await.unwrap();
    let words: Vec<_> = listed.iter().map(|client| (client.client_id.as_str(), client.disabled)).collect();
    assert_eq!(words, [("added", true), ("basic", false), ("bound", false), ("jwt", false)]);
    assert!(clients.set_disabled("added", false).await.unwrap());
    world.send(&ask()).await.granted("Bearer");
    assert!(clients.remove("added").await.unwrap() && !clients.remove("added").await.unwrap());
    assert!(!clients.set_disabled("jwt", true).await.unwrap(), "what stands in the configuration is changed there");
    world.send(&ask()).await.refused(401, "invalid_client");
}

fn document(world: &World) -> Value {
    json!({ "client_id": DOCUMENT, "client_name": "App", "grant_types": ["client_credentials"],
            "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [jwk(&world.client_key)] } })
}

fn ask_by(world: &World, id: &str) -> TokenRequest {
    TokenRequest::plain().assertion(&Assertion::new(world.client_key.clone(), id, world.now()).text())
}

#[tokio::test]
async fn a_client_is_described_by_the_document_it_is_named_by() {
    let web = FakeWeb::new();
    let world = World::fetching(web.clone(), |config| config + DOCUMENTS).await;
    web.publish(DOCUMENT, &document(&world).to_string());
    for _ in 0..3 {
        let answer = world.send(&ask_by(&world, DOCUMENT)).await;
        assert_eq!(answer.granted("Bearer").json["scope"], "read");
        assert_eq!(answer.claims()["client_id"], DOCUMENT);
    }
    assert_eq!(web.asked(), [(DOCUMENT.to_owned(), Reach::Public)], "fetched once, and kept");
    // It is fetched again after five minutes; when it is away the old one serves for an hour.
    web.answer(DOCUMENT, Err(FetchError::TimedOut));
    world.clock.advance(301);
    world.send(&ask_by(&world, DOCUMENT)).await.granted("Bearer");
    assert_eq!(web.asked().len(), 1);
    world.clock.advance(3_600);
    world.send(&ask_by(&world, DOCUMENT)).await.refused(401, "invalid_client");
    let metadata = world.get("/.well-known/oauth-authorization-server").await.json;
    assert_eq!(metadata["client_id_metadata_document_supported"], true);
}

#[tokio::test]
async fn a_document_that_is_wrong_describes_nobody_and_is_not_asked_for_again_at_once() {
    let web = FakeWeb::new();
    let world = World::fetching(web.clone(), |config| config + DOCUMENTS).await;
    let with = |name: &str, value: Value| {
        let mut document = document(&world);
        document[name] = value;
        document.to_string()
    };
    for wrong in [
        with("client_id", json!("https://other.example/client.json")),
        with("client_secret", json!("x")),
        with("token_endpoint_auth_method", json!("client_secret_post")),
        with("token_endpoint_auth_method", json!("none")),
        with("grant_types", json!(["password"])),
        with("jwks", json!({ "keys": [] })),
        with("jwks_uri", json!("https://10.0.0.1/")),
        with("client_name", json!("x".repeat(5_120))),
        "[]".to_owned(),
        String::new(),
    ] {
        web.publish(DOCUMENT, &wrong);
        for _ in 0..3 {
            world.send(&ask_by(&world, DOCUMENT)).await.refused(401, "invalid_client");
        }
        assert_eq!(web.asked().len(), 1, "{wrong:.60}");
        world.clock.advance(31);
    }
    web.publish(DOCUMENT, &document(&world).to_string());
    world.send(&ask_by(&world, DOCUMENT)).await.granted("Bearer");
}

#[tokio::test]
async fn nothing_that_a_client_names_makes_the_server_call_inside() {
    let web = FakeWeb::new();
    let world = World::fetching(web.clone(), |config| config + DOCUMENTS).await;
    for id in [
        "https://127.0.0.1/client.json",
        "https://[::1]/client.json",
        "https://10.1.2.3/client.json",
        "https://localhost/client.json",
        "https://0x7f.1/client.json",
        "https://2130706433/client.json",
        "http://127.0.0.1/client.json",
        "https://app.example",
        "https://app.example/",
        "https://app.example/?x",
        "https://user@app.example/client.json",
        "https://app.example/a/../client.json",
        "https://app.example/client.json#x",
        "https://APP.example/client.json",
    ] {
        world.send(&ask_by(&world, id)).await.refused(401, "invalid_client");
        world.send(&TokenRequest::plain().set("client_id", id)).await.refused(401, "invalid_client");
    }
    assert_eq!(web.asked(), []);
    // Off unless configured.
    let off = World::fetching(web.clone(), |config| config).await;
    web.publish(DOCUMENT, &document(&off).to_string());
    off.send(&ask_by(&off, DOCUMENT)).await.refused(401, "invalid_client");
    assert_eq!(web.asked(), []);
}
