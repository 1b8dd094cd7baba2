//! What the browser brings back (RFC 6749 §4.1.2, RFC 9207), judged before anything is done with it.

use std::borrow::Cow;
use std::fmt;

use countersign_dpop::ErrorCode;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::shown::shown_without;

/// An answer to our question, from the issuer that was asked, with a code.
pub(crate) struct AuthorizationAnswer {
    pub(crate) code: Zeroizing<String>,
}

/// Why an authorization answer was not taken. Nothing was sent to anybody because of it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AuthorizationError {
    /// The answer names another issuer than the one that was asked, or none where the issuer says that it names
    /// itself: a mix-up (RFC 9207 §2.4).
    #[error("the authorization answer is of the issuer '{found}', not of '{expected}'; it was not used")]
    IssuerMismatch {
        /// The issuer that was asked.
        expected: String,
        /// The one that the answer names.
        found: String,
    },
    /// The answer names no issuer.
    #[error("the authorization answer does not name its issuer, which {expected} says it does; it was not used")]
    IssuerMissing {
        /// The issuer that was asked.
        expected: String,
    },
    /// A parameter twice, or neither code nor error.
    #[error("the authorization answer: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The person or the issuer said no.
    #[error("the issuer refused: {}", said(*error, description.as_deref()))]
    Refused {
        /// The code, if it is one that is known.
        error: Option<ErrorCode>,
        /// What the server says about it.
        description: Option<String>,
    },
    /// The answer is to another question, or to none (RFC 6749 §10.12).
    #[error("the authorization answer is not to the question that was asked (its state is missing or another)")]
    StateMismatch,
}

/// What an answer has to say to be ours.
pub(crate) struct Expected<'a> {
    pub(crate) state: &'a str,
    pub(crate) issuer: &'a str,
    pub(crate) issuer_is_named: bool,
}

/// The longest query that is read, in bytes.
const MAX_QUERY: usize = 8_192;

#[derive(Default)]
struct Parameters<'a> {
    code: Option<Cow<'a, str>>,
    state: Option<Cow<'a, str>>,
    iss: Option<Cow<'a, str>>,
    error: Option<Cow<'a, str>>,
    error_description: Option<Cow<'a, str>>,
}

impl AuthorizationAnswer {
    /// Judges `query`: first whether it answers our question, then who answers, then what.
    pub(super) fn accept(query: &str, expected: &Expected<'_>) -> Result<Self, AuthorizationError> {
        let parameters = Parameters::read(query)?;
        let state = parameters.state.as_deref().unwrap_or_default();
        if !bool::from(state.as_bytes().ct_eq(expected.state.as_bytes())) {
            return Err(AuthorizationError::StateMismatch);
        }
        parameters.require_issuer(expected)?;
        if let Some(error) = &parameters.error {
            let shown = |text: &str| shown_without(text, &[expected.state]);
            let description = parameters.error_description.as_deref().and_then(shown);
            return Err(AuthorizationError::Refused { error: error.parse().ok(), description });
        }
        match parameters.code {
            Some(code) if !code.is_empty() => Ok(Self { code: Zeroizing::new(code.into_owned()) }),
            _ => Err(AuthorizationError::Malformed { reason: "neither code nor error" }),
        }
    }
}

impl<'a> Parameters<'a> {
    fn read(query: &'a str) -> Result<Self, AuthorizationError> {
        let malformed = |reason| AuthorizationError::Malformed { reason };
        if query.len() > MAX_QUERY {
            return Err(malformed("too long"));
        }
        let mut read = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match name.as_ref() {
                "code" => &mut read.code,
                "state" => &mut read.state,
                "iss" => &mut read.iss,
                "error" => &mut read.error,
                "error_description" => &mut read.error_description,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(malformed("a parameter occurs twice"));
            }
        }
        Ok(read)
    }

    /// RFC 9207 §2.4: compared letter by letter.
    fn require_issuer(&self, expected: &Expected<'_>) -> Result<(), AuthorizationError> {
        let issuer = || expected.issuer.to_owned();
        match self.iss.as_deref() {
            Some(iss) if iss == expected.issuer => Ok(()),
            Some(iss) => {
                let found = shown_without(iss, &[expected.state]).unwrap_or_default();
                Err(AuthorizationError::IssuerMismatch { expected: issuer(), found })
            }
            None if expected.issuer_is_named => Err(AuthorizationError::IssuerMissing { expected: issuer() }),
            None => Ok(()),
        }
    }
}

