//! Upstreams over TLS: HTTP/2 where both sides know it, HTTP/1.1 where not, and nobody who cannot prove who he is.
#![expect(clippy::unwrap_used, reason = "what a test relies on")]

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use countersign_forward::{
    Arrival, ForwardError, ForwardLimits, ForwardedFields, Forwarder, Handover, UpstreamHost, UpstreamTls,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An upstream that answers with what it was asked, and the certificate to trust.
async fn upstream(protocols: &[&[u8]]) -> (String, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = cert.der().clone();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let mut tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    (serve(tls).await, certificate)
}

/// Answers over `tls` with what is asked.
async fn serve(tls: ServerConfig) -> String {
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let server = auto::Builder::new(TokioExecutor::new());
                // A client that hangs up is no fault of the upstream.
                let _ = server.serve_connection(TokioIo::new(stream), service_fn(echo)).await;
            });
        }
    });
    url
}

/// Says in the answer's header how the request arrived, and sends its body back, trailers included.
async fn echo(
    request: Request<Incoming>,
) -> Result<Response<StreamBody<impl futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>>>>, Infallible> {
    let text = |value: Option<String>| HeaderValue::from_str(&value.unwrap_or_default()).unwrap();
    let host = request.headers().get("host").map(|host| host.to_str().unwrap().to_owned());
    let mut answer = http::response::Builder::new()
        .header("x-version", format!("{:?}", request.version()))
        .header("x-host", text(host))
        .header("x-authority", text(request.uri().authority().map(ToString::to_string)));
    for name in ["te", "connection", "transfer-encoding"] {
        if let Some(value) = request.headers().get(name) {
            answer = answer.header(format!("x-{name}"), value);
        }
    }
    let body = request.into_body().collect().await.unwrap();
    let trailers = body.trailers().cloned();
    let data = std::iter::once(Frame::data(body.to_bytes()));
    let frames: Vec<_> = data.chain(trailers.map(Frame::trailers)).map(Ok).collect();
    Ok(answer.body(StreamBody::new(futures_util::stream::iter(frames))).unwrap())
}

fn trusting(certificates: &[CertificateDer<'static>]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone()).unwrap();
    }
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn forwarder(url: &str, certificates: &[CertificateDer<'static>]) -> Forwarder {
    Forwarder::with_tls(url.parse().unwrap(), trusting(certificates), ForwardLimits::default())
        .with_forwarded_fields(ForwardedFields::Remove)
}

fn post() -> Request<Full<Bytes>> {
    let request = Request::post("/a").header("host", "api.example").header("te", "trailers");
    request.header("connection", "keep-alive").body(Full::new(Bytes::from_static(b"hello"))).unwrap()
}

fn public() -> Handover<'static> {
    static AUTHORITY: HeaderValue = HeaderValue::from_static("api.example");
    let arrival = Arrival { peer: None, scheme: "https", authority: &AUTHORITY };
    Handover { arrival: Some(arrival), ..Handover::default() }
}

#[tokio::test]
async fn speaks_http2_where_the_upstream_does_with_one_authority() {
    let (url, certificate) = upstream(&[b"h2", b"http/1.1"]).await;
    let authority = url.strip_prefix("https://").unwrap();
    let forwarder = forwarder(&url, &[certificate]);
    for _ in 0..2 {
        let answer = forwarder.forward(post(), public()).await.unwrap();
        assert_eq!(answer.headers()["x-version"], "HTTP/2.0");
        assert_eq!(answer.headers()["x-authority"], authority, "row 489");
        let host = answer.headers()["x-host"].to_str().unwrap();
        assert!(host.is_empty() || host == authority, "row 489: {host}");
        assert_eq!(answer.headers()["x-te"], "trailers");
        assert!(!answer.headers().contains_key("x-connection"));
        assert_eq!(answer.version(), Version::HTTP_11, "whatever the upstream speaks is its own affair");
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    }
}

#[tokio::test]
async fn speaks_http1_where_the_upstream_knows_no_more_or_the_public_host_is_wanted() {
    let (url, certificate) = upstream(&[b"http/1.1"]).await;
    let answer = forwarder(&url, &[certificate]).forward(post(), public()).await.unwrap();
    assert_eq!(answer.headers()["x-version"], "HTTP/1.1");
    assert_eq!(answer.headers()["x-host"], url.strip_prefix("https://").unwrap());

    let (url, certificate) = upstream(&[b"h2", b"http/1.1"]).await;
    let forwarder = forwarder(&url, &[certificate]).with_host(UpstreamHost::Public);
    let answer = forwarder.forward(post(), public()).await.unwrap();
    assert_eq!(answer.headers()["x-version"], "HTTP/1.1", "row 489");
    assert_eq!(answer.headers()["x-host"], "api.example", "row 489");
}

#[tokio::test]
async fn bodies_of_unknown_length_and_trailers_pass_over_http2() {
    let (url, certificate) = upstream(&[b"h2"]).await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("1"));
    trailers.insert("authorization", HeaderValue::from_static("forged"));
    let frames = [Frame::data(Bytes::from_static(b"one")), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
    let request = Request::post("/").header("te", "trailers").header("trailer", "x-sum");
    let request = request.body(StreamBody::new(futures_util::stream::iter(frames))).unwrap();
    let answer = forwarder(&url, &[certificate]).forward(request, Handover::default()).await.unwrap();
    assert!(!answer.headers().contains_key("x-transfer-encoding"));
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap().len(), 1);
    assert_eq!(body.trailers().unwrap()["x-sum"], "1");
    assert_eq!(body.to_bytes(), "one");
}

