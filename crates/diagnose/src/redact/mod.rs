//! What is secret in a capture: never shown, counted in a manifest.
//!
//! The examination shows what it knows to be harmless and nothing else. This is the second line: whatever secret the
//! capture holds is searched for in the evidence and cut out, for instance from a server's own error description.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use countersign_dpop::diagnosis::Diagnosis;
use countersign_dpop::examine::Examination;
use countersign_dpop::headers::{DPOP, DPOP_NONCE};
use countersign_dpop::jose::decode_base64url;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, DATE, HOST, SET_COOKIE, WWW_AUTHENTICATE};
use serde::Serialize;
use serde_json::Value;

use crate::capture::{Capture, Exchange};
use crate::examine::Known;

/// What was put in the place of a secret.
const GAP: &str = "[removed]";
/// Shorter text occurs by chance.
const SHORTEST_SECRET: usize = 4;
/// Of values that are often ordinary words, only longer ones are searched for.
const SHORTEST_VALUE: usize = 12;
/// The most proofs that are looked into in one field.
const MOST_PROOFS: usize = 16;
/// The most secrets that are searched for.
const MOST_SECRETS: usize = 1_024;

/// A kind of content that is never shown.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretKind {
    /// A proof; a fresh one can be used until its window closes.
    Proof,
    /// A private or symmetric key.
    PrivateKey,
    /// An access token.
    AccessToken,
    /// Credentials of another scheme.
    OtherCredentials,
    /// A nonce, in a proof or an answer.
    Nonce,
    /// A cookie field.
    Cookie,
    /// A query string.
    Query,
    /// The body of the request.
    RequestBody,
    /// The body of the answer; its `error` is shown.
    ResponseBody,
    /// A header field that says nothing of DPoP.
    OtherField,
}

impl SecretKind {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proof => "proof",
            Self::PrivateKey => "private key",
            Self::AccessToken => "access token",
            Self::OtherCredentials => "other credentials",
            Self::Nonce => "nonce",
            Self::Cookie => "cookie field",
            Self::Query => "query string",
            Self::RequestBody => "request body",
            Self::ResponseBody => "response body",
            Self::OtherField => "other field",
        }
    }
}

/// How often something was left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Removed {
    /// What.
    pub what: SecretKind,
    /// How often.
    pub count: usize,
}

/// Knows the secrets of one capture.
#[derive(Default)]
pub(crate) struct Redactor {
    secrets: Vec<String>,
    counts: BTreeMap<SecretKind, usize>,
}

impl Redactor {
    pub(crate) fn of(capture: &Capture, known: &Known<'_>) -> Self {
        let mut redactor = Self::default();
        if let Some(proof) = &capture.bare_proof {
            redactor.take_proof(proof);
        }
        if let Some(token) = known.token {
            redactor.take_token(token);
        }
        redactor.take_exchange(&capture.exchange, known);
        redactor.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        redactor.secrets.dedup();
        redactor.secrets.truncate(MOST_SECRETS);
        redactor
    }

    /// Cuts every secret out of the evidence.
    pub(crate) fn clean(&self, examination: Examination) -> Examination {
        let mut clean = examination;
        clean.findings = clean.findings.iter().map(|finding| self.clean_diagnosis(finding)).collect();
        if let Some(proof) = &mut clean.proof {
            self.clean_each([&mut proof.htm, &mut proof.htu, &mut proof.jkt]);
        }
        if let Some(token) = &mut clean.token {
            self.clean_each([&mut token.typ, &mut token.alg, &mut token.iss, &mut token.scope, &mut token.jkt]);
            token.aud.iter_mut().for_each(|aud| *aud = self.clean_text(aud));
        }
        if let Some(response) = &mut clean.response {
            self.clean_each([&mut response.error]);
        }
        clean
    }

    pub(crate) fn into_manifest(self) -> Vec<Removed> {
        self.counts.into_iter().map(|(what, count)| Removed { what, count }).collect()
    }

    fn clean_diagnosis(&self, diagnosis: &Diagnosis) -> Diagnosis {
        let mut clean = Diagnosis::new(diagnosis.code());
        if let Some(expected) = diagnosis.expected() {
            clean = clean.with_expected(self.clean_text(expected));
        }
        if let Some(found) = diagnosis.found() {
            clean = clean.with_found(self.clean_text(found));
        }
        if let Some(detail) = diagnosis.detail() {
            clean = clean.with_detail(self.clean_text(detail));
        }
        if let Some(seconds) = diagnosis.seconds() {
            clean = clean.with_seconds(seconds);
        }
        match diagnosis.difference() {
            Some(difference) => clean.with_difference(difference),
            None => clean,
        }
    }

    fn clean_each<const N: usize>(&self, texts: [&mut Option<String>; N]) {
        for text in texts.into_iter().flatten() {
            *text = self.clean_text(text);
        }
    }

