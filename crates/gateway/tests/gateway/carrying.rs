//! How requests carry token, proof and authority; rows of groups A, B, L and M.

use countersign_dpop::PublicOrigin;

use crate::wire::Message;
use crate::world::{HOST, ORIGIN, World};

const CHALLENGE: &str = "DPoP algs=\"ES256 Ed25519 EdDSA ES384 ES512 PS256 RS256\", \
     resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource\"";

/// Sends one request and reads the answer, which the gateway has to give by itself.
async fn answer(world: &World, request: &str) -> Message {
    let mut client = world.connect().await;
    client.send(request).await;
    client.read_message().await
}

/// Sends one request, lets the upstream answer, and gives what it received.
async fn forwarded(world: &World, request: &str) -> Message {
    let client = async {
        let answer = answer(world, request).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
    };
    let played = async {
        let mut upstream = world.accept().await;
        let received = upstream.read_message().await;
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        received
    };
    tokio::join!(client, played).1
}

#[tokio::test]
async fn a_good_request_reaches_the_upstream_with_its_caller_s_name_and_without_his_credentials() {
    let world = World::start().await;
    let fields = world.fields("GET", "/a").await;
    // Row 474: what the client claims under the gateway's names goes, in every spelling.
    let request = format!(
        "GET /a?b=c HTTP/1.1\r\n{fields}Accept: text/plain\r\nCountersign-Subject: root\r\ncountersign_scope: admin\r\n\
         Countersign-Admin: yes\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"
    );
    let mut received = forwarded(&world, &request).await;
    received.fields.sort();
    let named = received.fields.iter().position(|line| line.starts_with("x-request-id: ")).unwrap();
    received.fields.remove(named);
    assert_eq!(received.line, "GET /a?b=c HTTP/1.1");
    assert_eq!(
        received.fields,
        [
            "accept: text/plain".to_owned(),
            "countersign-client: client-1".to_owned(),
            "countersign-issuer: https://idp.example.com".to_owned(),
            format!("countersign-jkt: {}", world.jkt()),
            "countersign-scope: read write".to_owned(),
            "countersign-subject: al%C3%AFce".to_owned(),
            format!("host: {}", world.upstream.local_addr().unwrap()),
            "via: 1.1 countersign".to_owned(),
            "x-forwarded-for: 127.0.0.1".to_owned(),
            "x-forwarded-host: api.example.com".to_owned(),
            "x-forwarded-proto: https".to_owned(),
        ]
    );
    assert_eq!(world.decisions.codes(), ["ok"]);
}

