//! Counting decisions, client by client.

use std::collections::HashMap;

use countersign_resource::Stage;
use serde::Serialize;

use super::fate::{Fate, fate};
use super::row::{Outcome, Row, Scheme};

/// How many clients are told apart; the rest are one.
pub const MAX_CLIENTS: usize = 10_000;
/// How many codes are told apart for one client.
const MAX_CODES: usize = 64;
/// How many codes are shown for one client.
const TOP: usize = 5;

/// Counts decisions from a time on.
#[derive(Debug)]
pub struct Tally {
    since: i64,
    clients: HashMap<Option<(String, String)>, Counts>,
    others: Counts,
    skipped: u64,
    first: Option<i64>,
    last: Option<i64>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: u64,
    served: u64,
    dpop: u64,
    bearer: u64,
    bound: u64,
    codes: HashMap<String, u64>,
    offsets: Option<Offsets>,
    last_bearer: Option<i64>,
    undecided: u64,
    /// For `accept`, `prefer`, `require`: served today, refused then.
    breaks: [u64; 3],
    broken_codes: [HashMap<String, u64>; 3],
}

/// What a log says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The version of this form.
    pub version: u8,
    /// The first and last second with a decision; absent when there is none.
    pub first: Option<i64>,
    /// See `first`.
    pub last: Option<i64>,
    /// Decisions counted.
    pub requests: u64,
    /// Lines that are no decisions, or longer than allowed.
    pub skipped: u64,
    /// How ready all clients are for each stage.
    pub stages: Vec<StageReadiness>,
    /// Client by client, those with the most requests that would break first.
    pub clients: Vec<ClientReport>,
}

/// How ready clients are for a stage.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct StageReadiness {
    /// The stage.
    pub stage: Stage,
    /// Nobody would break.
    pub ready: bool,
    /// Requests served today that would be refused.
    pub breaks: u64,
    /// Clients with such requests; requests of unknown ones count as one.
    pub clients: u64,
}

/// One client.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClientReport {
    /// `None` where no verified token says.
    pub client: Option<String>,
    /// The issuer of its tokens.
    pub issuer: Option<String>,
    /// True for the sum of clients beyond the number that is told apart.
    pub others: bool,
    /// Requests.
    pub requests: u64,
    /// Those that reached the API.
    pub served: u64,
    /// The share of requests with a bound token and an accepted proof, in hundredths of a percent of all.
    pub percent_bound: f64,
    /// Requests under Bearer.
    pub bearer: u64,
    /// When Bearer was used last.
    pub last_bearer: Option<i64>,
    /// The most frequent faults.
    pub codes: Vec<CodeCount>,
    /// How far its clock is off.
    pub offsets: Option<Offsets>,
    /// Requests that met an issuer or store in trouble.
    pub undecided: u64,
    /// Requests served today that would be refused at `accept`, `prefer` and `require`.
    pub breaks: Vec<StageBreaks>,
}

/// What would break at a stage.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct StageBreaks {
    /// The stage.
    pub stage: Stage,
    /// How many requests.
    pub requests: u64,
    /// With which codes.
    pub codes: Vec<CodeCount>,
}

/// How often a code occurred.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct CodeCount {
    /// The code.
    pub code: String,
    /// How often.
    pub count: u64,
}

/// Clock offsets in seconds; positive is ahead.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Offsets {
    /// The least.
    pub least: i64,
    /// The most.
    pub most: i64,
    /// The mean, towards zero.
    pub mean: i64,
    #[serde(skip)]
    sum: i64,
    #[serde(skip)]
    count: i64,
}

const STAGES: [Stage; 3] = [Stage::Accept, Stage::Prefer, Stage::Require];

impl Tally {
    /// Counts what is not older than `since`, in seconds since 1970.
    pub fn since(since: i64) -> Self {
        Self { since, clients: HashMap::new(), others: Counts::default(), skipped: 0, first: None, last: None }
    }

    /// Counts a line, whatever it is.
    pub fn add_line(&mut self, line: &str) {
        match Row::read(line) {
            Some(row) => self.add(&row),
            None if line.trim().is_empty() => (),
            None => self.skip(),
        }
    }

    /// Counts a line that could not be read.
    pub fn skip(&mut self) {
        self.skipped = self.skipped.saturating_add(1);
    }

