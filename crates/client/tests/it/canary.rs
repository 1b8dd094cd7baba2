//! Nothing that is secret shows in what is printed, told or logged, at any level.

use std::fmt::Write;
use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use countersign_client::config::{AssertionKey, Authentication};
use countersign_client::keys::{KeyStore, MemoryKeyStore};
use countersign_client::{Client, RequestBody};
use countersign_dpop::jose::{Algorithm, SoftwareKey, encode_base64url};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::played::*;

const NONCE: &str = "canary-nonce-Yv3k";
const QUERY: &str = "canary-query-Pb6s";
const BODY: &str = "canary-body-Rt5m";

/// What was logged through `log`, by any test of this program.
static LOGGED: LazyLock<Mutex<String>> = LazyLock::new(Mutex::default);

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let mut logged = LOGGED.lock().expect("not poisoned");
        writeln!(logged, "{} {}", record.target(), record.args()).expect("room");
    }

    fn flush(&self) {}
}

/// What was traced on this thread.
#[derive(Clone, Default)]
struct Traced(Arc<Mutex<Vec<u8>>>);

impl io::Write for Traced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Traced {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A server that demands a nonce everywhere and sends back all that it gets.
fn indiscreet(seen: &Seen) -> axum::response::Response {
    if seen.path.starts_with("/.well-known/") {
        return reply_json(200, &metadata(&seen.origin));
    }
    let has_nonce = seen.proof().get("nonce").is_some();
    let everything = format!("{:?} {:?}", seen.headers, seen.body);
    match (seen.path.as_str(), has_nonce) {
        ("/token", true) if seen.form("scope").is_some() => {
            reply_json(400, &json!({ "error": "invalid_scope", "error_description": everything }))
        }
        ("/token", true) => reply_json(200, &token_answer()),
        ("/token", false) => nonce_error(NONCE),
        (_, true) => reply(200, &[], everything),
        (_, false) => nonce_challenge(NONCE),
    }
}

struct Printed(String);

impl Printed {
    fn add(&mut self, thing: &dyn std::fmt::Debug) {
        writeln!(self.0, "{thing:?} {thing:#?}").expect("room");
    }

    fn add_error(&mut self, error: &(dyn std::error::Error + 'static)) {
        self.add(&error);
        let mut link = Some(error);
        while let Some(error) = link {
            writeln!(self.0, "{error}").expect("room");
            link = error.source();
        }
    }
}

/// The private scalar of an ES256 key as its PKCS#8 form has it (RFC 5915 §3), in the forms in which it could show.
fn forms_of_private_key(pkcs8: &[u8]) -> Vec<String> {
    let at = pkcs8.windows(4).position(|window| window == [2, 1, 1, 4]).expect("ECPrivateKey, version 1") + 5;
    let scalar = &pkcs8[at..at + 32];
    let hex = scalar.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    vec![encode_base64url(scalar), hex, format!("{scalar:?}"), format!("{:?}", &scalar[..4])]
}

async fn use_it(client: &Client, server: &Played, printed: &mut Printed) {
    for (method, path) in [("GET", "a"), ("POST", "b")] {
        let url = format!("{}/{path}?{QUERY}", server.origin());
        let request = http::Request::builder().method(method).uri(url).body(RequestBody::from(BODY.to_owned()));
        let request = request.expect("a request");
        printed.add(request.body());
        let response = client.call(request).await.expect("an answer");
        printed.add(&response.body());
        response.into_body().read_at_most(1 << 20).await.expect("a body");
    }
    printed.add(client);
    printed.add(&client.token().await.expect("a token"));
    let nowhere = format!("http://127.0.0.1:1/?{QUERY}");
    printed.add_error(&client.call(get(&nowhere)).await.expect_err("nobody listens"));
}

#[tokio::test]
async fn nothing_secret_is_printed_told_or_logged() {
    log::set_logger(&Logger).expect("the only logger");
    log::set_max_level(log::LevelFilter::Trace);
    // A second subscriber: while one on a thread is the only one, a place in hyper that another test's thread reaches
    // first is silent for every thread from then on.
    tracing::subscriber::set_global_default(tracing_subscriber::registry()).expect("the only one for all threads");
    let traced = Traced::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(traced.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);

    let clock = set_clock();
    let store = MemoryKeyStore::new(clock.clone());
    let mut secrets = vec![TOKEN, SECRET, NONCE, QUERY, BODY].into_iter().map(str::to_owned).collect::<Vec<_>>();
    for key in ["dpop", "robot"] {
        let generated = SoftwareKey::generate(Algorithm::Es256).expect("a key");
        secrets.extend(forms_of_private_key(&generated.to_pkcs8().expect("PKCS#8")));
        store.import(&name(key), generated).expect("a key");
    }
    let server = Played::start(indiscreet).await;
    let mut printed = Printed(String::new());
    printed.add(&store);
    let by_key = Authentication::PrivateKeyJwt { key: AssertionKey::Stored(name("robot")), kid: None };
    for authentication in [by_secret(), by_key] {
        let config = config(server.origin(), authentication);
        printed.add(&config);
        let client = Client::open(&config, &store, clock.clone()).expect("a client");
        let (client, steps) = observed(client);
        use_it(&client, &server, &mut printed).await;
        printed.add(&steps);
        let refused = Client::open(&config.with_scope("no such"), &store, clock.clone()).expect("a client");
        printed.add_error(&refused.token().await.expect_err("refused"));
    }
    drop(guard);

    for seen in server.seen() {
        secrets.extend(seen.headers.get_all("dpop").iter().map(|proof| proof.to_str().expect("text").to_owned()));
        secrets.extend(seen.headers.get("dpop").map(|_| seen.proof()["jti"].as_str().expect("text").to_owned()));
        secrets.extend(seen.form("client_assertion"));
    }
    let basic = server.seen_at("/token")[0].field("authorization").trim_start_matches("Basic ").to_owned();
    secrets.push(basic);
    let traced = String::from_utf8(traced.0.lock().expect("not poisoned").clone()).expect("text");
    let logged = LOGGED.lock().expect("not poisoned").clone();
    assert!(traced.contains("hyper") && !logged.is_empty(), "the logs are not empty");
    for (place, text) in [("printed", &printed.0), ("traced", &traced), ("logged", &logged)] {
        for secret in &secrets {
            let found = text.find(secret.as_str());
            let around = found.map(|at| &text[at.saturating_sub(200)..(at + 80).min(text.len())]);
            assert_eq!(around, None, "a secret is {place}");
        }
    }
}
