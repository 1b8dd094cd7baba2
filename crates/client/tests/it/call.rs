use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use countersign_client::{CallError, EndpointError, NonceError, RequestBody, Server, Step, TimeLimits, TransportError};
use countersign_dpop::{Ath, ErrorCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::played::*;

fn ok(_: &Seen) -> axum::response::Response {
    reply(200, &[], "hello")
}

async fn text(response: http::Response<countersign_client::ResponseBody>) -> String {
    let bytes = response.into_body().read_at_most(1 << 20).await.expect("a body");
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn proof_refused(date: &str) -> axum::response::Response {
    reply(401, &[("www-authenticate", r#"DPoP error="invalid_dpop_proof", algs="ES256""#), ("date", date)], "")
}

#[tokio::test]
async fn attaches_token_and_proof_to_a_call() {
    let server = resource(ok).await;
    let client = client(&server);
    let request = http::Request::post(format!("{}/a/b?c=d#e", server.origin()))
        .header("x-mine", "1")
        .body(RequestBody::from(Bytes::from_static(b"body")))
        .expect("a request");
    let response = client.call(request).await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert_eq!(text(response).await, "hello");

    let seen = &server.seen_at("/a/b")[0];
    assert_eq!((seen.method.as_str(), seen.query.as_deref(), seen.field("x-mine")), ("POST", Some("c=d"), "1"));
    assert_eq!(seen.body, "body");
    assert_eq!(seen.field("authorization"), format!("DPoP {TOKEN}"));
    let proof = seen.proof();
    assert_eq!(proof["htm"], "POST");
    assert_eq!(proof["htu"], format!("{}/a/b", server.origin()));
    assert_eq!(proof["iat"], NOW);
    assert_eq!(proof["ath"], Ath::of(TOKEN).to_string());
    assert_eq!(proof.get("nonce"), None);
}

#[tokio::test]
async fn writes_htu_without_query_fragment_user_and_default_port() {
    let server = resource(ok).await;
    let client = client(&server);
    let host = server.origin().trim_start_matches("http://").to_owned();
    let url = format!("http://user:pw@{host}/p?q=1#f");
    client.call(get(&url)).await.expect("an answer");
    let seen = &server.seen_at("/p")[0];
    assert_eq!(seen.proof()["htu"], format!("http://{host}/p"), "row 503");
    assert!(seen.field("authorization").starts_with("DPoP "), "row 503: user information is not sent as Basic");
}

#[tokio::test]
async fn answers_a_nonce_challenge_once_with_a_fresh_proof() {
    let server = resource(|seen| match seen.proof().get("nonce") {
        Some(nonce) if nonce == "n1" => reply(200, &[], "hello"),
        _ => nonce_challenge("n1"),
    })
    .await;
    let (client, steps) = observed(client(&server));
    let post = |url: String| http::Request::post(url).body(RequestBody::from("body".to_owned())).expect("a request");
    let response = client.call(post(format!("{}/x", server.origin()))).await.expect("row 492");
    assert_eq!(text(response).await, "hello");

    let seen = server.seen_at("/x");
    assert_eq!(seen.len(), 2, "row 492");
    let (first, second) = (seen[0].proof(), seen[1].proof());
    assert_eq!((first.get("nonce"), &second["nonce"]), (None, &json!("n1")));
    assert_ne!(first["jti"], second["jti"], "row 492: a fresh jti");
    assert_eq!((&seen[0].body, &seen[1].body), (&Bytes::from("body"), &Bytes::from("body")));

    client.call(post(format!("{}/y", server.origin()))).await.expect("an answer");
    assert_eq!(server.seen_at("/y").len(), 1, "the nonce is used from the start");
    let asked =
        |step: &Step| matches!(step, Step::Answered { error: Some(ErrorCode::UseDpopNonce), nonce_given: true, .. });
    assert_eq!(steps.lock().expect("not poisoned").iter().filter(|step| asked(step)).count(), 1);
}

#[tokio::test]
async fn understands_a_scheme_in_any_letter_case() {
    let server = resource(|seen| {
        if seen.proof().get("nonce").is_some() {
            return reply(200, &[], "");
        }
        let challenges = r#"Bearer realm="x", dPoP algs="ES256", error="use_dpop_nonce""#;
        reply(401, &[("www-authenticate", challenges), ("dpop-nonce", "n1")], "")
    })
    .await;
    let response = client(&server).call(get(&format!("{}/x", server.origin()))).await.expect("row 495");
    assert_eq!(response.status(), 200, "row 495");
}

#[tokio::test]
async fn gives_up_on_endless_nonce_challenges() {
    let count = AtomicUsize::new(0);
    let server = resource(move |_| nonce_challenge(&format!("n{}", count.fetch_add(1, Ordering::SeqCst)))).await;
    let error = client(&server).call(get(&format!("{}/x", server.origin()))).await.expect_err("row 493");
    assert!(matches!(error, CallError::Nonce(NonceError::Unending)), "row 493: {error:?}");
    assert_eq!(server.seen_at("/x").len(), 2, "row 493");
}

#[tokio::test]
async fn gives_up_when_the_same_nonce_comes_again() {
    let server = resource(|_| nonce_challenge("n1")).await;
    let error = client(&server).call(get(&format!("{}/x", server.origin()))).await.expect_err("no answer");
    assert!(matches!(error, CallError::Nonce(NonceError::Repeated)), "{error:?}");
    assert_eq!(server.seen_at("/x").len(), 2);
}

#[tokio::test]
async fn refuses_a_nonce_challenge_without_a_nonce() {
    let server = resource(|_| reply(401, &[("www-authenticate", r#"DPoP error="use_dpop_nonce""#)], "")).await;
    let error = client(&server).call(get(&format!("{}/x", server.origin()))).await.expect_err("row 494");
    assert!(matches!(error, CallError::Nonce(NonceError::Missing)), "row 494: {error:?}");
    assert_eq!(server.seen_at("/x").len(), 1, "row 494");
}

#[tokio::test]
async fn refuses_nonces_that_cannot_be_one() {
    for nonce in ["a\tb", "a b", "a\"b", "a\\b", "", &"x".repeat(513)] {
        let nonce = nonce.to_owned();
        let server = resource(move |_| nonce_challenge(&nonce)).await;
        let error = client(&server).call(get(&format!("{}/x", server.origin()))).await.expect_err("no answer");
        assert!(matches!(error, CallError::Nonce(NonceError::Unusable)), "{error:?}");
        assert_eq!(server.seen_at("/x").len(), 1);
    }
    let challenge = ("www-authenticate", r#"DPoP error="use_dpop_nonce""#);
    let server = resource(move |_| reply(401, &[challenge, ("dpop-nonce", "a"), ("dpop-nonce", "b")], "")).await;
    let error = client(&server).call(get(&format!("{}/x", server.origin()))).await.expect_err("no answer");
    assert!(matches!(error, CallError::Nonce(NonceError::Unusable)), "{error:?}");
}

#[tokio::test]
async fn takes_a_new_nonce_from_any_answer() {
    let count = AtomicUsize::new(0);
    let server = resource(move |_| {
        let count = count.fetch_add(1, Ordering::SeqCst);
        let status = [200, 404, 500, 204][count % 4];
        reply(status, &[("dpop-nonce", format!("n{count}").as_str())], "")
    })
    .await;
    let client = client(&server);
    for expected in [Value::Null, json!("n0"), json!("n1"), json!("n2")] {
        client.call(get(&format!("{}/x", server.origin()))).await.expect("an answer");
        let proof = server.seen_at("/x").last().expect("a request").proof();
        assert_eq!(proof.get("nonce").cloned().unwrap_or_default(), expected, "row 497");
    }
}

#[tokio::test]
async fn keeps_the_nonces_of_two_origins_apart() {
    let issuer = Played::start(|seen| {
        let mut answer = honest_issuer(seen).expect("a request to an issuer");
        answer.headers_mut().insert("dpop-nonce", "of-the-issuer".parse().expect("a value"));
        answer
    })
    .await;
    let other = resource(ok).await;
    let client = client_for(&issuer, other.origin());
    client.call(get(&format!("{}/x", other.origin()))).await.expect("an answer");
    assert_eq!(issuer.seen_at("/token").len(), 1);
    assert_eq!(other.seen_at("/x")[0].proof().get("nonce"), None, "the issuer's nonce is for the issuer");
}

#[tokio::test]
async fn a_streamed_body_is_not_sent_again_and_the_next_call_carries_the_nonce() {
    let server = resource(|seen| match seen.proof().get("nonce") {
        Some(_) => reply(200, &[], seen.body.clone()),
        None => nonce_challenge("n1"),
    })
    .await;
    let client = client(&server);
    let post = || {
        let body = http_body_util::Full::new(Bytes::from_static(b"streamed"));
        http::Request::post(format!("{}/x", server.origin())).body(RequestBody::stream(body)).expect("a request")
    };
    let error = client.call(post()).await.expect_err("no answer");
    assert!(matches!(error, CallError::Nonce(NonceError::BodyNotRepeatable)), "{error:?}");
    assert_eq!(server.seen_at("/x").len(), 1);
    let response = client.call(post()).await.expect("an answer");
    assert_eq!(text(response).await, "streamed");
}

#[tokio::test]
async fn a_hundred_calls_at_once_have_a_hundred_jtis_and_one_token() {
    let server = resource(ok).await;
    let client = client(&server);
    let calls = (0..100).map(|number| {
        let (client, url) = (client.clone(), format!("{}/x?{number}", server.origin()));
        async move { client.call(get(&url)).await.expect("an answer").status() }
    });
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(|status| *status == 200));
    let jtis: HashSet<String> = server.seen_at("/x").iter().map(|seen| seen.proof()["jti"].to_string()).collect();
    assert_eq!(jtis.len(), 100, "row 513");
    assert_eq!(server.seen_at("/token").len(), 1, "one request for a token for all");
}

#[tokio::test]
async fn gives_redirects_back_and_follows_none() {
    let elsewhere = resource(ok).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/stolen", elsewhere.origin());
        let server = resource(move |_| reply(status, &[("location", location.as_str())], "")).await;
        let response = client(&server).call(get(&format!("{}/x", server.origin()))).await.expect("an answer");
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(server.seen_at("/x").len(), 1);
    }
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn follows_the_servers_clock_after_a_refused_proof() {
    // 2027-01-15T08:10:00Z is 600 s after NOW.
    let server = resource(|seen| match seen.proof()["iat"].as_i64() {
        Some(iat) if iat == NOW + 600 => reply(200, &[], ""),
        _ => proof_refused("Fri, 15 Jan 2027 08:10:00 GMT"),
    })
    .await;
    let (client, steps) = observed(client(&server));
    for _ in 0..2 {
        let response = client.call(get(&format!("{}/x", server.origin()))).await.expect("row 506");
        assert_eq!(response.status(), 200, "row 506");
    }
    assert_eq!(server.seen_at("/x").len(), 3, "row 506: the offset is kept");
    let expected = Step::ClockCorrected { origin: server.origin().to_owned(), seconds: 600 };
    assert!(steps.lock().expect("not poisoned").contains(&expected));
}

#[tokio::test]
async fn does_not_follow_a_clock_that_is_a_day_away() {
    let server = resource(|_| proof_refused("Sun, 17 Jan 2027 08:00:00 GMT")).await;
    let error = client(&server).call(get(&format!("{}/x", server.origin()))).await.expect_err("row 506");
    let CallError::Clock(clock) = &error else { panic!("row 506: {error:?}") };
    assert_eq!(clock.seconds, 172_800);
    assert!(error.to_string().contains("172800 s ahead of"), "row 506: {error}");
    assert_eq!(server.seen_at("/x").len(), 1);
}

#[tokio::test]
async fn gives_a_refusal_back_that_the_clock_does_not_explain() {
    for date in ["Fri, 15 Jan 2027 08:00:03 GMT", "yesterday"] {
        let server = resource(move |_| proof_refused(date)).await;
        let response = client(&server).call(get(&format!("{}/x", server.origin()))).await.expect("an answer");
        assert_eq!(response.status(), 401);
        assert_eq!(server.seen_at("/x").len(), 1);
    }
    let server = resource(|_| proof_refused("Fri, 15 Jan 2027 08:10:00 GMT")).await;
    let response = client(&server).call(get(&format!("{}/x", server.origin()))).await.expect("an answer");
    assert_eq!(response.status(), 401);
    assert_eq!(server.seen_at("/x").len(), 2, "once more with the server's time, and no more");
}

#[tokio::test]
async fn replaces_a_kept_token_that_is_refused_once() {
    let count = AtomicUsize::new(0);
    let server = resource(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        1 => reply(401, &[("www-authenticate", r#"DPoP error="invalid_token""#)], ""),
        _ => reply(200, &[], ""),
    })
    .await;
    let client = client(&server);
    for calls in [1, 3] {
        let response = client.call(get(&format!("{}/x", server.origin()))).await.expect("an answer");
        assert_eq!((response.status().as_u16(), server.seen_at("/x").len()), (200, calls));
    }
    assert_eq!(server.seen_at("/token").len(), 2);
}

#[tokio::test]
async fn gives_the_refusal_of_a_fresh_token_back() {
    let server = resource(|_| reply(401, &[("www-authenticate", r#"DPoP error="invalid_token""#)], "no")).await;
    let response = client(&server).call(get(&format!("{}/x", server.origin()))).await.expect("an answer");
    assert_eq!(response.status(), 401);
    assert_eq!(text(response).await, "no");
    assert_eq!((server.seen_at("/x").len(), server.seen_at("/token").len()), (1, 1));
}

#[tokio::test]
async fn gives_other_answers_back_as_they_are() {
    for (status, challenge) in [
        (401, r#"Bearer error="invalid_token""#),
        (401, r#"DPoP error="something_new""#),
        (401, "DPoP error=\"use_dpop_nonce"),
        (403, r#"DPoP error="use_dpop_nonce""#),
        (400, r#"DPoP error="use_dpop_nonce""#),
        (503, r#"DPoP error="invalid_dpop_proof""#),
    ] {
        let server = resource(move |_| reply(status, &[("www-authenticate", challenge)], "as it is")).await;
        let response = client(&server).call(get(&format!("{}/x", server.origin()))).await.expect("an answer");
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(text(response).await, "as it is");
        assert_eq!(server.seen_at("/x").len(), 1, "{status} {challenge}");
    }
}

#[tokio::test]
async fn refuses_credentials_of_the_caller_and_urls_that_are_not_safe() {
    let server = resource(ok).await;
    let client = client(&server);
    for field in ["authorization", "dpop"] {
        let request = http::Request::get(format!("{}/x", server.origin())).header(field, "Bearer x");
        let error = client.call(request.body(RequestBody::empty()).expect("a request")).await.expect_err("no answer");
        assert!(matches!(&error, CallError::CredentialsGiven { field: found } if found == field), "{error:?}");
    }
    for (url, expected) in [
        ("http://api.example.com/x", EndpointError::PlainHttp),
        ("http://127.0.0.1.example.com/x", EndpointError::PlainHttp),
        ("http://localhost.example.com/x", EndpointError::PlainHttp),
        ("/x", EndpointError::NotAUrl),
        ("ftp://127.0.0.1/x", EndpointError::NotHttp),
    ] {
        let error = client.call(get(url)).await.expect_err("no answer");
        assert!(matches!(error, CallError::Endpoint(found) if found == expected), "{url}: {error:?}");
    }
    assert_eq!(server.seen().len(), 0, "not even a token is asked for");
}

#[tokio::test]
async fn streams_an_answer_and_bounds_it_only_on_demand() {
    let server = resource(|_| {
        let chunks = (0..64).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![7; 65_536])));
        reply(200, &[], axum::body::Body::from_stream(futures_util::stream::iter(chunks)))
    })
    .await;
    let client = client(&server);
    let mut body = client.call(get(&format!("{}/x", server.origin()))).await.expect("an answer").into_body();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame.expect("a frame").into_data().map_or(0, |data| data.len());
    }
    assert_eq!(length, 64 * 65_536);
    let body = client.call(get(&format!("{}/x", server.origin()))).await.expect("an answer").into_body();
    assert_eq!(body.read_at_most(100_000).await, Err(TransportError::AnswerTooLong { limit: 100_000 }));
}

#[tokio::test]
async fn stops_waiting_for_a_server_that_says_nothing() {
    let server = resource(|_| {
        reply(200, &[], axum::body::Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>()))
    })
    .await;
    let client = client(&server);
    client.token().await.expect("a token");
    let limits = TimeLimits { idle: Duration::from_millis(200), ..TimeLimits::default() };
    let client = client.with_time_limits(limits).expect("a client");
    // On a busy machine the head may be late already.
    let fault = match client.call(get(&format!("{}/x", server.origin()))).await {
        Ok(response) => response.into_body().read_at_most(100).await.expect_err("no whole answer"),
        Err(CallError::Transport { fault, .. }) => fault,
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(fault, TransportError::TimeOut);
}

#[tokio::test]
async fn says_when_nobody_listens() {
    let server = resource(ok).await;
    // A port that is taken, so that nobody else gets it, and not listened on.
    let closed = tokio::net::TcpSocket::new_v4().expect("a socket");
    closed.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let url = format!("http://{}/x?secret", closed.local_addr().expect("an address"));
    let error = client_for(&server, url.trim_end_matches("?secret")).call(get(&url)).await.expect_err("no answer");
    assert!(matches!(&error, CallError::Transport { fault: TransportError::Connect { .. }, .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}

#[tokio::test]
async fn tells_its_steps_in_order() {
    let server = resource(ok).await;
    let (client, steps) = observed(client(&server));
    client.call(get(&format!("{}/x?q", server.origin()))).await.expect("an answer");
    let steps = steps.lock().expect("not poisoned").clone();
    let [
        Step::MetadataRead { .. },
        Step::Sent { server: Server::Authorization, .. },
        Step::Answered { server: Server::Authorization, status: 200, error: None, nonce_given: false },
        Step::TokenReceived { .. },
        Step::Sent { server: Server::Resource, url, jkt, with_nonce: false, .. },
        Step::Answered { server: Server::Resource, status: 200, .. },
    ] = steps.as_slice()
    else {
        panic!("{steps:#?}")
    };
    assert_eq!((url.as_str(), jkt), (format!("{}/x", server.origin()).as_str(), client.jkt()));
}
