//! One session.

use std::fmt;
use std::path::Path;

use countersign_dpop::jose::{Jkt, JsonLimits, from_strict_json};
use countersign_dpop::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::ClientConfig;
use crate::http::Endpoint;
use crate::keys::KeyStoreError;
use crate::sessions::{SessionError, SessionId};
use crate::token::{AccessToken, RefreshToken, TokenKind, Tokens};

/// What a login brought: the client as the issuer knows it, the key, the tokens.
#[derive(Debug)]
pub struct Session {
    /// The client: issuer, identifier, resource, authentication, key.
    pub config: ClientConfig,
    /// Tells sessions of one client for one resource apart; empty for the ordinary one.
    pub label: String,
    /// How the tokens were got.
    pub grant: GrantKind,
    /// The tokens.
    pub tokens: Tokens,
    /// The thumbprint of the key that they are bound to.
    pub jkt: Jkt,
    /// When the login was.
    pub created: Timestamp,
}

/// How tokens were got (RFC 6749 §1.3, RFC 8628, RFC 8693).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// A person, in a browser.
    AuthorizationCode,
    /// The client for itself.
    ClientCredentials,
    /// A person, on another device.
    DeviceCode,
    /// By a token of somebody else.
    TokenExchange,
}

impl GrantKind {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "device_code",
            Self::TokenExchange => "token_exchange",
        }
    }
}

impl fmt::Display for GrantKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Session {
    /// Its identifier.
    pub fn id(&self) -> SessionId {
        SessionId::of(&self.config.issuer, self.config.resource.as_deref(), &self.config.client_id, &self.label)
    }

    /// Below which URL its token may be sent.
    pub fn reach(&self) -> Option<Endpoint> {
        self.config.reach()
    }

    /// True when a new access token can be had without a person.
    pub fn can_renew(&self) -> bool {
        self.tokens.refresh.is_some() || self.grant == GrantKind::ClientCredentials
    }

    pub(super) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, SessionError> {
        let (access, config) = (&self.tokens.access, self.config.to_toml());
        let text = Text {
            config: config.expose_secret(),
            label: &self.label,
            grant: self.grant,
            jkt: &self.jkt.to_string(),
            created: self.created.seconds(),
            access_token: access.expose_secret(),
            bound: access.kind() == TokenKind::Dpop,
            scope: access.scope(),
            expires_at: access.expires_at().map(Timestamp::seconds),
            renew_at: access.renew_at().map(Timestamp::seconds),
            refresh_token: self.tokens.refresh.as_ref().map(|token| token.0.expose_secret()),
        };
        // Room for the whole, so that nothing secret is left behind by growing.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_TEXT));
        serde_json::to_writer(&mut *bytes, &text).map_err(|_| KeyStoreError::SealingFailed)?;
        Ok(bytes)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text: OwnedText = from_strict_json(bytes, JsonLimits::DOCUMENT).ok()?;
        let kind = if text.bound { TokenKind::Dpop } else { TokenKind::Bearer };
        let time = |seconds: Option<i64>| seconds.map(Timestamp::from_seconds);
        let token = Zeroizing::new(text.access_token);
        let access = AccessToken::kept(&token, kind, text.scope, time(text.expires_at), time(text.renew_at))?;
        let refresh = match text.refresh_token {
            Some(token) => Some(RefreshToken::new(SecretString::from(token))?),
            None => None,
        };
        let config = Zeroizing::new(text.config);
        Some(Self {
            config: ClientConfig::parse(&config, Path::new("/")).ok()?,
            label: text.label,
            grant: text.grant,
            tokens: Tokens { access, refresh },
            jkt: text.jkt.parse().ok()?,
            created: Timestamp::from_seconds(text.created),
        })
    }
}

/// More than two tokens of the greatest length and a configuration take.
const MAX_TEXT: usize = 49_152;

#[derive(Serialize)]
struct Text<'a> {
    config: &'a str,
    label: &'a str,
    grant: GrantKind,
    jkt: &'a str,
    created: i64,
    access_token: &'a str,
    bound: bool,
    scope: Option<&'a str>,
    expires_at: Option<i64>,
    renew_at: Option<i64>,
    refresh_token: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnedText {
    config: String,
    label: String,
    grant: GrantKind,
    jkt: String,
    created: i64,
    access_token: String,
    bound: bool,
    scope: Option<String>,
    expires_at: Option<i64>,
    renew_at: Option<i64>,
    refresh_token: Option<String>,
}
