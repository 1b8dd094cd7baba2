//! `countersign agent approve`: what waits for a person, and the decision.

use std::process::ExitCode;

use clap::Args;
use countersign_agent::approval::{Ask, Decision, Subject};
use countersign_agent::control::ControlClient;
use countersign_dpop::time::{Clock, SystemClock};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

use super::steer::{Which, control_error};
use crate::error::CommandError;
use crate::render::{self, BOLD, DIM, NAME, styled};

/// Shows what waits for a person, and takes the decision
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign agent approve\n  countersign agent approve 7 --for 600\n  countersign \
agent approve 7 --deny\n  countersign agent approve --json\n\nWithout a number it lists what waits, live, and asks. \
--json prints one line for every change of the list and asks nothing. Exit code 1 when the request does not wait any \
more."
)]
pub(crate) struct Approve {
    /// Number of the request
    #[arg(value_name = "NUMBER")]
    id: Option<u64>,
    /// Approve the same for so many seconds
    #[arg(long = "for", value_name = "SECONDS", requires = "id")]
    seconds: Option<u32>,
    /// Say no
    #[arg(long, requires = "id", conflicts_with = "seconds")]
    deny: bool,
    /// Show what waits now and end
    #[arg(long, conflicts_with = "id")]
    list: bool,
    /// Print as JSON, one line for every change
    #[arg(long, conflicts_with = "id")]
    json: bool,
    #[command(flatten)]
    which: Which,
}

impl Approve {
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        let (agent, _) = self.which.agent().await?;
        if let Some(id) = self.id {
            let decision = match (self.deny, self.seconds) {
                (true, _) => Decision::Deny,
                (false, Some(seconds)) => Decision::For(seconds),
                (false, None) => Decision::Once,
            };
            return decide(&agent, id, decision).await;
        }
        if self.list {
            let waiting = agent.waiting(None).await.map_err(control_error)?.waiting;
            if self.json {
                render::json(&waiting)?;
            } else {
                waiting.iter().for_each(show);
            }
            return Ok(ExitCode::SUCCESS);
        }
        if self.json { follow(&agent).await } else { ask(&agent).await }
    }
}

async fn decide(agent: &ControlClient, id: u64, decision: Decision) -> Result<ExitCode, CommandError> {
    use countersign_agent::control::ControlError;
    match agent.decide(id, decision).await {
        Ok(ask) => {
            let said = match decision {
                Decision::Once => "approved".to_owned(),
                Decision::For(seconds) => format!("approved for {seconds} s"),
                Decision::Deny => "denied".to_owned(),
            };
            render::status(format_args!("{} {said}: {} for {}", ask.id, what(&ask), ask.binding));
            Ok(ExitCode::SUCCESS)
        }
        Err(ControlError::Refused { status: 404, error }) => {
            render::status(error);
            Ok(ExitCode::from(1))
        }
        Err(fault) => Err(control_error(fault)),
    }
}

/// One line of JSON for every change, until the agent ends.
async fn follow(agent: &ControlClient) -> Result<ExitCode, CommandError> {
    let mut seen = None;
    loop {
        let waiting = agent.waiting(seen).await.map_err(control_error)?;
        if seen != Some(waiting.version) {
            let line = serde_json::to_string(&waiting.waiting).map_err(CommandError::internal)?;
            render::line(line);
        }
        seen = Some(waiting.version);
    }
}

/// Shows what comes, and asks, until the input or the agent ends.
async fn ask(agent: &ControlClient) -> Result<ExitCode, CommandError> {
    render::status("what waits is shown here; y approves once, a number of seconds approves for a while, n denies");
    let mut lines = BufReader::new(stdin()).lines();
    let (mut seen, mut shown) = (None, std::collections::BTreeSet::new());
    let mut current: Option<Ask> = None;
    loop {
        let waiting = agent.waiting(seen);
        tokio::select! {
            waiting = waiting => {
                let waiting = waiting.map_err(control_error)?;
                seen = Some(waiting.version);
                if current.as_ref().is_some_and(|ask| waiting.waiting.iter().all(|other| other.id != ask.id)) {
                    render::status("it does not wait any more");
                    current = None;
                }
                if current.is_none() {
                    let more = waiting.waiting.len().saturating_sub(1);
                    current = waiting.waiting.into_iter().next();
                    if let Some(ask) = current.as_ref().filter(|ask| shown.insert(ask.id)) {
                        show(ask);
                        if more > 0 {
                            render::status(format_args!("{more} more wait after it"));
                        }
                        render::status(format_args!("{NAME}{}?{NAME:#} [y/seconds/n]", ask.id));
                    }
                }
            }
            line = lines.next_line() => {
                let Ok(Some(line)) = line else { return Ok(ExitCode::SUCCESS) };
                let Some(ask) = current.take() else { continue };
                let decision = match (line.trim(), line.trim().parse()) {
                    ("y" | "yes", _) => Decision::Once,
                    (_, Ok(seconds)) => Decision::For(seconds),
                    ("n" | "no", _) => Decision::Deny,
                    _ => {
                        render::status("y, a number of seconds, or n");
                        current = Some(ask);
                        continue;
                    }
                };
                decide(agent, ask.id, decision).await?;
                // What came in the meantime is shown next.
                seen = None;
            }
        }
    }
}

fn what(ask: &Ask) -> String {
    ask.tool.clone().unwrap_or_else(|| format!("{} {}", ask.method, ask.path))
}

/// One request as a person has to see it. Texts of programs have no control characters any more.
fn show(ask: &Ask) {
    let left = ask.lapses_at.saturating_sub(SystemClock.now().seconds());
    render::line(format_args!("{}  {}  for {}", styled(BOLD, ask.id), styled(BOLD, what(ask)), ask.binding));
    let fact =
        |name: &str, value: &str| render::line(format_args!("    {} {value}", styled(DIM, format_args!("{name:<10}"))));
    fact("resource", &ask.resource);
    fact("request", &format!("{} {}", ask.method, ask.path));
    if let Some(mcp) = &ask.mcp {
        fact("message", mcp);
    }
    if let Some(scope) = &ask.scope {
        fact("scopes", scope);
    }
    if let Some(reason) = &ask.reason {
        fact("reason", reason);
    }
    if let Some(digest) = &ask.arguments {
        fact("arguments", &format!("sha-256 {digest}"));
    }
    let chain: Vec<String> = ask.process.iter().map(|process| format!("{} ({})", process.exe, process.pid)).collect();
    let known = if ask.verified || chain.is_empty() { "" } else { "  (not verified)" };
    let asked_by = if chain.is_empty() { "unknown: it came over the port".to_owned() } else { chain.join(" ← ") };
    fact("asked by", &format!("{asked_by}{known}"));
    fact("a yes is", covers(&ask.subject));
    fact("lapses in", &format!("{left} s"));
}

/// What a plain yes is good for.
const fn covers(subject: &Subject) -> &'static str {
    match subject {
        Subject::Binding { .. } => "for everything that the policy allows, until the agent ends or is locked",
        Subject::Tool { .. } => "for this tool, until the agent ends or is locked",
        Subject::Call { .. } => "for this request only; with a number of seconds for the same until then",
    }
}
