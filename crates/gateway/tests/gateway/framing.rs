//! Messages that two servers could read differently go no further.

use crate::world::{HOST, World};

#[tokio::test]
async fn a_head_that_can_be_read_in_two_ways_is_refused_and_the_connection_closed() {
    let world = World::start().await;
    let fields = world.fields("POST", "/").await;
    for rest in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "Content-Length: +5\r\n\r\nhello",
        "Content-Length: 5, 5\r\n\r\nhello",
        "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "X: a\n\r\n",
        "X: a\r\n folded\r\n\r\n",
        "X: a\r\n\tfolded\r\n\r\n",
        "X: a\rb\r\n\r\n",
        "X: a\r\n\n",
        "X\0: a\r\n\r\n",
        "no colon\r\n\r\n",
        " X: a\r\n\r\n",
    ] {
        let mut client = world.connect().await;
        client.send(&format!("POST / HTTP/1.1\r\n{fields}{rest}")).await;
        let answer = client.read_message().await;
        assert_eq!(answer.status(), 400, "{rest:?}");
        assert_eq!(client.closed().await, "", "{rest:?}");
    }
    assert!(world.decisions.codes().is_empty(), "none of them was judged: {:?}", world.decisions.codes());
    let mut admin = world.connect_admin().await;
    admin.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let metrics = admin.read_message().await.body;
    assert!(metrics.contains("countersign_gateway_errors_total{code=\"ambiguous_framing\"}"), "{metrics}");
}

#[tokio::test]
async fn a_folded_proof_is_never_joined() {
    let world = World::start().await;
    let token = world.token().await;
    let proof = world.proof("GET", "https://api.example.com/", &token, None).await;
    let (first, second) = proof.split_at(40);
    let mut client = world.connect().await;
    client
        .send(&format!(
            "GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: DPoP {token}\r\nDPoP: {first}\r\n {second}\r\n\r\n"
        ))
        .await;
    assert_eq!(client.read_message().await.status(), 400, "row 11");
}

#[tokio::test]
async fn however_the_bytes_arrive_the_refusal_is_the_same() {
    let world = World::start().await;
    let mut client = world.connect().await;
    for part in [
        "POST / HT",
        "TP/1.1\r",
        "\nHost: api.example.com\r\nContent-Len",
        "gth: 5\r\nTransfer-Encoding",
        ": chunked\r\n",
        "\r",
        "\n",
    ] {
        client.send(part).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.read_message().await.status(), 400);
    assert_eq!(client.closed().await, "");
}

#[tokio::test]
async fn a_request_behind_a_good_one_is_read_as_strictly() {
    let world = World::start().await;
    let mut client = world.connect().await;
    let good = world.request("GET", "/").await;
    client.send(&good).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    assert_eq!(client.read_message().await.body, "ok");
    client.send("GET / HTTP/1.1\nHost: api.example.com\r\n\r\n").await;
    assert_eq!(client.read_message().await.status(), 400);
    assert_eq!(client.closed().await, "");
}

#[tokio::test]
async fn odd_chunks_end_the_request_and_the_upstream_never_gets_a_whole_one() {
    let world = World::start().await;
    for chunks in
        ["5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n"]
    {
        let fields = world.fields("POST", "/").await;
        let mut client = world.connect().await;
        client.send(&format!("POST / HTTP/1.1\r\n{fields}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")).await;
        let mut upstream = world.accept().await;
        upstream.read_to("2\r\nhi\r\n").await;
        client.send(chunks).await;
        let answer = client.read_message().await;
        assert_eq!(answer.status(), 400, "{chunks:?}");
        assert_eq!(client.closed().await, "", "{chunks:?}");
        let received = upstream.closed().await;
        assert!(!received.contains("0\r\n\r\n"), "{chunks:?}: {received:?}");
    }
}

#[tokio::test]
async fn a_head_beyond_the_limits_is_431() {
    let world = World::start().await;
    let many = "X: 1\r\n".repeat(101);
    let large = format!("X: {}\r\n", "x".repeat(70_000));
    for (what, fields) in [("fields", many), ("bytes", large)] {
        let mut client = world.connect().await;
        client.send(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n")).await;
        let answer = client.read_message().await;
        assert_eq!(answer.status(), 431, "row 519: {what}");
        assert_eq!(client.closed().await, "", "row 519: {what}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_to_its_end_is_given_up() {
    let short = std::time::Duration::from_millis(100);
    let world = World::start_with(|settings| settings.limits.head = short).await;
    for beginning in ["", "P", "PRI * HTTP/2.0", "GET / HTTP/1.1\r\nHost: api.example.com\r\n"] {
        let mut client = world.connect().await;
        client.send(beginning).await;
        assert_eq!(client.closed().await, "", "row 523: {beginning:?}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_given_up_but_not_one_that_waits_for_its_answer() {
    let short = std::time::Duration::from_millis(500);
    let world = World::start_with(|settings| {
        settings.limits.idle = short;
        settings.limits.head = short;
    })
    .await;
    let request = world.request("GET", "/slow").await;
    let mut client = world.connect().await;
    client.send(&request).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    // Longer than either limit, which must not run while the upstream is at work.
    let idle = world.connect().await;
    assert_eq!(idle.closed().await, "");
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    assert_eq!(client.read_message().await.body, "ok");
    assert_eq!(client.closed().await, "");
}
