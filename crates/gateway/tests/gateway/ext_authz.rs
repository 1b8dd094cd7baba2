//! Asked as Envoy asks. The questions have the shape that Envoy gives them (its documentation of `ext_authz` and
//! `AttributeContext`); the answers are judged by what its filter does with them.

use std::collections::HashMap;

use countersign_gateway::config::ReplaySetting;
use countersign_gateway::{Mode, Settings};
use countersign_replay::RedisServer;
use countersign_resource::Stage;
use envoy_types::ext_authz::v3::pb::{
    Address, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderAppendAction, HeaderValueOption, HttpResponse,
    OkHttpResponse,
};
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::google::protobuf::value::Kind;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::world::{HOST, ORIGIN, World};

fn answering_envoy(settings: &mut Settings) {
    settings.mode = Mode::ExtAuthz { trusted: vec!["127.0.0.0/8".parse().unwrap()], keep_credentials: false };
}

struct Envoy {
    world: World,
    gateway: AuthorizationClient<Channel>,
}

impl Envoy {
    async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let world = World::start_with(|settings| {
            answering_envoy(settings);
            change(settings);
        })
        .await;
        let gateway = AuthorizationClient::connect(format!("http://{}", world.address)).await.unwrap();
        Self { world, gateway }
    }

    /// Asks about a request with these fields.
    async fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> CheckResponse {
        self.send(question(http(method, path, fields))).await.unwrap()
    }

    async fn send(&self, question: CheckRequest) -> Result<CheckResponse, tonic::Status> {
        self.gateway.clone().check(question).await.map(tonic::Response::into_inner)
    }

    /// Token and proof of a good request.
    async fn credentials(&self, method: &str, path: &str, nonce: Option<&str>) -> (String, String) {
        let token = self.world.token().await;
        let proof = self.world.proof(method, &format!("{ORIGIN}{path}"), &token, nonce).await;
        (format!("DPoP {token}"), proof)
    }
}

async fn health_of(world: &World) -> HealthClient<Channel> {
    let channel = Channel::from_shared(format!("http://{}", world.address)).unwrap();
    HealthClient::new(channel.connect().await.unwrap())
}

/// A request as Envoy describes it: fields of one name joined, those of HTTP/2 among them.
fn http(method: &str, path: &str, fields: &[(&str, &str)]) -> HttpRequest {
    let own = [
        (":authority", HOST),
        (":method", method),
        (":path", path),
        (":scheme", "https"),
        ("user-agent", "curl/8.5.0"),
        ("accept", "*/*"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "b2c9d8c7-2a5d-4f4b-9a5a-3f6a8d2f7a10"),
    ];
    let mut headers: HashMap<String, String> = HashMap::new();
    for (name, value) in own.iter().chain(fields) {
        let joined = headers.get(*name).map(|before| format!("{before},{value}"));
        headers.insert((*name).to_owned(), joined.unwrap_or_else(|| (*value).to_owned()));
    }
    HttpRequest {
        id: "11830379863371424301".to_owned(),
        method: method.to_owned(),
        headers,
        path: path.to_owned(),
        host: HOST.to_owned(),
        scheme: "https".to_owned(),
        size: -1,
        protocol: "HTTP/1.1".to_owned(),
        ..HttpRequest::default()
    }
}

/// The same with `encode_raw_headers`.
fn with_raw_fields(http: HttpRequest, more: &[(&str, &str)]) -> HttpRequest {
    let joined = http.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let field = |(name, value): (&str, &str)| core::HeaderValue {
        key: name.to_owned(),
        raw_value: value.as_bytes().to_vec(),
        ..core::HeaderValue::default()
    };
    let headers = joined.chain(more.iter().copied()).map(field).collect();
    HttpRequest { headers: HashMap::new(), header_map: Some(core::HeaderMap { headers }), ..http }
}

