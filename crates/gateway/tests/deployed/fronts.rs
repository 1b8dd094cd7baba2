//! A gateway that answers another proxy: the examples, started as they are but for their addresses.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_dpop::time::{Clock, SystemClock};
use countersign_gateway::{FrontProxy, Mode};
use countersign_resource::Stage;
use countersign_testkit::FakeClock;
use countersign_testkit::service::{Service, find, free_address};
use http::StatusCode;

use crate::world::{Answer, HOST, World};

const LOOPBACK: &str = "127.0.0.0/8";

fn answering(proxy: FrontProxy) -> impl Fn(&mut countersign_gateway::Settings) {
    move |settings| settings.mode = Mode::ForwardAuth { proxy, trusted: vec![LOOPBACK.parse().unwrap()] }
}

/// The example with the addresses of `world`, listening on `listen`.
fn example(file: &str, world: &World, listen: SocketAddr) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    for address in ["127.0.0.1:8080", "127.0.0.1:9000", ":8000"] {
        assert!(text.contains(address), "{file} has {address}");
    }
    text.replace("127.0.0.1:8080", &world.nodes[0].address.to_string())
        .replace("127.0.0.1:9000", &world.upstream.to_string())
        .replace(":8000", &format!(":{}", listen.port()))
}

fn start_nginx(configuration: &str, listen: SocketAddr) -> Service {
    let inside = |directory: &Path, name: &str| directory.join(name).display().to_string();
    Service::start(listen, |directory| {
        // Where it may write, when nobody has installed it.
        let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {};\n", inside(directory, name)))
            .concat();
        let log = format!("access_log off;\nerror_log {};\n", inside(directory, "error.log"));
        let configuration = configuration.replace("http {", &format!("http {{\n{places}{log}"));
        std::fs::write(directory.join("nginx.conf"), configuration)?;
        let globals = format!("daemon off; master_process off; pid {};", inside(directory, "pid"));
        let mut command = Command::new(find("nginx").unwrap());
        command.arg("-p").arg(directory).args(["-c", "nginx.conf", "-g", &globals]).args(["-e", "stderr"]);
        Ok(command)
    })
    .unwrap()
}

fn start_caddy(configuration: &str, listen: SocketAddr) -> Service {
    Service::start(listen, |directory| {
        let file: PathBuf = directory.join("Caddyfile");
        std::fs::write(&file, configuration)?;
        let mut command = Command::new(find("caddy").unwrap());
        command.arg("run").arg("--adapter").arg("caddyfile").arg("--config").arg(file).env("HOME", directory);
        Ok(command)
    })
    .unwrap()
}

pub(crate) async fn nginx() {
    let world = World::start_with(1, answering(FrontProxy::Nginx)).await;
    let listen = free_address().unwrap();
    let _nginx = start_nginx(&example("nginx/nginx.conf", &world, listen), listen);
    through(&world, listen).await;
    let away = world.client.exchange(listen, "GET", "/", &[("host", "evil.example")]).await.unwrap();
    assert_eq!(away.status, StatusCode::FORBIDDEN, "421 as nginx can say it");
    let named = [("x-request-id", "of-the-client")];
    let refused = request(&world, listen, "GET", "/", None, &named).await;
    let name = refused.headers["x-request-id"].to_str().unwrap();
    assert_ne!(name, "of-the-client", "a refusal has the name that the logs have");
    let served = request(&world, listen, "GET", "/", refused.nonce().as_deref(), &named).await;
    let name = format!("x-request-id: {}\n", served.headers["x-request-id"].to_str().unwrap());
    assert!(served.body.contains(&name) && !name.contains("of-the-client"), "{name}{}", served.body);
}

/// What the client sends reaches the API, and what the API answers reaches the client.
pub(crate) async fn nginx_observes() {
    let world = World::start_with(1, |settings| {
        answering(FrontProxy::Nginx)(settings);
        settings.routes.iter_mut().for_each(|route| route.stage = Stage::Observe);
        settings.stage = Stage::Observe;
    })
    .await;
    let listen = free_address().unwrap();
    let _nginx = start_nginx(&example("nginx/nginx.conf", &world, listen), listen);
    let fields = [("host", HOST), ("x-request-id", "of-the-client"), ("countersign-subject", "root")];
    let served = world.client.exchange(listen, "GET", "/", &fields).await.unwrap();
    assert_eq!((served.status, served.headers.get("x-request-id")), (StatusCode::OK, None));
    assert!(served.body.contains("x-request-id: of-the-client"), "{}", served.body);
    assert!(!served.body.contains("root"), "{}", served.body);
}

