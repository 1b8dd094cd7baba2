//! `application/x-www-form-urlencoded` as RFC 6749 appendix B wants it.

use zeroize::Zeroizing;

/// A form in the making.
#[derive(Default)]
pub(crate) struct Form(Zeroizing<String>);

impl Form {
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(&percent_encode(name));
        self.0.push('=');
        self.0.push_str(&percent_encode(value));
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Everything but unreserved characters (RFC 3986 §2.3) is encoded; a decoder of forms reads that the same.
pub(crate) fn percent_encode(text: &str) -> Zeroizing<String> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    // Room for the longest result, so that nothing secret is left behind by growing.
    let mut encoded = Zeroizing::new(String::with_capacity(text.len().saturating_mul(3)));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_a_form_cannot_hold() {
        assert_eq!(*percent_encode("a-b._~9"), "a-b._~9");
        assert_eq!(*percent_encode("a b&c=d+e%é"), "a%20b%26c%3Dd%2Be%25%C3%A9");
    }

    #[test]
    fn joins_members() {
        let mut form = Form::default();
        form.add("grant_type", "client_credentials");
        form.add("scope", "read write");
        assert_eq!(form.as_bytes(), b"grant_type=client_credentials&scope=read%20write");
    }
}
