//! What the MCP conformance suite asks of a server with DPoP (its server battery; SEP-1932), line by line.

use std::path::Path;

use countersign_dpop::NoncePolicy;
use countersign_dpop::time::{Clock, Window};
use countersign_gateway::config::{GatewayConfig, IssuerEntry};
use countersign_probe::forge::{ForgeKey, JwsForge, ProofClaims, SignatureForm, random_jti};
use countersign_resource::Stage;
use serde_json::{Value, json};

use super::{ANSWER, HOST, JSON, ORIGIN, call, guard, passed, refused};
use crate::wire::Message;
use crate::world::World;

const URL: &str = "https://api.example.com/mcp";
const PLACES: [&str; 2] = ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"];

/// A resource with a path of its own, in the window that the protocol wants.
async fn battery(stage: Stage, nonce: NoncePolicy) -> World {
    let world = World::start_with(|settings| {
        URL.clone_into(&mut settings.audience);
        settings.window = Window::preset("mcp").unwrap();
        (settings.stage, settings.nonce) = (stage, nonce);
        guard(settings, |_| ());
    })
    .await;
    // Out of the time after the start in which proofs as old as this window allows need a nonce.
    world.clock.advance(700);
    world
}

/// The suite's client: a key, and a token bound to it.
struct Client {
    key: ForgeKey,
    token: String,
}

impl Client {
    async fn of(world: &World) -> Self {
        let key = ForgeKey::named("es256").unwrap();
        let jkt = key.jkt();
        let token = world
            .token_with(|claims| {
                claims["aud"] = json!(URL);
                claims["exp"] = json!(claims["iat"].as_i64().unwrap() + 3_600);
                claims["cnf"] = json!({ "jkt": jkt });
            })
            .await;
        Self { key, token }
    }

    fn forge(&self, world: &World, nonce: Option<&str>) -> JwsForge {
        let (iat, token) = (world.clock.now(), Some(self.token.as_str()));
        let jti = random_jti().unwrap();
        let claims = ProofClaims { jti: &jti, method: "POST", url: URL, iat, token, nonce };
        JwsForge::proof(self.key.alg(), self.key.jwk().clone(), &claims)
    }

    fn proof(&self, world: &World, change: impl FnOnce(&mut JwsForge)) -> String {
        let mut forge = self.forge(world, None);
        change(&mut forge);
        forge.sign(&self.key).unwrap()
    }

    fn with_nonce(&self, world: &World, nonce: &str) -> String {
        self.forge(world, Some(nonce)).sign(&self.key).unwrap()
    }

    fn request(&self, proofs: &[&str]) -> String {
        let fields = proofs.iter().map(|proof| format!("DPoP: {proof}\r\n")).collect::<Vec<_>>().concat();
        request(&format!("Authorization: DPoP {}\r\n{fields}", self.token))
    }
}

fn request(credentials: &str) -> String {
    let body = call("read_ledger");
    let length = body.len();
    format!("POST /mcp HTTP/1.1\r\nHost: {HOST}\r\n{credentials}{JSON}Content-Length: {length}\r\n\r\n{body}")
}

async fn unbound(world: &World) -> String {
    world
        .token_with(|claims| {
            claims["aud"] = json!(URL);
            claims.as_object_mut().unwrap().remove("cnf");
        })
        .await
}

async fn document(world: &World, place: &str) -> Value {
    let answer = refused(world, &format!("GET {place} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    assert_eq!((answer.status(), answer.field("content-type")), (200, Some("application/json")), "{place}");
    serde_json::from_str(&answer.body).unwrap()
}

/// The parameter of a challenge.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    challenge.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split_once('"')).map(|(value, _)| value)
}

fn the_dpop_challenge(answer: &Message) -> &str {
    let mut challenges = answer.values("www-authenticate").filter(|challenge| challenge.starts_with("DPoP "));
    let only = challenges.next().unwrap();
    assert!(challenges.next().is_none());
    only
}

#[tokio::test]
async fn without_credentials_the_challenge_has_algs_and_resource_metadata() {
    let world = battery(Stage::Require, NoncePolicy::Optional).await;
    let answer = refused(&world, &request("")).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.values("www-authenticate").count(), 1);
    let challenge = the_dpop_challenge(&answer);
    assert!(parameter(challenge, "algs").unwrap().split(' ').any(|alg| alg == "ES256"), "{challenge}");
    assert_eq!(parameter(challenge, "resource_metadata"), Some(format!("{ORIGIN}{}", PLACES[1]).as_str()));
    assert_eq!(parameter(challenge, "error"), None);
}

