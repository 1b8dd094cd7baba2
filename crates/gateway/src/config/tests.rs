use std::net::IpAddr;
use std::path::Path;

use countersign_dpop::NoncePolicy;
use countersign_dpop::time::Window;
use countersign_forward::{UpstreamHost, UpstreamTls};
use countersign_replay::RedisServer;
use countersign_resource::es256::{Engine, Sampling};
use countersign_resource::{BearerAllowance, Stage};

use super::*;
use crate::forward_auth::FrontProxy;
use crate::mode::Mode;

fn minimal() -> GatewayConfig {
    GatewayConfig {
        public_origin: Some("https://api.example.com".to_owned()),
        upstream: Some("http://127.0.0.1:9000".to_owned()),
        issuer: Some("https://idp.example.com".to_owned()),
        audience: Some("https://api.example.com".to_owned()),
        ..GatewayConfig::default()
    }
}

fn resolve(config: &GatewayConfig) -> Result<Settings, String> {
    config.resolve(Path::new("/nowhere")).map_err(|errors| errors.to_string())
}

#[expect(clippy::unnecessary_wraps, reason = "keys are options")]
fn some(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[test]
fn what_is_left_out_is_strict() {
    let settings = resolve(&minimal()).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.stage, Stage::Require);
    assert_eq!(settings.nonce, NoncePolicy::Optional);
    assert_eq!(settings.window, Window::RFC);
    assert_eq!(settings.replay, ReplaySetting::Memory { capacity: 2_000_000 });
    assert_eq!(settings.admin, None);
    assert!(settings.cors.is_none() && settings.warnings.is_empty());
    let Sampling { accepted, refused } = settings.keys.sampling;
    assert_eq!((settings.keys.cache, settings.keys.engine), (256_000_000, Engine::best()));
    assert_eq!((accepted, refused), (1_024, 64));
}

#[test]
fn everything_that_is_missing_is_said_at_once() {
    assert_eq!(
        resolve(&GatewayConfig::default()).unwrap_err(),
        "public_origin: missing; the URL that clients use, like https://api.example.com\n\
         upstream: missing; the URL of the API itself, like http://127.0.0.1:9000\n\
         issuer: missing; who issues the tokens, like https://idp.example.com\n\
         audience: missing; what tokens name as their audience, like https://api.example.com"
    );
}

#[test]
fn everything_chosen_is_taken() {
    let config = GatewayConfig {
        listen: some("localhost:0"),
        aliases: vec!["https://api.example.org".to_owned()],
        upstream_host: some("public"),
        stage: some("observe"),
        nonce: some("required"),
        window: some("strict"),
        algs: some("ES256, Ed25519"),
        replay: some("memory"),
        replay_capacity: Some(10),
        key_cache: Some("64KiB".parse().unwrap()),
        es256_engine: some("library"),
        es256_check_accepted: Some(1),
        es256_check_refused: Some(0),
        cors_origins: vec!["https://app.example.com".to_owned()],
        admin: some("127.0.0.1:9901"),
        limits: LimitConfig { drain_seconds: Some(3), ..LimitConfig::default() },
        ..minimal()
    };
    let settings = resolve(&config).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:0");
    assert_eq!(settings.aliases[0].as_str(), "https://api.example.org");
    assert_eq!(settings.upstream_host, UpstreamHost::Public);
    assert_eq!(settings.stage, Stage::Observe);
    assert_eq!(settings.nonce, NoncePolicy::Required);
    assert_eq!(settings.window, Window::STRICT);
    assert_eq!(settings.algorithms.names(), "ES256 Ed25519");
    assert_eq!(settings.replay, ReplaySetting::Memory { capacity: 10 });
    let sampling = Sampling { accepted: 1, refused: 0 };
    assert_eq!(settings.keys, KeySettings { cache: 65_536, engine: Engine::Library, sampling });
    assert!(settings.cors.is_some());
    assert_eq!(settings.admin.unwrap().port(), 9901);
    assert_eq!(settings.limits.drain.as_secs(), 3);
}

