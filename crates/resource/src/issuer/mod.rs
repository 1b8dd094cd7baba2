//! Trusted issuers, their keys, and the access tokens they signed.

mod config;
mod counters;
mod discovery;
mod introspection;
mod keys;
mod tokens;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use countersign_dpop::error::{CredentialsError, TokenError};
use countersign_dpop::headers::TokenText;
use countersign_dpop::jose::{Algorithms, Jkt};
use countersign_dpop::time::Timestamp;
use countersign_dpop::{Ath, ExpectedAth};
use futures_util::future::join_all;

pub(crate) use self::config::media_subtype;
pub use self::config::{IssuerConfig, IssuerConfigError};
use self::counters::Counters;
pub use self::counters::{IssuerCounts, LookupCounts, TryCounts};
pub use self::discovery::KeysError;
use self::introspection::{Answer, Introspector};
pub use self::introspection::{INTROSPECTION_CACHE, Introspection, IntrospectionCredential, MAX_INTROSPECTIONS};
use self::keys::IssuerKeys;
pub(crate) use self::keys::KeySnapshot;
pub use self::keys::{MAX_BACKOFF, RENEW_KEYS_AFTER, STALE_KEYS_FOR, UNKNOWN_KEY_FLOOR};
use self::tokens::KnownTokens;
pub(crate) use self::tokens::SentToken;
use crate::fetch::Fetch;
use crate::table::Tables;
use crate::token::{AccessToken, JwtLimits, TokenCache, UnverifiedToken};

/// The issuers that a resource trusts, with their keys and the tokens seen. Cheap to clone; clones share
/// everything, so several resources of one process can use one.
#[derive(Clone, Debug)]
pub struct Issuers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    issuers: HashMap<String, Arc<Issuer>>,
    /// In the order of the configuration.
    names: Vec<String>,
    limits: JwtLimits,
    counters: Arc<Counters>,
    tokens: KnownTokens,
    /// Tokens whose signature did not verify, with the serial of the keys that said so.
    forged: TokenCache<u64>,
}

#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) name: Arc<str>,
    pub(crate) algorithms: Algorithms,
    pub(crate) types: Vec<String>,
    audiences: Vec<String>,
    keys: IssuerKeys,
    introspector: Option<Introspector>,
}

/// A token whose signature verified with a key that its issuer had at that time. What it shares with other tokens is not
/// counted at each request: processors would take turns at the counters.
#[derive(Debug)]
struct KnownToken {
    ath: ExpectedAth<'static>,
    token: Arc<AccessToken>,
    issuer: Arc<Issuer>,
    signed_by: Jkt,
    /// The serial of the keys that the key was last found among.
    keys: AtomicU64,
}

/// An issuer whose tokens cannot be judged at present.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MissingKeys {
    /// The issuer.
    pub issuer: String,
    /// Why there are no keys.
    pub fault: KeysError,
}

impl Issuers {
    /// How many verified tokens are remembered.
    pub const TOKENS: usize = 16_384;
    /// How many tokens with a bad signature are remembered.
    pub const FORGED_TOKENS: usize = 1_024;

    /// Trusts `issuers`; keys and metadata that are not in the configuration come through `fetch`. Nothing is
    /// fetched yet, so an issuer that is away stops nothing.
    ///
    /// # Errors
    /// [`IssuerConfigError::None`] or [`IssuerConfigError::Repeated`].
    pub fn new(issuers: Vec<IssuerConfig>, fetch: &Arc<dyn Fetch>) -> Result<Self, IssuerConfigError> {
        Self::counting(issuers, fetch, Arc::default())
    }