#[tokio::test]
async fn in_mixed_mode_both_challenges_have_resource_metadata() {
    for stage in [Stage::Accept, Stage::Prefer] {
        let world = battery(stage, NoncePolicy::Optional).await;
        let answer = refused(&world, &request("")).await;
        let challenges: Vec<_> = answer.values("www-authenticate").collect();
        let schemes: Vec<_> = challenges.iter().map(|challenge| challenge.split(' ').next().unwrap()).collect();
        assert_eq!(schemes, ["DPoP", "Bearer"]);
        for challenge in &challenges {
            assert!(parameter(challenge, "resource_metadata").unwrap().ends_with(PLACES[1]), "{challenge}");
        }
    }
}

#[tokio::test]
async fn the_metadata_is_at_both_places_and_says_what_dpop_needs() {
    let world = battery(Stage::Require, NoncePolicy::Optional).await;
    let (root, path) = (document(&world, PLACES[0]).await, document(&world, PLACES[1]).await);
    assert_eq!(root, path);
    assert_eq!(path["resource"], URL);
    assert_eq!(path["authorization_servers"], json!(["https://idp.example.com"]));
    let algorithms = path["dpop_signing_alg_values_supported"].as_array().unwrap();
    assert!(algorithms.contains(&json!("ES256")));
    let symmetric = |alg: &&Value| alg.as_str().is_some_and(|alg| alg.starts_with("HS") || alg == "none");
    assert_eq!(algorithms.iter().find(symmetric), None);
    assert!(path["dpop_bound_access_tokens_required"].is_boolean());
}

#[tokio::test]
async fn what_the_metadata_says_of_unbound_tokens_is_what_is_enforced() {
    for (stage, required) in [(Stage::Require, true), (Stage::Prefer, false), (Stage::Accept, false)] {
        let world = battery(stage, NoncePolicy::Optional).await;
        for place in PLACES {
            assert_eq!(document(&world, place).await["dpop_bound_access_tokens_required"], required, "{stage:?}");
        }
        let bearer = request(&format!("Authorization: Bearer {}\r\n", unbound(&world).await));
        if required {
            assert_eq!(refused(&world, &bearer).await.status(), 401);
        } else {
            assert_eq!(passed(&world, &bearer, ANSWER).await.1.status(), 200);
        }
    }
}

#[tokio::test]
async fn a_good_proof_is_accepted() {
    let world = battery(Stage::Require, NoncePolicy::Optional).await;
    let client = Client::of(&world).await;
    let request = client.request(&[&client.proof(&world, |_| ())]);
    assert_eq!(passed(&world, &request, ANSWER).await.1.status(), 200);
}

/// Sends each proof; each is to be answered with 401 and a DPoP challenge with `invalid_dpop_proof`.
async fn all_bad(world: &World, client: &Client, proofs: Vec<(&str, Vec<String>)>) {
    for (what, proofs) in proofs {
        let proofs: Vec<&str> = proofs.iter().map(String::as_str).collect();
        let answer = refused(world, &client.request(&proofs)).await;
        let error = parameter(the_dpop_challenge(&answer), "error").map(ToOwned::to_owned);
        assert_eq!((answer.status(), error.as_deref()), (401, Some("invalid_dpop_proof")), "{what}: {answer:?}");
        assert!(parameter(the_dpop_challenge(&answer), "resource_metadata").is_some(), "{what}");
    }
}

