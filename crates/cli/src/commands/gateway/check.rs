//! `countersign gateway check`: everything a gateway will need, tried before it serves.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use bytesize::ByteSize;
use clap::Args;
use countersign_dpop::time::{Clock, SystemClock, Timestamp, Window};
use countersign_gateway::Settings;
use countersign_gateway::config::{KeySettings, ReplaySetting};
use countersign_replay::{RedisReplayConfig, RedisReplayStore, RedisServer};
use countersign_resource::es256::Engine;
use countersign_resource::fetch::{Fetch, ReqwestFetch};
use countersign_resource::{Issuers, Stage};
use futures_util::future::join_all;
use http::{Request, header};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::file::ConfigFile;
use super::through;
use crate::engine::KeyFlags;
use crate::error::CommandError;
use crate::render::{self, BAD, DIM, GOOD, NAME, styled};

/// How long a connection to an upstream may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How far clocks may be apart before it is worth a word: the window of `strict` proofs ahead.
const CLOCK: i64 = 5;
/// The same for a shared store's: half of what gateways may be apart from each other.
const NODE_CLOCK: i64 = 15;

/// Tries a configuration: file, issuers, upstream, store, clock; with --through also the way to the gateway
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  countersign gateway check --config gateway.toml\n  countersign gateway check --config \
gateway.toml --through https://api.example.com/\n\n--through sends requests with proofs by a key made for it, and a token \
that is none, to a gateway that is already serving. It learns from the refusals what a proxy on the way changes; \
nothing reaches the API unless the gateway only observes. Exits with 1 when something is wrong."
)]
pub(super) struct CheckCommand {
    /// TOML file to try
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    config: PathBuf,
    /// Public URL of a path that the serving gateway guards
    #[arg(long, value_name = "URL")]
    through: Option<String>,
    #[command(flatten)]
    keys: KeyFlags,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One thing that was tried.
#[derive(Debug, Serialize)]
pub(super) struct Tried {
    pub(super) what: &'static str,
    pub(super) name: String,
    pub(super) result: Found,
    pub(super) said: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) todo: Option<String>,
}

/// How it went.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Found {
    Good,
    Note,
    Bad,
}

impl Tried {
    pub(super) fn good(what: &'static str, name: impl Into<String>, said: impl Into<String>) -> Self {
        Self { what, name: name.into(), result: Found::Good, said: said.into(), todo: None }
    }

    pub(super) fn bad(
        what: &'static str,
        name: impl Into<String>,
        said: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { result: Found::Bad, todo: Some(todo.into()), ..Self::good(what, name, said) }
    }

    pub(super) fn note(
        what: &'static str,
        name: impl Into<String>,
        said: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { result: Found::Note, ..Self::bad(what, name, said, todo) }
    }
}

impl CheckCommand {
    pub(super) async fn run(self) -> Result<ExitCode, CommandError> {
        let file = ConfigFile::read(&self.config)?;
        let config = self.keys.said().over(file.config().clone());
        let settings = config.resolve(file.directory()).map_err(|faults| {
            let faults = file.explain(&faults);
            CommandError::configuration(format!("{} is not right:\n{faults}", self.config.display()))
                .with_hint("mend these keys and try again")
        })?;
        let fetch: Arc<dyn Fetch> = Arc::new(ReqwestFetch::new().map_err(CommandError::internal)?);
        let mut tried = vec![tried_file(&self.config, &settings)];
        tried.extend(
            settings
                .warnings
                .iter()
                .map(|warning| Tried::note("file", "public_origin", warning, "give the public origin as https://…")),
        );
        tried.extend(issuers(&settings, &fetch).await?);
        tried.extend(upstreams(&settings).await);
        tried.push(store(&settings).await);
        tried.push(keys(&settings.keys));
        if let Some(url) = &self.through {
            tried.extend(through::try_way(url, &settings, fetch.as_ref()).await?);
        }
        self.tell(&tried)
    }

