//! Verifying: an engine decides, the library stands behind it and looks on.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::engine::Engine;
use crate::key::{PreparedKey, PublicKey, Tier};
use crate::library;
use crate::signature::{Question, SIGNATURE_LENGTH};

/// What is said of a signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Verdict {
    /// The signature is the key's over the message.
    Accepted,
    /// It is not.
    Refused,
}

impl Verdict {
    /// True for [`Verdict::Accepted`].
    pub fn is_accepted(self) -> bool {
        self == Self::Accepted
    }

    fn from_accepted(accepted: bool) -> Self {
        if accepted { Self::Accepted } else { Self::Refused }
    }
}

/// Of how many verdicts of an engine one is checked by the library. 1 checks all, 0 none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sampling {
    /// Of accepted signatures, one in this many.
    pub accepted: u32,
    /// Of refused signatures, one in this many.
    pub refused: u32,
}

impl Default for Sampling {
    /// One accepted of 1,024, one refused of 64.
    fn default() -> Self {
        Self { accepted: 1_024, refused: 64 }
    }
}

/// An engine and the library disagreed: a defect of this crate, or of the machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Disagreement {
    /// Whose verdict the library did not share.
    pub engine: Engine,
    /// That verdict. The library's was the other, and was given.
    pub verdict: Verdict,
    /// The key.
    pub key: PublicKey,
    /// The message's SHA-256 hash.
    pub hash: [u8; 32],
    /// The signature.
    pub signature: [u8; SIGNATURE_LENGTH],
}

impl fmt::Display for Disagreement {
    /// All that is needed to see it again: who said what, and key, hash and signature in hexadecimal digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (said, right) = match self.verdict {
            Verdict::Accepted => ("accepted", "refuses"),
            Verdict::Refused => ("refused", "accepts"),
        };
        write!(formatter, "{} {said} what aws-lc-rs {right}", self.engine)?;
        for (name, bytes) in
            [(": key ", &self.key.uncompressed()[..]), (", hash ", &self.hash), (", signature ", &self.signature)]
        {
            formatter.write_str(name)?;
            bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))?;
        }
        Ok(())
    }
}

/// How often the library had to work since the verifier was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counts {
    /// Cases that an engine could not decide.
    pub undecided: u64,
    /// Verdicts of an engine that were checked.
    pub sampled: u64,
    /// Verdicts that were wrong, by the library.
    pub disagreements: u64,
}

/// Switches off every engine but the library, for all verifiers that hold it, and for good.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    lost: AtomicBool,
}

/// The process's.
static TRUST: Trust = Trust { lost: AtomicBool::new(false) };

/// Verifies ES256 signatures by keys with tables. Share one in a process.
pub struct Verifier {
    engine: Engine,
    sampling: Sampling,
    secret: RandomState,
    trust: &'static Trust,
    undecided: AtomicU64,
    sampled: AtomicU64,
    disagreements: AtomicU64,
    on_disagreement: Box<dyn Fn(&Disagreement) + Send + Sync>,
    #[cfg(feature = "fault-injection")]
    lies: bool,
}

impl Verifier {
    /// A verifier that works by `engine`, or by the best that this machine has if that one is not trusted here.
    pub fn new(engine: Engine) -> Self {
        Self {
            engine: if engine.is_trusted() { engine } else { Engine::best() },
            sampling: Sampling::default(),
            secret: RandomState::new(),
            trust: &TRUST,
            undecided: AtomicU64::new(0),
            sampled: AtomicU64::new(0),
            disagreements: AtomicU64::new(0),
            on_disagreement: Box::new(|_| {}),
            #[cfg(feature = "fault-injection")]
            lies: false,
        }
    }

    /// A verifier whose engine says the opposite of what it finds, for tests of what its owner does then. The trust that
    /// it loses is its own, not the process's.
    #[cfg(feature = "fault-injection")]
    pub fn lying(engine: Engine) -> Self {
        Self { lies: true, trust: Box::leak(Box::default()), ..Self::new(engine) }
    }

