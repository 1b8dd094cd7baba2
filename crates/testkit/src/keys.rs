//! Fixed keys, all of them printed in RFCs: good for tests, good for nothing else.

use countersign_dpop::jose::SoftwareKey;

/// The private P-256 key of RFC 7515 appendix A.3, as a JWK.
pub const ES256_JWK: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

/// The private P-256 key of RFC 7517 appendix A.2, as a JWK: somebody else's.
pub const OTHER_ES256_JWK: &str = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}"#;

/// The private Ed25519 key of RFC 8037 appendix A.1, as a JWK.
pub const ED25519_JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}"#;

/// [`ES256_JWK`], ready to sign.
pub fn es256() -> SoftwareKey {
    read(ES256_JWK)
}

/// [`OTHER_ES256_JWK`], ready to sign.
pub fn other_es256() -> SoftwareKey {
    read(OTHER_ES256_JWK)
}

/// [`ED25519_JWK`], ready to sign.
pub fn ed25519() -> SoftwareKey {
    read(ED25519_JWK)
}

fn read(jwk: &str) -> SoftwareKey {
    SoftwareKey::from_text(jwk.as_bytes(), None).expect("the RFC's key can be read")
}

#[cfg(test)]
mod tests {
    use countersign_dpop::jose::Algorithm;

    use super::*;

    #[test]
    fn the_keys_have_the_thumbprints_they_are_known_by() {
        // RFC 8037 appendix A.3 prints the second; the first was computed by other means.
        assert_eq!(es256().public_jwk().jkt().to_string(), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
        assert_eq!(ed25519().public_jwk().jkt().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(other_es256().algorithm(), Algorithm::Es256);
        assert_ne!(other_es256().public_jwk().jkt(), es256().public_jwk().jkt());
    }
}