    fn tell(&self, tried: &[Tried]) -> Result<ExitCode, CommandError> {
        if self.json {
            render::json(&tried)?;
        } else {
            tried.iter().for_each(show);
        }
        let is_bad = tried.iter().any(|one| one.result == Found::Bad);
        Ok(if is_bad { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }
}

fn show(tried: &Tried) {
    let mark = match tried.result {
        Found::Good => styled(GOOD, "ok  "),
        Found::Note => styled(NAME, "note"),
        Found::Bad => styled(BAD, "bad "),
    };
    let plain = |text: &str| text.chars().filter(|c| !c.is_control()).collect::<String>();
    render::line(format_args!("{mark} {:9} {}: {}", tried.what, plain(&tried.name), plain(&tried.said)));
    if let Some(todo) = &tried.todo {
        render::line(format_args!("{:15}{}", "", styled(DIM, format_args!("-> {}", plain(todo)))));
    }
}

fn tried_file(path: &Path, settings: &Settings) -> Tried {
    let count = |number: usize, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
    let said = format!(
        "stage {}, {}, {}",
        settings.stage,
        count(settings.issuers.len(), "issuer"),
        count(settings.routes.len(), "route")
    );
    Tried::good("file", path.display().to_string(), said)
}

/// Keys or answers of every issuer, and its clock.
async fn issuers(settings: &Settings, fetch: &Arc<dyn Fetch>) -> Result<Vec<Tried>, CommandError> {
    let issuers = Issuers::new(settings.issuers.clone(), fetch).map_err(CommandError::configuration)?;
    let now = SystemClock.now();
    issuers.renew(now).await;
    let missing = issuers.readiness(now);
    let mut tried = Vec::new();
    for name in issuers.names() {
        tried.push(match missing.iter().find(|missing| missing.issuer == *name) {
            None => Tried::good("issuer", name, "its tokens can be judged"),
            Some(missing) => Tried::bad(
                "issuer",
                name,
                missing.fault.to_string(),
                "look at the address from this machine; if the issuer has no metadata, give its keys by jwks",
            ),
        });
    }
    let clocks = issuers.names().iter().filter(|name| !missing.iter().any(|missing| missing.issuer == **name));
    tried.extend(join_all(clocks.map(|name| clock(name, fetch.as_ref()))).await.into_iter().flatten());
    Ok(tried)
}

/// The issuer's clock beside this machine's, by the Date of any answer.
async fn clock(issuer: &str, fetch: &dyn Fetch) -> Option<Tried> {
    let request = Request::get(issuer).body(Bytes::new()).ok()?;
    let answer = fetch.fetch(request).await.ok()?;
    let ahead = ahead(answer.headers().get(header::DATE)?.to_str().ok()?, SystemClock.now())?;
    let said = format!("the issuer's clock is {ahead:+} s from this machine's");
    Some(if ahead.abs() <= CLOCK {
        Tried::good("clock", issuer, said)
    } else {
        Tried::bad("clock", issuer, said, "set this machine's clock (chrony, systemd-timesyncd) or tell the issuer")
    })
}

/// Seconds by which a `Date` field is ahead of `now`.
pub(super) fn ahead(date: &str, now: Timestamp) -> Option<i64> {
    let there = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(i64::try_from(there).ok()?.saturating_sub(now.seconds()))
}

async fn upstreams(settings: &Settings) -> Vec<Tried> {
    let mut all = vec![&settings.upstream];
    for route in &settings.routes {
        if !all.contains(&&route.upstream) {
            all.push(&route.upstream);
        }
    }
    let each = all.into_iter().map(async |upstream| {
        let host = upstream.host().trim_start_matches('[').trim_end_matches(']');
        let todo = "start the API, or mend upstream; the gateway answers 502 until then";
        match timeout(CONNECT, TcpStream::connect((host, upstream.port()))).await {
            Ok(Ok(_)) => Tried::good("upstream", upstream.to_string(), "takes connections"),
            Ok(Err(fault)) => Tried::bad("upstream", upstream.to_string(), fault.to_string(), todo),
            Err(_) => Tried::bad("upstream", upstream.to_string(), "no connection in time", todo),
        }
    });
    join_all(each).await
}

async fn store(settings: &Settings) -> Tried {
    let observes = settings.stage == Stage::Observe && settings.routes.is_empty();
    match &settings.replay {
        ReplaySetting::Memory { capacity } if observes => {
            Tried::good("store", "memory", format!("room for {capacity} proofs"))
        }
        ReplaySetting::Memory { capacity } => Tried::note(
            "store",
            "memory",
            format!("room for {capacity} proofs, for exactly one process"),
            "with several gateways behind one name use replay = \"node\" or a shared store",
        ),
        ReplaySetting::Node { capacity } => Tried::good(
            "store",
            "node",
            format!("room for {capacity} proofs; every proof needs a nonce of its process"),
        ),
        ReplaySetting::Redis { server, .. } => shared_store(server).await,
    }
}

async fn shared_store(server: &RedisServer) -> Tried {
    let config = RedisReplayConfig { server: server.clone(), window: Window::RFC, quota: None, nonce_keys: None };
    let reached = match RedisReplayStore::open(config, Arc::new(SystemClock)) {
        Ok(store) => {
            store.reached(CONNECT).await.map_err(|fault| fault.to_string()).map(|()| store.stats().clock_difference)
        }
        Err(fault) => Err(fault.to_string()),
    };
    match reached {
        Ok(difference) => reached_store(server.to_string(), difference),
        Err(fault) => Tried::bad(
            "store",
            server.to_string(),
            fault,
            "start it, and set maxmemory-policy noeviction; the gateway answers 503 until then",
        ),
    }
}

/// `difference` is how far this machine's clock is ahead of the store's, in seconds.
fn reached_store(server: String, difference: i64) -> Tried {
    let said = format!("answers and forgets nothing; its clock is {:+} s from this machine's", -difference);
    if difference.abs() <= NODE_CLOCK {
        return Tried::good("store", server, said);
    }
    let todo = "set both clocks (chrony, systemd-timesyncd): gateways may be 30 s apart from each other and no more";
    Tried::bad("store", server, said, todo)
}

/// What clients' keys may take, and who verifies by their tables.
fn keys(settings: &KeySettings) -> Tried {
    if settings.cache == 0 {
        return Tried::good("keys", "library", "no key is remembered; aws-lc-rs verifies every signature");
    }
    let size = ByteSize::b(settings.cache).display().si();
    let engine = settings.engine;
    let said = if engine == Engine::Library {
        format!("{size} for clients' keys, without tables; aws-lc-rs verifies every signature")
    } else {
        format!(
            "{size} for clients' keys and their tables; of ES256 verdicts aws-lc-rs checks {} and {}",
            share(settings.sampling.accepted, "accepted"),
            share(settings.sampling.refused, "refused")
        )
    };
    Tried::good("keys", engine.name(), said)
}

fn share(one_in: u32, of: &str) -> String {
    match one_in {
        0 => format!("none {of}"),
        1 => format!("all {of}"),
        _ => format!("1 in {one_in} {of}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_whose_clock_differs_is_no_good() {
        for (difference, result, said) in
            [(0, Found::Good, "+0 s"), (15, Found::Good, "-15 s"), (-16, Found::Bad, "+16 s")]
        {
            let tried = reached_store("redis://h:6379".to_owned(), difference);
            assert_eq!(tried.result, result, "{difference}");
            assert!(tried.said.contains(&format!("its clock is {said} from this machine's")), "{}", tried.said);
            assert_eq!(tried.todo.is_some(), result == Found::Bad);
        }
    }

    #[test]
    fn clocks_are_compared_by_date_fields() {
        let now = Timestamp::from_seconds(784_111_777);
        assert_eq!(ahead("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(0));
        assert_eq!(ahead("Sun, 06 Nov 1994 08:49:30 GMT", now), Some(-7));
        assert_eq!(ahead("soon", now), None);
    }
}