    /// The same, checking other shares of the verdicts.
    #[must_use]
    pub fn with_sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// The same, telling `owner` of every disagreement, on the thread that met it.
    #[must_use]
    pub fn on_disagreement(mut self, owner: impl Fn(&Disagreement) + Send + Sync + 'static) -> Self {
        self.on_disagreement = Box::new(owner);
        self
    }

    /// Who decides now: the library from the first disagreement in this process on.
    pub fn engine(&self) -> Engine {
        if self.trust.lost.load(Ordering::Relaxed) { Engine::Library } else { self.engine }
    }

    /// How often the library had to work.
    pub fn counts(&self) -> Counts {
        Counts {
            undecided: self.undecided.load(Ordering::Relaxed),
            sampled: self.sampled.load(Ordering::Relaxed),
            disagreements: self.disagreements.load(Ordering::Relaxed),
        }
    }

    /// The key with a small table for this verifier's engine.
    pub fn prepare(&self, key: &PublicKey) -> PreparedKey {
        PreparedKey::with(key, self.engine(), Tier::Small)
    }

    /// Whether `signature` (r and s, 64 bytes) is `key`'s over `message`, by ECDSA on P-256 with SHA-256.
    pub fn verify(&self, key: &PreparedKey, message: &[u8], signature: &[u8]) -> Verdict {
        self.verify_hash(key, &library::sha256(message), signature)
    }

    /// As [`Self::verify`], for the message with this SHA-256 hash.
    pub fn verify_hash(&self, key: &PreparedKey, hash: &[u8; 32], signature: &[u8]) -> Verdict {
        self.verify_by(key, hash, signature, PreparedKey::decide)
    }

    #[inline]
    fn verify_by(
        &self,
        key: &PreparedKey,
        hash: &[u8; 32],
        signature: &[u8],
        decide: impl Fn(&PreparedKey, &Question) -> Option<bool>,
    ) -> Verdict {
        let by_library = || Verdict::from_accepted(key.decide_by_library(hash, signature));
        // No engine, this crate's or the library's, takes what is not even read: lengths and bounds.
        let Some(question) = Question::read(hash, signature) else { return Verdict::Refused };
        if self.engine() == Engine::Library || key.engine() == Engine::Library {
            return by_library();
        }
        let Some(accepted) = decide(key, &question) else {
            self.undecided.fetch_add(1, Ordering::Relaxed);
            return by_library();
        };
        #[cfg(feature = "fault-injection")]
        let accepted = accepted ^ self.lies;
        let verdict = Verdict::from_accepted(accepted);
        if !self.is_sampled(verdict, hash, &question) {
            return verdict;
        }
        self.sampled.fetch_add(1, Ordering::Relaxed);
        let right = by_library();
        if right != verdict {
            self.disagree(verdict, key, hash, signature);
        }
        right
    }

    /// By a hash with a secret of the verifier, so that nobody can make signatures that are never checked.
    fn is_sampled(&self, verdict: Verdict, hash: &[u8; 32], question: &Question) -> bool {
        let share = match verdict {
            Verdict::Accepted => self.sampling.accepted,
            Verdict::Refused => self.sampling.refused,
        };
        match share {
            0 => false,
            1 => true,
            share => self.secret.hash_one((&hash[..8], question.s.0[0])).is_multiple_of(u64::from(share)),
        }
    }

