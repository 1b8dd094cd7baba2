//! `countersign gateway report`: how far clients have moved.

use std::process::ExitCode;

use clap::Args;
use countersign_gateway::report::{ClientReport, CodeCount, Report};

use super::log::LogFlags;
use crate::error::CommandError;
use crate::render::{self, BAD, BOLD, DIM, GOOD, NAME, styled};

/// Says from the decision log how far clients have moved to DPoP, and who is ready for which stage
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  countersign gateway report --decisions /var/log/countersign/decisions --since 7d\n\nReads \
decisions as JSON lines. bound: the share of a client's requests with a bound token and a good proof. A client without \
a name is one whose requests held no token that could be verified."
)]
pub(super) struct ReportCommand {
    #[command(flatten)]
    log: LogFlags,
}

impl ReportCommand {
    pub(super) fn run(&self) -> Result<ExitCode, CommandError> {
        let report = self.log.report()?;
        if self.log.json {
            render::json(&report)?;
        } else {
            show(&report);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(report: &Report) {
    if report.requests == 0 {
        render::line("no decisions in that time");
        tell_skipped(report);
        return;
    }
    render::line(styled(
        BOLD,
        format_args!("{:>9} {:>7} {:>8} {:>14}  client", "requests", "bound", "bearer", "clock"),
    ));
    for client in &report.clients {
        let bound = format!("{:.1}%", client.percent_bound);
        let clock = client.offsets.map_or("-".to_owned(), |o| format!("{:+}..{:+} s", o.least, o.most));
        let name = styled(NAME, name(client));
        render::line(format_args!("{:>9} {bound:>7} {:>8} {clock:>14}  {name}", client.requests, client.bearer));
        if !client.codes.is_empty() {
            render::line(format_args!("{:43}{}", "", styled(DIM, codes(&client.codes))));
        }
        if let Some(last) = client.last_bearer {
            render::line(format_args!("{:43}{}", "", styled(DIM, format_args!("last Bearer use {}", date(last)))));
        }
    }
    render::line("");
    for stage in &report.stages {
        let verdict = if stage.ready {
            styled(GOOD, "ready")
        } else {
            let clients = if stage.clients == 1 { "client" } else { "clients" };
            styled(BAD, format_args!("{} requests of {} {clients} would break", stage.breaks, stage.clients))
        };
        render::line(format_args!("{:8} {verdict}", stage.stage.name()));
    }
    tell_skipped(report);
}

fn tell_skipped(report: &Report) {
    if report.skipped > 0 {
        render::status(format_args!("{} lines were no decisions and were passed over", report.skipped));
    }
}

/// The client's name; what is odd in it is escaped.
pub(super) fn name(client: &ClientReport) -> String {
    let shown = |text: &str| text.chars().flat_map(char::escape_default).collect::<String>();
    match (&client.client, &client.issuer) {
        (Some(name), Some(issuer)) if !issuer.is_empty() => format!("{} of {}", shown(name), shown(issuer)),
        (Some(name), _) => shown(name),
        (None, _) if client.others => "(all others)".to_owned(),
        (None, _) => "(unknown)".to_owned(),
    }
}

/// Codes with their counts.
pub(super) fn codes(codes: &[CodeCount]) -> String {
    let each = |code: &CodeCount| {
        format!("{} {}", code.code.chars().flat_map(char::escape_default).collect::<String>(), code.count)
    };
    codes.iter().map(each).collect::<Vec<_>>().join(", ")
}

/// Seconds since 1970 as a date and time in UTC.
fn date(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years begin in March here, so that the leap day is their last.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let of_year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day = of_era - (365 * of_year + of_year / 4 - of_year / 100);
    let (month, day) = ((5 * day + 2) / 153, day - (153 * ((5 * day + 2) / 153) + 2) / 5 + 1);
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = of_year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3_600, rest % 3_600 / 60)
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_right() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_795_235_506, "2026-11-21 04:31 UTC"),
            (-1, "1969-12-31 23:59 UTC"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }
}