#[tokio::test]
async fn callers_that_take_turns_on_one_connection_are_each_named_as_themselves() {
    let world = World::start().await;
    let requests = async |subject: &str| {
        let changes = serde_json::json!({ "sub": subject });
        format!("GET /a HTTP/1.1\r\n{}\r\n", world.fields_by_another_key("GET", "/a", changes).await)
    };
    let asked = [requests("bob").await, requests("carol").await, requests("bob").await, requests("bob").await];
    let client = async {
        let mut client = world.connect().await;
        for request in &asked {
            client.send(request).await;
            assert_eq!(client.read_message().await.status(), 200);
        }
    };
    let played = async {
        let (mut upstream, mut named) = (world.accept().await, Vec::new());
        for _ in &asked {
            let received = upstream.read_message().await;
            named.push(["countersign-subject", "countersign-jkt"].map(|name| received.field(name).unwrap().to_owned()));
            upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
        named
    };
    let ((), named) = tokio::join!(client, played);
    assert_eq!(named.iter().map(|[subject, _]| subject.as_str()).collect::<Vec<_>>(), ["bob", "carol", "bob", "bob"]);
    // Every time by another key.
    let keys: std::collections::HashSet<_> = named.iter().map(|[_, jkt]| jkt).collect();
    assert_eq!(keys.len(), 4);
}

#[tokio::test]
async fn a_claim_that_the_token_does_not_have_leaves_no_field() {
    let world = World::start().await;
    let token = world.token_with(|claims| claims["scope"] = serde_json::Value::String(String::new())).await;
    let proof = world.proof("GET", ORIGIN, &token, None).await;
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n\r\n");
    let received = forwarded(&world, &request).await;
    assert!(received.values("countersign-scope").next().is_none(), "{received:?}");
    assert!(received.field("countersign-client").is_some(), "{received:?}");
}

#[tokio::test]
async fn without_credentials_there_is_a_challenge_without_an_error_and_the_connection_lives_on() {
    let world = World::start().await;
    let mut client = world.connect().await;
    // Rows 37 and 38, and 19: a proof elsewhere is no proof.
    let proof = world.proof("GET", ORIGIN, "token", None).await;
    for fields in [String::new(), format!("DPoP: {proof}\r\n"), format!("X-DPoP: {proof}\r\n")] {
        client.send(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n")).await;
        let answer = client.read_message().await;
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.field("www-authenticate"), Some(CHALLENGE));
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        assert!(answer.field("date").is_some());
    }
    client.send(&world.request("GET", "/").await).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(client.read_message().await.status(), 204);
}

#[tokio::test]
async fn odd_ways_to_carry_a_proof_are_refused() {
    let world = World::start().await;
    let token = world.token().await;
    let proof = || world.proof("GET", ORIGIN, &token, None);
    let (one, two) = (proof().await, proof().await);
    let long = "a".repeat(4_097);
    for (row, fields) in [
        (1, format!("DPoP: {one}\r\nDPoP: {two}\r\n")),
        (3, format!("DPoP: {one}\r\nDPoP: garbage\r\n")),
        (4, format!("DPoP: garbage\r\nDPoP: {one}\r\n")),
        (5, format!("DPoP: {one}, {two}\r\n")),
        (6, format!("DPoP: {one},\r\n")),
        (8, "DPoP:  \t \r\n".to_owned()),
        (15, format!("DPoP: DPoP {one}\r\n")),
        (20, format!("DPoP: {long}\r\n")),
        (23, format!("DPoP: {one};param=1\r\n")),
        (25, String::new()),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: DPoP {token}\r\n{fields}\r\n");
        let answer = answer(&world, &request).await;
        assert_eq!((answer.status(), answer.code()), (401, "invalid_dpop_proof"), "row {row}");
    }
    // Row 9, and that none of the refusals above spent anything.
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: DPoP {token}\r\nDPoP: \t{one} \t\r\n\r\n");
    forwarded(&world, &request).await;
}

#[tokio::test]
async fn odd_ways_to_carry_a_token_are_refused() {
    let world = World::start().await;
    let token = world.token().await;
    let proof = world.proof("GET", ORIGIN, &token, None).await;
    for (row, target, authorization, expected) in [
        (26, "/", format!("Authorization: Bearer {token}\r\n"), (401, "invalid_token")),
        (27, "/", format!("Authorization: BeArEr {token}\r\n"), (401, "invalid_token")),
        (
            31,
            "/",
            format!("Authorization: DPoP {token}\r\nAuthorization: Bearer {token}\r\n"),
            (400, "invalid_request"),
        ),
        (32, "/", format!("Authorization: DPoP {token}\r\nAuthorization: DPoP {token}\r\n"), (400, "invalid_request")),
        (36, "/?a=b&access_token=x", format!("Authorization: DPoP {token}\r\n"), (400, "invalid_request")),
        (39, "/", "Authorization: DPoP \r\n".to_owned(), (401, "invalid_token")),
        (40, "/", format!("Authorization: DPoP {token}{{\r\n"), (401, "invalid_token")),
        (43, "/", format!("Authorization: DPoP {token}, realm=\"x\"\r\n"), (401, "invalid_token")),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{authorization}DPoP: {proof}\r\n\r\n");
        let answer = answer(&world, &request).await;
        assert_eq!((answer.status(), answer.code()), expected, "row {row}: {answer:?}");
    }
}

#[tokio::test]
async fn a_proof_in_a_trailer_is_no_proof() {
    let world = World::start().await;
    let token = world.token().await;
    let proof = world.proof("POST", ORIGIN, &token, None).await;
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: DPoP {token}\r\nTrailer: DPoP\r\n\
         Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nDPoP: {proof}\r\n\r\n"
    );
    let answer = answer(&world, &request).await;
    assert_eq!((answer.status(), answer.code()), (401, "invalid_dpop_proof"), "row 18");
}

#[tokio::test]
async fn forwarding_fields_of_a_client_say_nothing_about_the_origin() {
    let world = World::start().await;
    let token = world.token().await;
    let proof = world.proof("GET", "https://evil.example/", &token, None).await;
    for claim in [
        "X-Forwarded-Host: evil.example\r\n",
        "X-Forwarded-Host: api.example.com, evil.example\r\nX-Forwarded-Host: evil.example\r\n",
        "Forwarded: host=evil.example;proto=https\r\n",
    ] {
        let request =
            format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n{claim}\r\n");
        let answer = answer(&world, &request).await;
        assert_eq!((answer.status(), answer.code()), (401, "invalid_dpop_proof"), "rows 464, 466: {claim}");
    }
}

