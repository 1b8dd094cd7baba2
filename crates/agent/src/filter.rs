//! Looking a program's output through for secrets that it cannot have by right.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use zeroize::Zeroizing;

use crate::door::scrub::Needles;

/// How every proof of ours begins: `{"typ":"dpop+jwt"` in base64url. Nobody writes that by chance.
const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dC";

/// Secrets that become known while output is looked through: tokens that replace others. Clones share them.
#[derive(Clone, Default)]
pub struct LaterSecrets(Arc<RwLock<Later>>);

#[derive(Default)]
struct Later {
    secrets: Vec<Zeroizing<String>>,
    /// How many have come.
    count: u64,
}

impl LaterSecrets {
    /// The most that are looked for: the newest.
    pub const CAPACITY: usize = 64;

    /// From now on `secret` is looked for.
    pub fn add(&self, secret: &str) {
        let mut later = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if later.secrets.iter().any(|known| known.as_str() == secret) {
            return;
        }
        if later.secrets.len() >= Self::CAPACITY {
            later.secrets.remove(0);
        }
        later.secrets.push(Zeroizing::new(secret.to_owned()));
        later.count = later.count.saturating_add(1);
    }

    /// All of them, when there are others than `count` of them have been.
    fn since(&self, count: u64) -> Option<(Vec<Zeroizing<String>>, u64)> {
        let later = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (later.count != count).then(|| (later.secrets.clone(), later.count))
    }
}

/// Keeps secrets back from what goes through, one for one in stars, and counts them. What could be the beginning of
/// one waits for what comes next.
pub struct OutputFilter {
    known: Vec<Zeroizing<String>>,
    later: LaterSecrets,
    /// How many of the later ones are among the needles.
    count: u64,
    needles: Needles,
    held: Vec<u8>,
    found: usize,
}

impl OutputFilter {
    /// Looks for these secrets, for those that come later, and for the beginning of any proof. Those of less than 16
    /// bytes are not looked for.
    pub fn new(secrets: &[Zeroizing<String>], later: LaterSecrets) -> Self {
        let proof = Zeroizing::new(PROOF.to_owned());
        let known: Vec<_> = secrets.iter().cloned().chain([proof]).collect();
        Self { needles: Needles::new(&known), known, later, count: 0, held: Vec::new(), found: 0 }
    }

    /// Takes what was written, and gives back what may be shown now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if let Some((mut secrets, count)) = self.later.since(self.count) {
            secrets.extend(self.known.iter().cloned());
            (self.needles, self.count) = (Needles::new(&secrets), count);
        }
        self.held.extend_from_slice(bytes);
        self.found = self.found.saturating_add(self.needles.mask(&mut self.held));
        let ready = self.held.len().saturating_sub(self.needles.tail(&self.held));
        let kept = self.held.split_off(ready);
        std::mem::replace(&mut self.held, kept)
    }

    /// Nothing more comes: gives back what was held back.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// How many secrets were kept back.
    pub const fn found(&self) -> usize {
        self.found
    }
}

impl fmt::Debug for LaterSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LaterSecrets")
    }
}

impl fmt::Debug for OutputFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputFilter").field("found", &self.found).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_secrets_back_however_they_come() {
        let secret = "canary-canary-canary";
        let text = format!("a {secret} b {PROOF}rest c");
        for size in [1, 2, 7, text.len()] {
            let mut filter = OutputFilter::new(&[Zeroizing::new(secret.to_owned())], LaterSecrets::default());
            let mut shown: Vec<u8> = text.as_bytes().chunks(size).flat_map(|chunk| filter.push(chunk)).collect();
            shown.extend(filter.finish());
            let expected = format!("a {} b {}rest c", "*".repeat(secret.len()), "*".repeat(PROOF.len()));
            assert_eq!((String::from_utf8(shown).expect("text"), filter.found()), (expected, 2), "by {size}");
        }
    }

    #[test]
    fn keeps_back_what_becomes_known_on_the_way() {
        let later = LaterSecrets::default();
        let mut filter = OutputFilter::new(&[Zeroizing::new("canary-known-before".to_owned())], later.clone());
        assert_eq!(filter.push(b"canary-known-later-1 "), b"canary-known-later-1 ");
        later.add("canary-known-later-1");
        assert_eq!(filter.push(b"canary-known-"), b"");
        later.add("canary-known-later-2");
        let shown = filter.push(b"later-2 canary-known-later-1 canary-known-before.");
        let stars = |count| "*".repeat(count);
        assert_eq!(String::from_utf8(shown), Ok(format!("{} {} {}.", stars(20), stars(20), stars(19))));
        assert_eq!(filter.found(), 3);
        for number in 0..100 {
            later.add(&format!("canary-of-a-number-{number}"));
        }
        assert_eq!(filter.push(b"canary-of-a-number-99."), format!("{}.", stars(21)).as_bytes());
        assert!(!format!("{later:?} {filter:?}").contains("canary"));
    }

    #[test]
    fn every_proof_begins_as_it_should() {
        let signer = countersign_dpop::jose::SoftwareKey::generate(countersign_dpop::jose::Algorithm::Es256);
        let maker = countersign_dpop::ProofMaker::new(Arc::new(signer.expect("a key")));
        let request =
            countersign_dpop::ProofRequest { method: "GET", url: "https://a.example/", token: None, nonce: None };
        let made = std::pin::pin!(maker.make(&request, countersign_dpop::time::Timestamp::from_seconds(1_000)));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let std::task::Poll::Ready(proof) = made.poll(&mut context) else { panic!("a key in memory answers at once") };
        assert!(proof.expect("a proof").starts_with(PROOF));
    }
}
