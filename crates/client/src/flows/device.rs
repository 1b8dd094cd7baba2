//! The device flow (RFC 8628): a person authorizes on another device.

use std::fmt;
use std::time::Duration;

use countersign_dpop::ErrorCode;
use countersign_dpop::jose::{JsonLimits, from_strict_json};
use countersign_dpop::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::discovery::IssuerMetadata;
use crate::enrolment::Enrolment;
use crate::flows::TokenError;
use crate::flows::post::{Proving, post, request_token};
use crate::http::{Endpoint, Form};
use crate::shown::shown;
use crate::token::Tokens;

/// A device authorization in progress.
pub struct DeviceAuthorization {
    device_code: SecretString,
    user_code: String,
    verification_uri: Endpoint,
    verification_uri_complete: Option<Endpoint>,
    expires_at: Timestamp,
    interval: Duration,
}

/// What a poll brought.
#[derive(Debug)]
pub(crate) enum Polled {
    /// The person has not decided yet.
    Pending,
    /// Tokens.
    Granted(Box<Tokens>),
}

#[derive(Deserialize)]
struct Answer {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: i64,
    interval: Option<u64>,
}

/// The longest time between two polls, whatever the server says.
const MAX_INTERVAL: u64 = 60;
/// The longest life of a device code that is believed, in seconds.
const MAX_LIFE: i64 = 3_600;
/// What `slow_down` adds to the interval (RFC 8628 §3.5).
const SLOWER: Duration = Duration::from_secs(5);

pub(crate) async fn authorize_device(
    enrolment: &Enrolment,
    metadata: &IssuerMetadata,
) -> Result<DeviceAuthorization, TokenError> {
    let endpoint = metadata.require_device_endpoint()?;
    let mut form = Form::default();
    enrolment.registration.add_target(&mut form);
    let answer = post(enrolment, endpoint, &form, Proving::No).await?;
    DeviceAuthorization::read(&answer.body, enrolment.prover.clock.now())
}

impl DeviceAuthorization {
    /// The code that the person types.
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// Where the person types it.
    pub fn verification_uri(&self) -> &str {
        self.verification_uri.as_str()
    }

    /// The same with the code in it, if the server gave that.
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.verification_uri_complete.as_ref().map(Endpoint::as_str)
    }

    /// When the codes end.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// How long to wait before the next poll.
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    pub(crate) async fn poll(
        &mut self,
        enrolment: &Enrolment,
        metadata: &IssuerMetadata,
    ) -> Result<Polled, TokenError> {
        if enrolment.prover.clock.now() >= self.expires_at {
            return Err(TokenError::DeviceCodeExpired);
        }
        let mut form = Form::default();
        form.add("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
        form.add_secret("device_code", self.device_code.expose_secret());
        enrolment.registration.add_resource(&mut form);
        match request_token(enrolment, metadata, &form).await {
            Ok(tokens) => Ok(Polled::Granted(Box::new(tokens))),
            Err(TokenError::Refused { error: Some(ErrorCode::AuthorizationPending), .. }) => Ok(Polled::Pending),
            Err(TokenError::Refused { error: Some(ErrorCode::SlowDown), .. }) => {
                self.interval = self.interval.saturating_add(SLOWER).min(Duration::from_secs(MAX_INTERVAL));
                Ok(Polled::Pending)
            }
            Err(TokenError::Refused { error: Some(ErrorCode::ExpiredToken), .. }) => Err(TokenError::DeviceCodeExpired),
            Err(fault) => Err(fault),
        }
    }

    fn read(json: &[u8], now: Timestamp) -> Result<Self, TokenError> {
        let malformed = |reason| TokenError::Malformed { reason };
        let answer: Answer = from_strict_json(json, JsonLimits::DOCUMENT)
            .map_err(|_| malformed("not a JSON object with device_code, user_code, verification_uri and expires_in"))?;
        let page = |url: &str| Endpoint::parse(url).map_err(|_| malformed("verification_uri is not a URL to go to"));
        if answer.device_code.is_empty() || answer.user_code.is_empty() || answer.expires_in <= 0 {
            return Err(malformed("device_code, user_code or expires_in is empty"));
        }
        Ok(Self {
            device_code: answer.device_code.into(),
            user_code: shown(&answer.user_code),
            verification_uri: page(&answer.verification_uri)?,
            verification_uri_complete: answer.verification_uri_complete.as_deref().map(page).transpose()?,
            expires_at: now.plus(answer.expires_in.min(MAX_LIFE)),
            interval: Duration::from_secs(answer.interval.unwrap_or(5).clamp(1, MAX_INTERVAL)),
        })
    }
}

impl fmt::Debug for DeviceAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceAuthorization").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