    #[cold]
    fn disagree(&self, verdict: Verdict, key: &PreparedKey, hash: &[u8; 32], signature: &[u8]) {
        self.trust.lost.store(true, Ordering::Relaxed);
        self.disagreements.fetch_add(1, Ordering::Relaxed);
        let mut copy = [0; SIGNATURE_LENGTH];
        if signature.len() == copy.len() {
            copy.copy_from_slice(signature);
        }
        let found = Disagreement { engine: key.engine(), verdict, key: *key.public(), hash: *hash, signature: copy };
        (self.on_disagreement)(&found);
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Verifier");
        shown.field("engine", &self.engine()).field("sampling", &self.sampling).field("counts", &self.counts());
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    use super::{Counts, Disagreement, Sampling, Trust, Verdict, Verifier};
    use crate::engine::Engine;
    use crate::key::{PreparedKey, PublicKey, Tier};
    use crate::library::sha256;

    const MESSAGE: &[u8] = b"message";
    const ALL: Sampling = Sampling { accepted: 1, refused: 1 };
    const NONE: Sampling = Sampling { accepted: 0, refused: 0 };

    /// With a trust of its own, so that losing it does not switch off the engines of other tests.
    fn verifier(sampling: Sampling) -> Verifier {
        let trust = Box::leak(Box::new(Trust::default()));
        Verifier { trust, ..Verifier::new(Engine::Portable).with_sampling(sampling) }
    }

    fn signed() -> (PreparedKey, [u8; 64]) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let public = PublicKey::from_coordinates(x.try_into().unwrap(), y.try_into().unwrap()).unwrap();
        let signature = pair.sign(&SystemRandom::new(), MESSAGE).unwrap();
        (PreparedKey::with(&public, Engine::Portable, Tier::Small), signature.as_ref().try_into().unwrap())
    }

    #[test]
    fn accepts_what_is_signed_and_refuses_what_is_not() {
        let (key, signature) = signed();
        let verifier = verifier(NONE);
        for key in [key.grown(), PreparedKey::with(key.public(), Engine::Library, Tier::Small), key] {
            assert_eq!(verifier.verify(&key, MESSAGE, &signature), Verdict::Accepted);
            assert_eq!(verifier.verify_hash(&key, &sha256(MESSAGE), &signature), Verdict::Accepted);
            assert_eq!(verifier.verify(&key, b"another", &signature), Verdict::Refused);
            for length in (0..64).chain([65, 72]) {
                let mut other = signature.to_vec();
                other.resize(length, 0);
                assert_eq!(verifier.verify(&key, MESSAGE, &other), Verdict::Refused, "{length}");
            }
        }
        assert_eq!(verifier.counts(), Counts::default());
    }

    #[test]
    fn says_how_much_memory_a_key_takes() {
        let (key, _) = signed();
        assert!((4_096..4_608).contains(&key.size()), "{}", key.size());
        let hot = key.grown();
        assert_eq!((key.tier(), hot.tier(), hot.engine()), (Tier::Small, Tier::Hot, Engine::Portable));
        assert!((32_768..33_280).contains(&hot.size()), "{}", hot.size());
        assert!(PreparedKey::with(key.public(), Engine::Library, Tier::Small).size() < 512);
        let shown = format!("{key:?}");
        assert!(shown.contains("Small") && shown.len() < 400, "no table in it: {shown}");
    }

    #[test]
    fn checks_the_shares_that_were_asked_for() {
        let (key, signature) = signed();
        let wrong = sha256(b"another");
        let count = |sampling: Sampling| {
            let verifier = verifier(sampling);
            for number in 0_u32..2_000 {
                let mut hash = wrong;
                hash[..4].copy_from_slice(&number.to_be_bytes());
                let _ = verifier.verify_by(&key, &hash, &signature, |_, _| Some(false));
            }
            verifier.counts().sampled
        };
        assert_eq!(count(Sampling { accepted: 1, refused: 0 }), 0);
        assert_eq!(count(Sampling { accepted: 0, refused: 1 }), 2_000);
        let sampled = count(Sampling { accepted: 1, refused: 8 });
        assert!((150..350).contains(&sampled), "about one in eight: {sampled}");
        assert_eq!(Sampling::default(), Sampling { accepted: 1_024, refused: 64 });
    }

