//! The fetcher itself, against sockets: what it refuses to call and what it refuses to read.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_authserver::fetch::{
    Fetch, FetchError, FetchRequest, FetchUrl, GuardedFetch, Reach, ResolveHost, Resolving,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Every name is at these addresses.
#[derive(Debug)]
struct Names(Vec<IpAddr>);

impl ResolveHost for Names {
    fn resolve(&self, _: &str) -> Resolving {
        let addresses = self.0.iter().map(|address| SocketAddr::new(*address, 0)).collect();
        Box::pin(async move { Ok(addresses) })
    }
}

fn fetcher(addresses: &[&str]) -> GuardedFetch {
    let names = Names(addresses.iter().map(|address| address.parse().unwrap()).collect());
    let names: Arc<dyn ResolveHost> = Arc::new(names);
    GuardedFetch::new(&names).unwrap()
}

fn request(url: &str, reach: Reach) -> FetchRequest {
    FetchRequest { url: FetchUrl::parse(url).unwrap(), reach, limit: 5_120 }
}

/// Says the same to everyone and counts them.
struct Listener {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Listener {
    async fn saying(answer: impl Into<String>, filler: usize) -> Self {
        let answer = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut buffer = [0; 1_024];
                    let _ = stream.read(&mut buffer).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                    for _ in 0..filler {
                        if stream.write_all(&[b' '; 1_024]).await.is_err() {
                            return;
                        }
                    }
                    if answer.is_empty() {
                        let _ = stream.read(&mut buffer).await;
                    }
                });
            }
        });
        Self { address, connections }
    }

    fn url(&self) -> String {
        format!("http://{}/document", self.address)
    }

    fn seen(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn reads_a_document() {
    let listener =
        Listener::saying("HTTP/1.1 200 OK\r\nContent-Type: Application/JSON; x=y\r\nContent-Length: 2\r\n\r\n{}", 0)
            .await;
    let fetched = fetcher(&[]).fetch(request(&listener.url(), Reach::Anywhere)).await.unwrap();
    assert_eq!((fetched.status, fetched.media_type.as_deref()), (200, Some("application/json")));
    assert_eq!(fetched.body.len(), 2);
}

#[tokio::test]
async fn follows_no_redirect() {
    let target = Listener::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0).await;
    let redirect = format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", target.url());
    let listener = Listener::saying(redirect, 0).await;
    let fetched = fetcher(&[]).fetch(request(&listener.url(), Reach::Anywhere)).await.unwrap();
    assert_eq!((fetched.status, target.seen()), (302, 0));
}

#[tokio::test]
async fn reads_no_more_than_allowed_said_or_not() {
    for head in ["HTTP/1.1 200 OK\r\nContent-Length: 102400\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"] {
        let listener = Listener::saying(head, 100).await;
        let fault = fetcher(&[]).fetch(request(&listener.url(), Reach::Anywhere)).await.unwrap_err();
        assert_eq!(fault, FetchError::TooLong { limit: 5_120 });
    }
}

#[tokio::test]
async fn waits_three_seconds_and_no_longer() {
    let listener = Listener::saying("", 0).await;
    let fault = fetcher(&[]).fetch(request(&listener.url(), Reach::Anywhere)).await.unwrap_err();
    assert_eq!(fault, FetchError::TimedOut);
}

#[tokio::test]
async fn a_strangers_url_never_reaches_an_address_inside() {
    let listener = Listener::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0).await;
    let port = listener.address.port();
    for addresses in [
        &["127.0.0.1"][..],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["10.0.0.1"],
        &["169.254.169.254"],
        &["fd00::1"],
        &["93.184.215.14", "127.0.0.1"], // one inside spoils them all
    ] {
        let url = format!("https://stranger.example:{port}/document");
        let fault = fetcher(addresses).fetch(request(&url, Reach::Public)).await.unwrap_err();
        assert_eq!(fault, FetchError::NotPublic, "{addresses:?}");
    }
    // Addresses are not resolved, so they are judged as they stand; plain http is for loopback, which is inside.
    for url in [
        format!("https://127.0.0.1:{port}/"),
        format!("https://[::1]:{port}/"),
        format!("https://[::ffff:7f00:1]:{port}/"),
        format!("https://localhost:{port}/"),
        format!("http://127.0.0.1:{port}/"),
    ] {
        let fault = fetcher(&["127.0.0.1"]).fetch(request(&url, Reach::Public)).await.unwrap_err();
        assert_eq!(fault, FetchError::NotPublic, "{url}");
    }
    assert_eq!(listener.seen(), 0);
}
