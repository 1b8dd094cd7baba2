//! The form of a POST request (RFC 6749 §3.2, appendix B): bounded, then decoded once, no parameter twice.

use std::fmt;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::{HeaderMap, header};
use zeroize::Zeroizing;

/// The parameters of one request. Values may be secrets: no `Debug` of them, wiped when dropped.
pub(crate) struct Form(Vec<(String, Zeroizing<String>)>);

/// Why a request to an endpoint that takes forms cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum FormError {
    #[error("the body is not application/x-www-form-urlencoded")]
    MediaType,
    #[error("the body has more than {} bytes", Form::MAX_LENGTH)]
    TooLong,
    #[error("the body did not arrive whole")]
    Incomplete,
    #[error("the form is not percent-encoded UTF-8")]
    Encoding,
    #[error("the form has more than {} parameters", Form::MAX_PARAMETERS)]
    TooManyParameters,
    #[error("a parameter stands twice in the form")]
    ParameterRepeated,
    #[error("the form lacks {0}")]
    Missing(&'static str),
}

impl Form {
    /// The longest body that is read, in bytes.
    pub(crate) const MAX_LENGTH: usize = 64 * 1_024;
    /// The most parameters in one form.
    pub(crate) const MAX_PARAMETERS: usize = 64;
    /// How long a body may take to arrive.
    const PATIENCE: Duration = Duration::from_secs(10);
    /// Parameters that may stand several times (RFC 8707 §2, RFC 8693 §2.1).
    const REPEATABLE: [&'static str; 2] = ["resource", "audience"];

    /// Reads the form of a request.
    pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<Self, FormError> {
        if !is_form(headers) {
            return Err(FormError::MediaType);
        }
        if declared_length(headers).is_some_and(|length| length > Self::MAX_LENGTH as u64) {
            return Err(FormError::TooLong);
        }
        let body = tokio::time::timeout(Self::PATIENCE, to_bytes(body, Self::MAX_LENGTH)).await;
        let bytes = body.map_err(|_| FormError::Incomplete)?.map_err(|fault| unreadable(&fault))?;
        Self::parse(&bytes)
    }

    /// A form of parameters that came in another shape.
    pub(crate) fn of(parameters: Vec<(String, String)>) -> Self {
        Self(parameters.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect())
    }

    /// Reads the query of a URL: of a parameter that stands twice the first one, and the names of those that do.
    pub(crate) fn parse_query(query: &str) -> Result<(Self, Vec<String>), FormError> {
        let (mut form, mut repeated) = (Self(Vec::new()), Vec::new());
        for (name, value) in pairs(query.as_bytes()) {
            let name = form_decode(name)?;
            match form.add(&name, form_decode(value)?) {
                Err(FormError::ParameterRepeated) => repeated.push(name.as_str().to_owned()),
                added => added?,
            }
        }
        Ok((form, repeated))
    }

    fn parse(body: &[u8]) -> Result<Self, FormError> {
        let mut form = Self(Vec::new());
        for (name, value) in pairs(body) {
            form.add(form_decode(name)?.as_str(), form_decode(value)?)?;
        }
        Ok(form)
    }

    fn add(&mut self, name: &str, value: Zeroizing<String>) -> Result<(), FormError> {
        if self.0.len() == Self::MAX_PARAMETERS {
            return Err(FormError::TooManyParameters);
        }
        if !Self::REPEATABLE.contains(&name) && self.0.iter().any(|(other, _)| other == name) {
            return Err(FormError::ParameterRepeated);
        }
        self.0.push((name.to_owned(), value));
        Ok(())
    }

    /// The parameter `name`. One without a value counts as absent (RFC 6749 §3.2).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, value)| own == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// The parameter `name`, which must be there.
    pub(crate) fn required(&self, name: &'static str) -> Result<&str, FormError> {
        self.get(name).ok_or(FormError::Missing(name))
    }

    /// Every occurrence of the parameter `name` that has a value.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, value)| own == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form").field("parameters", &self.0.len()).finish()
    }
}

fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        }
    })
}

/// Decodes `application/x-www-form-urlencoded`: `+` is a blank, `%` needs two hexadecimal digits, the result is UTF-8.
pub(crate) fn form_decode(text: &[u8]) -> Result<Zeroizing<String>, FormError> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (hex(rest.next())?, hex(rest.next())?);
                high << 4 | low
            }
            other => *other,
        });
    }
    let text = std::str::from_utf8(&decoded).map_err(|_| FormError::Encoding)?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn hex(digit: Option<&u8>) -> Result<u8, FormError> {
    match digit {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
        Some(digit @ b'A'..=b'F') => Ok(digit - b'A' + 10),
        Some(_) | None => Err(FormError::Encoding),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return false };
    let Ok(text) = field.to_str() else { return false };
    let media_type = text.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn unreadable(fault: &axum::Error) -> FormError {
    use std::error::Error as _;
    let mut source = fault.source();
    while let Some(fault) = source {
        if fault.is::<http_body_util::LengthLimitError>() {
            return FormError::TooLong;
        }
        source = fault.source();
    }
    FormError::Incomplete
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_bytes(body: &[u8]) -> Result<Form, FormError> {
        Form::parse(body)
    }

    #[test]
    fn decodes_names_and_values_once() {
        let form = read_bytes(b"a=1&b=x+y%2Bz&%63=%25&=nameless&d&&e=%C3%A9").unwrap();
        assert_eq!(form.get("a"), Some("1"));
        assert_eq!(form.get("b"), Some("x y+z"));
        assert_eq!(form.get("c"), Some("%"));
        assert_eq!(form.get("d"), None, "a parameter without a value counts as absent");
        assert_eq!(form.get("e"), Some("é"));
        assert_eq!(form.required("f"), Err(FormError::Missing("f")));
    }

    #[test]
    fn refuses_broken_encodings() {
        for body in [&b"a=%"[..], b"a=%4", b"a=%zz", b"%=1", b"a=%FF", b"a=\xff"] {
            assert_eq!(read_bytes(body).err(), Some(FormError::Encoding), "{body:?}");
        }
    }

    #[test]
    fn refuses_a_parameter_that_stands_twice_even_without_value_or_written_otherwise() {
        for body in [&b"a=1&a=1"[..], b"a=1&a=", b"a&a", b"a=1&%61=2", b"x=1&y=2&x=3"] {
            assert_eq!(read_bytes(body).err(), Some(FormError::ParameterRepeated), "{body:?}");
        }
        let form = read_bytes(b"resource=1&resource=2").unwrap();
        assert_eq!(form.all("resource").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn refuses_more_parameters_than_any_request_has() {
        let body = |count: usize| (0..count).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
        assert!(read_bytes(body(Form::MAX_PARAMETERS).as_bytes()).is_ok());
        let more = read_bytes(body(Form::MAX_PARAMETERS + 1).as_bytes());
        assert_eq!(more.err(), Some(FormError::TooManyParameters));
    }

    #[test]
    fn takes_the_form_media_type_only() {
        let is_form_field = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_TYPE, http::HeaderValue::from_static(value));
            }
            is_form(&headers)
        };
        assert!(is_form_field(&["application/x-www-form-urlencoded"]));
        assert!(is_form_field(&["Application/X-WWW-Form-Urlencoded; charset=UTF-8"]));
        for values in [&[][..], &["application/json"], &["application/x-www-form-urlencoded-not"], &["", ""]] {
            assert!(!is_form_field(values), "{values:?}");
        }
        assert!(!is_form_field(&["application/x-www-form-urlencoded", "application/x-www-form-urlencoded"]));
    }
}