    fn add(&mut self, row: &Row<'_>) {
        if row.time < self.since {
            return;
        }
        self.first = Some(self.first.map_or(row.time, |first| first.min(row.time)));
        self.last = Some(self.last.map_or(row.time, |last| last.max(row.time)));
        let issuer = || row.issuer.as_deref().unwrap_or_default().to_owned();
        let key = row.client.as_deref().map(|client| (issuer(), client.to_owned()));
        let known = self.clients.contains_key(&key) || self.clients.len() < MAX_CLIENTS;
        let counts = if known { self.clients.entry(key).or_default() } else { &mut self.others };
        counts.add(row);
    }

    /// What was counted.
    pub fn report(self) -> Report {
        let Self { clients, others, skipped, first, last, .. } = self;
        let mut clients: Vec<ClientReport> =
            clients.into_iter().map(|(key, counts)| counts.report(key, false)).collect();
        if others.requests > 0 {
            clients.push(others.report(None, true));
        }
        clients.sort_by(|one, other| other.weight().cmp(&one.weight()).then_with(|| one.client.cmp(&other.client)));
        let stages = STAGES.iter().enumerate().map(|(place, stage)| {
            let breaks = |client: &&ClientReport| client.breaks[place].requests > 0;
            let broken = clients.iter().filter(breaks).count() as u64;
            let breaks = clients.iter().map(|client| client.breaks[place].requests).sum();
            StageReadiness { stage: *stage, ready: breaks == 0, breaks, clients: broken }
        });
        let requests = clients.iter().map(|client| client.requests).sum();
        Report { version: 1, first, last, requests, skipped, stages: stages.collect(), clients }
    }
}