fn question(http: HttpRequest) -> CheckRequest {
    let address = core::SocketAddress { address: "192.0.2.7".to_owned(), ..core::SocketAddress::default() };
    let address = Some(core::Address { address: Some(Address::SocketAddress(address)) });
    let source = Some(Peer { address, ..Peer::default() });
    let request = Some(Request { http: Some(http), ..Request::default() });
    CheckRequest { attributes: Some(AttributeContext { source, request, ..AttributeContext::default() }) }
}

fn granted(response: &CheckResponse) -> &OkHttpResponse {
    assert_eq!(response.status.as_ref().unwrap().code, i32::from(Code::Ok), "{response:?}");
    let Some(HttpResponse::OkResponse(granted)) = &response.http_response else { panic!("{response:?}") };
    granted
}

/// The refusal and its status.
fn denied(response: &CheckResponse) -> (i32, &DeniedHttpResponse) {
    assert_ne!(response.status.as_ref().unwrap().code, i32::from(Code::Ok), "{response:?}");
    let Some(HttpResponse::DeniedResponse(denied)) = &response.http_response else { panic!("{response:?}") };
    (denied.status.unwrap().code, denied)
}

fn values<'a>(fields: &'a [HeaderValueOption], name: &str) -> Vec<&'a str> {
    let fields = fields.iter().map(|field| field.header.as_ref().unwrap());
    fields.filter(|field| field.key == name).map(|field| field.value.as_str()).collect()
}

fn noted<'a>(response: &'a CheckResponse, name: &str) -> &'a str {
    let Some(Kind::StringValue(text)) = &response.dynamic_metadata.as_ref().unwrap().fields[name].kind else {
        panic!("{response:?}")
    };
    text
}

#[tokio::test]
async fn what_may_pass_goes_on_with_the_caller_s_identity_and_once_only() {
    let envoy = Envoy::start().await;
    let (token, proof) = envoy.credentials("PUT", "/a%2Fb", None).await;
    let fields = [
        ("authorization", token.as_str()),
        ("dpop", &proof),
        ("countersign-subject", "root"),
        ("countersign_scope", "all"),
        ("countersign-tenant", "1"),
    ];
    let response = envoy.ask("PUT", "/a%2Fb?c=/", &fields).await;
    let passed = granted(&response);
    let expected = [("subject", "al%C3%AFce"), ("client", "client-1"), ("scope", "read write")];
    for (name, value) in expected {
        assert_eq!(values(&passed.headers, &format!("countersign-{name}")), [value]);
    }
    assert_eq!(values(&passed.headers, "countersign-jkt"), [envoy.world.jkt().to_string()]);
    let overwrites =
        |field: &HeaderValueOption| field.append_action == i32::from(HeaderAppendAction::OverwriteIfExistsOrAdd);
    assert!(passed.headers.iter().all(overwrites), "{passed:?}");
    let mut removed = passed.headers_to_remove.clone();
    removed.sort();
    assert_eq!(removed, ["authorization", "countersign-tenant", "countersign_scope", "dpop"]);
    assert!(passed.response_headers_to_add.is_empty() && passed.query_parameters_to_set.is_empty());
    assert_eq!(noted(&response, "code"), "ok");
    assert_eq!(Some(noted(&response, "request")), envoy.world.decisions.all()[0].request.as_deref());
    let again = envoy.ask("PUT", "/a%2Fb?c=/", &fields).await;
    let (status, refusal) = denied(&again);
    assert_eq!(status, 401);
    assert!(values(&refusal.headers, "www-authenticate")[0].contains("invalid_dpop_proof"), "{refusal:?}");
    assert_eq!(noted(&again, "code"), "replayed");
    assert_eq!(envoy.world.decisions.codes(), ["ok", "replayed"]);
}

#[tokio::test]
async fn the_fields_may_come_as_they_were_received() {
    let envoy = Envoy::start().await;
    let (token, proof) = envoy.credentials("GET", "/", None).await;
    let credentials = [("authorization", token.as_str()), ("dpop", &proof)];
    let raw = with_raw_fields(http("GET", "/", &[]), &credentials);
    granted(&envoy.send(question(raw)).await.unwrap());
}

