use serde::Serialize;

use crate::diagnosis::{Diagnosis, DiagnosisCode};
use crate::error::Rejection;
use crate::time::Timestamp;

/// One check, in the order in which a server makes them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Check 1: the fields hold one proof and one token.
    Fields,
    /// Check 2: the proof is a compact JWS of bounded length.
    Compact,
    /// Header and claims are strict JSON.
    Json,
    /// Check 4: `typ`.
    Typ,
    /// Check 5: `alg`.
    Alg,
    /// RFC 7515 §4.1.11: `crit`.
    Extensions,
    /// Check 7: the key is public, strong and fits the algorithm.
    Key,
    /// Check 3: the claims are there and of their types.
    Claims,
    /// Check 11: the time of making.
    Time,
    /// Check 8: the method.
    Htm,
    /// Check 9: the URI.
    Htu,
    /// Check 12a: the hash of the token.
    Ath,
    /// Check 10: the nonce.
    Nonce,
    /// Check 6: the signature.
    Signature,
    /// The token is an access token that can be read.
    TokenForm,
    /// The token's `exp` and `nbf`.
    TokenTime,
    /// The token's `aud`.
    TokenAudience,
    /// The token's signature.
    TokenSignature,
    /// RFC 9449 §7.2: a bound token goes with the DPoP scheme, an unbound one does not.
    Scheme,
    /// Check 12b: token and proof are of one key.
    Binding,
    /// RFC 9449 §11.1: the proof was not used before.
    Replay,
}

impl Check {
    pub(super) const OF_PROOF: &'static [Self] = &[
        Self::Compact,
        Self::Json,
        Self::Typ,
        Self::Alg,
        Self::Extensions,
        Self::Key,
        Self::Claims,
        Self::Time,
        Self::Htm,
        Self::Htu,
        Self::Ath,
        Self::Nonce,
        Self::Signature,
        Self::Replay,
    ];
    pub(super) const OF_TOKEN: &'static [Self] =
        &[Self::TokenForm, Self::TokenTime, Self::TokenAudience, Self::TokenSignature, Self::Scheme, Self::Binding];
}

/// What came of a check.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum CheckOutcome {
    /// It passed.
    Passed,
    /// It failed; the finding with this code says how.
    Failed {
        /// The finding's code.
        code: DiagnosisCode,
    },
    /// It could not be made.
    NotMade {
        /// Why.
        reason: &'static str,
    },
}

/// One check and what came of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct CheckReport {
    /// Which check.
    pub check: Check,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: CheckOutcome,
}

/// What a proof says of itself, as far as it may be shown.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct ProofFacts {
    /// `alg`, if it is known here.
    pub alg: Option<&'static str>,
    /// The thumbprint of its key.
    pub jkt: Option<String>,
    /// `htm`, shortened.
    pub htm: Option<String>,
    /// `htu`, normalised, without query and fragment, shortened.
    pub htu: Option<String>,
    /// `iat`, in whole seconds since 1970.
    pub iat: Option<i64>,
    /// Whether it has an `ath`.
    pub has_ath: bool,
    /// Whether it has a nonce.
    pub has_nonce: bool,
    /// Its length in bytes.
    pub length: usize,
}

/// What an access token says of itself; nothing of it has been verified.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct TokenFacts {
    /// False for an opaque token; then nothing else is known.
    pub is_jwt: bool,
    /// `typ`, shortened.
    pub typ: Option<String>,
    /// `alg`, shortened.
    pub alg: Option<String>,
    /// `iss`, shortened.
    pub iss: Option<String>,
    /// `aud`, shortened.
    pub aud: Vec<String>,
    /// `scope`, shortened.
    pub scope: Option<String>,
    /// Seconds until `exp`, negative when it has passed.
    pub expires_in: Option<i64>,
    /// `cnf.jkt`.
    pub jkt: Option<String>,
}

/// What an answer says.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct ResponseFacts {
    /// The status.
    pub status: u16,
    /// `error` of the DPoP or Bearer challenge or of the body, shortened.
    pub error: Option<String>,
    /// The schemes that are offered.
    pub schemes: Vec<&'static str>,
    /// Whether it carries a nonce.
    pub has_nonce: bool,
}

/// The clocks that are known, in whole seconds since 1970, and how they differ.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct ClockFacts {
    /// The examiner's clock.
    pub examiner: i64,
    /// The server's, by the `Date` of its answer.
    pub server: Option<i64>,
    /// Seconds by which the proof's `iat` is ahead of the server's clock; negative when it is behind.
    pub iat_ahead_of_server: Option<i64>,
}

impl ClockFacts {
    pub(super) fn new(now: Timestamp, server: Option<Timestamp>, iat: Option<Timestamp>) -> Self {
        let iat_ahead_of_server = server.zip(iat).map(|(server, iat)| iat.since(server));
        Self { examiner: now.seconds(), server: server.map(Timestamp::seconds), iat_ahead_of_server }
    }