#[test]
fn every_wrong_value_is_named_with_its_key_and_a_way_out() {
    type Change = fn(&mut GatewayConfig);
    let cases: [(Change, &str); 19] = [
        (|c| c.listen = some("8080"), "listen: \"8080\" is no address to listen on; write one like 127.0.0.1:8080"),
        (|c| c.admin = some("here"), "admin: \"here\" is no address to listen on"),
        (|c| c.public_origin = some("api"), "public_origin: \"api\" is not usable: not a usable URL"),
        (|c| c.upstream = some("ftp://h"), "upstream: not usable: a scheme other than http and https"),
        (|c| c.issuer = some("idp"), "issuer: the issuer \"idp\" is not usable"),
        (|c| c.issuer = some("http://idp.example.com"), "plain http, which is allowed for loopback hosts only"),
        (|c| c.jwks = some("http://idp.example.com/k"), "jwks: the key set's address"),
        (|c| c.jwks = some("keys.json"), "jwks: the key set /nowhere/keys.json cannot be read"),
        (|c| c.audience = some("api"), "audience: \"api\" is not usable"),
        (|c| c.stage = some("strict"), "stage: \"strict\" is not a stage; stages are observe, accept, prefer, require"),
        (|c| c.nonce = some("yes"), "nonce: \"yes\" is none of never, optional, required"),
        (|c| c.window = some("wide"), "window: \"wide\" is none of rfc, strict, fapi2, mcp, atproto"),
        (|c| c.algs = some("ES256,HS256"), "algs: \"HS256\" is not a signature algorithm that is implemented here"),
        (|c| c.algs = some(","), "algs: \",\" is not a signature algorithm"),
        (|c| c.replay = some("disk"), "replay: not a replay store of this program; there are memory"),
        (|c| c.replay_capacity = Some(0), "replay_capacity: 0 is not within 1 to 4294967295"),
        (|c| c.cors_origins = vec!["app".to_owned()], "cors_origins: the origin \"app\" is not usable"),
        (|c| c.limits.head_bytes = Some(1), "limits.head_bytes: 1 is not within 8192 to 1048576"),
        (
            |c| {
                c.issuers =
                    vec![IssuerEntry { issuer: "https://idp.example.com".to_owned(), ..IssuerEntry::default() }];
            },
            "issuers: the issuer \"https://idp.example.com\" is listed twice",
        ),
    ];
    for (change, expected) in cases {
        let mut config = minimal();
        change(&mut config);
        let error = resolve(&config).unwrap_err();
        assert!(error.contains(expected) && !error.contains('\n'), "expected {expected:?}, found {error:?}");
    }
}

#[test]
fn no_error_repeats_a_password() {
    let config = GatewayConfig {
        replay: some("redis://:canary-1@store:canary-3"),
        upstream: some("http://user:canary-2@127.0.0.1:9000"),
        ..minimal()
    };
    let error = resolve(&config).unwrap_err();
    assert!(!error.contains("canary"), "{error}");
    assert_eq!(error.lines().count(), 2, "{error}");
}

#[test]
fn a_shared_store_is_read_with_its_password_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    let config =
        GatewayConfig { replay: some("redis://store:7000"), replay_password_file: some("password"), ..minimal() };
    let error = config.resolve(directory.path()).unwrap_err().to_string();
    assert!(error.starts_with("replay_password_file: ") && error.contains("password"), "{error}");
    std::fs::write(&file, "\n").unwrap();
    let error = config.resolve(directory.path()).unwrap_err().to_string();
    assert!(error.contains("has an empty first line"), "{error}");
    std::fs::write(&file, "canary\n").unwrap();
    let settings = config.resolve(directory.path()).unwrap();
    let expected = RedisServer::parse("redis://:canary@store:7000").unwrap();
    assert_eq!(settings.replay, ReplaySetting::Redis { server: expected, capacity: ReplaySetting::DEFAULT_CAPACITY });
    assert!(!format!("{settings:?}").contains("canary"));
    let other = GatewayConfig { replay_ca_file: some("password"), ..config };
    let error = other.resolve(directory.path()).unwrap_err().to_string();
    assert!(error.starts_with("replay_ca_file: ") && !error.contains("canary"), "{error}");
}

