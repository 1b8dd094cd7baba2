use std::time::Duration;

/// How long and how much a forwarder waits and keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ForwardLimits {
    /// For a connection to the upstream. Default 5 s.
    pub connect: Duration,
    /// For the first byte of the answer, from the moment the upstream last took a part of the request. Default 60 s.
    pub first_byte: Duration,
    /// For the next part of the request's body, from the client. Default 30 s.
    pub request_body_idle: Duration,
    /// How long an unused connection to the upstream is kept. Default 30 s.
    pub pool_idle: Duration,
    /// How many unused connections to the upstream are kept. Default 256.
    pub pool_size: usize,
}

impl Default for ForwardLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_mins(1),
            request_body_idle: Duration::from_secs(30),
            pool_idle: Duration::from_secs(30),
            pool_size: 256,
        }
    }
}