#[tokio::test]
async fn an_upstream_that_cannot_prove_who_it_is_is_not_spoken_to() {
    let (url, _) = upstream(&[b"h2"]).await;
    let (other_url, certificate) = upstream(&[b"h2"]).await;
    let request = || Request::get("/").body(Empty::<Bytes>::new()).unwrap();
    let stranger =
        forwarder(&url, std::slice::from_ref(&certificate)).forward(request(), Handover::default()).await.unwrap_err();
    // The right certificate under the wrong name.
    let by_address = other_url.replace("localhost", "127.0.0.1");
    let misnamed = forwarder(&by_address, &[certificate]).forward(request(), Handover::default()).await.unwrap_err();
    for error in [stranger, misnamed] {
        assert!(matches!(&error, ForwardError::Unreachable { reason } if reason.contains("certificate")), "{error:?}");
        assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
    }
}

#[tokio::test]
async fn the_system_s_trust_is_used_when_nothing_else_is_said() {
    let (url, _) = upstream(&[b"h2"]).await;
    // A machine without any certificates cannot start; one with some does not trust this upstream.
    if let Ok(forwarder) = Forwarder::new(url.parse().unwrap(), ForwardLimits::default()) {
        let request = Request::get("/").body(Empty::<Bytes>::new()).unwrap();
        let error = forwarder.forward(request, Handover::default()).await.unwrap_err();
        assert!(matches!(error, ForwardError::Unreachable { .. }), "{error:?}");
    }
}

/// An upstream that shows `own` and takes only clients whose certificate is signed by `client`.
async fn mutual(own: &CertifiedKey<rcgen::KeyPair>, client: &CertificateDer<'static>) -> String {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(client.clone()).unwrap();
    let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    serve(tls).await
}

#[tokio::test]
async fn trusts_a_ca_file_and_shows_a_certificate_and_refuses_without_either() {
    let signed = |name: &str| generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let (server, client) = (signed("localhost"), signed("gateway.example"));
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let ca = file("ca.pem", server.cert.pem());
    let certificate = file("client.pem", client.cert.pem());
    let key = file("client.key", client.signing_key.serialize_pem());
    let url = mutual(&server, client.cert.der()).await;

    let trusting = UpstreamTls::default().with_ca_file(&ca).unwrap();
    let both = trusting.clone().with_certificate_files(&certificate, &key).unwrap();
    let stranger = UpstreamTls::default().with_ca_file(&certificate).unwrap();
    for (tls, expected) in
        [(&both, Ok(())), (&trusting, Err(502)), (&stranger, Err(502)), (&UpstreamTls::default(), Err(502))]
    {
        let forwarder = Forwarder::to(url.parse().unwrap(), tls, ForwardLimits::default()).unwrap();
        let answer = forwarder.forward(post(), public()).await;
        assert_eq!(answer.map(drop).map_err(|error| error.status().as_u16()), expected);
    }

    let empty = file("empty.pem", String::new());
    let canary = file("canary.pem", "-----BEGIN PRIVATE KEY-----\ncanary-5711\n-----END PRIVATE KEY-----\n".to_owned());
    let other = file("other.key", server.signing_key.serialize_pem());
    for fault in [
        UpstreamTls::default().with_ca_file(&empty),
        UpstreamTls::default().with_ca_file(&directory.path().join("none.pem")),
        UpstreamTls::default().with_certificate_files(&certificate, &canary),
        UpstreamTls::default().with_certificate_files(&certificate, &other),
        UpstreamTls::default().with_certificate_files(&canary, &key),
    ] {
        let fault = fault.unwrap_err().to_string();
        assert!(!fault.contains("5711") && fault.contains(directory.path().to_str().unwrap()), "{fault}");
    }
    assert!(!format!("{both:?}").contains("MC4"), "no key in debug output");
}
