//! The story, told to a person as it happens and kept for `--json`.

use countersign_client::{Server, Step};
use countersign_probe::battery::{AttackRow, Verdict};
use serde_json::{Value, json};

use crate::render::{self, BAD, BOLD, DIM, GOOD, NAME, styled};

/// What has happened so far.
pub(super) struct Story {
    aloud: bool,
    number: usize,
    steps: Vec<Value>,
    served: Vec<bool>,
}

impl Story {
    /// A story that has not begun; `aloud` prints it as it goes.
    pub(super) const fn new(aloud: bool) -> Self {
        Self { aloud, number: 0, steps: Vec::new(), served: Vec::new() }
    }

    /// Who takes part, and where.
    pub(super) fn cast(&mut self, authserver: &str, gateway: &str, upstream: &str) {
        self.say(styled(BOLD, "Countersign: a stolen token is useless"));
        self.say("");
        self.say(format_args!("  {:22}{}", "authorization server", styled(NAME, authserver)));
        self.say(format_args!("  {:22}{}", "gateway", styled(NAME, gateway)));
        self.say(format_args!("  {:22}{}   (knows nothing of any of this)", "an ordinary API", styled(NAME, upstream)));
        self.keep(json!({ "cast": { "authserver": authserver, "gateway": gateway, "upstream": upstream } }));
    }

    /// Begins a chapter.
    pub(super) fn chapter(&mut self, title: &str) {
        self.say("");
        self.say(styled(BOLD, title));
        self.say("");
        self.number = 0;
    }

    /// Begins a numbered step.
    pub(super) fn step(&mut self, text: &str) {
        self.number += 1;
        self.say(format_args!("  {}  {text}", self.number));
        self.keep(json!({ "step": text }));
    }

    /// A detail of the step.
    pub(super) fn detail(&mut self, text: &str) {
        self.say(styled(DIM, format_args!("       {text}")));
        self.keep(json!({ "detail": text }));
    }

    /// What the client did.
    pub(super) fn happened(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Sent { method, url, with_nonce, server, .. } => {
                    let with = match (server, with_nonce) {
                        (Server::Authorization, false) => "with a proof",
                        (Server::Authorization, true) => "with a new proof that carries the nonce",
                        (Server::Resource, false) => "with the token and a proof",
                        (Server::Resource, true) => "with the token and a new proof that carries the nonce",
                    };
                    self.detail(&format!("→ {method} {url}, {with}"));
                }
                Step::Answered { status, error: Some(error), .. } => {
                    self.detail(&format!("← {status} {error}{}", explain(error.as_str())));
                }
                Step::Answered { status, error: None, server: Server::Authorization, .. } => {
                    self.detail(&format!("← {status}"));
                }
                Step::TokenReceived { scope, .. } => {
                    let scope = scope.as_deref().unwrap_or("not said");
                    self.detail(&format!("  token_type DPoP, bound to the key, 5 minutes, scope {scope}"));
                }
                // What the resource says in the end is told with its body.
                Step::Answered { error: None, server: Server::Resource, .. }
                | Step::MetadataRead { .. }
                | Step::ResourceRead { .. }
                | Step::ClientRegistered { .. }
                | Step::AnswerRefused { .. }
                | Step::TokenDiscarded
                | Step::ClockCorrected { .. } => {}
            }
        }
    }

    /// How a request of the honest client ended.
    pub(super) fn answer(&mut self, status: u16, body: &str) {
        self.served.push(status < 400);
        let style = if status < 400 { GOOD } else { BAD };
        self.say(format_args!("       ← {}  {body}", styled(style, status)));
        self.keep(json!({ "answer": { "status": status, "body": body } }));
    }

    /// Heads the table of attacks.
    pub(super) fn attacks_begin(&self) {
        self.say(styled(DIM, format_args!("     {:64}  {:6}  code", "tried", "answer")));
    }

    /// One attack.
    pub(super) fn attack(&self, row: &AttackRow) {
        let status = row.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        let code = row.code.unwrap_or("-");
        let (style, mark, end) =
            if row.is_right() { (GOOD, "✓", "stopped") } else { (BAD, "✗", said(row.verdict)) };
        let mark = styled(style, mark);
        self.say(format_args!("  {mark}  {:64}  {status:6}  {code:20}  {}", row.tried, styled(style, end)));
        if let Some(note) = row.note.as_deref().filter(|_| !row.is_right()) {
            self.say(styled(DIM, format_args!("     {note}; expected {} {}", row.expected_status, row.expected_code)));
        }
    }

    /// Sums up; true when every attack was stopped as it should be and the honest client was always served.
    pub(super) fn end(&mut self, rows: &[AttackRow]) -> bool {
        let stopped = rows.iter().filter(|row| row.is_right()).count();
        let right = stopped == rows.len() && !self.served.is_empty() && self.served.iter().all(|served| *served);
        self.say("");
        let sum = format!("{stopped} of {} attacks stopped; the honest client {}", rows.len(), self.honest());
        self.say(styled(if right { GOOD } else { BAD }, sum));
        right
    }

    /// The whole as one JSON object.
    pub(super) fn to_json(&self, rows: &[AttackRow], right: bool) -> Value {
        json!({ "right": right, "story": self.steps, "attacks": rows })
    }

    fn honest(&self) -> &'static str {
        if self.served.iter().all(|served| *served) { "was always served" } else { "was refused" }
    }

    fn say(&self, text: impl std::fmt::Display) {
        if self.aloud {
            render::line(text);
        }
    }

    fn keep(&mut self, value: Value) {
        self.steps.push(value);
    }
}

fn explain(error: &str) -> &'static str {
    match error {
        "use_dpop_nonce" => ": the server has just started and does not remember older proofs, so it asks for a nonce",
        _ => "",
    }
}

/// What a verdict other than the right one means.
pub(super) const fn said(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Stopped => "stopped",
        Verdict::StoppedOtherwise => "stopped, but not as expected",
        Verdict::GotThrough => "GOT THROUGH",
        Verdict::NotTried => "not tried",
        Verdict::Inconclusive => "inconclusive",
    }
}
