//! A head that may have to be sent a second time.

use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

/// A copy of a request's head, for the rare case that it has to be sent once more. Its fields are packed: to copy a map of
/// them, and to let go of the copy, costs more than all else that is kept of a request.
pub(crate) struct SpareHead {
    method: Method,
    uri: Uri,
    extensions: Extensions,
    /// Of each field a tag, the name, and the value.
    fields: Vec<u8>,
}

/// Bytes that the fields of most requests fit in.
const USUAL_LENGTH: usize = 1_024;
/// The lengths of name and value, and whether the value is sensitive.
const TAG: usize = 9;

impl SpareHead {
    /// A copy of `parts`, whose version is HTTP/1.1.
    pub(crate) fn of(parts: &Parts) -> Self {
        let mut fields = Vec::with_capacity(USUAL_LENGTH);
        for (name, value) in &parts.headers {
            pack(&mut fields, name.as_str().as_bytes(), value);
        }
        Self { method: parts.method.clone(), uri: parts.uri.clone(), extensions: parts.extensions.clone(), fields }
    }

    /// The head as it was.
    pub(crate) fn into_parts(self) -> Parts {
        let mut parts = Request::new(()).into_parts().0;
        parts.method = self.method;
        parts.uri = self.uri;
        parts.extensions = self.extensions;
        parts.headers = unpacked(&self.fields);
        parts
    }
}

fn pack(fields: &mut Vec<u8>, name: &[u8], value: &HeaderValue) {
    fields.extend_from_slice(&length(name).to_ne_bytes());
    fields.extend_from_slice(&length(value.as_bytes()).to_ne_bytes());
    fields.push(u8::from(value.is_sensitive()));
    fields.extend_from_slice(name);
    fields.extend_from_slice(value.as_bytes());
}

/// No field is longer: heads are read with a limit far below.
fn length(text: &[u8]) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

fn unpacked(mut packed: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    while let Some((name, value)) = next(&mut packed) {
        headers.append(name, value);
    }
    headers
}

/// Takes one field off; `None` behind the last one.
fn next(packed: &mut &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let (tag, rest) = packed.split_first_chunk::<TAG>()?;
    let [n0, n1, n2, n3, v0, v1, v2, v3, is_sensitive] = *tag;
    let place = |length: [u8; 4]| usize::try_from(u32::from_ne_bytes(length)).ok();
    let (name, rest) = rest.split_at_checked(place([n0, n1, n2, n3])?)?;
    let (value, rest) = rest.split_at_checked(place([v0, v1, v2, v3])?)?;
    *packed = rest;
    let mut value = HeaderValue::from_bytes(value).ok()?;
    value.set_sensitive(is_sensitive == 1);
    Some((HeaderName::from_bytes(name).ok()?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back_as_it_was() {
        let mut request = Request::get("http://h:1/a?b").body(()).unwrap();
        let headers = request.headers_mut();
        for (name, value) in [("accept", "a"), ("x-one", ""), ("accept", "b"), ("x-two", "\u{e4} \t")] {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let mut secret = HeaderValue::from_static("DPoP x");
        secret.set_sensitive(true);
        headers.insert("authorization", secret);
        request.extensions_mut().insert(7_u8);
        let parts = request.into_parts().0;
        let again = SpareHead::of(&parts).into_parts();
        assert_eq!((&again.method, &again.uri, again.version), (&parts.method, &parts.uri, parts.version));
        assert_eq!(again.headers.iter().collect::<Vec<_>>(), parts.headers.iter().collect::<Vec<_>>());
        assert!(again.headers["authorization"].is_sensitive() && !again.headers["accept"].is_sensitive());
        assert_eq!(again.extensions.get::<u8>(), Some(&7));
    }

    #[test]
    fn a_head_without_fields_has_none_again() {
        let parts = Request::head("/").body(()).unwrap().into_parts().0;
        let again = SpareHead::of(&parts).into_parts();
        assert!(again.method == Method::HEAD && again.headers.is_empty());
    }
}