#[tokio::test]
async fn a_doubled_proof_is_refused_in_both_shapes() {
    let envoy = Envoy::start().await;
    let (token, proof) = envoy.credentials("GET", "/", None).await;
    let twice = [("authorization", token.as_str()), ("dpop", &proof), ("dpop", &proof)];
    let joined = http("GET", "/", &twice);
    assert!(joined.headers["dpop"].contains(','));
    for asked in [joined, with_raw_fields(http("GET", "/", &[]), &twice)] {
        let response = envoy.send(question(asked)).await.unwrap();
        let (status, refusal) = denied(&response);
        assert_eq!(status, 401);
        assert!(values(&refusal.headers, "www-authenticate")[0].contains("invalid_dpop_proof"), "{refusal:?}");
    }
    assert_eq!(envoy.world.decisions.codes(), ["proof_not_text", "proof_repeated"]);
    granted(&envoy.ask("GET", "/", &twice[..2]).await);
}

#[tokio::test]
async fn every_kind_of_refusal_reaches_the_client() {
    let envoy = Envoy::start_with(|settings| settings.stage = Stage::Accept).await;
    let bare = envoy.ask("GET", "/", &[]).await;
    let (status, refusal) = denied(&bare);
    assert_eq!((status, bare.status.as_ref().unwrap().code), (401, i32::from(Code::Unauthenticated)));
    let challenges = values(&refusal.headers, "www-authenticate");
    assert!(challenges.len() == 2 && challenges[0].starts_with("DPoP algs="), "one each: {challenges:?}");
    assert!(challenges[1].starts_with("Bearer") && challenges.iter().all(|one| !one.contains("error=")));
    assert_eq!(values(&refusal.headers, "cache-control"), ["no-store"]);
    assert_eq!(values(&refusal.headers, "x-request-id"), [noted(&bare, "request")]);
    assert!(refusal.body.starts_with('{'), "{}", refusal.body);
    let (token, proof) = envoy.credentials("GET", "/", None).await;
    let fields = [("authorization", token.as_str()), ("dpop", &*proof)];
    for (method, path, host, expected, code) in [
        ("POST", "/", HOST, 401, "htm_mismatch"),
        ("GET", "/b", HOST, 401, "htu_mismatch"),
        ("GET", "/?access_token=x", HOST, 400, "token_outside_header"),
        ("GET", "/", "other.example", 421, "foreign_authority"),
    ] {
        let asked = HttpRequest { host: host.to_owned(), ..http(method, path, &fields) };
        let response = envoy.send(question(asked)).await.unwrap();
        assert_eq!((denied(&response).0, noted(&response, "code")), (expected, code));
    }
    granted(&envoy.ask("GET", "/", &fields).await);
}

#[tokio::test]
async fn nonces_are_demanded_and_renewed_through_the_proxy() {
    let envoy = Envoy::start_with(|settings| settings.nonce = countersign_dpop::NoncePolicy::Required).await;
    let (token, proof) = envoy.credentials("GET", "/", None).await;
    let challenged = envoy.ask("GET", "/", &[("authorization", &token), ("dpop", &proof)]).await;
    let (status, refusal) = denied(&challenged);
    assert_eq!(status, 401);
    assert!(values(&refusal.headers, "www-authenticate")[0].contains("use_dpop_nonce"), "{refusal:?}");
    let [nonce] = values(&refusal.headers, "dpop-nonce")[..] else { panic!("exactly one: {refusal:?}") };
    envoy.world.clock.advance(70);
    let (token, proof) = envoy.credentials("GET", "/", Some(nonce)).await;
    let response = envoy.ask("GET", "/", &[("authorization", &token), ("dpop", &proof)]).await;
    let learned = &granted(&response).response_headers_to_add;
    let [renewed] = values(learned, "dpop-nonce")[..] else { panic!("exactly one: {learned:?}") };
    assert_ne!(renewed, nonce);
    assert_eq!(values(learned, "cache-control"), ["no-store"]);
}