pub(crate) async fn caddy() {
    let world = World::start_with(1, answering(FrontProxy::Caddy)).await;
    let listen = free_address().unwrap();
    let _caddy = start_caddy(&example("caddy/Caddyfile", &world, listen), listen);
    through(&world, listen).await;
    let away = world.client.exchange(listen, "GET", "/", &[("host", "evil.example")]).await.unwrap();
    assert_eq!(away.status, StatusCode::MISDIRECTED_REQUEST);
}

fn answering_envoy(keep_credentials: bool) -> impl Fn(&mut countersign_gateway::Settings) {
    move |settings| settings.mode = Mode::ExtAuthz { trusted: vec![LOOPBACK.parse().unwrap()], keep_credentials }
}

/// Envoy by its example, before the API at `upstream`.
fn start_envoy(world: &World, upstream: SocketAddr, listen: SocketAddr) -> Service {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/envoy/envoy.yaml");
    let mut text = std::fs::read_to_string(path).unwrap();
    for (written, meant) in [(8080, world.nodes[0].address), (9000, upstream), (8000, listen)] {
        let port = format!("port_value: {written} ");
        assert!(text.contains(&port), "the example has {port}");
        text = text.replace(&port, &format!("port_value: {} ", meant.port()));
    }
    Service::start(listen, |directory| {
        std::fs::write(directory.join("envoy.yaml"), text)?;
        let mut command = Command::new(find("envoy").unwrap());
        command.current_dir(directory).args(["-c", "envoy.yaml", "--concurrency", "1", "--use-dynamic-base-id"]);
        Ok(command)
    })
    .unwrap()
}

pub(crate) async fn envoy() {
    let clock = FakeClock::at(SystemClock.now());
    let mut world = World::start_at(clock.shared(), 1, answering_envoy(false)).await;
    let listen = free_address().unwrap();
    let _envoy = start_envoy(&world, world.upstream, listen);
    through(&world, listen).await;
    let away = world.client.exchange(listen, "GET", "/", &[("host", "evil.example")]).await.unwrap();
    assert_eq!(away.status, StatusCode::MISDIRECTED_REQUEST);
    let nonce = request(&world, listen, "GET", "/", None, &[]).await.nonce().unwrap();
    clock.advance(70);
    let renewed = request(&world, listen, "GET", "/", Some(&nonce), &[]).await;
    assert_eq!(renewed.status, StatusCode::OK, "{}", renewed.body);
    assert!(renewed.nonce().is_some_and(|renewed| renewed != nonce), "a good answer renews an ageing nonce");
    assert_eq!(renewed.headers["cache-control"], "no-store");
    let proof = world.client.proof_for("GET", "/", renewed.nonce().as_deref()).await;
    let twice = [("host", HOST), ("authorization", &*world.client.credentials()), ("dpop", &proof), ("dpop", &proof)];
    let doubled = world.client.exchange(listen, "GET", "/", &twice).await.unwrap();
    assert_eq!(doubled.status, StatusCode::UNAUTHORIZED);
    let counted = world.metrics(0).await;
    assert!(counted.contains("code=\"proof_repeated\""), "as it came: {counted}");
    let single = world.client.exchange(listen, "GET", "/", &twice[..3]).await.unwrap();
    assert_eq!(single.status, StatusCode::OK, "the refused one spent nothing");
    world.stop(0).await;
    let nobody = request(&world, listen, "GET", "/", Some(&nonce), &[]).await;
    assert_eq!(nobody.status, StatusCode::SERVICE_UNAVAILABLE, "without the judge nothing passes");
}

