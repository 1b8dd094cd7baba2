//! Keys in a token behind PKCS#11 (a smart card, a hardware security module, a TPM, SoftHSM): made in it, not
//! extractable, signing in it.
//!
//! A key is a pair of objects of the same `CKA_ID` whose `CKA_LABEL` is `countersign:NAME`. The identifier begins with
//! the time at which the key was made. PKCS#11 itself lets two objects have one label: of keys of one name, made by two
//! processes at the same instant, all processes use the one with the lower identifier.

mod device;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::rand;
use countersign_dpop::jose::{Algorithm, ProofSigner, PublicJwk, SignError, Signing, SoftwareKey, encode_base64url};
use countersign_dpop::time::{Clock, Timestamp};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use secrecy::SecretString;

use self::device::{Device, failed};
use crate::keys::{KeyClass, KeyName, KeyStore, KeyStoreError, ListedKey, StoredKey};

/// Keeps keys in a token.
pub struct Pkcs11KeyStore {
    device: Arc<Device>,
    clock: Arc<dyn Clock>,
}

const LABEL: &str = "countersign:";
/// 8 bytes of time, 8 random.
const ID_LENGTH: usize = 16;

/// A curve with its algorithm.
#[derive(Clone, Copy)]
struct Curve {
    algorithm: Algorithm,
    name: &'static str,
    /// The DER of its object identifier.
    oid: &'static [u8],
    /// The length of a coordinate, in bytes.
    length: usize,
    digest: &'static digest::Algorithm,
}

const CURVES: [Curve; 3] = [
    Curve {
        algorithm: Algorithm::Es256,
        name: "P-256",
        oid: &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        length: 32,
        digest: &digest::SHA256,
    },
    Curve {
        algorithm: Algorithm::Es384,
        name: "P-384",
        oid: &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22],
        length: 48,
        digest: &digest::SHA384,
    },
    Curve {
        algorithm: Algorithm::Es512,
        name: "P-521",
        oid: &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23],
        length: 66,
        digest: &digest::SHA512,
    },
];

/// A key as the token has it.
struct Found {
    id: Vec<u8>,
    private: ObjectHandle,
    curve: Curve,
    stored: StoredKey,
}

impl Pkcs11KeyStore {
    /// Opens the token of that label through the module at `module`, with its PIN.
    ///
    /// # Errors
    /// [`KeyStoreError::Device`] when module or token cannot be used, [`KeyStoreError::Locked`] when the PIN is
    /// missing, wrong or locked.
    pub fn open(
        module: &Path,
        token: &str,
        pin: Option<&SecretString>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyStoreError> {
        Ok(Self { device: Arc::new(Device::open(module, token, pin)?), clock })
    }

    /// All pairs of that name, or of all names, the one that counts of each name first.
    fn pairs(&self, name: Option<&KeyName>) -> Result<Vec<Found>, KeyStoreError> {
        self.device.with(|session| {
            let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::KeyType(KeyType::EC)];
            template.extend(name.map(label));
            let privates = session.find_objects(&template).map_err(|fault| failed(&fault))?;
            let mut found: Vec<_> = privates
                .into_iter()
                .filter_map(|private| read_pair(session, private).transpose())
                .collect::<Result<_, _>>()?;
            found.sort_by(|one, other| (&one.stored.name, &one.id).cmp(&(&other.stored.name, &other.id)));
            Ok(found)
        })
    }

    fn find(&self, name: &KeyName) -> Result<Found, KeyStoreError> {
        let pairs = self.pairs(Some(name))?;
        pairs.into_iter().next().ok_or_else(|| KeyStoreError::NotFound { name: name.clone() })
    }
}

impl KeyStore for Pkcs11KeyStore {
    fn class(&self) -> KeyClass {
        KeyClass::Pkcs11
    }

