//! Things of one type in entries: written as JSON, read back into the type.

use countersign_dpop::jose::{decode_base64url, encode_base64url};
use countersign_dpop::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Change, Entry, EntryContent, EntryId, EntryKind, EntryVersion, Storage, StorageError};

/// What can be kept as an entry.
pub(crate) trait Kept: Serialize + DeserializeOwned {
    /// The kind of its entries.
    const KIND: EntryKind;

    /// Whose it is.
    fn owner(&self) -> Option<&str> {
        None
    }

    /// The last second at which it means something.
    fn not_after(&self) -> Timestamp;
}

/// A thing as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Found<T> {
    pub(crate) at: EntryVersion,
    pub(crate) it: T,
}

impl<T: Kept> Found<T> {
    pub(crate) fn read(entry: &Entry) -> Result<Self, StorageError> {
        let it = serde_json::from_str(&entry.content.body).map_err(|fault| broken(T::KIND, &fault))?;
        Ok(Self { at: entry.at, it })
    }

    /// The change that puts `it` in place of what was read.
    pub(crate) fn replace(&self, it: &T) -> Result<Change, StorageError> {
        Ok(Change::Replace(self.at, content(it)?))
    }

    /// What it is kept as, to be found by [`find_kept_as`]. Not what it can be presented by.
    pub(crate) fn name(&self) -> String {
        encode_base64url(self.at.id.as_bytes())
    }

    /// The change that only holds if nobody else changes what was read.
    pub(crate) const fn keep(&self) -> Change {
        Change::Keep(self.at)
    }
}

/// The change that adds `it` under `name`.
pub(crate) fn add<T: Kept>(name: &str, it: &T) -> Result<Change, StorageError> {
    Ok(Change::Add(T::KIND, EntryId::of(name), content(it)?))
}

/// What something of this name is kept as.
pub(crate) fn kept_as(name: &str) -> String {
    encode_base64url(EntryId::of(name).as_bytes())
}

/// What is kept as `name`.
pub(crate) async fn find_kept_as<T: Kept>(storage: &dyn Storage, name: &str) -> Result<Option<Found<T>>, StorageError> {
    let id = decode_base64url(name).ok().and_then(|id| <[u8; 32]>::try_from(id).ok());
    let Some(id) = id else { return Ok(None) };
    let entry = storage.find(T::KIND, EntryId::from_bytes(id)).await?;
    entry.as_ref().map(Found::read).transpose()
}

/// What is kept under `name`.
pub(crate) async fn find<T: Kept>(storage: &dyn Storage, name: &str) -> Result<Option<Found<T>>, StorageError> {
    let entry = storage.find(T::KIND, EntryId::of(name)).await?;
    entry.as_ref().map(Found::read).transpose()
}

fn content<T: Kept>(it: &T) -> Result<EntryContent, StorageError> {
    let body = serde_json::to_string(it).map_err(|fault| broken(T::KIND, &fault))?;
    Ok(EntryContent { owner: it.owner().map(str::to_owned), not_after: it.not_after(), body })
}

/// The message of `serde_json` may show what it read, so only the place is told.
fn broken(kind: EntryKind, fault: &serde_json::Error) -> StorageError {
    let reason = format!("a broken entry of kind {}, at column {}", kind.as_str(), fault.column());
    StorageError::Unavailable { reason }
}
