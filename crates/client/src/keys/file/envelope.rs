//! The text of a sealed key file, written and read.

use aws_lc_rs::digest::{SHA256, digest};
use countersign_dpop::jose::{
    Algorithm, JsonLimits, PublicJwk, SoftwareKey, decode_base64url, encode_base64url, from_strict_json,
};
use countersign_dpop::time::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::keys::file::seal::{KdfCost, SALT_LENGTH, Salt, SealingKey, new_salt};
use crate::keys::{KeyClass, KeyName, KeyStoreError, Keyring, StoredKey};

/// The newest version of the format.
const VERSION: u32 = 1;

/// A sealed key with its header as it stands in the file.
pub(super) struct Envelope {
    header: Header,
    header_line: String,
    sealed: Vec<u8>,
}

/// What the header says, typed.
pub(super) struct Header {
    stored: StoredKey,
    sealing: Sealing,
}

/// How a key is sealed.
pub(super) struct Sealing {
    pub(super) by: SealedBy,
    pub(super) salt: Salt,
}

/// Where the sealing key comes from.
#[derive(Clone, Copy)]
pub(super) enum SealedBy {
    DeviceKey,
    Keyring(Keyring),
    /// With the cost of trying one.
    Passphrase(KdfCost),
}

impl Sealing {
    pub(super) fn by(by: SealedBy) -> Result<Self, KeyStoreError> {
        Ok(Self { by, salt: new_salt()? })
    }

    const fn class(&self) -> KeyClass {
        match self.by {
            SealedBy::DeviceKey => KeyClass::FileDeviceKey,
            SealedBy::Keyring(keyring) => KeyClass::FileKeyring(keyring),
            SealedBy::Passphrase(_) => KeyClass::FilePassphrase,
        }
    }
}

impl Header {
    pub(super) fn new(name: &KeyName, key: &SoftwareKey, created: Timestamp, sealing: Sealing) -> Self {
        let (name, algorithm, public) = (name.clone(), key.algorithm(), key.public_jwk().clone());
        Self { stored: StoredKey { name, algorithm, public, class: sealing.class(), created }, sealing }
    }

    fn to_line(&self) -> Result<String, KeyStoreError> {
        let salt = encode_base64url(self.sealing.salt);
        let text = HeaderText {
            countersign_key: VERSION,
            name: self.stored.name.to_string(),
            algorithm: self.stored.algorithm.name().to_owned(),
            created: self.stored.created.seconds(),
            jwk: serde_json::from_str(&self.stored.public.to_json()).map_err(|_| KeyStoreError::SealingFailed)?,
            sealing: match self.sealing.by {
                SealedBy::Passphrase(cost) => {
                    SealingText::Argon2id { memory_kib: cost.memory_kib(), passes: cost.passes(), lanes: 1, salt }
                }
                SealedBy::DeviceKey => SealingText::DeviceKey { salt },
                SealedBy::Keyring(keyring) => SealingText::Keyring { keyring, salt },
            },
        };
        serde_json::to_string(&text).map_err(|_| KeyStoreError::SealingFailed)
    }

    /// Types what stands in the file `name`; `None` is damage.
    fn from_text(name: &KeyName, text: &HeaderText) -> Result<Option<Self>, KeyStoreError> {
        let Some(sealing) = text.sealing.typed(name)? else { return Ok(None) };
        let Ok(found) = KeyName::parse(&text.name) else { return Ok(None) };
        if found != *name {
            return Err(KeyStoreError::NameMismatch { name: name.clone(), found });
        }
        let algorithm = text.algorithm.parse::<Algorithm>().ok();
        let public = PublicJwk::parse(text.jwk.to_string().as_bytes()).ok();
        let (Some(algorithm), Some(public)) = (algorithm, public) else { return Ok(None) };
        let created = Timestamp::from_seconds(text.created);
        let stored = StoredKey { name: found, algorithm, public, class: sealing.class(), created };
        Ok(Some(Self { stored, sealing }))
    }
}

impl Envelope {
    pub(super) fn seal(header: Header, key: &SealingKey, plain: Zeroizing<Vec<u8>>) -> Result<Self, KeyStoreError> {
        let header_line = header.to_line()?;
        let sealed = key.seal(plain, header_line.as_bytes())?;
        Ok(Self { header, header_line, sealed })
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = format!("{}\n{}\n", self.header_line, encode_base64url(&self.sealed));
        text.push_str(&checksum(&text));
        text.push('\n');
        text
    }

