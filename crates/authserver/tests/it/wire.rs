//! The server on a socket.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::support::World;

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

async fn run(world: &World) -> Running {
    let bound = world.server.clone().bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = bound.local_addr();
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(bound.serve(async {
        let _ = stopped.await;
    }));
    Running { address, stop, served }
}

async fn exchange(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn answers_over_http_and_stops_when_told() {
    let world = World::new().await;
    let running = run(&world).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let answer = exchange(&mut stream, "GET /jwks HTTP/1.1\r\nhost: as.example\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"keys\""), "{answer}");
    running.stop.send(()).unwrap();
    running.served.await.unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn lets_a_request_in_flight_end_at_shutdown() {
    let world = World::new().await;
    let running = run(&world).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let head = "POST /token HTTP/1.1\r\nhost: as.example\r\ncontent-type: application/x-www-form-urlencoded\r\n\
                content-length: 12\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: the request is in flight.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100"), "{interim:?}");
    running.stop.send(()).unwrap();
    let answer = exchange(&mut stream, "grant_type=x").await;
    assert!(answer.contains("400") && answer.contains("unsupported_grant_type"), "{answer}");
    tokio::time::timeout(Duration::from_secs(5), running.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn says_when_the_port_is_in_use() {
    let world = World::new().await;
    let running = run(&world).await;
    let error = world.server.clone().bind(running.address).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn tells_its_health_on_an_address_of_its_own() {
    let world = World::new().await;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let bound = world.server.clone().bind(any).await.unwrap().with_admin(any).await.unwrap();
    let admin = bound.admin_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(bound.serve(async {
        let _ = stopped.await;
    }));
    for path in ["/healthz", "/readyz"] {
        let mut stream = TcpStream::connect(admin).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        let answer = exchange(&mut stream, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), served).await.unwrap().unwrap();
    assert!(TcpStream::connect(admin).await.is_err());
}

#[tokio::test]
async fn refuses_headers_beyond_bounds_row_519() {
    let world = World::new().await;
    let running = run(&world).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let long = "x".repeat(40 * 1_024);
    let answer = exchange(&mut stream, &format!("GET /jwks HTTP/1.1\r\nhost: a\r\ndpop: {long}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}