/// Envoy asks, and the API asks again with a store of its own: the proof is good once in each.
pub(crate) async fn envoy_and_the_api() {
    let clock = FakeClock::at(SystemClock.now());
    let mut world = World::start_at(clock.shared(), 1, answering_envoy(true)).await;
    world.change(|_| ());
    let second = world.node(free_address().unwrap()).await.unwrap();
    clock.advance(60);
    let listen = free_address().unwrap();
    let _envoy = start_envoy(&world, second.address, listen);
    let proof = world.client.proof_for("GET", "/", None).await;
    let fields = [("host", HOST), ("authorization", &*world.client.credentials()), ("dpop", &proof)];
    let first = world.client.exchange(listen, "GET", "/", &fields).await.unwrap();
    assert_eq!(first.status, StatusCode::OK, "{}", first.body);
    for server in [listen, second.address] {
        let again = world.client.exchange(server, "GET", "/", &fields).await.unwrap();
        assert_eq!(again.status, StatusCode::UNAUTHORIZED, "spent at each of the two");
    }
}

/// Everything that a client does, through the proxy at `front`.
async fn through(world: &World, front: SocketAddr) {
    let client = &world.client;
    let bare = client.exchange(front, "GET", "/", &[("host", HOST)]).await.unwrap();
    assert_eq!(bare.status, StatusCode::UNAUTHORIZED);
    let challenge = bare.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("DPoP algs=") && !challenge.contains("error"), "{challenge}");
    let challenged = request(world, front, "GET", "/a%2Fb?c=%20d&e=/", None, &[]).await;
    assert_eq!(challenged.status, StatusCode::UNAUTHORIZED, "{}", challenged.body);
    assert!(challenged.headers["www-authenticate"].to_str().unwrap().contains("use_dpop_nonce"));
    assert_eq!(challenged.headers.get_all("dpop-nonce").iter().count(), 1, "exactly one");
    assert_eq!(challenged.headers["cache-control"], "no-store");
    let nonce = challenged.nonce().unwrap();
    let forged = [
        ("countersign-subject", "root"),
        ("countersign_scope", "all"),
        ("x-original-uri", "/open"),
        ("x-forwarded-uri", "/open"),
    ];
    for (method, target) in [("GET", "/a%2Fb?c=%20d&e=/"), ("POST", "/x"), ("DELETE", "/"), ("OPTIONS", "/o")] {
        let served = request(world, front, method, target, Some(&nonce), &forged).await;
        assert_eq!(served.status, StatusCode::OK, "{method} {target}: {}", served.body);
        let received = served.body.to_ascii_lowercase();
        assert!(received.starts_with(&format!("{method} {target}").to_ascii_lowercase()), "{received}");
        for line in ["countersign-subject: alice", "countersign-client: client-1", "countersign-scope: read"] {
            assert!(received.contains(line), "{line} in {received}");
        }
        for absent in ["root", "authorization:", "dpop:", "countersign_scope", "countersign-scope: all"] {
            assert!(!received.contains(absent), "{absent} in {received}");
        }
    }
    let proof = client.proof_for("GET", "/once", Some(&nonce)).await;
    let fields = [("host", HOST), ("authorization", &client.credentials()), ("dpop", &proof)];
    let first = client.exchange(front, "GET", "/once", &fields).await.unwrap();
    assert_eq!(first.status, StatusCode::OK, "asked once for each request, the proof is spent once");
    let again = client.exchange(front, "GET", "/once", &fields).await.unwrap();
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    assert!(again.headers["www-authenticate"].to_str().unwrap().contains("invalid_dpop_proof"));
    let other = client.proof_for("GET", "/other", Some(&nonce)).await;
    let moved = [("host", HOST), ("authorization", &client.credentials()), ("dpop", &other)];
    for (method, target) in [("GET", "/once"), ("POST", "/other")] {
        let refused = client.exchange(front, method, target, &moved).await.unwrap();
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "a proof for another method or path");
    }
    let metadata =
        client.exchange(front, "GET", "/.well-known/oauth-protected-resource", &[("host", HOST)]).await.unwrap();
    assert_eq!(metadata.status, StatusCode::OK);
    assert!(metadata.body.contains("authorization_servers"), "{}", metadata.body);
}

/// One good request.
async fn request(
    world: &World,
    front: SocketAddr,
    method: &str,
    target: &str,
    nonce: Option<&str>,
    more: &[(&str, &str)],
) -> Answer {
    let path = target.split('?').next().unwrap();
    let proof = world.client.proof_for(method, path, nonce).await;
    let credentials = world.client.credentials();
    let mut fields = vec![("host", HOST), ("authorization", credentials.as_str()), ("dpop", proof.as_str())];
    fields.extend(more);
    world.client.exchange(front, method, target, &fields).await.unwrap()
}

