//! Entries: what the server keeps of codes, grants, refresh tokens, users and the like, all in one shape. An entry is
//! found by a hash, so the database holds nothing that could be presented, and has a version, so that what was decided
//! by reading it is written only if it still is as it was read.

use std::fmt;

use aws_lc_rs::digest;
use countersign_dpop::time::Timestamp;

/// What an entry is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EntryKind {
    /// A client that is not of the configuration.
    Client,
    /// An authorization code.
    Code,
    /// What waits for a user at another device (RFC 8628).
    DeviceCode,
    /// What a user, or a client for itself, has approved; the family of the tokens that came of it.
    Grant,
    /// A pushed authorization request.
    PushedRequest,
    /// A refresh token.
    RefreshToken,
    /// An access token that was taken back before its end.
    RevokedToken,
    /// How often a token of somebody else was presented.
    SubjectToken,
    /// The code that a device shows to its user.
    UserCode,
    /// A user who is not of the configuration.
    User,
}

impl EntryKind {
    /// The word for it in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Code => "code",
            Self::DeviceCode => "device_code",
            Self::Grant => "grant",
            Self::PushedRequest => "pushed_request",
            Self::RefreshToken => "refresh_token",
            Self::RevokedToken => "revoked_token",
            Self::SubjectToken => "subject_token",
            Self::UserCode => "user_code",
            Self::User => "user",
        }
    }
}

/// SHA-256 of what an entry is found by.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EntryId([u8; 32]);

impl EntryId {
    /// The entry that is found by `name`, which may be a secret of at least 128 random bits.
    pub fn of(name: &str) -> Self {
        let mut id = [0; 32];
        id.copy_from_slice(digest::digest(&digest::SHA256, name.as_bytes()).as_ref());
        Self(id)
    }

    /// Takes the bytes of an identity.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryId({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// Which entry, as it was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EntryVersion {
    /// What it is.
    pub kind: EntryKind,
    /// Which one.
    pub id: EntryId,
    /// Counts from 1 and grows by one with every change.
    pub version: i64,
}

/// What an entry says.
#[derive(Clone, Eq, PartialEq)]
pub struct EntryContent {
    /// Whose it is: what entries of a kind are listed by.
    pub owner: Option<String>,
    /// The last second at which it means something; it may be swept a minute after.
    pub not_after: Timestamp,
    /// JSON.
    pub body: String,
}

impl fmt::Debug for EntryContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryContent").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

/// An entry as it was read. It may be past its end, if it has not been swept yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Which one.
    pub at: EntryVersion,
    /// What it says.
    pub content: EntryContent,
}

/// A change of one entry, which is made only if the entry is as it was read.
#[derive(Clone, Debug)]
pub enum Change {
    /// Adds an entry of which there is none; its version is 1.
    Add(EntryKind, EntryId, EntryContent),
    /// Gives an entry that was read another content.
    Replace(EntryVersion, EntryContent),
    /// Changes nothing, but an entry that was read must still be so.
    Keep(EntryVersion),
    /// Removes an entry that was read.
    Remove(EntryVersion),
}

/// Which entries to list.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// Of which kind.
    pub kind: EntryKind,
    /// Whose; everybody's when absent.
    pub owner: Option<&'a str>,
    /// Those after this one, in the order of their identities.
    pub after: Option<EntryId>,
    /// At most so many.
    pub limit: u32,
}
