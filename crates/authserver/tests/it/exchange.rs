//! Token exchange (RFC 8693), the upgrade from Bearer to bound, and JWT assertions as grants (RFC 7523).

use std::sync::Arc;

use countersign_authserver::fetch::Reach;
use countersign_dpop::jose::{Algorithm, SoftwareKey};
use serde_json::{Value, json};

use crate::support::fetch::FakeWeb;
use crate::support::jwt::{sign, with_bad_signature};
use crate::support::{API, Answer, NOW, Proof, SECRET, TokenRequest, World, jwk};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const IDP: &str = "https://idp.example";
const SECOND: &str = "urn:second";

/// The default world, its clients allowed to exchange, with a second resource and a trusted issuer.
struct Exchanges {
    world: World,
    idp_key: SoftwareKey,
    web: Arc<FakeWeb>,
}

impl Exchanges {
    async fn new() -> Self {
        Self::with(|issuer| issuer).await
    }

    async fn with(change: impl FnOnce(String) -> String) -> Self {
        let (web, idp_key) = (FakeWeb::new(), SoftwareKey::generate(Algorithm::Es256).unwrap());
        let mut key = jwk(&idp_key);
        key["kid"] = json!("idp-1");
        web.publish("https://idp.example/keys", &json!({ "keys": [key] }).to_string());
        let metadata = json!({ "issuer": IDP, "jwks_uri": "https://idp.example/keys" });
        web.publish("https://idp.example/.well-known/openid-configuration", &metadata.to_string());
        let issuer = change(format!(
            "[[trusted_issuer]]\nissuer = \"{IDP}\"\naudience = \"{API}\"\nclients = [\"jwt\"]\nmax_uses = 3\n\
             scopes = {{ \"api.read\" = [\"read\"], \"api.all\" = [\"read\", \"write\", \"admin\"] }}\n"
        ));
        let grants = format!("grants = [\"client_credentials\", \"{EXCHANGE}\", \"{BEARER}\"]");
        let second = format!("[[resource]]\nidentifier = \"{SECOND}\"\nscopes = [\"write\"]\n");
        let config = |config: String| config.replace("grants = [\"client_credentials\"]", &grants) + &second + &issuer;
        let world = World::fetching(web.clone(), config).await;
        Self { world, idp_key, web }
    }

    /// What the trusted issuer says of a user.
    fn claims(&self) -> Value {
        let now = self.world.now();
        json!({ "iss": IDP, "sub": "alice", "aud": API, "exp": now + 3_600, "iat": now, "jti": "t-1",
                "scope": "api.read openid" })
    }

    fn idp_token(&self, claims: &Value) -> String {
        sign(&self.idp_key, &json!({ "typ": "at+jwt", "alg": "ES256", "kid": "idp-1" }), claims)
    }

    /// An exchange by client `jwt`, with a proof.
    fn exchange(&self, token: &str) -> TokenRequest {
        self.exchange_without_proof(token).proof(&self.world.proof().text())
    }

    fn exchange_without_proof(&self, token: &str) -> TokenRequest {
        self.world
            .request()
            .set("grant_type", EXCHANGE)
            .set("subject_token", token)
            .set("subject_token_type", ACCESS_TOKEN)
    }

    /// A token of ours for the first resource, bound to the world's key.
    async fn own_token(&self) -> String {
        let answer = self.world.send(&self.world.bound_request().set("resource", API)).await;
        answer.granted("DPoP").token().to_owned()
    }

    async fn send(&self, request: &TokenRequest) -> Answer {
        self.world.send(request).await
    }
}

#[tokio::test]
async fn a_bearer_token_of_a_trusted_issuer_becomes_a_bound_one() {
    let it = Exchanges::new().await;
    let answer = it.send(&it.exchange(&it.idp_token(&it.claims()))).await;
    answer.granted("DPoP");
    assert_eq!(
        (answer.json["issued_token_type"].as_str(), answer.json["scope"].as_str()),
        (Some(ACCESS_TOKEN), Some("read"))
    );
    let claims = answer.claims();
    assert_eq!(claims["cnf"]["jkt"], it.world.key.public_jwk().jkt().to_string());
    assert_eq!((claims["sub"].as_str(), claims["client_id"].as_str()), (Some("alice"), Some("jwt")));
    assert_eq!((claims["aud"].as_str(), claims["exp"].as_i64(), claims.get("act")), (Some(API), Some(NOW + 300), None));
    let asked = [
        ("https://idp.example/.well-known/openid-configuration".to_owned(), Reach::Anywhere),
        ("https://idp.example/keys".to_owned(), Reach::Anywhere),
    ];
    assert_eq!(it.web.asked(), asked);
    let metadata = it.world.get("/.well-known/oauth-authorization-server").await.json;
    let offered = json!([
        "authorization_code",
        "refresh_token",
        "client_credentials",
        EXCHANGE,
        BEARER,
        "urn:ietf:params:oauth:grant-type:device_code"
    ]);
    assert_eq!(metadata["grant_types_supported"], offered);
}