    /// Reads the file of key `name`. The public parts are as the file says; only opening proves them.
    pub(super) fn parse(name: &KeyName, bytes: &[u8]) -> Result<Self, KeyStoreError> {
        let damaged = || KeyStoreError::Damaged { name: name.clone() };
        let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
        let body = checked_body(name, text)?;
        let (header_line, rest) = body.split_once('\n').ok_or_else(damaged)?;
        refuse_newer_version(name, header_line)?;
        let sealed = rest.strip_suffix('\n').and_then(|sealed| decode_base64url(sealed).ok()).ok_or_else(damaged)?;
        let text: HeaderText = from_strict_json(header_line.as_bytes(), JsonLimits::PROOF).map_err(|_| damaged())?;
        let header = Header::from_text(name, &text)?.ok_or_else(damaged)?;
        Ok(Self { header, header_line: header_line.to_owned(), sealed })
    }

    pub(super) const fn sealing(&self) -> &Sealing {
        &self.header.sealing
    }

    pub(super) fn open(&self, key: &SealingKey) -> Result<SoftwareKey, KeyStoreError> {
        let stored = &self.header.stored;
        let plain = key.open(&self.sealed, self.header_line.as_bytes()).ok_or_else(|| self.not_opened())?;
        let key = SoftwareKey::from_pkcs8(&plain, stored.algorithm)?;
        if *key.public_jwk() == stored.public {
            Ok(key)
        } else {
            Err(KeyStoreError::Damaged { name: stored.name.clone() })
        }
    }

    pub(super) fn into_stored_key(self) -> StoredKey {
        self.header.stored
    }

    /// The checksum was right, so it is the sealing key that is not.
    fn not_opened(&self) -> KeyStoreError {
        let name = self.header.stored.name.clone();
        match self.header.sealing.by {
            SealedBy::Passphrase(_) => KeyStoreError::WrongPassphrase { name },
            SealedBy::DeviceKey | SealedBy::Keyring(_) => KeyStoreError::OtherDeviceKey { name },
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct HeaderText {
    countersign_key: u32,
    name: String,
    algorithm: String,
    created: i64,
    jwk: serde_json::Value,
    sealing: SealingText,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "by")]
enum SealingText {
    Argon2id { memory_kib: u32, passes: u32, lanes: u32, salt: String },
    DeviceKey { salt: String },
    Keyring { keyring: Keyring, salt: String },
}

impl SealingText {
    fn typed(&self, name: &KeyName) -> Result<Option<Sealing>, KeyStoreError> {
        let (by, salt) = match self {
            Self::Argon2id { memory_kib, passes, lanes, salt } => {
                let (memory_kib, passes) = (*memory_kib, *passes);
                let too_costly = || KeyStoreError::KdfTooCostly { name: name.clone(), memory_kib, passes };
                if *lanes != 1 {
                    return Ok(None);
                }
                (SealedBy::Passphrase(KdfCost::new(memory_kib, passes).ok_or_else(too_costly)?), salt)
            }
            Self::DeviceKey { salt } => (SealedBy::DeviceKey, salt),
            Self::Keyring { keyring, salt } => (SealedBy::Keyring(*keyring), salt),
        };
        let salt: Option<[u8; SALT_LENGTH]> = decode_base64url(salt).ok().and_then(|salt| salt.try_into().ok());
        Ok(salt.map(|salt| Sealing { by, salt }))
    }
}

/// The one member that every version has.
#[derive(Deserialize)]
struct VersionText {
    countersign_key: u32,
}

fn refuse_newer_version(name: &KeyName, header_line: &str) -> Result<(), KeyStoreError> {
    let text = from_strict_json(header_line.as_bytes(), JsonLimits::DOCUMENT);
    match text {
        Ok(VersionText { countersign_key: VERSION }) => Ok(()),
        Ok(VersionText { countersign_key: found }) if found > VERSION => {
            Err(KeyStoreError::NewerVersion { name: name.clone(), found, known: VERSION })
        }
        Ok(_) | Err(_) => Err(KeyStoreError::Damaged { name: name.clone() }),
    }
}

/// Takes the last line off and compares it with the checksum of the others.
fn checked_body<'a>(name: &KeyName, text: &'a str) -> Result<&'a str, KeyStoreError> {
    let cut_off = || KeyStoreError::Truncated { name: name.clone() };
    if text.matches('\n').count() < 3 {
        return Err(cut_off());
    }
    let whole = text.strip_suffix('\n').ok_or_else(cut_off)?;
    let end_of_body = whole.rfind('\n').ok_or_else(cut_off)?.saturating_add(1);
    let (body, last_line) = whole.split_at_checked(end_of_body).ok_or_else(cut_off)?;
    if checksum(body) == last_line { Ok(body) } else { Err(KeyStoreError::Damaged { name: name.clone() }) }
}

