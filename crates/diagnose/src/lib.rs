//! Reads captures of requests that fail (RFC 9449), explains what is wrong, and shows nothing secret.
//!
//! [`Capture::read`] takes what people have at hand: a bare proof, a raw HTTP request with or without its answer, what
//! `curl -v` prints, a pasted curl command, or header lines. [`Capture::examine`] makes every check that can be made
//! and gives a [`Report`]: what is wrong, most telling first, with the evidence; what was ruled out; what could not
//! be checked and why; and a manifest of what was left out because it is secret. [`Report::explain`] says it in words.
//! No network, no clock, no files.
//!
//! ```
//! use countersign_diagnose::{Capture, Known};
//! use countersign_dpop::time::Timestamp;
//!
//! let text = b"HTTP/1.1 401 Unauthorized\nWWW-Authenticate: DPoP error=\"use_dpop_nonce\"\nDPoP-Nonce: n-0S6_WzA2Mj\n";
//! let capture = Capture::read(text)?;
//! let report = capture.examine(&Known::default(), Timestamp::from_seconds(1_700_000_000));
//! let verdict = report.examination().verdict().expect("a finding");
//! assert_eq!(verdict.code().id(), "T02");
//! let json = serde_json::to_string(&report)?;
//! assert!(!json.contains("n-0S6_WzA2Mj"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A command that was pasted is read, never run:
//!
//! ```
//! use countersign_diagnose::{Capture, Form, Known};
//! use countersign_dpop::time::Timestamp;
//!
//! let text = b"curl https://api.example/orders -H 'Authorization: DPoP some-token'";
//! let capture = Capture::read(text)?;
//! assert_eq!(capture.form(), Form::Curl);
//! let report = capture.examine(&Known::default(), Timestamp::from_seconds(1_700_000_000));
//! let verdict = report.examination().verdict().expect("a finding");
//! assert_eq!(verdict.code().entry().title, "the request has no DPoP field");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod capture;
mod examine;
mod explain;
#[cfg(test)]
mod fixture;
mod redact;
mod report;

pub use self::capture::{Capture, Form, MAX_LENGTH, Note, Unreadable};
pub use self::examine::Known;
pub use self::explain::{Explanation, Headline, Row, Section};
pub use self::redact::{Removed, SecretKind};
pub use self::report::{REPORT_VERSION, Report};
