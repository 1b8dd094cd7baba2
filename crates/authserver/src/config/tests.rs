use std::path::Path;

use super::{AuthServerConfig, ConfigErrors, Settings};

const JWK: &str = r#"{ kty = "OKP", crv = "Ed25519", x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }"#;

/// A configuration that is right. Every test changes one thing.
fn right() -> String {
    format!(
        r#"
issuer = "https://as.example"
listen = "127.0.0.1:9400"
data = "data"
profile = "oauth21"
nonce = "optional"

[[client]]
client_id = "jwt"
auth = "private_key_jwt"
jwks = {{ keys = [{JWK}] }}
grants = ["client_credentials"]
scopes = ["read"]
dpop_bound_access_tokens = true

[[client]]
client_id = "basic"
auth = "client_secret_basic"
secret = "canary-of-a-secret"
grants = ["client_credentials"]

[[resource]]
identifier = "https://api.example"
scopes = ["read", "write"]
"#
    )
}

fn resolve(config: &str, base: &Path) -> Result<Settings, ConfigErrors> {
    toml::from_str::<AuthServerConfig>(config).expect("TOML of the right shape").resolve(base)
}

/// The faults of the right configuration with `from` replaced by `to`.
fn faults(from: &str, to: &str) -> Vec<String> {
    let config = right();
    assert!(config.contains(from), "{from}");
    match resolve(&config.replacen(from, to, 1), Path::new("/nowhere")) {
        Ok(_) => Vec::new(),
        Err(ConfigErrors(errors)) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn takes_every_key() {
    let settings = resolve(&right(), Path::new("/base")).unwrap();
    assert_eq!(settings.issuer().as_str(), "https://as.example");
    assert_eq!(settings.data(), Path::new("/base/data"));
    assert_eq!(settings.listen(), Some(([127, 0, 0, 1], 9400).into()));
    assert_eq!(settings.clients.len(), 2);
    assert!(settings.clients["jwt"].bound_tokens_only && !settings.clients["basic"].bound_tokens_only);
    assert_eq!(settings.clients["jwt"].scopes.to_string(), "read");
    assert!(settings.clients["basic"].scopes.is_empty());
}

#[test]
fn names_the_key_and_what_to_do() {
    assert_faults(&[
        (
            "https://as.example",
            "http://as.example",
            "issuer: plain http, which is allowed for loopback hosts only; use https",
        ),
        ("https://as.example", "https://as.example/", "issuer: not in normal form; write https://as.example"),
        ("https://as.example", "as.example", "issuer: not a usable URL: not an absolute URI"),
        ("data = \"data\"", "", "data: missing; write the path of the data directory"),
        (
            "nonce = \"optional\"",
            "cors_origins = [\"https://app.example/\"]",
            "cors_origins: \"https://app.example/\" cannot be allowed: not an origin as browsers send it; write scheme, \
             host and, unless it is the scheme's own, port",
        ),
        (
            "nonce = \"optional\"",
            "cors_origins = [\"http://app.example\"]",
            "cors_origins: \"http://app.example\" cannot be allowed: plain http, which is allowed for loopback hosts \
             only; use https",
        ),
        (
            "data = \"data\"",
            "data = \"data\"\ndatabase = \"mysql://canary\"",
            "database: write postgres://USER:PASSWORD@HOST:PORT/DATABASE",
        ),
        (
            "data = \"data\"",
            "database = \"postgres://canary@db.example:port/as\"",
            "database: not a Postgres URL; write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %xx for odd characters",
        ),
        (
            "data = \"data\"",
            "database = \"postgres://canary@db.example/as\"\ndatabase_file = \"url\"",
            "database_file: stands beside database; keep one of them",
        ),
        ("https://api.example", "https://api.example#x", RESOURCE),
        ("https://api.example", "/api", RESOURCE),
        ("https://api.example", "https://api.example/a b", RESOURCE),
        ("https://api.example", "", RESOURCE),
        (
            "[\"read\", \"write\"]",
            "[\"read\", \"two words\"]",
            "resource[0].scopes: not scope tokens separated by single blanks, or more than 256 of them",
        ),
    ]);
}

#[test]
fn names_the_client_and_what_to_do() {
    assert_faults(&[
        (
            "[\"read\"]",
            "[\"other\"]",
            "client[0].scopes: no [[resource]] has the scope \"other\"; add it there or remove it here",
        ),
        ("\"jwt\"", "\"\"", CLIENT_ID),
        ("\"jwt\"", "\"line\\nend\"", CLIENT_ID),
        ("\"jwt\"", "\"é\"", CLIENT_ID),
        ("\"jwt\"", "\"basic\"", "client[1].client_id: \"basic\" stands twice; each may stand once"),
        (
            "auth = \"client_secret_basic\"\nsecret = \"canary-of-a-secret\"",
            "auth = \"none\"",
            "client[1].grants: has no meaning with auth = \"none\": a client without credentials gets no token by \
             them; remove it",
        ),
        ("secret = \"canary-of-a-secret\"", "", "client[1].secret: missing; write secret or secret_file"),
        ("canary-of-a-secret", "", "client[1].secret: an empty secret; write one of at least 32 random characters"),
        (
            "secret = \"canary-of-a-secret\"",
            "secret = \"x\"\nsecret_file = \"y\"",
            "client[1].secret_file: stands beside secret; keep one of them",
        ),
        (
            "secret = \"canary-of-a-secret\"",
            "secret = \"x\"\njwks_file = \"y\"",
            "client[1].jwks_file: has no meaning with auth = \"client_secret_basic\"; remove it",
        ),
        (
            "scopes = [\"read\"]",
            "secret = \"x\"",
            "client[0].secret: has no meaning with auth = \"private_key_jwt\"; remove it",
        ),
        ("scopes = [\"read\"]", "jwks_file = \"x\"", "client[0].jwks_file: stands beside jwks; keep one of them"),
        (
            "scopes = [\"read\"]",
            "jwks_uri = \"https://client.example/jwks\"",
            "client[0].jwks_uri: stands beside jwks; keep one of them",
        ),
        (
            "scopes = [\"read\"]",
            "redirect_uris = [\"https://client.example/cb\"]",
            "client[0].redirect_uris: has no meaning with grants that send nobody to a redirect URI; remove it",
        ),
        (
            "grants = [\"client_credentials\"]\n",
            "",
            "client[0].grants: missing; write grants = [\"client_credentials\"]",
        ),
        (
            "\"client_credentials\"",
            "\"client_credentials\", \"client_credentials\"",
            "client[0].grants: \"client_credentials\" stands twice; each may stand once",
        ),
        (
            "\"client_credentials\"",
            "\"authorization_code\"",
            "client[0].redirect_uris: missing; write redirect_uris = [\"https://app.example/callback\"]",
        ),
        (
            "grants = [\"client_credentials\"]",
            "grants = [\"authorization_code\"]\nredirect_uris = [\"http://app.example/\"]",
            "client[0].redirect_uris: \"http://app.example/\" cannot be a redirect URI: plain http, which is allowed for \
             loopback addresses only; use https",
        ),
        (
            "\"client_credentials\"",
            "\"password\"",
            "client[0].grants: \"password\" is not known here; known are authorization_code, refresh_token, \
             client_credentials, urn:ietf:params:oauth:grant-type:token-exchange, \
             urn:ietf:params:oauth:grant-type:jwt-bearer, urn:ietf:params:oauth:grant-type:device_code",
        ),
    ]);
}

#[test]
fn names_the_user_and_what_to_do() {
    assert_faults(&[
        (
            "nonce = \"optional\"",
            "[[user]]\nusername = \"a\"\npassword = \"canary\"\n",
            "user[0].password: a password of fewer than 8 characters",
        ),
        (
            "nonce = \"optional\"",
            "[[user]]\nusername = \"a b\"\npassword = \"canary-canary\"\n",
            "user[0].username: not a name for a user; write 1 to 128 bytes without blanks",
        ),
        (
            "nonce = \"optional\"",
            "[[user]]\nusername = \"jwt\"\npassword = \"canary-canary\"\n",
            "user[0].username: a client is called so too, and their tokens could not be told apart; rename one of them",
        ),
        (
            "nonce = \"optional\"",
            "[[user]]\nusername = \"a\"\n",
            "user[0].password_hash: missing; write password_hash or password",
        ),
        (
            "nonce = \"optional\"",
            "[[user]]\nusername = \"a\"\npassword_hash = \"$2b$canary\"\n",
            "user[0].password_hash: not an argon2id hash in PHC form; write one that starts with $argon2id$, or a \
             password",
        ),
        (
            "nonce = \"optional\"",
            "[[user]]\nusername = \"a\"\npassword_hash = \"canary\"\npassword = \"canary-canary\"\n",
            "user[0].password_hash: stands beside password; keep one of them",
        ),
    ]);
}

#[test]
fn names_the_trusted_issuer_and_what_to_do() {
    let table = r#"
[[trusted_issuer]]
issuer = "https://idp.example"
audience = "https://api.example"
clients = ["jwt"]
scopes = { "theirs" = ["read"] }
"#;
    let right = right().replacen("client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange", 1) + table;
    assert_eq!(resolve(&right, Path::new("/")).unwrap().trusted_issuers.len(), 1);
    for (from, to, expected) in [
        ("[\"jwt\"]", "[]", "clients: missing; write the client_ids that may present its tokens"),
        ("[\"jwt\"]", "[\"nobody\"]", "clients: no [[client]] has the client_id \"nobody\"; add it or remove it here"),
        (
            "[\"jwt\"]",
            "[\"basic\"]",
            "clients: the client \"basic\" has neither the token exchange nor the JWT bearer grant; add one of them to it",
        ),
        (
            "audience = \"https://api.example\"",
            "audience = \"urn:other\"",
            "resources: missing; its audience is no [[resource]]; write the resources that its tokens stand for",
        ),
        (
            "scopes = { \"theirs\" = [\"read\"] }",
            "resources = [\"urn:other\"]",
            "resources: no [[resource]] has the identifier \"urn:other\"; add it or remove it here",
        ),
        (
            "[\"read\"] }",
            "[\"other\"] }",
            "scopes: no [[resource]] has the scope \"other\"; add it there or remove it here",
        ),
        ("scopes = { \"theirs\" = [\"read\"] }", "max_uses = 0", "max_uses: write a number from 1 to 1000"),
        (
            "issuer = \"https://idp.example\"",
            "issuer = \"kubernetes/serviceaccount\"",
            "issuer: its keys cannot be found by it (not a usable URL: not an absolute URI); write jwks, jwks_file or jwks_uri",
        ),
        (
            "issuer = \"https://idp.example\"",
            "issuer = \"https://as.example\"",
            "issuer: has no meaning with the server's own issuer, whose tokens are taken anyway; remove it",
        ),
        (
            "scopes = { \"theirs\" = [\"read\"] }",
            "jwks_uri = \"http://idp.example/keys\"",
            "jwks_uri: plain http, which is allowed for loopback hosts only; use https",
        ),
        (
            "scopes = { \"theirs\" = [\"read\"] }",
            "jwks_file = \"x\"\njwks_uri = \"https://idp.example/keys\"",
            "jwks_uri: stands beside jwks_file; keep one of them",
        ),
    ] {
        let at = right.find("[[trusted_issuer]]").unwrap();
        let (head, tail) = right.split_at(at);
        assert!(tail.contains(from), "{from}");
        let error = resolve(&format!("{head}{}", tail.replacen(from, to, 1)), Path::new("/")).unwrap_err();
        assert_eq!(error.to_string(), format!("trusted_issuer[0].{expected}"));
    }
}

/// Each row: what to replace, by what, and the one fault that this makes.
fn assert_faults(rows: &[(&str, &str, &str)]) {
    for (from, to, expected) in rows {
        assert_eq!(faults(from, to), [*expected], "{from:?} to {to:?}");
    }
}

const RESOURCE: &str = "resource[0].identifier: not a resource identifier; write an absolute URI without a fragment";
const CLIENT_ID: &str = "client[0].client_id: not a client identifier; write 1 to 256 printable ASCII characters";

#[test]
fn takes_the_address_of_published_keys() {
    let at = |url: &str| faults(&format!("jwks = {{ keys = [{JWK}] }}"), &format!("jwks_uri = \"{url}\""));
    assert_eq!(at("https://client.example/jwks"), [""; 0]);
    assert_eq!(at("http://127.0.0.1:9000/jwks"), [""; 0]);
    let plain = "client[0].jwks_uri: plain http, which is allowed for loopback hosts only; use https";
    assert_eq!(at("http://client.example/jwks"), [plain]);
    for url in ["client.example", "https://user@client.example/", "https://client.example/#x", "https://127.1/"] {
        let malformed = "client[0].jwks_uri: not an absolute https URL in normal form, without user information and \
                         fragment";
        assert_eq!(at(url), [malformed], "{url}");
    }
}

#[test]
fn wants_a_resource_and_names_every_fault_at_once() {
    let config = right();
    let config = &config[..config.find("[[resource]]").unwrap()];
    let ConfigErrors(errors) =
        resolve(&config.replace("https://as.example", "").replace("\"jwt\"", "\"\""), Path::new("/")).unwrap_err();
    let keys: Vec<String> = errors.iter().map(|error| error.key.to_string()).collect();
    assert_eq!(keys, ["issuer", "resource", "client[0].client_id"]);
}

#[test]
fn refuses_a_resource_that_stands_twice() {
    let config = right() + "[[resource]]\nidentifier = \"https://api.example\"\n";
    let error = resolve(&config, Path::new("/")).unwrap_err().to_string();
    assert_eq!(error, "resource[1].identifier: \"https://api.example\" stands twice; each may stand once");
}

#[test]
fn refuses_keys_that_are_none_or_private() {
    let fault = |jwks: &str| faults(&format!("{{ keys = [{JWK}] }}"), jwks).join("\n");
    let private = JWK.replace("crv", "d = \"canary\", crv");
    for (jwks, words) in [
        (format!("{{ keys = [{private}] }}"), "client[0].jwks: key 0 of the JWK Set: the jwk holds the private"),
        ("{ keys = [] }".to_owned(), "client[0].jwks: no usable key"),
        ("{ keys = [{ kty = \"oct\", k = \"canary\" }] }".to_owned(), "client[0].jwks: "),
        ("{}".to_owned(), "client[0].jwks: not a JWK Set"),
        ("\"text\"".to_owned(), "client[0].jwks: not a JWK Set"),
    ] {
        let text = fault(&jwks);
        assert!(text.starts_with(words) && !text.contains("canary"), "{jwks}: {text}");
    }
}

#[test]
fn refuses_unknown_keys_and_values() {
    for (from, to) in [
        ("nonce = \"optional\"", "nonces = \"optional\""),
        ("nonce = \"optional\"", "nonce = \"sometimes\""),
        ("profile = \"oauth21\"", "profile = \"oauth3\""),
        ("scopes = [\"read\"]", "scope = [\"read\"]"),
        ("private_key_jwt", "tls_client_auth"),
        ("identifier", "uri"),
        ("listen = \"127.0.0.1:9400\"", "listen = \"nowhere\""),
        ("issuer = \"https://as.example\"", ""),
    ] {
        let fault = toml::from_str::<AuthServerConfig>(&right().replacen(from, to, 1)).unwrap_err();
        assert!(fault.span().is_some(), "the line is known: {fault}");
    }
}

#[test]
fn a_profile_says_what_it_does_not_allow() {
    let fapi2 = right().replace("oauth21", "fapi2");
    let error = resolve(&fapi2, Path::new("/")).unwrap_err().to_string();
    let basic = "client[1].auth: profile fapi2 does not allow auth = \"client_secret_basic\"; \
                 write auth = \"private_key_jwt\"";
    assert_eq!(error, basic);
    let without_basic = fapi2[..fapi2.find("[[client]]\nclient_id = \"basic\"").unwrap()].to_owned()
        + &fapi2[fapi2.find("[[resource]]").unwrap()..];
    let unbound = without_basic.replace("dpop_bound_access_tokens = true", "dpop_bound_access_tokens = false");
    let error = resolve(&unbound, Path::new("/")).unwrap_err().to_string();
    let words = "client[0].dpop_bound_access_tokens: profile fapi2 does not allow dpop_bound_access_tokens = false; \
                 remove it";
    assert_eq!(error, words);
    let silent = without_basic.replace("dpop_bound_access_tokens = true", "");
    assert!(resolve(&silent, Path::new("/")).unwrap().clients["jwt"].bound_tokens_only);
}

#[test]
fn reads_files_below_the_base_directory() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("secret"), "from-a-file\r\n").unwrap();
    std::fs::write(
        dir.path().join("jwks.json"),
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
    )
    .unwrap();
    let config = right()
        .replace("secret = \"canary-of-a-secret\"", "secret_file = \"secret\"")
        .replace(&format!("jwks = {{ keys = [{JWK}] }}"), "jwks_file = \"jwks.json\"");
    let settings = resolve(&config, dir.path()).unwrap();
    let inline = resolve(&right().replace("canary-of-a-secret", "from-a-file"), dir.path()).unwrap();
    for client in ["jwt", "basic"] {
        let credential = |settings: &Settings| match &settings.clients[client].credential {
            crate::client::Credential::SecretBasic { sha256 } => format!("{sha256:?}"),
            crate::client::Credential::PrivateKeyJwt { keys } => format!("{keys:?}"),
            other => panic!("{other:?}"),
        };
        assert_eq!(credential(&settings), credential(&inline));
    }
}

#[test]
fn refuses_files_that_are_not_what_they_should_be() {
    let dir = tempfile::tempdir().unwrap();
    let config = right().replace("secret = \"canary-of-a-secret\"", "secret_file = \"secret\"");
    let fault = || resolve(&config, dir.path()).unwrap_err().to_string();
    assert!(fault().starts_with("client[1].secret_file: ") && fault().contains("secret cannot be read: No such file"));
    for (content, words) in [
        (vec![b'x'; 4_097], "has more than 4096 bytes"),
        (vec![0xff, 0xfe], "is not UTF-8 text"),
        (b"\n".to_vec(), "an empty secret"),
        (Vec::new(), "an empty secret"),
    ] {
        std::fs::write(dir.path().join("secret"), content).unwrap();
        assert!(fault().contains(words), "{}", fault());
    }
}

#[test]
fn shows_no_secret_of_the_configuration() {
    let config: AuthServerConfig = toml::from_str(&right()).unwrap();
    let shown = format!("{config:?} {:?}", config.clone().resolve(Path::new("/")).unwrap());
    assert!(!shown.contains("canary"), "{shown}");
}
