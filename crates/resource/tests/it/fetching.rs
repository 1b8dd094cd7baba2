//! Fetching over real sockets on the loopback interface.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Redirect;
use axum::routing::get;
use bytes::Bytes;
use countersign_resource::IssuerConfig;
use countersign_resource::fetch::{Fetch, FetchError, MAX_BODY_LENGTH, ReqwestFetch};
use futures_util::stream;
use http::{Request, Response};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::web::key_set;
use crate::world::{World, config_for};

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A server that answers every connection with these bytes and then closes it, or never does.
async fn serve_raw(bytes: &'static [u8], closes: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 1_024]).await;
            let _ = socket.write_all(bytes).await;
            if !closes {
                open.push(socket);
            }
        }
    });
    address
}

async fn fetch(url: String) -> Result<Response<Bytes>, FetchError> {
    ReqwestFetch::new().unwrap().fetch(Request::get(url).body(Bytes::new()).unwrap()).await
}

#[tokio::test]
async fn follows_no_redirect() {
    let app = Router::new()
        .route("/away", get(|| async { Redirect::temporary("/here") }))
        .route("/here", get(|| async { "here" }));
    let address = serve(app).await;
    let answer = fetch(format!("http://{address}/away")).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().len()), (307, 0));
    let answer = fetch(format!("http://{address}/here")).await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"here"[..]));
}

#[tokio::test]
async fn reads_no_more_than_its_bound() {
    let endless = || async {
        let chunks = stream::repeat_with(|| Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b' '; 8_192])));
        Body::from_stream(chunks)
    };
    let app = Router::new()
        .route("/endless", get(endless))
        .route("/just", get(|| async { " ".repeat(MAX_BODY_LENGTH) }))
        .route("/over", get(|| async { " ".repeat(MAX_BODY_LENGTH + 1) }));
    let address = serve(app).await;
    assert_eq!(fetch(format!("http://{address}/endless")).await.unwrap_err(), FetchError::TooLarge);
    assert_eq!(fetch(format!("http://{address}/over")).await.unwrap_err(), FetchError::TooLarge);
    assert_eq!(fetch(format!("http://{address}/just")).await.unwrap().body().len(), MAX_BODY_LENGTH);
}

#[tokio::test]
async fn half_an_answer_is_none() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"keys\""[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"key",
        b"HTTP/1.1 200",
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let address = serve_raw(bytes, true).await;
        let fault = fetch(format!("http://{address}/keys")).await.unwrap_err();
        assert!(matches!(fault, FetchError::Failed { .. }), "{fault}");
    }
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let fault = fetch(format!("http://{address}/keys")).await.unwrap_err();
    assert!(matches!(fault, FetchError::Failed { .. }), "{fault}");
}

#[tokio::test]
async fn a_head_without_end_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sent = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut sent = 0;
        let mut next = socket.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while next.is_ok() {
            next = socket.write_all(format!("x-{sent}: {}\r\n", "y".repeat(1_000)).as_bytes()).await;
            sent += 1;
        }
        sent
    });
    let fault = fetch(format!("http://{address}/keys")).await.unwrap_err();
    assert!(matches!(fault, FetchError::Failed { .. }), "{fault}");
    // Given up by the reader; what lies in the system's buffers counts too.
    assert!(sent.await.unwrap() < 16_384);
}

#[tokio::test]
async fn an_issuer_that_cannot_prove_who_it_is_is_not_spoken_to() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        match acceptor.accept(socket).await {
            Ok(mut socket) => socket.read_to_end(&mut heard).await.map_or(0, |_| heard.len()),
            Err(_) => 0,
        }
    });
    let fault = fetch(format!("https://localhost:{port}/keys")).await.unwrap_err();
    assert!(matches!(fault, FetchError::Failed { .. }), "{fault}");
    assert_eq!(heard.await.unwrap(), 0, "no request was sent");
    let plain = serve_raw(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true).await;
    let fault = fetch(format!("https://{plain}/keys")).await.unwrap_err();
    assert!(matches!(fault, FetchError::Failed { .. }), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn waits_five_seconds_and_no_longer() {
    for bytes in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"] {
        let address = serve_raw(bytes, false).await;
        assert_eq!(fetch(format!("http://{address}/keys")).await.unwrap_err(), FetchError::Timeout);
    }
}

#[tokio::test]
async fn finds_the_keys_of_an_issuer_on_the_loopback_interface() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let metadata = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }).to_string();
    let keys = key_set(&[(&world.issuer_key, "k1")]);
    let app = Router::new()
        .route("/.well-known/openid-configuration", get(|| async { metadata }))
        .route("/keys", get(|| async { keys }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let config = config_for(vec![IssuerConfig::discovered(&issuer).unwrap()], ReqwestFetch::new().unwrap());
    let guarded = world.guarded(config);
    let token = world.token_claiming(json!({ "iss": issuer })).await;
    guarded.get_dpop(&token, &world.proof(&token).await).await.granted();
}
