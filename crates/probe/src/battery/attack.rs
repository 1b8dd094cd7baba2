use countersign_dpop::ErrorCode;

use super::report::Expected;

/// One thing that a thief tries.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Attack {
    /// The stolen token under the Bearer scheme (RFC 9449 §7.2).
    TokenAsBearer,
    /// The stolen token under the DPoP scheme without a proof.
    NoProof,
    /// The stolen token with a right proof by the thief's own key.
    OwnKey,
    /// A captured request, once more.
    CapturedProof,
    /// One fresh proof in two requests at the same time.
    TwiceAtOnce,
    /// A proof for another method.
    OtherMethod,
    /// A proof for another path.
    OtherPath,
    /// A proof for another host.
    OtherHost,
    /// A proof with the hash of another token.
    OtherAth,
    /// A proof without the hash of the token.
    NoAth,
    /// A proof of an hour ago.
    Stale,
    /// A proof made ahead for an hour from now.
    Future,
    /// `iat` of −2^63, where subtracting overflows.
    IatLowest,
    /// `iat` of 1e400, beyond what a double holds.
    IatHuge,
    /// `iat` of 2^64, where casting wraps.
    IatWraps,
    /// `alg` `none` and no signature.
    AlgNone,
    /// `alg` `HS256` with the public key for a secret.
    AlgHs256,
    /// A private member in `jwk`.
    PrivateKey,
    /// Two `DPoP` fields.
    TwoFields,
    /// A signature with one bit changed.
    TamperedSignature,
    /// A nonce that no server issued.
    InventedNonce,
    /// A token for another audience.
    ForeignAudience,
    /// An expired token.
    ExpiredToken,
    /// A token by another issuer.
    OtherIssuer,
    /// A refused request, then the right one with the same `jti`: the refusal must have spent nothing.
    RefusedSpendsNothing,
}

impl Attack {
    /// Every attack, in the order in which they are told best.
    pub const ALL: [Self; 25] = [
        Self::TokenAsBearer,
        Self::NoProof,
        Self::OwnKey,
        Self::CapturedProof,
        Self::TwiceAtOnce,
        Self::OtherMethod,
        Self::OtherPath,
        Self::OtherHost,
        Self::OtherAth,
        Self::NoAth,
        Self::Stale,
        Self::Future,
        Self::IatLowest,
        Self::IatHuge,
        Self::IatWraps,
        Self::AlgNone,
        Self::AlgHs256,
        Self::PrivateKey,
        Self::TwoFields,
        Self::TamperedSignature,
        Self::InventedNonce,
        Self::ForeignAudience,
        Self::ExpiredToken,
        Self::OtherIssuer,
        Self::RefusedSpendsNothing,
    ];

    /// A stable name.
    pub const fn name(self) -> &'static str {
        self.text().0
    }

    /// What is tried, for people.
    pub const fn tried(self) -> &'static str {
        self.text().1
    }

    /// The refusal expected.
    pub const fn expected(self) -> Expected {
        let code = match self {
            Self::TokenAsBearer | Self::OwnKey | Self::ForeignAudience | Self::ExpiredToken | Self::OtherIssuer => {
                ErrorCode::InvalidToken
            }
            Self::InventedNonce => ErrorCode::UseDpopNonce,
            Self::NoProof
            | Self::CapturedProof
            | Self::TwiceAtOnce
            | Self::OtherMethod
            | Self::OtherPath
            | Self::OtherHost
            | Self::OtherAth
            | Self::NoAth
            | Self::Stale
            | Self::Future
            | Self::IatLowest
            | Self::IatHuge
            | Self::IatWraps
            | Self::AlgNone
            | Self::AlgHs256
            | Self::PrivateKey
            | Self::TwoFields
            | Self::TamperedSignature
            | Self::RefusedSpendsNothing => ErrorCode::InvalidDpopProof,
        };
        Expected { status: 401, code }
    }

    const fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::TokenAsBearer => ("token_as_bearer", "the stolen token as a Bearer token"),
            Self::NoProof => ("no_proof", "the stolen token without any proof"),
            Self::OwnKey => ("own_key", "a proof by the thief's own key"),
            Self::CapturedProof => ("captured_proof", "a captured request, sent once more"),
            Self::TwiceAtOnce => ("twice_at_once", "one fresh proof in two requests at the same time"),
            Self::OtherMethod => ("other_method", "a proof made for another method"),
            Self::OtherPath => ("other_path", "a proof made for another path"),
            Self::OtherHost => ("other_host", "a proof made for another host"),
            Self::OtherAth => ("other_ath", "a proof made for another token"),
            Self::NoAth => ("no_ath", "a proof made for no token at all"),
            Self::Stale => ("stale", "a proof made an hour ago"),
            Self::Future => ("future", "a proof dated an hour ahead"),
            Self::IatLowest => ("iat_lowest", "a proof dated -2^63, to make subtraction overflow"),
            Self::IatHuge => ("iat_huge", "a proof dated 1e400, beyond any number"),
            Self::IatWraps => ("iat_wraps", "a proof dated 2^64, to make a cast wrap"),
            Self::AlgNone => ("alg_none", "alg none and no signature"),
            Self::AlgHs256 => ("alg_hs256", "alg HS256 with the public key as the secret"),
            Self::PrivateKey => ("private_key", "a private key in the header"),
            Self::TwoFields => ("two_fields", "two DPoP fields, a good proof in each"),
            Self::TamperedSignature => ("tampered_signature", "one bit of the signature changed"),
            Self::InventedNonce => ("invented_nonce", "a nonce that the server never issued"),
            Self::ForeignAudience => ("foreign_audience", "a good token for another audience"),
            Self::ExpiredToken => ("expired_token", "a token that has expired"),
            Self::OtherIssuer => ("other_issuer", "a token signed by another issuer"),
            Self::RefusedSpendsNothing => {
                ("refused_spends_nothing", "a refused proof; the right one with the same jti must still work")
            }
        }
    }
}
