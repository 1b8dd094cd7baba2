use std::path::Path;

use countersign_dpop::NoncePolicy;
use countersign_dpop::time::Window;
use countersign_forward::UpstreamHost;
use countersign_resource::Stage;

use super::*;

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
        replay: some("redis://:canary-1@store:6379"),
        upstream: some("http://user:canary-2@127.0.0.1:9000"),
        ..minimal()
    };
    let error = resolve(&config).unwrap_err();
    assert!(!error.contains("canary"), "{error}");
    assert_eq!(error.lines().count(), 2, "{error}");
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