#[test]
fn whom_to_trust_as_the_upstream_and_what_to_show_to_it_is_read_from_files() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["api.example".to_owned()]).unwrap();
    std::fs::write(directory.path().join("certificate.pem"), made.cert.pem()).unwrap();
    std::fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(directory.path().join("broken.pem"), "canary").unwrap();
    let config = GatewayConfig {
        upstream: some("https://api.example"),
        upstream_ca_file: some("certificate.pem"),
        upstream_certificate: some("certificate.pem"),
        upstream_key: some("key.pem"),
        ..minimal()
    };
    assert_ne!(config.resolve(directory.path()).unwrap().upstream_tls, UpstreamTls::default());
    let files = config.files(directory.path());
    for file in ["certificate.pem", "key.pem"] {
        assert!(files.contains(&directory.path().join(file)), "a change of {file} is a change of the configuration");
    }
    for (wrong, key) in [
        (GatewayConfig { upstream_ca_file: some("broken.pem"), ..config.clone() }, "upstream_ca_file: "),
        (GatewayConfig { upstream_ca_file: some("nowhere.pem"), ..config.clone() }, "upstream_ca_file: "),
        (GatewayConfig { upstream_key: some("broken.pem"), ..config.clone() }, "upstream_certificate: "),
        (GatewayConfig { upstream_key: None, ..config.clone() }, "upstream_key: missing"),
        (GatewayConfig { upstream_certificate: None, ..config.clone() }, "upstream_certificate: missing"),
    ] {
        let error = wrong.resolve(directory.path()).unwrap_err().to_string();
        assert!(error.starts_with(key) && !error.contains("canary"), "{error}");
    }
}

#[test]
fn the_rate_of_bodies_holds_for_both_directions() {
    let with = |rate| {
        let limits = LimitConfig { body_bytes_per_second: Some(rate), ..LimitConfig::default() };
        resolve(&GatewayConfig { limits, ..minimal() })
    };
    let limits = with(500).unwrap().limits;
    assert_eq!((limits.forward.request_body_bytes_per_second, limits.write_bytes_per_second), (500, 500));
    assert_eq!(with(0).unwrap().limits.write_bytes_per_second, 0);
    assert!(with(1_000_001).unwrap_err().starts_with("limits.body_bytes_per_second: "));
}

#[test]
fn answering_envoy_needs_no_upstream() {
    let config = GatewayConfig { mode: some("ext-authz"), upstream: None, ..minimal() };
    let Mode::ExtAuthz { trusted, keep_credentials: false } = resolve(&config).unwrap().mode else { panic!("mode") };
    assert_eq!(trusted.len(), 2, "the two loopback networks");
    let config = GatewayConfig { keep_credentials: Some(true), ..config };
    assert!(matches!(resolve(&config).unwrap().mode, Mode::ExtAuthz { keep_credentials: true, .. }));
}

#[test]
fn answering_another_proxy_needs_its_kind_and_no_upstream() {
    let config = GatewayConfig { mode: some("forward-auth"), proxy: some("caddy"), upstream: None, ..minimal() };
    let Mode::ForwardAuth { proxy: FrontProxy::Caddy, trusted } = resolve(&config).unwrap().mode else {
        panic!("mode")
    };
    let trusts = |address: &str| trusted.iter().any(|network| network.contains(&address.parse::<IpAddr>().unwrap()));
    assert!(trusts("127.0.0.1") && trusts("::1") && !trusts("192.0.2.1"));
    let config = GatewayConfig { trusted_proxies: vec!["10.0.0.0/8".to_owned(), "::5".to_owned()], ..config };
    assert!(resolve(&config).is_ok());
    for (fault, config) in [
        ("trusted_proxies: ", GatewayConfig { trusted_proxies: vec!["10.0.0.0/99".to_owned()], ..config.clone() }),
        ("proxy: missing; which proxy asks", GatewayConfig { proxy: None, ..config.clone() }),
        ("proxy: \"apache\" is none of", GatewayConfig { proxy: some("apache"), ..config.clone() }),
        ("keep_credentials: cannot stand beside", GatewayConfig { keep_credentials: Some(true), ..config.clone() }),
        ("proxy: cannot stand beside mode = ext-authz", GatewayConfig { mode: some("ext-authz"), ..config.clone() }),
        ("mode: \"auth\" is none of", GatewayConfig { mode: some("auth"), ..config.clone() }),
        (
            "proxy: cannot stand beside mode = proxy",
            GatewayConfig { mode: None, upstream: minimal().upstream, ..config },
        ),
    ] {
        let error = resolve(&config).unwrap_err();
        assert!(error.contains(fault), "{fault} in {error}");
    }
}