    fn counting(
        issuers: Vec<IssuerConfig>,
        fetch: &Arc<dyn Fetch>,
        counters: Arc<Counters>,
    ) -> Result<Self, IssuerConfigError> {
        let mut by_name = HashMap::new();
        let mut names = Vec::new();
        for config in issuers {
            let name = config.issuer.clone();
            if by_name.insert(name.clone(), Arc::new(Issuer::new(config, fetch, &counters))).is_some() {
                return Err(IssuerConfigError::Repeated { issuer: name });
            }
            names.push(name);
        }
        if names.is_empty() {
            return Err(IssuerConfigError::None);
        }
        Ok(Self {
            inner: Arc::new(Inner {
                issuers: by_name,
                names,
                limits: JwtLimits::default(),
                counters,
                tokens: KnownTokens::new(Self::TOKENS),
                forged: TokenCache::new(Self::FORGED_TOKENS),
            }),
        })
    }

    /// Trusts `issuers` instead, as after a change of the configuration. What was fetched of an issuer whose keys are
    /// to be had in the same place stays; tokens are read anew. Counts go on.
    ///
    /// # Errors
    /// As [`Issuers::new`].
    pub fn replaced_by(&self, issuers: Vec<IssuerConfig>, fetch: &Arc<dyn Fetch>) -> Result<Self, IssuerConfigError> {
        let mut replaced = Self::counting(issuers, fetch, Arc::clone(&self.inner.counters))?;
        if let Some(inner) = Arc::get_mut(&mut replaced.inner) {
            for (name, issuer) in &mut inner.issuers {
                let before = self.inner.issuers.get(name).filter(|before| before.keys.is_like(&issuer.keys));
                if let (Some(before), Some(issuer)) = (before, Arc::get_mut(issuer)) {
                    issuer.keys = before.keys.clone();
                }
            }
        }
        Ok(replaced)
    }

    /// The issuer identifiers, in the order of the configuration.
    pub fn names(&self) -> &[String] {
        &self.inner.names
    }

    /// Fetches what is missing or about to age, every issuer at once. A task in the background that calls this
    /// every few seconds spares requests the waiting and makes `readiness` true without any.
    pub async fn renew(&self, now: Timestamp) {
        join_all(self.inner.issuers.values().map(|issuer| issuer.renew(now))).await;
    }

    /// The issuers whose tokens cannot be judged at `now`, and why. Empty when all is well.
    pub fn readiness(&self, now: Timestamp) -> Vec<MissingKeys> {
        let missing = |name: &String| {
            let fault = self.inner.issuers.get(name)?.missing(now)?;
            Some(MissingKeys { issuer: name.clone(), fault })
        };
        self.inner.names.iter().filter_map(missing).collect()
    }

    /// What was found in memory, and what had to be asked for.
    pub fn counts(&self) -> IssuerCounts {
        self.inner.counters.read()
    }

