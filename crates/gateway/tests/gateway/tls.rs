//! TLS towards clients, and two gateways on one port.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_gateway::{Gateway, GatewayError, NoDecisions, Settings, TlsFiles};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::world::{HOST, World};

/// Another name that the certificate has.
const OTHER: &str = "other.example";

struct Certificate {
    directory: TempDir,
    der: CertificateDer<'static>,
}

impl Certificate {
    fn new() -> Self {
        let mut certificate = Self { directory: TempDir::new().unwrap(), der: CertificateDer::from(Vec::new()) };
        certificate.renew();
        certificate
    }

    /// Another key and certificate in the same files.
    fn renew(&mut self) {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned(), OTHER.to_owned()]).unwrap();
        let files = self.files();
        std::fs::write(files.key, made.signing_key.serialize_pem()).unwrap();
        std::fs::write(files.certificate, made.cert.pem()).unwrap();
        self.der = made.cert.der().clone();
    }

    fn files(&self) -> TlsFiles {
        let at = |name: &str| self.directory.path().join(name);
        TlsFiles { certificate: at("certificate.pem"), key: at("key.pem") }
    }

    /// What the server says to a request without credentials over `protocol`, trusting this certificate only.
    async fn ask(&self, world: &World, protocol: &[u8]) -> std::io::Result<String> {
        self.ask_for(world, protocol, HOST, HOST).await
    }

    /// The same by this name in TLS and in `Host`.
    async fn ask_for(&self, world: &World, protocol: &[u8], name: &'static str, host: &str) -> std::io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = versions.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(world.address).await?;
        let name = ServerName::try_from(name).unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
        if protocol == b"h2" {
            return Ok("h2".to_owned());
        }
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

fn with(files: TlsFiles) -> impl FnOnce(&mut Settings) {
    move |settings| settings.tls = Some(files)
}

#[tokio::test]
async fn tls_is_spoken_and_nothing_else() {
    let certificate = Certificate::new();
    let world = World::start_with(with(certificate.files())).await;
    assert!(certificate.ask(&world, b"http/1.1").await.unwrap().starts_with("HTTP/1.1 401 "));
    assert_eq!(certificate.ask(&world, b"h2").await.unwrap(), "h2");
    let mut plain = TcpStream::connect(world.address).await.unwrap();
    plain.write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Closed or reset: no HTTP comes back.
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn the_name_in_tls_has_no_say_in_what_a_request_is_for() {
    let certificate = Certificate::new();
    let world = World::start_with(with(certificate.files())).await;
    let by_another_name = certificate.ask_for(&world, b"http/1.1", OTHER, HOST).await.unwrap();
    assert!(by_another_name.starts_with("HTTP/1.1 401 "), "row 486: {by_another_name}");
    let for_another = certificate.ask_for(&world, b"http/1.1", HOST, OTHER).await.unwrap();
    assert!(for_another.starts_with("HTTP/1.1 421 "), "row 486: {for_another}");
}

#[tokio::test]
async fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
    let mut certificate = Certificate::new();
    let world = World::start_with(with(certificate.files())).await;
    certificate.ask(&world, b"http/1.1").await.unwrap();
    std::fs::write(certificate.files().key, "half a ke").unwrap();
    // While the key is broken, which the gateway finds within a second, the old one goes on.
    let look = tokio::time::Instant::now();
    while look.elapsed() < Duration::from_millis(1_500) {
        certificate.ask(&world, b"http/1.1").await.expect("the old one stays");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    certificate.renew();
    let renewed = async {
        while certificate.ask(&world, b"http/1.1").await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), renewed).await.expect("the new one is used");
}

#[tokio::test]
async fn files_that_are_no_certificate_stop_the_start_and_are_not_repeated() {
    let certificate = Certificate::new();
    let other = Certificate::new();
    let canary = certificate.directory.path().join("canary.pem");
    std::fs::write(&canary, "-----BEGIN PRIVATE KEY-----\ncanary-5711\n-----END PRIVATE KEY-----\n").unwrap();
    for files in [
        TlsFiles { key: canary.clone(), ..certificate.files() },
        TlsFiles { key: other.files().key, ..certificate.files() },
        TlsFiles { certificate: Path::new("/nowhere").to_owned(), ..certificate.files() },
        TlsFiles { certificate: certificate.files().key, ..certificate.files() },
    ] {
        let mut settings = World::settings_for_tests().await;
        settings.tls = Some(files);
        let clock = countersign_testkit::FakeClock::default().shared();
        let Err(fault) = Gateway::bind(settings, clock, Arc::new(NoDecisions)).await else { panic!("it starts") };
        assert!(matches!(fault, GatewayError::ServerTls(_)), "{fault}");
        assert!(!fault.to_string().contains("5711"), "{fault}");
    }
}

#[tokio::test]
async fn two_gateways_share_a_port_where_both_say_so() {
    let first = World::start_with(|settings| settings.reuse_port = true).await;
    let mut settings = World::settings_for_tests().await;
    settings.listen = first.address;
    let clock = || countersign_testkit::FakeClock::default().shared();
    let alone = Gateway::bind(settings.clone(), clock(), Arc::new(NoDecisions)).await;
    assert!(matches!(alone, Err(GatewayError::Listen { .. })), "only where both say so");
    settings.reuse_port = true;
    let second = Gateway::bind(settings, clock(), Arc::new(NoDecisions)).await.unwrap();
    assert_eq!(second.local_addr(), first.address);
    // The first one ends; who connects from then on reaches the second.
    first.stop.send(()).unwrap();
    first.served.await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(second.serve(async move {
        // Dropped or sent: over either way.
        let _ = stopped.await;
    }));
    let mut client = TcpStream::connect(first.address).await.unwrap();
    client.write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    drop(stop);
    serving.await.unwrap();
}