#[tokio::test]
async fn observe_leaves_everything_but_names_that_an_api_trusts() {
    let envoy = Envoy::start_with(|settings| settings.stage = Stage::Observe).await;
    let (token, proof) = envoy.credentials("GET", "/", None).await;
    for fields in [
        &[("countersign-subject", "root")][..],
        &[("authorization", &token), ("dpop", "garbage"), ("countersign-subject", "root")],
        &[("authorization", &token), ("dpop", &proof), ("countersign-subject", "root")],
    ] {
        let response = envoy.ask("GET", "/", fields).await;
        let passed = granted(&response);
        assert_eq!(passed.headers_to_remove, ["countersign-subject"]);
        assert!(passed.headers.is_empty() && passed.response_headers_to_add.is_empty(), "{passed:?}");
    }
    assert_eq!(envoy.world.decisions.codes(), ["no_credentials", "proof_malformed", "ok"]);
}

#[tokio::test]
async fn hostile_questions_are_refused() {
    let envoy = Envoy::start().await;
    let odd: [fn(&mut HttpRequest); 6] = [
        |http| http.path = "/a b".to_owned(),
        |http| http.path = "/a\r\nb".to_owned(),
        |http| http.path = String::new(),
        |http| http.method = "G\u{0}T".to_owned(),
        |http| http.host = String::new(),
        |http| drop(http.headers.insert("x\n".to_owned(), "y".to_owned())),
    ];
    let mut refused = Vec::new();
    for change in odd {
        let mut asked = http("GET", "/", &[]);
        change(&mut asked);
        refused.push(question(asked));
    }
    refused.push(CheckRequest::default());
    for question in refused {
        let response = envoy.send(question).await.unwrap();
        assert_eq!((denied(&response).0, noted(&response, "code")), (400, "attributes"));
    }
    let mut many = http("GET", "/", &[]);
    many.headers.extend((0..2_000).map(|number| (format!("x-{number}"), String::new())));
    let response = envoy.send(question(many)).await.unwrap();
    assert_eq!((denied(&response).0, noted(&response, "code")), (431, "too_many_fields"));
    let response = envoy.ask("CONNECT", "/", &[]).await;
    assert_eq!((denied(&response).0, noted(&response, "code")), (405, "connect_method"));
    let huge = HttpRequest { body: "x".repeat(300 * 1_024), ..http("GET", "/", &[]) };
    let status = envoy.send(question(huge)).await.unwrap_err();
    assert!([Code::OutOfRange, Code::ResourceExhausted].contains(&status.code()), "{status}");
    assert!(envoy.world.decisions.codes().is_empty(), "nothing was judged");
    assert_eq!(denied(&envoy.ask("GET", "/", &[]).await).0, 401, "and it goes on");
}

