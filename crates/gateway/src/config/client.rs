//! `[[clients]]`: clients that are ahead of the others, or behind them for a while.

use countersign_dpop::time::Timestamp;
use countersign_resource::{BearerAllowance, Stage};
use serde::Deserialize;

use super::GatewayConfig;
use super::date::Date;
use super::error::{Key, Problem};
use super::resolve::{Faults, stage};
use super::settings::Settings;

/// `[[clients]]` as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientEntry {
    /// The client, by `client_id` of its tokens.
    pub client_id: String,
    /// Its issuer; the only one when absent.
    pub issuer: Option<String>,
    /// `accept` or `prefer` takes Bearer from it although the route does not; `require` does not although it does.
    pub stage: Option<String>,
    /// Also takes its bound tokens without a proof. Departs from RFC 9449 §7.2: a stolen token of this client is
    /// worth something until the date.
    #[serde(default)]
    pub bound_as_bearer: bool,
    /// The first day, or second; from the start when absent.
    pub from: Option<Date>,
    /// The last day, or second; needed for what is laxer.
    pub until: Option<Date>,
}

/// A client's rule, resolved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientSettings {
    /// The issuer of its tokens.
    pub issuer: String,
    /// The client.
    pub client_id: String,
    /// What it may do under Bearer.
    pub allowance: BearerAllowance,
    /// The first second.
    pub from: Timestamp,
    /// The last second.
    pub until: Timestamp,
}

impl GatewayConfig {
    pub(super) fn client_settings(&self, top: &Settings, faults: &mut Faults) -> Vec<ClientSettings> {
        let each = self.clients.iter().enumerate();
        each.filter_map(|(index, entry)| resolve(entry, top, faults, |name| Key::of("clients", index, name))).collect()
    }
}

fn resolve(
    entry: &ClientEntry,
    top: &Settings,
    faults: &mut Faults,
    key: impl Fn(&'static str) -> Key,
) -> Option<ClientSettings> {
    let issuer = issuer(entry, top, faults, key("issuer"));
    let allowance = allowance(entry, faults, &key);
    let from = match &entry.from {
        Some(date) => faults.date(key("from"), date),
        None => Some(Timestamp::MIN),
    };
    let until = match &entry.until {
        Some(date) => faults.date(key("until"), date).and(date.last_second()),
        None if allowance == Some(BearerAllowance::Never) => Some(Timestamp::MAX),
        None => {
            let what = "until when Bearer is taken from this client, like 2027-01-31";
            faults.at(key("until"), Problem::Missing { what });
            None
        }
    };
    let (from, until) = (from?, until?);
    if from > until {
        let what = "from is not before until";
        faults.at(key("from"), Problem::Contradiction { other: "until", what });
    }
    Some(ClientSettings { issuer: issuer?, client_id: entry.client_id.clone(), allowance: allowance?, from, until })
}

fn allowance(entry: &ClientEntry, faults: &mut Faults, key: &impl Fn(&'static str) -> Key) -> Option<BearerAllowance> {
    match faults.read(key("stage"), entry.stage.as_deref().or(Some("accept")), stage)? {
        Stage::Observe => {
            faults.at(key("stage"), Problem::ClientStage);
            None
        }
        Stage::Accept | Stage::Prefer if entry.bound_as_bearer => Some(BearerAllowance::BoundToo),
        Stage::Accept | Stage::Prefer => Some(BearerAllowance::Unbound),
        Stage::Require if entry.bound_as_bearer => {
            let what = "leave bound_as_bearer out";
            faults.at(key("stage"), Problem::Contradiction { other: "bound_as_bearer = true", what });
            None
        }
        Stage::Require => Some(BearerAllowance::Never),
    }
}

fn issuer(entry: &ClientEntry, top: &Settings, faults: &mut Faults, key: Key) -> Option<String> {
    let what = match (&entry.issuer, top.issuers.as_slice()) {
        (Some(issuer), issuers) if issuers.iter().any(|known| known.issuer() == issuer) => return Some(issuer.clone()),
        (None, [only]) => return Some(only.issuer().to_owned()),
        (Some(_), _) => "no issuer of that name is configured",
        (None, _) => "say whose client this is: there are several issuers",
    };
    // Without issuers that is said already.
    if !top.issuers.is_empty() {
        faults.at(key, Problem::WhichIssuer { what });
    }
    None
}
