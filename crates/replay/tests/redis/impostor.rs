//! Something else at the server's place: no answer of it is taken for one of a store.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use countersign_replay::RedisReplayFault;
use countersign_testkit::service;
use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::world::{Node, config, is_unavailable};

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name, test: fn() -> Test| {
        service::trial(name, &[], move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(test());
            Ok(())
        })
    };
    vec![
        trial("something else at its place is no store", || Box::pin(no_store())),
        trial("a server that is away is tried again, less and less often", || Box::pin(less_and_less_often())),
    ]
}

type Test = Pin<Box<dyn Future<Output = ()>>>;

/// What is away may be away because everybody comes back at once.
async fn less_and_less_often() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _node = Node::open(config(&format!("redis://{}", listener.local_addr().unwrap())));
    let mut tries = Vec::new();
    for _ in 0..6 {
        drop(listener.accept().await.unwrap());
        tries.push(Instant::now());
    }
    let pauses: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (pause, least) in pauses.iter().zip([50, 100, 200, 400, 800]) {
        // A try that was late does not make the next one late.
        assert!(*pause >= Duration::from_millis(least / 2), "{pauses:?}");
    }
}

/// Says this to whatever it reads, and then closes the connection or never does.
async fn impostor(says: &'static [u8], closes: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            // A client that is gone by then wants no answer.
            let _ = socket.read(&mut [0; 4_096]).await;
            let _ = socket.write_all(says).await;
            if !closes {
                open.push(socket);
            }
        }
    });
    address
}

async fn no_store() {
    for (scheme, says, closes) in [
        ("redis", &b""[..], true),
        ("redis", b"", false),
        ("redis", b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", true),
        ("redis", b"-LOADING Redis is loading the dataset in memory\r\n", true),
        ("redis", b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n", false),
        ("redis", b"+OK\r\n*6\r\n:1\r\n$16\r\nabc", true),
        ("redis", b"$99999999999999\r\n", false),
        ("redis", b"*2147483647\r\n", false),
        ("redis", &[b'['; 4_096], false),
        ("rediss", b"+OK\r\n", false),
        ("rediss", b"", true),
    ] {
        let address = impostor(says, closes).await;
        let node = Node::open(config(&format!("{scheme}://{address}")));
        let fault = node.store.reached(Duration::from_millis(300)).await.unwrap_err();
        assert!(matches!(fault, RedisReplayFault::Away { .. }), "{scheme} {says:?}: {fault}");
        assert!(is_unavailable(&node.record(&node.proof(1)).await), "{scheme} {says:?}");
    }
}
