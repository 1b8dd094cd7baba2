//! `[limits]`: how much and how long.

use std::time::Duration;

use countersign_forward::{ForwardLimits, PatienceLimits};
use serde::Deserialize;

use super::error::{ConfigError, Key, Problem};

/// `[limits]` as it is written; times in seconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitConfig {
    /// Connections of clients at a time.
    pub connections: Option<u64>,
    /// Bytes of a request's head.
    pub head_bytes: Option<u64>,
    /// Fields of a request's head.
    pub head_fields: Option<u64>,
    /// For a whole head.
    pub head_seconds: Option<u64>,
    /// For the next request on an open connection.
    pub idle_seconds: Option<u64>,
    /// For the client to send a next part of its body.
    pub body_idle_seconds: Option<u64>,
    /// Bytes a second that a client has to send of its body, and to take of the answer; 0 for no such demand.
    pub body_bytes_per_second: Option<u64>,
    /// For the client to take a next part of the answer.
    pub write_idle_seconds: Option<u64>,
    /// For a connection to the upstream.
    pub upstream_connect_seconds: Option<u64>,
    /// For the upstream to begin its answer.
    pub upstream_answer_seconds: Option<u64>,
    /// For requests under way when the gateway is told to stop.
    pub drain_seconds: Option<u64>,
}

/// How much and how long, resolved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GatewayLimits {
    /// Connections of clients at a time; further ones wait to be taken. Default 10,000.
    pub connections: usize,
    /// Bytes of a request's head. Default 64 KiB.
    pub head_bytes: usize,
    /// Fields of a request's head. Default 100.
    pub head_fields: usize,
    /// For a whole head, from its first byte. Default 10 s.
    pub head: Duration,
    /// For the next request on an open connection. Default 75 s.
    pub idle: Duration,
    /// For the client to take a next part of the answer. Default 60 s.
    pub write_idle: Duration,
    /// Bytes a second that a client has to take of the answer, on average over the time for which it is waited for;
    /// slower ones have as long as one that takes nothing. 0 for no such demand. Default 100.
    pub write_bytes_per_second: u32,
    /// For requests under way when the gateway is told to stop. Default 30 s.
    pub drain: Duration,
    /// Towards the upstream, and for bodies of requests.
    pub forward: ForwardLimits,
}

impl GatewayLimits {
    /// How long a client that takes an answer is waited for.
    pub(crate) const fn write(&self) -> PatienceLimits {
        PatienceLimits { idle: self.write_idle, bytes_per_second: self.write_bytes_per_second }
    }
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            head_bytes: 64 * 1_024,
            head_fields: 100,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write_idle: Duration::from_mins(1),
            write_bytes_per_second: 100,
            drain: Duration::from_secs(30),
            forward: ForwardLimits::default(),
        }
    }
}

impl LimitConfig {
    pub(super) fn over(self, lower: Self) -> Self {
        Self {
            connections: self.connections.or(lower.connections),
            head_bytes: self.head_bytes.or(lower.head_bytes),
            head_fields: self.head_fields.or(lower.head_fields),
            head_seconds: self.head_seconds.or(lower.head_seconds),
            idle_seconds: self.idle_seconds.or(lower.idle_seconds),
            body_idle_seconds: self.body_idle_seconds.or(lower.body_idle_seconds),
            body_bytes_per_second: self.body_bytes_per_second.or(lower.body_bytes_per_second),
            write_idle_seconds: self.write_idle_seconds.or(lower.write_idle_seconds),
            upstream_connect_seconds: self.upstream_connect_seconds.or(lower.upstream_connect_seconds),
            upstream_answer_seconds: self.upstream_answer_seconds.or(lower.upstream_answer_seconds),
            drain_seconds: self.drain_seconds.or(lower.drain_seconds),
        }
    }

    /// The limits, with what is absent by default. What is out of bounds is added to `errors`.
    pub(super) fn resolve(&self, errors: &mut Vec<ConfigError>) -> GatewayLimits {
        let mut limits = GatewayLimits::default();
        let mut bounds = Bounds { errors };
        bounds.number("limits.connections", self.connections, 1..=1_000_000, &mut limits.connections);
        bounds.number("limits.head_bytes", self.head_bytes, 8_192..=1_048_576, &mut limits.head_bytes);
        bounds.number("limits.head_fields", self.head_fields, 10..=1_000, &mut limits.head_fields);
        bounds.seconds("limits.head_seconds", self.head_seconds, &mut limits.head);
        bounds.seconds("limits.idle_seconds", self.idle_seconds, &mut limits.idle);
        bounds.seconds("limits.body_idle_seconds", self.body_idle_seconds, &mut limits.forward.request_body_idle);
        bounds.seconds("limits.write_idle_seconds", self.write_idle_seconds, &mut limits.write_idle);
        if let Some(rate) = bounds.rate("limits.body_bytes_per_second", self.body_bytes_per_second) {
            limits.forward.request_body_bytes_per_second = rate;
            limits.write_bytes_per_second = rate;
        }
        bounds.seconds("limits.upstream_connect_seconds", self.upstream_connect_seconds, &mut limits.forward.connect);
        bounds.seconds("limits.upstream_answer_seconds", self.upstream_answer_seconds, &mut limits.forward.first_byte);
        bounds.seconds("limits.drain_seconds", self.drain_seconds, &mut limits.drain);
        limits
    }
}

struct Bounds<'a> {
    errors: &'a mut Vec<ConfigError>,
}

impl Bounds<'_> {
    const SECONDS: std::ops::RangeInclusive<u64> = 1..=86_400;

    fn number(
        &mut self,
        name: &'static str,
        value: Option<u64>,
        within: std::ops::RangeInclusive<u64>,
        to: &mut usize,
    ) {
        if let Some(value) = self.bounded(name, value, &within)
            && let Ok(value) = usize::try_from(value)
        {
            *to = value;
        }
    }

    fn rate(&mut self, name: &'static str, value: Option<u64>) -> Option<u32> {
        self.bounded(name, value, &(0..=1_000_000)).and_then(|value| u32::try_from(value).ok())
    }

    fn seconds(&mut self, name: &'static str, value: Option<u64>, to: &mut Duration) {
        if let Some(value) = self.bounded(name, value, &Self::SECONDS) {
            *to = Duration::from_secs(value);
        }
    }

    fn bounded(
        &mut self,
        name: &'static str,
        value: Option<u64>,
        within: &std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = value?;
        if within.contains(&value) {
            return Some(value);
        }
        let problem = Problem::OutOfBounds { value, least: *within.start(), most: *within.end() };
        self.errors.push(ConfigError { key: Key::top(name), problem });
        None
    }
}