fn said(error: Option<ErrorCode>, description: Option<&str>) -> String {
    let code = error.map_or("no known error code", ErrorCode::as_str);
    description.map_or_else(|| code.to_owned(), |description| format!("{code}: {description}"))
}

impl fmt::Debug for AuthorizationAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizationAnswer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://idp.example";
    const ISS: &str = "iss=https%3A%2F%2Fidp.example";

    fn accept(query: &str, issuer_is_named: bool) -> Result<String, AuthorizationError> {
        let expected = Expected { state: "canary-state-91", issuer: ISSUER, issuer_is_named };
        AuthorizationAnswer::accept(query, &expected).map(|answer| answer.code.to_string())
    }

    #[test]
    fn takes_an_answer_to_our_question_from_the_issuer_that_was_asked() {
        for named in [true, false] {
            assert_eq!(accept(&format!("code=c%2B1&state=canary-state-91&{ISS}&x=1&x=2"), named), Ok("c+1".to_owned()));
        }
        assert_eq!(accept("code=c&state=canary-state-91", false), Ok("c".to_owned()));
    }

    #[test]
    fn refuses_an_answer_of_another_issuer_or_of_none() {
        let mismatch = |found: &str| {
            Err(AuthorizationError::IssuerMismatch { expected: ISSUER.to_owned(), found: found.to_owned() })
        };
        for named in [true, false] {
            let evil = accept("code=c&state=canary-state-91&iss=https://evil.example", named);
            assert_eq!(evil, mismatch("https://evil.example"), "row 509");
            assert_eq!(
                accept("code=c&state=canary-state-91&iss=https://idp.example/", named),
                mismatch("https://idp.example/")
            );
            assert_eq!(accept("code=c&state=canary-state-91&iss=", named), mismatch(""), "row 509");
            assert_eq!(accept("error=access_denied&state=canary-state-91&iss=x", named), mismatch("x"), "row 509");
        }
        let missing = accept("code=c&state=canary-state-91", true);
        assert_eq!(missing, Err(AuthorizationError::IssuerMissing { expected: ISSUER.to_owned() }), "row 509");
    }

    #[test]
    fn refuses_an_answer_to_another_question() {
        for query in
            ["", "code=c", "code=c&state=", "code=c&state=other", "error=access_denied", "code=c&state=canary-state-9"]
        {
            assert_eq!(
                accept(&format!("{query}&{ISS}"), true),
                Err(AuthorizationError::StateMismatch),
                "row 510: {query}"
            );
        }
    }

    #[test]
    fn refuses_parameters_that_occur_twice_and_answers_without_any() {
        for (query, reason) in [
            ("code=c&code=d&state=canary-state-91", "a parameter occurs twice"),
            ("code=c&state=canary-state-91&state=canary-state-91", "a parameter occurs twice"),
            ("code=c&state=canary-state-91&iss=https://idp.example&iss=x", "a parameter occurs twice"),
            ("state=canary-state-91", "neither code nor error"),
            ("code=&state=canary-state-91", "neither code nor error"),
        ] {
            assert_eq!(accept(query, false), Err(AuthorizationError::Malformed { reason }), "{query}");
        }
        let long = format!("state=canary-state-91&code={}", "x".repeat(MAX_QUERY));
        assert_eq!(accept(&long, false), Err(AuthorizationError::Malformed { reason: "too long" }));
    }

    #[test]
    fn says_what_the_issuer_says_and_nothing_secret() {
        let refused =
            accept(&format!("error=access_denied&error_description=no%1b[2J&state=canary-state-91&{ISS}"), true);
        let expected = AuthorizationError::Refused {
            error: Some(ErrorCode::AccessDenied),
            description: Some("no?[2J".to_owned()),
        };
        assert_eq!(refused, Err(expected));
        let indiscreet = accept("error=x&error_description=canary-state-91&state=canary-state-91", false);
        assert_eq!(indiscreet, Err(AuthorizationError::Refused { error: None, description: None }));
    }
}