    /// What is known of a token that comes with a proof.
    ///
    /// # Errors
    /// Unknown, and no `token68`.
    pub(crate) fn recognise<'a>(&self, token: TokenText<'a>) -> Result<SentToken<'a>, CredentialsError> {
        self.inner.tokens.recognise(token)
    }

    /// Reads and judges an access token. Everything that can change between two requests (time, audience, the issuer's
    /// keys) is judged at each; parsing and the signature once per token.
    pub(crate) async fn read(&self, presented: Presented<'_>) -> TokenResult {
        match self.known(&presented)? {
            Some(token) => Ok(token),
            // In a box, so that requests with known tokens do not carry the room that asking takes.
            None => Box::pin(self.read_by_asking(presented)).await,
        }
    }

    /// The token, if it is known and so are the issuer's keys of now.
    fn known(&self, presented: &Presented<'_>) -> Result<Option<Arc<AccessToken>>, TokenError> {
        let Some(known) = presented.token.known() else {
            return Ok(None);
        };
        known.issuer.judge(&known.token, presented.audience, presented.now)?;
        if !known.issuer.keys.are_current(known.keys.load(Ordering::Relaxed), presented.now) {
            return Ok(None);
        }
        self.inner.counters.known();
        Ok(Some(Arc::clone(&known.token)))
    }

    async fn read_by_asking(&self, presented: Presented<'_>) -> TokenResult {
        if let Some(known) = presented.token.known() {
            let keys = known.issuer.keys.current(presented.now).await.map_err(|fault| unavailable(&fault))?;
            if keys.holds(&known.signed_by) {
                self.inner.counters.tokens.hit();
                known.keys.store(keys.serial(), Ordering::Relaxed);
                return Ok(Arc::clone(&known.token));
            }
            self.inner.tokens.forget(presented.token);
        }
        self.read_new(presented).await
    }

    async fn read_new(&self, presented: Presented<'_>) -> TokenResult {
        let Presented { token, audience, now, .. } = presented;
        let unverified = match UnverifiedToken::parse(token.text(), self.inner.limits) {
            Ok(unverified) => unverified,
            Err(fault) => return self.ask_about(presented).await.unwrap_or(Err(fault)),
        };
        let issuer = self.issuer(unverified.issuer()?)?;
        if issuer.introspector.is_some() {
            return issuer.ask(token, audience, now).await;
        }
        self.inner.counters.tokens.miss();
        let claims = unverified.claims(issuer)?;
        issuer.judge(&claims, audience, now)?;
        let algorithm = unverified.algorithm(issuer)?;
        let mut keys = issuer.keys.current(now).await.map_err(|fault| unavailable(&fault))?;
        if keys.candidates(unverified.kid(), algorithm).next().is_none() {
            keys = issuer.keys.newer(&keys, now).await.unwrap_or(keys);
        }
        self.verify(&presented, &unverified, claims, issuer, &keys)
    }

    /// The token with these claims, if one of `keys` signed it.
    fn verify(
        &self,
        presented: &Presented<'_>,
        unverified: &UnverifiedToken<'_>,
        claims: AccessToken,
        issuer: &Arc<Issuer>,
        keys: &KeySnapshot,
    ) -> TokenResult {
        let ath = presented.token.ath();
        if self.inner.forged.get(ath) == Some(keys.serial()) {
            return Err(TokenError::BadSignature);
        }
        let algorithm = unverified.algorithm(issuer)?;
        match unverified.verify(issuer, algorithm, keys, presented.tables) {
            Ok(signed_by) => {
                let token = Arc::new(claims);
                let (issuer, keys) = (Arc::clone(issuer), AtomicU64::new(keys.serial()));
                let known = KnownToken { ath: (*ath).into(), token: Arc::clone(&token), issuer, signed_by, keys };
                self.inner.tokens.insert(presented.token, known);
                Ok(token)
            }
            Err(fault) => {
                if fault == TokenError::BadSignature {
                    self.inner.forged.insert(*ath, keys.serial());
                }
                Err(fault)
            }
        }
    }

    /// The token by what is at hand, without asking anybody: for the log, where it does not matter enough.
    pub(crate) fn read_at_hand(&self, presented: Presented<'_>) -> Option<Arc<AccessToken>> {
        let Presented { token, audience, now, .. } = presented;
        let judged =
            |issuer: &Issuer, token: Arc<AccessToken>| issuer.judge(&token, audience, now).is_ok().then_some(token);
        if let Some(known) = token.known() {
            let keys = known.issuer.keys.at_hand(now)?;
            return judged(&known.issuer, Arc::clone(&known.token)).filter(|_| keys.holds(&known.signed_by));
        }
        let Ok(unverified) = UnverifiedToken::parse(token.text(), self.inner.limits) else {
            let mut answers =
                self.inner.issuers.values().filter_map(|issuer| Some((issuer, issuer.answered(token.ath(), now)?)));
            return answers.find_map(|(issuer, token)| judged(issuer, token));
        };
        let issuer = self.issuer(unverified.issuer().ok()?).ok()?;
        if issuer.introspector.is_some() {
            return judged(issuer, issuer.answered(token.ath(), now)?);
        }
        let claims = unverified.claims(issuer).ok()?;
        issuer.judge(&claims, audience, now).ok()?;
        let keys = issuer.keys.at_hand(now)?;
        self.verify(&presented, &unverified, claims, issuer, &keys).ok()
    }

    /// Asks about a token that is no JWT, one issuer after the other; `None` when none is to be asked. What one issuer
    /// calls active is active, whatever the others say.
    async fn ask_about(&self, presented: Presented<'_>) -> Option<TokenResult> {
        let Presented { token, audience, now, .. } = presented;
        if token.text().len() > self.inner.limits.length {
            return None;
        }
        let mut worst = None;
        for issuer in self.inner.names.iter().filter_map(|name| self.inner.issuers.get(name)) {
            if issuer.introspector.is_none() {
                continue;
            }
            match issuer.ask(token, audience, now).await {
                Ok(token) => return Some(Ok(token)),
                Err(TokenError::Inactive) if worst.is_some() => (),
                Err(fault) => worst = Some(fault),
            }
        }
        worst.map(Err)
    }

    fn issuer(&self, name: &str) -> Result<&Arc<Issuer>, TokenError> {
        self.inner
            .issuers
            .get(name)
            .ok_or_else(|| TokenError::IssuerUnknown { found: Some(crate::token::shorten(name)) })
    }
}

