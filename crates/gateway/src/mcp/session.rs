//! Sessions of MCP versions before 2026-07-28, each bound to who began it.
//!
//! The client gets the server's identifier with a MAC behind it, over the identifier and over key, subject, client and
//! issuer of the one that it is given to. Nothing is kept, so there is nothing to fill or to forget, and gateways that
//! share a key share all sessions. Who presents an identifier that was given to another is told that there is no such
//! session.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::hmac;
use countersign_dpop::jose::{Jkt, decode_base64url, encode_base64url};
use countersign_resource::{Access, Caller};
use secrecy::{ExposeSecret, SecretSlice};
use zeroize::Zeroizing;

/// The longest identifier that is taken from a server, in bytes.
const MAX_ID: usize = 1_024;
/// The least and most bytes of a key's file.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 32..=4_096;
const LABEL: &[u8] = b"countersign MCP session 1";

/// A key for session identifiers. Shown nowhere.
#[derive(Clone)]
pub struct SessionKey(SecretSlice<u8>);

/// Why a file is no key for session identifiers. Shows nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum SessionKeyError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// Too little to be a key, or too much.
    #[error("has {0} bytes; a key has 32 to 4,096, for instance of: openssl rand -base64 32")]
    Length(usize),
    /// The system gave no randomness.
    #[error("cannot be made: the system gives no randomness")]
    NoRandomness,
}

impl SessionKey {
    /// A key of the process's own.
    ///
    /// # Errors
    /// The system gave no randomness.
    pub fn generate() -> Result<Self, SessionKeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| SessionKeyError::NoRandomness)?;
        Ok(Self(bytes.to_vec().into()))
    }

    /// Reads a file; blanks around the key are no part of it.
    ///
    /// # Errors
    /// See [`SessionKeyError`].
    pub fn read(path: &Path) -> Result<Self, SessionKeyError> {
        let bytes = Zeroizing::new(std::fs::read(path)?);
        let key = bytes.trim_ascii();
        if KEY_BYTES.contains(&key.len()) {
            Ok(Self(key.to_vec().into()))
        } else {
            Err(SessionKeyError::Length(key.len()))
        }
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey")
    }
}

/// The keys in use: the first one seals, all of them open. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SessionKeys(Arc<[hmac::Key]>);

impl SessionKeys {
    /// `own` is used where none is configured.
    pub(crate) fn new(configured: &[SessionKey], own: &SessionKey) -> Self {
        let keys = if configured.is_empty() { std::slice::from_ref(own) } else { configured };
        Self(keys.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.0.expose_secret())).collect())
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionKeys").field(&self.0.len()).finish()
    }
}

/// Seals and opens the identifiers of one resource's sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    keys: SessionKeys,
    audience: Box<str>,
}

/// Whose a session is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'a> {
    jkt: Option<&'a Jkt>,
    subject: Option<&'a str>,
    client: Option<&'a str>,
    issuer: &'a str,
}

impl<'a> From<Caller<'a>> for Owner<'a> {
    fn from(caller: Caller<'a>) -> Self {
        Self { jkt: caller.jkt(), subject: caller.subject(), client: caller.client_id(), issuer: caller.issuer() }
    }
}

impl<'a> From<&'a Access> for Owner<'a> {
    fn from(access: &'a Access) -> Self {
        Self { jkt: access.jkt(), subject: access.subject(), client: access.client_id(), issuer: access.issuer() }
    }
}

impl Sessions {
    pub(crate) fn new(keys: SessionKeys, audience: &str) -> Self {
        Self { keys, audience: audience.into() }
    }

    /// What the owner gets in place of the server's `id`; `None` for one that no field may hold (visible ASCII).
    pub(super) fn seal(&self, id: &str, owner: Owner<'_>) -> Option<String> {
        if !is_identifier(id) {
            return None;
        }
        let tag = hmac::sign(self.keys.0.first()?, &self.text(id, owner));
        Some(format!("{id}.{}", encode_base64url(tag)))
    }

    /// The server's identifier in what the client presents, if it was given to this owner.
    pub(super) fn open<'i>(&self, presented: &'i str, owner: Owner<'_>) -> Option<&'i str> {
        let (id, tag) = presented.rsplit_once('.')?;
        let tag = decode_base64url(tag.as_bytes()).ok()?;
        let text = is_identifier(id).then(|| self.text(id, owner))?;
        self.keys.0.iter().any(|key| hmac::verify(key, &text, &tag).is_ok()).then_some(id)
    }