#[tokio::test]
async fn the_upgrade_never_gives_more_scope_time_or_audience() {
    let it = Exchanges::new().await;
    let with = |name: &str, value: Value| {
        let mut claims = it.claims();
        claims[name] = value;
        claims["jti"] = json!(format!("{name}-{}", claims[name]));
        it.idp_token(&claims)
    };
    // Time: it ends when the subject token does.
    let answer = it.send(&it.exchange(&with("exp", json!(NOW + 100)))).await;
    assert_eq!((answer.claims()["exp"].as_i64(), answer.json["expires_in"].as_i64()), (Some(NOW + 100), Some(100)));
    // Scope: what the map makes of it, what the client has, and what is asked for.
    for (theirs, asked, ours) in [
        (json!("api.all"), None, Some("read write")), // `admin` is not the client's
        (json!("api.all"), Some("write"), Some("write")),
        (json!(["api.read"]), None, Some("read")),
        (json!("read write"), None, None), // names of ours are not theirs
        (json!(""), None, None),
    ] {
        let mut request = it.exchange(&with("scope", json!(theirs)));
        if let Some(asked) = asked {
            request = request.set("scope", asked);
        }
        let answer = it.send(&request).await;
        assert!(answer.is_granted(), "{}", answer.text);
        assert_eq!(answer.json["scope"].as_str(), ours, "{theirs}");
        it.world.clock.advance(1);
    }
    for asked in ["write", "admin", "read write"] {
        let token = with("asked", json!(asked));
        it.send(&it.exchange(&token).set("scope", asked)).await.refused(400, "invalid_scope");
    }
    // Audience: none but the one that the token is for.
    let token = with("aud", json!([API, SECOND]));
    for (name, value) in [("resource", SECOND), ("audience", SECOND), ("resource", "https://other.example")] {
        it.send(&it.exchange(&token).set(name, value)).await.refused(400, "invalid_target");
    }
    let both = it.exchange(&token).set("resource", API).set("audience", SECOND);
    it.send(&both).await.refused(400, "invalid_target");
    it.send(&it.exchange(&token).set("resource", API).set("audience", API)).await.granted("DPoP");
}