impl Counts {
    fn add(&mut self, row: &Row<'_>) {
        self.requests += 1;
        self.served += u64::from(row.outcome != Outcome::Refused);
        match row.scheme {
            Scheme::None => (),
            Scheme::Dpop => {
                self.dpop += 1;
                self.bound += u64::from(row.outcome == Outcome::Granted);
            }
            Scheme::Bearer => {
                self.bearer += 1;
                self.last_bearer = Some(self.last_bearer.map_or(row.time, |last| last.max(row.time)));
            }
        }
        if row.code != "ok" {
            count(&mut self.codes, &row.code);
        }
        if let Some(offset) = row.offset {
            self.offsets = Some(Offsets::joined(self.offsets, offset));
        }
        for (place, stage) in STAGES.into_iter().enumerate() {
            match fate(row, stage) {
                Fate::Refused(code) if row.outcome != Outcome::Refused => {
                    self.breaks[place] += 1;
                    count(&mut self.broken_codes[place], code);
                }
                Fate::Undecided => self.undecided += u64::from(place == 0),
                Fate::Refused(_) | Fate::Served | Fate::Challenged => (),
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a share of that many requests need not be exact")]
    fn report(self, key: Option<(String, String)>, others: bool) -> ClientReport {
        let (issuer, client) = key.unzip();
        let broken = STAGES.into_iter().zip(self.breaks).zip(self.broken_codes);
        let breaks = broken.map(|((stage, requests), codes)| StageBreaks { stage, requests, codes: top(codes) });
        ClientReport {
            client,
            issuer,
            others,
            requests: self.requests,
            served: self.served,
            percent_bound: (self.bound as f64 / self.requests.max(1) as f64 * 10_000.0).round() / 100.0,
            bearer: self.bearer,
            last_bearer: self.last_bearer,
            codes: top(self.codes),
            offsets: self.offsets,
            undecided: self.undecided,
            breaks: breaks.collect(),
        }
    }
}

impl ClientReport {
    /// The order in which clients are worth a look.
    fn weight(&self) -> (u64, u64) {
        (self.breaks.last().map_or(0, |breaks| breaks.requests), self.requests)
    }
}

impl Offsets {
    fn joined(before: Option<Self>, offset: i64) -> Self {
        let Some(before) = before else {
            return Self { least: offset, most: offset, mean: offset, sum: offset, count: 1 };
        };
        let (sum, count) = (before.sum.saturating_add(offset), before.count.saturating_add(1));
        Self { least: before.least.min(offset), most: before.most.max(offset), mean: sum / count, sum, count }
    }
}

fn count(codes: &mut HashMap<String, u64>, code: &str) {
    if let Some(counter) = codes.get_mut(code) {
        *counter += 1;
    } else if codes.len() < MAX_CODES && code.len() <= 64 {
        codes.insert(code.to_owned(), 1);
    }
}

fn top(codes: HashMap<String, u64>) -> Vec<CodeCount> {
    let mut codes: Vec<_> = codes.into_iter().map(|(code, count)| CodeCount { code, count }).collect();
    codes.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.code.cmp(&other.code)));
    codes.truncate(TOP);
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(client: Option<&str>, outcome: &str, code: &str, scheme: &str, bound: Option<bool>, time: i64) -> String {
        let mut row = serde_json::json!({
            "version": 1, "time": time, "outcome": outcome, "code": code, "checks": [], "stage": "observe",
            "scheme": scheme, "later_member": { "x": 1 },
        });
        if let Some(client) = client {
            row["client"] = client.into();
            row["issuer"] = "https://idp.example".into();
        }
        if let Some(bound) = bound {
            row["bound"] = bound.into();
        }
        row.to_string()
    }

    #[test]
    fn says_who_would_break_at_which_stage() {
        let mut tally = Tally::since(100);
        for (client, outcome, code, scheme, bound) in [
            (Some("new"), "granted", "ok", "dpop", Some(true)),
            (Some("new"), "observed", "nonce_missing", "dpop", Some(true)),
            (Some("old"), "granted", "ok", "bearer", Some(false)),
            (Some("odd"), "observed", "bound_as_bearer", "bearer", Some(true)),
            (Some("odd"), "observed", "htu_mismatch", "dpop", Some(true)),
            (None, "observed", "no_credentials", "none", None),
            (Some("gone"), "refused", "bearer_not_accepted", "bearer", Some(false)),
        ] {
            tally.add_line(&line(client, outcome, code, scheme, bound, 200));
        }
        tally.add_line(&line(Some("old"), "granted", "ok", "bearer", Some(false), 99));
        tally.add_line("{\"access\":1}");
        tally.add_line("not JSON");
        tally.add_line("");
        let report = tally.report();
        assert_eq!((report.requests, report.skipped, report.first, report.last), (7, 2, Some(200), Some(200)));
        let stages: Vec<_> = report.stages.iter().map(|stage| (stage.breaks, stage.clients, stage.ready)).collect();
        assert_eq!(stages, [(3, 2, false), (3, 2, false), (4, 3, false)]);
        let client = |name: &str| report.clients.iter().find(|found| found.client.as_deref() == Some(name)).unwrap();
        assert!((client("new").percent_bound - 50.0).abs() < 0.001);
        assert_eq!(client("new").breaks.iter().map(|breaks| breaks.requests).sum::<u64>(), 0);
        assert_eq!(client("old").breaks[2].codes, [CodeCount { code: "bearer_not_accepted".to_owned(), count: 1 }]);
        assert_eq!((client("old").last_bearer, client("gone").last_bearer), (Some(200), Some(200)));
        assert_eq!(client("gone").breaks[2].requests, 0, "it is broken already");
        assert_eq!(report.clients[0].client.as_deref(), Some("odd"), "the worst first");
    }

    #[test]
    fn clocks_are_summed_up() {
        let mut tally = Tally::since(0);
        for offset in [-3, 0, 9] {
            let mut row: serde_json::Value =
                serde_json::from_str(&line(Some("a"), "granted", "ok", "dpop", Some(true), 1)).unwrap();
            row["offset"] = offset.into();
            tally.add_line(&row.to_string());
        }
        let report = tally.report();
        let offsets = report.clients[0].offsets.unwrap();
        assert_eq!((offsets.least, offsets.mean, offsets.most), (-3, 2, 9));
        assert!(report.stages.iter().all(|stage| stage.ready));
    }

    #[test]
    fn memory_does_not_grow_with_the_number_of_clients() {
        let mut tally = Tally::since(0);
        for number in 0..MAX_CLIENTS + 500 {
            let name = format!("client-{number}");
            tally.add_line(&line(Some(&name), "granted", "ok", "dpop", Some(true), 1));
        }
        assert!(tally.clients.len() <= MAX_CLIENTS);
        let report = tally.report();
        let others = report.clients.iter().find(|client| client.others).unwrap();
        assert_eq!((report.requests, others.requests), (MAX_CLIENTS as u64 + 500, 500));
    }
}
