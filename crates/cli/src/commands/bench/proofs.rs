//! `bench proofs`: the same requests for everybody. Written as JSON lines, they are what other libraries are measured on
//! beside this one; read again, they are judged here.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use countersign_dpop::jose::{Algorithm, PublicJwk};
use countersign_dpop::time::{Clock, SystemClock, Timestamp, Window};
use countersign_resource::DEFAULT_KEY_CACHE;
use countersign_resource::es256::Engine;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fixture::{ISSUER, Issuer, RESOURCE, is_granted, new_key, request, server, url};
use super::measure::{Samples, all_right};
use super::output::progress;
use super::row::{ENGINE, Group, KEYS, PER_SECOND, Row, Section, US_CPU_MEDIAN};
use crate::error::CommandError;

/// Operations in one sample.
const CALLS: usize = 100;
/// The most requests in a file.
const MAX_COUNT: u32 = 1_000_000;
/// A file larger than this is none that was written here.
const MAX_LENGTH: u64 = 4 << 30;

/// Flags of `bench proofs`.
#[derive(Debug, Args)]
pub(crate) struct ProofsBench {
    /// Requests to make
    #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u32).range(200..=i64::from(MAX_COUNT)))]
    count: u32,
    /// Clients that make them, in turn, each with a key and a token of its own
    #[arg(long = "keys", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_COUNT)), value_name = "N")]
    clients: u32,
    /// Judge a file that was written so, instead of writing one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["count", "clients"])]
    check: Option<PathBuf>,
}

/// The first line: who issued the tokens and for what.
#[derive(Debug, Deserialize, Serialize)]
struct Heading {
    issuer: String,
    audience: String,
    issuer_key: Value,
    time: i64,
    requests: usize,
    clients: usize,
}

/// Every other line: one request.
#[derive(Debug, Deserialize, Serialize)]
struct Line {
    key: Value,
    token: String,
    proof: String,
    method: String,
    url: String,
    time: i64,
}

impl ProofsBench {
    /// The file to judge, if that is what is asked for.
    pub(super) fn to_check(&self) -> Option<&Path> {
        self.check.as_deref()
    }

    /// Writes requests to standard output.
    ///
    /// # Errors
    /// Standard output takes no more.
    pub(super) fn write(&self) -> Result<ExitCode, CommandError> {
        let now = SystemClock.now();
        let issuer = Issuer::new(now)?;
        let clients: Result<Vec<_>, _> =
            (0..self.clients).map(|_| issuer.client_with(&new_key(Algorithm::Es256)?)).collect();
        let clients = clients?;
        let heading = Heading {
            issuer: ISSUER.to_owned(),
            audience: RESOURCE.to_owned(),
            issuer_key: json_of(issuer.public_jwk())?,
            time: now.seconds(),
            requests: self.count as usize,
            clients: clients.len(),
        };
        let mut out = BufWriter::new(std::io::stdout().lock());
        write_line(&mut out, &heading)?;
        for client in clients.iter().cycle().take(self.count as usize) {
            let line = Line {
                key: json_of(client.signer().public_jwk())?,
                token: client.token().to_owned(),
                proof: client.proof(&url())?,
                method: "GET".to_owned(),
                url: url(),
                time: now.seconds(),
            };
            write_line(&mut out, &line)?;
        }
        out.flush().map_err(CommandError::internal)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Judges the requests in `path`: the first half warms up, the second half is measured.
///
/// # Errors
/// The file is not what [`ProofsBench::write`] writes, or one of its requests is refused.
pub(super) fn check(path: &Path, engine: Engine) -> Result<Section, CommandError> {
    let (heading, requests) = read(path)?;
    let key = PublicJwk::parse(heading.issuer_key.to_string().as_bytes()).map_err(CommandError::configuration)?;
    let server =
        server(&key, Timestamp::from_seconds(heading.time), Window::MCP, DEFAULT_KEY_CACHE, engine, |config| config)?;
    let (first, second) = requests.split_at(requests.len() / 2);
    let bar = progress((second.len() / CALLS) as u64);
    let judged = |requests: &[HeaderMap]| requests.iter().filter(|request| is_granted(&server, request)).count();
    all_right(judged(first), first.len())?;
    let mut samples = Samples::of_this_thread();
    for requests in second.chunks_exact(CALLS) {
        samples.begin();
        let right = judged(requests);
        samples.end(CALLS);
        all_right(right, CALLS)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let cpu = samples.cpu().median;
    let row = Row::new("countersign", "the whole check of a request")
        .with(&US_CPU_MEDIAN, cpu / 1_000.0)
        .with(&PER_SECOND, 1_000_000_000.0 / cpu)
        .with(&ENGINE, engine.name())
        .with(&KEYS, heading.clients);
    let group = Group { title: "Requests of a file".to_owned(), plotted: &US_CPU_MEDIAN, rows: vec![row] };
    let notes = vec!["the first half of the file warms up, the second is measured".to_owned()];
    Ok(Section { name: "proofs", title: "Requests of a file", notes, groups: vec![group] })
}

fn read(path: &Path) -> Result<(Heading, Vec<HeaderMap>), CommandError> {
    let fault = |what: &dyn std::fmt::Display| CommandError::configuration(format!("{}: {what}", path.display()));
    if fs::metadata(path).map_err(|error| fault(&error))?.len() > MAX_LENGTH {
        return Err(fault(&"too long to be a file of requests"));
    }
    let text = fs::read_to_string(path).map_err(|error| fault(&error))?;
    let mut lines = text.lines();
    let heading = serde_json::from_str(lines.next().unwrap_or_default()).map_err(|error| fault(&error))?;
    let requests = lines.map(|line| {
        let line: Line = serde_json::from_str(line).map_err(|error| fault(&error))?;
        request(&line.token, &line.proof)
    });
    let requests: Vec<_> = requests.collect::<Result<_, _>>()?;
    if requests.len() < 2 * CALLS {
        return Err(fault(&format!("fewer than {} requests", 2 * CALLS)));
    }
    Ok((heading, requests))
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> Result<(), CommandError> {
    serde_json::to_writer(&mut *out, line).map_err(CommandError::internal)?;
    out.write_all(b"\n").map_err(CommandError::internal)
}

fn json_of(key: &PublicJwk) -> Result<Value, CommandError> {
    serde_json::from_str(&key.to_json()).map_err(CommandError::internal)
}
