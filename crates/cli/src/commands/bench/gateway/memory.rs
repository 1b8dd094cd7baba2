//! What a gateway occupies: with open connections, and with used proofs.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use countersign_dpop::replay::{QuotaKey, Recorded, ReplayEntry, ReplayKey, ReplayStore};
use countersign_dpop::time::{Clock, NumericDate, SystemClock, Window};
use countersign_gateway::config::GatewayConfig;
use countersign_gateway::{Gateway, NoDecisions};
use countersign_resource::es256::Engine;
use rustix::process::{Resource, getrlimit};

use super::super::row::{Column, Row};
use super::load;
use super::party::{self, Cores};
use super::traffic::Traffic;
use crate::error::CommandError;
use crate::{input, serving};

/// Files beside one for each connection: the load's own, and what a process has open anyway.
const OTHER_FILES: u64 = 200;
static COUNT: Column = Column::new("count", "count", 0);
/// Memory of the process before, and with all of them.
static BYTES_BEFORE: Column = Column::new("bytes_before", "bytes before", 0);
static BYTES: Column = Column::new("bytes", "bytes", 0);
pub(super) static BYTES_EACH: Column = Column::new("bytes_each", "bytes each", 0);

#[expect(clippy::cast_precision_loss, reason = "bytes of memory are far below 2^52")]
fn row(name: &'static str, about: &'static str, count: u64, before: u64, with: u64) -> Row {
    let each = with.saturating_sub(before) as f64 / count.max(1) as f64;
    let row = Row::new(name, about).with(&COUNT, count).with(&BYTES_BEFORE, before);
    row.with(&BYTES, with).with(&BYTES_EACH, each)
}

/// A gateway with many connections open, over each of which one request was served.
pub(super) async fn idle(
    traffic: &Traffic,
    cores: &Cores,
    upstream: SocketAddr,
    wanted: u32,
    notes: &mut Vec<String>,
) -> Result<Row, CommandError> {
    let config = traffic.write("idle.toml", &party::gateway_config(upstream, "none", 2_000_000))?;
    let (process, address) = party::gateway(cores, &config, Engine::best()).await?;
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX).saturating_sub(OTHER_FILES);
    let count = u64::from(wanted).min(files);
    if count < u64::from(wanted) {
        notes.push(format!("{count} open connections instead of {wanted}: the limit of open files allows no more"));
    }
    let unknown = || CommandError::internal("the system does not say what memory a process occupies");
    let before = process.resident().ok_or_else(unknown)?;
    let (mut open, mut buffer) = (Vec::new(), Vec::new());
    let request = traffic.requests(1).await?.remove(0);
    for _ in 0..count {
        let mut stream = load::connect(address).await.map_err(CommandError::internal)?;
        // Whatever the answer is (a nonce is asked for at first), the connection has been of use.
        load::exchange(&mut stream, &request, &mut buffer).await.map_err(CommandError::internal)?;
        open.push(stream);
    }
    Ok(row("idle-connections", "one open connection", count, before, process.resident().ok_or_else(unknown)?))
}

/// A gateway that remembers many used proofs.
pub(super) async fn replay(cores: &Cores, entries: u32) -> Result<Row, CommandError> {
    let mut sizes = Vec::new();
    for entries in [0, entries] {
        let mut command = party::ourselves()?;
        command.args(["bench", "gateway-with-entries", "--entries"]).arg(entries.to_string());
        let mut process = cores.spawn(&mut command)?;
        process.ready().await?;
        sizes.extend(process.resident());
    }
    match sizes[..] {
        [before, with] => Ok(row("replay-entries", "one used proof", u64::from(entries), before, with)),
        _ => Err(CommandError::internal("the system does not say what memory a process occupies")),
    }
}

/// Serves as a gateway whose replay store holds that many entries, until it is killed.
#[derive(Debug, Args)]
pub(crate) struct FullGatewayCommand {
    /// How many
    #[arg(long)]
    entries: u32,
}

/// Parties that the entries are shared out among; one alone may have a twentieth of a store.
const SHARES: u32 = 100;

impl FullGatewayCommand {
    pub(crate) fn run(&self) -> Result<ExitCode, CommandError> {
        let ended = std::thread::scope(|scope| scope.spawn(|| self.run_alone()).join());
        ended.map_err(|_| CommandError::internal("the gateway ended early"))?
    }

    fn run_alone(&self) -> Result<ExitCode, CommandError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(CommandError::internal)?.block_on(self.serve())
    }

    async fn serve(&self) -> Result<ExitCode, CommandError> {
        let traffic = Traffic::new(1)?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        let capacity = self.entries.saturating_add(self.entries / 4).max(1_000);
        let config = traffic.write("full.toml", &party::gateway_config(nowhere, "none", capacity))?;
        let config: GatewayConfig = input::read_toml(&config, "the configuration")?;
        let settings = config.resolve(traffic.directory()).map_err(CommandError::internal)?;
        let gateway = Gateway::bind(settings, Arc::new(SystemClock), Arc::new(NoDecisions)).await;
        let gateway = gateway.map_err(CommandError::internal)?;
        fill(&*gateway.replay_store(), self.entries).await?;
        serving::ready(gateway.local_addr(), gateway.admin_addr());
        gateway.serve(std::future::pending()).await;
        Ok(ExitCode::SUCCESS)
    }
}

/// Records proofs as in a minute's time: the store has just begun, and takes older ones only with a nonce.
async fn fill(store: &dyn ReplayStore, entries: u32) -> Result<(), CommandError> {
    let parties: Vec<QuotaKey> = (0..SHARES).map(|share| QuotaKey::new(&[&share.to_string()])).collect();
    for (number, party) in (0..entries).zip(parties.iter().cycle()) {
        let now = SystemClock.now().plus(60);
        let iat = NumericDate::from_seconds(now.seconds() - i64::from(number % 30));
        let mut key = [0; ReplayKey::LENGTH];
        key[..4].copy_from_slice(&number.to_le_bytes());
        let entry = ReplayEntry {
            key: ReplayKey::from_bytes(key),
            iat,
            not_after: Window::RFC.not_after(iat),
            nonce_epoch: None,
            quota: Some(*party),
        };
        match store.record(&entry, now).await {
            Ok(Recorded::First) => (),
            other => return Err(CommandError::internal(format!("entry {number} is not recorded: {other:?}"))),
        }
    }
    Ok(())
}
