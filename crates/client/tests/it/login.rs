//! Logging in, from a URL to a session, and every answer on the way that must not be believed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_client::keys::{KeyPlace, KeyStore, MemoryKeyStore};
use countersign_client::login::{ClientChoice, LoginPlan, LoginTools};
use countersign_client::sessions::GrantKind;
use countersign_client::{
    AuthorizationError, DiscoveryError, Login, LoginError, Session, SessionStore, Step, SubjectToken, SubjectTokenType,
    TokenError,
};
use countersign_dpop::ErrorCode;
use countersign_testkit::FakeClock;
use serde_json::{Value, json};

use crate::played::*;

/// Longer than the busiest machine takes.
const PATIENCE: Duration = Duration::from_mins(5);

/// An issuer and a resource in one that do everything right; `spoil` may answer first.
struct World {
    server: Played,
    clock: Arc<FakeClock>,
    keys: Arc<dyn KeyStore>,
    sessions: SessionStore,
    steps: Arc<Mutex<Vec<Step>>>,
}

pub(crate) fn issuer_metadata(origin: &str) -> Value {
    let mut document = metadata(origin);
    for (member, path) in [
        ("authorization_endpoint", "/authorize"),
        ("pushed_authorization_request_endpoint", "/par"),
        ("device_authorization_endpoint", "/device"),
        ("revocation_endpoint", "/revoke"),
        ("registration_endpoint", "/register"),
    ] {
        document[member] = json!(format!("{origin}{path}"));
    }
    document["code_challenge_methods_supported"] = json!(["S256"]);
    document["authorization_response_iss_parameter_supported"] = json!(true);
    document["client_id_metadata_document_supported"] = json!(true);
    document
}

fn resource_metadata(origin: &str) -> Value {
    json!({ "resource": origin, "authorization_servers": [origin], "scopes_supported": ["read", "write"],
            "dpop_bound_access_tokens_required": true })
}

fn tokens() -> Value {
    json!({ "access_token": TOKEN, "token_type": "DPoP", "expires_in": 300, "refresh_token": "canary-refresh-1" })
}

fn honest(seen: &Seen) -> axum::response::Response {
    let origin = &seen.origin;
    match seen.path.as_str() {
        "/.well-known/oauth-protected-resource" => reply_json(200, &resource_metadata(origin)),
        "/.well-known/oauth-authorization-server" => reply_json(200, &issuer_metadata(origin)),
        "/register" => reply_json(201, &json!({ "client_id": "registered-1" })),
        "/par" => reply_json(201, &json!({ "request_uri": "urn:x:1", "expires_in": 60 })),
        "/token" => reply_json(200, &tokens()),
        "/device" => reply_json(
            200,
            &json!({ "device_code": "canary-device-code", "user_code": "WDJB-MJHT", "expires_in": 600, "interval": 7,
                     "verification_uri": format!("{origin}/device-page") }),
        ),
        "/revoke" => reply(200, &[], ""),
        _ => reply(401, &[("www-authenticate", "DPoP algs=\"ES256\"")], ""),
    }
}

impl World {
    async fn new() -> Self {
        Self::spoiled(|_| None).await
    }

    async fn spoiled(spoil: impl Fn(&Seen) -> Option<axum::response::Response> + Send + Sync + 'static) -> Self {
        let server = Played::start(move |seen| spoil(seen).unwrap_or_else(|| honest(seen))).await;
        let clock = set_clock();
        let keys: Arc<dyn KeyStore> = Arc::new(MemoryKeyStore::new(clock.clone()));
        Self { server, clock, keys, sessions: SessionStore::in_memory(), steps: Arc::default() }
    }

    fn plan(&self) -> LoginPlan {
        LoginPlan::new(&format!("{}/orders", self.server.origin()), KeyPlace::Memory)
    }

    fn tools(&self) -> LoginTools {
        let steps = self.steps.clone();
        LoginTools::new(self.keys.clone(), self.sessions.clone(), self.clock.clone())
            .with_observer(move |step| steps.lock().expect("not poisoned").push(step.clone()))
    }