#[tokio::test]
async fn a_proof_that_lacks_something_is_invalid_dpop_proof() {
    let world = battery(Stage::Require, NoncePolicy::Optional).await;
    let client = Client::of(&world).await;
    let without = |claim: &'static str| client.proof(&world, |forge| assert!(forge.claims.remove(claim)));
    let proofs = vec![
        ("jti missing", vec![without("jti")]),
        ("htm missing", vec![without("htm")]),
        ("htu missing", vec![without("htu")]),
        ("iat missing", vec![without("iat")]),
        ("ath missing", vec![without("ath")]),
        ("jwk missing", vec![client.proof(&world, |forge| assert!(forge.header.remove("jwk")))]),
        ("no proof", vec![]),
    ];
    all_bad(&world, &client, proofs).await;
}

#[tokio::test]
async fn a_proof_that_says_something_else_is_invalid_dpop_proof() {
    let world = battery(Stage::Require, NoncePolicy::Optional).await;
    let client = Client::of(&world).await;
    let claim = |name: &'static str, value: &str| client.proof(&world, |forge| forge.claims.set_text(name, value));
    let header = |name: &'static str, value: &str| client.proof(&world, |forge| forge.header.set_text(name, value));
    let private = client.key.private_member("d").unwrap();
    let proofs = vec![
        ("typ JWT", vec![header("typ", "JWT")]),
        ("htm GET", vec![claim("htm", "GET")]),
        ("htu of another path", vec![claim("htu", "https://api.example.com/other")]),
        ("htu of another host", vec![claim("htu", "https://evil.example/mcp")]),
        ("ath of another token", vec![claim("ath", "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo")]),
        ("a private key in jwk", vec![client.proof(&world, |forge| forge.jwk_mut().unwrap().set("d", private))]),
    ];
    all_bad(&world, &client, proofs).await;
}

#[tokio::test]
async fn a_proof_that_is_none_is_invalid_dpop_proof() {
    let world = battery(Stage::Require, NoncePolicy::Optional).await;
    let client = Client::of(&world).await;
    let good = || client.proof(&world, |_| ());
    let forge = client.forge(&world, None);
    let mut signature = forge.signature(&client.key, &SignatureForm::Right).unwrap();
    signature[10] ^= 1;
    let mut none = client.forge(&world, None);
    none.header.set_text("alg", "none");
    let mut symmetric = client.forge(&world, None);
    symmetric.header.set_text("alg", "HS256");
    let proofs = vec![
        ("tampered signature", vec![forge.with_signature(&signature).unwrap()]),
        ("two fields", vec![good(), good()]),
        ("not a JWT", vec!["not-a-jwt".to_owned()]),
        ("alg none", vec![none.with_signature(b"").unwrap()]),
        ("alg HS256", vec![symmetric.with_signature(&[7; 32]).unwrap()]),
    ];
    all_bad(&world, &client, proofs).await;
}

#[tokio::test]
async fn iat_is_taken_within_300_seconds_of_the_date_of_answers_and_not_beyond() {
    let world = battery(Stage::Require, NoncePolicy::Optional).await;
    let client = Client::of(&world).await;
    let date = refused(&world, &request("")).await.field("date").unwrap().to_owned();
    let date = httpdate(&date);
    assert_eq!(date, world.clock.now().seconds(), "an accurate Date");
    let at = |offset: i64| client.proof(&world, |forge| forge.claims.set("iat", (date + offset).to_string()));
    let proofs = vec![("303 s old", vec![at(-303)]), ("303 s ahead", vec![at(303)])];
    all_bad(&world, &client, proofs).await;
    for offset in [-300, 300] {
        let request = client.request(&[&at(offset)]);
        assert_eq!(passed(&world, &request, ANSWER).await.1.status(), 200, "{offset}");
    }
}