#[test]
fn plain_http_is_for_those_who_listen_on_loopback() {
    let plain = GatewayConfig { public_origin: some("http://api.example.com"), ..minimal() };
    let settings = resolve(&plain).unwrap();
    assert_eq!(
        settings.warnings,
        ["http://api.example.com is plain http: whoever is between it and its clients can read their tokens"]
    );
    let open = GatewayConfig { listen: some("0.0.0.0:8080"), ..plain };
    assert!(resolve(&open).unwrap_err().contains("plain http"));
}

#[test]
fn some_settings_imply_a_nonce() {
    for (window, replay) in [(None, some("node")), (some("atproto"), None)] {
        let config = GatewayConfig { window, replay, ..minimal() };
        assert_eq!(resolve(&config).unwrap().nonce, NoncePolicy::Required);
        let config = GatewayConfig { nonce: some("optional"), ..config };
        assert!(resolve(&config).unwrap_err().starts_with("nonce: cannot stand beside"));
    }
}

#[test]
fn flags_win_over_the_file() {
    let file = GatewayConfig { stage: some("observe"), window: some("mcp"), jwks: some("old.json"), ..minimal() };
    let flags =
        GatewayConfig { stage: some("require"), issuer: some("https://new.example"), ..GatewayConfig::default() };
    let config = flags.over(file);
    assert_eq!(config.stage.as_deref(), Some("require"));
    assert_eq!(config.window.as_deref(), Some("mcp"));
    assert_eq!(config.issuer.as_deref(), Some("https://new.example"));
    assert_eq!(config.jwks, None, "the keys of another issuer");
}

fn from_toml(text: &str) -> Result<GatewayConfig, toml::de::Error> {
    let base = "public_origin = 'https://api.example.com'\nupstream = 'http://127.0.0.1:9000'\n\
                audience = 'https://api.example.com'\nissuer = 'https://idp.example.com'\n";
    toml::from_str(&format!("{base}{text}"))
}

#[test]
fn routes_take_from_the_top_what_they_do_not_say() {
    let config = from_toml(
        "stage = 'accept'\nstages = [{ stage = 'prefer', from = 2027-01-01 }, { stage = 'require', from = '2027-06-01T12:00:00+02:00' }]\n\
         [[routes]]\npath = '/a'\n\
         [[routes]]\npath = '/b'\nmethods = ['GET', 'QUERY']\nstage = 'require'\nscopes = ['read']\nnonce = 'required'\n\
         window = 'strict'\naudience = 'https://api.example.com/b'\nupstream = 'http://127.0.0.1:9001'\nname = 'bee'\n",
    )
    .unwrap();
    let settings = resolve(&config).unwrap();
    let dates: Vec<_> = settings.stages.iter().map(|(from, stage)| (from.seconds(), *stage)).collect();
    assert_eq!(dates, [(1_798_761_600, Stage::Prefer), (1_811_844_000, Stage::Require)]);
    let [a, b] = settings.routes.as_slice() else { panic!("two routes") };
    assert_eq!((&*a.name, a.stage, &a.stages), ("/a", Stage::Accept, &settings.stages));
    assert_eq!(
        (a.audience.as_str(), a.window, a.nonce),
        ("https://api.example.com", Window::RFC, NoncePolicy::Optional)
    );
    assert_eq!((&*b.name, b.stage, b.stages.len(), b.methods.len()), ("bee", Stage::Require, 0, 2));
    assert_eq!(
        (b.audience.as_str(), b.window, b.nonce),
        ("https://api.example.com/b", Window::STRICT, NoncePolicy::Required)
    );
    assert_eq!(b.upstream.to_string(), "http://127.0.0.1:9001");
}

