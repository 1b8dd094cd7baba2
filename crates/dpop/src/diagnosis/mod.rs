//! Diagnoses: what is wrong, who has to act, the likely cause, the fix. One registry for logs, `examine`, pages.

mod registry;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::ser::{Serialize, SerializeStruct, Serializer};

pub use self::registry::DiagnosisCode;
use crate::htu::HtuDifference;

/// Who has to act.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Actor {
    /// Whoever writes or runs the client.
    Client,
    /// The authorization server's operator.
    Issuer,
    /// Whoever runs a proxy, gateway or CDN between client and server.
    Proxy,
    /// The resource server's operator.
    Server,
    /// The person who logs in.
    User,
}

/// What the registry says of a code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The stable identifier, for instance `P09-scheme`.
    pub id: &'static str,
    /// Who has to act.
    pub acts: Actor,
    /// How telling it is beside others, 0 to 100.
    pub telling: u8,
    /// Where the rule stands.
    pub spec: &'static str,
    /// What is wrong.
    pub title: &'static str,
    /// The likely cause.
    pub cause: &'static str,
    /// What to do.
    pub fix: &'static str,
}

impl DiagnosisCode {
    /// The stable identifier.
    pub const fn id(self) -> &'static str {
        self.entry().id
    }
}

impl fmt::Display for DiagnosisCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for DiagnosisCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

/// The text is the identifier of no diagnosis.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not the identifier of a diagnosis")]
pub struct UnknownDiagnosis;

impl FromStr for DiagnosisCode {
    type Err = UnknownDiagnosis;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|code| code.id() == id).ok_or(UnknownDiagnosis)
    }
}

/// A code with the evidence for it. Nothing in it is secret: never a proof, token, nonce or query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnosis {
    code: DiagnosisCode,
    expected: Option<String>,
    found: Option<String>,
    seconds: Option<i64>,
    difference: Option<HtuDifference>,
    detail: Option<String>,
}

impl Diagnosis {
    /// A code without evidence.
    pub const fn new(code: DiagnosisCode) -> Self {
        Self { code, expected: None, found: None, seconds: None, difference: None, detail: None }
    }

    /// Adds what was expected; never a secret.
    #[must_use]
    pub fn with_expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Adds what was found; never a secret.
    #[must_use]
    pub fn with_found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// Adds by how many seconds something is off: past is positive for ages, future is positive for leads.
    #[must_use]
    pub const fn with_seconds(mut self, seconds: i64) -> Self {
        self.seconds = Some(seconds);
        self
    }

    /// Adds in which component two URIs differ first.
    #[must_use]
    pub const fn with_difference(mut self, difference: HtuDifference) -> Self {
        self.difference = Some(difference);
        self
    }

    /// Adds a remark; never a secret.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The code.
    pub const fn code(&self) -> DiagnosisCode {
        self.code
    }

    /// What was expected.
    pub fn expected(&self) -> Option<&str> {
        self.expected.as_deref()
    }

    /// What was found.
    pub fn found(&self) -> Option<&str> {
        self.found.as_deref()
    }

    /// By how many seconds something is off.
    pub const fn seconds(&self) -> Option<i64> {
        self.seconds
    }

    /// In which component two URIs differ first.
    pub const fn difference(&self) -> Option<HtuDifference> {
        self.difference
    }

    /// A remark.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

impl fmt::Display for Diagnosis {
    /// One line: identifier, title, evidence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.code.entry().title)?;
        let seconds = self.seconds.map(|seconds| format!("{seconds} s"));
        let evidence = [
            ("expected", self.expected.as_deref()),
            ("found", self.found.as_deref()),
            ("off by", seconds.as_deref()),
            ("note", self.detail.as_deref()),
        ];
        evidence
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .enumerate()
            .try_for_each(|(index, (name, value))| write!(f, "{} {name} {value}", if index == 0 { ";" } else { "," }))
    }
}

impl Serialize for Diagnosis {
    /// An object with the entry's members and the evidence that is there.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = self.code.entry();
        let mut object = serializer.serialize_struct("Diagnosis", 11)?;
        object.serialize_field("code", entry.id)?;
        object.serialize_field("title", entry.title)?;
        object.serialize_field("acts", &entry.acts)?;
        object.serialize_field("cause", entry.cause)?;
        object.serialize_field("fix", entry.fix)?;
        object.serialize_field("spec", entry.spec)?;
        let texts = [("expected", &self.expected), ("found", &self.found), ("detail", &self.detail)];
        for (name, value) in texts {
            match value {
                Some(value) => object.serialize_field(name, value)?,
                None => object.skip_field(name)?,
            }
        }
        match self.seconds {
            Some(seconds) => object.serialize_field("seconds", &seconds)?,
            None => object.skip_field("seconds")?,
        }
        match self.difference {
            Some(difference) => object.serialize_field("difference", difference.as_str())?,
            None => object.skip_field("difference")?,
        }
        object.end()
    }
}
