use std::path::Path;

use secrecy::ExposeSecret;

use super::*;
use crate::http::EndpointError;

const SMALLEST: &str = r#"
issuer = "https://idp.example.com"
client_id = "robot"

[auth]
method = "private_key_jwt"
key = "robot"

[keys]
directory = "keys"
dpop = "dpop"
"#;

fn parse(text: &str) -> Result<ClientConfig, ConfigError> {
    ClientConfig::parse(text, Path::new("/etc/robot"))
}

fn fault(text: &str) -> (Option<usize>, ConfigFault) {
    let error = parse(text).expect_err("a fault");
    (error.line, error.fault)
}

#[test]
fn reads_the_smallest_file_and_joins_its_paths() {
    let config = parse(SMALLEST).expect("a configuration");
    assert_eq!(config.issuer(), "https://idp.example.com");
    assert_eq!(config.client_id(), "robot");
    assert_eq!(config.keys().store, KeyPlace::Files("/etc/robot/keys".into()));
    assert_eq!(config.keys().dpop.as_str(), "dpop");
    assert!(matches!(
        config.authentication(),
        Authentication::PrivateKeyJwt { key: AssertionKey::Stored(name), kid: None } if name.as_str() == "robot"
    ));
    assert!(!config.assume_dpop);
}

#[test]
fn writes_what_it_reads() {
    let secret = "q\"uo\\te\n\u{7f}'''\"\"\"";
    let keys = KeyPlaces { store: KeyPlace::Files("/k".into()), dpop: KeyName::parse("d").expect("a name") };
    let authentication = Authentication::ClientSecretBasic { secret: ClientSecret::Inline(secret.into()) };
    let config = ClientConfig::new("http://127.0.0.1:8081/x", "it's \"me\"", authentication, keys)
        .and_then(|config| config.with_resource("https://api.example.com/a?b"))
        .expect("a configuration")
        .with_scope("read write")
        .with_dpop_assumed();
    let again = parse(config.to_toml().expose_secret()).expect("the same");
    assert_eq!((again.issuer(), again.client_id()), (config.issuer(), config.client_id()));
    assert_eq!((again.resource(), &again.scope), (config.resource(), &config.scope));
    assert_eq!(again.keys(), config.keys());
    assert!(again.assume_dpop);
    let Authentication::ClientSecretBasic { secret: ClientSecret::Inline(found) } = again.authentication() else {
        panic!("another method")
    };
    assert_eq!(found.expose_secret(), secret);
}

#[test]
fn writes_every_method() {
    let name = |name| KeyName::parse(name).expect("a name");
    let methods = [
        Authentication::PrivateKeyJwt { key: AssertionKey::Stored(name("k")), kid: Some("1".into()) },
        Authentication::PrivateKeyJwt { key: AssertionKey::File("/k.pem".into()), kid: None },
        Authentication::ClientSecretBasic { secret: ClientSecret::File("/secret".into()) },
        Authentication::None,
    ];
    for method in methods {
        let keys = KeyPlaces { store: KeyPlace::Files("/k".into()), dpop: name("d") };
        let printed = format!("{method:?}");
        let config = ClientConfig::new("https://idp.example.com", "c", method, keys).expect("a configuration");
        let again = parse(config.to_toml().expose_secret()).expect("the same");
        assert_eq!(format!("{:?}", again.authentication()), printed);
    }
}

#[test]
fn refuses_urls_that_cannot_be_trusted_and_names_their_line() {
    for (url, expected) in [
        ("http://idp.example.com", EndpointError::PlainHttp),
        ("ftp://idp.example.com", EndpointError::NotHttp),
        ("idp.example.com", EndpointError::NotAUrl),
        ("", EndpointError::NotAUrl),
    ] {
        let text = SMALLEST.replace("https://idp.example.com", url);
        assert_eq!(fault(&text), (Some(2), ConfigFault::Url { key: "issuer", fault: expected }), "{url}");
    }
    for url in ["https://idp.example.com?x", "https://idp.example.com#x"] {
        let text = SMALLEST.replace("https://idp.example.com", url);
        assert_eq!(fault(&text), (Some(2), ConfigFault::QueryOrFragment { key: "issuer" }), "{url}");
    }
    let text = SMALLEST.replace("\n[auth]", "resource = \"http://api.example.com\"\n[auth]");
    let expected = ConfigFault::Url { key: "resource", fault: EndpointError::PlainHttp };
    assert_eq!(fault(&text), (Some(4), expected));
}

