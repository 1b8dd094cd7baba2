//! The whole way of a user: pushed request, sign-in, consent, code, token.

use countersign_dpop::jose::{Algorithm, SoftwareKey, encode_base64url};
use serde_json::Value;

use super::browser::Browser;
use super::{API, Answer, NOW, Proof, TokenRequest, World, default_config, form_encode};

pub(crate) const VERIFIER: &str = "correct-horse-battery-staple-0123456789-abcdef";
pub(crate) const CALLBACK: &str = "https://app.example/callback";
/// With a query that has to be kept.
pub(crate) const CALLBACK_2: &str = "https://app.example/callback2?dummy1=lorem&dummy2=ipsum";
pub(crate) const PASSWORD: &str = "canary-password-93bd1f";
pub(crate) const PAR_URL: &str = "https://as.example/par";

/// SHA-256 of the verifier.
pub(crate) fn challenge(verifier: &str) -> String {
    encode_base64url(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes()))
}

/// Clients that send users: `app` and `app2` sign assertions, `spa` is public; and a user.
pub(crate) fn flow_config(config: &str, client_key: &SoftwareKey) -> String {
    let jwks = super::jwks_toml(&[client_key]);
    let grants = r#"["authorization_code", "refresh_token"]"#;
    format!(
        r#"{config}
[[client]]
client_id = "app"
auth = "private_key_jwt"
jwks = {jwks}
grants = {grants}
redirect_uris = ["{CALLBACK}"]
scopes = ["read", "write"]
authorization_details_types = ["payment"]

[[client]]
client_id = "app2"
auth = "private_key_jwt"
jwks = {jwks}
grants = {grants}
redirect_uris = ["{CALLBACK_2}"]
scopes = ["read"]

[[user]]
username = "ada"
password_hash = "{}"
"#,
        password_hash()
    )
}

/// A public client, which fapi2 does not know.
pub(crate) const SPA: &str = r#"
[[client]]
client_id = "spa"
auth = "none"
grants = ["authorization_code", "refresh_token"]
redirect_uris = ["http://127.0.0.1/callback", "https://spa.example/"]
scopes = ["read", "write"]
"#;

/// The hash of [`PASSWORD`] with little memory, for the sake of time.
fn password_hash() -> String {
    use argon2::{Argon2, Params, PasswordHasher, Version};
    let cheap = Argon2::new(argon2::Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
    cheap.hash_password(PASSWORD.as_bytes()).unwrap().to_string()
}

impl World {
    /// A server under a profile, with clients that send users.
    pub(crate) async fn for_people(profile: &str) -> Self {
        Self::for_people_with(profile, |config| config).await
    }

    pub(crate) async fn for_people_with(profile: &str, change: impl FnOnce(String) -> String) -> Self {
        let client_key = SoftwareKey::generate(Algorithm::Es256).unwrap();
        let config = default_config(&client_key);
        let config = if profile == "fapi2" {
            config[..config.find("[[client]]\nclient_id = \"basic\"").unwrap()].to_owned()
        } else {
            config + SPA
        };
        let config = flow_config(&format!("profile = \"{profile}\"\n{config}"), &client_key);
        Self::open(change(config), std::sync::Arc::new(client_key)).await
    }

    /// A pushed request of `client` that is taken when nothing about it is changed.
    pub(crate) fn push(&self, client: &str) -> TokenRequest {
        let callback = if client == "app2" { CALLBACK_2 } else { CALLBACK };
        TokenRequest::to("/par")
            .assertion(&self.assertion(client).text())
            .set("client_id", client)
            .set("response_type", "code")
            .set("redirect_uri", callback)
            .set("scope", "read")
            .set("state", "state-1")
            .set("code_challenge", &challenge(VERIFIER))
            .set("code_challenge_method", "S256")
    }

    /// A proof for the pushing endpoint.
    pub(crate) fn par_proof(&self) -> Proof<'_> {
        self.proof().claim("htu", PAR_URL)
    }

    /// Pushes, signs in and approves; the code.
    pub(crate) async fn code(&self, push: &TokenRequest, client: &str) -> String {
        let page = authorize_path(client, &self.pushed(push).await);
        self.approve(&page).await.parameter("code").expect("a code")
    }

    pub(crate) async fn pushed(&self, push: &TokenRequest) -> String {
        let answer = self.send(push).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json["request_uri"].as_str().unwrap().to_owned()
    }

    /// Opens the page in a new browser, signs in and approves; the answer that sends the browser back.
    pub(crate) async fn approve(&self, page: &str) -> Answer {
        let mut browser = Browser::default();
        let consent = browser.sign_in(self, page).await;
        browser.press(self, &consent, "approve", &[]).await
    }

    /// A token request with a code of client `app` that is granted when nothing about it is changed.
    pub(crate) fn code_request(&self, client: &str, code: &str) -> TokenRequest {
        let callback = match client {
            "app2" => CALLBACK_2,
            "spa" => "https://spa.example/",
            _ => CALLBACK,
        };
        let request = TokenRequest::to("/token")
            .set("grant_type", "authorization_code")
            .set("code", code)
            .set("redirect_uri", callback)
            .set("code_verifier", VERIFIER);
        self.authenticated(request, client)
    }

    pub(crate) fn refresh_request(&self, client: &str, refresh_token: &str) -> TokenRequest {
        let request = TokenRequest::to("/token").set("grant_type", "refresh_token").set("refresh_token", refresh_token);
        self.authenticated(request, client)
    }

    fn authenticated(&self, request: TokenRequest, client: &str) -> TokenRequest {
        match client {
            "spa" => request.set("client_id", "spa"),
            other => request.assertion(&self.assertion(other).text()),
        }
    }
}