#[tokio::test]
async fn only_a_trusted_envoy_may_ask() {
    let envoy = Envoy::start_with(|settings| {
        settings.mode = Mode::ExtAuthz { trusted: vec!["192.0.2.0/24".parse().unwrap()], keep_credentials: false };
    })
    .await;
    let status = envoy.send(question(http("GET", "/", &[]))).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let mut health = health_of(&envoy.world).await;
    assert_eq!(health.check(HealthCheckRequest::default()).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn what_is_not_grpc_gets_the_metadata_or_nothing() {
    let envoy = Envoy::start().await;
    let mut client = envoy.world.connect().await;
    client.send(&format!("GET /.well-known/oauth-protected-resource HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let metadata = client.read_message().await;
    assert_eq!(metadata.status(), 200);
    assert!(metadata.body.contains("authorization_servers"), "{}", metadata.body);
    let check = "POST /envoy.service.auth.v3.Authorization/Check HTTP/1.1";
    client
        .send(&format!("{check}\r\nHost: {HOST}\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n"))
        .await;
    assert_eq!(client.read_message().await.status(), 415);
}

#[tokio::test]
async fn health_follows_what_requests_need_and_a_store_away_is_503() {
    let nowhere = countersign_testkit::service::free_address().unwrap();
    let envoy = Envoy::start_with(|settings| {
        let server = RedisServer::parse(&format!("redis://{nowhere}")).unwrap();
        settings.replay = ReplaySetting::Redis { server, capacity: ReplaySetting::DEFAULT_CAPACITY };
    })
    .await;
    let mut health = health_of(&envoy.world).await;
    let mut status = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        health.check(request).await.map(|answer| answer.into_inner().status)
    };
    assert_eq!(status("").await.unwrap(), i32::from(ServingStatus::NotServing));
    assert_eq!(status("other").await.unwrap_err().code(), Code::NotFound);
    let (token, proof) = envoy.credentials("GET", "/", None).await;
    let response = envoy.ask("GET", "/", &[("authorization", &token), ("dpop", &proof)]).await;
    let (status, refusal) = denied(&response);
    assert_eq!((status, response.status.as_ref().unwrap().code), (503, i32::from(Code::Unavailable)));
    assert_eq!(values(&refusal.headers, "retry-after"), ["5"]);
    assert!(values(&refusal.headers, "www-authenticate").is_empty());
    let well = Envoy::start().await;
    let mut health = health_of(&well.world).await;
    let request = HealthCheckRequest { service: "envoy.service.auth.v3.Authorization".to_owned() };
    assert_eq!(health.check(request).await.unwrap().into_inner().status(), ServingStatus::Serving);
}

#[tokio::test]
async fn pages_of_allowed_origins_can_read_refusals() {
    let page = "https://app.example.com";
    let envoy = Envoy::start_with(|settings| {
        settings.cors = Some(countersign_resource::Cors::new(&[page.to_owned()]).unwrap());
    })
    .await;
    let preflight = [("origin", page), ("access-control-request-method", "GET")];
    let response = envoy.ask("OPTIONS", "/", &preflight).await;
    assert!(granted(&response).headers.is_empty(), "the API answers it");
    let response = envoy.ask("GET", "/", &[("origin", page)]).await;
    let (status, refusal) = denied(&response);
    assert_eq!((status, values(&refusal.headers, "access-control-allow-origin")), (401, vec![page]));
    assert!(values(&refusal.headers, "access-control-expose-headers")[0].to_lowercase().contains("dpop-nonce"));
}

/// Envoy asks, and the API asks again with a store of its own: the proof is good once in each.
#[tokio::test]
async fn an_api_that_checks_proofs_itself_gets_them() {
    let mut shared = None;
    let envoy = Envoy::start_with(|settings| {
        settings.mode = Mode::ExtAuthz { trusted: vec!["127.0.0.0/8".parse().unwrap()], keep_credentials: true };
        shared = Some(settings.issuers.clone());
    })
    .await;
    let api = World::start_with(|settings| {
        settings.mode = Mode::ForwardAuth {
            proxy: countersign_gateway::FrontProxy::Caddy,
            trusted: vec!["127.0.0.0/8".parse().unwrap()],
        };
        settings.issuers = shared.unwrap();
    })
    .await;
    let (token, proof) = envoy.credentials("GET", "/", None).await;
    let fields = [("authorization", token.as_str()), ("dpop", &proof)];
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Uri: /\r\n\
         Authorization: {token}\r\nDPoP: {proof}\r\n\r\n"
    );
    let mut to_api = api.connect().await;
    let mut both = Vec::new();
    for _ in 0..2 {
        let response = envoy.ask("GET", "/", &fields).await;
        let passed = matches!(&response.http_response, Some(HttpResponse::OkResponse(_)));
        if passed {
            assert!(granted(&response).headers_to_remove.is_empty(), "credentials go on");
        }
        to_api.send(&request).await;
        both.push((passed, to_api.read_message().await.status()));
    }
    assert_eq!(both, [(true, 200), (false, 401)], "once at each of the two");
}
