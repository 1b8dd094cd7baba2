//! Tokens that verified before, found without hashing them for `ath` again.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use countersign_dpop::error::CredentialsError;
use countersign_dpop::headers::TokenText;
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
    sent: TokenText<'a>,
    tag: Tag,
    state: State<'a>,
}

enum State<'a> {
    Known(Arc<KnownToken>),
    /// Elsewhere, because of what is on its way through the checks every byte is moved many times.
    New(Box<ExpectedAth<'a>>),
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
    ///
    /// # Errors
    /// Unknown, and no `token68`.
    pub(super) fn recognise<'a>(&self, sent: TokenText<'a>) -> Result<SentToken<'a>, CredentialsError> {
        let tag = self.tag(sent.as_bytes());
        let state = match self.cache.get(&tag) {
            Some(known) => State::Known(known),
            None => State::New(Box::new(ExpectedAth::of(sent.read()?))),
        };
        Ok(SentToken { sent, tag, state })
    }

    pub(super) fn insert(&self, token: &SentToken<'_>, known: KnownToken) {
        self.cache.insert(token.tag, Arc::new(known));
    }

    pub(super) fn forget(&self, token: &SentToken<'_>) {
        self.cache.remove(&token.tag);
    }

    fn tag(&self, sent: &[u8]) -> Tag {
        Tag(self.hasher.hash(sent).as_u128())
    }
}

impl<'a> SentToken<'a> {
    /// The token when it comes alone: then it has to have the known token's SHA-256 too.
    pub(crate) fn alone(&self) -> Self {
        let ath = Ath::of(self.text());
        let state = match &self.state {
            State::Known(known) if *known.ath.get() == ath => State::Known(Arc::clone(known)),
            State::Known(_) | State::New(_) => State::New(Box::new(ath.into())),
        };
        Self { state, ..*self }
    }

    /// Its text, which was read when it came or when it came first.
    pub(super) fn text(&self) -> &'a str {
        self.sent.read_again().unwrap_or_default()
    }

    /// Its hash, as a proof has to have it.
    pub(crate) fn expected_ath(&self) -> &ExpectedAth<'a> {
        match &self.state {
            State::Known(known) => &known.ath,
            State::New(ath) => ath,
        }
    }

    pub(super) fn ath(&self) -> &Ath {
        self.expected_ath().get()
    }

    /// The token, if its signature verified before. Whether it is still good is not asked.
    pub(crate) fn remembered(&self) -> Option<Arc<AccessToken>> {
        self.known().map(|known| Arc::clone(&known.token))
    }

    /// What is known of it from the time when its signature was verified.
    pub(super) const fn known(&self) -> Option<&Arc<KnownToken>> {
        match &self.state {
            State::Known(known) => Some(known),
            State::New(_) => None,
        }
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
            ath: ath.into(),
            token: Arc::new(token),
            issuer: Arc::new(Issuer::new(config, &fetch, &Arc::default())),
            signed_by: Jkt::from_bytes([7; 32]),
            keys: AtomicU64::new(1),
        }
    }

    fn sent<'a>(tokens: &KnownTokens, text: &'a str) -> SentToken<'a> {
        tokens.recognise(TokenText::new(text.as_bytes())).unwrap()
    }

    #[test]
    fn knows_the_exact_text_only() {
        let tokens = KnownTokens::new(8);
        tokens.insert(&sent(&tokens, "a.token"), known(Ath::of("a.token")));
        for sent in [sent(&tokens, "a.token"), sent(&tokens, "a.token").alone()] {
            assert!(sent.known().is_some() && sent.remembered().is_some());
            assert_eq!(sent.ath(), &Ath::of("a.token"));
        }
        for other in ["a", "a.tokeN", "a.token=", "a.toke", "another.token"] {
            assert!(sent(&tokens, other).known().is_none() && sent(&tokens, other).alone().known().is_none());
            assert_eq!(sent(&tokens, other).ath(), &Ath::of(other));
        }
        tokens.forget(&sent(&tokens, "a.token"));
        assert!(sent(&tokens, "a.token").remembered().is_none());
    }

    #[test]
    fn refuses_what_is_no_token_though_others_are_known() {
        let tokens = KnownTokens::new(8);
        tokens.insert(&sent(&tokens, "a.token"), known(Ath::of("a.token")));
        for other in [&b""[..], b"a.token ", b"a.token,b", b"a.t\xf6ken", b"a.token\0"] {
            assert_eq!(
                tokens.recognise(TokenText::new(other)).err(),
                Some(CredentialsError::TokenMalformed),
                "{other:?}"
            );
        }
    }

    #[test]
    fn hashes_no_token_before_somebody_asks() {
        let tokens = KnownTokens::new(8);
        let unknown = sent(&tokens, "a.token");
        assert_eq!(format!("{:?}", unknown.expected_ath()), "ExpectedAth(None)");
        tokens.insert(&unknown, known(Ath::of("a.token")));
        assert_ne!(format!("{:?}", sent(&tokens, "a.token").expected_ath()), "ExpectedAth(None)");
    }

    /// What a text with the tag of another one would meet with, if anybody found one: the `ath` of the known token, and
    /// without a proof nothing.
    #[test]
    fn the_tag_alone_is_good_for_nothing() {
        let tokens = KnownTokens::new(8);
        tokens.insert(&sent(&tokens, "same.tag"), known(Ath::of("a.token")));
        assert_eq!(sent(&tokens, "same.tag").ath(), &Ath::of("a.token"));
        let alone = sent(&tokens, "same.tag").alone();
        assert!(alone.known().is_none() && alone.ath() == &Ath::of("same.tag"));
    }

    #[test]
    fn every_memory_has_a_key_of_its_own() {
        let [one, other] = [KnownTokens::new(1), KnownTokens::new(1)];
        assert!(one.tag(b"a.token") == one.tag(b"a.token") && one.tag(b"a.token") != other.tag(b"a.token"));
    }
}