/// nginx asks, and the API asks again with a store of its own: the proof is good once in each.
pub(crate) async fn both_check() {
    let clock = FakeClock::at(SystemClock.now());
    let mut world = World::start_at(clock.shared(), 1, answering(FrontProxy::Nginx)).await;
    // The second one checks as a proxy would, in place of an API that does.
    world.change(|_| ());
    let second = world.node(free_address().unwrap()).await.unwrap();
    // Past both starts: a nonce of one would be none to the other.
    clock.advance(60);
    let listen = free_address().unwrap();
    let configuration = example("nginx/nginx.conf", &world, listen)
        .replace(&world.upstream.to_string(), &second.address.to_string())
        .replace("proxy_set_header Authorization \"\";", "")
        .replace("proxy_set_header DPoP \"\";", "");
    let _nginx = start_nginx(&configuration, listen);
    let proof = world.client.proof_for("GET", "/", None).await;
    let fields = [("host", HOST), ("authorization", &world.client.credentials()), ("dpop", &proof)];
    let first = world.client.exchange(listen, "GET", "/", &fields).await.unwrap();
    assert_eq!(first.status, StatusCode::OK, "{}", first.body);
    for server in [listen, second.address] {
        let again = world.client.exchange(server, "GET", "/", &fields).await.unwrap();
        assert_eq!(again.status, StatusCode::UNAUTHORIZED, "spent at each of the two");
    }
}

pub(crate) async fn traefik() {
    let world = World::start_with(1, answering(FrontProxy::Traefik)).await;
    let gateway = world.nodes[0].address;
    // As traefik 3 asks: GET at the address, the client's fields, and these.
    let ask = async |uri: &str, proof: &str| {
        let fields = [
            ("authorization", &*world.client.credentials()),
            ("dpop", proof),
            ("x-forwarded-method", "PUT"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", HOST),
            ("x-forwarded-uri", uri),
            ("x-forwarded-for", "192.0.2.1"),
        ];
        world.client.exchange(gateway, "GET", "/", &fields).await.unwrap()
    };
    let challenged = ask("/a?b", &world.client.proof_for("PUT", "/a", None).await).await;
    let nonce = challenged.nonce().unwrap();
    let proof = world.client.proof_for("PUT", "/a", Some(&nonce)).await;
    let other = ask("/b", &proof).await;
    assert_eq!(other.status, StatusCode::UNAUTHORIZED);
    let served = ask("/a?b", &proof).await;
    assert_eq!((served.status, served.body.as_str()), (StatusCode::OK, ""), "an empty body");
    assert_eq!(served.headers["countersign-subject"], "alice");
    assert_eq!(ask("/a?b", &proof).await.status, StatusCode::UNAUTHORIZED);
}

pub(crate) async fn who_may_ask() {
    let world = World::start_with(1, |settings| {
        settings.mode = Mode::ForwardAuth { proxy: FrontProxy::Caddy, trusted: vec!["192.0.2.0/24".parse().unwrap()] };
    })
    .await;
    let gateway = world.nodes[0].address;
    let fields = [("x-forwarded-method", "GET"), ("x-forwarded-uri", "/")];
    let stranger = world.client.exchange(gateway, "GET", "/", &fields).await.unwrap();
    assert_eq!(stranger.status, StatusCode::FORBIDDEN, "{}", stranger.body);
    let world = World::start_with(1, answering(FrontProxy::Caddy)).await;
    let gateway = world.nodes[0].address;
    for unclear in
        [&fields[..1], &fields[1..], &[fields[0], fields[1], fields[1]], &[fields[0], ("x-forwarded-uri", "x")]]
    {
        let answer = world.client.exchange(gateway, "GET", "/", unclear).await.unwrap();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{unclear:?}: {}", answer.body);
    }
    let clear = world.client.exchange(gateway, "GET", "/", &fields).await.unwrap();
    assert_eq!(clear.status, StatusCode::UNAUTHORIZED);
    assert!(world.metrics(0).await.contains("countersign_gateway_errors_total{code=\"forwarded_fields\"} 4"));
}