    /// What the MAC is over: every part with its length before it, and what is absent unlike what is empty.
    fn text(&self, id: &str, owner: Owner<'_>) -> Vec<u8> {
        let mut text = LABEL.to_vec();
        let jkt = owner.jkt.map(|jkt| jkt.as_bytes().as_slice());
        let parts = [
            Some(self.audience.as_bytes()),
            jkt,
            owner.subject.map(str::as_bytes),
            owner.client.map(str::as_bytes),
            Some(owner.issuer.as_bytes()),
            Some(id.as_bytes()),
        ];
        for part in parts {
            text.push(u8::from(part.is_some()));
            let part = part.unwrap_or_default();
            text.extend_from_slice(&(part.len() as u64).to_be_bytes());
            text.extend_from_slice(part);
        }
        text
    }
}

fn is_identifier(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| matches!(byte, b'!'..=b'~'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sessions(keys: &[&str]) -> Sessions {
        let keys: Vec<_> = keys.iter().map(|key| SessionKey(key.as_bytes().to_vec().into())).collect();
        Sessions::new(SessionKeys::new(&keys, &keys[0]), "https://mcp.example")
    }

    const JKT: Jkt = Jkt::from_bytes([7; 32]);
    const OTHER: Jkt = Jkt::from_bytes([8; 32]);
    const ALICE: Owner<'static> =
        Owner { jkt: Some(&JKT), subject: Some("alice"), client: Some("client-1"), issuer: "https://idp.example" };

    #[test]
    fn opens_for_the_one_that_it_was_sealed_for_and_for_nobody_else() {
        let sessions = sessions(&["k1"]);
        let sealed = sessions.seal("5f2a.b-1", ALICE).expect("a session");
        assert_eq!(sessions.open(&sealed, ALICE), Some("5f2a.b-1"));
        for other in [
            Owner { jkt: Some(&OTHER), ..ALICE },
            Owner { jkt: None, ..ALICE },
            Owner { subject: Some("bob"), ..ALICE },
            Owner { subject: None, ..ALICE },
            Owner { subject: Some(""), ..ALICE },
            Owner { client: Some("client-2"), ..ALICE },
            Owner { client: None, ..ALICE },
            Owner { subject: Some("aliceclient-1"), client: Some(""), ..ALICE },
            Owner { issuer: "https://other.example", ..ALICE },
        ] {
            assert_eq!(sessions.open(&sealed, other), None, "{other:?}");
        }
        let elsewhere = Sessions::new(sessions.keys.clone(), "https://other.example");
        assert_eq!(elsewhere.open(&sealed, ALICE), None, "another resource");
    }

    #[test]
    fn the_server_s_own_identifier_is_none() {
        let sessions = sessions(&["k1"]);
        for bare in ["5f2a", "5f2a.", ".", "", "5f2a.AAAA", "5f2a.****", &format!("5f2a.{}", "A".repeat(43))] {
            assert_eq!(sessions.open(bare, ALICE), None, "{bare}");
        }
        for odd in ["", "a b", "a\n", "\u{e9}", &"a".repeat(1_025)] {
            assert_eq!(sessions.seal(odd, ALICE), None, "{odd:.20}");
        }
    }

    #[test]
    fn keys_can_be_exchanged_without_ending_sessions() {
        let sealed = sessions(&["k1"]).seal("id", ALICE).expect("a session");
        assert_eq!(sessions(&["k2", "k1"]).open(&sealed, ALICE), Some("id"));
        assert_eq!(sessions(&["k2"]).open(&sealed, ALICE), None);
        let sealed = sessions(&["k2", "k1"]).seal("id", ALICE).expect("a session");
        assert_eq!(sessions(&["k2"]).open(&sealed, ALICE), Some("id"));
    }

    #[test]
    fn a_key_s_file_has_enough_in_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("session.key");
        std::fs::write(&path, "short\n").expect("a file");
        assert!(matches!(SessionKey::read(&path), Err(SessionKeyError::Length(5))));
        std::fs::write(&path, format!("{}\n", "k".repeat(44))).expect("a file");
        let key = SessionKey::read(&path).expect("a key");
        assert_eq!(key.0.expose_secret().len(), 44);
        assert_eq!(format!("{key:?}"), "SessionKey");
        assert!(matches!(SessionKey::read(directory.path()), Err(SessionKeyError::File(_))));
    }

    proptest! {
        #[test]
        fn every_identifier_comes_back(id in "[!-~]{1,64}") {
            let sessions = sessions(&["k1"]);
            let sealed = sessions.seal(&id, ALICE).expect("a session");
            prop_assert_eq!(sessions.open(&sealed, ALICE), Some(id.as_str()));
        }

        #[test]
        fn nothing_presented_breaks_it(presented in ".{0,80}") {
            prop_assert_eq!(sessions(&["k1"]).open(&presented, ALICE), None);
        }
    }
}