    /// When the client's clock agrees with the examiner's and the server's does not: by how much the server's is
    /// ahead.
    pub(super) fn server_alone_differs(&self) -> Option<i64> {
        let server_ahead = self.server?.saturating_sub(self.examiner);
        let iat_ahead = self.iat_ahead_of_server?.saturating_add(server_ahead);
        (iat_ahead.saturating_abs() <= 5 && server_ahead.saturating_abs() > 5).then_some(server_ahead)
    }
}

/// What came of an examination. Nothing in it is secret; it may be written as JSON.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Examination {
    /// What is wrong, most telling first.
    pub findings: Vec<Diagnosis>,
    /// Every check, in the order in which a server makes them.
    pub checks: Vec<CheckReport>,
    /// The clocks.
    pub clock: ClockFacts,
    /// The proof, if there was one that could be read at all.
    pub proof: Option<ProofFacts>,
    /// The access token, if there was one.
    pub token: Option<TokenFacts>,
    /// The answer, if there was one.
    pub response: Option<ResponseFacts>,
}

impl Examination {
    /// The most telling finding.
    pub fn verdict(&self) -> Option<&Diagnosis> {
        self.findings.first()
    }

    /// What came of one check.
    pub fn outcome(&self, check: Check) -> Option<CheckOutcome> {
        self.checks.iter().find(|report| report.check == check).map(|report| report.outcome)
    }
}

/// An examination in the making.
#[derive(Default)]
pub(super) struct Report {
    findings: Vec<(u8, Diagnosis)>,
    checks: Vec<CheckReport>,
}

impl Report {
    /// Adds a finding that belongs to no check.
    pub(super) fn find(&mut self, diagnosis: Diagnosis) {
        self.weigh(diagnosis.code().entry().telling, diagnosis);
    }

    /// Adds a finding that counts for less than its code does otherwise, because its evidence is weak.
    pub(super) fn suspect(&mut self, check: Check, diagnosis: Diagnosis) {
        self.set(check, CheckOutcome::Failed { code: diagnosis.code() });
        self.weigh(diagnosis.code().entry().telling / 4, diagnosis);
    }

    pub(super) fn pass(&mut self, check: Check) {
        self.set(check, CheckOutcome::Passed);
    }

    pub(super) fn fail(&mut self, check: Check, diagnosis: Diagnosis) {
        self.set(check, CheckOutcome::Failed { code: diagnosis.code() });
        self.find(diagnosis);
    }

    pub(super) fn skip(&mut self, check: Check, reason: &'static str) {
        self.set(check, CheckOutcome::NotMade { reason });
    }

    pub(super) fn none_of(&mut self, checks: &[Check], reason: &'static str) {
        for check in checks {
            self.skip(*check, reason);
        }
    }

    pub(super) fn refuse(&mut self, check: Check, error: impl Into<Rejection>) {
        self.fail(check, error.into().diagnosis());
    }

    /// Takes a check's own result.
    pub(super) fn settle<E: Into<Rejection>>(&mut self, check: Check, result: Result<(), E>) {
        self.judge(check, result);
    }

    /// Takes a check's own result; gives its value if it passed.
    pub(super) fn judge<T, E: Into<Rejection>>(&mut self, check: Check, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => {
                self.pass(check);
                Some(value)
            }
            Err(error) => {
                self.refuse(check, error);
                None
            }
        }
    }

    pub(super) fn finish(
        mut self,
        clock: ClockFacts,
        proof: Option<ProofFacts>,
        token: Option<TokenFacts>,
        response: Option<ResponseFacts>,
    ) -> Examination {
        // Stable, so that equally telling findings stay in the order of the checks.
        self.findings.sort_by_key(|(telling, _)| std::cmp::Reverse(*telling));
        let findings = self.findings.into_iter().map(|(_, diagnosis)| diagnosis).collect();
        self.checks.sort_by_key(|report| report.check as u8);
        Examination { findings, checks: self.checks, clock, proof, token, response }
    }

    fn weigh(&mut self, telling: u8, diagnosis: Diagnosis) {
        if !self.findings.iter().any(|(_, known)| *known == diagnosis) {
            self.findings.push((telling, diagnosis));
        }
    }

    /// A failure stands, whatever else is said of the same check.
    fn set(&mut self, check: Check, outcome: CheckOutcome) {
        match self.checks.iter_mut().find(|report| report.check == check) {
            Some(CheckReport { outcome: CheckOutcome::Failed { .. }, .. }) => {}
            Some(report) => report.outcome = outcome,
            None => self.checks.push(CheckReport { check, outcome }),
        }
    }
}
