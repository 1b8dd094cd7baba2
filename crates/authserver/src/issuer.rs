//! The issuer identifier (RFC 8414 §2) and the URLs below it.

use countersign_dpop::{Htu, HtuError, PublicOrigin, PublicOriginError};

/// The issuer identifier exactly as it stands in tokens and metadata: a URL in normal form, without query and
/// fragment and without a slash at the end, `https` unless the host is a loopback one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Issuer {
    origin: PublicOrigin,
    path_start: usize,
}

/// Why a text cannot be an issuer identifier.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IssuerError {
    /// Not a URL that clients could reach, or plain http where that is refused.
    #[error("{0}")]
    Origin(#[from] PublicOriginError),
    /// A URL, but not in normal form; issuers are compared as text (RFC 8414 §3.3).
    #[error("not in normal form; write {normal}")]
    NotNormal {
        /// The same URL in normal form.
        normal: String,
    },
}

impl Issuer {
    /// Takes an issuer identifier.
    ///
    /// # Errors
    /// See [`IssuerError`].
    pub fn parse(text: &str) -> Result<Self, IssuerError> {
        let origin = PublicOrigin::parse(text)?;
        if origin.as_str() != text {
            return Err(IssuerError::NotNormal { normal: origin.as_str().to_owned() });
        }
        let authority_start = text.find("://").map_or(0, |at| at + 3);
        let path_start = text[authority_start..].find('/').map_or(text.len(), |at| authority_start + at);
        Ok(Self { origin, path_start })
    }

    /// The identifier.
    pub fn as_str(&self) -> &str {
        self.origin.as_str()
    }

    /// Scheme, host and port, as browsers name the origin of a page.
    pub fn origin(&self) -> &str {
        &self.as_str()[..self.path_start]
    }

    /// Whether clients reach it by https.
    pub fn is_https(&self) -> bool {
        self.origin.is_https()
    }

    /// The path below the host: empty, or with a slash in front and none at the end.
    pub fn path(&self) -> &str {
        &self.as_str()[self.path_start..]
    }

    /// The URL of the endpoint at `path`, which starts with a slash.
    pub fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.as_str())
    }

    /// What `htu` has to be in proofs for the endpoint at `path`.
    ///
    /// # Errors
    /// See [`HtuError`].
    pub fn htu(&self, path: &str) -> Result<Htu, HtuError> {
        self.origin.htu(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_path_apart() {
        for (text, path) in [
            ("https://as.example", ""),
            ("https://as.example:8443", ""),
            ("https://as.example/tenant/one", "/tenant/one"),
            ("http://127.0.0.1:9400", ""),
        ] {
            let issuer = Issuer::parse(text).unwrap();
            assert_eq!((issuer.as_str(), issuer.path()), (text, path));
            assert_eq!(issuer.endpoint("/token"), format!("{text}/token"));
            assert_eq!(issuer.htu("/token").unwrap().as_str(), format!("{text}/token"));
        }
    }

    #[test]
    fn names_the_normal_form_of_an_issuer_that_is_written_otherwise() {
        for text in ["https://as.example/", "https://AS.example", "https://as.example:443"] {
            let normal = "https://as.example".to_owned();
            assert_eq!(Issuer::parse(text), Err(IssuerError::NotNormal { normal }), "{text}");
        }
    }

    #[test]
    fn refuses_what_no_client_should_trust() {
        assert_eq!(Issuer::parse("http://as.example"), Err(IssuerError::Origin(PublicOriginError::PlainHttp)));
        for text in ["", "as.example", "ftp://as.example", "https://as.example?x", "https://as.example/#x"] {
            assert!(matches!(Issuer::parse(text), Err(IssuerError::Origin(_))), "{text}");
        }
    }
}