    fn generate(&self, name: &KeyName, algorithm: Algorithm) -> Result<StoredKey, KeyStoreError> {
        let curve = CURVES.into_iter().find(|curve| curve.algorithm == algorithm);
        let curve = curve.ok_or(KeyStoreError::AlgorithmNotOfStore { class: KeyClass::Pkcs11, algorithm })?;
        let _alone = self.device.alone();
        if !self.pairs(Some(name))?.is_empty() {
            return Err(KeyStoreError::Exists { name: name.clone() });
        }
        let id = new_id(self.clock.now())?;
        self.device.with(|session| make_pair(session, name, &id, curve))?;
        let counts = self.find(name)?;
        if counts.id == id { Ok(counts.stored) } else { Err(KeyStoreError::Exists { name: name.clone() }) }
    }

    /// Never: a key that was seen outside of the token is not one of it.
    fn import(&self, name: &KeyName, _: SoftwareKey) -> Result<StoredKey, KeyStoreError> {
        match self.find(name) {
            Ok(_) => Err(KeyStoreError::Exists { name: name.clone() }),
            Err(_) => Err(KeyStoreError::ImportRefused { class: KeyClass::Pkcs11 }),
        }
    }

    fn open(&self, name: &KeyName) -> Result<Arc<dyn ProofSigner>, KeyStoreError> {
        let Found { private, curve, stored, .. } = self.find(name)?;
        Ok(Arc::new(DeviceSigner { device: self.device.clone(), private, curve, public: stored.public }))
    }

    fn show(&self, name: &KeyName) -> Result<StoredKey, KeyStoreError> {
        Ok(self.find(name)?.stored)
    }

    fn list(&self) -> Result<Vec<ListedKey>, KeyStoreError> {
        let mut pairs = self.pairs(None)?;
        pairs.dedup_by(|later, earlier| later.stored.name == earlier.stored.name);
        Ok(pairs.into_iter().map(|pair| ListedKey { name: pair.stored.name.clone(), key: Ok(pair.stored) }).collect())
    }

    fn delete(&self, name: &KeyName) -> Result<(), KeyStoreError> {
        let _alone = self.device.alone();
        let pairs = self.pairs(Some(name))?;
        if pairs.is_empty() {
            return Err(KeyStoreError::NotFound { name: name.clone() });
        }
        self.device.with(|session| pairs.iter().try_for_each(|pair| destroy_pair(session, pair)))
    }
}

/// Signs in the token.
struct DeviceSigner {
    device: Arc<Device>,
    private: ObjectHandle,
    curve: Curve,
    public: PublicJwk,
}

impl ProofSigner for DeviceSigner {
    fn algorithm(&self) -> Algorithm {
        self.curve.algorithm
    }

    fn public_jwk(&self) -> &PublicJwk {
        &self.public
    }

    /// A device takes its time: the waiting is done where it holds nobody up. The token gives `r` and `s` side by
    /// side, which is the form of JWS.
    fn sign<'a>(&'a self, message: &'a [u8]) -> Signing<'a> {
        let digest = digest::digest(self.curve.digest, message);
        let (device, private, length) = (self.device.clone(), self.private, self.curve.length.saturating_mul(2));
        Box::pin(async move {
            let signing = tokio::task::spawn_blocking(move || {
                device.with(|session| {
                    session.sign(&Mechanism::Ecdsa, private, digest.as_ref()).map_err(|fault| failed(&fault))
                })
            });
            let signature = signing.await.map_err(|_| SignError::Failed)?;
            let signature = signature.map_err(|fault| SignError::KeyUnavailable(fault.to_string()))?;
            if signature.len() == length { Ok(signature) } else { Err(SignError::Failed) }
        })
    }
}

fn label(name: &KeyName) -> Attribute {
    Attribute::Label(format!("{LABEL}{name}").into_bytes())
}

fn new_id(now: Timestamp) -> Result<Vec<u8>, KeyStoreError> {
    let mut random = [0; 8];
    rand::fill(&mut random).map_err(|_| KeyStoreError::NoRandomness)?;
    Ok([now.seconds().to_be_bytes(), random].concat())
}

