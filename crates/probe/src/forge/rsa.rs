//! RSA signatures (RFC 8017 §8) by any key and with any fault. Everything is deterministic, the salt included.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use super::big;
use crate::forge::RsaForm;

/// A private key as numbers.
pub(super) struct RsaNumbers {
    pub(super) n: Vec<u8>,
    pub(super) d: Vec<u8>,
}

impl RsaNumbers {
    /// Signs `message` in `form`; `usual` is what [`RsaForm::ModulusAdded`] starts from.
    pub(super) fn sign(&self, message: &[u8], usual: RsaForm, form: RsaForm) -> Vec<u8> {
        let encoded = match form {
            RsaForm::Rs256 => self.pkcs1(&[SHA256_WITH_NULL, &hash(message)].concat()),
            RsaForm::Pkcs1WithoutNull => self.pkcs1(&[SHA256_WITHOUT_NULL, &hash(message)].concat()),
            RsaForm::Ps256 => self.pss(message, 32, &SHA256),
            RsaForm::PssSalt(length) => self.pss(message, length, &SHA256),
            RsaForm::PssSha1Mask => self.pss(message, 32, &SHA1_FOR_LEGACY_USE_ONLY),
            RsaForm::ModulusAdded => {
                let right = self.sign(message, usual, usual);
                return big::add(&right, &self.n, self.n.len());
            }
        };
        big::pow_mod(&encoded, &self.d, &self.n)
    }

    /// EMSA-PKCS1-v1_5 (§9.2).
    fn pkcs1(&self, digest_info: &[u8]) -> Vec<u8> {
        let mut encoded = vec![0xff; self.n.len().saturating_sub(digest_info.len())];
        if let [first, second, .., last] = encoded.as_mut_slice() {
            (*first, *second, *last) = (0, 1, 0);
        }
        encoded.extend_from_slice(digest_info);
        encoded
    }

    /// EMSA-PSS (§9.1) with SHA-256 for the message and `mask_hash` in MGF1.
    fn pss(&self, message: &[u8], salt_length: usize, mask_hash: &'static Algorithm) -> Vec<u8> {
        let bits = self.n.len() * 8 - self.n.first().map_or(0, |byte| byte.leading_zeros() as usize) - 1;
        let length = bits.div_ceil(8);
        let salt: Vec<u8> = hash(b"countersign forge salt").into_iter().cycle().take(salt_length).collect();
        let mark = hash(&[&[0; 8], hash(message).as_slice(), &salt].concat());
        let mut block = vec![0; length - mark.len() - 1 - salt.len() - 1];
        block.push(1);
        block.extend_from_slice(&salt);
        for (byte, mask) in block.iter_mut().zip(mgf1(&mark, length, mask_hash)) {
            *byte ^= mask;
        }
        block[0] &= 0xff >> (length * 8 - bits);
        block.extend_from_slice(&mark);
        block.push(0xbc);
        let mut encoded = vec![0; self.n.len() - length];
        encoded.extend_from_slice(&block);
        encoded
    }
}

/// `DigestInfo` of SHA-256 up to the hash (§9.2, note 1).
const SHA256_WITH_NULL: &[u8] =
    &[0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];
/// The same without the NULL that stands for no parameters.
const SHA256_WITHOUT_NULL: &[u8] =
    &[0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x04, 0x20];

fn mgf1(seed: &[u8], length: usize, mask_hash: &'static Algorithm) -> Vec<u8> {
    let mut mask = Vec::new();
    for counter in 0_u32.. {
        if mask.len() >= length {
            break;
        }
        mask.extend_from_slice(digest(mask_hash, &[seed, &counter.to_be_bytes()].concat()).as_ref());
    }
    mask
}

fn hash(message: &[u8]) -> Vec<u8> {
    digest(&SHA256, message).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents,
    };

    use super::*;
    use crate::forge::{ForgeKey, SignatureForm};

    #[test]
    fn right_signatures_verify_and_faulty_ones_do_not() {
        use RsaForm::{ModulusAdded, Pkcs1WithoutNull, Ps256, PssSalt, PssSha1Mask, Rs256};
        for (form, parameters, good) in [
            (Rs256, &RSA_PKCS1_2048_8192_SHA256, true),
            (Ps256, &RSA_PSS_2048_8192_SHA256, true),
            (PssSalt(32), &RSA_PSS_2048_8192_SHA256, true),
            (PssSalt(20), &RSA_PSS_2048_8192_SHA256, false),
            (PssSha1Mask, &RSA_PSS_2048_8192_SHA256, false),
            (Pkcs1WithoutNull, &RSA_PKCS1_2048_8192_SHA256, false),
            (ModulusAdded, &RSA_PKCS1_2048_8192_SHA256, false),
        ] {
            assert_eq!(verifies(form, parameters), good, "{form:?}");
        }
    }

    fn verifies(form: RsaForm, parameters: &'static RsaParameters) -> bool {
        let key = ForgeKey::named("rs256").unwrap();
        let signature = key.sign(b"message", &SignatureForm::Rsa(form), "").unwrap();
        assert_eq!(signature.len(), 256);
        let (n, e) = key.rsa_public().unwrap();
        RsaPublicKeyComponents { n, e }.verify(parameters, b"message", &signature).is_ok()
    }
}
