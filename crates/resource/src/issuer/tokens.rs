//! Tokens that verified before, found without hashing them for `ath` again.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use countersign_dpop::{Ath, ExpectedAth};
use quick_cache::sync::Cache;
use siphasher::sip128::SipHasher13;

use super::KnownToken;
use crate::token::AccessToken;

/// What a token is remembered by: 128 bits of a hash under a key of this memory's own. It takes a third of the time of
/// SHA-256, and like that one keeps no tokens in memory. Without the key nobody can look for a text with the tag of
/// another one's token.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
struct Tag(u128);

/// Verified tokens: bounded, least used ones out first.
pub(super) struct KnownTokens {
    cache: Cache<Tag, Arc<KnownToken>>,
    hasher: SipHasher13,
}

/// An access token as it was sent. It is hashed for `ath` only when somebody asks and it is not known.
pub(crate) struct SentToken<'a> {
    text: &'a str,
    tag: Tag,
    ath: ExpectedAth<'a>,
    known: Option<Arc<KnownToken>>,
}

impl KnownTokens {
    /// Remembers at most `tokens` tokens.
    pub(super) fn new(tokens: usize) -> Self {
        let random = RandomState::new();
        let key = [0_u8, 1].map(|half| random.hash_one(half));
        Self { cache: Cache::new(tokens), hasher: SipHasher13::new_with_keys(key[0], key[1]) }
    }

    /// What is known of a token that comes with a proof. The tag is enough to tell: the proof has to have the known
    /// token's `ath`, and its signature is one of the client that this token is bound to.
    pub(super) fn recognise<'a>(&self, text: &'a str) -> SentToken<'a> {
        let tag = self.tag(text);
        let known = self.cache.get(&tag);
        let ath = known.as_ref().map_or_else(|| ExpectedAth::of(text), |known| known.ath.into());
        SentToken { text, tag, ath, known }
    }

    /// What is known of a token that comes alone: it has to have the known token's SHA-256 too.
    pub(super) fn recognise_alone<'a>(&self, text: &'a str) -> SentToken<'a> {
        let (tag, ath) = (self.tag(text), Ath::of(text));
        let known = self.cache.get(&tag).filter(|known| known.ath == ath);
        SentToken { text, tag, ath: ath.into(), known }
    }

    pub(super) fn insert(&self, token: &SentToken<'_>, known: KnownToken) {
        self.cache.insert(token.tag, Arc::new(known));
    }

    pub(super) fn forget(&self, token: &SentToken<'_>) {
        self.cache.remove(&token.tag);
    }

    fn tag(&self, text: &str) -> Tag {
        Tag(self.hasher.hash(text.as_bytes()).as_u128())
    }
}

impl SentToken<'_> {
    pub(super) const fn text(&self) -> &str {
        self.text
    }

    /// Its hash, as a proof has to have it.
    pub(crate) const fn expected_ath(&self) -> &ExpectedAth<'_> {
        &self.ath
    }

    pub(super) fn ath(&self) -> &Ath {
        self.ath.get()
    }

    /// The token, if its signature verified before. Whether it is still good is not asked.
    pub(crate) fn remembered(&self) -> Option<Arc<AccessToken>> {
        self.known.as_ref().map(|known| Arc::clone(&known.token))
    }

    /// What is known of it from the time when its signature was verified.
    pub(super) const fn known(&self) -> Option<&Arc<KnownToken>> {
        self.known.as_ref()
    }
}

impl fmt::Debug for KnownTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownTokens").field("tokens", &self.cache.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use countersign_dpop::jose::{Jkt, JwkSet};

    use super::*;
    use crate::fetch::{Fetch, Offline};
    use crate::issuer::{Issuer, IssuerConfig};

    const NAME: &str = "https://issuer.example";

    /// A verified token, whatever its text.
    fn known(ath: Ath) -> KnownToken {
        let config = IssuerConfig::with_key_set(NAME, JwkSet::from_keys(Vec::new())).unwrap();
        let fetch: Arc<dyn Fetch> = Arc::new(Offline);
        let claims = serde_json::json!({ "aud": "https://api.example", "exp": 2_000_000_000 });
        let token = AccessToken::from_claims(&NAME.into(), claims.as_object().unwrap(), "{}".into()).unwrap();
        KnownToken {
            ath,
            token: Arc::new(token),
            issuer: Arc::new(Issuer::new(config, &fetch, &Arc::default())),
            signed_by: Jkt::from_bytes([7; 32]),
            keys: AtomicU64::new(1),
        }
    }

    #[test]
    fn knows_the_exact_text_only() {
        let tokens = KnownTokens::new(8);
        tokens.insert(&tokens.recognise("a.token"), known(Ath::of("a.token")));
        for sent in [tokens.recognise("a.token"), tokens.recognise_alone("a.token")] {
            assert!(sent.known().is_some() && sent.remembered().is_some());
            assert_eq!(sent.ath(), &Ath::of("a.token"));
        }
        for other in ["", "a.tokeN", "a.token ", "a.toke", "another.token"] {
            assert!(tokens.recognise(other).known().is_none() && tokens.recognise_alone(other).known().is_none());
            assert_eq!(tokens.recognise(other).ath(), &Ath::of(other));
        }
        tokens.forget(&tokens.recognise("a.token"));
        assert!(tokens.recognise("a.token").remembered().is_none());
    }

    #[test]
    fn hashes_no_token_before_somebody_asks() {
        let tokens = KnownTokens::new(8);
        let sent = tokens.recognise("a.token");
        assert_eq!(format!("{:?}", sent.expected_ath()), "ExpectedAth(None)");
        tokens.insert(&sent, known(Ath::of("a.token")));
        assert_ne!(format!("{:?}", tokens.recognise("a.token").expected_ath()), "ExpectedAth(None)");
    }

    /// What a text with the tag of another one would meet with, if anybody found one: the `ath` of the known token, and
    /// without a proof nothing.
    #[test]
    fn the_tag_alone_is_good_for_nothing() {
        let tokens = KnownTokens::new(8);
        tokens.insert(&tokens.recognise("same.tag"), known(Ath::of("a.token")));
        assert_eq!(tokens.recognise("same.tag").ath(), &Ath::of("a.token"));
        let alone = tokens.recognise_alone("same.tag");
        assert!(alone.known().is_none() && alone.ath() == &Ath::of("same.tag"));
    }

    #[test]
    fn every_memory_has_a_key_of_its_own() {
        let [one, other] = [KnownTokens::new(1), KnownTokens::new(1)];
        assert!(one.tag("a.token") == one.tag("a.token") && one.tag("a.token") != other.tag("a.token"));
    }
}
