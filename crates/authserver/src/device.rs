//! What waits for a user at another device (RFC 8628): kept under the hash of the device code, and found by the user
//! code as long as nobody has decided.

use countersign_dpop::NoRandomness;
use countersign_dpop::jose::Jkt;
use countersign_dpop::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plain;
use crate::scope::Scope;
use crate::storage::{EntryKind, Kept};

/// A request of a device.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct DeviceRequest {
    pub(crate) client_id: String,
    pub(crate) scope: Scope,
    pub(crate) resources: Vec<String>,
    /// The key that the device proved when it asked; it has to prove it again when it polls.
    #[serde(with = "plain::optional_jkt")]
    pub(crate) jkt: Option<Jkt>,
    /// The last second at which it may be decided and redeemed.
    #[serde(with = "plain::date")]
    pub(crate) until: Timestamp,
    #[serde(with = "plain::date")]
    pub(crate) polled_at: Timestamp,
    /// Seconds that the device has to wait between two polls.
    pub(crate) interval: i64,
    pub(crate) state: DeviceState,
}

/// Where a device's request stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeviceState {
    Pending,
    /// By the approval of this name.
    Approved(String),
    Denied,
    Redeemed,
}

impl DeviceRequest {
    /// Seconds that a user has.
    pub(crate) const LIFE: i64 = 600;
    /// Seconds between two polls, to begin with.
    pub(crate) const INTERVAL: i64 = 5;
    /// Seconds that it is remembered after its end, so that the device is told why.
    const KEPT_LONGER: i64 = 600;
}

impl Kept for DeviceRequest {
    const KIND: EntryKind = EntryKind::DeviceCode;

    fn not_after(&self) -> Timestamp {
        self.until.plus(Self::KEPT_LONGER)
    }
}

/// What a user code stands for: the request, by what it is kept as.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct UserCode {
    pub(crate) request: String,
    #[serde(with = "plain::date")]
    pub(crate) until: Timestamp,
}

impl Kept for UserCode {
    const KIND: EntryKind = EntryKind::UserCode;

    fn not_after(&self) -> Timestamp {
        self.until
    }
}

/// Letters that are not taken for one another and make no words: 20⁸ codes (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;

/// A fresh user code, as it is kept.
pub(crate) fn draw_user_code() -> Result<String, NoRandomness> {
    let mut code = String::with_capacity(LENGTH);
    while code.len() < LENGTH {
        let mut byte = [0; 1];
        aws_lc_rs::rand::fill(&mut byte).map_err(|_| NoRandomness)?;
        // 240 is the highest multiple of 20 in a byte: every letter is as likely as any other.
        if byte[0] < 240 {
            code.push(char::from(LETTERS[usize::from(byte[0]) % LETTERS.len()]));
        }
    }
    Ok(code)
}

/// As people read it.
pub(crate) fn write_user_code(code: &str) -> String {
    let (first, last) = code.split_at(LENGTH / 2);
    format!("{first}-{last}")
}

/// What somebody typed, as it is kept: case and what stands between the letters do not count.
pub(crate) fn read_user_code(typed: &str) -> Option<String> {
    if typed.len() > 64 {
        return None;
    }
    let letters: String = typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    let fits = letters.len() == LENGTH && letters.bytes().all(|byte| LETTERS.contains(&byte));
    fits.then_some(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_code_is_read_however_it_is_typed() {
        let code = draw_user_code().unwrap();
        let written = write_user_code(&code);
        assert_eq!((written.len(), written.as_bytes()[4]), (9, b'-'));
        for typed in [written.clone(), written.to_lowercase(), format!(" {code} "), written.replace('-', " ")] {
            assert_eq!(read_user_code(&typed), Some(code.clone()), "{typed}");
        }
        for wrong in ["", "BCDF", "BCDF-GHJA", "BCDF-GHJKL", "BCDFGHJ1", &"B".repeat(80)] {
            assert_eq!(read_user_code(wrong), None, "{wrong}");
        }
    }
}
