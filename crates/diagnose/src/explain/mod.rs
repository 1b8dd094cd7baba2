//! A report in words: verdict, evidence, cause, fix, what else was found, what was ruled out, what could not be
//! checked and why, and where the rule stands.

mod facts;
mod products;
#[cfg(test)]
mod tests;

use countersign_dpop::Diagnosis;
use countersign_dpop::diagnosis::{Actor, DiagnosisCode};
use countersign_dpop::examine::{Check, CheckOutcome, Examination};

use self::facts::seen;
use self::products::lines_for;
use crate::report::Report;

/// A report in words, for a terminal or a page. Plain text; colours are the reader's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explanation {
    /// The first line.
    pub headline: Headline,
    /// The rest, in the order in which a person wants it. None is empty.
    pub sections: Vec<Section>,
}

/// The verdict in one line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Headline {
    /// The code, unless nothing wrong was found.
    pub code: Option<DiagnosisCode>,
    /// What is wrong.
    pub title: &'static str,
    /// Which part of the exchange fails, and who has to act.
    pub remark: String,
}

/// A part of the explanation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Section {
    /// Its name.
    pub title: &'static str,
    /// What it says.
    pub rows: Vec<Row>,
}

/// A line, with a label or without.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// May be empty.
    pub label: &'static str,
    /// One line.
    pub text: String,
}

impl Report {
    /// Says it in words.
    pub fn explain(&self) -> Explanation {
        let examination = self.examination();
        let mut sections = Vec::new();
        if let Some(verdict) = examination.verdict() {
            let entry = verdict.code().entry();
            sections.push(Section { title: "evidence", rows: evidence(verdict) });
            sections.push(Section { title: "cause", rows: vec![plain(entry.cause)] });
            sections.push(Section { title: "fix", rows: fix(verdict.code()) });
        }
        sections.push(Section { title: "also found", rows: examination.findings.iter().skip(1).map(also).collect() });
        sections.push(Section { title: "seen", rows: seen(examination) });
        sections.push(Section { title: "ruled out", rows: ruled_out(examination) });
        sections.push(Section { title: "not checked", rows: not_checked(examination) });
        sections.push(Section {
            title: "taken for granted",
            rows: self.notes().iter().map(|note| plain(note.to_string())).collect(),
        });
        sections.push(Section { title: "left out", rows: self.left_out() });
        if let Some(verdict) = examination.verdict() {
            sections.push(Section { title: "spec", rows: vec![plain(verdict.code().entry().spec)] });
        }
        sections.retain(|section| !section.rows.is_empty());
        Explanation { headline: headline(examination), sections }
    }

    fn left_out(&self) -> Vec<Row> {
        let one = |removed: &crate::redact::Removed| match removed.count {
            1 => removed.what.name().to_owned(),
            count => format!("{} ({count})", removed.what.name()),
        };
        let all: Vec<String> = self.removed().iter().map(one).collect();
        if all.is_empty() { Vec::new() } else { vec![plain(all.join(", "))] }
    }
}

fn headline(examination: &Examination) -> Headline {
    let Some(verdict) = examination.verdict() else {
        let made = examination.checks.iter().filter(|report| report.outcome == CheckOutcome::Passed).count();
        let remark = format!("{made} checks passed");
        return Headline { code: None, title: "nothing wrong was found", remark };
    };
    let entry = verdict.code().entry();
    let remark = format!("{}; to act: {}", layer(verdict.code()), actor(entry.acts));
    Headline { code: Some(verdict.code()), title: entry.title, remark }
}

/// The part of the exchange that fails, by the letter of the code.
fn layer(code: DiagnosisCode) -> &'static str {
    match code.id().as_bytes().first() {
        Some(b'H') => "fields and transport",
        Some(b'P') => "the proof",
        Some(b'B') => "the binding of token and key",
        Some(b'K') => "the access token",
        Some(b'T') => "what the server answered",
        _ => "state and operation of the server",
    }
}

const fn actor(actor: Actor) -> &'static str {
    match actor {
        Actor::Client => "whoever writes or runs the client",
        Actor::Issuer => "the authorization server's operator",
        Actor::Proxy => "whoever runs the proxy, gateway or CDN in between",
        Actor::Server => "the resource server's operator",
        Actor::User => "the person who logs in",
    }
}

fn evidence(diagnosis: &Diagnosis) -> Vec<Row> {
    let off = diagnosis.seconds().map(|seconds| format!("{seconds} s"));
    let differs = diagnosis.difference().map(|difference| difference.as_str().to_owned());
    let own = |text: Option<&str>| text.map(str::to_owned);
    let rows = [
        ("expected", own(diagnosis.expected())),
        ("found", own(diagnosis.found())),
        ("off by", off),
        ("differs in", differs),
        ("note", own(diagnosis.detail())),
    ];
    rows.into_iter().filter_map(|(label, text)| Some(Row { label, text: text? })).collect()
}

fn fix(code: DiagnosisCode) -> Vec<Row> {
    let products = lines_for(code).iter().map(|(product, line)| Row { label: product, text: (*line).to_owned() });
    std::iter::once(plain(code.entry().fix)).chain(products).collect()
}

fn also(diagnosis: &Diagnosis) -> Row {
    let text = diagnosis.to_string();
    let text = text.strip_prefix(diagnosis.code().id()).and_then(|text| text.strip_prefix(": ")).unwrap_or(&text);
    Row { label: diagnosis.code().id(), text: text.to_owned() }
}

fn ruled_out(examination: &Examination) -> Vec<Row> {
    let passed = examination.checks.iter().filter(|report| report.outcome == CheckOutcome::Passed);
    let names: Vec<&str> = passed.map(|report| name(report.check)).collect();
    if names.is_empty() { Vec::new() } else { vec![plain(names.join(", "))] }
}

/// One row for each reason; checks that do not apply to what was captured fall together.
fn not_checked(examination: &Examination) -> Vec<Row> {
    let mut reasons: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
    for report in &examination.checks {
        let CheckOutcome::NotMade { reason } = report.outcome else { continue };
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, checks)) => checks.push(name(report.check)),
            None => reasons.push((reason, vec![name(report.check)])),
        }
    }
    reasons.into_iter().map(|(reason, checks)| plain(format!("{}: {reason}", checks.join(", ")))).collect()
}

/// What a check makes sure of, in few words.
const fn name(check: Check) -> &'static str {
    match check {
        Check::Fields => "one proof, one token",
        Check::Compact => "compact form",
        Check::Json => "strict JSON",
        Check::Typ => "typ",
        Check::Alg => "alg",
        Check::Extensions => "crit",
        Check::Key => "the key in the proof",
        Check::Claims => "the claims' types",
        Check::Time => "time (iat)",
        Check::Htm => "method (htm)",
        Check::Htu => "URL (htu)",
        Check::Ath => "token hash (ath)",
        Check::Nonce => "nonce",
        Check::Signature => "the proof's signature",
        Check::TokenForm => "the token's form",
        Check::TokenTime => "the token's exp and nbf",
        Check::TokenAudience => "the token's aud",
        Check::TokenSignature => "the token's signature",
        Check::Scheme => "the scheme",
        Check::Binding => "token and proof of one key",
        Check::Replay => "replay",
    }
}

fn plain(text: impl Into<String>) -> Row {
    Row { label: "", text: text.into() }
}