    async fn prepare(&self, plan: &LoginPlan) -> Result<Login, LoginError> {
        Login::prepare(plan, &self.tools()).await
    }

    async fn login(&self) -> Login {
        self.prepare(&self.plan()).await.expect("a login")
    }

    /// Logs in with a browser that comes back with what `answer` makes of the parameters that were pushed.
    async fn by_code(
        &self,
        answer: impl Fn(&HashMap<String, String>) -> Vec<String> + Send + Sync + 'static,
    ) -> Result<Session, LoginError> {
        let login = self.login().await;
        let server = self.server.clone();
        let visit = move |_: &str| {
            let pushed = server.seen_at("/par").pop().expect("a pushed request");
            let parameters: HashMap<_, _> =
                ["redirect_uri", "state"].map(|name| (name.to_owned(), pushed.form(name).expect("a parameter"))).into();
            let redirect_uri = parameters["redirect_uri"].clone();
            let queries = answer(&parameters);
            tokio::spawn(async move {
                for query in queries {
                    raw_get(&redirect_uri, &query).await;
                }
            });
            Ok(())
        };
        login.by_code(PATIENCE, visit).await
    }
}

/// What a browser does: a GET of the redirect URI.
async fn raw_get(redirect_uri: &str, query: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (host, path) = redirect_uri.trim_start_matches("http://").split_once('/').expect("a path");
    let mut stream = tokio::net::TcpStream::connect(host).await.expect("a connection");
    let request = format!("GET /{path}?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

fn right(origin: &str) -> impl Fn(&HashMap<String, String>) -> Vec<String> + Send + Sync + 'static {
    let origin = origin.to_owned();
    move |parameters| vec![format!("code=canary-code-1&state={}&iss={origin}", parameters["state"])]
}

#[tokio::test]
async fn from_a_url_to_a_session() {
    let world = World::new().await;
    let origin = world.server.origin().to_owned();
    let session = world.by_code(right(&origin)).await.expect("a session");
    assert_eq!((session.config.issuer(), session.config.client_id()), (origin.as_str(), "registered-1"));
    assert_eq!((session.config.resource(), session.config.scope()), (Some(origin.as_str()), Some("read write")));
    assert_eq!((session.grant, session.tokens.refresh.is_some()), (GrantKind::AuthorizationCode, true));

    let registered: Value = serde_json::from_slice(&world.server.seen_at("/register")[0].body).expect("JSON");
    assert_eq!(registered["redirect_uris"], json!(["http://127.0.0.1/callback"]));
    assert_eq!(
        (&registered["dpop_bound_access_tokens"], &registered["application_type"]),
        (&json!(true), &json!("native"))
    );
    let par = &world.server.seen_at("/par")[0];
    assert_eq!(par.proof()["htu"], format!("{origin}/par"));
    assert_eq!(par.proof().get("ath"), None, "row 504");
    assert_eq!(par.form("dpop_jkt"), Some(session.jkt.to_string()));
    for (name, value) in [
        ("response_type", "code"),
        ("code_challenge_method", "S256"),
        ("client_id", "registered-1"),
        ("scope", "read write"),
        ("resource", origin.as_str()),
    ] {
        assert_eq!(par.form(name).as_deref(), Some(value), "{name}");
    }
    let token = &world.server.seen_at("/token")[0];
    assert_eq!(token.proof().get("ath"), None, "row 504");
    assert_eq!(token.form("code").as_deref(), Some("canary-code-1"));
    assert_eq!(token.form("redirect_uri"), par.form("redirect_uri"));
    assert_eq!(token.form("resource").as_deref(), Some(origin.as_str()));
    assert_eq!(token.form("code_verifier").expect("a verifier").len(), 43);
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_refused_before_any_token_request() {
    for iss in ["https://evil.example", ""] {
        let world = World::new().await;
        let answer = move |parameters: &HashMap<String, String>| {
            vec![format!("code=canary-code-1&state={}&iss={iss}", parameters["state"])]
        };
        let refused = world.by_code(answer).await.expect_err("row 509");
        let mismatch = LoginError::Authorization(AuthorizationError::IssuerMismatch {
            expected: world.server.origin().to_owned(),
            found: iss.to_owned(),
        });
        assert_eq!(refused.to_string(), mismatch.to_string(), "row 509");
        assert_eq!(world.server.seen_at("/token").len(), 0, "row 509");
    }
    let world = World::new().await;
    let answer = |parameters: &HashMap<String, String>| vec![format!("code=c&state={}", parameters["state"])];
    let refused = world.by_code(answer).await.expect_err("row 509");
    assert!(matches!(refused, LoginError::Authorization(AuthorizationError::IssuerMissing { .. })), "row 509");
    assert_eq!(world.server.seen_at("/token").len(), 0, "row 509");
}

#[tokio::test]
async fn an_answer_with_another_state_is_refused_and_waited_past() {
    let world = World::new().await;
    let origin = world.server.origin().to_owned();
    let answer = move |parameters: &HashMap<String, String>| {
        let right = format!("code=canary-code-1&state={}&iss={origin}", parameters["state"]);
        vec![format!("code=stolen&iss={origin}"), format!("code=stolen&state=other&iss={origin}"), right]
    };
    world.by_code(answer).await.expect("row 510: the right one is still taken");
    let codes: Vec<_> = world.server.seen_at("/token").iter().map(|seen| seen.form("code")).collect();
    assert_eq!(codes, [Some("canary-code-1".to_owned())], "row 510: nothing was redeemed for the others");
    let steps = world.steps.lock().expect("not poisoned").clone();
    let refused = steps.iter().filter(|step| matches!(step, Step::AnswerRefused { .. })).count();
    assert_eq!(refused, 2, "row 510");
}

#[tokio::test]
async fn a_refusal_of_the_person_is_said() {
    let world = World::new().await;
    let origin = world.server.origin().to_owned();
    let answer = move |parameters: &HashMap<String, String>| {
        vec![format!("error=access_denied&error_description=no+thanks&state={}&iss={origin}", parameters["state"])]
    };
    let refused = world.by_code(answer).await.expect_err("a refusal");
    assert_eq!(refused.to_string(), "the issuer refused: access_denied: no thanks");
}

#[tokio::test]
async fn the_callback_is_for_nobody_else() {
    let world = World::new().await;
    let login = world.login().await;
    let server = world.server.clone();
    let origin = server.origin().to_owned();
    let (looked, looking) = tokio::sync::oneshot::channel();
    let visit = move |_: &str| {
        let pushed = server.seen_at("/par").pop().expect("a pushed request");
        let (redirect_uri, state) = (pushed.form("redirect_uri").expect("it"), pushed.form("state").expect("it"));
        let browsing = tokio::spawn(async move {
            let elsewhere = raw_get(&redirect_uri.replace("/callback", "/other"), "x=1").await;
            assert!(elsewhere.starts_with("HTTP/1.1 404 "), "{elsewhere}");
            let rebound = redirect_uri.replace("127.0.0.1", "localhost");
            let rebound = raw_get(&rebound, &format!("code=c&state={state}&iss={origin}")).await;
            assert!(rebound.starts_with("HTTP/1.1 404 "), "another Host: {rebound}");
            let page = raw_get(&redirect_uri, &format!("code=c&state={state}&iss={origin}")).await;
            assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("You are logged in"), "{page}");
            assert!(!page.contains(&state) && page.contains("referrer-policy: no-referrer"), "{page}");
        });
        looked.send(browsing).expect("the test goes on");
        Ok(())
    };
    login.by_code(PATIENCE, visit).await.expect("a session");
    looking.await.expect("a visit").await.expect("every page is as it should be");
}

#[tokio::test]
async fn nobody_who_comes_back_is_a_time_out() {
    let world = World::new().await;
    let ended = world.login().await.by_code(Duration::from_millis(50), |_| Ok(())).await;
    assert!(matches!(ended, Err(LoginError::TimeOut)), "{ended:?}");
    let no_browser = world.login().await.by_code(PATIENCE, |_| Err(std::io::ErrorKind::NotFound.into())).await;
    assert!(matches!(no_browser, Err(LoginError::Browser { kind: std::io::ErrorKind::NotFound })), "{no_browser:?}");
}

#[tokio::test]
async fn without_pushed_requests_the_question_goes_through_the_browser() {
    let world = World::spoiled(|seen| {
        let without = || {
            let mut document = issuer_metadata(&seen.origin);
            document.as_object_mut().expect("an object").remove("pushed_authorization_request_endpoint");
            reply_json(200, &document)
        };
        (seen.path == "/.well-known/oauth-authorization-server").then(without)
    })
    .await;
    let login = world.login().await;
    let visited = Arc::new(Mutex::new(String::new()));
    let (told, jkt) = (visited.clone(), login.jkt().to_string());
    let ended = login.by_code(Duration::from_millis(50), move |url| {
        url.clone_into(&mut told.lock().expect("not poisoned"));
        Ok(())
    });
    assert!(matches!(ended.await, Err(LoginError::TimeOut)));
    let url = visited.lock().expect("not poisoned").clone();
    assert!(
        url.starts_with(&format!("{}/authorize?client_id=registered-1&response_type=code&", world.server.origin()))
    );
    assert!(url.contains(&format!("dpop_jkt={jkt}")) && url.contains("code_challenge_method=S256"), "{url}");
}

#[tokio::test]
async fn a_registration_is_made_once() {
    let world = World::new().await;
    for _ in 0..2 {
        assert_eq!(world.login().await.client_id(), "registered-1");
    }
    assert_eq!(world.server.seen_at("/register").len(), 1);
    let plan =
        LoginPlan { client: ClientChoice::MetadataDocument("https://me.example/client".to_owned()), ..world.plan() };
    assert_eq!(world.prepare(&plan).await.expect("a login").client_id(), "https://me.example/client");
    assert_eq!(world.server.seen_at("/register").len(), 1);
}

#[tokio::test]
async fn what_servers_say_wrongly_is_not_believed() {
    type Spoil = fn(&mut Value, &mut Value);
    let cases: [(&str, Spoil, &str); 7] = [
        (
            "another issuer's metadata",
            |_, issuer| issuer["issuer"] = json!("https://other.example"),
            "is of the issuer",
        ),
        (
            "no PKCE",
            |_, issuer| issuer["code_challenge_methods_supported"] = json!(["plain"]),
            "does not announce PKCE",
        ),
        ("no DPoP", |_, issuer| issuer["dpop_signing_alg_values_supported"] = json!([]), "does not announce DPoP"),
        (
            "another resource's metadata",
            |resource, _| resource["resource"] = json!("https://other.example"),
            "is of the resource",
        ),
        (
            "no issuer at all",
            |resource, _| resource["authorization_servers"] = json!([]),
            "names no authorization server",
        ),
        (
            "a token endpoint in plain http",
            |_, issuer| issuer["token_endpoint"] = json!("http://idp.example/t"),
            "plain http",
        ),
        ("no registration", |_, issuer| issuer["registration_endpoint"] = Value::Null, "does not register clients"),
    ];
    for (case, spoil, says) in cases {
        let world = World::spoiled(move |seen| {
            let (mut resource, mut issuer) = (resource_metadata(&seen.origin), issuer_metadata(&seen.origin));
            spoil(&mut resource, &mut issuer);
            match seen.path.as_str() {
                "/.well-known/oauth-protected-resource" => Some(reply_json(200, &resource)),
                "/.well-known/oauth-authorization-server" => Some(reply_json(200, &issuer)),
                _ => None,
            }
        })
        .await;
        let refused = match world.prepare(&world.plan()).await {
            Ok(login) => login.by_code(PATIENCE, |_| panic!("{case}: no browser")).await.expect_err(case),
            Err(fault) => fault,
        };
        assert!(refused.to_string().contains(says), "{case}: {refused}");
        assert_eq!(world.server.seen_at("/token").len(), 0, "{case}");
    }
}

#[tokio::test]
async fn a_challenge_that_points_to_another_origin_is_not_followed() {
    let elsewhere = Played::start(|seen| reply_json(200, &resource_metadata(&seen.origin))).await;
    let pointer = format!("DPoP resource_metadata=\"{}/meta\"", elsewhere.origin());
    let world = World::spoiled(move |seen| {
        (seen.path == "/orders").then(|| reply(401, &[("www-authenticate", pointer.as_str())], ""))
    })
    .await;
    let refused = world.prepare(&world.plan()).await.expect_err("elsewhere");
    let expected = DiscoveryError::ResourceMetadataElsewhere { origin: elsewhere.origin().to_owned() };
    assert_eq!(refused.to_string(), expected.to_string());
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn a_challenge_says_where_metadata_and_which_scope() {
    let world = World::spoiled(|seen| match seen.path.as_str() {
        "/orders" => {
            let challenge = format!("DPoP scope=\"read\", resource_metadata=\"{}/meta\"", seen.origin);
            Some(reply(401, &[("www-authenticate", "Bearer scope=\"all\""), ("www-authenticate", &challenge)], ""))
        }
        "/meta" => Some(reply_json(200, &resource_metadata(&seen.origin))),
        _ => None,
    })
    .await;
    assert_eq!(world.login().await.scope(), Some("read"));
    let plan = LoginPlan { scope: Some("write".to_owned()), ..world.plan() };
    assert_eq!(world.prepare(&plan).await.expect("a login").scope(), Some("write"));
}

#[tokio::test]
async fn a_resource_without_metadata_needs_a_named_issuer() {
    let spoil = |seen: &Seen| seen.path.starts_with("/.well-known/oauth-protected").then(|| reply(404, &[], ""));
    let world = World::spoiled(spoil).await;
    let refused = world.prepare(&world.plan()).await.expect_err("no issuer");
    assert!(matches!(refused, LoginError::Discovery(DiscoveryError::NoResourceMetadata { .. })), "{refused}");
    let named = LoginPlan { issuer: Some(world.server.origin().to_owned()), ..world.plan() };
    let login = world.prepare(&named).await.expect("a login");
    assert_eq!(login.resource(), Some(world.plan().url.as_str()));

    let world = World::new().await;
    let other = LoginPlan { issuer: Some("https://other.example".to_owned()), ..world.plan() };
    let refused = world.prepare(&other).await.expect_err("not the resource's issuer");
    assert!(matches!(refused, LoginError::Discovery(DiscoveryError::IssuerNotAnnounced { .. })), "{refused}");
}

#[tokio::test]
async fn a_person_logs_in_on_another_device() {
    let polls = Mutex::new(["authorization_pending", "slow_down", "authorization_pending"].into_iter());
    let world = World::spoiled(move |seen| {
        let error = (seen.path == "/token").then(|| polls.lock().expect("not poisoned").next()).flatten();
        error.map(|error| reply_json(400, &json!({ "error": error })))
    })
    .await;
    let login = world.login().await;
    let mut device = login.authorize_device().await.expect("codes");
    assert_eq!((device.user_code(), device.interval()), ("WDJB-MJHT", Duration::from_secs(7)));
    assert_eq!(device.verification_uri(), format!("{}/device-page", world.server.origin()));
    assert!(!format!("{device:?}").contains("canary"));
    for interval in [7, 12, 12] {
        assert!(login.poll_device(&mut device).await.expect("a poll").is_none());
        assert_eq!(device.interval(), Duration::from_secs(interval));
    }
    let session = login.poll_device(&mut device).await.expect("a poll").expect("a session");
    assert_eq!(session.grant, GrantKind::DeviceCode);
    let poll = &world.server.seen_at("/token")[0];
    assert_eq!(poll.form("device_code").as_deref(), Some("canary-device-code"));
    assert_eq!(poll.form("grant_type").as_deref(), Some("urn:ietf:params:oauth:grant-type:device_code"));
    assert!(poll.proof()["jti"].is_string());

    let mut late = login.authorize_device().await.expect("codes");
    let before = world.server.seen().len();
    world.clock.advance(601);
    let ended = login.poll_device(&mut late).await;
    assert!(matches!(ended, Err(LoginError::Token(TokenError::DeviceCodeExpired))), "{ended:?}");
    assert_eq!(world.server.seen().len(), before, "nothing was sent any more");
}

#[tokio::test]
async fn an_unbound_token_of_somebody_else_becomes_a_bound_one() {
    let world = World::new().await;
    let subject = SubjectToken { token: "canary-subject".into(), kind: SubjectTokenType::AccessToken };
    let session = world.login().await.by_exchange(&subject).await.expect("a session");
    assert_eq!(session.grant, GrantKind::TokenExchange);
    let seen = &world.server.seen_at("/token")[0];
    for (name, value) in [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", "canary-subject"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("resource", world.server.origin()),
    ] {
        assert_eq!(seen.form(name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_registered_client_logs_in_for_itself() {
    let world = World::new().await;
    let client = ClientChoice::Registered { client_id: "robot".to_owned(), authentication: by_secret() };
    let login = world.prepare(&LoginPlan { client, ..world.plan() }).await.expect("a login");
    let session = login.by_client_credentials().await.expect("a session");
    assert_eq!((session.grant, session.can_renew()), (GrantKind::ClientCredentials, true));
    assert!(world.server.seen_at("/token")[0].field("authorization").starts_with("Basic "));
}

#[tokio::test]
async fn a_bearer_token_is_an_error_that_says_so_unless_it_is_allowed() {
    let spoil = |seen: &Seen| {
        let bearer = json!({ "access_token": TOKEN, "token_type": "Bearer" });
        (seen.path == "/token").then(|| reply_json(200, &bearer))
    };
    let world = World::spoiled(spoil).await;
    let login = world.login().await;
    let refused = login.by_client_credentials().await.expect_err("row 501");
    assert!(matches!(refused, LoginError::Token(TokenError::Downgraded { .. })), "row 501: {refused}");
    assert!(refused.to_string().contains("--allow-bearer"), "row 501: {refused}");
    let allowed = LoginPlan { allow_bearer: true, ..world.plan() };
    let session = world.prepare(&allowed).await.expect("a login").by_client_credentials().await.expect("row 501");
    assert_eq!(session.tokens.access.kind().scheme(), "Bearer", "row 501");
}

#[tokio::test]
async fn the_issuer_may_ask_for_a_nonce_at_every_endpoint() {
    let world = World::spoiled(|seen| {
        let asks = ["/par", "/token"].contains(&seen.path.as_str()) && seen.proof().get("nonce").is_none();
        asks.then(|| nonce_error(&format!("n{}", seen.path.len())))
    })
    .await;
    let origin = world.server.origin().to_owned();
    world.by_code(right(&origin)).await.expect("a session");
    assert_eq!(world.server.seen_at("/par").len(), 2);
    // The nonce of the same origin is used at once at the other endpoint.
    assert_eq!(world.server.seen_at("/token").len(), 1);
}

#[tokio::test]
async fn an_error_repeats_no_code_and_no_token() {
    let world = World::spoiled(|seen| {
        let everything = String::from_utf8_lossy(&seen.body).into_owned();
        let body = json!({ "error": "invalid_grant", "error_description": everything });
        (seen.path == "/token").then(|| reply_json(400, &body))
    })
    .await;
    let origin = world.server.origin().to_owned();
    let refused = world.by_code(right(&origin)).await.expect_err("a refusal");
    assert!(!format!("{refused} {refused:?}").contains("canary"), "{refused:?}");
    let LoginError::Token(TokenError::Refused { error, .. }) = refused else { panic!("{refused}") };
    assert_eq!(error, Some(ErrorCode::InvalidGrant));
}
