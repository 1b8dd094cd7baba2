//! What the programs share: the file of requests that `countersign bench proofs` wrote, and a clock.

#![forbid(unsafe_code)]

pub mod token;

use std::fs;
use std::hint::black_box;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use serde_json::{Value, json};

/// Requests in one sample.
const CALLS: usize = 100;

/// The first line of the file.
#[derive(Debug, Deserialize)]
pub struct Heading {
    pub issuer: String,
    pub audience: String,
    pub issuer_key: Value,
}

/// One request.
#[derive(Debug, Deserialize)]
pub struct Request {
    pub token: String,
    pub proof: String,
    pub method: String,
    pub url: String,
}

/// The file.
#[derive(Debug)]
pub struct Requests {
    pub heading: Heading,
    list: Vec<Request>,
}

impl Requests {
    /// Reads the file that the first argument names.
    pub fn from_arguments() -> Result<Self, String> {
        let path = std::env::args().nth(1).ok_or("which file of requests?")?;
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let mut lines = text.lines();
        let heading = serde_json::from_str(lines.next().unwrap_or_default()).map_err(|error| error.to_string())?;
        let list = lines.map(serde_json::from_str).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        Ok(Self { heading, list })
    }

    /// Checks the first half to warm up and measures the second: microseconds of CPU time for one check, the median of
    /// samples. Every request has to be accepted.
    pub fn measure(&self, mut check: impl FnMut(&Request) -> Result<(), String>) -> Result<f64, String> {
        let (first, second) = self.list.split_at(self.list.len() / 2);
        first.iter().try_for_each(&mut check)?;
        let mut samples = Vec::new();
        for requests in second.chunks_exact(CALLS) {
            let before = cpu_nanoseconds();
            for request in requests {
                black_box(check(request)?);
            }
            samples.push((cpu_nanoseconds() - before) as f64 / CALLS as f64 / 1_000.0);
        }
        samples.sort_by(f64::total_cmp);
        samples.get(samples.len() / 2).copied().ok_or_else(|| "too few requests".to_owned())
    }
}

/// Prints what the runner reads.
pub fn print(peer: &str, token: &str, microseconds: f64, lacks: &str) {
    println!("{}", json!({ "peer": peer, "token": token, "us_cpu": microseconds, "lacks": lacks }));
}

/// Seconds since 1970.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

fn cpu_nanoseconds() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