fn make_pair(session: &Session, name: &KeyName, id: &[u8], curve: Curve) -> Result<(), KeyStoreError> {
    let public = [
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Verify(true),
        Attribute::EcParams(curve.oid.to_vec()),
        label(name),
        Attribute::Id(id.to_vec()),
    ];
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Derive(false),
        label(name),
        Attribute::Id(id.to_vec()),
    ];
    let made = session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private);
    made.map(drop).map_err(|fault| failed(&fault))
}

fn destroy_pair(session: &Session, pair: &Found) -> Result<(), KeyStoreError> {
    let template = [label(&pair.stored.name), Attribute::Id(pair.id.clone())];
    let objects = session.find_objects(&template).map_err(|fault| failed(&fault))?;
    objects.into_iter().try_for_each(|object| session.destroy_object(object)).map_err(|fault| failed(&fault))
}

/// `None` for a key that is not ours.
fn read_pair(session: &Session, private: ObjectHandle) -> Result<Option<Found>, KeyStoreError> {
    let attributes = session.get_attributes(private, &[AttributeType::Label, AttributeType::Id]);
    let (mut label, mut id) = (Vec::new(), Vec::new());
    for attribute in attributes.map_err(|fault| failed(&fault))? {
        match attribute {
            Attribute::Label(found) => label = found,
            Attribute::Id(found) => id = found,
            _ => {}
        }
    }
    let name = String::from_utf8(label).ok();
    let name = name.as_deref().and_then(|name| name.strip_prefix(LABEL)).and_then(|name| KeyName::parse(name).ok());
    let (Some(name), true) = (name, id.len() == ID_LENGTH) else { return Ok(None) };
    let Some((curve, public)) = read_public(session, &id)? else { return Ok(None) };
    let mut seconds = [0; 8];
    seconds.iter_mut().zip(&id).for_each(|(to, from)| *to = *from);
    let created = Timestamp::from_seconds(i64::from_be_bytes(seconds));
    let stored = StoredKey { name, algorithm: curve.algorithm, public, class: KeyClass::Pkcs11, created };
    Ok(Some(Found { id, private, curve, stored }))
}

fn read_public(session: &Session, id: &[u8]) -> Result<Option<(Curve, PublicJwk)>, KeyStoreError> {
    let template = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(id.to_vec())];
    let Some(public) = session.find_objects(&template).map_err(|fault| failed(&fault))?.first().copied() else {
        return Ok(None);
    };
    let attributes = session.get_attributes(public, &[AttributeType::EcParams, AttributeType::EcPoint]);
    let (mut oid, mut point) = (Vec::new(), Vec::new());
    for attribute in attributes.map_err(|fault| failed(&fault))? {
        match attribute {
            Attribute::EcParams(found) => oid = found,
            Attribute::EcPoint(found) => point = found,
            _ => {}
        }
    }
    let curve = CURVES.into_iter().find(|curve| curve.oid == oid);
    Ok(curve.and_then(|curve| Some((curve, public_jwk(curve, &point)?))))
}

/// The point is an octet string in DER with 04, x and y in it (PKCS#11 §2.3.3); the last bytes are the coordinates.
fn public_jwk(curve: Curve, point: &[u8]) -> Option<PublicJwk> {
    let start = point.len().checked_sub(curve.length.checked_mul(2)?)?;
    let (head, coordinates) = point.split_at_checked(start)?;
    let (x, y) = coordinates.split_at_checked(curve.length)?;
    if head.last() != Some(&4) {
        return None;
    }
    let (name, x, y) = (curve.name, encode_base64url(x), encode_base64url(y));
    PublicJwk::parse(format!(r#"{{"kty":"EC","crv":"{name}","x":"{x}","y":"{y}"}}"#).as_bytes()).ok()
}

impl fmt::Debug for Pkcs11KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11KeyStore").field("device", &self.device).finish_non_exhaustive()
    }
}

impl fmt::Debug for DeviceSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceSigner").field("algorithm", &self.curve.algorithm).finish_non_exhaustive()
    }
}
