//! The answer of a token endpoint (RFC 6749 §5.1, RFC 9449 §5).

use countersign_dpop::jose::{JsonLimits, from_strict_json};
use countersign_dpop::time::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::flows::TokenError;
use crate::shown::shown;
use crate::token::{AccessToken, RefreshToken, TokenKind, Tokens};

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    expires_in: Option<Seconds>,
    scope: Option<String>,
    refresh_token: Option<String>,
}

/// Some servers write the number as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(i64),
    Text(String),
}

/// Reads an answer that came with status 200 at `now`. A token that is not bound is thrown away here, unless
/// `allow_bearer`.
pub(super) fn read_token_answer(json: &[u8], now: Timestamp, allow_bearer: bool) -> Result<Tokens, TokenError> {
    let malformed = |reason| TokenError::Malformed { reason };
    let answer: Answer = from_strict_json(json, JsonLimits::DOCUMENT)
        .map_err(|_| malformed("not a JSON object with access_token and token_type"))?;
    let text = Zeroizing::new(answer.access_token);
    let refresh_token = answer.refresh_token.map(SecretString::from);
    let kind = match TokenKind::parse(&answer.token_type) {
        Some(TokenKind::Dpop) => TokenKind::Dpop,
        Some(TokenKind::Bearer) if allow_bearer => TokenKind::Bearer,
        _ => return Err(TokenError::Downgraded { token_type: token_type_shown(&answer.token_type, &text) }),
    };
    let expires_in = match answer.expires_in {
        None => None,
        Some(Seconds::Number(seconds)) => Some(seconds),
        Some(Seconds::Text(text)) => Some(text.parse().map_err(|_| malformed("expires_in is not a number"))?),
    };
    let scope = answer.scope.map(|scope| shown(&scope));
    let access = AccessToken::new(&text, kind, scope, expires_in, now)
        .ok_or_else(|| malformed("access_token is empty, too long, or has characters that no token has"))?;
    let refresh = refresh_token
        .map(RefreshToken::new)
        .map(|refresh| refresh.ok_or_else(|| malformed("refresh_token is empty or too long")));
    Ok(Tokens { access, refresh: refresh.transpose()? })
}

/// Only the names that are known are shown: what else stands there may be anything, the token included.
fn token_type_shown(token_type: &str, token: &str) -> String {
    let short_word = token_type.len() <= 16 && token_type.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if short_word && !token.contains(token_type) { token_type.to_owned() } else { "(not shown)".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn read(json: &str) -> Result<AccessToken, TokenError> {
        read_token_answer(json.as_bytes(), NOW, false).map(|tokens| tokens.access)
    }

    #[test]
    fn takes_the_type_in_any_letter_case() {
        for name in ["DPoP", "dpop", "DPOP", "dPoP"] {
            let token = read(&format!(r#"{{"access_token":"t","token_type":"{name}","expires_in":60,"x":{{}}}}"#));
            assert_eq!(token.expect("row 500").expires_at(), Some(NOW.plus(60)), "row 500");
        }
    }

    #[test]
    fn takes_an_answer_without_expires_in() {
        let token = read(r#"{"access_token":"t","token_type":"DPoP"}"#).expect("row 502");
        assert_eq!(token.expires_at(), None, "row 502");
        let token = read(r#"{"access_token":"t","token_type":"DPoP","expires_in":"60"}"#).expect("a number as text");
        assert_eq!(token.expires_at(), Some(NOW.plus(60)));
    }

    #[test]
    fn throws_a_token_away_that_is_not_bound() {
        for (name, expected) in [
            ("Bearer", "Bearer"),
            ("N_A", "N_A"),
            ("canary-token-in-the-type", "(not shown)"),
            ("", "(not shown)"),
            ("DPoP ", "(not shown)"),
        ] {
            let json = format!(r#"{{"access_token":"canary-token-in-the-type","token_type":"{name}"}}"#);
            let Err(TokenError::Downgraded { token_type }) = read(&json) else { panic!("row 501: {name}") };
            assert_eq!(token_type, expected, "row 501");
        }
    }

    #[test]
    fn takes_an_unbound_token_from_whoever_allows_it() {
        let read =
            |kind| read_token_answer(format!(r#"{{"access_token":"t","token_type":"{kind}"}}"#).as_bytes(), NOW, true);
        assert_eq!(read("bearer").expect("allowed").access.kind(), TokenKind::Bearer, "row 501");
        assert_eq!(read("dpop").expect("bound").access.kind(), TokenKind::Dpop);
        assert!(matches!(read("N_A"), Err(TokenError::Downgraded { .. })));
    }

    #[test]
    fn takes_a_refresh_token_that_comes_along() {
        let read = |refresh: &str| {
            let json = format!(r#"{{"access_token":"t","token_type":"DPoP","refresh_token":"{refresh}"}}"#);
            read_token_answer(json.as_bytes(), NOW, false)
        };
        assert!(read("r").expect("tokens").refresh.is_some());
        assert!(matches!(read(""), Err(TokenError::Malformed { .. })));
        assert!(matches!(read(&"x".repeat(16_385)), Err(TokenError::Malformed { .. })));
    }

    #[test]
    fn refuses_what_is_no_token_answer() {
        for json in [
            "",
            "[]",
            "{}",
            r#"{"access_token":"t"}"#,
            r#"{"token_type":"DPoP"}"#,
            r#"{"access_token":1,"token_type":"DPoP"}"#,
            r#"{"access_token":"","token_type":"DPoP"}"#,
            r#"{"access_token":"a b","token_type":"DPoP"}"#,
            r#"{"access_token":"a\nb","token_type":"DPoP"}"#,
            r#"{"access_token":"t","token_type":"DPoP","expires_in":"soon"}"#,
            r#"{"access_token":"t","token_type":"DPoP","expires_in":1e400}"#,
            r#"{"access_token":"t","access_token":"u","token_type":"DPoP"}"#,
        ] {
            assert!(matches!(read(json), Err(TokenError::Malformed { .. })), "{json}");
        }
    }
}