fn checksum(body: &str) -> String {
    encode_base64url(digest(&SHA256, body.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLIPS: [u8; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

    fn name() -> KeyName {
        KeyName::parse("a").expect("a name")
    }

    fn sealed(sealing: Sealing, sealing_key: &SealingKey) -> String {
        let key = SoftwareKey::generate(Algorithm::Es256).expect("a key");
        let header = Header::new(&name(), &key, Timestamp::from_seconds(1_800_000_000), sealing);
        let plain = key.to_pkcs8().expect("PKCS#8");
        Envelope::seal(header, sealing_key, plain).expect("a sealed key").to_text()
    }

    fn both_kinds() -> [(String, SealingKey); 2] {
        let cost = KdfCost::new(8_192, 1).expect("the least");
        let by_passphrase = Sealing::by(SealedBy::Passphrase(cost)).expect("a salt");
        let passphrase_key = SealingKey::from_passphrase(&"p".into(), cost, &by_passphrase.salt).expect("a key");
        let by_device = Sealing::by(SealedBy::DeviceKey).expect("a salt");
        let device = crate::keys::file::seal::DeviceKey::generate().expect("a key");
        let device_key = SealingKey::from_device_key(&device, &by_device.salt).expect("a key");
        [(sealed(by_passphrase, &passphrase_key), passphrase_key), (sealed(by_device, &device_key), device_key)]
    }

    #[test]
    fn every_changed_bit_is_found() {
        for (text, _) in both_kinds() {
            for position in 0..text.len() {
                for flip in FLIPS {
                    let mut changed = text.clone().into_bytes();
                    changed[position] ^= flip;
                    // Without one of its line ends the file is a line too short; beyond ASCII it is no text at all.
                    let a_line_is_lost = text.as_bytes()[position] == b'\n' && flip != 128;
                    let expected = if a_line_is_lost {
                        KeyStoreError::Truncated { name: name() }
                    } else {
                        KeyStoreError::Damaged { name: name() }
                    };
                    let found = Envelope::parse(&name(), &changed).map(|_| ()).expect_err("damage");
                    assert_eq!(found, expected, "byte {position} flipped by {flip}");
                }
            }
        }
    }

    #[test]
    fn every_cut_is_found() {
        for (text, _) in both_kinds() {
            for length in 0..text.len() {
                let found = Envelope::parse(&name(), &text.as_bytes()[..length]).map(|_| ()).expect_err("a cut");
                assert_eq!(found, KeyStoreError::Truncated { name: name() }, "{length} bytes");
            }
        }
    }

    #[test]
    fn no_changed_bit_of_header_or_ciphertext_opens_even_with_a_right_checksum() {
        for (text, sealing_key) in both_kinds() {
            let whole = Envelope::parse(&name(), text.as_bytes()).expect("whole");
            whole.open(&sealing_key).expect("an open key");
            let body_length = text.trim_end().rfind('\n').expect("lines");
            for position in 0..body_length {
                for flip in FLIPS {
                    let mut changed = text.clone().into_bytes();
                    changed[position] ^= flip;
                    let Ok(body) = str::from_utf8(&changed[..=body_length]) else { continue };
                    let forged = format!("{body}{}\n", checksum(body));
                    if let Ok(envelope) = Envelope::parse(&name(), forged.as_bytes()) {
                        let error = envelope.open(&sealing_key).map(|_| ()).expect_err("not opened");
                        assert_eq!(error, envelope.not_opened(), "byte {position} flipped by {flip}");
                    }
                }
            }
        }
    }
}
