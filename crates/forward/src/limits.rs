use std::time::Duration;

use crate::patience::PatienceLimits;

/// How long and how much a forwarder waits and keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ForwardLimits {
    /// For a connection to the upstream. Default 5 s.
    pub connect: Duration,
    /// For the first byte of the answer, from the moment the upstream last took a part of the request. Default 60 s.
    pub first_byte: Duration,
    /// For the next part of the request's body, from the client. Default 30 s.
    pub request_body_idle: Duration,
    /// Bytes of the request's body that the client has to send a second, on average over the time for which it is
    /// waited for; slower ones have as long as one that sends nothing. 0 for no such demand. Default 100.
    pub request_body_bytes_per_second: u32,
    /// How long an unused connection to the upstream is kept. Default 30 s.
    pub pool_idle: Duration,
    /// How many unused connections to the upstream are kept. Default 256.
    pub pool_size: usize,
}

impl ForwardLimits {
    /// How long a client that sends a body is waited for.
    pub(crate) const fn request_body(&self) -> PatienceLimits {
        PatienceLimits { idle: self.request_body_idle, bytes_per_second: self.request_body_bytes_per_second }
    }
}

impl Default for ForwardLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_mins(1),
            request_body_idle: Duration::from_secs(30),
            request_body_bytes_per_second: 100,
            pool_idle: Duration::from_secs(30),
            pool_size: 256,
        }
    }
}
