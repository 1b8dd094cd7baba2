//! Looking a program's output through for secrets that it cannot have by right.

use std::fmt;

use zeroize::Zeroizing;

use crate::door::scrub::Needles;

/// How every proof of ours begins: `{"typ":"dpop+jwt"` in base64url. Nobody writes that by chance.
const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dC";

/// Keeps secrets back from what goes through, one for one in stars, and counts them. What could be the beginning of
/// one waits for what comes next.
pub struct OutputFilter {
    needles: Needles,
    held: Vec<u8>,
    found: usize,
}

impl OutputFilter {
    /// Looks for these secrets, and for the beginning of any proof. Those of less than 16 bytes are not looked for.
    pub fn new(secrets: &[Zeroizing<String>]) -> Self {
        let proof = Zeroizing::new(PROOF.to_owned());
        let all: Vec<_> = secrets.iter().cloned().chain([proof]).collect();
        Self { needles: Needles::new(&all), held: Vec::new(), found: 0 }
    }

    /// Takes what was written, and gives back what may be shown now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
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
            let mut filter = OutputFilter::new(&[Zeroizing::new(secret.to_owned())]);
            let mut shown: Vec<u8> = text.as_bytes().chunks(size).flat_map(|chunk| filter.push(chunk)).collect();
            shown.extend(filter.finish());
            let expected = format!("a {} b {}rest c", "*".repeat(secret.len()), "*".repeat(PROOF.len()));
            assert_eq!((String::from_utf8(shown).expect("text"), filter.found()), (expected, 2), "by {size}");
        }
    }

    #[test]
    fn every_proof_begins_as_it_should() {
        let signer = countersign_dpop::jose::SoftwareKey::generate(countersign_dpop::jose::Algorithm::Es256);
        let maker = countersign_dpop::ProofMaker::new(std::sync::Arc::new(signer.expect("a key")));
        let request =
            countersign_dpop::ProofRequest { method: "GET", url: "https://a.example/", token: None, nonce: None };
        let made = std::pin::pin!(maker.make(&request, countersign_dpop::time::Timestamp::from_seconds(1_000)));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let std::task::Poll::Ready(proof) = made.poll(&mut context) else { panic!("a key in memory answers at once") };
        assert!(proof.expect("a proof").starts_with(PROOF));
    }
}