/// An access token as a request presents it.
#[derive(Clone, Copy)]
pub(crate) struct Presented<'a> {
    pub(crate) token: &'a SentToken<'a>,
    /// The resource that it has to be for.
    pub(crate) audience: &'a str,
    /// Makes a table for the issuer's key, if there can be one.
    pub(crate) tables: &'a Tables,
    pub(crate) now: Timestamp,
}

/// An access token that may be relied on, or why none may be.
type TokenResult = Result<Arc<AccessToken>, TokenError>;

impl Issuer {
    fn new(config: IssuerConfig, fetch: &Arc<dyn Fetch>, counters: &Arc<Counters>) -> Self {
        let name: Arc<str> = config.issuer.as_str().into();
        let introspector = config
            .introspection
            .map(|asking| Introspector::new(Arc::clone(&name), asking, Arc::clone(fetch), Arc::clone(counters)));
        Self {
            introspector,
            name,
            algorithms: config.algorithms,
            types: config.types,
            audiences: config.audiences,
            keys: IssuerKeys::new(config.issuer, config.keys, Arc::clone(fetch), Arc::clone(counters)),
        }
    }

    /// Asks the issuer itself about a token.
    async fn ask(&self, token: &SentToken<'_>, audience: &str, now: Timestamp) -> TokenResult {
        let introspector = self.introspector.as_ref().ok_or(TokenError::Inactive)?;
        match introspector.answer(token.text(), token.ath(), now).await.map_err(|fault| unavailable(&fault))? {
            Answer::Active(token) => self.judge(&token, audience, now).map(|()| token),
            Answer::Refused(fault) => Err(fault),
        }
    }

    /// What the issuer said of a token, if that is remembered.
    fn answered(&self, ath: &Ath, now: Timestamp) -> Option<Arc<AccessToken>> {
        match self.introspector.as_ref()?.remembered(ath, now)? {
            Answer::Active(token) => Some(token),
            Answer::Refused(_) => None,
        }
    }

    async fn renew(&self, now: Timestamp) {
        match &self.introspector {
            Some(introspector) => introspector.renew(now).await,
            None => self.keys.renew(now).await,
        }
    }

    fn missing(&self, now: Timestamp) -> Option<KeysError> {
        match &self.introspector {
            Some(introspector) => introspector.missing(),
            None => self.keys.missing(now),
        }
    }

    fn judge(&self, token: &AccessToken, audience: &str, now: Timestamp) -> Result<(), TokenError> {
        if self.audiences.is_empty() { token.judge(&[audience], now) } else { token.judge(&self.audiences, now) }
    }
}

fn unavailable(fault: &KeysError) -> TokenError {
    TokenError::IssuerUnavailable { reason: fault.to_string() }
}