#[tokio::test]
async fn a_subject_token_is_good_so_many_times_also_when_all_come_at_once() {
    let it = Exchanges::new().await;
    let token = it.idp_token(&it.claims());
    let requests: Vec<_> = (0..20).map(|_| it.exchange(&token)).collect();
    let answers = futures_util::future::join_all(requests.iter().map(|request| it.send(request))).await;
    let granted = answers.iter().filter(|answer| answer.is_granted()).count();
    assert_eq!(granted, 3);
    for answer in answers.iter().filter(|answer| !answer.is_granted()) {
        answer.refused(400, "invalid_request");
    }
    // The refusals have spent neither assertion nor proof: with another subject token the same request is good.
    let spent = requests.iter().zip(&answers).find(|(_, answer)| !answer.is_granted()).unwrap().0;
    let mut other = it.claims();
    other["jti"] = json!("t-2");
    it.send(&spent.clone().set("subject_token", &it.idp_token(&other))).await.granted("DPoP");
    // A token without an identifier is counted by what it says, however it is signed.
    let mut nameless = it.claims();
    nameless.as_object_mut().unwrap().remove("jti");
    let nameless = it.idp_token(&nameless);
    for _ in 0..3 {
        it.send(&it.exchange(&nameless)).await.granted("DPoP");
    }
    it.send(&it.exchange(&nameless)).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn uses_are_counted_across_a_restart() {
    let mut it = Exchanges::new().await.with_fixed_keys().await;
    let token = it.idp_token(&it.claims());
    for _ in 0..3 {
        it.send(&it.exchange(&token)).await.granted("DPoP");
    }
    it.world.restart().await;
    it.send(&it.exchange(&token)).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn nothing_but_a_good_token_of_a_trusted_issuer_is_taken() {
    let it = Exchanges::new().await;
    let claim = |name: &str, value: Value| {
        let mut claims = it.claims();
        claims[name] = value;
        it.idp_token(&claims)
    };
    let without = |name: &str| {
        let mut claims = it.claims();
        claims.as_object_mut().unwrap().remove(name);
        it.idp_token(&claims)
    };
    let header = |header: Value| sign(&it.idp_key, &header, &it.claims());
    let stranger = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let right = it.idp_token(&it.claims());
    for (wrong, why) in [
        (claim("iss", json!("https://other.example")), "another issuer"),
        (claim("iss", json!(["https://idp.example"])), "an issuer that is no text"),
        (claim("aud", json!("https://other.example")), "another audience"),
        (claim("aud", json!(["https://other.example"])), "other audiences"),
        (without("aud"), "no audience"),
        (claim("exp", json!(NOW)), "ended"),
        (claim("exp", json!("soon")), "an end that is no date"),
        (without("exp"), "no end"),
        (claim("nbf", json!(NOW + 61)), "not yet"),
        (claim("iat", json!(NOW + 61)), "from the future"),
        (claim("sub", json!("")), "an empty subject"),
        (without("sub"), "no subject"),
        (claim("jti", json!(7)), "an identifier that is no text"),
        (claim("jti", json!("x".repeat(513))), "an identifier that is too long"),
        (claim("scope", json!(7)), "a scope that is none"),
        (
            claim(
                "cnf",
                json!({ "jkt": SoftwareKey::generate(Algorithm::Es256).unwrap().public_jwk().jkt().to_string() }),
            ),
            "bound to another key",
        ),
        (claim("cnf", json!({ "x5t#S256": "x" })), "bound to a certificate"),
        (claim("cnf", json!(null)), "a binding that is none"),
        (header(json!({ "typ": "dpop+jwt", "alg": "ES256", "kid": "idp-1" })), "a proof by its typ"),
        (header(json!({ "typ": "logout+jwt", "alg": "ES256", "kid": "idp-1" })), "a logout token"),
        (header(json!({ "typ": "at+jwt", "alg": "none" })), "no algorithm"),
        (header(json!({ "typ": "at+jwt", "alg": "HS256", "kid": "idp-1" })), "a symmetric algorithm"),
        (
            header(json!({ "typ": "at+jwt", "alg": "ES256", "kid": "idp-1", "crit": ["x"], "x": 1 })),
            "critical extensions",
        ),
        (header(json!({ "typ": "at+jwt", "alg": "ES256", "kid": "idp-2" })), "an unknown key"),
        (
            sign(&stranger, &json!({ "typ": "at+jwt", "alg": "ES256", "kid": "idp-1" }), &it.claims()),
            "a stranger's signature",
        ),
        (with_bad_signature(&right), "a changed signature"),
        (right.rsplit_once('.').unwrap().0.to_owned(), "no signature"),
        (it.world.proof().text(), "a proof"),
        ("x".to_owned(), "no JWT"),
        ("x".repeat(20_000), "too long"),
    ] {
        let request = it.exchange(&wrong);
        it.send(&request).await.refused(400, "invalid_request");
        let again = request.set("subject_token", &right);
        let answer = it.send(&again).await;
        assert!(
            answer.is_granted() || answer.json["error_description"] == "the token was presented too often",
            "{why}: {}",
            answer.text
        );
    }
    // An ID token must not pass as an access token.
    let mut id_token = it.claims();
    id_token["nonce"] = json!("n");
    let id_token = sign(&it.idp_key, &json!({ "typ": "JWT", "alg": "ES256", "kid": "idp-1" }), &id_token);
    it.send(&it.exchange(&id_token)).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn only_the_clients_that_are_named_may_upgrade_and_only_with_a_proof() {
    let it = Exchanges::new().await;
    let token = it.idp_token(&it.claims());
    let by_other =
        it.exchange(&token).without("client_assertion").without("client_assertion_type").basic("basic", SECRET);
    it.send(&by_other).await.refused(400, "invalid_request");
    it.send(&it.exchange_without_proof(&token)).await.refused(400, "invalid_dpop_proof");
    for subject_token_type in ["urn:ietf:params:oauth:token-type:refresh_token", "x", ""] {
        let request = it.exchange(&token).set("subject_token_type", subject_token_type);
        it.send(&request).await.refused(400, "invalid_request");
    }
    let as_other_type =
        it.exchange(&token).set("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token");
    it.send(&as_other_type).await.refused(400, "invalid_request");
    it.send(&it.exchange(&token)).await.granted("DPoP");
}

#[tokio::test]
async fn a_token_of_ours_is_narrowed_and_keeps_its_key() {
    let it = Exchanges::new().await;
    let token = it.own_token().await;
    let answer = it.send(&it.exchange(&token).set("scope", "read")).await;
    answer.granted("DPoP");
    assert_eq!((answer.claims()["sub"].as_str(), answer.json["scope"].as_str()), (Some("jwt"), Some("read")));
    assert_eq!(answer.claims().get("act"), None, "a client that acts for itself");
    let narrow = answer.token().to_owned();
    it.send(&it.exchange(&narrow).set("scope", "read write")).await.refused(400, "invalid_scope");
    it.send(&it.exchange(&narrow).set("resource", SECOND)).await.refused(400, "invalid_target");
    // It never lives longer than what it was made of.
    it.world.clock.advance(200);
    let late = it.send(&it.exchange(&narrow)).await;
    assert_eq!((late.claims()["exp"].as_i64(), late.json["expires_in"].as_i64()), (Some(NOW + 300), Some(100)));
    it.world.clock.advance(100);
    it.send(&it.exchange(&narrow)).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_bound_token_is_exchanged_with_its_own_key_only() {
    let it = Exchanges::new().await;
    let token = it.own_token().await;
    it.send(&it.exchange_without_proof(&token)).await.refused(400, "invalid_dpop_proof");
    let other = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let by_other = it.exchange_without_proof(&token).proof(&Proof::new(&other, it.world.now()).text());
    it.send(&by_other).await.refused(400, "invalid_request");
    it.send(&it.exchange(&token)).await.granted("DPoP");
    // An unbound one stays unbound, or becomes bound.
    let bearer = it.send(&it.world.request().set("resource", API)).await.token().to_owned();
    it.send(&it.exchange_without_proof(&bearer)).await.granted("Bearer");
    it.send(&it.exchange(&bearer)).await.granted("DPoP");
}

#[tokio::test]
async fn a_revoked_token_is_exchanged_for_nothing() {
    let it = Exchanges::new().await;
    let token = it.own_token().await;
    let revoke = TokenRequest::to("/revoke").assertion(&it.world.assertion("jwt").text()).set("token", &token);
    assert_eq!(it.send(&revoke).await.status, 200);
    it.send(&it.exchange(&token)).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn says_who_acts_for_whom() {
    let it = Exchanges::new().await;
    let by_basic = |token: &str| {
        TokenRequest::to("/token")
            .basic("basic", SECRET)
            .set("grant_type", EXCHANGE)
            .set("subject_token", token)
            .set("subject_token_type", ACCESS_TOKEN)
    };
    let token = it.send(&it.world.request().set("resource", API)).await.token().to_owned();
    let answer = it.send(&by_basic(&token)).await;
    answer.granted("Bearer");
    assert_eq!((answer.claims()["sub"].as_str(), answer.claims()["client_id"].as_str()), (Some("jwt"), Some("basic")));
    assert_eq!(answer.claims()["act"], json!({ "sub": "basic" }));
    // With an actor token, its subject; whoever acted before stays in the chain.
    let delegated = answer.token().to_owned();
    let actor = it.send(&it.world.request().set("resource", API)).await.token().to_owned();
    let with_actor = |token: &str| it.exchange_without_proof(&delegated).set("actor_token", token);
    let answer = it.send(&with_actor(&actor).set("actor_token_type", ACCESS_TOKEN)).await;
    answer.granted("Bearer");
    assert_eq!(answer.claims()["act"], json!({ "sub": "jwt", "act": { "sub": "basic" } }));
    it.send(&with_actor(&actor)).await.refused(400, "invalid_request");
    it.send(&with_actor("x").set("actor_token_type", ACCESS_TOKEN)).await.refused(400, "invalid_request");
    // A token that somebody else was given is no proof of who acts.
    it.send(&with_actor(&delegated).set("actor_token_type", ACCESS_TOKEN)).await.refused(400, "invalid_request");
    let lone = it.exchange_without_proof(&delegated).set("actor_token_type", ACCESS_TOKEN);
    it.send(&lone).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn the_chain_of_actors_has_an_end() {
    let it = Exchanges::new().await;
    let mut token = it.send(&it.world.request().set("resource", API)).await.token().to_owned();
    let mut granted = 0;
    loop {
        let request = TokenRequest::to("/token")
            .basic("basic", SECRET)
            .set("grant_type", EXCHANGE)
            .set("subject_token", &token)
            .set("subject_token_type", ACCESS_TOKEN);
        let request = if granted % 2 == 1 { it.exchange_without_proof(&token) } else { request };
        let answer = it.send(&request).await;
        if !answer.is_granted() {
            answer.refused(400, "invalid_request");
            break;
        }
        token = answer.token().to_owned();
        granted += 1;
    }
    assert_eq!(granted, 8);
}

#[tokio::test]
async fn another_resource_is_for_clients_that_are_told_so() {
    let it = Exchanges::new().await;
    let token = it.send(&it.world.request().set("resource", API)).await.token().to_owned();
    it.send(&it.exchange(&token).set("resource", SECOND)).await.refused(400, "invalid_target");
    let mut config = it.world.config.clone();
    let at = config.find("client_id = \"jwt\"").unwrap();
    config.insert_str(at, &format!("exchange_resources = [\"{SECOND}\"]\n"));
    let world = World::open(config, it.world.client_key.clone()).await;
    let token = world.send(&world.request().set("resource", API)).await.token().to_owned();
    let request = world
        .request()
        .set("grant_type", EXCHANGE)
        .set("subject_token", &token)
        .set("subject_token_type", ACCESS_TOKEN)
        .set("resource", SECOND);
    let answer = world.send(&request).await;
    answer.granted("Bearer");
    assert_eq!((answer.claims()["aud"].as_str(), answer.json["scope"].as_str()), (Some(SECOND), Some("write")));
}

#[tokio::test]
async fn a_workload_gets_a_token_by_what_its_platform_says() {
    let it = Exchanges::with(|issuer| issuer + "subjects = [\"system:ns:*\"]\nsubject_prefix = \"k8s|\"\n").await;
    let workload = |subject: &str, typ: &str| {
        let mut claims = it.claims();
        claims["sub"] = json!(subject);
        claims.as_object_mut().unwrap().remove("scope");
        sign(&it.idp_key, &json!({ "typ": typ, "alg": "ES256", "kid": "idp-1" }), &claims)
    };
    let ask = |assertion: &str| it.world.request().set("grant_type", BEARER).set("assertion", assertion);
    let request = ask(&workload("system:ns:orders", "JWT"));
    let answer = it.send(&request.clone().proof(&it.world.proof().text())).await;
    answer.granted("DPoP");
    assert_eq!(
        (answer.claims()["sub"].as_str(), answer.json["scope"].as_str()),
        (Some("k8s|system:ns:orders"), Some("read write"))
    );
    it.send(&ask(&workload("system:other", "JWT"))).await.refused(400, "invalid_grant");
    it.send(&ask(&workload("system:ns:orders", "at+jwt"))).await.refused(400, "invalid_grant");
    it.send(&ask("x")).await.refused(400, "invalid_grant");
    it.send(&ask(&workload("system:ns:orders", "JWT")).set("resource", SECOND)).await.refused(400, "invalid_target");
    it.send(&it.world.request().set("grant_type", BEARER)).await.refused(400, "invalid_request");
    // One that says a scope is worth that and no more.
    let mut claims = it.claims();
    claims["sub"] = json!("system:ns:orders");
    let scoped = sign(&it.idp_key, &json!({ "alg": "ES256", "kid": "idp-1" }), &claims);
    assert_eq!(it.send(&ask(&scoped)).await.json["scope"], "read");
}

#[tokio::test]
async fn an_issuer_that_is_away_is_nobodys_fault_and_costs_nothing() {
    let it = Exchanges::new().await;
    it.web.answer("https://idp.example/keys", Err(countersign_authserver::fetch::FetchError::TimedOut));
    let request = it.exchange(&it.idp_token(&it.claims()));
    it.send(&request).await.unavailable(503);
    let mut key = jwk(&it.idp_key);
    key["kid"] = json!("idp-1");
    it.web.publish("https://idp.example/keys", &json!({ "keys": [key] }).to_string());
    it.world.clock.advance(10);
    it.send(&request).await.granted("DPoP");
}

impl Exchanges {
    /// The same with the issuer's keys in the configuration, for a server that is opened again.
    async fn with_fixed_keys(self) -> Self {
        let mut key = jwk(&self.idp_key);
        key["kid"] = json!("idp-1");
        let members = key.as_object().unwrap().iter().map(|(name, value)| format!("{name} = {value}"));
        let jwks = format!("jwks = {{ keys = [{{ {} }}] }}\nmax_uses", members.collect::<Vec<_>>().join(", "));
        let config = self.world.config.replace("max_uses", &jwks);
        let world = World::open(config, self.world.client_key.clone()).await;
        Self { world, ..self }
    }
}