#[test]
fn refuses_unknown_keys_wherever_they_stand() {
    for (place, line) in [("client_id = \"robot\"", 4), ("method = \"private_key_jwt\"", 7), ("dpop = \"dpop\"", 12)] {
        let text = SMALLEST.replace(place, &format!("{place}\nunknown = 1"));
        let (found, fault) = fault(&text);
        assert!(matches!(&fault, ConfigFault::Toml { reason } if reason.contains("unknown")), "{fault:?}");
        assert_eq!(found, Some(line));
    }
}

#[test]
fn refuses_keys_that_do_not_go_with_the_method() {
    let with = |lines: &str| SMALLEST.replace("method = \"private_key_jwt\"\nkey = \"robot\"", lines);
    let not_of = |key, method| ConfigFault::NotOfMethod { key, method };
    for (lines, expected) in [
        ("method = \"private_key_jwt\"", ConfigFault::Missing { key: "key" }),
        (
            "method = \"private_key_jwt\"\nkey = \"../x\"",
            ConfigFault::KeyName { key: "key", fault: crate::keys::KeyNameError },
        ),
        (
            "method = \"private_key_jwt\"\nkey = \"a\"\nkey_file = \"b\"",
            ConfigFault::Both { one: "key", other: "key_file" },
        ),
        ("method = \"private_key_jwt\"\nkey = \"a\"\nsecret = \"b\"", not_of("secret", "private_key_jwt")),
        ("method = \"client_secret_basic\"", ConfigFault::Missing { key: "secret" }),
        ("method = \"client_secret_basic\"\nsecret = \"a\"\nkid = \"b\"", not_of("kid", "client_secret_basic")),
        (
            "method = \"client_secret_basic\"\nsecret = \"a\"\nsecret_file = \"b\"",
            ConfigFault::Both { one: "secret", other: "secret_file" },
        ),
        ("method = \"none\"\nsecret_file = \"b\"", not_of("secret_file", "none")),
        ("method = \"none\"\nkey_file = \"b\"", not_of("key_file", "none")),
        ("method = \"tls_client_auth\"", ConfigFault::UnknownMethod),
    ] {
        assert_eq!(fault(&with(lines)).1, expected, "{lines}");
    }
}

#[test]
fn no_error_shows_a_secret() {
    for broken in [
        "secret = \"canary-secret",
        "secret = 'canary-secret\n",
        "secret = [\"canary-secret\"]",
        "secret = \"canary-secret\" \"canary-secret\"",
        "secret = canary-secret",
        "secret = \"canary-secret\\q\"",
        "secret = {a = \"canary-secret\"}",
        "secret = \"canary-secret\"\nsecret = \"canary-secret\"",
    ] {
        let text = SMALLEST.replace("key = \"robot\"", broken);
        let error = parse(&text).expect_err(broken);
        assert!(!format!("{error} {error:?}").contains("canary"), "{error} {error:?}");
    }
    let numeric = parse(&SMALLEST.replace("key = \"robot\"", "secret = 7355608")).expect_err("a number");
    assert!(!format!("{numeric} {numeric:?}").contains("7355608"), "{numeric:?}");
}

#[test]
fn a_secret_is_not_printed_with_its_configuration() {
    let auth = "method = \"client_secret_basic\"\nsecret = \"canary-secret\"";
    let text = SMALLEST.replace("method = \"private_key_jwt\"\nkey = \"robot\"", auth);
    let config = parse(&text).expect("a configuration");
    assert!(!format!("{config:?} {config:#?} {:?}", config.to_toml()).contains("canary"));
}
