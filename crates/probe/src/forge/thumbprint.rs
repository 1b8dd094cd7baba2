use aws_lc_rs::digest::{SHA256, digest};
use countersign_dpop::jose::encode_base64url;

use crate::forge::RawObject;

/// The thumbprint (RFC 7638) of a JWK whose members are written as they should be. `None` for a `kty` without one.
pub fn thumbprint(jwk: &RawObject) -> Option<String> {
    let required: &[&str] = match jwk.get("kty")?.as_str() {
        "\"EC\"" => &["crv", "kty", "x", "y"],
        "\"OKP\"" => &["crv", "kty", "x"],
        "\"RSA\"" => &["e", "kty", "n"],
        "\"oct\"" => &["k", "kty"],
        _ => return None,
    };
    let mut canonical = RawObject::new();
    for name in required {
        canonical.set(name, jwk.get(name)?);
    }
    Some(encode_base64url(digest(&SHA256, canonical.to_string().as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_rfc_7638_and_rfc_8037() {
        let rsa = concat!(
            r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSo"#,
            "c_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMi",
            "cAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ",
            r#"-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB"}"#,
        );
        let okp = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        for (jwk, expected) in
            [(rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"), (okp, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")]
        {
            assert_eq!(thumbprint(&RawObject::from_json(jwk).unwrap()).as_deref(), Some(expected));
        }
    }
}
