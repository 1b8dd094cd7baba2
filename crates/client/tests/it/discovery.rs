//! Metadata of issuers, honest and other.

use std::time::Duration;

use bytes::Bytes;
use countersign_client::{Client, DiscoveryError, EndpointError, TimeLimits, TokenError, TransportError};
use countersign_dpop::jose::{Algorithm, JsonError};
use serde_json::{Value, json};

use crate::played::*;

/// An issuer whose metadata are changed by `change` before they are sent.
async fn issuer_with(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Played {
    Played::start(move |seen| {
        if !seen.path.starts_with("/.well-known/") {
            return honest_issuer(seen).unwrap_or_else(|| reply(404, &[], ""));
        }
        let mut document = metadata(&seen.origin);
        change(&mut document);
        reply_json(200, &document)
    })
    .await
}

async fn discovery_failure(server: &Played) -> DiscoveryError {
    match client(server).token().await.expect_err("no token") {
        TokenError::Discovery(fault) => fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn refuses_metadata_of_another_issuer() {
    for other in ["https://evil.example.com", "{origin}/", "{ORIGIN}", ""] {
        let server = issuer_with(move |document| {
            let origin = document["issuer"].as_str().expect("text").to_owned();
            let text = other.replace("{origin}", &origin).replace("{ORIGIN}", &origin.to_uppercase());
            document["issuer"] = text.into();
        })
        .await;
        let fault = discovery_failure(&server).await;
        assert!(matches!(fault, DiscoveryError::IssuerMismatch { .. }), "row 511: {fault:?}");
        assert_eq!(server.seen_at("/token").len(), 0, "row 511");
    }
}

#[tokio::test]
async fn refuses_issuers_that_do_not_announce_dpop_unless_told_to_go_on() {
    for announced in [None, Some(json!([]))] {
        let server = issuer_with(move |document| match &announced {
            Some(list) => document["dpop_signing_alg_values_supported"] = list.clone(),
            None => drop(document.as_object_mut().and_then(|d| d.remove("dpop_signing_alg_values_supported"))),
        })
        .await;
        let issuer = server.origin().to_owned();
        assert_eq!(discovery_failure(&server).await, DiscoveryError::DpopNotAnnounced { issuer });
        assert_eq!(server.seen_at("/token").len(), 0);
        let clock = set_clock();
        let config = config(server.origin(), by_secret()).with_dpop_assumed();
        let client = Client::open(&config, &keys(clock.clone()), clock).expect("a client");
        client.token().await.expect("a token");
    }
}

#[tokio::test]
async fn refuses_issuers_that_do_not_take_its_algorithm_or_authentication() {
    let server =
        issuer_with(|document| document["dpop_signing_alg_values_supported"] = json!(["RS256", "es256"])).await;
    let announced = "RS256, es256".to_owned();
    let expected = DiscoveryError::AlgorithmNotAnnounced { algorithm: Algorithm::Es256, announced };
    assert_eq!(discovery_failure(&server).await, expected);

    let server =
        issuer_with(|document| document["token_endpoint_auth_methods_supported"] = json!(["tls_client_auth"])).await;
    let (method, announced) = ("client_secret_basic", "tls_client_auth".to_owned());
    assert_eq!(discovery_failure(&server).await, DiscoveryError::MethodNotAnnounced { method, announced });
}

#[tokio::test]
async fn refuses_token_endpoints_that_may_not_be_called() {
    for (url, fault) in [
        ("http://idp.example.com/token", EndpointError::PlainHttp),
        ("/token", EndpointError::NotAUrl),
        ("file:///etc/passwd", EndpointError::NotHttp),
    ] {
        let server = issuer_with(move |document| document["token_endpoint"] = url.into()).await;
        assert_eq!(discovery_failure(&server).await, DiscoveryError::Endpoint { member: "token_endpoint", fault });
    }
    let server = issuer_with(|document| drop(document.as_object_mut().and_then(|d| d.remove("token_endpoint")))).await;
    let issuer = server.origin().to_owned();
    assert_eq!(discovery_failure(&server).await, DiscoveryError::TokenEndpointMissing { issuer });
}

#[tokio::test]
async fn refuses_metadata_that_are_too_long_or_no_json() {
    let huge = Played::start(|_| {
        let chunk = Bytes::from(vec![b' '; 65_536]);
        let endless = futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
        reply(200, &[], axum::body::Body::from_stream(endless))
    })
    .await;
    let DiscoveryError::Transport { fault, .. } = discovery_failure(&huge).await else { panic!("no end") };
    assert_eq!(fault, TransportError::AnswerTooLong { limit: 1_048_576 });

    for (body, expected) in [
        ("<html>", None),
        (r#"{"issuer":"a","issuer":"b"}"#, Some(JsonError::MemberRepeated)),
        (r#"{"issuer":1}"#, Some(JsonError::Shape)),
    ] {
        let server = Played::start(move |_| reply(200, &[], body)).await;
        let DiscoveryError::Json { fault, .. } = discovery_failure(&server).await else { panic!("{body}") };
        assert!(expected.is_none_or(|expected| expected == fault), "{body}: {fault:?}");
    }
    let deep = "[".repeat(100_000);
    let server = Played::start(move |_| reply(200, &[], deep.clone())).await;
    let DiscoveryError::Json { fault: JsonError::TooDeep { .. }, .. } = discovery_failure(&server).await else {
        panic!("nested without end")
    };
}

#[tokio::test]
async fn follows_no_redirect_to_metadata() {
    let elsewhere = Played::start(|seen| honest_issuer(seen).unwrap_or_else(|| reply(404, &[], ""))).await;
    let to = format!("{}/.well-known/oauth-authorization-server", elsewhere.origin());
    let server = Played::start(move |_| reply(307, &[("location", to.as_str())], "")).await;
    let url = format!("{}/.well-known/oauth-authorization-server", server.origin());
    assert_eq!(discovery_failure(&server).await, DiscoveryError::Status { url, status: 307 });
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn looks_for_openid_metadata_where_there_are_no_others() {
    let server = Played::start(|seen| match seen.path.as_str() {
        "/.well-known/openid-configuration" => reply_json(200, &metadata(&seen.origin)),
        "/token" => reply_json(200, &token_answer()),
        _ => reply(404, &[], ""),
    })
    .await;
    client(&server).token().await.expect("a token");
    let nothing = Played::start(|_| reply(404, &[], "")).await;
    let url = format!("{}/.well-known/oauth-authorization-server", nothing.origin());
    assert_eq!(discovery_failure(&nothing).await, DiscoveryError::Status { url, status: 404 });
}

#[tokio::test]
async fn stops_waiting_for_metadata() {
    let server = Played::start(|_| {
        reply(200, &[], axum::body::Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>()))
    })
    .await;
    let limits = TimeLimits { answer: Duration::from_millis(200), ..TimeLimits::default() };
    let error = client(&server).with_time_limits(limits).expect("a client").token().await.expect_err("no token");
    assert!(
        matches!(&error, TokenError::Discovery(DiscoveryError::Transport { fault: TransportError::TimeOut, .. })),
        "{error:?}"
    );
}
