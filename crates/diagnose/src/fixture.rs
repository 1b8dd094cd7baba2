//! A fixed key, and proofs and tokens made with it, right but for what a test makes wrong.

use countersign_dpop::Ath;
use countersign_dpop::jose::{Algorithm, SoftwareKey, encode_base64url};
use countersign_dpop::time::Timestamp;

use crate::capture::Capture;
use crate::examine::Known;
use crate::explain::Row;
use crate::report::Report;

/// The moment of all tests, and how an answer says it.
pub(crate) const NOW: i64 = 1_700_000_000;
pub(crate) const DATE: &str = "Date: Tue, 14 Nov 2023 22:13:20 GMT";
pub(crate) const URL: &str = "https://api.example/orders";
pub(crate) const TOKEN: &str = "canary-access-token";
/// The thumbprint of the key.
pub(crate) const JKT: &str = "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U";

/// The key of RFC 7515 §A.3.
const EXAMPLE_KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

pub(crate) fn example_key() -> SoftwareKey {
    SoftwareKey::from_text(EXAMPLE_KEY.as_bytes(), Some(Algorithm::Es256)).expect("a key")
}

/// A proof in the making.
pub(crate) struct Forge {
    pub(crate) key: SoftwareKey,
    pub(crate) alg: &'static str,
    pub(crate) private_members: &'static str,
    pub(crate) htm: &'static str,
    pub(crate) htu: String,
    pub(crate) iat: i64,
    pub(crate) token: Option<&'static str>,
    pub(crate) nonce: Option<&'static str>,
}

impl Default for Forge {
    fn default() -> Self {
        Self {
            key: example_key(),
            alg: "ES256",
            private_members: "",
            htm: "GET",
            htu: URL.to_owned(),
            iat: NOW,
            token: Some(TOKEN),
            nonce: None,
        }
    }
}

impl Forge {
    pub(crate) fn header(&self) -> String {
        let jwk = self.key.public_jwk().to_json().replacen('{', &format!("{{{}", self.private_members), 1);
        format!(r#"{{"typ":"dpop+jwt","alg":"{}","jwk":{jwk}}}"#, self.alg)
    }

    pub(crate) fn claims(&self) -> String {
        let ath = self.token.map(|token| format!(r#","ath":"{}""#, Ath::of(token))).unwrap_or_default();
        let nonce = self.nonce.map(|nonce| format!(r#","nonce":"{nonce}""#)).unwrap_or_default();
        let Self { htm, htu, iat, .. } = self;
        format!(r#"{{"jti":"canary-jti","htm":"{htm}","htu":"{htu}","iat":{iat}{ath}{nonce}}}"#)
    }

    pub(crate) fn proof(&self) -> String {
        let input = format!("{}.{}", encode_base64url(self.header()), encode_base64url(self.claims()));
        let signature = self.key.sign_now(input.as_bytes()).expect("a signature");
        format!("{input}.{}", encode_base64url(signature))
    }

    /// The whole request, raw, with its answer.
    pub(crate) fn request(&self, answer: &str) -> String {
        let proof = self.proof();
        format!(
            "GET /orders?canary-query=1 HTTP/1.1\r\nHost: api.example\r\nAuthorization: DPoP {TOKEN}\r\nDPoP: {proof}\r\n\
             Cookie: session=canary-cookie\r\nX-Forwarded-Proto: https\r\n\r\n{answer}"
        )
    }
}

/// An access token bound to the key, or to none.
pub(crate) fn access_token(claims: &str) -> String {
    let header = encode_base64url(r#"{"typ":"at+jwt","alg":"ES256"}"#);
    format!("{header}.{}.{}", encode_base64url(claims), encode_base64url("canary-signature"))
}

pub(crate) fn answer(status: &str, fields: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{DATE}\r\n{fields}\r\n\r\n")
}

pub(crate) fn report(text: &str) -> Report {
    report_with(text, &Known::default())
}

pub(crate) fn report_with(text: &str, known: &Known<'_>) -> Report {
    let capture = Capture::read(text.as_bytes()).expect("a capture");
    capture.examine(known, Timestamp::from_seconds(NOW))
}

pub(crate) fn codes(report: &Report) -> Vec<&'static str> {
    report.examination().findings.iter().map(|finding| finding.code().id()).collect()
}

/// The explanation as text, one line for each row.
pub(crate) fn told(report: &Report) -> String {
    let explanation = report.explain();
    let code = explanation.headline.code.map_or(String::new(), |code| format!("{code} "));
    let mut lines = vec![format!("{code}{}", explanation.headline.title), explanation.headline.remark];
    for section in explanation.sections {
        lines.push(format!("[{}]", section.title));
        lines.extend(section.rows.into_iter().map(line));
    }
    lines.join("\n") + "\n"
}

fn line(row: Row) -> String {
    if row.label.is_empty() { row.text } else { format!("{}: {}", row.label, row.text) }
}

/// The lines of one section of the explanation.
pub(crate) fn section(report: &Report, title: &str) -> Vec<String> {
    let explanation = report.explain();
    let rows = explanation.sections.into_iter().find(|section| section.title == title).map(|section| section.rows);
    rows.unwrap_or_default().into_iter().map(line).collect()
}