#[tokio::test]
async fn a_request_for_another_authority_is_misdirected_and_an_unclear_one_is_bad() {
    let world = World::start().await;
    let fields = world.fields("GET", "/").await;
    let credentials = fields.split_once("\r\n").unwrap().1;
    for (target, hosts, status) in [
        ("/", "Host: evil.example\r\n", 421),
        ("/", "Host: api.example.com:8443\r\n", 421),
        ("/", "Host: user@api.example.com\r\n", 421),
        ("/", "Host:\r\n", 421),
        ("http://evil.example/", "Host: evil.example\r\n", 421),
        ("http://evil.example/", "Host: api.example.com\r\n", 421),
        ("https://api.example.com/", "Host: evil.example\r\n", 400),
        ("/", "Host: api.example.com\r\nHost: api.example.com\r\n", 400),
        ("/", "Host: api.example.com\r\nHost: evil.example\r\n", 400),
        ("/", "", 400),
        ("*", "Host: api.example.com\r\n", 400),
    ] {
        let answer = answer(&world, &format!("GET {target} HTTP/1.1\r\n{hosts}{credentials}\r\n")).await;
        assert_eq!(answer.status(), status, "rows 468, 486: {target} {hosts:?}");
    }
    for (target, hosts) in [
        ("/", "Host: API.example.com:443\r\n"),
        ("https://api.example.com/", "Host: api.example.com\r\n"),
        ("http://api.example.com/", "Host: api.example.com\r\n"),
    ] {
        let fields = world.fields("GET", "/").await;
        let credentials = fields.split_once("\r\n").unwrap().1;
        forwarded(&world, &format!("GET {target} HTTP/1.1\r\n{hosts}{credentials}\r\n")).await;
    }
}

#[tokio::test]
async fn an_alias_of_the_origin_has_a_url_of_its_own() {
    let world =
        World::start_with(|settings| settings.aliases = vec![PublicOrigin::parse("https://api.example.org").unwrap()])
            .await;
    let token = world.token().await;
    let request = async |host: &str, url: &str| {
        let proof = world.proof("GET", url, &token, None).await;
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n\r\n")
    };
    let received = forwarded(&world, &request("api.example.org", "https://api.example.org/").await).await;
    assert_eq!(received.field("x-forwarded-host"), Some("api.example.org"));
    let crossed = answer(&world, &request("api.example.org", ORIGIN).await).await;
    assert_eq!((crossed.status(), crossed.code()), (401, "invalid_dpop_proof"));
}

