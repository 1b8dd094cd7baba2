//! The cases of `vectors/client.jsonl`: servers that answer as they should not, and what the client makes of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use countersign_client::{CallError, Client, DiscoveryError, NonceError, TokenError, TransportError};
use serde::Deserialize;
use serde_json::Value;

use crate::played::*;

const CASES: &str = include_str!("../../../../vectors/client.jsonl");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    row: Option<u32>,
    part: Option<String>,
    title: String,
    applies: Vec<String>,
    /// Who gives the answers: `resource`, `token` or `issuer`. The others are honest.
    at: String,
    #[serde(default = "one")]
    calls: usize,
    #[serde(default)]
    redirects: u8,
    /// The last one is given again and again.
    answers: Vec<Answer>,
    expect: Expected,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    status: u16,
    #[serde(default)]
    fields: Vec<(String, String)>,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    outcome: String,
    /// Requests to whoever gives the answers.
    requests: usize,
    nonces: Option<Vec<Option<String>>>,
    /// By how much the proofs are dated otherwise than by our clock, in seconds.
    dated: Option<Vec<i64>>,
    /// Requests to a server that is no party to it.
    other: Option<usize>,
}

const fn one() -> usize {
    1
}

fn path(at: &str) -> &'static str {
    match at {
        "resource" => "/x",
        "token" => "/token",
        "issuer" => "/.well-known/oauth-authorization-server",
        other => panic!("{other} gives no answers"),
    }
}

/// Fills in `${origin}`, `${other}`, `${count}`, `${fill:N}`, `${deep:N}`, `${ones:N}` and `${date+N}`.
fn filled(text: &str, origin: &str, other: &str, count: usize) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').expect("a closing brace");
        filled.push_str(before);
        let number = |text: &str| text.parse::<i64>().expect("a number");
        let times = |text: &str| usize::try_from(number(text)).expect("a count");
        match name.split_once(':') {
            None if name == "origin" => filled.push_str(origin),
            None if name == "other" => filled.push_str(other),
            None if name == "count" => filled.push_str(&count.to_string()),
            None => {
                let seconds = NOW + number(name.strip_prefix("date").expect("a date"));
                let time = UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs());
                filled.push_str(&httpdate::fmt_http_date(time));
            }
            Some(("fill", n)) => filled.push_str(&"x".repeat(times(n))),
            Some(("deep", n)) => filled.push_str(&"[".repeat(times(n))),
            Some(("ones", n)) => filled.push_str(&"1,".repeat(times(n))),
            Some((other, _)) => panic!("{other} is not filled in"),
        }
        rest = after;
    }
    filled + rest
}

async fn play(case: &Case) -> (String, Played, usize) {
    let other = Played::start(|_| reply(200, &[], "")).await;
    let (answers, at, elsewhere) = (case.answers.clone(), path(&case.at), other.origin().to_owned());
    let given = AtomicUsize::new(0);
    let server = Played::start(move |seen| {
        if seen.path != at {
            return honest_issuer(seen).unwrap_or_else(|| reply(200, &[], "hello"));
        }
        let count = given.fetch_add(1, Ordering::SeqCst);
        let answer = answers.get(count).or(answers.last()).expect("an answer");
        let fill = |text: &str| filled(text, &seen.origin, &elsewhere, count + 1);
        let fields: Vec<_> = answer.fields.iter().map(|(name, value)| (name.clone(), fill(value))).collect();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        reply(answer.status, &fields, fill(&answer.body))
    })
    .await;
    let client = client(&server).following_redirects(case.redirects);
    let mut outcome = String::new();
    for _ in 0..case.calls {
        outcome = call(&client, &format!("{}/x", server.origin())).await;
    }
    (outcome, server, other.seen().len())
}

async fn call(client: &Client, url: &str) -> String {
    match client.call(get(url)).await {
        Ok(answer) => answer.status().as_u16().to_string(),
        Err(fault) => name_of(&fault).to_owned(),
    }
}

fn name_of(fault: &CallError) -> &'static str {
    match fault {
        CallError::Nonce(fault) | CallError::Token(TokenError::Nonce(fault)) => match fault {
            NonceError::Missing => "nonce missing",
            NonceError::Repeated => "nonce repeated",
            NonceError::Unending => "nonce unending",
            NonceError::Unusable => "nonce unusable",
            NonceError::BodyNotRepeatable => "body gone",
        },
        CallError::Clock(_) => "clock",
        CallError::Token(TokenError::Downgraded { .. }) => "downgraded",
        CallError::Token(TokenError::Malformed { .. }) => "token answer malformed",
        CallError::Token(TokenError::Refused { .. }) => "token refused",
        CallError::Token(
            TokenError::Transport { fault: TransportError::AnswerTooLong { .. }, .. }
            | TokenError::Discovery(DiscoveryError::Transport { fault: TransportError::AnswerTooLong { .. }, .. }),
        ) => "answer too long",
        CallError::Token(TokenError::Discovery(fault)) => match fault {
            DiscoveryError::IssuerMismatch { .. } => "issuer mismatch",
            DiscoveryError::Json { .. } => "metadata not JSON",
            DiscoveryError::Status { .. } => "metadata status",
            DiscoveryError::Endpoint { .. } => "endpoint",
            DiscoveryError::DpopNotAnnounced { .. } => "DPoP not announced",
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn hostile_servers_get_what_the_cases_say() {
    let mut rows: BTreeMap<Option<u32>, usize> = BTreeMap::new();
    for line in CASES.lines() {
        let case: Case = serde_json::from_str(line).unwrap_or_else(|fault| panic!("{fault}: {line}"));
        assert_eq!(case.applies, ["client"], "{line}");
        let told = format!("row {:?} {:?}: {}", case.row, case.part, case.title);
        let (outcome, server, other) = play(&case).await;
        assert_eq!(outcome, case.expect.outcome, "{told}");
        let seen = server.seen_at(path(&case.at));
        assert_eq!(seen.len(), case.expect.requests, "{told}");
        let proofs = || seen.iter().map(Seen::proof);
        if let Some(nonces) = &case.expect.nonces {
            let found: Vec<_> = proofs().map(|proof| proof["nonce"].as_str().map(str::to_owned)).collect();
            assert_eq!(found, *nonces, "{told}");
        }
        if let Some(dated) = &case.expect.dated {
            let found: Vec<_> = proofs().map(|proof| proof["iat"].as_i64().expect("a time") - NOW).collect();
            assert_eq!(found, *dated, "{told}");
        }
        assert_eq!(other, case.expect.other.unwrap_or_default(), "{told}");
        if case.at != "issuer" {
            let jtis: std::collections::HashSet<_> = proofs().map(|proof: Value| proof["jti"].to_string()).collect();
            assert_eq!(jtis.len(), seen.len(), "{told}: a proof for each attempt");
        }
        *rows.entry(case.row).or_default() += 1;
    }
    assert!(rows.len() > 10 && rows.values().sum::<usize>() >= 35, "{rows:?}");
}