#[test]
fn clients_have_dates_and_issuers() {
    let config = from_toml(
        "[[clients]]\nclient_id = 'old'\nstage = 'accept'\nuntil = 2027-01-31\n\
         [[clients]]\nclient_id = 'older'\nbound_as_bearer = true\nuntil = 2027-01-31\n\
         [[clients]]\nclient_id = 'new'\nstage = 'require'\nfrom = 2027-01-01\n",
    )
    .unwrap();
    let settings = resolve(&config).unwrap();
    let rules: Vec<_> = settings
        .clients
        .iter()
        .map(|rule| (rule.client_id.as_str(), rule.allowance, rule.from.seconds(), rule.until.seconds()))
        .collect();
    let end = 1_801_439_999;
    assert_eq!(
        rules,
        [
            ("old", BearerAllowance::Unbound, i64::MIN, end),
            ("older", BearerAllowance::BoundToo, i64::MIN, end),
            ("new", BearerAllowance::Never, 1_798_761_600, i64::MAX),
        ]
    );
    assert!(settings.clients.iter().all(|rule| rule.issuer == "https://idp.example.com"));
}

#[test]
fn what_is_wrong_with_routes_and_clients_is_said_with_its_key() {
    for (text, expected) in [
        ("[[routes]]\npath = 'a'", "routes[0].path: \"a\" is no path"),
        ("[[routes]]\npath = '/a/../b'", "routes[0].path: \"/a/../b\" is no path"),
        ("[[routes]]\npath = '/%61'", "routes[0].path: \"/%61\" is no path"),
        ("[[routes]]\npath = '/a'\nmethods = ['get']", "routes[0].methods: \"get\" is no method"),
        ("[[routes]]\npath = '/a'\nname = 'a b'", "routes[0].name: \"a b\" is no name"),
        ("[[routes]]\npath = '/a'\nname = 'default'", "routes[0].name: \"default\" is there twice"),
        (
            "[[routes]]\npath = '/a'\n[[routes]]\npath = '/a/'",
            "routes[1].path: takes the same requests as routes[0].path",
        ),
        ("[[routes]]\npath = '/a'\nstage = 'loud'", "routes[0].stage: \"loud\" is not a stage"),
        ("[[routes]]\npath = '/a'\nwindow = 'wide'", "routes[0].window: \"wide\" is none of"),
        ("[[routes]]\npath = '/a'\nwindow = 'atproto'\nnonce = 'never'", "routes[0].nonce: cannot stand beside window"),
        ("[[routes]]\npath = '/a'\naudience = 'orders'", "routes[0].audience: \"orders\" is not usable"),
        ("[[routes]]\npath = '/a'\nupstream = 'ftp://x'", "routes[0].upstream: not usable"),
        ("stages = [{ stage = 'require', from = 2027-01-01 }]", "stages: a stage must follow"),
        ("stage = 'observe'\nstages = [{ stage = 'accept', from = 12:00:00 }]", "stages: \"12:00:00\" is no date"),
        (
            "stage = 'observe'\nstages = [{ stage = 'accept', from = 2027-01-01 }, { stage = 'prefer', from = 2026-01-01 }]",
            "stages: a stage must follow",
        ),
        ("[[clients]]\nclient_id = 'x'", "clients[0].until: missing"),
        ("[[clients]]\nclient_id = 'x'\nstage = 'observe'\nuntil = 2027-01-01", "clients[0].stage: one client's stage"),
        (
            "[[clients]]\nclient_id = 'x'\nissuer = 'https://x.example'\nuntil = 2027-01-01",
            "clients[0].issuer: no issuer",
        ),
        (
            "[[clients]]\nclient_id = 'x'\nfrom = 2027-02-01\nuntil = 2027-01-01",
            "clients[0].from: cannot stand beside until",
        ),
        (
            "[[issuers]]\nissuer = 'https://b.example'\nintrospection = { client_id = 'rs' }",
            "issuers[0].introspection: write one of secret_file and key_file",
        ),
        (
            "[[issuers]]\nissuer = 'https://b.example'\njwks = 'x'\nintrospection = { client_id = 'rs' }",
            "issuers[0].jwks: cannot stand beside introspection",
        ),
        (
            "[[issuers]]\nissuer = 'https://b.example'\nintrospection = { client_id = 'rs', secret_file = 'none' }",
            "issuers[0].introspection: /nowhere/none cannot be read",
        ),
        (
            "[[issuers]]\nissuer = 'https://b.example'\njwks = '{\"keys\":[1]}'",
            "issuers[0].jwks: the key set in the configuration",
        ),
    ] {
        let error = resolve(&from_toml(text).unwrap()).unwrap_err();
        assert!(error.contains(expected), "expected {expected:?}, found {error:?}");
    }
}

