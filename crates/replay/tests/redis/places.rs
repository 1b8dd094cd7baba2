//! The server over TLS, behind sentinels, in a cluster, at a socket.

use std::time::Duration;

use countersign_replay::{RedisReplayConfig, RedisServer};
use countersign_testkit::service::free_address;
use libtest_mimic::Trial;

use crate::server::Server;
use crate::with_redis;
use crate::world::{FIRST, NONCE_DEMANDED, Node, REPLAYED, config, until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_redis("over TLS, by its own authority only", over_tls),
        with_redis("at a socket of the machine", at_a_socket),
        with_redis("at the node of a cluster that has the keys", in_a_cluster),
        with_redis("behind sentinels, through a failover: nothing is taken again", behind_sentinels),
    ]
}

async fn over_tls() {
    let directory = tempfile::tempdir().unwrap();
    let (key, certificate) = (directory.path().join("key.pem"), directory.path().join("certificate.pem"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    let address = free_address().unwrap();
    let (port, key) = (address.port().to_string(), key.display().to_string());
    let file = certificate.display().to_string();
    let _server = Server::start_at(
        address,
        &[
            "--port",
            "0",
            "--tls-port",
            &port,
            "--tls-key-file",
            &key,
            "--tls-cert-file",
            &file,
            "--tls-ca-cert-file",
            &file,
            "--tls-auth-clients",
            "no",
        ],
    );
    let url = format!("rediss://localhost:{port}");
    let trusted = RedisServer::parse(&url).unwrap().with_ca_file(&certificate).unwrap();
    let node = Node::reach(RedisReplayConfig { server: trusted, ..config(&url) }).await;
    assert_eq!(node.serve(1).await, 1);
    let stranger = Node::open(config(&url));
    let fault = stranger.store.reached(Duration::from_millis(500)).await.unwrap_err();
    assert!(fault.to_string().contains("certificate"), "{fault}");
    let plain = Node::open(config(&format!("redis://localhost:{port}")));
    plain.store.reached(Duration::from_millis(300)).await.unwrap_err();
}

async fn at_a_socket() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("redis.sock").display().to_string();
    let _server = Server::start(&["--unixsocket", &socket]);
    let node = Node::reach(config(&format!("redis+unix://{socket}"))).await;
    assert_eq!(node.serve(1).await, 1);
}

async fn in_a_cluster() {
    let arguments = ["--cluster-enabled", "yes"];
    // The cluster's own port is 10,000 higher: both have to be ports.
    let small = || loop {
        let address = free_address().unwrap();
        if address.port() < 55_000 {
            return address;
        }
    };
    let (entrance, keeper) = (Server::start_at(small(), &arguments), Server::start_at(small(), &arguments));
    assert_eq!(keeper.say("CLUSTER ADDSLOTSRANGE 0 16383"), "+OK");
    assert_eq!(entrance.say(&format!("CLUSTER MEET 127.0.0.1 {}", keeper.address.port())), "+OK");
    entrance.until_says("CLUSTER INFO", "cluster_state:ok").await;
    keeper.until_says("CLUSTER INFO", "cluster_state:ok").await;
    entrance.until_says("GET {cs1}e", "MOVED").await;
    let node = Node::reach(config(&entrance.url(0))).await;
    let proof = node.answered(node.proof(1));
    assert_eq!(node.record(&proof).await, FIRST);
    assert_eq!(node.record(&proof).await, REPLAYED);
    assert!(keeper.say("DBSIZE") != ":0");
}

async fn behind_sentinels() {
    let master = Server::start(&[]);
    let port = master.address.port().to_string();
    let replica = Server::start(&["--replicaof", &format!("127.0.0.1 {port}"), "--repl-diskless-sync-delay", "0"]);
    replica.until_says("INFO replication", "master_link_status:up").await;
    let watch = format!(
        "port PORT\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {port} 1\nsentinel down-after-milliseconds main 1000\n"
    );
    let sentinel = Server::start(&["--sentinel", &watch]);
    sentinel.until_says("INFO sentinel", "slaves=1").await;
    let node = Node::reach(config(&format!("redis+sentinel://{}/main", sentinel.address))).await;
    let before = node.epoch();
    let proof = node.answered(node.proof(1));
    assert_eq!(node.record(&proof).await, FIRST);
    // The master hangs: the replica becomes master and may lack its last records.
    master.signal("-STOP");
    replica.until_says("INFO replication", "role:master").await;
    until("the new master is found", async || node.store.fault().is_none() && node.epoch().id != before.id).await;
    assert_ne!(node.record(&proof).await, FIRST);
    assert_eq!(node.record(&node.proof(2)).await, NONCE_DEMANDED);
    assert_eq!(node.record(&node.answered(node.proof(3))).await, FIRST);
    // It comes back, still believing: what it takes is lost, so nobody may be there.
    master.signal("-CONT");
    assert_ne!(node.record(&proof).await, FIRST);
}
