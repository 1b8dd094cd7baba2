//! `countersign gateway simulate`: who would break at a stage.

use std::process::ExitCode;

use clap::Args;
use countersign_gateway::report::{ClientReport, CodeCount, Report, StageBreaks};
use serde::Serialize;

use super::log::LogFlags;
use super::report::{codes, name};
use crate::error::CommandError;
use crate::render::{self, BAD, GOOD, NAME, styled};

/// Says from the decision log who would break at a stage
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  countersign gateway simulate --decisions /var/log/countersign/decisions --stage require\n\
\nReplays decisions, not credentials. Exceptions for single clients are left aside. Exits with 1 when a request that is \
served today would be refused."
)]
pub(super) struct SimulateCommand {
    #[command(flatten)]
    log: LogFlags,
    /// The stage: accept, prefer, require
    #[arg(long, value_name = "STAGE", default_value = "require", value_parser = ["accept", "prefer", "require"])]
    stage: String,
}

/// The answer as data.
#[derive(Serialize)]
struct Simulation<'a> {
    version: u8,
    stage: &'a str,
    requests: u64,
    breaks: u64,
    clients: Vec<Broken<'a>>,
}

#[derive(Serialize)]
struct Broken<'a> {
    client: Option<&'a str>,
    issuer: Option<&'a str>,
    requests: u64,
    breaks: u64,
    codes: &'a [CodeCount],
}

impl SimulateCommand {
    pub(super) fn run(&self) -> Result<ExitCode, CommandError> {
        let report = self.log.report()?;
        let broken: Vec<_> = report.clients.iter().filter_map(|client| Some((client, self.breaks(client)?))).collect();
        let breaks: u64 = broken.iter().map(|(_, breaks)| breaks.requests).sum();
        if self.log.json {
            render::json(&self.simulation(&report, &broken, breaks))?;
        } else {
            self.show(&report, &broken, breaks);
        }
        Ok(if breaks == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn breaks<'a>(&self, client: &'a ClientReport) -> Option<&'a StageBreaks> {
        client.breaks.iter().find(|breaks| breaks.stage.name() == self.stage && breaks.requests > 0)
    }

    fn simulation<'a>(
        &'a self,
        report: &'a Report,
        broken: &[(&'a ClientReport, &'a StageBreaks)],
        breaks: u64,
    ) -> Simulation<'a> {
        let each = |(client, breaks): &(&'a ClientReport, &'a StageBreaks)| Broken {
            client: client.client.as_deref(),
            issuer: client.issuer.as_deref(),
            requests: client.requests,
            breaks: breaks.requests,
            codes: &breaks.codes,
        };
        let clients = broken.iter().map(each).collect();
        Simulation { version: 1, stage: &self.stage, requests: report.requests, breaks, clients }
    }

    fn show(&self, report: &Report, broken: &[(&ClientReport, &StageBreaks)], breaks: u64) {
        for (client, breaks) in broken {
            let (count, all) = (styled(BAD, format_args!("{:>9}", breaks.requests)), client.requests);
            let who = styled(NAME, name(client));
            render::line(format_args!("{count} of {all} requests of {who}: {}", codes(&breaks.codes)));
        }
        let all = report.requests;
        render::line(if breaks == 0 {
            styled(GOOD, format_args!("nobody would break at {}: {all} requests", self.stage))
        } else {
            format!("{breaks} of {all} requests would be refused at {}", self.stage)
        });
    }
}