#[tokio::test]
async fn connect_is_not_a_method_here() {
    let world = World::start().await;
    for target in ["api.example.com:443", "evil.example:443"] {
        let answer = answer(&world, &format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")).await;
        assert_eq!(answer.status(), 405, "row 480");
        assert!(answer.field("allow").is_some());
    }
}

#[tokio::test]
async fn a_connection_field_takes_off_neither_credentials_before_the_check_nor_the_caller_s_name_after_it() {
    let world = World::start().await;
    let fields = world.fields("GET", "/").await;
    let request = format!(
        "GET / HTTP/1.1\r\n{fields}Connection: DPoP, Authorization, Countersign-Subject, X-Forwarded-For, Host, Via\r\n\r\n"
    );
    let received = forwarded(&world, &request).await;
    for absent in ["dpop", "authorization", "connection"] {
        assert!(received.values(absent).next().is_none(), "row 473: {received:?}");
    }
    for present in ["countersign-subject", "x-forwarded-for", "host", "via"] {
        assert!(received.field(present).is_some(), "row 473: {present} in {received:?}");
    }
    let without = "GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: DPoP, Authorization\r\n\r\n";
    assert_eq!(answer(&world, without).await.status(), 401, "row 473");
}

#[tokio::test]
async fn an_encoded_path_is_neither_opened_nor_taken_for_another() {
    let world = World::start().await;
    let token = world.token().await;
    let request = async |target: &str, url: &str| {
        let proof = world.proof("GET", &format!("{ORIGIN}{url}"), &token, None).await;
        format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n\r\n")
    };
    for (target, url) in [
        ("/public/..%2fprivate", "/public/x"),
        ("/public/..%2fprivate", "/private"),
        ("/public/%2e%2e/private", "/public/private"),
        ("/public/../private", "/public/private"),
        ("/private;x=1", "/private"),
        ("/Private", "/private"),
        ("/private/", "/private"),
    ] {
        let answer = answer(&world, &request(target, url).await).await;
        assert_eq!((answer.status(), answer.code()), (401, "invalid_dpop_proof"), "rows 477, 478: {target}");
    }
    // What RFC 3986 says is the same is the same, and the upstream gets it as it was sent.
    let received = forwarded(&world, &request("/public/%2e%2e/private", "/private").await).await;
    assert_eq!(received.line, "GET /public/%2e%2e/private HTTP/1.1");
}

#[tokio::test]
async fn a_head_request_is_refused_as_a_get_is_but_without_a_body() {
    let world = World::start().await;
    let mut client = world.connect().await;
    client.send(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let mut get = client.read_message().await;
    client.send(&format!("HEAD / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let mut head = client.read_head().await;
    for message in [&mut get, &mut head] {
        // A second may pass between the two, and each has a name of its own.
        message.fields.retain(|line| !line.starts_with("date:") && !line.starts_with("x-request-id:"));
    }
    assert_eq!((get.line, get.fields), (head.line, head.fields), "row 455");
    client.send(&world.request("GET", "/").await).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(client.read_message().await.line, "HTTP/1.1 204 No Content", "nothing of a body was in between");
}

#[tokio::test]
async fn an_options_request_with_credentials_is_a_request_like_any_other() {
    let world = World::start().await;
    let received = forwarded(&world, &world.request("OPTIONS", "/").await).await;
    assert_eq!(received.line, "OPTIONS / HTTP/1.1", "row 454");
    let bare = answer(&world, &format!("OPTIONS / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    assert_eq!(bare.status(), 401);
}

#[tokio::test]
async fn pages_of_configured_origins_may_ask_and_read_what_they_need() {
    let world = World::start_with(|settings| {
        settings.cors = Some(countersign_resource::Cors::new(["https://app.example.com"]).unwrap());
    })
    .await;
    let preflight = "OPTIONS /x HTTP/1.1\r\nHost: api.example.com\r\nOrigin: https://app.example.com\r\n\
        Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: dpop,authorization\r\n\r\n";
    let answered = answer(&world, preflight).await;
    assert_eq!(answered.status(), 204, "row 451");
    assert_eq!(answered.field("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(answered.field("access-control-allow-methods"), Some("PUT"));
    assert_eq!(answered.field("access-control-allow-headers"), Some("Authorization, DPoP, Content-Type"));

    let refused =
        answer(&world, "GET / HTTP/1.1\r\nHost: api.example.com\r\nOrigin: https://app.example.com\r\n\r\n").await;
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.field("access-control-expose-headers"), Some("DPoP-Nonce, WWW-Authenticate"), "row 452");

    let foreign = preflight.replace("app.example.com", "evil.example");
    assert_eq!(answer(&world, &foreign).await.status(), 401);
    let misdirected = preflight.replace("Host: api.example.com", "Host: evil.example");
    assert_eq!(answer(&world, &misdirected).await.status(), 421);
}

#[tokio::test]
async fn the_metadata_is_at_both_well_known_places() {
    let world = World::start_with(|settings| settings.audience = format!("{ORIGIN}/v1")).await;
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/v1"] {
        let answer = answer(&world, &format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        assert_eq!(answer.status(), 200);
        let document: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(document["resource"], "https://api.example.com/v1");
        assert_eq!(document["authorization_servers"][0], "https://idp.example.com");
        assert_eq!(document["dpop_bound_access_tokens_required"], true);
    }
    let foreign = "GET /.well-known/oauth-protected-resource HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    assert_eq!(answer(&world, foreign).await.status(), 421);
}

#[tokio::test]
async fn a_proof_is_good_once() {
    let world = World::start().await;
    let request = world.request("GET", "/").await;
    forwarded(&world, &request).await;
    let answer = answer(&world, &request).await;
    assert_eq!((answer.status(), answer.code()), (401, "invalid_dpop_proof"));
    assert_eq!(world.decisions.codes(), ["ok", "replayed"]);
}

#[tokio::test]
async fn a_proof_sent_many_times_at_once_is_good_once() {
    let world = World::start().await;
    let request = world.request("GET", "/").await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(world.connect().await);
    }
    let sending = clients.iter_mut().map(|client| async {
        client.send(&request).await;
        client.read_message().await.status()
    });
    let played = async {
        let mut upstream = world.accept().await;
        upstream.read_message().await;
        upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        upstream
    };
    let (mut statuses, _upstream) = tokio::join!(futures_util::future::join_all(sending), played);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401, 401, 401, 401, 401, 401, 401]);
}

#[tokio::test]
async fn an_old_client_that_names_no_host_is_judged_by_the_configured_origin() {
    let world = World::start().await;
    let fields = world.fields("GET", "/").await;
    let credentials = fields.split_once("\r\n").unwrap().1;
    let received = forwarded(&world, &format!("GET / HTTP/1.0\r\n{credentials}\r\n")).await;
    assert_eq!(received.line, "GET / HTTP/1.1");
    assert_eq!(received.field("x-forwarded-host"), Some(HOST));
}

#[tokio::test]
async fn nothing_secret_is_in_the_decision_log() {
    let world = World::start().await;
    let token = world.token().await;
    let proof = world.proof("GET", ORIGIN, &token, None).await;
    let good = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n\r\n");
    forwarded(&world, &good).await;
    answer(&world, &good).await;
    answer(&world, &good.replace("GET", "PUT")).await;
    let lines = world.decisions.lines();
    assert_eq!(lines.lines().count(), 3);
    for secret in token.split('.').chain(proof.split('.')) {
        assert!(!lines.contains(secret), "{lines}");
    }
}