    #[test]
    fn gives_to_the_library_what_the_engine_cannot_decide() {
        let (key, signature) = signed();
        let verifier = verifier(NONE);
        assert_eq!(verifier.verify_by(&key, &sha256(MESSAGE), &signature, |_, _| None), Verdict::Accepted);
        assert_eq!(verifier.verify_by(&key, &sha256(b"another"), &signature, |_, _| None), Verdict::Refused);
        assert_eq!(verifier.counts(), Counts { undecided: 2, ..Counts::default() });
        assert_eq!(verifier.engine(), Engine::Portable);
    }

    #[test]
    fn one_disagreement_switches_the_engine_off_and_tells_the_owner() {
        let (key, signature) = signed();
        for (says, message, right) in [(true, &b"another"[..], Verdict::Refused), (false, MESSAGE, Verdict::Accepted)] {
            let told = Arc::new(Mutex::new(Vec::<Disagreement>::new()));
            let owner = Arc::clone(&told);
            let verifier = verifier(ALL).on_disagreement(move |found| owner.lock().unwrap().push(*found));
            let asked = AtomicUsize::new(0);
            let verify = || {
                verifier.verify_by(&key, &sha256(message), &signature, |_, _| {
                    asked.fetch_add(1, Ordering::Relaxed);
                    Some(says)
                })
            };
            assert_eq!(verify(), right, "the library's verdict is given");
            assert_eq!(verifier.engine(), Engine::Library);
            assert_eq!(verify(), right);
            assert_eq!(asked.load(Ordering::Relaxed), 1, "the engine is not asked again");
            assert_eq!(verifier.counts(), Counts { undecided: 0, sampled: 1, disagreements: 1 });
            let told = told.lock().unwrap();
            let [found] = told.as_slice() else { panic!("told once: {told:?}") };
            assert_eq!((found.engine, found.verdict.is_accepted()), (Engine::Portable, says));
            assert_eq!((found.key, found.hash, found.signature), (*key.public(), sha256(message), signature));
            let shown = found.to_string();
            let begins =
                if says { "portable accepted what aws-lc-rs refuses: key 04" } else { "portable refused what" };
            assert!(shown.starts_with(begins) && shown.len() > 2 * (65 + 32 + 64), "{shown}");
        }
    }

    #[test]
    fn trust_lost_by_one_verifier_is_lost_for_all_that_share_it() {
        let (key, signature) = signed();
        let first = verifier(ALL);
        let second = Verifier { trust: first.trust, ..verifier(NONE) };
        assert_eq!(second.engine(), Engine::Portable);
        let _ = first.verify_by(&key, &sha256(MESSAGE), &signature, |_, _| Some(false));
        assert_eq!(second.engine(), Engine::Library);
        assert_eq!(second.verify(&key, MESSAGE, &signature), Verdict::Accepted);
        assert_eq!(second.prepare(key.public()).engine(), Engine::Library, "no table is built in vain");
    }

    #[test]
    fn engines_have_names() {
        for engine in Engine::ALL {
            assert_eq!(Engine::named(engine.name()), Some(engine));
            assert_eq!(Verifier::new(engine).engine() == engine, engine.is_available());
            assert_eq!(Engine::usable(engine.name()), Ok(engine), "tests run every engine");
        }
        assert_eq!(Engine::named("fastest"), None);
        let refused = Engine::usable("fastest").unwrap_err().to_string();
        assert_eq!(refused, "\"fastest\" is no ES256 engine; there are library, portable, ifma");
    }

    #[cfg(feature = "fault-injection")]
    #[test]
    fn a_liar_is_found_out_and_nobody_else_suffers() {
        let (key, signature) = signed();
        let liar = Verifier::lying(Engine::Portable).with_sampling(NONE);
        assert_eq!(liar.verify(&key, MESSAGE, &signature), Verdict::Refused, "nobody looks");
        let liar = Verifier::lying(Engine::Portable).with_sampling(ALL);
        assert_eq!(liar.verify(&key, MESSAGE, &signature), Verdict::Accepted);
        assert_eq!((liar.engine(), liar.counts().disagreements), (Engine::Library, 1));
        assert_eq!(Verifier::new(Engine::Portable).engine(), Engine::Portable);
    }
}
