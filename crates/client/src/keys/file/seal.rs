//! The sealing of a key: where the sealing key comes from, and the AEAD.

use argon2::{Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, rand};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::keys::KeyStoreError;

/// What it costs to try one passphrase (Argon2id, RFC 9106): memory in KiB, passes over it, one lane.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KdfCost {
    memory_kib: u32,
    passes: u32,
}

impl KdfCost {
    /// 64 MiB and 3 passes, after the second recommended option of RFC 9106 §4.
    pub const DEFAULT: Self = Self { memory_kib: 65_536, passes: 3 };
    /// The least and the most memory, in KiB: 8 MiB to 256 MiB.
    pub const MEMORY_KIB: std::ops::RangeInclusive<u32> = 8_192..=262_144;
    /// The fewest and the most passes.
    pub const PASSES: std::ops::RangeInclusive<u32> = 1..=16;

    /// A cost of `memory_kib` KiB and `passes` passes; `None` when one of them is out of its range. A file that asks
    /// for more is not opened, so that no file can make its reader take gigabytes or minutes.
    pub fn new(memory_kib: u32, passes: u32) -> Option<Self> {
        let fits = Self::MEMORY_KIB.contains(&memory_kib) && Self::PASSES.contains(&passes);
        fits.then_some(Self { memory_kib, passes })
    }

    /// The memory, in KiB.
    pub const fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// The passes over the memory.
    pub const fn passes(self) -> u32 {
        self.passes
    }
}

pub(crate) const SALT_LENGTH: usize = 16;
pub(crate) type Salt = [u8; SALT_LENGTH];

/// Draws a salt.
pub(crate) fn new_salt() -> Result<Salt, KeyStoreError> {
    let mut salt = [0; SALT_LENGTH];
    rand::fill(&mut salt).map_err(|_| KeyStoreError::NoRandomness)?;
    Ok(salt)
}

/// The random key of a directory. Wiped when dropped.
pub(crate) struct DeviceKey(Zeroizing<[u8; Self::LENGTH]>);

impl DeviceKey {
    pub(crate) const LENGTH: usize = 32;

    pub(crate) fn generate() -> Result<Self, KeyStoreError> {
        let mut bytes = Zeroizing::new([0; Self::LENGTH]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| KeyStoreError::NoRandomness)?;
        Ok(Self(bytes))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// The key of one file; a fresh salt makes it another one for every file.
pub(crate) struct SealingKey(LessSafeKey);

impl SealingKey {
    pub(crate) fn from_passphrase(
        passphrase: &SecretString,
        cost: KdfCost,
        salt: &Salt,
    ) -> Result<Self, KeyStoreError> {
        let mut bytes = Zeroizing::new([0; 32]);
        let params = Params::new(cost.memory_kib, cost.passes, 1, None).map_err(|_| KeyStoreError::SealingFailed)?;
        Argon2::new(argon2::Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.expose_secret().as_bytes(), salt, bytes.as_mut_slice())
            .map_err(|_| KeyStoreError::SealingFailed)?;
        Self::new(&bytes)
    }

    pub(crate) fn from_device_key(device_key: &DeviceKey, salt: &Salt) -> Result<Self, KeyStoreError> {
        let mut bytes = Zeroizing::new([0; 32]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
            .extract(device_key.as_bytes())
            .expand(&[b"countersign sealed key, version 1"], hkdf::HKDF_SHA256)
            .and_then(|output| output.fill(bytes.as_mut_slice()))
            .map_err(|_| KeyStoreError::SealingFailed)?;
        Self::new(&bytes)
    }

    fn new(bytes: &Zeroizing<[u8; 32]>) -> Result<Self, KeyStoreError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes.as_slice()).map_err(|_| KeyStoreError::SealingFailed)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts `plain`; the result is nonce, ciphertext and tag.
    pub(crate) fn seal(&self, mut plain: Zeroizing<Vec<u8>>, header: &[u8]) -> Result<Vec<u8>, KeyStoreError> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| KeyStoreError::NoRandomness)?;
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(header), &mut plain)
            .map_err(|_| KeyStoreError::SealingFailed)?;
        Ok([&nonce, plain.as_slice(), tag.as_ref()].concat())
    }

    /// Decrypts what [`SealingKey::seal`] made; `None` when key, header or text is another.
    pub(crate) fn open(&self, sealed: &[u8], header: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut plain = Zeroizing::new(text.to_vec());
        let length = self.0.open_in_place(nonce, Aad::from(header), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}