    fn clean_text(&self, text: &str) -> String {
        let clean = self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), GAP));
        without_jws(&clean)
    }

    fn take_exchange(&mut self, exchange: &Exchange, known: &Known<'_>) {
        let urls = [exchange.target.as_deref(), known.url];
        urls.into_iter().flatten().for_each(|url| self.take_query(url));
        self.take_fields(&exchange.request.fields);
        self.take_fields(&exchange.response.fields);
        let bodies = [(SecretKind::RequestBody, &exchange.request), (SecretKind::ResponseBody, &exchange.response)];
        for (kind, message) in bodies {
            if !message.body.trim().is_empty() {
                self.count(kind);
                self.take_values(&message.body);
            }
        }
    }

    fn take_fields(&mut self, fields: &HeaderMap) {
        for (name, value) in fields {
            let value = String::from_utf8_lossy(value.as_bytes());
            match name {
                name if *name == DPOP => value.split(',').take(MOST_PROOFS).for_each(|proof| self.take_proof(proof)),
                name if *name == DPOP_NONCE => self.take(SecretKind::Nonce, &value),
                name if *name == AUTHORIZATION => self.take_authorization(&value),
                name if *name == COOKIE || *name == SET_COOKIE => {
                    self.count(SecretKind::Cookie);
                    self.take_values(&value);
                }
                name if [HOST, DATE, CONTENT_TYPE, WWW_AUTHENTICATE].contains(name) => {}
                _ => {
                    self.count(SecretKind::OtherField);
                    self.take_long(&value);
                }
            }
        }
    }

    fn take_authorization(&mut self, value: &str) {
        match value.trim().split_once(' ') {
            Some((scheme, token)) if ["dpop", "bearer"].contains(&scheme.to_ascii_lowercase().as_str()) => {
                self.take_token(token);
            }
            Some((_, credentials)) => self.take(SecretKind::OtherCredentials, credentials),
            None => self.take(SecretKind::OtherCredentials, value),
        }
    }

    fn take_query(&mut self, url: &str) {
        if let Some((_, query)) = url.split_once(['?', '#']) {
            self.count(SecretKind::Query);
            self.take_long(query);
            self.take_values(query);
        }
    }

    /// The proof, its parts, and those of its claims that are secret or link requests.
    fn take_proof(&mut self, proof: &str) {
        self.take(SecretKind::Proof, proof);
        self.take_parts(proof);
        let mut parts = proof.trim().split('.').map(read_part);
        let (header, claims) = (parts.next().flatten(), parts.next().flatten());
        let text = |object: &Option<Value>, name| Some(object.as_ref()?.get(name)?.as_str()?.to_owned());
        if let Some(nonce) = text(&claims, "nonce") {
            self.take(SecretKind::Nonce, &nonce);
        }
        self.secrets.extend(["jti", "ath"].into_iter().filter_map(|name| text(&claims, name)).filter(is_long));
        let jwk = header.as_ref().and_then(|header| header.get("jwk"));
        let members = ["d", "p", "q", "dp", "dq", "qi", "k", "priv"];
        let private: Vec<String> =
            members.into_iter().filter_map(|name| Some(jwk?.get(name)?.as_str()?.to_owned())).collect();
        if !private.is_empty() {
            self.count(SecretKind::PrivateKey);
        }
        self.secrets.extend(private.into_iter().filter(is_long));
    }

    /// The token, its parts, and the claims that name a person.
    fn take_token(&mut self, token: &str) {
        self.take(SecretKind::AccessToken, token);
        self.take_parts(token);
        let claims = token.trim().split('.').nth(1).and_then(read_part);
        let personal = ["sub", "jti", "sid", "email", "name", "preferred_username", "phone_number"];
        let values = personal.into_iter().filter_map(|name| Some(claims.as_ref()?.get(name)?.as_str()?.to_owned()));
        self.secrets.extend(values.filter(is_long));
    }

    fn take_parts(&mut self, jws: &str) {
        self.secrets.extend(jws.trim().split('.').filter(|part| part.len() >= SHORTEST_VALUE).map(str::to_owned));
    }

    fn take(&mut self, kind: SecretKind, secret: &str) {
        self.count(kind);
        let secret = secret.trim();
        if secret.len() >= SHORTEST_SECRET {
            self.secrets.push(secret.to_owned());
        }
    }

    /// The values of a form, a query, cookies, or JSON: whatever stands between separators.
    fn take_values(&mut self, text: &str) {
        let values = text.split(['&', ';', '=', ',', '"', ' ', '\n', '{', '}', '[', ']']).map(str::trim);
        values.take(MOST_SECRETS).for_each(|value| self.take_long(value));
    }

    fn take_long(&mut self, value: &str) {
        let is_plain = value.contains("://") || value.contains("application/");
        if value.len() >= SHORTEST_VALUE && !is_plain && self.secrets.len() < 4 * MOST_SECRETS {
            self.secrets.push(value.to_owned());
        }
    }

    fn count(&mut self, kind: SecretKind) {
        *self.counts.entry(kind).or_default() += 1;
    }
}

#[expect(clippy::ptr_arg, reason = "the shape that filter wants")]
fn is_long(text: &String) -> bool {
    text.len() >= SHORTEST_SECRET
}

fn read_part(part: &str) -> Option<Value> {
    serde_json::from_slice(&decode_base64url(part).ok()?).ok()
}

/// Without anything that begins as a JWS does, whoever wrote it.
fn without_jws(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.=+/".contains(c);
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("eyJ") {
        let (before, jws) = rest.split_at(start);
        let end = jws.find(|c| !is_part(c)).unwrap_or(jws.len());
        let (jws, after) = jws.split_at(end);
        clean.push_str(before);
        clean.push_str(if jws.len() >= SHORTEST_VALUE { GAP } else { jws });
        rest = after;
    }
    clean.push_str(rest);
    clean
}