fn httpdate(date: &str) -> i64 {
    let time = ::httpdate::parse_http_date(date).unwrap();
    i64::try_from(time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

#[tokio::test]
async fn a_token_for_another_audience_or_key_or_as_bearer_is_invalid_token() {
    for stage in [Stage::Require, Stage::Accept] {
        let world = battery(stage, NoncePolicy::Optional).await;
        let client = Client::of(&world).await;
        let jkt = client.key.jkt();
        let foreign = world
            .token_with(|claims| {
                claims["aud"] = json!("https://other.example");
                claims["cnf"] = json!({ "jkt": jkt });
            })
            .await;
        let stolen = world.token_with(|claims| claims["aud"] = json!(URL)).await;
        for (what, token) in [("audience", foreign), ("cnf", stolen)] {
            let client = Client { key: ForgeKey::named("es256").unwrap(), token };
            let answer = refused(&world, &client.request(&[&client.proof(&world, |_| ())])).await;
            let error = parameter(the_dpop_challenge(&answer), "error");
            assert_eq!((answer.status(), error), (401, Some("invalid_token")), "{what}");
        }
        let bearer = refused(&world, &request(&format!("Authorization: Bearer {}\r\n", client.token))).await;
        let error = parameter(the_dpop_challenge(&bearer), "error");
        assert_eq!((bearer.status(), error), (401, Some("invalid_token")), "a bound token as Bearer, {stage:?}");
    }
}

#[tokio::test]
async fn a_nonce_is_asked_for_the_matching_try_accepted_and_a_wrong_one_refused() {
    let world = battery(Stage::Require, NoncePolicy::Required).await;
    let client = Client::of(&world).await;
    let asked = refused(&world, &client.request(&[&client.proof(&world, |_| ())])).await;
    let error = parameter(the_dpop_challenge(&asked), "error");
    assert_eq!((asked.status(), error), (401, Some("use_dpop_nonce")));
    let nonce = asked.field("dpop-nonce").unwrap().to_owned();
    let matching = client.request(&[&client.with_nonce(&world, &nonce)]);
    assert_eq!(passed(&world, &matching, ANSWER).await.1.status(), 200);
    let wrong = refused(&world, &client.request(&[&client.with_nonce(&world, "wrong")])).await;
    assert_eq!((wrong.status(), wrong.code()), (401, "use_dpop_nonce"));
    assert!(wrong.field("dpop-nonce").is_some());
}

#[tokio::test]
async fn an_ordinary_refusal_hands_out_a_fresh_nonce_where_nonces_are_required() {
    let world = battery(Stage::Require, NoncePolicy::Required).await;
    let client = Client::of(&world).await;
    let bad = client.proof(&world, |forge| forge.claims.set_text("htm", "GET"));
    let refusal = refused(&world, &client.request(&[&bad])).await;
    assert_eq!(refusal.code(), "invalid_dpop_proof");
    let nonce = refusal.field("dpop-nonce").unwrap().to_owned();
    let matching = client.request(&[&client.with_nonce(&world, &nonce)]);
    assert_eq!(passed(&world, &matching, ANSWER).await.1.status(), 200);
}

/// The suite mints `at+jwt` tokens by a key that it gives in the environment.
#[test]
fn an_issuer_s_keys_can_be_written_inline_or_in_a_file() {
    let key = ForgeKey::named("es256").unwrap();
    let set = format!(r#"{{"keys":[{}]}}"#, key.jwk());
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("keys.json"), &set).unwrap();
    for jwks in [set, "keys.json".to_owned()] {
        let issuer =
            IssuerEntry { issuer: "https://idp.example".to_owned(), jwks: Some(jwks), ..IssuerEntry::default() };
        let config = GatewayConfig {
            public_origin: Some(ORIGIN.to_owned()),
            upstream: Some("http://127.0.0.1:9000".to_owned()),
            audience: Some(URL.to_owned()),
            issuers: vec![issuer],
            ..GatewayConfig::default()
        };
        let settings = config.resolve(Path::new(directory.path())).unwrap();
        assert_eq!(settings.issuers[0].issuer(), "https://idp.example");
    }
}