#[test]
fn an_issuer_may_be_asked_and_its_secret_is_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("secret"), "canary-secret\n").unwrap();
    // RFC 7515 A.3.
    let key = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
    std::fs::write(directory.path().join("key"), key).unwrap();
    let with = |credential: &str| {
        let text = format!(
            "[[issuers]]\nissuer = 'https://b.example'\n[issuers.introspection]\nclient_id = 'rs'\n{credential}"
        );
        let config = from_toml(&text).unwrap();
        config.resolve(directory.path()).map_err(|errors| errors.to_string())
    };
    let settings = with("endpoint = 'https://b.example/ask'\nsecret_file = 'secret'\ncache_seconds = 5").unwrap();
    assert_eq!(settings.issuers.len(), 2);
    assert!(!format!("{settings:?}").contains("canary"));
    assert!(with("key_file = 'key'\nkid = 'k'").is_ok());
    assert!(with("key_file = 'secret'").unwrap_err().contains("holds no usable key"));
    assert!(!with("key_file = 'secret'").unwrap_err().contains("canary"));
    assert!(with("secret_file = 'secret'\nkey_file = 'key'").unwrap_err().contains("write one of"));
    assert!(with("secret_file = 'secret'\ncache_seconds = 31").unwrap_err().contains("0 to 30"));
}

#[test]
fn keys_may_stand_in_the_configuration() {
    let key = countersign_dpop::jose::SoftwareKey::generate(countersign_dpop::jose::Algorithm::Es256).unwrap();
    let set = format!("{{\"keys\":[{}]}}", key.public_jwk().to_json());
    let config = GatewayConfig { jwks: Some(set), ..minimal() };
    assert!(resolve(&config).is_ok());
}

#[test]
fn the_memory_for_keys_is_a_size_and_the_engine_one_that_can_be_relied_on() {
    let read =
        |text: &str| toml::from_str::<GatewayConfig>(text).map(|config| config.key_cache.map(|size| size.as_u64()));
    for (text, bytes) in
        [("'256MB'", 256_000_000), ("'256 MiB'", 268_435_456), ("'1GB'", 1_000_000_000), ("'0'", 0), ("0", 0)]
    {
        assert_eq!(read(&format!("key_cache = {text}")).unwrap(), Some(bytes), "{text}");
    }
    for text in ["'much'", "'-1'", "-1", "'1XB'", "''"] {
        assert!(read(&format!("key_cache = {text}")).is_err(), "{text}");
    }
    let refused = resolve(&GatewayConfig { es256_engine: some("fast"), ..minimal() }).unwrap_err();
    assert_eq!(refused, "es256_engine: \"fast\" is no ES256 engine; there are library, portable, ifma");
    let ifma = resolve(&GatewayConfig { es256_engine: some("ifma"), ..minimal() });
    assert_eq!(ifma.is_ok(), Engine::Ifma.is_available(), "never another one in silence");
    let flags = GatewayConfig { key_cache: Some("1MB".parse().unwrap()), ..GatewayConfig::default() };
    let file = GatewayConfig { key_cache: Some("2MB".parse().unwrap()), es256_engine: some("library"), ..minimal() };
    let settings = resolve(&flags.over(file)).unwrap();
    assert_eq!((settings.keys.cache, settings.keys.engine), (1_000_000, Engine::Library));
}
