//! Cross-origin requests of browsers (Fetch standard): DPoP needs two request fields allowed and two response
//! fields exposed.

use countersign_dpop::{HtuError, PublicOrigin, PublicOriginError};
use http::{HeaderMap, HeaderValue, Method, header};

const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const ALLOWED: HeaderValue = HeaderValue::from_static("Authorization, DPoP, Content-Type");
const EXPOSED: HeaderValue = HeaderValue::from_static("DPoP-Nonce, WWW-Authenticate");
const PREFLIGHT_VARY: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");

/// The origins whose pages may call the resource.
#[derive(Clone, Debug, Default)]
pub struct Cors {
    origins: Vec<HeaderValue>,
    allowed: Option<HeaderValue>,
    exposed: Option<HeaderValue>,
}

/// Why an origin cannot be configured.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CorsError {
    /// It has a path, which origins of pages do not have.
    #[error("the origin {origin:?} has a path")]
    HasPath {
        /// The origin.
        origin: String,
    },
    /// It is not a usable URL.
    #[error("the origin {origin:?} is not usable: {fault}")]
    NotUsable {
        /// The origin.
        origin: String,
        /// What is wrong.
        fault: PublicOriginError,
    },
}

impl Cors {
    /// Allows these origins: scheme, host and, unless it is the scheme's default, port; no path.
    ///
    /// # Errors
    /// [`CorsError`] names the first that is no such origin.
    pub fn new<I: IntoIterator<Item = S>, S: AsRef<str>>(origins: I) -> Result<Self, CorsError> {
        let each = |origin: S| parse(origin.as_ref());
        Ok(Self { origins: origins.into_iter().map(each).collect::<Result<_, _>>()?, ..Self::default() })
    }

    /// Also lets pages send these request fields, beside `Authorization`, `DPoP` and `Content-Type`.
    #[must_use]
    pub fn with_allowed_fields(mut self, fields: &[http::HeaderName]) -> Self {
        self.allowed = with(&ALLOWED, fields);
        self
    }

    /// Also lets pages read these response fields, beside `DPoP-Nonce` and `WWW-Authenticate`.
    #[must_use]
    pub fn with_exposed_fields(mut self, fields: &[http::HeaderName]) -> Self {
        self.exposed = with(&EXPOSED, fields);
        self
    }

    /// The fields of the answer to a preflight, whose status is 204; `None` when the request is none, or comes
    /// from another origin. A preflight carries no credentials, so it must be answered before any are asked for.
    pub fn preflight(&self, method: &Method, request: &HeaderMap) -> Option<HeaderMap> {
        if method != Method::OPTIONS {
            return None;
        }
        let origin = self.allowed_origin(request)?;
        let wanted = request.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        Method::from_bytes(wanted.as_bytes()).ok()?;
        let mut answer = HeaderMap::new();
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, wanted.clone());
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, self.allowed.clone().unwrap_or(ALLOWED));
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        answer.insert(header::VARY, PREFLIGHT_VARY);
        Some(answer)
    }

    /// The origin of `request` if it is allowed; to be kept for [`Cors::open`].
    pub fn allowed_origin<'a>(&'a self, request: &HeaderMap) -> Option<&'a HeaderValue> {
        let mut fields = request.get_all(header::ORIGIN).iter();
        let origin = fields.next()?;
        if fields.next().is_some() {
            return None;
        }
        self.origins.iter().find(|allowed| *allowed == origin)
    }

    /// Opens an answer to a page of `origin`, refusals included. `None` stands for an origin that is not allowed
    /// or not there; the answer then only says that it would differ for others.
    pub fn open(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        answer.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.append(header::ACCESS_CONTROL_EXPOSE_HEADERS, self.exposed.clone().unwrap_or(EXPOSED));
        }
    }
}

fn with(list: &HeaderValue, fields: &[http::HeaderName]) -> Option<HeaderValue> {
    let names = list.to_str().into_iter().chain(fields.iter().map(http::HeaderName::as_str));
    HeaderValue::from_str(&names.collect::<Vec<_>>().join(", ")).ok()
}

fn parse(origin: &str) -> Result<HeaderValue, CorsError> {
    let fail = |fault| CorsError::NotUsable { origin: origin.to_owned(), fault };
    let parsed = PublicOrigin::parse(origin).map_err(fail)?;
    let host = parsed.as_str().find("://").map_or(0, |at| at + 3);
    if parsed.as_str()[host..].contains('/') {
        return Err(CorsError::HasPath { origin: origin.to_owned() });
    }
    HeaderValue::from_str(parsed.as_str()).map_err(|_| fail(HtuError::Character.into()))
}
