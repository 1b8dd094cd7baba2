//! The secrets of one process: they place keys, so that nobody outside can choose where an entry goes, and they
//! make epoch identifiers.

use aws_lc_rs::{digest, rand};
use countersign_dpop::replay::{EpochId, QuotaKey, ReplayKey};
use siphasher::sip;
use siphasher::sip128::SipHasher13;

use super::config::MemoryReplayError;
use super::tag_table::Tag;

/// Drawn once per store, never shown.
pub(super) struct Secret {
    entries: SipHasher13,
    parties: sip::SipHasher13,
    epochs: [u8; 32],
}

/// Where an entry belongs: 32 bits of its hash choose the shard, the 96 others are kept.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) shard: u32,
    pub(super) tag: Tag,
}

/// A keyed hash of a party.
#[derive(Clone, Copy)]
pub(super) struct PartyHash(pub(super) u64);

impl Secret {
    pub(super) fn draw() -> Result<Self, MemoryReplayError> {
        let mut epochs = [0; 32];
        rand::fill(&mut epochs).map_err(|_| MemoryReplayError::NoRandomness)?;
        let entries = SipHasher13::new_with_key(&random()?);
        Ok(Self { entries, parties: sip::SipHasher13::new_with_key(&random()?), epochs })
    }

    /// Where the entry of `key` belongs.
    #[expect(clippy::cast_possible_truncation, reason = "the hash is cut into its words")]
    pub(super) fn place(&self, key: &ReplayKey) -> Place {
        let hash = self.entries.hash(key.as_bytes());
        // What tells where to look comes from the half that is known first.
        let high = hash.h1 << 32 | hash.h2 >> 32;
        Place { shard: (hash.h1 >> 32) as u32, tag: Tag { high, low: hash.h2 as u32 } }
    }

    /// A hash of `party`, unrelated to those of entries.
    pub(super) fn party(&self, party: &QuotaKey) -> PartyHash {
        PartyHash(self.parties.hash(party.as_bytes()))
    }

    /// The identifier of the `number`th epoch. Made from a seed rather than drawn, so that an epoch can begin at
    /// any time, whether or not the system has randomness then.
    pub(super) fn epoch_id(&self, number: u64) -> EpochId {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"countersign epoch 1\0");
        context.update(&self.epochs);
        context.update(&number.to_be_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&context.finish().as_ref()[..16]);
        EpochId::from_bytes(id)
    }
}

fn random() -> Result<[u8; 16], MemoryReplayError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| MemoryReplayError::NoRandomness)?;
    Ok(bytes)
}
