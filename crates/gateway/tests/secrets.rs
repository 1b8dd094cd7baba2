//! Canaries in everything secret, and every output searched for them. Its own process, because the log is.
#![expect(clippy::unwrap_used, reason = "what a test relies on")]

#[path = "gateway/wire.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod wire;
#[path = "gateway/world.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod world;

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::filter::LevelFilter;

use crate::world::{HOST, ORIGIN, World};

/// A log to search.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_output_holds_a_token_a_proof_a_nonce_or_a_body() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    let world = World::start_with(|settings| settings.nonce = countersign_dpop::NoncePolicy::Required).await;
    let mut client = world.connect().await;
    let mut answers = String::new();

    let token = world.token().await;
    let proof = world.proof("POST", ORIGIN, &token, None).await;
    let fields = format!(
        "Host: {HOST}\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\nCookie: canary-cookie\r\nX-Api-Key: canary-key\r\n"
    );
    client.send(&format!("POST / HTTP/1.1\r\n{fields}\r\n")).await;
    let refused = client.read_message().await;
    let nonce = refused.field("dpop-nonce").unwrap().to_owned();
    answers.push_str(&refused.body);
    answers.push_str(refused.values("www-authenticate").next().unwrap());

    // Served; the same again, refused; and one that the upstream breaks off.
    let second = world.proof("POST", ORIGIN, &token, Some(&nonce)).await;
    let fields = fields.replace(&proof, &second);
    let request = format!("POST /?canary-query=1 HTTP/1.1\r\n{fields}Content-Length: 11\r\n\r\ncanary-body");
    client.send(&request).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    upstream.send("HTTP/1.1 200 OK\r\nSet-Cookie: canary-set\r\nContent-Length: 13\r\n\r\ncanary-answer").await;
    client.read_message().await;
    client.send(&request).await;
    answers.push_str(&client.read_message().await.body);
    let third = world.proof("POST", ORIGIN, &token, Some(&nonce)).await;
    client.send(&request.replace(&second, &third)).await;
    upstream.read_message().await;
    upstream.send("canary-garbage\r\n\r\n").await;
    let broken = client.read_message().await;
    assert_eq!(broken.status(), 502);
    answers.push_str(&broken.body);
    // And a head that is refused before anything is read out of it.
    let mut odd = world.connect().await;
    odd.send(&format!("POST / HTTP/1.1\r\n{fields}X: canary-odd\n\r\n")).await;
    answers.push_str(&odd.read_message().await.body);

    let mut admin = world.connect_admin().await;
    admin.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    answers.push_str(&admin.read_message().await.body);

    let outputs = [("log", log.text()), ("answers", answers), ("decisions", world.decisions.lines())];
    assert!(outputs[0].1.contains("not answered by the upstream"), "the log was written: {}", outputs[0].1);
    let secrets =
        [&token, &proof, &second, &third].map(|text| text.split('.').map(ToOwned::to_owned)).into_iter().flatten();
    for secret in secrets.chain([nonce, "canary".to_owned()]) {
        for (place, output) in &outputs {
            assert!(!output.contains(&secret), "{secret} in {place}: {output}");
        }
    }
}