/// A direct request of the public client.
pub(crate) fn spa_query(change: &[(&str, &str)]) -> String {
    let challenge = challenge(VERIFIER);
    let base = [
        ("client_id", "spa"),
        ("response_type", "code"),
        ("redirect_uri", "https://spa.example/"),
        ("scope", "read write"),
        ("state", "state-1"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let kept = base.iter().filter(|(name, _)| !change.iter().any(|(other, _)| other == name));
    let pairs = kept.chain(change.iter().filter(|(_, value)| !value.is_empty()));
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", form_encode(value))).collect();
    format!("/authorize?{}", pairs.join("&"))
}

impl Browser {
    /// Opens the page and signs in; the page behind it.
    pub(crate) async fn sign_in(&mut self, world: &World, page: &str) -> Answer {
        let sign_in = self.get(world, page).await;
        assert_eq!(sign_in.status, 200, "{}", sign_in.text);
        let typed = [("username", "ada"), ("password", PASSWORD)];
        let answer = self.press(world, &sign_in, "login", &typed).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        let target = answer.field("location").unwrap().to_owned();
        self.get(world, &target).await
    }
}

pub(crate) fn authorize_path(client: &str, request_uri: &str) -> String {
    format!("/authorize?client_id={client}&request_uri={}", form_encode(request_uri))
}

impl Answer {
    /// Where the browser is sent.
    #[track_caller]
    pub(crate) fn location(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.text);
        self.field("location").unwrap()
    }

    /// A parameter of where the browser is sent.
    #[track_caller]
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.location().split_once('?').unwrap();
        let mut values = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(own, _)| *own == name);
        let value = values.next()?.1;
        assert!(values.next().is_none(), "{name} twice");
        Some(percent_decode(value))
    }

    /// Asserts an error by redirect, which names the issuer and returns the state.
    #[track_caller]
    pub(crate) fn sent_back_with(&self, code: &str) {
        assert_eq!(self.parameter("error").as_deref(), Some(code), "{}", self.location());
        assert_eq!(self.parameter("iss").as_deref(), Some(super::ISSUER));
        assert_eq!(self.parameter("code"), None);
    }

    /// Asserts a plain page with a fixed sentence, from which nobody is sent anywhere.
    #[track_caller]
    pub(crate) fn is_page(&self, status: u16, sentence: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.field("content-type"), Some("text/html; charset=utf-8"));
        assert!(self.text.contains(sentence), "{}", self.text);
        assert_eq!(self.field("location"), None);
        assert_eq!(self.field("x-frame-options"), Some("DENY"));
        assert!(self.field("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    }

    pub(crate) fn refresh_token(&self) -> String {
        self.json["refresh_token"].as_str().expect("a refresh token").to_owned()
    }

    /// Asserts a token of this type, perhaps with a refresh token.
    #[track_caller]
    pub(crate) fn granted_to_user(&self, token_type: &str) -> Value {
        assert_eq!((self.status.as_u16(), self.json["token_type"].as_str()), (200, Some(token_type)), "{}", self.text);
        self.is_not_cached();
        let claims = self.claims();
        assert_eq!((claims["sub"].as_str(), claims["aud"].as_str()), (Some("ada"), Some(API)));
        assert_eq!(claims.get("cnf").is_some(), token_type == "DPoP");
        assert!(claims["iat"].as_i64() >= Some(NOW));
        claims
    }
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}
